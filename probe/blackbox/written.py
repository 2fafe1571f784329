"""Puts a configuration of ours together from foreign modules and jobs: files, not written yet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from probe.blackbox.jobs import ForeignJob, JobReader
from probe.blackbox.modules import ForeignModule, ModuleReader
from probe.blackbox.section import Losses
from probe.documents.compose import compose
from probe.documents.files import decode, read_bytes
from probe.documents.nodes import Node, Position
from probe.documents.problem import DocumentError, Problem
from probe.http.url import BadUrl, clean_url, origin_at
from probe.model.target import AddressRules, Target
from probe.net.addresses import refusal
from probe.net.names import NameProblem, bracketed, parse_target

CONFIGURATION = "probe.yaml"
_MOST_BYTES = 16 * 1024 * 1024
_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
_NOWHERE = "write-what-may-be-probed.invalid"
_SHORTEST, _LONGEST = 0.05, 600.0
_OVER_TLS = "it has no https://, and credentials go over TLS only"
_ANY_PAGE = ("http://", "/")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_HEAD = """\
# Written by `probe import`: see `probe validate {}` and `probe check --config {}`.
# Scheduled checks probe every address. The section blackbox: answers old scrape jobs at /probe.

"""


@dataclass(slots=True)
class Imported:
    """What an import writes.

    Attributes:
        files: content by path relative to the configuration's folder.
        secrets: likewise, for nobody but their owner.
        losses: what is not carried over in full.
    """

    files: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    losses: Losses = field(default_factory=Losses)


def imported(blackbox: Path, prometheus: Path | None) -> Imported:
    """Read both files. Raises DocumentError for one that cannot be read."""
    made = Imported()

    def keep(name: str, value: str) -> str:
        plain = path = f"secrets/{re.sub(r'[^A-Za-z0-9._-]', '-', name)}"
        number = 1
        while made.secrets.setdefault(path, value) != value:
            number += 1
            path = f"{plain}-{number}"
        return f"file:{path}"

    modules = ModuleReader(blackbox, made.losses, keep).read(_root(blackbox))
    jobs = [] if prometheus is None else JobReader(prometheus, made.losses).read(_root(prometheus))
    _Writer(made, modules, str(prometheus or blackbox)).write(jobs)
    made.losses.found.sort()
    return made


def _root(path: Path) -> Node:
    root, problems = compose(decode(read_bytes(path, _MOST_BYTES), str(path)), str(path))
    if root is None:
        raise DocumentError(*problems or [Problem(str(path), 1, 1, "the file is empty")])
    return root


@dataclass(slots=True)
class _Group:
    """Targets that one check probes.

    Attributes:
        url: beginning and end of the URL of a call, around the target.
    """

    module: ForeignModule
    url: tuple[str, str] = ("", "")
    targets: list[tuple[Target, Mapping[str, str]]] = field(default_factory=list)
    source: dict[str, Any] | None = None


class _Writer:
    def __init__(self, made: Imported, modules: Mapping[str, ForeignModule], file: str) -> None:
        self._made = made
        self._modules = modules
        self._file = file
        self._checks: list[dict[str, Any]] = []
        self._providers: dict[str, Any] = {}
        self._hosts: dict[str, dict[str, None]] = {}
        self._allowed: dict[str, None] = {}

    def write(self, jobs: Iterable[ForeignJob]) -> None:
        for job in jobs:
            groups = self._groups(job)
            for number, group in enumerate(groups):
                name = _fit(job.name if number == 0 else f"{job.name}-{number + 1}")
                self._check(job, name, group)
        document: dict[str, Any] = {
            "region": "local",
            "defaults": {"interval": "1m", "trust": "system"},
        }
        if self._allowed:
            document["addresses"] = {"allow": list(self._allowed)}
        if self._providers:
            document["providers"] = self._providers
        if self._checks:
            document["checks"] = self._checks
        if self._modules:
            document["blackbox"] = self._blackbox()
        text = _dumped(document)
        head = _HEAD.format(CONFIGURATION, CONFIGURATION)
        self._made.files[CONFIGURATION] = head + text

    # ------------------------------------------------------------ what a job probes

    def _groups(self, job: ForeignJob) -> list[_Group]:
        groups: dict[tuple[str, ...], _Group] = {}
        for one in job.targets:
            module = self._known(job, one.module)
            if module is None:
                continue
            try:
                target, url = _split(module, one.target)
            except (NameProblem, BadUrl) as problem:
                self._lose(job.position, f"a target of {job.name}", str(problem))
                continue
            if module.secret and url[0] == "http://":
                self._lose(job.position, f"a target of {job.name}", _OVER_TLS)
                continue
            key = (one.module, *url)
            groups.setdefault(key, _Group(module, url)).targets.append((target, one.labels))
            self._note(module, target)
        for path, name, hosts in job.files:
            module = self._known(job, name)
            if module is not None and module.secret and module.kind == "api":
                self._lose(job.position, f"file_sd_configs of {job.name}", _OVER_TLS)
            elif module is not None:
                source = {"files": [path]}
                groups[name, path] = _Group(module, _ANY_PAGE, source=source)
                for host in hosts:
                    self._note(module, parse_target(host))
        for address, name in job.urls:
            module = self._known(job, name)
            if module is None:
                continue
            if module.secret:
                why = f"the hosts of {address} are not known, and credentials go to known ones"
                self._lose(job.position, f"http_sd_configs of {job.name}", why)
                continue
            why = "its entries must be host:port; URLs among them are refused"
            self._lose(job.position, f"http_sd_configs of {job.name}", why)
            groups[name, address] = _Group(module, _ANY_PAGE, source={"http": [address]})
        return list(groups.values())

    def _known(self, job: ForeignJob, name: str) -> ForeignModule | None:
        module = self._modules.get(name)
        if module is None:
            self._lose(job.position, f"{job.name}", f"the module {name} has no counterpart")
        return module

    def _note(self, module: ForeignModule, target: Target) -> None:
        """Note a host that is probed, and an address that is refused unless it is allowed."""
        self._hosts.setdefault(module.name, {})[target.label] = None
        if target.name.rpartition(".")[2] == "localhost":
            self._allowed |= dict.fromkeys(("127.0.0.0/8", "::1/128"))
        elif _is_address(target.name) and refusal(target.name, AddressRules()) is not None:
            self._allowed[target.name] = None

    # ------------------------------------------------------------ checks

    def _check(self, job: ForeignJob, name: str, group: _Group) -> None:
        module = group.module
        source = group.source
        if source is None:
            path = f"targets/{name}.yaml"
            self._made.files[path] = _target_file(group.targets)
            source = {"files": [path]}
        check: dict[str, Any] = {"name": name, "kind": module.kind, "targets": source}
        if (interval := _seconds(job.interval)) is not None:
            check["interval"] = _written(max(interval, 1.0))
        settings = dict(module.settings)
        timeout, longest = _time_out(settings.get("timeout")), interval or 60.0
        if timeout is not None:
            settings["timeout"] = _written(min(timeout, longest))
        check |= settings
        if provider := self._provider(module):
            check["providers"] = [provider]
            if module.fallback:
                why = (
                    "the check asks for IPv4 alone, so a target with IPv6 alone fails; "
                    f"remove providers: [{provider}] from it to probe every address"
                )
                self._lose(job.position, f"preferred_ip_protocol of {name}", why)
        if module.kind == "tcp":
            check["port"] = next((one.port for one, _ in group.targets if one.port), 80)
        if module.kind == "api":
            check |= self._call(module, group.url[0] + "{target}" + _literal(group.url[1]))
            if module.secret:
                check["hosts"] = _names(target.name for target, _ in group.targets) or _names(
                    parse_target(label).name for label in self._hosts.get(module.name, ())
                )
            if module.only_tls and group.url[0] == "http://":
                why = "the URL begins with http://, and no check demands that a redirect leaves it"
                self._lose(job.position, f"fail_if_not_ssl of {module.name}", why)
        self._checks.append(check)

    def _provider(self, module: ForeignModule) -> str | None:
        """The provider that asks for one IP version, where the module wants one."""
        if module.prefer == "ip4" or (module.prefer == "ip6" and not module.fallback):
            version = int(module.prefer[-1])
            self._providers.setdefault(module.prefer, {"dns": {"families": [version]}})
            return module.prefer
        return None

    def _call(self, module: ForeignModule, url: str) -> dict[str, Any]:
        """The steps of a call, and its login."""
        step: dict[str, Any] = {"name": "probe"}
        if module.method.upper() in _METHODS:
            step[module.method.lower()] = url
        else:
            step |= {"method": module.method, "url": url}
        step |= module.call
        made: dict[str, Any] = {}
        if module.auth is not None:
            step["auth"] = "login"
            made["auth"] = {"login": module.auth}
        return {**made, "steps": [step]}

    # ------------------------------------------------------------ blackbox:

    def _blackbox(self) -> dict[str, Any]:
        every = dict.fromkeys(host for hosts in self._hosts.values() for host in hosts)
        modules: dict[str, Any] = {}
        for module in self._modules.values():
            entry: dict[str, Any] = {"kind": module.kind, **module.settings}
            if (timeout := _time_out(entry.get("timeout"))) is not None:
                entry["timeout"] = _written(timeout)
            if module.prefer is not None:
                entry["prefer"] = module.prefer
            if not module.fallback:
                entry["fallback"] = False
            if module.kind == "api":
                entry |= self._call(module, "{target.url}")
                if module.secret:
                    seen = (parse_target(label).name for label in self._hosts.get(module.name, ()))
                    entry["hosts"] = _names(seen) or [_NOWHERE]
                    if entry["hosts"] == [_NOWHERE]:
                        why = "no scrape job names a target; write which hosts get its credentials"
                        self._lose(Position(1, 1), f"modules.{module.name}", why)
            modules[module.name] = entry
        if not every:
            why = "no scrape job names a target; write what may be probed at /probe"
            self._lose(Position(1, 1), "targets", why)
        return {"targets": sorted(every) or [_NOWHERE], "modules": modules}

    def _lose(self, where: Position, what: str, why: str) -> None:
        self._made.losses.add(self._file, where, what, why)


def _split(module: ForeignModule, written: str) -> tuple[Target, tuple[str, str]]:
    """The target of a check, and what stands around it in a URL. Raises NameProblem or BadUrl."""
    if module.kind != "api":
        target = parse_target(written)
        if target.port is None:
            raise NameProblem("it has no port")
        return target, ("", "")
    url = clean_url(written if "://" in written.partition("?")[0] else f"http://{written}")
    origin = origin_at(url)
    scheme, _, rest = url.partition("://")
    authority = re.match(r"[^/?#]*", rest)
    path = rest[len(authority[0]) if authority else 0 :]
    usual = {"http": 80, "https": 443}[origin.scheme] == origin.port
    host = origin.host.strip("[]")
    target = Target(host, None if usual else origin.port)
    return target, (f"{scheme}://", path if path.startswith("/") else f"/{path}")


def _target_file(targets: Iterable[tuple[Target, Mapping[str, str]]]) -> str:
    """A list in the format of file_sd; targets with the same labels stand together."""
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for target, labels in targets:
        groups.setdefault(tuple(sorted(labels.items())), []).append(target.label)
    document = [
        {"targets": list(dict.fromkeys(names)), **({"labels": dict(labels)} if labels else {})}
        for labels, names in groups.items()
    ]
    return _dumped(document)


class _Plain(yaml.SafeDumper):
    """Writes everything out: a reader should find no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _dumped(document: Any) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, width=100, allow_unicode=True)


def _seconds(duration: Any) -> float | None:
    """The seconds of a duration as Prometheus writes it; None for none."""
    parts = re.findall(r"([0-9.]+)(ms|[smhd])", str(duration or ""))
    return sum(float(count) * _UNITS[unit] for count, unit in parts) if parts else None


def _time_out(duration: Any) -> float | None:
    """The same for a time-out, as far as ours may go."""
    seconds = _seconds(duration)
    return None if seconds is None else min(max(seconds, _SHORTEST), _LONGEST)


def _written(seconds: float) -> str:
    return f"{seconds:g}s" if seconds == int(seconds) else f"{round(seconds * 1000)}ms"


def _names(hosts: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(hosts))


def _is_address(name: str) -> bool:
    return bracketed(name) != name or re.fullmatch(r"[0-9.]+", name) is not None


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _fit(name: str) -> str:
    """A name as one that ours takes."""
    fit = re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:60]
    return fit if fit[:1].isalnum() else f"m{fit}"
