"""Which call to make next to find out why a flow fails, and when to stop. Pure.

A hypothesis says which calls a fault reaches: all, those with a token, logins; and of these all,
or a part: one host, step, address, persona, target or provider, and others like it. A call that it
does not reach must pass. One that it reaches must fail, or fail with the same share everywhere.
What an observation contradicts is out for good; the rest is weighed as for edges (`hypotheses`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import exp, log

from probe.model.cause import Observed
from probe.model.flow_cause import FlowCause, FlowChange
from probe.state.causes.calls import KEPT, NONE, Call, CallTrial
from probe.state.causes.odds import entropy, log_beta
from probe.state.diagnosis.evidence import Mark

BUDGET = 20
"""Most calls of one investigation."""

LOGINS = 6
"""Most logins of one investigation: the flow tries as often in half a minute while they fail."""

SURE = 0.998
"""Posterior from which on a cause is named."""

_LEFT = 0.02
_WORTH = 0.0005
_NEAR = 0.3
_TWICE = 2
_FEW = 3.0
_SOLID = 0.6
_NEGLIGIBLE = 14.0


class Who(StrEnum):
    """Which kind of calls a fault reaches."""

    ALL = "all"
    PLATFORM = "platform"  # all but logins
    TOKEN = "token"  # noqa: S105 - those with credentials
    KEPT = "kept"
    LOGIN = "login"


_PART_OF: Mapping[FlowCause, str] = {
    FlowCause.HOST: "host",
    FlowCause.BACKEND: "host",
    FlowCause.ENDPOINT: "step",
    FlowCause.ONE_ADDRESS: "address",
    FlowCause.ONE_PERSONA: "persona",
    FlowCause.ONE_TARGET: "target",
    FlowCause.ONE_PROVIDER: "provider",
}


@dataclass(frozen=True, slots=True)
class FlowHypothesis:
    """One of the closed list.

    Attributes:
        part: the field of a call by which it is limited; empty for none.
        solid: each call that it reaches fails; else a share of them does.
    """

    cause: FlowCause
    who: Who
    part: str
    solid: bool
    prior: float


@dataclass(slots=True)
class FlowTally:
    """What came out of calls alike."""

    failed: int = 0
    passed: int = 0
    other: int = 0

    def add(self, seen: Observed) -> None:
        """Count one more."""
        self.failed += seen is Observed.SAME
        self.passed += seen is Observed.PASSED
        self.other += seen in (Observed.OTHER, Observed.UNCLEAR)


FlowEvidence = Mapping[Call, FlowTally]


@dataclass(frozen=True, slots=True)
class FlowSetting:
    """A failing call, and the experiments that are possible.

    Attributes:
        call: that fails.
        failing: how.
        trials: the same again first.
    """

    call: Call
    failing: Mark
    trials: tuple[CallTrial, ...]


@dataclass(frozen=True, slots=True)
class FlowSettled:
    """What an investigation ended with.

    Attributes:
        share: of calls that fail; None when all do.
        members: of the part that fails: hosts, addresses …; empty where the cause has none.
        left: causes that could not be ruled out, the likeliest first; only when undetermined.
    """

    cause: FlowCause
    share: float | None = None
    members: tuple[str, ...] = ()
    left: tuple[FlowCause, ...] = ()


def hypotheses(setting: FlowSetting, calls: Iterable[Call]) -> Iterator[FlowHypothesis]:
    """Yield every hypothesis of a failure, given all calls that were or can be made."""
    for cause, who, prior in _causes(setting, set(calls)):
        for solid, share in ((True, _SOLID), (False, 1 - _SOLID)):
            yield FlowHypothesis(cause, who, _PART_OF.get(cause, ""), solid, prior * share)


def _causes(setting: FlowSetting, calls: set[Call]) -> Iterator[tuple[FlowCause, Who, float]]:
    yield from _places(setting, calls)
    if setting.failing is not Mark.WAY:
        yield from _meanings(setting.call, setting.failing, calls)


def _list_of(own: Call, calls: set[Call]) -> bool:
    """Whether the host is the target's own, one of a list: then it is the target that fails."""
    return len({call.target for call in calls}) > 1 and own.target.partition(":")[0] in own.host


def _places(setting: FlowSetting, calls: set[Call]) -> Iterator[tuple[FlowCause, Who, float]]:
    """Yield what may fail whatever a call means."""
    own, way = setting.call, setting.failing is Mark.WAY
    hosts = {call.host for call in calls}
    beside = {call.step for call in calls if call.host == own.host} - {own.step}
    everywhere = FlowCause.NO_HOST if way else FlowCause.FRONT
    if len(hosts) > 1:
        yield everywhere, Who.ALL, 0.1
        if not own.login and not way:
            yield FlowCause.FRONT, Who.PLATFORM, 0.1
    if not _list_of(own, calls) and (way or not own.login or beside):
        yield FlowCause.HOST, Who.ALL, 0.15
    for name, cause in _MANY.items():
        if len({getattr(call, name) for call in calls} - {""}) > 1:
            yield cause, Who.ALL, 0.1
            if own.authorized and not way:
                yield cause, Who.TOKEN, 0.05
            if own.gives and not way:
                yield cause, Who.LOGIN, 0.05


def _meanings(own: Call, failing: Mark, calls: set[Call]) -> Iterator[tuple[FlowCause, Who, float]]:
    """Yield what may fail once calls get through."""
    beside = {call.step for call in calls if call.host == own.host} - {own.step}
    if beside and not own.gives:
        yield FlowCause.ENDPOINT, Who.ALL, 0.06
    if own.authorized and any(c.authorized and c.step in beside for c in calls):
        yield FlowCause.ENDPOINT, Who.TOKEN, 0.06
    if own.gives:
        yield FlowCause.LOGIN, Who.LOGIN, 0.3
    if own.authorized:
        refused = failing is Mark.UNAUTHORIZED
        yield FlowCause.TOKEN if refused else FlowCause.AUTHORIZATION, Who.TOKEN, 0.25
        if not _list_of(own, calls):
            yield FlowCause.BACKEND, Who.TOKEN, 0.15
        if own.token == KEPT:
            yield FlowCause.KEPT_TOKEN, Who.KEPT, 0.08


_MANY = {
    "address": FlowCause.ONE_ADDRESS,
    "persona": FlowCause.ONE_PERSONA,
    "target": FlowCause.ONE_TARGET,
    "provider": FlowCause.ONE_PROVIDER,
}


def _hit(who: Who, call: Call) -> bool:
    match who:
        case Who.ALL:
            return True
        case Who.PLATFORM:
            return not call.login
        case Who.TOKEN:
            return call.authorized
        case Who.KEPT:
            return call.token == KEPT
        case Who.LOGIN:
            return call.gives


def reaches(one: FlowHypothesis, call: Call, own: Call) -> bool | None:
    """Tell whether a hypothesis reaches a call; None where that is open."""
    if not _hit(one.who, call):
        return False
    if one.part == "":
        return True
    if one.cause is FlowCause.ENDPOINT and call.step != own.step and call.host != own.host:
        return False
    if one.part == "persona" and call.token == NONE and not call.login:
        return False  # a call without credentials has no persona
    member = getattr(call, one.part)
    return True if member == getattr(own, one.part) else None


class FlowFit:
    """How a hypothesis fits the evidence.

    Attributes:
        failed: calls that it reaches and that failed; likewise ``passed``.
        members: others of its part that fail.
        likelihood: of everything seen, natural logarithm; None when something contradicts it.
    """

    def __init__(self, one: FlowHypothesis, own: Call, evidence: FlowEvidence) -> None:
        self.hypothesis, self._own = one, own
        self.failed = self.passed = 0
        self.members: dict[str, bool] = {}
        self.likelihood = self._likelihood(evidence)

    @property
    def share(self) -> float:
        """The share of calls that fail, of those that it reaches."""
        tried = self.failed + self.passed
        return 1.0 if self.hypothesis.solid else (self.failed + 1) / (tried + 2)

    def chance(self, call: Call) -> float:
        """Return the probability that a call fails in the same way, if this explains it."""
        reached = reaches(self.hypothesis, call, self._own)
        if reached is not None:
            return self.share if reached else 0.0
        known = self.members.get(getattr(call, self.hypothesis.part))
        if known is not None:
            # One that passed so far may have been lucky.
            return self.share if known else (0.0 if self.hypothesis.solid else 0.05)
        failing = sum(self.members.values())
        return self.share * (1 + failing) / (1 + _FEW + len(self.members))

    def _likelihood(self, evidence: FlowEvidence) -> float | None:
        one, own = self.hypothesis, self._own
        open_: dict[str, FlowTally] = {}
        # Where only logins go says nothing about the hosts behind a router, nor a call that needs
        # no token about those that do.
        aside: set[str] = set()
        if one.part == "host" and not own.login:
            aside = {c.host for c in evidence} - {c.host for c in evidence if not c.login}
        elif one.part == "step" and own.authorized:
            aside = {c.step for c in evidence} - {c.step for c in evidence if c.authorized}
        for call, tally in evidence.items():
            reached = reaches(one, call, own)
            if reached is None:
                there = open_.setdefault(getattr(call, one.part), FlowTally())
                there.failed += tally.failed
                there.passed += tally.passed
            elif reached:
                self.failed += tally.failed
                self.passed += tally.passed
            elif tally.failed:
                return None
        for member, there in open_.items():
            if there.failed or there.passed:
                self.members[member] = there.failed > 0
            if there.failed:
                self.failed += there.failed
                self.passed += there.passed
        failing = sum(self.members.values())
        counted = [fails for name, fails in self.members.items() if name not in aside]
        if one.part and counted and all(counted):
            return None  # a part that turned out to be the whole
        if one.solid and self.passed:
            return None
        total = 0.0 if one.solid else log_beta(self.failed, self.passed)
        return total + log_beta(failing, len(self.members) - failing, _FEW)


@dataclass(slots=True)
class FlowPlanner:
    """Chooses experiments for one failure, and takes in what comes out.

    Attributes:
        setting: the failing call, and what can be asked.
        spent: calls that were asked for; ``logins`` of them are logins.
    """

    setting: FlowSetting
    spent: int = 0
    logins: int = 0
    _regular: dict[Call, FlowTally] = field(default_factory=dict)
    _made: dict[Call, FlowTally] = field(default_factory=dict)
    _useless: dict[CallTrial, int] = field(default_factory=dict)
    _new_token: bool = False

    def observe(self, call: Call, seen: Observed | None) -> None:
        """Take in what a call of an experiment showed."""
        if seen is not None:
            self._made.setdefault(call, FlowTally()).add(seen)

    def useless(self, trial: CallTrial) -> None:
        """Take in that an experiment told nothing."""
        self._useless[trial] = self._useless.get(trial, 0) + 1

    def regular(self, tallies: Mapping[Call, FlowTally]) -> None:
        """Take in what regular runs have shown by now, in place of what was told before."""
        self._regular = dict(tallies)

    @property
    def evidence(self) -> dict[Call, FlowTally]:
        """Everything that was seen."""
        found: dict[Call, FlowTally] = {}
        for some in (self._regular, self._made):
            for call, tally in some.items():
                there = found.setdefault(call, FlowTally())
                there.failed += tally.failed
                there.passed += tally.passed
        return found

    @property
    def random(self) -> bool:
        """Whether calls like the failing one pass now and then."""
        own = self.setting.call
        alike = [
            tally
            for call, tally in self.evidence.items()
            if call._replace(token="", address="") == own._replace(token="", address="")
            and call.authorized == own.authorized
        ]
        return any(one.passed for one in alike) and any(one.failed for one in alike)

    def settled(self) -> FlowSettled | None:
        """Return the cause when one is left; None while there is something to ask."""
        weighed = self._weighed()
        causes = _summed(weighed)
        best = max(causes, key=lambda cause: causes[cause], default=FlowCause.UNDETERMINED)
        if causes and causes[best] >= SURE:
            return self._named(best, weighed)
        return None if self._ranked(weighed) else self.undetermined()

    def named(self) -> bool:
        """Whether one cause is left, whatever could still be asked."""
        return any(share >= SURE for share in _summed(self._weighed()).values())

    def undetermined(self) -> FlowSettled:
        """Give up, and name what could not be ruled out."""
        causes = _summed(self._weighed())
        ranked = sorted(causes, key=lambda cause: -causes[cause])
        left = tuple(cause for cause in ranked if causes[cause] >= _LEFT)
        own = [t for call, t in self.evidence.items() if call.step == self.setting.call.step]
        failed, passed = sum(t.failed for t in own), sum(t.passed for t in own)
        share = failed / (failed + passed) if self.random and failed else None
        return FlowSettled(FlowCause.UNDETERMINED, share, left=left)

    def ask(self, most: int = 4) -> tuple[CallTrial, ...]:
        """Choose the next experiments, each of another kind. They count as spent."""
        ranked = self._ranked(self._weighed())
        chosen: dict[FlowChange, CallTrial] = {}
        for gain, trial in ranked:
            if trial.change not in chosen and gain >= _NEAR * ranked[0][0]:
                chosen[trial.change] = trial
        wanted: list[CallTrial] = []
        for trial in chosen.values():
            cost = 1 + (self._logs_in(trial) and trial.call.authorized)
            if len(wanted) == most or self.spent + cost > BUDGET:
                continue
            self.spent += cost
            self.logins += self._logs_in(trial)
            self._new_token = self._new_token or trial.change is FlowChange.NEW_TOKEN
            wanted.append(trial)
        return tuple(wanted)

    def _logs_in(self, trial: CallTrial) -> bool:
        """Whether it makes a login: the token of an experiment serves those after it."""
        return trial.logs_in and not (trial.call.authorized and self._new_token)

    # ------------------------------------------------------------ inside

    def _weighed(self) -> list[tuple[FlowFit, float]]:
        evidence, own = self.evidence, self.setting.call
        calls = {own, *evidence, *(trial.call for trial in self.setting.trials)}
        found: list[tuple[FlowFit, float]] = []
        for one in hypotheses(self.setting, calls):
            fit = FlowFit(one, own, evidence)
            if fit.likelihood is not None:
                found.append((fit, log(one.prior) + fit.likelihood))
        if not found:
            return []
        best = max(weight for _, weight in found)
        found = [(fit, weight) for fit, weight in found if weight > best - _NEGLIGIBLE]
        total = sum(exp(weight - best) for _, weight in found)
        return [(fit, exp(weight - best) / total) for fit, weight in found]

    def _named(self, cause: FlowCause, weighed: list[tuple[FlowFit, float]]) -> FlowSettled:
        fits = [(weight, fit) for fit, weight in weighed if fit.hypothesis.cause is cause]
        _, best = max(fits, key=lambda pair: pair[0])
        share = None if best.hypothesis.solid else best.failed / max(1, best.failed + best.passed)
        if share == 1.0:
            share = None
        part = best.hypothesis.part
        failing = {name for name, fails in best.members.items() if fails}
        members = {str(getattr(self.setting.call, part)), *failing} if part else set()
        return FlowSettled(cause, share, tuple(sorted(members)))

    def _ranked(self, weighed: list[tuple[FlowFit, float]]) -> list[tuple[float, CallTrial]]:
        """Rank the experiments that tell something, the best first."""
        if self.spent >= BUDGET:
            return []
        before = entropy(_summed(weighed).values())
        ranked = [
            (before - _after(weighed, trial.call), trial)
            for trial in self.setting.trials
            if self._useless.get(trial, 0) < _TWICE
            and not (self._logs_in(trial) and self.logins >= LOGINS)
        ]
        useful = [pair for pair in ranked if pair[0] > _WORTH]
        return sorted(useful, key=lambda pair: -pair[0])


def _summed(weighed: Iterable[tuple[FlowFit, float]]) -> dict[FlowCause, float]:
    found: dict[FlowCause, float] = defaultdict(float)
    for fit, weight in weighed:
        found[fit.hypothesis.cause] += weight
    return dict(found)


def _after(weighed: list[tuple[FlowFit, float]], call: Call) -> float:
    """Return the entropy that is expected to be left when a call was made."""
    failing: dict[FlowCause, float] = defaultdict(float)
    passing: dict[FlowCause, float] = defaultdict(float)
    for fit, weight in weighed:
        chance = fit.chance(call)
        failing[fit.hypothesis.cause] += weight * chance
        passing[fit.hypothesis.cause] += weight * (1 - chance)
    after = 0.0
    for outcome in (failing, passing):
        likely = sum(outcome.values())
        if likely > 0:
            after += likely * entropy(value / likely for value in outcome.values())
    return after
