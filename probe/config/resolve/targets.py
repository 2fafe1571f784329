"""Providers, target lists and references; client profiles, roots, client certificates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from probe.config.resolve.file import ConfigFile, Names
from probe.config.resolve.requests import Cargo, url_problem
from probe.config.shape.file import VantageShape
from probe.config.shape.targets import (
    AddressesShape,
    DnsShape,
    HttpSourceShape,
    ProviderShape,
    TargetListShape,
)
from probe.config.shape.tls import ClientCertificateShape, ProfileShape, TrustShape
from probe.config.units import format_duration
from probe.documents.files import (
    MissingFile,
    UnreadableFile,
    Wanted,
    is_glob,
    matching,
    pem_problem,
    read_bytes,
)
from probe.documents.nodes import Node
from probe.documents.problem import DocumentError, nearest
from probe.documents.targets import Seen, read_file
from probe.model.spec import (
    DnsOptions,
    FileSource,
    HttpSource,
    NameServer,
    Provider,
    References,
    TargetList,
)
from probe.model.target import AddressRules, Target
from probe.model.tls import NO_ALPN, ClientCertificate, ClientProfile, Trust
from probe.net.names import NameProblem, parse_target, quoted

_ENDINGS = (".yaml", ".yml", ".json")


def provider(file: ConfigFile, name: str, shape: ProviderShape) -> Provider:
    """One entry of ``providers``."""
    file.one_of(shape, "addresses", "hostname", required=False)
    file.one_of(shape, "addresses", "dns", required=False)
    if not (shape.addresses or shape.hostname or shape.dns):
        file.problem(
            shape.node,
            "this provider has no source of edges; write dns: {}, or hostname:, or addresses:",
        )
    file.unique(shape, "addresses", "address")
    return file.built(Provider, shape, name=name, dns=_dns(file, shape.dns))


def _dns(file: ConfigFile, shape: DnsShape | None) -> DnsOptions:
    if shape is None:
        return DnsOptions()
    servers = tuple(NameServer(ip, port) for ip, port in shape.servers)
    families = DnsOptions().families if shape.families is None else tuple(shape.families)
    options = file.built(
        DnsOptions, shape, servers=servers, families=tuple(dict.fromkeys(families))
    )
    if options.ttl_floor > options.ttl_cap:
        file.problem(
            shape.at("ttl_floor" if shape.ttl_floor is not None else "ttl_cap"),
            f"ttl_floor ({format_duration(options.ttl_floor)}) is longer than ttl_cap "
            f"({format_duration(options.ttl_cap)}); write at most ttl_cap",
        )
    return options


def address_rules(file: ConfigFile, shape: AddressesShape | None) -> AddressRules:
    """A section ``addresses``."""
    for index, network in enumerate(shape.allow if shape is not None else ()):
        if shape is not None and network in shape.deny:
            file.problem(
                shape.at("allow", index),
                f"{network} is both allowed and denied; remove one of them",
            )
    return file.built(AddressRules, shape)


# ---------------------------------------------------------------- target lists


def target_list(
    file: ConfigFile, name: str, shape: TargetListShape
) -> tuple[TargetList, Names | None]:
    """One entry of ``targets``.

    Also the names of its targets' labels, as far as they can be known now: None with a
    source that is only asked while running.
    """
    if not (shape.static or shape.files or shape.http):
        message = "this list has no source of targets; write static:, files: or http: entries"
        file.problem(shape.node, message)
    seen: Seen = {}
    static = tuple(_static_targets(file, shape, seen))
    before = len(file.problems)
    in_files = _file_targets(file, shape, seen)
    unread = bool(shape.http) or (bool(shape.files) and not file.strict)
    known = not unread and len(file.problems) == before
    labels = dict.fromkeys(label for target in (*static, *in_files) for label in target.labels)
    resolved = file.built(
        TargetList,
        shape,
        name=name,
        static=static,
        files=tuple(FileSource(file.absolute(path)) for path in shape.files),
        http=tuple(_http_source(file, source) for source in shape.http),
    )
    number, most = len(static) + len(in_files), resolved.max_targets
    if file.strict and number > most:
        message = f"the list {name} has {number} targets; only the first {most} are probed"
        file.problem(shape.at("max_targets"), f"{message}; raise max_targets: or split the list")
    return resolved, labels if known else None


def _static_targets(file: ConfigFile, shape: TargetListShape, seen: Seen) -> Iterator[Target]:
    for group in shape.static:
        labels = MappingProxyType(dict(group.labels)) if group.labels else None
        for index, text in enumerate(group.targets):
            where = group.at("targets", index)
            try:
                target = replace(parse_target(text, labels), written=True)
            except NameProblem as problem:
                file.problem(where, str(problem))
                continue
            key = (target.name, target.port)
            if key in seen:
                message = f"duplicate target {quoted(text)}, first defined at {seen[key]}"
                file.problem(where, message)
            else:
                seen[key] = f"{file.path}:{where.position.line}"
                yield target


def _file_targets(file: ConfigFile, shape: TargetListShape, seen: Seen) -> list[Target]:
    """The targets of all files that ``files`` names.

    Only a strict file reads them: problems are noted at the entry or inside, and so are targets
    that stand in two places. For others it is enough that the entries can be understood.
    """
    targets: list[Target] = []
    read: set[Path] = set()  # a glob may give what another entry names
    for index, entry in enumerate(shape.files):
        where = shape.at("files", index)
        for path in _paths(file, entry, where):
            if path in read:
                continue
            read.add(path)
            try:
                listed = read_file(path, seen)
            except MissingFile:
                file.problem(where, _missing_file(path, entry))
            except DocumentError as error:
                file.extend(error.problems)
            else:
                targets += listed.targets
                file.extend(listed.problems)
                file.notes += listed.notes
    return targets


def _paths(file: ConfigFile, written: str, where: Node) -> Iterator[Path]:
    """The files of an entry; none where it cannot be understood, or need not be read."""
    path = file.beside(written)
    if not written.endswith(_ENDINGS):
        file.problem(where, f"{quoted(written)} must end in .yaml, .yml or .json")
    elif is_glob(str(path.parent)):
        file.problem(where, "a glob is allowed in the last part of the path only")
    elif file.strict:
        try:
            yield from matching(path)
        except OSError as error:
            folder = quoted(str(path.parent), 400)
            file.problem(where, f"the folder {folder} cannot be read: {error.strerror}")


def _missing_file(path: Path, written: str) -> str:
    message = f"there is no file {quoted(str(path), 400)}"
    try:
        beside = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"{message}, nor its folder; paths are relative to the configuration file"
    near = nearest(path.name, beside, likeness=0.8)
    if near is None:
        return f"{message}; paths are relative to the configuration file"
    return f"{message}; did you mean {quoted(str(Path(written).with_name(near)), 400)}?"


def _http_source(file: ConfigFile, shape: HttpSourceShape) -> HttpSource:
    cargo = None if shape.authorization is None else Cargo("authorization: sends a secret")
    problem = url_problem(shape.url, cargo, "use authorization: instead")
    if problem is not None:
        file.problem(shape.at("url"), problem)
    return file.built(HttpSource, shape, trust=trust(file, shape.trust))


# ---------------------------------------------------------------- references


def references(file: ConfigFile, shape: VantageShape | None, roots: Trust) -> References:
    """The section ``vantage``."""
    if shape is None:
        return References(trust=roots)
    for index, url in enumerate(shape.references or ()):
        problem = url_problem(url, None, "references need none")
        if problem is not None:
            file.problem(shape.at("references", index), problem)
    file.unique(shape, "references", "reference")
    urls = None if shape.references is None else tuple(dict.fromkeys(shape.references))
    return file.built(References, shape, urls=urls, trust=roots)


_MOST_BYTES = 16 * 1024 * 1024


def client_profiles(
    file: ConfigFile, shapes: list[ProfileShape] | None
) -> tuple[ClientProfile, ...]:
    """Client profiles with names of their own; none where none are written."""
    profiles: dict[str, ClientProfile] = {}
    for shape in shapes or ():
        profile = _profile(file, shape)
        if profile.name in profiles:
            message = f"duplicate profile {quoted(profile.name)}; give one of them another name:"
            file.problem(shape.at("name"), message)
        profiles.setdefault(profile.name, profile)
    return tuple(profiles.values())


def _profile(file: ConfigFile, shape: ProfileShape) -> ClientProfile:
    if shape.kind.startswith("tls12") and shape.min_version == "TLSv1.3":
        file.problem(
            shape.at("min_version"),
            f"the profile {shape.kind} speaks TLS 1.2 only; leave min_version out, "
            "or write kind: tls13",
        )
    if shape.kind == "tls13" and shape.ciphers is not None:
        file.problem(
            shape.key_position("ciphers"),
            "ciphers are chosen for TLS 1.2 only, and the profile tls13 does not speak it; "
            "leave them out",
        )
    certificate = client_certificate(file, shape.client_certificate)
    own: dict[str, object] = {"name": shape.name or shape.kind, "client_certificate": certificate}
    if shape.alpn is None and shape.kind in NO_ALPN:
        own["alpn"] = ()
    return file.built(ClientProfile, shape, **own)


def trust(file: ConfigFile, shape: TrustShape | None) -> Trust | None:
    """Which roots verify a chain, None where nothing says; a file of roots must be there."""
    if shape is None:
        return None
    if shape.file is None:
        return Trust() if shape.roots is None else Trust(shape.roots)
    file.one_of(shape, "file", "roots")
    if not file.beside(shape.file).is_file():
        file.problem(
            shape.at("file"),
            f"there is no file {file.beside(shape.file)}; "
            "paths are relative to the configuration file",
        )
    elif file.strict:
        _must_hold(file, file.absolute(shape.file), "certificate", shape.at("file"))
    return Trust("file", file.absolute(shape.file))


def client_certificate(
    file: ConfigFile, shape: ClientCertificateShape | None
) -> ClientCertificate | None:
    """Where certificate and key of a client are."""
    if shape is None:
        return None
    pair = file.built(ClientCertificate, shape)
    if file.strict and pair.certificate.kind == "file":
        _must_hold(file, pair.certificate.name, "certificate", shape.at("certificate"))
    if file.strict and pair.key.kind == "file":
        _must_hold(file, pair.key.name, "key", shape.at("key"))
    return pair


def _must_hold(file: ConfigFile, path: str, wanted: Wanted, where: Node) -> None:
    """Note a file that is not what its use needs; one that cannot be read here is let be."""
    try:
        problem = pem_problem(read_bytes(Path(path), _MOST_BYTES), wanted, path)
    except UnreadableFile:
        return  # secrets are not mounted everywhere; the agent reports what it cannot read
    except DocumentError as error:
        problem = error.problems[0].message
    if problem is not None:
        file.problem(where, f"{path}: {problem}")
