"""Targets: written in the configuration, or in Prometheus ``file_sd`` files beside it."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from probe.config.document.compose import compose
from probe.config.document.json_text import compose_json
from probe.config.document.nodes import Mapping, Node, Place, Scalar, Sequence, at, keys, lost
from probe.config.document.source import MissingFile, decode, read_bytes
from probe.config.explain import found
from probe.config.problem import ConfigError, nearest, unknown
from probe.config.resolve.site import Site
from probe.config.shape.world import LABEL, GroupShape
from probe.model.target import Target
from probe.net.names import NameProblem, parse_target, quoted

MOST_BYTES = 32 * 1024 * 1024
MOST_VALUES = 2_000_000
_ENDINGS = (".yaml", ".yml", ".json")
_GROUP_KEYS = ("targets", "labels")
Seen = dict[tuple[str, int | None], str]
"""Where each target of a list stands: names a place for messages about repeated ones."""


def static_targets(
    site: Site, groups: list[GroupShape], node: Node, seen: Seen
) -> tuple[Target, ...]:
    """The targets of ``static`` groups."""
    targets = []
    for index, group in enumerate(groups):
        if lost(at(node, index), "targets"):
            continue
        names = at(node, index, "targets")
        for position, name in enumerate(group.targets):
            target = _target(site, name, dict(group.labels), at(names, position).place, seen)
            if target is not None:
                targets.append(target)
    return tuple(targets)


def _target(
    site: Site, text: str, labels: dict[str, str], place: Place, seen: Seen
) -> Target | None:
    try:
        target = parse_target(text, MappingProxyType(labels) if labels else None)
    except NameProblem as problem:
        site.problem(place, str(problem))
        return None
    key = (target.name, target.port)
    if key in seen:
        site.problem(place, f"the target {quoted(text)} stands already at {seen[key]}; remove one")
        return None
    seen[key] = f"{site.file}:{place.line}"
    return target


# ---------------------------------------------------------------- files


def target_files(site: Site, written: list[str], node: Node, seen: Seen) -> list[Target]:
    """The targets of all files that ``files`` names, problems noted at the entry or inside."""
    targets: list[Target] = []
    read: set[Path] = set()  # a glob may give what another entry names
    for index, entry in enumerate(written):
        where = at(node, index)
        for path in _paths(site, entry, where):
            if path in read:
                continue
            read.add(path)
            try:
                targets += read_targets(Site(str(path), site.problems), path, seen)
            except MissingFile:
                site.problem(where, _missing_file(path, entry))
            except ConfigError as error:
                site.problems.extend(error.problems)
    return targets


def _paths(site: Site, written: str, where: Node) -> Iterator[Path]:
    path = site.beside(written)
    if not written.endswith(_ENDINGS):
        site.problem(where, f"{quoted(written)} must end in .yaml, .yml or .json")
        return
    folder, last = path.parent, path.name
    if any(c in str(folder) for c in "*?["):
        site.problem(where, "a glob is allowed in the last part of the path only")
        return
    if not any(c in last for c in "*?["):
        yield path
        return
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        site.problem(
            where, f"the folder {quoted(str(folder), 400)} cannot be read: {error.strerror}"
        )
        return
    yield from (folder / name for name in names if fnmatch.fnmatchcase(name, last))


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


def read_targets(site: Site, path: Path, seen: Seen) -> list[Target]:
    """The targets of one ``file_sd`` file (YAML or JSON), problems noted in ``site``.

    Raises:
        ConfigError: the file cannot be read at all.
    """
    text = decode(read_bytes(path, MOST_BYTES), site.file)
    if not text.strip():
        site.problem(Place(1, 1), "the file is empty; write [] for a list without targets")
        return []
    read = compose_json if path.suffix == ".json" else compose
    root, problems = read(text, site.file, MOST_VALUES)
    site.problems.extend(problems)
    if root is None:
        return []
    if not isinstance(root, Sequence):
        site.problem(
            root, f"expected a list of groups, found {found(root)}; write - targets: [shop.example]"
        )
        return []
    return [target for group in root.items for target in _group(site, group, seen)]


def _group(site: Site, group: Node, seen: Seen) -> Iterator[Target]:
    if not isinstance(group, Mapping):
        site.problem(
            group, f"expected a group, found {found(group)}; write - targets: [shop.example]"
        )
        return
    for key in keys(group):
        if key not in _GROUP_KEYS:
            site.problem(group.entries[key].place, unknown("key", key, _GROUP_KEYS))
    labels = _labels(site, group)
    names = group.entries.get("targets")
    if names is None:
        site.problem(group, '"targets" is missing; write for example targets: [shop.example]')
    elif not isinstance(names.value, Sequence):
        site.problem(
            names.value, f"expected a list, found {found(names.value)}; put it in brackets"
        )
    else:
        for name in names.value.items:
            if not isinstance(name, Scalar) or not isinstance(name.value, str):
                site.problem(name, f"expected a name, found {found(name)}")
            elif (target := _target(site, name.text, labels, name.place, seen)) is not None:
                yield target


def _labels(site: Site, group: Mapping) -> dict[str, str]:
    entry = group.entries.get("labels")
    if entry is None or (isinstance(entry.value, Scalar) and entry.value.value is None):
        return {}
    if not isinstance(entry.value, Mapping):
        site.problem(entry.value, f"expected a mapping of labels, found {found(entry.value)}")
        return {}
    labels = {}
    for name, label in entry.value.entries.items():
        if not LABEL.match(name):
            site.problem(
                label.place,
                f"{quoted(name)} cannot be a label; use letters, digits and underscores",
            )
        elif not isinstance(label.value, Scalar):
            site.problem(label.value, f"expected text, found {found(label.value)}")
        else:
            labels[name] = label.value.text  # as written, like Prometheus: 1.10 stays 1.10
    return labels
