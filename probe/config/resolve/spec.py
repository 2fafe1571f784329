"""The whole file, and its TLS checks."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any, assert_never

from probe.config.resolve.file import ConfigFile
from probe.config.resolve.flow import api_check
from probe.config.resolve.maintenance import maintenance
from probe.config.resolve.regions import regions
from probe.config.resolve.sections import Sections, times
from probe.config.resolve.targets import (
    address_rules,
    client_profiles,
    provider,
    references,
    trust,
)
from probe.config.shape.base import Shape
from probe.config.shape.blackbox import NEVER, BlackboxShape
from probe.config.shape.checks import ApiCheckShape, CheckShapes, TcpCheckShape, TlsCheckShape
from probe.config.shape.file import DefaultsShape, FileShape, RegionShape
from probe.config.shape.tls import ChainShape
from probe.documents.log_list import read_log_list
from probe.documents.problem import DocumentError, instead
from probe.model.spec import (
    ASKED,
    LIVE,
    Blackbox,
    Check,
    Limits,
    Listen,
    Module,
    Provider,
    RegionSource,
    Share,
    Spec,
    TlsCheck,
)
from probe.model.state import Confirmation, ConsensusRule
from probe.model.tls import NO_STAPLE, ChainExpectations, Trust
from probe.net.names import quoted


def resolve(file: ConfigFile, shape: FileShape, region: str | None, digest: str) -> Spec:
    """The spec; it is only good when ``file`` has no problems afterwards."""
    defaults = shape.defaults or DefaultsShape()
    sections = Sections(
        file=file,
        defaults=defaults,
        profiles=client_profiles(file, defaults.profiles),
        trust=trust(file, defaults.trust) or Trust(),
        providers={name: provider(file, name, entry) for name, entry in shape.providers.items()},
        lists=shape.targets,
        addresses=address_rules(file, shape.addresses),
    )
    for name, entry in shape.targets.items():
        sections.add_list(name, entry)
    checks = _checks(sections, shape)
    _check_page(file, shape)
    if any(LIVE in check.providers for check in checks):
        sections.providers.setdefault(LIVE, Provider(LIVE))
    return file.built(
        Spec,
        shape,
        region=region,
        listen=shape.listen or Listen(),
        providers=MappingProxyType(sections.providers),
        targets=MappingProxyType(sections.targets),
        checks=checks,
        limits=file.built(Limits, shape.limits),
        digest=digest,
        source=file.path,
        references=references(file, shape.vantage, sections.trust),
        web_config=None if shape.web_config is None else file.absolute(shape.web_config),
        state_dir=None if shape.state_dir is None else file.absolute(shape.state_dir),
        crl=shape.crl != "off",
        addresses=sections.addresses,
        regions=regions(file, shape.regions),
        region_from=_region_sources(file, shape.region),
        share=None if shape.share is None else file.built(Share, shape.share),
        blackbox=_blackbox(sections, shape.blackbox),
        maintenance=maintenance(
            file,
            shape.maintenance,
            {one.name: None for one in checks},
            {**sections.providers, LIVE: None},
        ),
    )


def _check_page(file: ConfigFile, shape: FileShape) -> None:
    """Refuse to serve the page where the metrics are served, in another listener."""
    page, listen = shape.page, shape.listen or Listen()
    if not isinstance(page, Listen) or page.port != listen.port or not page.port:
        return
    if page.host == listen.host or {page.host, listen.host} & _EVERYWHERE:
        message = "address already used by listen:; write page: same, or another port"
        file.problem(shape.at("page"), message)


_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not listened on


def _checks(sections: Sections, shape: FileShape) -> tuple[Check, ...]:
    file = sections.file
    if not shape.checks and shape.blackbox is None:
        message = "no checks; write at least one entry of checks:"
        file.problem(shape.at("checks"), message)
    checks: dict[str, Check] = {}
    for entry in shape.checks:
        if entry.name in checks:
            message = f"duplicate check {entry.name}; give each check its own name"
            file.problem(entry.at("name"), message)
        checks.setdefault(entry.name, _check(sections, entry, entry.name))
    return tuple(checks.values())


def _check(sections: Sections, shape: CheckShapes, name: str) -> Check:
    match shape:
        case TlsCheckShape():
            return _tls_check(sections, shape, name)
        case TcpCheckShape():
            return _tcp_check(sections, shape, name)
        case ApiCheckShape():
            return api_check(sections, shape, name)
        case _:
            assert_never(shape)


def _blackbox(sections: Sections, shape: BlackboxShape | None) -> Blackbox | None:
    """What may be asked for at ``/probe``; modules are checks without a list of targets."""
    if shape is None:
        return None
    file = sections.file
    if not shape.modules:
        file.problem(shape.at("modules"), "write at least one module, such as tls: {kind: tls}")
    sections.labels[ASKED] = {}
    modules: dict[str, Module] = {}
    for name, entry in shape.modules.items():
        unfit = [key for key in NEVER if key in entry.written()]
        for key in unfit:
            file.problem(entry.key_position(key), f"a module has no {key}; leave it out")
        if unfit:
            continue
        modules[name] = Module(
            _check(sections, entry, ASKED + name),
            entry.timeout,
            prefer=4 if entry.prefer == "ip4" else 6,
            fallback=entry.fallback,
        )
    return file.built(
        Blackbox, shape, modules=MappingProxyType(modules), targets=tuple(shape.targets)
    )


def _region_sources(file: ConfigFile, shape: RegionShape | None) -> tuple[RegionSource, ...]:
    """Each source once, in the order written."""
    if shape is None:
        return ()
    file.one_of(shape, "name", "from", required=False)
    return tuple(dict.fromkeys(shape.sources))


# ---------------------------------------------------------------- TLS checks


def _tcp_check(sections: Sections, shape: TcpCheckShape, name: str) -> TlsCheck:
    file, defaults = sections.file, sections.defaults
    interval, timeout = times(sections, shape)
    inherited: dict[str, object] = {}
    if shape.edge_series is None and defaults.edge_series is not None:
        inherited["edge_series"] = defaults.edge_series
    targets = sections.targets_of(shape)
    if shape.port is None and targets != ASKED:
        file.problem(shape.node, "no port is usual for tcp; write port:, for targets without one")
    return file.built(
        TlsCheck,
        shape,
        **inherited,
        port=shape.port or 0,
        name=name,
        targets=targets,
        providers=sections.providers_of(shape) or (LIVE,),
        interval=interval,
        timeout=timeout,
        confirm=Confirmation(**_written(defaults.confirm, shape.confirm)),
        addresses=sections.addresses_of(shape),
        plain=True,
    )


def _tls_check(sections: Sections, shape: TlsCheckShape, name: str) -> TlsCheck:
    file, defaults = sections.file, sections.defaults
    interval, timeout = times(sections, shape)
    inherited: dict[str, object] = {}
    if profiles := client_profiles(file, shape.profiles) or sections.profiles:
        inherited["profiles"] = profiles
    if shape.edge_series is None and defaults.edge_series is not None:
        inherited["edge_series"] = defaults.edge_series
    check = file.built(
        TlsCheck,
        shape,
        **inherited,
        name=name,
        targets=sections.targets_of(shape),
        providers=sections.providers_of(shape) or (LIVE,),
        interval=interval,
        timeout=timeout,
        expect=_expectations(file, shape.expect),
        trust=trust(file, shape.trust) or sections.trust,
        confirm=Confirmation(**_written(defaults.confirm, shape.confirm)),
        consensus=ConsensusRule(**_written(defaults.consensus, shape.consensus)),
        addresses=sections.addresses_of(shape),
    )
    if any(profile.client_certificate is not None for profile in check.profiles):
        sections.refuse_plain_list(shape, check.targets)
    _check_alpn(file, shape, check)
    _check_records(file, shape)
    _check_staple(file, shape, check)
    return check


def _expectations(file: ConfigFile, shape: ChainShape | None) -> ChainExpectations:
    """What a chain must be; a list of logs must be there, and be one."""
    if shape is None or shape.ct_log_list is None:
        return file.built(ChainExpectations, shape)
    path, where = file.absolute(shape.ct_log_list), shape.at("ct_log_list")
    if shape.ct == "ignore":
        file.problem(where, "ct: ignore does not use a log list; remove ct_log_list or ct: ignore")
    elif not Path(path).is_file():
        message = f"there is no file {path}; paths are relative to the configuration file"
        file.problem(where, message)
    elif file.strict:
        try:
            read_log_list(path)
        except DocumentError as error:
            file.problem(where, str(error.problems[0]))
    return file.built(ChainExpectations, shape, ct_log_list=path)


def _written(*shapes: Shape | None) -> dict[str, Any]:
    """What is written in the shapes, later ones first."""
    return {key: value for one in shapes if one for key, value in one.written().items()}


def _check_records(file: ConfigFile, shape: TlsCheckShape) -> None:
    if "HTTPS" in shape.records and shape.starttls is not None:
        message = f"HTTPS records do not apply to {shape.starttls}; remove HTTPS"
        file.problem(shape.at("records"), message)
    if shape.caa_issuers and "CAA" not in shape.records:
        message = "CAA records are not looked up; write records: [CAA], or remove this key"
        file.problem(shape.at("caa_issuers"), message)


def _check_alpn(file: ConfigFile, shape: TlsCheckShape, check: TlsCheck) -> None:
    if shape.expect is None or check.expect.alpn is None:
        return
    for profile in check.profiles:
        if check.expect.alpn not in profile.alpn:
            file.problem(
                shape.expect.at("alpn"),
                f"the profile {quoted(profile.name)} does not offer {quoted(check.expect.alpn)}, "
                f"so no server can choose it; {instead(check.expect.alpn, profile.alpn)}",
            )


def _check_staple(file: ConfigFile, shape: TlsCheckShape, check: TlsCheck) -> None:
    if shape.expect is None or check.expect.ocsp != "require":
        return
    for profile in check.profiles:
        if profile.kind in NO_STAPLE:
            file.problem(
                shape.expect.at("ocsp"),
                f"the profile {quoted(profile.name)} requests no stapled OCSP response, as "
                f"{profile.kind} does not, so none can be required; write a separate check for it",
            )
