"""The probabilities behind the defaults, computed exactly by walking the real state machine.

The walk keeps a probability for every history that can be told apart, starts at a first
failure, and lets each further attempt fail with probability ``p``. It ends where the edge is
named (failing or flapping) or is beyond suspicion again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Passed
from probe.model.state import Confirmation, EdgeStatus
from probe.model.target import EdgeKey
from probe.state.confirmation import advance
from probe.state.history import Attempt, History

POLICY = Confirmation()
KEY = EdgeKey("c", "a.example", "live", "192.0.2.1:443", "default")
PASS = Attempt(KEY, Passed(), at=0.0)
FAIL = Attempt(KEY, Failed(Failure(Phase.TLS, Reason.TIMEOUT)), at=0.0)
DAY = 86_400.0


@dataclass
class Odds:
    """Probability of each end, and when naming happens, in attempts after the first failure."""

    failing: float = 0.0
    flapping: float = 0.0
    forgiven: float = 0.0
    attempts: float = 0.0
    by_attempt: list[float] = field(default_factory=lambda: [0.0])
    forgotten_by: list[float] = field(default_factory=lambda: [0.0])


class Walk:
    """Steps between histories, each computed by ``advance`` once."""

    def __init__(self) -> None:
        self._steps: dict[History, tuple[History, History]] = {}

    @staticmethod
    def _bare(history: History) -> History:
        """What tells histories apart for the judgement."""
        return History(
            status=history.status,
            bad=history.bad,
            good=history.good,
            passes=min(history.passes, POLICY.attempts + 1),
            failures=history.failures,
            bad_at=-60.0 if history.bad else None,  # what is too young to be flapping waits
        )

    def after(self, history: History) -> tuple[History, History]:
        """The histories after a failure and after a pass."""
        found = self._steps.get(history)
        if found is None:
            found = self._steps[history] = (
                self._bare(advance(history, FAIL, POLICY, 0.0)[0]),
                self._bare(advance(history, PASS, POLICY, 0.0)[0]),
            )
        return found

    def odds(self, p: float, longest: int = 3000) -> Odds:
        odds = Odds()
        first = self.after(History(status=EdgeStatus.PASSING))[0]
        alive = {first: 1.0}
        for _ in range(longest):
            if not alive:
                break
            odds.attempts += sum(alive.values())
            following: dict[History, float] = {}
            for history, share in alive.items():
                for after, part in zip(self.after(history), (p, 1 - p), strict=True):
                    weight = share * part
                    if after.status is EdgeStatus.FAILING:
                        odds.failing += weight
                    elif after.status is EdgeStatus.FLAPPING:
                        odds.flapping += weight
                    elif after.status is EdgeStatus.PASSING and not after.bad:
                        odds.forgiven += weight
                    elif weight > 1e-18:
                        following[after] = following.get(after, 0.0) + weight
            alive = following
            odds.by_attempt.append(odds.failing + odds.flapping)
            odds.forgotten_by.append(odds.forgiven)
        return odds


@pytest.fixture(scope="module")
def walk() -> Walk:
    return Walk()


@pytest.mark.parametrize(
    ("p", "failing", "flapping"),
    [(0.001, 6e-12, 1.1e-11), (0.003, 1.5e-9, 1.6e-8), (0.01, 6e-7, 9e-4)],
)
def test_false_names_per_edge_and_day(
    walk: Walk, p: float, failing: float, flapping: float
) -> None:
    """Random single losses at an interval of 15 s: the figures in the module's table hold."""
    odds = walk.odds(p)
    first_failures = DAY / 15 * p
    assert odds.failing * first_failures < failing
    assert odds.flapping * first_failures < flapping
    assert odds.forgiven + odds.failing + odds.flapping == pytest.approx(1.0)


def test_a_single_lost_handshake_costs_few_attempts(walk: Walk) -> None:
    """Twice what outweighs one failure, and a few more for streaks that go on."""
    assert walk.odds(0.001).attempts == pytest.approx(2 * POLICY.forgive_after, rel=0.05)
    assert walk.odds(0.003).attempts == pytest.approx(2 * POLICY.forgive_after, rel=0.15)


@pytest.mark.parametrize(
    ("p", "attempts", "share"),
    [
        (0.05, 120, 0.09),
        (0.05, 240, 0.48),
        (0.1, 60, 0.27),
        (0.1, 120, 0.78),
        (0.1, 240, 0.99),
        (0.2, 30, 0.57),
        (0.2, 60, 0.93),
        (0.4, 12, 0.55),
        (0.4, 30, 0.99),
    ],
)
def test_intermittent_failures_are_named_soon(
    walk: Walk, p: float, attempts: int, share: float
) -> None:
    """Under suspicion there are two attempts a second."""
    named = walk.odds(p).by_attempt
    assert named[min(attempts, len(named) - 1)] > share


def test_one_failure_in_twenty_is_named_within_a_quarter_of_an_hour(walk: Walk) -> None:
    """On one edge alone, with regular attempts every 15 s and two a second under suspicion.

    ``named[t]``: the odds of being named within ``t`` half seconds of a regular attempt on an
    edge that is beyond suspicion; a streak that is forgotten waits for the next regular one.
    """
    share, step, ticks = 0.05, 30, 1800
    odds = walk.odds(share)
    by, forgotten = odds.by_attempt, odds.forgotten_by
    named: list[float] = []
    for t in range(ticks + 1):
        later = named[t - step] if t >= step else 0.0
        found = by[min(t, len(by) - 1)]
        for k in range(1, min(t - step, len(forgotten) - 1) + 1):
            found += (forgotten[k] - forgotten[k - 1]) * named[t - k - step]
        named.append((1 - share) * later + share * found)
    waits = [named[ticks - wait] for wait in range(step)]
    assert 0.91 < sum(waits) / step < 0.93


def test_an_edge_that_fails_always_is_named_by_its_confirmation_alone(walk: Walk) -> None:
    odds = walk.odds(1.0)
    assert odds.failing == 1.0
    assert odds.by_attempt.index(1.0) == POLICY.attempts


def test_the_walk_tells_apart_what_the_judgement_tells_apart() -> None:
    """The walk leaves out wall times and tallies; they must not change a status."""
    plain = History(status=EdgeStatus.PASSING)
    rich = plain._replace(since=9.0, passed=77, failed=3, inconclusive=2, row_at=5.0)
    for attempt in [FAIL, PASS, FAIL, PASS, FAIL, FAIL, PASS, FAIL, FAIL, FAIL, FAIL, FAIL]:
        plain, _ = advance(plain, attempt, POLICY, 0.0)
        rich, _ = advance(rich, replace(attempt, at=123.0), POLICY, 0.0)
        assert plain.status is rich.status
