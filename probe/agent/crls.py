"""What log and metrics say of revocation lists."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from probe.agent.log import EventLog
from probe.certificates.lists import STATES
from probe.revocation.keeper import ListKeeper, ListNews
from probe.serve.series import families
from probe.serve.series.family import Sample

_MOST_TROUBLES = 50
"""Lists that have a series of their own: certificates choose the URLs."""


class ListReport:
    """Reads a keeper of lists.

    Args:
        keeper: told whom to tell.
        log: one line when a list goes wrong, goes wrong in another way, or is good again.
    """

    def __init__(self, keeper: ListKeeper, log: EventLog) -> None:
        self._keeper = keeper
        self._log = log
        keeper.tell = self._tell

    def samples(self) -> Iterator[Sample]:
        """Yield how many lists are in which state, what is wrong, and what was found."""
        keeper, now = self._keeper, time.time()
        if not keeper.on:
            return
        standings = list(keeper.lists.standings(now))
        states = Counter(one.state for one in standings)
        for state in STATES:
            yield families.AGENT_CRL_LISTS, float(states[state]), (("state", state),)
        troubled = ((one.url, one.trouble) for one in standings if one.trouble is not None)
        for url, trouble in sorted(troubled)[:_MOST_TROUBLES]:
            labels = (("reason", trouble.value), ("url", url))
            yield families.AGENT_CRL_TROUBLE, 1.0, labels
        held = [one.held for one in keeper.lists.known.values() if one.held is not None]
        if held:
            oldest = min(one.this_update for one in held)
            yield families.AGENT_CRL_OLDEST, oldest, ()
        yield families.AGENT_CRL_REVOKED, float(keeper.lists.revoked()), ()
        for outcome, count in keeper.counts.items():
            yield families.AGENT_CRL_LOOKS, float(count), (("outcome", outcome),)

    def _tell(self, news: ListNews) -> None:
        if news.problem:
            self._log.warning(
                "revocation list", url=news.url, reason=news.reason, problem=news.problem
            )
        else:
            self._log.info("revocation list is good", url=news.url)
