"""Nodes to shapes: every wrong value becomes a problem, and what is right is still read.

pydantic reports all that is wrong with the file's shape, but gives nothing back then. So the
wrong parts are taken out of the tree (each has its problem) and the rest is read again, until
it reads: the names, times and templates of the right parts are then checked as well, and one
run reports everything.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from typing import Any

from pydantic import ValidationError

from probe.config.explain import explain, stand_in
from probe.config.shape.base import ReadAs
from probe.config.shape.file import FileShape
from probe.documents.nodes import (
    Entry,
    Mapping,
    Node,
    Place,
    Scalar,
    Sequence,
    child,
    from_data,
    key_place,
    to_data,
)
from probe.documents.problem import MOST_PROBLEMS, Problem

_MOST_ROUNDS = 30


def read(root: Mapping, file: str) -> tuple[FileShape | None, list[Problem]]:
    """The file's shape with the wrong parts left out of it (and out of the tree), and why.

    None when nothing of it can be read.
    """
    problems: list[Problem] = []
    for key in [key for key in root.entries if key.startswith("x-")]:
        del root.entries[key]  # a place for anchors, as in other tools' files
    for round_ in range(_MOST_ROUNDS):
        read_as = ReadAs()
        try:
            return FileShape.model_validate(to_data(root), context=read_as), problems
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
        trails = [_Trail(root, found["loc"], found["type"], read_as) for found in errors]
        if round_ == 0:  # later rounds find only what taking out has left behind
            problems = [
                trail.problem(file, found.get("ctx", {}))
                for trail, found in zip(trails[:MOST_PROBLEMS], errors, strict=False)
            ]
        if len(errors) >= MOST_PROBLEMS or not _take_out(trails, read_as):
            break
    return None, problems


def _take_out(trails: Many[_Trail], read_as: ReadAs) -> bool:
    """Take wrong values out of the tree; False when there is nothing left to take.

    Where something must stand, the example of its field takes the place: else the whole
    mapping around it would have to go, and what else is wrong in that would not be found.
    """
    wrong: dict[Node, set[str | int]] = {}
    for holder, part in filter(None, (trail.blame(read_as) for trail in trails)):
        wrong.setdefault(holder, set()).add(part)
    for holder, parts in wrong.items():
        if isinstance(holder, Sequence):
            holder.dropped += [item for i, item in enumerate(holder.items) if i in parts]
            holder.items = [item for i, item in enumerate(holder.items) if i not in parts]
        elif isinstance(holder, Mapping):
            shape = read_as.shapes.get(holder)
            for key in map(str, parts):
                _drop(holder, key, stand_in(shape, key) if shape else None)
    return bool(wrong)


def _drop(holder: Mapping, key: str, example: object) -> None:
    entry = holder.entries.pop(key, Entry(holder.place, Scalar(holder.place, None, "")))
    first = key not in holder.dropped  # an example that is no good would come back for ever
    holder.dropped.setdefault(key, entry)
    if example is not None and first:
        holder.entries[key] = Entry(entry.place, from_data(example, entry.value.place))


class _Trail:
    """The way from the root to where an error is.

    pydantic's locations name keys and indexes, and between them the tags of unions, which
    stand nowhere in the tree; and behind a short form, keys that nobody wrote.
    """

    def __init__(self, root: Node, location: Many[str | int], kind: str, read_as: ReadAs) -> None:
        self._kind = kind
        self._steps: list[tuple[Node, str | int]] = []
        self._node = root
        self._last = ""
        self._about_key = bool(location) and location[-1] == "[key]"
        self._shapes = read_as.shapes
        tagged: Node | None = None  # a mapping is the member of one union only
        parts = location[:-1] if self._about_key else location
        for left, part in zip(range(len(parts) - 1, -1, -1), parts, strict=True):
            self._last = str(part)
            inside = left > 0  # a tag always has a key of its member behind it
            if inside and tagged is not self._node and self._is_tag(part):
                tagged = self._node
            elif (below := child(self._node, part)) is not None:
                self._steps.append((self._node, part))
                self._node = below

    def _is_tag(self, part: str | int) -> bool:
        """Whether a part names the member of a union: ``<call>``, or the value of ``kind``."""
        if not isinstance(self._node, Mapping) or self._node not in self._shapes:
            return False
        kind = child(self._node, "kind")
        return str(part).startswith("<") or (isinstance(kind, Scalar) and kind.value == part)

    def problem(self, file: str, context: dict[str, Any]) -> Problem:
        """The error as a problem with its place."""
        place = self._place()
        at_node = self._kind == "missing" or not self._steps
        holder = self._node if at_node else self._steps[-1][0]
        shape = self._shapes.get(holder) if isinstance(holder, Mapping) else None
        key = self._last
        if self._kind == "union_tag_not_found":  # unions are the entries of checks and of auth
            key = "checks" if len(self._steps) == 2 else "auth"
        message = explain(self._kind, key, context, self._value(), shape)
        return Problem(file, place.line, place.column, message)

    def _value(self) -> Node:
        if self._kind == "union_tag_invalid":
            return child(self._node, "kind") or self._node
        return self._node

    def _place(self) -> Place:
        if self._kind == "extra_forbidden" or self._about_key:
            holder, key = self._steps[-1]
            return key_place(holder, str(key))
        return self._value().place

    def blame(self, read_as: ReadAs) -> tuple[Node, str | int] | None:
        """What holds the wrong or missing value, and under which key or index; None at the root."""
        shape = read_as.shapes.get(self._node) if isinstance(self._node, Mapping) else None
        if self._kind == "missing" and shape and stand_in(shape, self._last) is not None:
            return self._node, self._last
        return self._steps[-1] if self._steps else None
