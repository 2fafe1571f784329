"""Which faults happen when. Pure: one seed is one plan.

Time goes in cycles. Each begins with faults at places of their own and things that happen to the
agent, and ends calm: what began under a fault is over when the counters are read. So what an edge's
counters moved in a cycle belongs to the one fault that the edge had.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

CYCLE = 24.0
"""Seconds."""

CALM = 15.0
"""Second of a cycle from which there is no fault: time enough for every time-out to pass."""

NETWORK = ("partition", "cut", "loss", "delay", "reorder", "duplicate")
"""What the network does to connections that begin meanwhile."""

LAB = (
    "refused", "reset_after_connect", "silence", "close_after_hello", "reset_after_hello",
    "silence_after_hello", "alert_internal_error", "plain_http", "garbage", "broken_handshake",
    "close_in_handshake", "reset_in_handshake", "slow_drip", "expired", "wrong_name",
    "unknown_issuer", "missing_intermediate",
)  # fmt: skip
"""What edges do; the lab's table of faults says how each is to be reported."""

AGENT = ("reload", "bad_config", "stop", "clock", "grow", "shrink", "half_written")
"""What happens to the agent and its files."""

BLACKOUT, RESTART, DNS = "blackout", "restart", "dns_servfail"

PLACES = 6
"""Places with a fault in one cycle."""

_DARK = 8  # cycles from one blackout to the next
_LIFE = 24  # cycles from one restart to the next
CLOCK = 17.0
"""Seconds that a clock is off: long enough for a vantage to call itself ill on a busy machine. It
fails nothing that would have to pass before the counters are read, so it may last into the calm."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        number: its identity in the log, the table and the witnesses' notes.
        place: the edge's name; domains, for DNS; empty for what befalls everything.
        start: seconds after the beginning of the measured time.
        amount: packets in a hundred, milliseconds, seconds of a clock; 0 where there is none.
    """

    number: int
    kind: str
    place: str
    start: float
    end: float
    amount: float = 0.0

    @property
    def cycle(self) -> int:
        """The cycle that it lies in."""
        return int(self.start // CYCLE)

    def __str__(self) -> str:
        """A line of the plan."""
        amount = f" {self.amount:g}" if self.amount else ""
        where = f" at {self.place}" if self.place else ""
        return f"{self.number:>4}  {self.start:7.1f}-{self.end:7.1f} s  {self.kind}{amount}{where}"


def make_plan(
    seed: int, cycles: int, edges: Sequence[str], domains: Sequence[str]
) -> tuple[Fault, ...]:
    """Every fault of a run, in the order in which they start."""
    dice = random.Random(seed)
    kinds, doings = _Bag(dice, (*NETWORK, *LAB)), _Bag(dice, AGENT)
    found: list[Fault] = []

    def add(kind: str, place: str, start: float, end: float, amount: float = 0.0) -> None:
        found.append(Fault(0, kind, place, round(start, 2), round(end, 2), amount))

    for cycle in range(cycles):
        began = cycle * CYCLE
        dark = cycle % _DARK == 3
        if dark:
            add(BLACKOUT, "", began + 1 + dice.random(), began + 13 + dice.random())
        else:
            for place in dice.sample(list(edges), min(PLACES, len(edges))):
                kind = kinds.take(())
                start = began + 3 * dice.random()
                add(kind, place, start, start + 8 + 3 * dice.random(), _amount(kind, dice))
            some = " ".join(sorted(dice.sample(list(domains), 3)))
            if cycle % _LIFE != 2:  # an agent that starts asks for everything, and some twice
                add(DNS, some, began + 1, began + 14)
        for slot in range(1 if dark else 2):
            done = {one.kind for one in found if one.start >= began}
            ill = any(one.kind == "clock" and one.cycle == cycle - 1 for one in found)
            if ill or cycle % _LIFE == 2:
                # A vantage takes a while to get well, and one that starts just then sees no step.
                done.add("clock")
            kind = doings.take(done)
            # One after the other, so that each is seen for itself.
            start = began + 0.5 + 6.5 * slot + dice.random()
            length = {"stop": 1.5, "clock": CLOCK}.get(kind, 5.5)
            if kind == "clock" and slot == 1:
                start -= 6.5
            end = start + length if kind == "clock" else min(start + length, began + CALM)
            add(kind, "", start, end, dice.choice((-3600, 7200)) if kind == "clock" else 0.0)
        if cycle % _LIFE == 1:
            add(RESTART, "", began + CYCLE - 1, began + CYCLE)
    ordered = sorted(found, key=lambda one: one.start)
    return tuple(
        Fault(number, one.kind, one.place, one.start, one.end, one.amount)
        for number, one in enumerate(ordered, 1)
    )


class _Bag:
    """Every kind once, in any order, again and again."""

    def __init__(self, dice: random.Random, kinds: Sequence[str]) -> None:
        self._dice = dice
        self._kinds = kinds
        self._order: list[str] = []

    def take(self, but: Collection[str]) -> str:
        """Return the next one, those left out for another time."""
        while not (fitting := [one for one in self._order if one not in but]):
            self._order += self._dice.sample(self._kinds, len(self._kinds))
        self._order.remove(fitting[0])
        return fitting[0]


def _amount(kind: str, dice: random.Random) -> float:
    """How much of it."""
    match kind:
        case "loss":
            return dice.choice((10, 20, 40))
        case "delay":
            return dice.choice((100, 250, 400))
        case "reorder":
            return dice.choice((40, 80))
        case "duplicate":
            return dice.choice((20, 50))
        case _:
            return 0.0
