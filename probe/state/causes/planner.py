"""Which experiment to make next, and when to stop.

Each round asks for the experiments that tell most: those after which the causes that are left are
expected to be fewest, measured as entropy over the closed list. One experiment of each kind
(domain, edge, provider, client) may be made at once: none of them waits for what another shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log2

from probe.model.cause import Cause, Change, Observed
from probe.state.causes.hypotheses import Fit, Outcomes, dimension, posterior
from probe.state.causes.setting import Setting, Trial

BUDGET = 20
"""Most experiments of one investigation."""

SURE = 0.99
"""Posterior from which on a cause is named."""

_LEFT = 0.02  # posterior from which on a cause is told as one that could not be ruled out
_WORTH = 0.005  # bits that an experiment must be expected to tell
_NEAR = 0.3  # of what the best one tells, for another kind to be made at the same time
_TWICE = 2  # experiments of the same kind in vain: in another way, or inconclusive


@dataclass(frozen=True, slots=True)
class Settled:
    """What an planner ended with.

    Attributes:
        share: of attempts that fail; None when all do.
        left: causes that could not be ruled out, the likeliest first; only when undetermined.
    """

    cause: Cause
    share: float | None = None
    left: tuple[Cause, ...] = ()


class Planner:
    """Chooses experiments for one failure, and takes in what comes out.

    Args:
        setting: the failure and its neighbours.
        budget: most experiments that it asks for.
    """

    def __init__(self, setting: Setting, budget: int = BUDGET) -> None:
        self.setting = setting
        self.spent = 0
        self._budget = budget
        self._trials = tuple(setting.trials())
        self._regular: dict[Trial, Outcomes] = {}
        self._made: dict[Trial, Outcomes] = {}
        self._weighed: list[tuple[Fit, float]] | None = None

    def observe(self, trial: Trial, observed: Observed) -> None:
        """Take in what an experiment showed."""
        tally = self._made.setdefault(trial, Outcomes())
        match observed:
            case Observed.PASSED:
                tally.passed += 1
            case Observed.SAME:
                tally.failed += 1
            case Observed.OTHER:
                tally.other += 1
            case Observed.UNCLEAR:
                tally.unclear += 1
        self._weighed = None

    def regular(self, tallies: Mapping[Trial, Outcomes]) -> None:
        """Take in what regular attempts have shown by now, in place of what was told before."""
        self._regular = dict(tallies)
        self._weighed = None

    @property
    def random(self) -> bool:
        """Whether the failing attempt itself passes now and then."""
        own = self._seen().get(Trial(Change.NOTHING, "", self.setting.edge), Outcomes())
        return own.passed > 0 and own.failed > 0

    def settled(self) -> Settled | None:
        """Return the cause when one is left; None while there is something to ask."""
        causes = self.causes()
        best = max(causes, key=lambda cause: causes[cause], default=Cause.UNDETERMINED)
        if causes and causes[best] >= SURE:
            return Settled(best, self._share(best))
        return None if self._useful() else self.undetermined()

    def undetermined(self) -> Settled:
        """Give up, and name what could not be ruled out."""
        causes = self.causes()
        ranked = sorted(causes, key=lambda cause: -causes[cause])
        left = tuple(cause for cause in ranked if causes[cause] >= _LEFT)
        own = self._seen().get(Trial(Change.NOTHING, "", self.setting.edge), Outcomes())
        share = own.failed / (own.failed + own.passed) if own.passed and own.failed else None
        return Settled(Cause.UNDETERMINED, share, left)

    def causes(self) -> dict[Cause, float]:
        """Return the probability of each cause that nothing contradicts."""
        found: dict[Cause, float] = defaultdict(float)
        for fit, weight in self._weights():
            found[fit.cause] += weight
        return dict(found)

    def ask(self, most: int = 4) -> tuple[Trial, ...]:
        """Choose the next experiments, each of another kind. They count as spent."""
        useful = self._useful()
        if not useful:
            return ()
        chosen: dict[str, Trial] = {}
        for gain, trial in useful:
            kind = dimension(trial.change)
            if kind not in chosen and gain >= _NEAR * useful[0][0]:
                chosen[kind] = trial
        wanted = tuple(chosen.values())[: min(most, self._budget - self.spent)]
        self.spent += len(wanted)
        return wanted

    # ------------------------------------------------------------ inside

    def _weights(self) -> list[tuple[Fit, float]]:
        if self._weighed is None:
            self._weighed = posterior(self.setting, self._seen())
        return self._weighed

    def _seen(self) -> dict[Trial, Outcomes]:
        both = self._regular.keys() | self._made.keys()
        none = Outcomes()
        return {
            one: self._regular.get(one, none) + self._made.get(one, none)
            for one in self._trials
            if one in both
        }

    def _share(self, cause: Cause) -> float | None:
        """Return the share of attempts that fail, by the likeliest hypothesis of the cause."""
        fits = [(weight, fit) for fit, weight in self._weights() if fit.cause is cause]
        solid = sum(weight for weight, fit in fits if fit.hypothesis.solid)
        if 2 * solid >= sum(weight for weight, _ in fits):
            return None
        _, best = max(fits, key=lambda pair: pair[0])
        return best.failed / max(1, best.tried)

    def _useful(self) -> list[tuple[float, Trial]]:
        """Rank the experiments that tell something, the best first."""
        if self.spent >= self._budget:
            return []
        weighed = self._weights()
        before = _entropy(self.causes().values())
        ranked = [
            (self._gain(weighed, trial, before), trial)
            for trial in self._trials
            if not self._in_vain(trial)
        ]
        ranked = [pair for pair in ranked if pair[0] > _WORTH]
        return sorted(ranked, key=lambda pair: -pair[0])

    def _in_vain(self, trial: Trial) -> bool:
        tally = self._made.get(trial)
        return tally is not None and tally.other + tally.unclear >= _TWICE

    def _gain(self, weighed: list[tuple[Fit, float]], trial: Trial, before: float) -> float:
        failing: dict[Cause, float] = defaultdict(float)
        passing: dict[Cause, float] = defaultdict(float)
        for fit, weight in weighed:
            chance = fit.chance(trial)
            failing[fit.cause] += weight * chance
            passing[fit.cause] += weight * (1 - chance)
        after = 0.0
        for outcome in (failing, passing):
            likely = sum(outcome.values())
            if likely > 0:
                after += likely * _entropy(value / likely for value in outcome.values())
        return before - after


def _entropy(shares: Iterable[float]) -> float:
    return -sum(share * log2(share) for share in shares if share > 0)
