"""States that the pure logic arrives at, and changes between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

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
