"""Whether what an agent says is what is so: pure.

An incident counts as detected when an agent names what is really broken, and nothing else: a
wrong region, provider, edge, domain or layer is a false alarm, not a detection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

UNNAMED = ""
"""A flow's layer while its failure is known and what caused it is not, or no longer there."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that an agent says is failing now, confirmed.

    Attributes:
        target: a domain, or the name of a flow.
        edge: ``127.20.2.1:40123``; empty for a flow or a name resolution.
        layer: that a flow blames, or ``UNNAMED``; ``edge`` for TLS.
        because: why, in a sentence; empty while that is not known.
    """

    region: str
    check: str
    provider: str
    target: str
    edge: str
    layer: str
    reason: str
    because: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Incident:
    """What is really broken, and how it should be named.

    Attributes:
        name: as the report spells it.
        checks: that can see it.
        regions: where it can be seen.
        provider: that must be named.
        edges: addresses that are broken; empty for a fault behind them.
        targets: domains or flows that are hit.
    """

    name: str
    checks: frozenset[str]
    regions: frozenset[str]
    provider: str
    edges: frozenset[str]
    targets: frozenset[str]
    layer: str
    reasons: frozenset[str]

    def explains(self, seen: Seen) -> bool:
        """Whether this fault is the reason for what was seen, whichever provider leads there."""
        return (
            seen.check in self.checks
            and seen.region in self.regions
            and seen.target in self.targets
            and (seen.edge in self.edges if self.edges else not seen.edge)
            and seen.layer in (self.layer, UNNAMED)
            and seen.reason in self.reasons
        )

    def named_by(self, seen: Seen) -> bool:
        """Whether it names the fault as it must be named."""
        return self.explains(seen) and seen.provider == self.provider and seen.layer == self.layer


@dataclass(slots=True)
class Watch:
    """Follows one incident from its fault to its end.

    Attributes:
        fault_at: wall time, seconds since the epoch; None before.
        detected_at: when an agent first named it rightly.
        region: whose agent that was.
        repaired_at: when the fault was taken away.
        recovered_at: when no agent said any longer that it was there.
        named: everything right that was said between fault and repair.
        because: why, in the sentence that most of these give; empty while none does.
    """

    incident: Incident
    fault_at: float | None = None
    detected_at: float | None = None
    region: str | None = None
    repaired_at: float | None = None
    recovered_at: float | None = None
    named: set[Seen] = field(default_factory=set)
    because: str = ""

    def look(self, seen: Iterable[Seen], now: float) -> None:
        """Take in everything that agents say now."""
        if self.fault_at is None:
            return
        explained = [one for one in seen if self.incident.explains(one)]
        if self.repaired_at is None:
            right = [one for one in explained if self.incident.named_by(one)]
            if right and self.detected_at is None:
                self.detected_at, self.region = now, right[0].region
            self.named.update(right)
            sentences = Counter(one.because for one in right if one.because)
            if sentences:
                self.because = sentences.most_common(1)[0][0]
        elif not explained and self.recovered_at is None:
            self.recovered_at = now

    @property
    def seconds(self) -> float | None:
        """From the fault to the first right word of an agent."""
        if self.fault_at is None or self.detected_at is None:
            return None
        return self.detected_at - self.fault_at

    @property
    def over(self) -> bool:
        """Found, repaired, and no agent complains any more."""
        return self.detected_at is not None and self.recovered_at is not None

    @property
    def whole(self) -> bool:
        """Every edge and target that is broken has been named."""
        edges = {one.edge for one in self.named if one.edge}
        return edges == self.incident.edges and (
            {one.target for one in self.named} == self.incident.targets
        )


def false_alarms(seen: Iterable[Seen], watches: Iterable[Watch]) -> tuple[Seen, ...]:
    """What agents say that no fault, past or present, explains."""
    begun = [watch.incident for watch in watches if watch.fault_at is not None]
    return tuple(one for one in seen if not any(incident.explains(one) for incident in begun))
