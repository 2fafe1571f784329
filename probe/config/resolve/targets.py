"""Targets: written in the configuration, or in Prometheus ``file_sd`` files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from probe.config.resolve.site import Site
from probe.config.shape.world import GroupShape
from probe.documents.files import MissingFile, is_glob, matching
from probe.documents.nodes import Node, Place, at, lost
from probe.documents.problem import DocumentError, nearest
from probe.documents.targets import Seen, read_file
from probe.model.target import Target
from probe.net.names import NameProblem, parse_target, quoted

_ENDINGS = (".yaml", ".yml", ".json")


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
    """The targets of all files that ``files`` names.

    Only a strict site reads them: problems are noted at the entry or inside, and so are targets
    that stand in two places. For others it is enough that the entries can be understood.
    """
    targets: list[Target] = []
    read: set[Path] = set()  # a glob may give what another entry names
    for index, entry in enumerate(written):
        for path in _paths(site, entry, at(node, index)):
            if path in read:
                continue
            read.add(path)
            try:
                listed = read_file(path, seen)
            except MissingFile:
                site.problem(at(node, index), _missing_file(path, entry))
            except DocumentError as error:
                site.extend(error.problems)
            else:
                targets += listed.targets
                site.extend(listed.problems)
                site.notes += listed.notes
    return targets


def _paths(site: Site, written: str, where: Node) -> Iterator[Path]:
    """The files of an entry; none where it cannot be understood, or need not be read."""
    path = site.beside(written)
    if not written.endswith(_ENDINGS):
        site.problem(where, f"{quoted(written)} must end in .yaml, .yml or .json")
    elif is_glob(str(path.parent)):
        site.problem(where, "a glob is allowed in the last part of the path only")
    elif site.strict:
        try:
            yield from matching(path)
        except OSError as error:
            folder = quoted(str(path.parent), 400)
            site.problem(where, f"the folder {folder} cannot be read: {error.strerror}")


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
