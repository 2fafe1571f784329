"""TLS settings and TLS checks."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from probe.config.resolve.common import Common, times
from probe.config.resolve.pem import client_certificate, trust
from probe.config.resolve.site import Site
from probe.config.shape.base import Shape
from probe.config.shape.check import TlsCheckShape
from probe.config.shape.tls import ChainShape, ProfileShape
from probe.documents.nodes import Node, at, key_place, wrong_entries
from probe.documents.problem import instead
from probe.model.spec import LIVE, Confirmation, ConsensusRule, TlsCheck
from probe.model.tls import ChainExpectations, ClientProfile
from probe.net.names import quoted


def tls_check(common: Common, shape: TlsCheckShape, node: Node) -> TlsCheck:
    """One ``kind: tls`` entry."""
    site, defaults = common.site, common.defaults
    interval, timeout = times(common, shape, node)
    own = client_profiles(site, shape.profiles, at(node, "profiles"))
    profiles = own or common.profiles or (ClientProfile(),)
    expect = _expect(shape.expect)
    if not wrong_entries(node, "profiles"):
        _check_alpn(site, expect, profiles, at(node, "expect", "alpn"))
    return TlsCheck(
        name=shape.name,
        targets=common.targets_of(shape.name, shape.targets, node),
        providers=common.providers_of(shape.providers, at(node, "providers")) or (LIVE,),
        interval=interval,
        timeout=timeout,
        port=443 if shape.port is None else shape.port,
        sni=shape.sni,
        starttls=shape.starttls,
        profiles=profiles,
        expect=expect,
        trust=trust(site, shape.trust, at(node, "trust")) or common.trust,
        confirm=_merged(Confirmation(), defaults.confirm, shape.confirm),
        consensus=_merged(ConsensusRule(), defaults.consensus, shape.consensus),
        edge_series=shape.edge_series or defaults.edge_series or "all",
        labels=MappingProxyType(dict(shape.labels)),
    )


def _merged(base: Any, *shapes: Shape | None) -> Any:
    """The base with what is written in the shapes, later ones first."""
    for shape in shapes:
        if shape is not None:
            base = replace(base, **shape.model_dump(exclude_none=True))
    return base


def client_profiles(
    site: Site, shapes: list[ProfileShape] | None, node: Node
) -> tuple[ClientProfile, ...]:
    """Client profiles with names of their own; none where none are written."""
    profiles: dict[str, ClientProfile] = {}
    for index, shape in enumerate(shapes or ()):
        where = at(node, index)
        profile = _profile(site, shape, where)
        if profile.name in profiles:
            site.problem(
                at(where, "name"),
                f"two profiles are named {quoted(profile.name)}; give one a name: of its own",
            )
        profiles.setdefault(profile.name, profile)
    return tuple(profiles.values())


def _profile(site: Site, shape: ProfileShape, node: Node) -> ClientProfile:
    if shape.kind.startswith("tls12") and shape.min_version == "TLSv1.3":
        site.problem(
            at(node, "min_version"),
            f"the profile {shape.kind} speaks TLS 1.2 only; leave min_version out, "
            "or write kind: tls13",
        )
    if shape.kind == "tls13" and shape.ciphers is not None:
        site.problem(
            key_place(node, "ciphers"),
            "ciphers are chosen for TLS 1.2 only, and the profile tls13 does not speak it; "
            "leave them out",
        )
    profile = ClientProfile(
        name=shape.name or shape.kind,
        kind=shape.kind,
        min_version=shape.min_version,
        ciphers=shape.ciphers,
        client_certificate=client_certificate(
            site, shape.client_certificate, at(node, "client_certificate")
        ),
        groups=tuple(shape.groups or ()),
    )
    return profile if shape.alpn is None else replace(profile, alpn=tuple(shape.alpn))


def _expect(shape: ChainShape | None) -> ChainExpectations:
    if shape is None:
        return ChainExpectations()
    written = shape.model_dump(exclude_none=True)
    for key in ("issuers", "fingerprints", "spki"):
        if key in written:
            written[key] = tuple(written[key])
    return ChainExpectations(**written)


def _check_alpn(
    site: Site, expect: ChainExpectations, profiles: tuple[ClientProfile, ...], node: Node
) -> None:
    if expect.alpn is None:
        return
    for profile in profiles:
        if expect.alpn not in profile.alpn:
            site.problem(
                node,
                f"the profile {quoted(profile.name)} does not offer {quoted(expect.alpn)}, so no "
                f"server can choose it; {instead(expect.alpn, profile.alpn)}",
            )
