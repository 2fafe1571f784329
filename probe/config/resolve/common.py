"""What every kind of check needs: names that exist, times that fit, roots that can be read."""

from __future__ import annotations

from collections.abc import Mapping as Bag
from dataclasses import dataclass

from probe.config.document.nodes import Node, at, key_place
from probe.config.problem import unknown
from probe.config.resolve.site import Site
from probe.config.resolve.world import target_list
from probe.config.shape.file import CheckShape, DefaultsShape
from probe.config.shape.tls import ClientCertificateShape, TrustShape
from probe.config.shape.world import CheckTargetsShape
from probe.config.units import format_duration
from probe.model.spec import TargetList
from probe.model.tls import ClientCertificate, Trust

INTERVAL = 30.0
TIMEOUT = 10.0


@dataclass(slots=True)
class Common:
    """The parts of the file that checks refer to.

    Attributes:
        providers: names that are written, good or not; None when the section is unreadable.
        lists: names of target lists likewise.
        targets: target lists of the file; lists that checks bring themselves are added.
    """

    site: Site
    defaults: DefaultsShape
    defaults_node: Node
    providers: frozenset[str] | None
    lists: frozenset[str] | None
    targets: dict[str, TargetList]

    def providers_of(self, names: list[str] | None, node: Node) -> tuple[str, ...]:
        """The providers that a check names, each known and named once."""
        good = []
        for index, name in enumerate(names or ()):
            where = at(node, index)
            if self.providers is not None and name not in self.providers | {"live"}:
                self.site.problem(where, unknown("provider", name, sorted(self.providers)))
            elif name in good:
                self.site.problem(where, f"the provider {name} is named twice; remove one")
            else:
                good.append(name)
        return tuple(good)

    def targets_of(self, check: str, shape: CheckTargetsShape, where: Node) -> str:
        """The name of a check's target list; one that the check brings itself is added."""
        if shape.named is None:
            name = f"inline:{check}"
            self.targets[name] = target_list(self.site, name, shape, where)
            return name
        if shape.static or shape.files or shape.http:
            self.site.problem(where, "name a list, or write its sources here; write one of the two")
        if self.lists is not None and shape.named not in self.lists:
            message = unknown("target list", shape.named, sorted(self.lists))
            if not self.lists:
                message += f"; write targets: [{shape.named}] if it is a target itself"
            self.site.problem(at(where, "named"), message)
        return shape.named


def times(common: Common, check: CheckShape, node: Node) -> tuple[float, float]:
    """Interval and time-out of a check; what nobody wrote is made to fit."""
    defaults = common.defaults
    interval = check.interval or defaults.interval or INTERVAL
    timeout = check.timeout or defaults.timeout
    if timeout is None:
        return interval, min(TIMEOUT, interval)
    if timeout > interval:
        key, source = _blame(check, defaults)
        common.site.problem(
            at(node, key),
            f"the timeout {format_duration(timeout)}{source.get('timeout', '')} is longer than "
            f"the interval {format_duration(interval)}{source.get('interval', '')}; "
            f"write timeout: {format_duration(interval)} or less",
        )
    return interval, timeout


def _blame(check: CheckShape, defaults: DefaultsShape) -> tuple[str, Bag[str, str]]:
    """The key that a contradiction of times stands at, and where the other comes from."""
    source = {}
    if check.timeout is None:
        source["timeout"] = " of defaults"
    if check.interval is None:
        source["interval"] = " of defaults" if defaults.interval else " (the default)"
    if check.timeout is not None:
        return "timeout", source
    return ("interval" if check.interval is not None else "name"), source


def trust(site: Site, shape: TrustShape | None, node: Node) -> Trust:
    """Which roots verify a chain; a file of roots must be there."""
    if shape is None:
        return Trust()
    if shape.file is None:
        return Trust(shape.roots or "mozilla")
    if shape.roots is not None:
        site.problem(key_place(node, "roots"), "roots or a file; write one of the two")
    if not site.beside(shape.file).is_file():
        site.problem(
            at(node, "file"),
            f"there is no file {site.beside(shape.file)}; "
            "paths are relative to the configuration file",
        )
    return Trust("file", site.absolute(shape.file))


def client_certificate(
    site: Site, shape: ClientCertificateShape | None
) -> ClientCertificate | None:
    """Where certificate and key of a client are."""
    if shape is None:
        return None
    return ClientCertificate(site.secret(shape.certificate), site.secret(shape.key))
