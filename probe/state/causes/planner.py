"""Which experiment to make next, and when to stop.

Each round asks for the experiments that tell most: those after which the causes that are left are
expected to be fewest, measured as entropy over the closed list. One experiment of each kind
(domain, edge, provider, client) may be made at once: none of them waits for what another shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import cycle, islice

from probe.model.cause import Cause, Change, Observed
from probe.state.causes.fits import Fit, Weigher
from probe.state.causes.hypotheses import dimension
from probe.state.causes.odds import entropy
from probe.state.causes.setting import Outcomes, Setting, Trial

BUDGET = 20
"""Most experiments of one investigation."""

SURE = 0.995
"""Posterior from which on a cause is named."""

ENOUGH = 0.98
"""Likewise when there is nothing left to ask, or no time."""

_LEFT = 0.02  # posterior from which on a cause is told as one that could not be ruled out
_WORTH = 0.005  # bits that an experiment must be expected to tell
_WORTH_OF_SOME = 0.0001  # likewise, where only many of them tell something
_NEAR = 0.3  # of what the best one tells, for another kind to be made at the same time
_ROW = 3  # failures that count of those in a row that made an edge known as failing
_SLIGHT = 1e-5  # posterior below which a hypothesis does not matter for what to ask
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
        self._own = Trial(Change.NOTHING, "", setting.edge)
        self._weigher = Weigher(setting)
        self._told: dict[Trial, Outcomes] = {}
        self._ranked: list[tuple[float, Trial]] | None = None
        self._regular: dict[Trial, Outcomes] = {}
        self._earlier: dict[Trial, Outcomes] = {}
        self._made: dict[Trial, Outcomes] = {}
        self._weighed: list[tuple[Fit, float]] | None = None

    def observe(self, trial: Trial, observed: Observed) -> None:
        """Take in what an experiment showed."""
        self._made.setdefault(trial, Outcomes()).count(observed)
        self._weighed = None

    def recall(self, trial: Trial, observed: Observed) -> None:
        """Take in what an experiment of an earlier investigation showed. It was paid for then."""
        if trial in self._trials:
            self._earlier.setdefault(trial, Outcomes()).count(observed)
            self._weighed = None

    def regular(self, tallies: Mapping[Trial, Outcomes]) -> None:
        """Take in what regular attempts have shown by now, in place of what was told before."""
        self._regular = dict(tallies)
        self._weighed = None

    @property
    def random(self) -> bool:
        """Whether the failing attempt itself passes now and then."""
        self._weights()
        own = self._told[self._own]
        return own.passed > 0 and own.failed > 0

    def settled(self) -> Settled | None:
        """Return the cause when one is left; None while there is something to ask."""
        best, sure = self._likeliest()
        if sure >= SURE or (sure >= ENOUGH and not self._useful()):
            return Settled(best, self._share(best))
        return None if self._useful() else self.undetermined()

    def last_word(self) -> Settled:
        """Return the cause if it is likely enough when time is up, else that none was told."""
        best, sure = self._likeliest()
        return Settled(best, self._share(best)) if sure >= ENOUGH else self.undetermined()

    def _likeliest(self) -> tuple[Cause, float]:
        """Return the likeliest cause by hypotheses that no observation contradicts."""
        sound: dict[Cause, float] = defaultdict(float)
        for fit, weight in self._weights():
            sound[fit.cause] += 0.0 if fit.against else weight
        best = max(sound, key=lambda cause: sound[cause], default=Cause.UNDETERMINED)
        return best, sound[best]

    def undetermined(self) -> Settled:
        """Give up, and name what could not be ruled out."""
        causes = self.causes()
        ranked = sorted(causes, key=lambda cause: -causes[cause])
        left = tuple(cause for cause in ranked if causes[cause] >= _LEFT)
        own = self._told[self._own]
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
        wanted = list(chosen.values())
        if self.random:  # one answer tells little: ask for several at once
            near = [trial for gain, trial in useful if gain >= _NEAR * useful[0][0]]
            wanted += islice(cycle(near), max(0, most - len(wanted)))
        wanted = wanted[: min(most, self._budget - self.spent)]
        self.spent += len(wanted)
        return tuple(wanted)

    # ------------------------------------------------------------ inside

    def _weights(self) -> list[tuple[Fit, float]]:
        if self._weighed is None:
            self._told, self._ranked = self._seen(), None
            self._weighed = self._weigher.posterior(self._told)
        return self._weighed

    def _seen(self) -> dict[Trial, Outcomes]:
        none = Outcomes()
        made = {
            one: self._earlier.get(one, none) + self._made.get(one, none) for one in self._trials
        }
        seen = {one: self._regular.get(one, none) + tally for one, tally in made.items()}
        own = self._regular.get(self._own, none)
        if not own.passed:
            seen[self._own] = replace(own, failed=min(own.failed, _ROW)) + made[self._own]
        return seen

    def _share(self, cause: Cause) -> float | None:
        """Return the share of attempts that fail, by the likeliest hypothesis of the cause."""
        fits = [(weight, fit) for fit, weight in self._weights() if fit.cause is cause]
        solid = sum(weight for weight, fit in fits if fit.hypothesis.solid)
        if 2 * solid >= sum(weight for weight, _ in fits):
            return None
        _, best = max(fits, key=lambda pair: pair[0])
        return best.failed / max(1, best.failed + best.passed)

    def _useful(self) -> list[tuple[float, Trial]]:
        """Rank the experiments that tell something, the best first."""
        if self.spent >= self._budget:
            return []
        weighed = self._weights()
        if self._ranked is None:
            self._ranked = self._rank(weighed)
        return self._ranked

    def _rank(self, weighed: list[tuple[Fit, float]]) -> list[tuple[float, Trial]]:
        before = entropy(self.causes().values())
        weighed = [(fit, weight) for fit, weight in weighed if weight > _SLIGHT]
        ranked = [
            (self._gain(weighed, trial, before), trial)
            for trial in self._trials
            if not self._in_vain(trial)
        ]
        worth = _WORTH_OF_SOME if self.random else _WORTH
        ranked = [pair for pair in ranked if pair[0] > worth]
        return sorted(ranked, key=lambda pair: -pair[0])

    def _in_vain(self, trial: Trial) -> bool:
        tally = self._made.get(trial)
        return tally is not None and tally.other + tally.unclear >= _TWICE

    def _gain(self, weighed: list[tuple[Fit, float]], trial: Trial, before: float) -> float:
        failing: dict[Cause, float] = defaultdict(float)
        passing: dict[Cause, float] = defaultdict(float)
        known = self._told[trial]
        for fit, weight in weighed:
            chance = fit.chance(trial, known)
            failing[fit.cause] += weight * chance
            passing[fit.cause] += weight * (1 - chance)
        after = 0.0
        for outcome in (failing, passing):
            likely = sum(outcome.values())
            if likely > 0:
                after += likely * entropy(value / likely for value in outcome.values())
        return before - after
