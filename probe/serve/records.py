"""What is known now of each edge, name resolution, flow and step: the store's working memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from probe.model.failure import Failure, Phase, Reason
from probe.model.records import NameFindings
from probe.model.result import (
    Failed,
    FlowResult,
    Inconclusive,
    Outcome,
    ResolveResult,
    StepResult,
    TlsResult,
)
from probe.model.state import Diagnosis, EdgeStatus, LeafChange
from probe.model.target import EdgeKey, FlowKey, ProviderKey, Resolution
from probe.serve.trace import Trace

KeyT = TypeVar("KeyT", EdgeKey, FlowKey)
ResultT = TypeVar("ResultT", TlsResult, FlowResult)

TROUBLED = frozenset({EdgeStatus.SUSPECT, EdgeStatus.FAILING, EdgeStatus.FLAPPING})
"""States that a person wants to see."""

Why = tuple[Phase, Reason]

ResultKey = EdgeKey | FlowKey | ProviderKey
"""What can fail: an edge, a flow, or the resolution of a target's name through a provider."""


class CheckKey(NamedTuple):
    """One check."""

    check: str


class TargetKey(NamedTuple):
    """One target of one check, over all its providers."""

    check: str
    target: str


class StepKey(NamedTuple):
    """One step of one flow."""

    check: str
    target: str
    provider: str
    persona: str
    step: str
    layer: str


class InstanceKey(NamedTuple):
    """A server-side part that answered: an address, or the value of a response header."""

    check: str
    step: str
    header: str
    instance: str


class CertificatesKey(NamedTuple):
    """Leaves of one key type, compared over the edges of one provider, or of all (empty)."""

    check: str
    target: str
    provider: str
    key_type: str


@dataclass(frozen=True, slots=True)
class CertificateSplit:
    """How the leaves of one key type compare over the edges of one target.

    Attributes:
        key: the provider is empty when all providers are compared with each other.
        distinct: different leaves seen.
        minority: edges, as each client sees them, whose leaf differs from the commonest one.
        since: wall time since when they differ; None while they agree.
        alarming: they have differed for longer than a rolling renewal may take.
    """

    key: CertificatesKey
    distinct: int
    minority: tuple[EdgeKey, ...] = ()
    since: float | None = None
    alarming: bool = False


class LeafRecord(NamedTuple):
    """What is known of the certificate that a provider serves, of one key type.

    Attributes:
        changes: how many there were.
        last: the latest of them.
    """

    changes: int
    last: LeafChange | None


def counted(counts: dict[Why, int] | None, failure: Failure) -> dict[Why, int]:
    """The counts with one more of this failure's phase and reason."""
    counts = {} if counts is None else counts
    why = (failure.phase, failure.reason)
    counts[why] = counts.get(why, 0) + 1
    return counts


@dataclass(slots=True)
class OutcomeCounts:
    """Attempts that survive every reload: they only ever grow."""

    attempts: int = 0
    failed: int = 0
    failures: dict[Why, int] | None = None
    inconclusive: dict[Why, int] | None = None

    def add(self, outcome: Outcome) -> None:
        """Count one result."""
        self.attempts += 1
        if isinstance(outcome, Failed):
            self.failed += 1
            self.failures = counted(self.failures, outcome.failure)
        elif isinstance(outcome, Inconclusive):
            self.inconclusive = counted(self.inconclusive, outcome.failure)


class Belief(NamedTuple):
    """What is believed after a result.

    Attributes:
        since: wall time at which the status began.
        unseen: wall time since when nobody has judged it, once that is too long.
    """

    status: EdgeStatus
    since: float
    unseen: float | None = None


@dataclass(slots=True)
class ProbedRecord(Generic[KeyT, ResultT]):
    """Something that is probed: an edge or a flow.

    Attributes:
        last: the latest result, whatever its outcome.
        evidence: the latest failed result, while the state is not passing.
        unseen: as of ``Belief``; what failed before keeps its status.
    """

    key: KeyT
    last: ResultT
    status: EdgeStatus = EdgeStatus.UNKNOWN
    since: float = 0.0
    tally: OutcomeCounts = field(default_factory=OutcomeCounts)
    evidence: ResultT | None = None
    unseen: float | None = None

    def take(self, result: ResultT, belief: Belief) -> None:
        """Note a result, and what is believed after it."""
        self.last = result
        self.status, self.since, self.unseen = belief
        self.tally.add(result.outcome)
        if isinstance(result.outcome, Failed):
            self.evidence = result
        elif belief.status not in TROUBLED:
            self.evidence = None


@dataclass(slots=True)
class EdgeRecord(ProbedRecord[EdgeKey, TlsResult]):
    """One edge under one client profile.

    Attributes:
        trace: the last hour, minute by minute.
        minority: fewer edges present this leaf than another one.
        unnamed: wall time since when DNS no longer names it; None while it does.
    """

    minority: bool = False
    unnamed: float | None = None
    trace: Trace = field(default_factory=Trace)

    def take(self, result: TlsResult, belief: Belief) -> None:
        """Note a result, and what is believed after it."""
        ProbedRecord.take(self, result, belief)
        self.trace.add(result.at, result.outcome, result.timings.total)


@dataclass(slots=True)
class StepRecord:
    """One step: counters over all runs, and what the latest run saw of it."""

    key: StepKey
    tally: OutcomeCounts = field(default_factory=OutcomeCounts)
    latest: tuple[StepResult, ...] = ()


@dataclass(slots=True)
class FlowRecord(ProbedRecord[FlowKey, FlowResult]):
    """One flow of one persona.

    Attributes:
        slow_logins: logins that were slower than they may be, by name, until they are made again.
        early_refusals: steps so far that a kept token was refused for before its end.
    """

    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    steps: dict[StepKey, StepRecord] = field(default_factory=dict)
    slow_logins: dict[str, StepResult] = field(default_factory=dict)
    early_refusals: int = 0


@dataclass(slots=True)
class ResolveRecord:
    """Name resolution of one target through one provider.

    Attributes:
        failed: why the latest question that could be judged failed; None when it did not.
        status: failing when no address is known, by the name's own fault.
        unseen: as of an edge.
        named: what DNS says about the name besides addresses; None where that is not asked for.
    """

    key: ProviderKey
    at: float
    resolution: Resolution
    named: NameFindings | None = None
    attempts: int = 0
    failures: Counter[Reason] | None = None
    failed: Failure | None = None
    failing_since: float | None = None
    status: EdgeStatus = EdgeStatus.UNKNOWN
    unseen: float | None = None

    @property
    def lost(self) -> bool:
        """No address is known, by the name's own fault."""
        return self.failed is not None and not self.resolution.edges

    def take(self, result: ResolveResult) -> None:
        """Note the latest answer; fixed addresses ask nobody, so they count no attempt."""
        self.at, self.resolution = result.at, result.resolution
        failure = result.resolution.failure
        if failure is not None or result.resolution.seconds is not None:
            self.attempts += 1
        if failure is None or not failure.ours:
            self.failed = failure
        if failure is None:
            self.failing_since = None
            return
        if self.failing_since is None:
            self.failing_since = result.at
        if self.failures is None:
            self.failures = Counter()
        self.failures[failure.reason] += 1


@dataclass(slots=True)
class TargetRecord:
    """Everything of one target in one check.

    Attributes:
        missing: what is to be judged and was not yet (false), or not for too long (true).
        complete: once nothing was missing; an address that DNS names later is missing only when
            nobody looks at it in time. A new provider, client or persona is missing at once.
    """

    key: TargetKey
    edges: dict[EdgeKey, EdgeRecord] = field(default_factory=dict)
    resolutions: dict[ProviderKey, ResolveRecord] = field(default_factory=dict)
    flows: dict[FlowKey, FlowRecord] = field(default_factory=dict)
    splits: dict[CertificatesKey, CertificateSplit] = field(default_factory=dict)
    leaves: dict[CertificatesKey, LeafRecord] = field(default_factory=dict)
    missing: dict[ResultKey, bool] = field(default_factory=dict)
    complete: bool = False

    @property
    def empty(self) -> bool:
        """Nothing is probed for it any more."""
        return not (self.edges or self.resolutions or self.flows or self.missing)

    @property
    def awaiting(self) -> bool:
        """Whether something that the target's health depends on was not seen (in time).

        A name that DNS no longer answers for stands for itself while edges of it are known.
        """
        return any(
            late or not self.complete
            for key, late in self.missing.items()
            if not isinstance(key, ProviderKey) or key not in self.resolutions
        )

    def expect(self, key: ResultKey) -> None:
        """Something new is to be judged."""
        self.complete = self.complete and any(
            isinstance(key, EdgeKey)
            and isinstance(one, EdgeKey)
            and (one.provider, one.client) == (key.provider, key.client)
            for one in chain(self.edges, self.missing)
        )
        self.missing[key] = False

    def met(self, key: ResultKey) -> None:
        """Something is not missing any more: it was judged, or it went.

        An answer of DNS completes nothing: the edges that it names are looked at afterwards.
        """
        self.missing.pop(key, None)
        if not self.missing and not isinstance(key, ProviderKey):
            self.complete = True
