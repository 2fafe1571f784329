"""From a path to a spec, or to every problem.

What single values can be is asked first, and all that is wrong comes at once. Whether names exist,
times fit and templates have values is asked of a file in which every single value is right.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from probe.config.explain import explain
from probe.config.resolve.file import ConfigFile, TooManyProblems
from probe.config.resolve.spec import resolve
from probe.config.shape.base import ReadAs, Shape
from probe.config.shape.file import FileShape
from probe.config.shape.texts import NAME_PATTERN
from probe.documents.compose import compose
from probe.documents.files import decode, read_bytes
from probe.documents.nodes import (
    MappingNode,
    Node,
    Position,
    ScalarNode,
    child,
    found,
    key_position,
    to_data,
)
from probe.documents.problem import MOST_PROBLEMS, DocumentError, Problem
from probe.documents.targets import read_file
from probe.model.spec import Spec
from probe.model.target import Target
from probe.net.names import quoted

MOST_BYTES = 1024 * 1024
REGION_VARIABLE = "PROBE_REGION"


def load(path: Path, *, region: str | None = None, environ: Mapping[str, str]) -> Spec:
    """Read a configuration file, for an agent.

    The target files that it names are left to discovery, which keeps every good entry: a slip
    in a list must not keep an agent from starting.

    Args:
        path: the YAML file.
        region: from the command line; goes before ``PROBE_REGION`` and before the file.
        environ: the environment; secrets are not read here.

    Raises:
        DocumentError: with every problem of the file.
    """
    return _load(path, region, environ, strict=False)[0]


def validate(path: Path, *, environ: Mapping[str, str]) -> tuple[Spec, Sequence[Problem]]:
    """Read a configuration file and the files of targets and roots that it names, strictly.

    Returns:
        the spec, and notes on what is no problem and may surprise.

    Raises:
        DocumentError: with every problem of all these files.
    """
    return _load(path, None, environ, strict=True)


def _load(
    path: Path, region: str | None, environ: Mapping[str, str], *, strict: bool
) -> tuple[Spec, Sequence[Problem]]:
    file = ConfigFile(str(path), strict)
    data = read_bytes(path, MOST_BYTES)
    shape = read(decode(data, file.path), file.path)
    spec = None
    with contextlib.suppress(TooManyProblems):  # they are in the file
        written = shape.region.name if shape.region else None
        where = _region(file, region, environ, written)
        spec = resolve(file, shape, where, hashlib.sha256(data).hexdigest())
    if spec is None or file.problems:
        raise DocumentError(*file.problems)
    if spec.region is None and not spec.region_from:
        message = "no region is named; probe run needs region: here, --region or PROBE_REGION"
        file.notes.append(Problem(file.path, 1, 1, message))
    return spec, sorted(file.notes)


def load_targets(path: Path) -> tuple[Target, ...]:
    """The targets of one ``file_sd`` file, YAML or JSON.

    Raises:
        DocumentError: with every problem of the file.
    """
    listed = read_file(path)
    if listed.problems:
        raise DocumentError(*listed.problems)
    return listed.targets


def _region(
    file: ConfigFile, option: str | None, environ: Mapping[str, str], written: str | None
) -> str | None:
    """The region by precedence; None when nothing names one."""
    variable = environ.get(REGION_VARIABLE)
    for source, name in (("--region", option), (REGION_VARIABLE, variable)):
        if name and not re.match(NAME_PATTERN.removesuffix("$") + r"\Z", name):
            file.problems.append(
                Problem(file.path, 1, 1, f"{source} says {quoted(name)}, which cannot be a name")
            )
    for name in (option, variable, written):
        if name and name != "auto":
            return name
    return None


# ---------------------------------------------------------------- from text to shapes


def read(text: str, file: str) -> FileShape:
    """The shapes of a configuration.

    Args:
        text: YAML.
        file: stands in the problems.

    Raises:
        DocumentError: with everything that is wrong with single values.
    """
    root, problems = compose(text, file)
    if root is None and problems:
        raise DocumentError(*problems)
    if root is None or (isinstance(root, ScalarNode) and root.value is None):
        message = "the file is empty; write at least one entry of checks:"
        raise DocumentError(Problem(file, 1, 1, message))
    if not isinstance(root, MappingNode):
        message = f"expected a mapping of key: value, found {found(root)}; start with checks:"
        where = root.position
        raise DocumentError(Problem(file, where.line, where.column, message), *problems)
    for key in [key for key in root.entries if key.startswith("x-")]:
        del root.entries[key]  # a place for anchors, as in other tools' files
    read_as = ReadAs()
    try:
        shape = FileShape.model_validate(to_data(root), context=read_as)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)[:MOST_PROBLEMS]
        trails = (_Trail(root, one["loc"], one["type"], read_as) for one in errors)
        wrong = [
            trail.problem(file, one.get("ctx", {}))
            for trail, one in zip(trails, errors, strict=True)
        ]
        raise DocumentError(*problems, *wrong) from None
    if problems:
        raise DocumentError(*problems)
    shape.placed(root)
    return shape


class _Trail:
    """The way from the root to where an error is.

    pydantic's locations name keys and indexes, and between them the tags of unions, which
    stand nowhere in the tree; and behind a short form, keys that nobody wrote.
    """

    def __init__(
        self, root: Node, location: Sequence[str | int], kind: str, read_as: ReadAs
    ) -> None:
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
        if not isinstance(self._node, MappingNode) or self._node not in self._shapes:
            return False
        kind = child(self._node, "kind")
        return str(part).startswith("<") or (isinstance(kind, ScalarNode) and kind.value == part)

    def problem(self, file: str, context: dict[str, Any]) -> Problem:
        """The error as a problem with its position."""
        where = self._position()
        shape, union = self._shape(), self._section()
        message = explain(self._kind, self._last, context, self._value(), shape, union)
        return Problem(file, where.line, where.column, message)

    def _shape(self) -> type[Shape] | None:
        """What the mapping around the wrong or missing key was read as."""
        at_node = self._kind == "missing" or not self._steps
        holder = self._node if at_node else self._steps[-1][0]
        return self._shapes.get(holder) if isinstance(holder, MappingNode) else None

    def _section(self) -> Any:
        """The type of the innermost key on the way."""
        for holder, key in reversed(self._steps):
            shape = self._shapes.get(holder) if isinstance(holder, MappingNode) else None
            if shape is not None and key in shape.named_fields():
                return shape.named_fields()[str(key)].annotation
        return None

    def _value(self) -> Node:
        if self._kind == "union_tag_invalid":
            return child(self._node, "kind") or self._node
        return self._node

    def _position(self) -> Position:
        if self._kind == "extra_forbidden" or self._about_key:
            holder, key = self._steps[-1]
            return key_position(holder, str(key))
        return self._value().position
