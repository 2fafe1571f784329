"""The probabilities behind the defaults, computed exactly by walking the real state machine.

The walk keeps a probability for every history that can be told apart, starts at a first
failure, and lets each further attempt fail with probability ``p``. It ends where the edge is
named (failing or flapping) or is beyond suspicion again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Passed
from probe.model.spec import Confirmation
from probe.model.state import EdgeStatus
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
    by_attempt: list[float] | None = None


class Walk:
    """Steps between histories, each computed by ``advance`` once."""

    def __init__(self) -> None:
        self._steps: dict[History, tuple[History, History]] = {}

    @staticmethod
    def _bare(history: History) -> History:
        """What tells histories apart for the judgement."""
        return History(
            status=history.status,
            score=round(history.score, 6),
            passes=min(history.passes, POLICY.attempts + 1),
            failures=history.failures,
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
        odds = Odds(by_attempt=[0.0])
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
                    elif after.status is EdgeStatus.PASSING and not after.score:
                        odds.forgiven += weight
                    elif weight > 1e-24:
                        following[after] = following.get(after, 0.0) + weight
            alive = following
            assert odds.by_attempt is not None
            odds.by_attempt.append(odds.failing + odds.flapping)
        return odds


@pytest.fixture(scope="module")
def walk() -> Walk:
    return Walk()


@pytest.mark.parametrize(
    ("p", "failing", "flapping"),
    [(0.001, 1e-10, 1e-9), (0.003, 2e-9, 1.6e-7), (0.01, 1e-6, 1.5e-3)],
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
    odds = walk.odds(0.003)
    assert odds.attempts == pytest.approx(POLICY.forgive_after, rel=0.15)


@pytest.mark.parametrize(
    ("p", "attempts", "share"),
    [(0.1, 60, 0.4), (0.1, 120, 0.75), (0.2, 60, 0.95), (0.4, 30, 0.99), (0.4, 12, 0.5)],
)
def test_intermittent_failures_are_named_soon(
    walk: Walk, p: float, attempts: int, share: float
) -> None:
    """Under suspicion there is one attempt a second."""
    named = walk.odds(p).by_attempt
    assert named is not None
    assert named[min(attempts, len(named) - 1)] > share


def test_an_edge_that_fails_always_is_named_by_its_confirmation_alone(walk: Walk) -> None:
    odds = walk.odds(1.0)
    assert odds.failing == 1.0
    assert odds.by_attempt is not None
    assert odds.by_attempt.index(1.0) == POLICY.attempts


def test_the_walk_tells_apart_what_the_judgement_tells_apart() -> None:
    """The walk leaves out wall times and tallies; they must not change a status."""
    plain = History(status=EdgeStatus.PASSING)
    rich = plain._replace(since=9.0, passed=77, failed=3, inconclusive=2, row_at=5.0)
    for attempt in [FAIL, PASS, FAIL, PASS, FAIL, FAIL, PASS, FAIL, FAIL, FAIL, FAIL, FAIL]:
        plain, _ = advance(plain, attempt, POLICY, 0.0)
        rich, _ = advance(rich, replace(attempt, at=123.0), POLICY, 0.0)
        assert plain.status is rich.status
