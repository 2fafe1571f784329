"""How many experiments may be made: so many a minute for the agent, and for one address. Pure."""

from __future__ import annotations

from collections import deque

AGENT = 240
"""Experiments a minute of one agent, all investigations together."""

EDGE = 60
"""Experiments a minute at one address."""

_MINUTE = 60.0


class Allowance:
    """Counts experiments over the latest minute.

    Args:
        agent: most of all together.
        edge: most at one address.
    """

    def __init__(self, agent: int = AGENT, edge: int = EDGE) -> None:
        self._most = agent
        self._most_at = edge
        self._made: deque[float] = deque()
        self._made_at: dict[str, deque[float]] = {}

    def take(self, edge: str, now: float) -> float:
        """Count one experiment at an address, or return the seconds until one is allowed.

        Args:
            edge: label of the address.
            now: monotonic seconds.

        Returns:
            0 when it may be made now, and is counted.
        """
        there = self._made_at.setdefault(edge, deque())
        for made in (self._made, there):
            while made and made[0] <= now - _MINUTE:
                made.popleft()
        wait = max(
            _MINUTE - (now - self._made[0]) if len(self._made) >= self._most else 0.0,
            _MINUTE - (now - there[0]) if len(there) >= self._most_at else 0.0,
        )
        if wait <= 0:
            self._made.append(now)
            there.append(now)
        if len(self._made_at) > self._most:
            self._made_at = {one: made for one, made in self._made_at.items() if made}
        return max(wait, 0.0)
