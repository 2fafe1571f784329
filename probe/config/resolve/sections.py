"""The sections that checks refer to: names that exist, defaults, times that fit each other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from probe.config.resolve.file import ConfigFile, Names
from probe.config.resolve.targets import address_rules, target_list
from probe.config.shape.checks import ApiCheckShape, CheckShapes, TcpCheckShape, TlsCheckShape
from probe.config.shape.file import DefaultsShape
from probe.config.shape.targets import TargetListShape
from probe.config.units import format_duration
from probe.documents.nodes import Node
from probe.documents.problem import unknown
from probe.model.spec import ASKED, LIVE, Provider, TargetList
from probe.model.target import AddressRules
from probe.model.tls import ClientProfile, Trust
from probe.net.addresses import spells_out
from probe.net.names import quoted

LONGEST = 600.0
"""Seconds of the longest time-out that a configuration may hold."""


@dataclass(slots=True)
class Sections:
    """The parts of the file that checks refer to.

    Attributes:
        profiles: of ``defaults``; empty where it names none.
        trust: of ``defaults``.
        lists: names under ``targets``.
        addresses: of the file, for all checks.
        targets: target lists of the file; lists that checks bring themselves are added.
        labels: names of the labels that a list's targets have; no entry for a list whose
            targets cannot be known beforehand.
    """

    file: ConfigFile
    defaults: DefaultsShape
    profiles: tuple[ClientProfile, ...]
    trust: Trust
    providers: dict[str, Provider]
    lists: Names
    addresses: AddressRules = field(default_factory=AddressRules)
    targets: dict[str, TargetList] = field(default_factory=dict)
    labels: dict[str, Names] = field(default_factory=dict)

    def providers_of(self, check: CheckShapes) -> tuple[str, ...]:
        """The providers that a check names, each known and named once."""
        known = dict.fromkeys([*self.providers, LIVE])
        for index, name in enumerate(check.providers or ()):
            if name not in known:
                self.file.problem(check.at("providers", index), unknown("provider", name, known))
        self.file.unique(check, "providers", "provider")
        return tuple(dict.fromkeys(check.providers or ()))

    def addresses_of(self, check: CheckShapes) -> AddressRules:
        """Which addresses a check may connect to: by the file, and by itself."""
        own, base = address_rules(self.file, check.addresses), self.addresses
        return AddressRules(base.allow + own.allow, base.deny + own.deny, base.nat64 + own.nat64)

    def listed(self, name: str | None) -> bool:
        """Tell whether others write a list, or a part of it, so that it may name any host."""
        known = self.targets.get(name or "")
        return name == ASKED or (known is not None and bool(known.files or known.http))

    def refuse_plain_list(self, check: CheckShapes, name: str | None) -> None:
        """Note a list that anybody on its way may change, for a check that carries credentials."""
        known = self.targets.get(name or "")
        for source in () if known is None else known.http:
            origin = urlsplit(source.url)
            here = spells_out(origin.hostname or "", "127.0.0.1") or origin.hostname == "::1"
            if origin.scheme == "http" and not here:
                self.file.problem(
                    check.at("targets"),
                    f"the check sends credentials, and {quoted(origin.hostname or '')} gives its "
                    "targets over http://, where anybody on the way can change them; write https://",
                )

    def add_list(self, name: str, shape: TargetListShape) -> None:
        """Resolve a target list, of the file or of a check."""
        resolved, labels = target_list(self.file, name, shape)
        self.targets[name] = resolved
        if labels is not None:
            self.labels[name] = labels

    def targets_of(self, check: CheckShapes) -> str | None:
        """The name of a check's target list; one that the check brings itself is added."""
        shape = check.targets
        if shape is None:
            return None
        if shape.named is None:
            name = f"inline:{check.name}"
            self.add_list(name, shape)
            return name
        if shape.named == ASKED:
            return ASKED
        if shape.static or shape.files or shape.http:
            message = (
                "the name of a list and its sources cannot be used together; write one of them"
            )
            self.file.problem(shape.node, message)
        if shape.named not in self.lists:
            message = unknown("target list", shape.named, self.lists)
            if not self.lists:
                message += f"; write targets: [{shape.named}] if it is a target itself"
            self.file.problem(shape.at("named"), message)
        return shape.named


def times(sections: Sections, check: TlsCheckShape | TcpCheckShape) -> tuple[float, float]:
    """Interval and time-out of a check of edges; what nobody wrote is made to fit."""
    interval = _interval(sections, check)
    timeout = _time(sections, check, "timeout")
    _must_fit(sections.file, timeout, interval)
    return interval.seconds, timeout.up_to(interval.seconds)


def flow_times(sections: Sections, check: ApiCheckShape) -> tuple[float, float, float]:
    """Interval, a step's time-out and the flow's; what nobody wrote is made to fit."""
    interval = _interval(sections, check)
    timeout = _time(sections, check, "timeout")
    whole = _time(sections, check, "flow_timeout")
    _must_fit(sections.file, whole, interval)
    _must_fit(sections.file, timeout, whole if whole.written else interval)
    if timeout.written and not whole.written:
        whole = replace(whole, seconds=max(whole.seconds, timeout.seconds))
    longest = whole.up_to(interval.seconds)
    return interval.seconds, timeout.up_to(longest), longest


@dataclass(frozen=True, slots=True)
class _Time:
    """A duration with where it is written.

    Attributes:
        source: words behind it in a message; empty for the check's own.
        written: whether the file says it, here or in its defaults.
    """

    key: str
    seconds: float
    node: Node
    source: str = ""
    written: bool = True

    def up_to(self, most: float) -> float:
        """The duration as written, or a default that fits."""
        return self.seconds if self.written else min(self.seconds, most)


def _interval(sections: Sections, check: CheckShapes) -> _Time:
    """The interval; what others ask for has none, and may take as long as any time-out."""
    if check.targets is not None and check.targets.named == ASKED:
        return _Time("interval", LONGEST, check.node)
    return _time(sections, check, "interval")


def _time(sections: Sections, check: CheckShapes, key: str) -> _Time:
    own, inherited = getattr(check, key), getattr(sections.defaults, key)
    if own is not None:
        return _Time(key, own, check.at(key))
    if inherited is not None:
        return _Time(key, inherited, check.at("name"), " of defaults")
    return _Time(key, getattr(check.spec, key), check.at("name"), " (the default)", written=False)


def _must_fit(file: ConfigFile, inner: _Time, outer: _Time) -> None:
    if not inner.written or inner.seconds <= outer.seconds:
        return
    most = format_duration(outer.seconds)
    file.problem(
        outer.node if inner.source and not outer.source else inner.node,
        f"the {inner.key} {format_duration(inner.seconds)}{inner.source} is longer than "
        f"the {outer.key} {most}{outer.source}; write {inner.key}: {most} or less",
    )
