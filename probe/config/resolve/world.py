"""Providers and target lists."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from urllib.parse import urlsplit

from probe.config.resolve.pem import trust
from probe.config.resolve.site import Names, Site
from probe.config.resolve.targets import static_targets, target_files
from probe.config.shape.file import VantageShape
from probe.config.shape.world import DnsShape, HttpSourceShape, ProviderShape, TargetListShape
from probe.config.units import format_duration
from probe.documents.nodes import Node, at, key_place, lost, wrong_entries
from probe.documents.targets import Seen
from probe.model.spec import (
    DnsOptions,
    FileSource,
    HttpSource,
    NameServer,
    Provider,
    References,
    TargetList,
)
from probe.model.tls import Trust

_WAYS = ("addresses", "hostname", "dns")


def provider(site: Site, name: str, shape: ProviderShape, node: Node) -> Provider:
    """One entry of ``providers``."""
    ways = [key for key in _WAYS[:2] if getattr(shape, key) is not None]
    if len(ways) == 2 or (ways == ["addresses"] and shape.dns is not None):
        second = "hostname" if len(ways) == 2 else "dns"
        site.problem(
            key_place(node, second),
            f"addresses are fixed and need no {second}; write one of the two",
        )
    if not (ways or shape.dns or lost(node, *_WAYS)):
        site.problem(
            node,
            "this provider does not say how edges are found; "
            "write dns: {}, or hostname:, or addresses:",
        )
    addresses = tuple(shape.addresses or ())
    _refuse_repeated(site, addresses, at(node, "addresses"))
    return Provider(
        name=name,
        hostname=shape.hostname,
        addresses=addresses,
        dns=_dns(site, shape.dns or DnsShape(), at(node, "dns")),
        port=shape.port,
        own_names=tuple(shape.own_names),
    )


def _refuse_repeated(site: Site, values: tuple[object, ...], node: Node) -> None:
    first: dict[object, int] = {}
    for index, value in enumerate(values):
        where = at(node, index)
        if value in first:
            site.problem(where, f"this stands already on line {first[value]}; remove one")
        else:
            first[value] = where.place.line


def _dns(site: Site, shape: DnsShape, node: Node) -> DnsOptions:
    written = shape.model_dump(exclude_none=True, exclude={"servers", "client_subnets", "families"})
    options = replace(
        DnsOptions(),
        servers=tuple(NameServer(ip, port) for ip, port in shape.servers),
        client_subnets=MappingProxyType(dict(shape.client_subnets)),
        **written,
    )
    if shape.families is not None:
        options = replace(options, families=tuple(dict.fromkeys(shape.families)))
    if options.ttl_floor > options.ttl_cap:
        key = "ttl_floor" if shape.ttl_floor is not None else "ttl_cap"
        site.problem(
            at(node, key),
            f"ttl_floor ({format_duration(options.ttl_floor)}) is longer than ttl_cap "
            f"({format_duration(options.ttl_cap)}); write a floor up to the cap",
        )
    return options


def target_list(
    site: Site, name: str, shape: TargetListShape, node: Node
) -> tuple[TargetList, Names | None]:
    """One entry of ``targets``.

    Also the names of its targets' labels, as far as they can be known now: None with a
    source that is only asked while running.
    """
    if not (shape.static or shape.files or shape.http or _some_lost(node)):
        site.problem(
            node, "this list has no source of targets; write static:, files: or http: entries"
        )
    seen: Seen = {}
    static = static_targets(site, shape.static, at(node, "static"), seen)
    before = len(site.problems)
    in_files = target_files(site, shape.files, at(node, "files"), seen)
    unread = bool(shape.http) or (bool(shape.files) and not site.strict)
    unknown = unread or _some_lost(node) or len(site.problems) > before
    labels = dict.fromkeys(label for target in (*static, *in_files) for label in target.labels)
    options = {} if shape.refresh is None else {"refresh": shape.refresh}
    resolved = TargetList(
        name=name,
        static=static,
        files=tuple(FileSource(site.absolute(path)) for path in shape.files),
        http=tuple(
            _http_source(site, source, at(node, "http", index))
            for index, source in enumerate(shape.http)
        ),
        **options,
    )
    return resolved, None if unknown else labels


def _some_lost(node: Node) -> bool:
    """Whether a source was written and is wrong."""
    return any(wrong_entries(node, key) for key in ("static", "files", "http"))


def references(site: Site, shape: VantageShape | None, node: Node, roots: Trust) -> References:
    """The section ``vantage``."""
    if shape is None:
        return References(trust=roots)
    seen: dict[str, None] = {}
    for index, url in enumerate(shape.references):
        where = at(node, "references", index)
        scheme = _scheme(site, url, where, "https://one.example/", "references need none")
        if scheme is not None and url in seen:
            site.problem(where, "this reference is named twice; remove one")
        seen[url] = None
    options = {} if shape.interval is None else {"interval": shape.interval}
    return References(tuple(seen), trust=roots, **options)


def _http_source(site: Site, shape: HttpSourceShape, node: Node) -> HttpSource:
    url, where = shape.url, at(node, "url")
    example = "https://inventory.example/targets"
    scheme = _scheme(site, url, where, example, "use authorization: instead")
    if shape.authorization is not None and scheme == "http":
        site.problem(where, "a secret goes to https:// URLs only; write https://")
    options = {} if shape.timeout is None else {"timeout": shape.timeout}
    secret = None if shape.authorization is None else site.secret(shape.authorization)
    roots = trust(site, shape.trust, at(node, "trust"))
    return HttpSource(url=url, authorization=secret, trust=roots, **options)


def _scheme(site: Site, url: str, where: Node, example: str, no_user: str) -> str | None:
    """The scheme of a good URL; None with a problem noted for any other."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        site.problem(where, f"this is no URL; write for example {example}")
        return None
    if "@" in parts.netloc:
        site.problem(where, f"a URL must hold no user or password; {no_user}")
        return None
    return parts.scheme
