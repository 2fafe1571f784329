"""Losses that come together: the bad states of a Gilbert-Elliott channel, as an agent meets them.

All domains of one address share its channel, and what is in doubt is tried again in the same bad
moment. So the edges are walked together, through the agent's own ``Confirmer``.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass

from probe.model.result import Failed, Passed
from probe.model.state import Confirmation
from probe.state.history import Attempt
from probe.state.sampling import Confirmer

from .virtual import (
    ADDRESSES,
    CONFIRMED,
    DAY,
    INTERVAL,
    KEY,
    LOSS,
    LOST,
    PER_TARGET,
    TARGETS,
    Course,
    Span,
)

BAD = 1.0
"""Seconds that a bad state lasts on average."""

BAD_LOSS = 0.2
"""Share of handshakes that it loses."""


@dataclass(frozen=True, slots=True)
class Burst:
    """A bad moment of one address: part of the handshakes of all its domains is lost."""

    address: int
    span: Span
    share: float


def bursts(dice: random.Random, most: int) -> Iterator[Burst]:
    """The bad states of a Gilbert-Elliott channel: each as long as chance has it, a second or so.

    One in ten loses everything, for half as long: a route that changes.
    """
    for n in range(most):
        whole = not n % 10
        start = dice.uniform(60, DAY - 120)
        span = Span(start, start + dice.expovariate(1 / (BAD / 2 if whole else BAD)))
        yield Burst(dice.randrange(ADDRESSES), span, 1.0 if whole else BAD_LOSS)


def burst(dice: random.Random, bad: Burst) -> list[Course]:
    """Every edge at the address through its bad moment, with what the agent asks for after it.

    The edges share the budget of their check, and what is known of the address.
    """
    edges = TARGETS * PER_TARGET // ADDRESSES
    keys = [KEY._replace(target=f"t{n}", edge=str(bad.address)) for n in range(edges)]
    place = {key: n for n, key in enumerate(keys)}
    confirmer = Confirmer(Confirmation(), INTERVAL / ADDRESSES)  # the budget of all addresses
    confirmer.add(keys)
    courses = [Course(address=bad.address) for _ in keys]
    due = [(bad.span.start + dice.random() * INTERVAL, n, True) for n in range(edges)]
    heapq.heapify(due)
    named: dict[int, float] = {}
    while due and due[0][0] < bad.span.end + 120:
        now, n, regular = heapq.heappop(due)
        if regular:
            heapq.heappush(due, (now + INTERVAL, n, True))
        within = bad.span.start <= now < bad.span.end
        lost = dice.random() < (bad.share if within else LOSS)
        step = confirmer.record(Attempt(keys[n], Failed(LOST) if lost else Passed(), now), now)
        course = courses[n]
        course.attempts += not regular
        course.failed += [now] * lost
        if confirmer.histories[keys[n]].status in CONFIRMED:
            named.setdefault(n, now)
        elif n in named:
            course.named.append(Span(named.pop(n), now))
        for request in step.extra:
            heapq.heappush(due, (now + request.after, place[request.key], False))
    for n, at in named.items():
        courses[n].named.append(Span(at, bad.span.end + 120))
    return [course for course in courses if course.failed]
