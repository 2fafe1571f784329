"""Which servers cannot take questions with EDNS (RFC 6891). Pure: time is an argument, in seconds.

Some answer FORMERR and say so; others, or a firewall in front of them, drop such questions
without a word. Either is remembered for a while, so that not every question pays for it.
"""

from __future__ import annotations

from probe.model.spec import NameServer

PLAIN_FOR = 300.0
"""Seconds after which a server is asked with EDNS again."""

_STRIKES = 2
"""Questions that only plain DNS got answered, before that is believed: one may be chance, and
without EDNS nothing can be asked on behalf of clients elsewhere."""


class Manners:
    """What is known of servers; grows with their number alone."""

    def __init__(self) -> None:
        self._strikes: dict[NameServer, int] = {}
        self._plain_until: dict[NameServer, float] = {}

    def takes_edns(self, server: NameServer, now: float) -> bool:
        """Whether to ask this server with EDNS."""
        return self._plain_until.get(server, now) <= now

    def spoke_edns(self, server: NameServer) -> None:
        """An answer came with an OPT record."""
        self._strikes.pop(server, None)
        self._plain_until.pop(server, None)

    def refused(self, server: NameServer, now: float) -> None:
        """The server answered a plain question after an error that speaks of EDNS."""
        self._strikes[server] = _STRIKES
        self._plain_until[server] = now + PLAIN_FOR

    def dropped(self, server: NameServer, now: float) -> None:
        """The server left questions with EDNS unanswered and answered a plain one."""
        strikes = self._strikes[server] = self._strikes.get(server, 0) + 1
        if strikes >= _STRIKES:
            self._plain_until[server] = now + PLAIN_FOR
