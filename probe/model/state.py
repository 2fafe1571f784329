"""States that the pure logic arrives at, changes between them, and the rules that decide them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from probe.model.failure import Failure, failure_fields
from probe.model.target import EdgeKey, FlowKey, ProviderKey


class EdgeStatus(StrEnum):
    """What is believed of an edge after confirmation."""

    UNKNOWN = "unknown"  # not probed yet, or only inconclusively
    UNSEEN = "unseen"  # not judged for three intervals: whatever it was before, nobody knows now
    PASSING = "passing"
    SUSPECT = "suspect"  # failed, not confirmed yet
    FAILING = "failing"  # confirmed
    FLAPPING = "flapping"  # some attempts pass, some fail


CONFIRMED = frozenset({EdgeStatus.FAILING, EdgeStatus.FLAPPING})
"""The states that count as failing: suspicion alone accuses nobody."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How a first failure is confirmed, and recovery likewise.

    An edge fails when ``attempts`` further attempts fail too. It flaps when its score
    reaches ``flapping_score``: each failure adds 1, each pass takes ``1 / forgive_after``
    off. The probabilities behind the defaults stand in ``state.odds``.

    Attributes:
        attempts: quick further attempts on the same edge after a change; 0 confirms nothing.
        spacing: seconds between their starts.
        sample_interval: while an edge is under suspicion it is sampled this often.
        sample_for: seconds that faster sampling lasts after the last failure.
        sample_budget: most extra attempts a second for the whole check, all kinds together.
        flapping_score: failures, net of forgiven ones, from which an edge is flapping.
        forgive_after: passes that outweigh one failure.
        clear_after: passes in a row that end flapping whatever the odds.
    """

    attempts: int = 4
    spacing: float = 1.0
    sample_interval: float = 0.5
    sample_for: float = 120.0
    sample_budget: float = 100.0
    flapping_score: float = 7.75
    forgive_after: int = 40
    clear_after: int = 400


FLOW_CONFIRMATION = Confirmation(
    attempts=2,
    spacing=2.0,
    sample_interval=5.0,
    sample_for=60.0,
    flapping_score=3.0,
    forgive_after=10,
    clear_after=6,
)
"""How every flow is confirmed. A run costs several calls, so it is confirmed with fewer and slower
ones than a handshake. They may run beside each other, so that a layer is confirmed
``attempts * spacing`` and one run after the first failed run, however long a run takes. Three runs
that fail out of some ten are a partial outage: no healthy platform does that."""


@dataclass(frozen=True, slots=True)
class ConsensusRule:
    """When differing certificates across edges are worth an alarm.

    Attributes:
        grace: seconds that a rolling renewal may take.
        across_providers: compare all providers of the check with each other.
        across_regions: let Prometheus compare what the regions see.
    """

    grace: float = 6 * 3600.0
    across_providers: bool = False
    across_regions: bool = True


class ServedLeaf(NamedTuple):
    """What is remembered of a certificate that a provider serves.

    Attributes:
        fingerprint: SHA-256, hex.
        issuer: RFC 4514 string.
        not_before: seconds since the epoch, as ``not_after``.
    """

    fingerprint: str
    issuer: str
    key_type: str
    not_before: float
    not_after: float


@dataclass(frozen=True, slots=True)
class LeafChange:
    """A provider began to serve another certificate for a target.

    Attributes:
        at: wall time at which the first edge was seen to serve it.
        returned: it had been served before, and by no edge for a while.
    """

    at: float
    before: ServedLeaf
    after: ServedLeaf
    returned: bool = False

    @property
    def kind(self) -> str:
        """Say in a word or two what is different, the oddest first."""
        if self.after.key_type != self.before.key_type:
            return "other key type"
        if self.after.issuer != self.before.issuer:
            return "other issuer"
        return "older one again" if self.returned else "renewed"


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state, worth a log line.

    Attributes:
        before: state left; the values of ``EdgeStatus``, or a flow's layer to blame.
        since: wall time of the first attempt that belongs to the new state.
        at: wall time of the change.
    """

    key: EdgeKey | FlowKey | ProviderKey
    before: str
    after: str
    since: float
    at: float
    failure: Failure | None = None
    command: str = ""
    note: str = ""

    def fields(self) -> dict[str, Any]:
        """Write the change as texts and times, for a log line or a page."""
        return {
            **self.key._asdict(),
            "before": self.before,
            "after": self.after,
            "since": self.since,
            "at": self.at,
            **failure_fields(self.failure),
            "command": self.command,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a flow's pattern of passed and failed steps says.

    Attributes:
        layer: the layer to blame; empty when healthy; ``inconclusive`` when the fault is ours.
        why: the rule that fired, in a sentence.
        steps: names of the steps that failed.
        fails_open: a call that must be refused succeeded, and was not seen to be refused since.
        refused: calls that must be refused were answered by the latest run, and none succeeded.
        backend: the host or service to blame, when one alone is; evidence, never a label.
    """

    layer: str = ""
    why: str = ""
    steps: tuple[str, ...] = ()
    fails_open: bool = False
    backend: str = ""
    refused: bool = False

    @property
    def healthy(self) -> bool:
        """Nothing to blame."""
        return not self.layer and not self.fails_open
