"""How well each hypothesis of the closed list fits what was seen.

An attempt that a hypothesis does not reach must pass. One that it reaches must fail, or fail with
one share that is the same everywhere. A pass where every attempt must fail rules a hypothesis out
for good. A failure where none may be, which loss and load can cause as well, makes it unlikely:
two of them rule it out, and one is enough that it is never named.

Which members belong to a part is not known beforehand. Of ``m`` neighbours that were looked at,
``f`` of which fail, the likelihood is that of a share drawn from Beta(1, 3): parts are small more
often than large. A share of failing attempts is drawn from Beta(1, 1) in the same way.

The failures in a row that made an edge known as failing say little of a share: it is looked at
because it had them. So no more than three of them count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import exp, log

from probe.model.cause import Cause, Change
from probe.state.causes.hypotheses import (
    Domains,
    Edges,
    Hypothesis,
    cause_of,
    claimed,
    group,
    hypotheses,
    reach,
)
from probe.state.causes.odds import log_beta
from probe.state.causes.setting import Outcomes, Setting, Trial

_Told = Mapping[Trial, Outcomes]

_NEGLIGIBLE = 12.0  # natural logarithm below the best: one in 160,000
_FEW = 3.0  # the second parameter of the Beta distribution of parts
_STRAY = 0.0001  # probability that an attempt fails that no fault reaches
_STRAYS = {True: 0.03, False: 0.003}  # where loss or load fails so as well: if all fail, or some
_OTHERWISE = {True: 0.25, False: 0.02}  # that it fails in another way: if all fail, or some
_NONE = Outcomes()
_Open = dict[Change, list[bool]]


@dataclass(frozen=True, slots=True)
class Claim:
    """Where a fault is said to be, and what that says about each experiment of a setting.

    Attributes:
        solid: what it is if every attempt fails that it reaches; ``some`` if a share does.
        priors: how likely each is before anything was seen, natural logarithm.
        cause: what it is called.
        reach: 1 for an experiment that it reaches, 0 for one that it does not, None if open.
        works: experiments that it claims to work.
    """

    solid: Hypothesis
    some: Hypothesis
    priors: tuple[float, float]
    cause: Cause
    reach: Mapping[Trial, float | None]
    works: frozenset[Trial]


def claims(setting: Setting) -> tuple[Claim, ...]:
    """List everything that a failure may depend on."""
    trials = tuple(setting.trials())
    every = iter(hypotheses(setting))
    return tuple(
        Claim(
            solid,
            some,
            (log(prior), log(prior_of_some)),
            cause_of(solid, setting),
            {trial: reach(solid, setting, trial) for trial in trials},
            frozenset(trial for trial in trials if claimed(solid, trial)),
        )
        for (solid, prior), (some, prior_of_some) in zip(every, every, strict=True)
    )


@dataclass(slots=True)
class Fit:
    """A hypothesis that nothing rules out.

    Attributes:
        hypothesis: what it says; ``cause`` is what that is called.
        failed: attempts that it reaches and that failed; likewise ``passed``.
        against: attempts that failed though it does not reach them.
        weight: natural logarithm of how likely it is, relative to others.
    """

    hypothesis: Hypothesis
    claim: Claim
    failed: int
    passed: int
    against: int
    weight: float
    stray: float
    members: Mapping[Change, tuple[int, int]]

    @property
    def cause(self) -> Cause:
        """What it is called."""
        return self.claim.cause

    def chance(self, trial: Trial, known: Outcomes) -> float:
        """Return the probability that an experiment fails in the same way, if this explains it."""
        reached, solid = self.claim.reach[trial], self.hypothesis.solid
        if reached == 0.0:
            return self.stray
        if reached is None:
            if known.failed:
                reached = 1.0
            elif known.passed:
                reached = 0.0 if solid else 0.05
            else:
                failing, working = self.members.get(group(trial.change), (0, 0))
                reached = (1 + failing) / (1 + _FEW + failing + working)
        return reached if solid else reached * (self.failed + 1) / (self.failed + self.passed + 2)


class Weigher:
    """Weighs the hypotheses of a setting against what was seen.

    Args:
        setting: the failure and its neighbours.
    """

    def __init__(self, setting: Setting) -> None:
        self._question = setting
        self._claims = claims(setting)
        self._strays = _STRAYS if setting.by_chance else {True: _STRAY, False: _STRAY}

    def posterior(self, evidence: _Told) -> list[tuple[Fit, float]]:
        """Weigh every hypothesis that nothing rules out; the weights add up to 1.

        Empty when everything is ruled out: two faults, or one that changes.
        """
        told = [
            (trial, group(trial.change), tally)
            for trial, tally in evidence.items()
            if tally.failed or tally.passed or tally.other
        ]
        family = self._one_family(evidence)
        fits = [fit for claim in self._claims for fit in self._fits(claim, told, family=family)]
        if not fits:
            return []
        best = max(fit.weight for fit in fits)
        fits = [fit for fit in fits if fit.weight > best - _NEGLIGIBLE]
        weights = [exp(fit.weight - best) for fit in fits]
        total = sum(weights)
        return [(fit, weight / total) for fit, weight in zip(fits, weights, strict=True)]

    def _fits(
        self, claim: Claim, told: list[tuple[Trial, Change, Outcomes]], *, family: bool
    ) -> Iterator[Fit]:
        failed = passed = strays = otherwise = 0
        open_: _Open = {}
        for trial, kind, tally in told:
            reached = claim.reach[trial]
            if reached == 0.0:
                strays += tally.failed
                if tally.other and trial in claim.works:
                    otherwise += tally.other
                continue
            if reached is None:
                if tally.failed or tally.passed:
                    open_.setdefault(kind, []).append(tally.failed > 0)
                if not tally.failed:
                    continue
            failed, passed = failed + tally.failed, passed + tally.passed
        if self._impossible(claim.solid, open_, family=family):
            return
        members = {kind: (sum(some), len(some) - sum(some)) for kind, some in open_.items()}
        weight = sum(log_beta(*known, few=_FEW) for known in members.values())
        for one, prior in zip((claim.solid, claim.some), claim.priors, strict=True):
            if one.solid and passed:
                continue
            stray, total = self._strays[one.solid], weight + prior
            total += strays * log(stray) + otherwise * log(_OTHERWISE[one.solid])
            if not one.solid:
                total += log_beta(failed, passed)
            yield Fit(one, claim, failed, passed, strays + otherwise, total, stray, members)

    def _impossible(self, one: Hypothesis, open_: _Open, *, family: bool) -> bool:
        """Whether a part turned out to be the whole, or exactly the edges of one IP version."""
        asked = self._question
        domains = open_.get(Change.DOMAIN, [])
        if one.domains is Domains.PART and domains and sum(domains) == len(asked.domains):
            return True
        others = sum(open_.get(Change.EDGE, []))
        if one.edges is Edges.PART and (others == len(asked.edges) or family):
            return True
        if one.edges is Edges.FAMILY and not _families(asked):
            return True
        elsewhere = open_.get(Change.PROVIDER, [])
        every = sum(elsewhere) == len(asked.providers)
        if one.edges is Edges.PROVIDER and every:
            return bool(elsewhere) or one.domains is Domains.PART
        return False

    def _one_family(self, seen: _Told) -> bool:
        """Whether exactly the edges of the failing one's IP version fail."""
        asked = self._question
        if not _families(asked):
            return False
        for edge, version in asked.edges:
            same = version == asked.version
            tally = seen.get(Trial(Change.EDGE if same else Change.FAMILY, edge, edge), _NONE)
            if not (tally.failed if same else tally.passed and not tally.failed):
                return False
        return True


def _families(asked: Setting) -> bool:
    """Whether a fault of one IP version could be told from one of a single edge."""
    same = sum(version == asked.version for _, version in asked.edges)
    return 0 < same < len(asked.edges)
