"""The whole file."""

from __future__ import annotations

from collections.abc import Mapping as Bag
from types import MappingProxyType
from typing import assert_never

from probe.config.resolve.api import api_check
from probe.config.resolve.common import Common
from probe.config.resolve.pem import trust
from probe.config.resolve.site import Names, Site
from probe.config.resolve.tls import client_profiles, tls_check
from probe.config.resolve.world import provider, references
from probe.config.shape.api import ApiCheckShape
from probe.config.shape.check import TlsCheckShape
from probe.config.shape.file import DefaultsShape, FileShape, LimitsShape
from probe.config.shape.place import RegionShape, ShareShape
from probe.documents.nodes import Mapping, Node, at, keys, lost, wrong_entries
from probe.model.spec import LIVE, Check, Limits, Listen, Provider, RegionSource, Share, Spec
from probe.model.tls import Trust


def resolve(site: Site, shape: FileShape, root: Mapping, region: str | None, digest: str) -> Spec:
    """The spec; it is only good when ``site`` has no problems afterwards."""
    providers = {
        name: provider(site, name, entry, at(root, "providers", name))
        for name, entry in shape.providers.items()
    }
    defaults = shape.defaults or DefaultsShape()
    common = Common(
        site=site,
        defaults=defaults,
        profiles=client_profiles(site, defaults.profiles, at(root, "defaults", "profiles")),
        trust=trust(site, defaults.trust, at(root, "defaults", "trust")) or Trust(),
        providers=_names(root, "providers"),
        lists=_names(root, "targets"),
        targets={},
        labels={},
    )
    for name, entry in shape.targets.items():
        common.add_list(name, entry, at(root, "targets", name))
    checks = _checks(common, shape, root, providers)
    if any(LIVE in check.providers for check in checks):
        providers.setdefault(LIVE, Provider(LIVE))
    return Spec(
        region=region,
        listen=shape.listen or Listen(),
        providers=MappingProxyType(providers),
        targets=MappingProxyType(common.targets),
        checks=checks,
        limits=_limits(shape.limits),
        digest=digest,
        source=site.file,
        references=references(site, shape.vantage, at(root, "vantage"), common.trust),
        state_dir=None if shape.state_dir is None else site.absolute(shape.state_dir),
        region_from=_region_sources(site, shape.region, at(root, "region")),
        share=_share(shape.share),
    )


def _names(root: Mapping, section: str) -> Names | None:
    """All names written in a section, good or not; None when the section cannot be read."""
    if lost(root, section):
        return None
    entry = root.entries.get(section)
    return dict.fromkeys(keys(entry.value if entry else None))


def _checks(
    common: Common, shape: FileShape, root: Mapping, providers: Bag[str, Provider]
) -> tuple[Check, ...]:
    node = at(root, "checks")
    if not shape.checks and not wrong_entries(root, "checks"):
        common.site.problem(node, "there is nothing to probe; write at least one entry of checks:")
    checks: dict[str, Check] = {}
    for index, entry in enumerate(shape.checks):
        where = at(node, index)
        named = not lost(where, "name")  # else a stand-in, which may equal another
        if entry.name in checks and named:
            common.site.problem(
                at(where, "name"), f"two checks are named {entry.name}; names must differ"
            )
        check = _check(common, entry, where)
        if (
            isinstance(entry, ApiCheckShape)
            and entry.targets is None
            and not lost(where, "targets")
        ):
            _refuse_edges_of_nobody(common.site, entry, where, providers)
        checks.setdefault(entry.name if named else f"unnamed {index}", check)
    return tuple(checks.values())


def _check(common: Common, shape: TlsCheckShape | ApiCheckShape, node: Node) -> Check:
    match shape:
        case TlsCheckShape():
            return tls_check(common, shape, node)
        case ApiCheckShape():
            return api_check(common, shape, node)
        case _:
            assert_never(shape)


def _refuse_edges_of_nobody(
    site: Site, shape: ApiCheckShape, node: Node, providers: Bag[str, Provider]
) -> None:
    """A provider's edges stand for a target; a flow without one would never reach them."""
    for index, name in enumerate(shape.providers or ()):
        known = providers.get(name)
        if known is not None and (known.addresses or known.hostname is not None):
            site.problem(
                at(node, "providers", index),
                f"the edges of {name} stand for a target, and this check has none; "
                "write targets: [HOST], and the steps' URLs with {target}",
            )


def _region_sources(site: Site, shape: RegionShape | None, node: Node) -> tuple[RegionSource, ...]:
    """Each source once, in the order written."""
    if shape is None:
        return ()
    if shape.name is not None and shape.sources:
        site.problem(node, "the region's name, or from whom to ask it; write one of the two")
    return tuple(dict.fromkeys(shape.sources))


def _share(shape: ShareShape | None) -> Share | None:
    if shape is None:
        return None
    written = shape.model_dump(exclude_none=True)
    return Share(**written)


def _limits(shape: LimitsShape | None) -> Limits:
    written: Bag[str, float] = shape.model_dump(exclude_none=True) if shape else {}
    return Limits(**written)  # type: ignore[arg-type]  # keys and types are those of the shape
