"""What every kind of check needs: names that exist, times that fit, roots that can be read."""

from __future__ import annotations

from dataclasses import dataclass

from probe.config.resolve.site import Names, Site
from probe.config.resolve.world import target_list
from probe.config.shape.check import CheckShape
from probe.config.shape.file import DefaultsShape
from probe.config.shape.world import CheckTargetsShape, TargetListShape
from probe.config.units import format_duration
from probe.documents.nodes import Node, at, lost
from probe.documents.problem import unknown
from probe.model.spec import LIVE, TargetList
from probe.model.tls import ClientProfile, Trust

INTERVAL = 30.0
TIMEOUT = 10.0
FLOW_TIMEOUT = 25.0


@dataclass(slots=True)
class Common:
    """The parts of the file that checks refer to.

    Attributes:
        profiles: of ``defaults``; empty where it names none.
        trust: of ``defaults``.
        providers: names that are written, good or not, in order; None when the section is
            unreadable.
        lists: names of target lists likewise.
        targets: target lists of the file; lists that checks bring themselves are added.
        labels: names of the labels that a list's targets have; no entry for a list whose
            targets cannot be known beforehand.
    """

    site: Site
    defaults: DefaultsShape
    profiles: tuple[ClientProfile, ...]
    trust: Trust
    providers: Names | None
    lists: Names | None
    targets: dict[str, TargetList]
    labels: dict[str, Names]

    def providers_of(self, names: list[str] | None, node: Node) -> tuple[str, ...]:
        """The providers that a check names, each known and named once."""
        good: dict[str, None] = {}
        for index, name in enumerate(names or ()):
            where = at(node, index)
            if self.providers is not None and name not in self.providers and name != LIVE:
                known = dict.fromkeys([*self.providers, LIVE])
                self.site.problem(where, unknown("provider", name, known))
            elif name in good:
                self.site.problem(where, f"the provider {name} is named twice; remove one")
            good[name] = None
        return tuple(good)

    def add_list(self, name: str, shape: TargetListShape, where: Node) -> None:
        """Resolve a target list, of the file or of a check."""
        resolved, labels = target_list(self.site, name, shape, where)
        self.targets[name] = resolved
        if labels is not None:
            self.labels[name] = labels

    def targets_of(self, check: str, shape: CheckTargetsShape, node: Node) -> str:
        """The name of a check's target list; one that the check brings itself is added."""
        where = at(node, "targets")
        if shape.named is None:
            name = f"inline:{check}"
            self.add_list(name, shape, where)
            return name
        if shape.static or shape.files or shape.http:
            self.site.problem(where, "name a list, or write its sources here; write one of the two")
        if self.lists is not None and shape.named not in self.lists and not lost(node, "targets"):
            message = unknown("target list", shape.named, self.lists)
            if not self.lists:
                message += f"; write targets: [{shape.named}] if it is a target itself"
            self.site.problem(at(where, "named"), message)
        return shape.named


def times(common: Common, check: CheckShape, node: Node) -> tuple[float, float]:
    """Interval and time-out of a TLS check; what nobody wrote is made to fit."""
    interval = _written(common, check, node, "interval")
    timeout = _written(common, check, node, "timeout")
    _must_fit(common.site, timeout, interval or _unwritten(node, "interval", INTERVAL))
    every = interval.seconds if interval else INTERVAL
    return every, timeout.seconds if timeout else min(TIMEOUT, every)


def flow_times(common: Common, check: CheckShape, node: Node) -> tuple[float, float, float]:
    """Interval, a step's time-out and the flow's; what nobody wrote is made to fit."""
    interval = _written(common, check, node, "interval")
    timeout = _written(common, check, node, "timeout")
    whole = _written(common, check, node, "flow_timeout")
    every = interval or _unwritten(node, "interval", INTERVAL)
    _must_fit(common.site, whole, every)
    _must_fit(common.site, timeout, whole or every)
    longest = whole.seconds if whole else min(max(FLOW_TIMEOUT, _seconds(timeout)), every.seconds)
    return every.seconds, timeout.seconds if timeout else min(TIMEOUT, longest), longest


@dataclass(frozen=True, slots=True)
class _Time:
    """A duration with where it is written.

    Attributes:
        source: words behind it in a message, empty for the check's own.
        own: whether the check itself says it.
    """

    key: str
    seconds: float
    node: Node
    source: str
    own: bool


def _written(common: Common, check: CheckShape, node: Node, key: str) -> _Time | None:
    own, inherited = getattr(check, key), getattr(common.defaults, key)
    if own is not None:
        return _Time(key, own, at(node, key), "", own=True)
    if inherited is None or lost(node, key):
        return None
    return _Time(key, inherited, at(node, "name"), " of defaults", own=False)


def _unwritten(node: Node, key: str, seconds: float) -> _Time:
    return _Time(key, seconds, at(node, "name"), " (the default)", own=False)


def _seconds(time: _Time | None) -> float:
    return time.seconds if time else 0.0


def _must_fit(site: Site, inner: _Time | None, outer: _Time) -> None:
    if inner is None or inner.seconds <= outer.seconds:
        return
    most = format_duration(outer.seconds)
    site.problem(
        outer.node if outer.own and not inner.own else inner.node,
        f"the {inner.key} {format_duration(inner.seconds)}{inner.source} is longer than "
        f"the {outer.key} {most}{outer.source}; write {inner.key}: {most} or less",
    )
