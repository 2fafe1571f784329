"""The one reader of target lists: Prometheus ``file_sd`` (YAML or JSON) and ``http_sd`` (JSON).

A list is an array of groups, ``{targets: [name, …], labels: {key: value}}``. Everything that is
wrong has its line and column. What is wrong with the document as a whole refuses all of it; what
is wrong with an entry, a label or a group costs that alone, so that one typing mistake does not
freeze thousands of others. A running agent goes on with the rest; ``probe validate`` is strict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from probe.documents.compose import compose, compose_json
from probe.documents.files import decode, read_bytes
from probe.documents.nodes import (
    MappingNode,
    Node,
    Position,
    ScalarNode,
    SequenceNode,
    as_written,
    found,
)
from probe.documents.problem import MOST_PROBLEMS, DocumentError, Problem, unknown
from probe.model.target import Target
from probe.net.names import NameProblem, parse_target, quoted

MOST_BYTES = 32 * 1024 * 1024
MOST_VALUES = 2_000_000
MOST_TARGETS = 200_000
"""Entries in one document; a small text can stand for many through YAML's aliases."""

LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_KEYS = ("targets", "labels")

Seen = dict[tuple[str, int | None], str]
"""Where each target of a list stands, as ``file:line``."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What a document holds.

    Attributes:
        targets: in the order written, repeated ones included.
        rejected: number of entries, labels and groups that cannot be used.
        problems: what is wrong with the first ``MOST_PROBLEMS`` of them.
        notes: targets that stand in ``seen`` already, when that was given.
        over: number of targets left out because there are more than were asked for.
        digest: equal for equal targets; empty where nobody worked it out.
    """

    targets: tuple[Target, ...]
    rejected: int = 0
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    over: int = 0
    digest: bytes = b""


def read_file(path: Path, seen: Seen | None = None, most: int = MOST_TARGETS) -> Listed:
    """The targets of a file. Blocks.

    Args:
        path: JSON when it ends in ``.json``, else YAML.
        seen: as for ``read_list``.
        most: as for ``read_list``.

    Raises:
        DocumentError: the file or its content as a whole cannot be used.
    """
    syntax: Literal["json", "yaml"] = "json" if path.suffix == ".json" else "yaml"
    return read_list(read_bytes(path, MOST_BYTES), syntax, str(path), seen, most)


def load_targets(path: Path) -> tuple[Target, ...]:
    """The targets of a file in which nothing may be wrong. Blocks.

    Raises:
        DocumentError: with every problem of the file and its entries.
    """
    listed = read_file(path)
    if listed.problems:
        raise DocumentError(*listed.problems)
    return listed.targets


def read_list(
    data: bytes,
    syntax: Literal["json", "yaml"],
    file: str,
    seen: Seen | None = None,
    most: int = MOST_TARGETS,
) -> Listed:
    """The targets of a document.

    Scalars are text as written, whatever they look like (``1e3``, ``yes``, ``1.10``), which is
    how Prometheus reads target files.

    Args:
        data: UTF-8.
        syntax: of the document.
        file: stands in the problems.
        seen: where the targets before it stand; grows. Given, repeated targets get a note.
        most: targets that are given back, the first ones; the rest is counted.

    Raises:
        DocumentError: the document as a whole cannot be used, or no entry of it.
    """
    text = decode(data, file)
    if not text.strip():
        message = "the target list is empty; write [] for a list without targets"
        raise DocumentError(Problem(file, 1, 1, message))
    read = compose_json if syntax == "json" else compose
    root, problems = read(text, file, MOST_VALUES, as_written)
    if root is None and problems:
        raise DocumentError(*problems)
    if not isinstance(root, SequenceNode):
        where = root.position if root is not None else Position(1, 1)
        what = found(root) if root is not None else "nothing"
        message = f"expected a list of groups, found {what}; write - targets: [shop.example]"
        raise DocumentError(Problem(file, where.line, where.column, message))
    reader = _Reader(file, problems, seen)
    targets = tuple(target for group in root.items for target in reader.group(group))
    if reader.problems and not targets:
        raise DocumentError(*reader.problems)
    problems, notes = sorted(reader.problems), reader.notes
    over = max(0, len(targets) - most)
    return Listed(targets[:most], reader.rejected, tuple(problems), tuple(notes), over)


class _Reader:
    """Reads groups, and keeps what is wrong with them.

    Attributes:
        problems: the first ``MOST_PROBLEMS``.
        rejected: all of them, counted.
        notes: likewise the first, on repeated targets.
    """

    def __init__(self, file: str, problems: list[Problem], seen: Seen | None) -> None:
        self.problems = problems
        self.rejected = len(problems)
        self.notes: list[Problem] = []
        self._file = file
        self._seen = seen
        self._entries = 0

    def group(self, group: Node) -> Iterator[Target]:
        """The targets of one group."""
        if not isinstance(group, MappingNode):
            message = f"expected a group, found {found(group)}; write - targets: [shop.example]"
            self._problem(group.position, message)
            return
        for key, position in group.keys.items():
            if key not in _KEYS:
                self._problem(position, unknown("key", key, _KEYS))
        labels = self._labels(group)
        match group.entries.get("targets"):
            case None:
                message = '"targets" is missing; write for example targets: [shop.example]'
                self._problem(group.position, message)
            case SequenceNode() as names:
                for name in names.items:
                    yield from self._target(name, labels)
            case ScalarNode(value=None):
                pass
            case other:
                message = f"expected a list, found {found(other)}; put it in brackets"
                self._problem(other.position, message)

    def _target(self, node: Node, labels: Mapping[str, str]) -> Iterator[Target]:
        self._entries += 1
        if self._entries > MOST_TARGETS:
            message = f"there are more than {MOST_TARGETS} entries; split the list"
            raise DocumentError(self._at(node.position, message))
        if not isinstance(node, ScalarNode) or node.value is None:
            self._problem(node.position, f"expected a name, found {found(node)}")
            return
        try:
            target = parse_target(node.text, labels)
        except NameProblem as problem:
            self._problem(node.position, str(problem))
            return
        self._note_repeated(target, node)
        yield target

    def _note_repeated(self, target: Target, node: ScalarNode) -> None:
        if self._seen is None:
            return
        key = (target.name, target.port)
        first = self._seen.get(key)
        if first is None:
            self._seen[key] = f"{self._file}:{node.position.line}"
        elif len(self.notes) < MOST_PROBLEMS:
            message = f"duplicate target {quoted(node.text)}, first defined at {first}"
            self.notes.append(self._at(node.position, message))

    def _labels(self, group: MappingNode) -> Mapping[str, str]:
        """Labels of a group; as in Prometheus, names that begin with ``__`` are not kept."""
        written = group.entries.get("labels")
        labels: dict[str, str] = {}
        if written is None or (isinstance(written, ScalarNode) and written.value is None):
            return labels
        if not isinstance(written, MappingNode):
            message = f"expected a mapping of labels, found {found(written)}"
            self._problem(written.position, message)
            return labels
        for name, value in written.entries.items():
            if not LABEL.match(name):
                message = (
                    f"{quoted(name)} is not a valid label name; use letters, digits and underscores"
                )
                self._problem(written.keys[name], message)
            elif not isinstance(value, ScalarNode):
                self._problem(value.position, f"expected text, found {found(value)}")
            elif not name.startswith("__"):
                labels[name] = "" if value.value is None else value.text
        return MappingProxyType(labels)

    def _problem(self, where: Position, message: str) -> None:
        self.rejected += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(self._at(where, message))

    def _at(self, where: Position, message: str) -> Problem:
        return Problem(self._file, where.line, where.column, message)
