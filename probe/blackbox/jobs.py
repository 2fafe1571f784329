"""Scrape jobs of Prometheus that ask a blackbox_exporter, read as what they probe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probe.blackbox.relabel import CannotRelabel, RelabelRule, relabelled
from probe.blackbox.section import Losses, Section
from probe.documents.compose import compose
from probe.documents.files import decode, matching, read_bytes
from probe.documents.nodes import MappingNode, Node, Position, SequenceNode, to_data
from probe.documents.problem import DocumentError

_MOST_BYTES = 64 * 1024 * 1024
_ASKED = "http://blackbox.invalid"
_PLAIN = {
    "job_name", "metrics_path", "scheme", "scrape_interval", "scrape_timeout", "honor_labels",
    "honor_timestamps", "sample_limit", "metric_relabel_configs", "tls_config", "basic_auth",
    "authorization", "follow_redirects", "scrape_protocols", "enable_http2",
}  # fmt: skip
"""Keys of a job that concern the scrape of the exporter itself, not what is probed."""


@dataclass(frozen=True, slots=True)
class Probed:
    """One thing that a job probes, by one module."""

    module: str
    target: str
    labels: Mapping[str, str]


@dataclass(slots=True)
class ForeignJob:
    """What a job probes.

    Attributes:
        targets: from static_configs and file_sd_configs, relabelled.
        files: file_sd files whose entries may be used as they stand, their module and entries.
        urls: http_sd URLs whose entries are probed as they come, and their module.
        interval: as written; None where the global one counts.
    """

    name: str
    position: Position
    targets: list[Probed] = field(default_factory=list)
    files: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    urls: list[tuple[str, str]] = field(default_factory=list)
    interval: str | None = None


class JobReader:
    """Reads the scrape jobs of one file.

    Args:
        file: its path; files that it names are relative to it.
        losses: grows.
    """

    def __init__(self, file: Path, losses: Losses) -> None:
        self._file = file
        self._losses = losses

    def read(self, root: Node | None) -> list[ForeignJob]:
        """Every job that asks for ``/probe``."""
        whole = Section(root, str(self._file), self._losses)
        interval = whole.section("global").take("scrape_interval")
        found = []
        for section in whole.sections("scrape_configs"):
            if section.take("metrics_path") == "/probe":
                found.append(self._job(section, interval))
        return found

    def _job(self, section: Section, interval: Any) -> ForeignJob:
        own = section.take("scrape_interval") or interval
        job = ForeignJob(str(section.take("job_name")), section.position)
        job.interval = None if own is None else str(own)
        parameters = section.section("params")
        given = {
            f"__param_{key}": _first(parameters.take(key)) for key in list(parameters.node.entries)
        }
        rules = [_rule(one) for one in section.sections("relabel_configs")]
        known = {key: value for key, value in given.items() if value}
        for key in known:
            if key not in {"__param_module", "__param_target"}:
                parameters.lose(key.removeprefix("__param_"), "only module and target are known")
        self._static(job, section, rules, known)
        self._files(job, section, rules, known)
        self._urls(job, section, rules, known)
        for key in _PLAIN:
            section.take(key)
        section.rest(
            dict.fromkeys(
                (key for key in section.node.entries if key.endswith("_sd_configs")),
                "targets of this discovery are not known here; write them into a file or http_sd",
            )
        )
        return job

    def _static(
        self, job: ForeignJob, section: Section, rules: list[RelabelRule], given: Mapping[str, str]
    ) -> None:
        node = section.node.entries.get("static_configs")
        section.take("static_configs")
        for target, labels in _groups(node):
            self._add(job, section, rules, {**given, **labels}, target)

    def _files(
        self, job: ForeignJob, section: Section, rules: list[RelabelRule], given: Mapping[str, str]
    ) -> None:
        for source in section.sections("file_sd_configs"):
            source.take("refresh_interval")
            for written in source.texts("files"):
                pattern = (self._file.parent / written).absolute()
                for path in matching(pattern):
                    self._from_file(job, section, rules, given, path)
                if not matching(pattern):
                    why = f"there is no file {written} now; its targets are left out"
                    self._losses.add(section.file, source.position, source.name, why)
            source.rest({})

    def _from_file(
        self,
        job: ForeignJob,
        section: Section,
        rules: list[RelabelRule],
        given: Mapping[str, str],
        path: Path,
    ) -> None:
        try:
            root, problems = compose(decode(read_bytes(path, _MOST_BYTES), str(path)), str(path))
        except DocumentError as error:
            self._losses.found += error.problems
            return
        self._losses.found += problems
        entries = list(_groups(root))
        probed = [
            one
            for target, labels in entries
            if (one := self._probed(section, rules, {**given, **labels}, target)) is not None
        ]
        modules = {one.module for one in probed}
        as_they_stand = len(probed) == len(entries) and all(
            one.target == target and "/" not in target and one.labels == _kept(labels)
            for one, (target, labels) in zip(probed, entries, strict=True)
        )
        if as_they_stand and len(modules) == 1:
            job.files.append((str(path), modules.pop(), tuple(one.target for one in probed)))
            return
        job.targets += probed
        why = (
            f"{path.name} holds URLs, or entries or labels that relabelling changes; they were "
            "copied as they are now, and later changes of it are not followed"
        )
        self._losses.add(section.file, section.position, "file_sd_configs", why)

    def _urls(
        self, job: ForeignJob, section: Section, rules: list[RelabelRule], given: Mapping[str, str]
    ) -> None:
        for source in section.sections("http_sd_configs"):
            source.take("refresh_interval")
            url = str(source.take("url"))
            try:
                found = relabelled({**given, "__address__": _ASKED}, rules) or {}
            except CannotRelabel as error:
                self._losses.add(section.file, source.position, source.name, str(error))
                continue
            if found.get("__param_target") != _ASKED or "__param_module" not in found:
                why = "relabelling changes its entries, or takes the module from them"
                self._losses.add(section.file, source.position, source.name, why)
            elif source.node.entries.keys() - {"url", "refresh_interval"}:
                source.rest(dict.fromkeys(source.node.entries, "write authorization: by hand"))
                job.urls.append((url, found["__param_module"]))
            else:
                job.urls.append((url, found["__param_module"]))

    def _add(
        self,
        job: ForeignJob,
        section: Section,
        rules: list[RelabelRule],
        labels: Mapping[str, str],
        target: str,
    ) -> None:
        found = self._probed(section, rules, labels, target)
        if found is not None:
            job.targets.append(found)

    def _probed(
        self, section: Section, rules: list[RelabelRule], labels: Mapping[str, str], target: str
    ) -> Probed | None:
        """What relabelling makes of one entry; None when it is dropped."""
        try:
            found = relabelled({**labels, "__address__": target}, rules)
        except CannotRelabel as error:
            self._losses.add(section.file, section.position, "relabel_configs", str(error))
            return None
        if found is None:
            return None
        asked = found.get("__param_target", "")
        if not asked:
            why = "relabelling gives no target= for an entry, which is left out"
            self._losses.add(section.file, section.position, "relabel_configs", why)
            return None
        return Probed(found.get("__param_module", "http_2xx"), asked, _kept(found))


def _kept(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that series have; an empty one is none."""
    return {k: v for k, v in labels.items() if v and not k.startswith("__") and k != "instance"}


def _groups(node: Node | None) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Each target of target groups, with its labels."""
    for group in node.items if isinstance(node, SequenceNode) else ():
        if not isinstance(group, MappingNode):
            continue
        data = to_data(group)
        labels = {str(k): str(v) for k, v in (data.get("labels") or {}).items()}
        for target in data.get("targets") or ():
            yield str(target), labels


def _rule(section: Section) -> RelabelRule:
    taken = {key: section.take(key) for key in list(section.node.entries)}
    named: dict[str, Any] = {
        "action": str(taken.get("action") or "replace").lower(),
        "source": tuple(map(str, _listed(taken.get("source_labels")))),
    }
    for theirs, ours in (
        ("separator", "separator"),
        ("regex", "regex"),
        ("target_label", "target"),
        ("replacement", "replacement"),
    ):
        if taken.get(theirs) is not None:
            named[ours] = str(taken[theirs])
    return RelabelRule(**named)


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _first(value: Any) -> str:
    return next(map(str, _listed(value)), "")
