"""From a path to a spec, or to every problem.

What single values can be is asked first, and all that is wrong comes at once. Whether names exist,
times fit and templates have values is asked of a file in which every single value is right.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from probe.config.explain import explain
from probe.config.resolve.file import ConfigFile, TooManyProblems
from probe.config.resolve.spec import resolve
from probe.config.shape.base import ReadAs
from probe.config.shape.file import FileShape
from probe.config.shape.texts import NAME_PATTERN
from probe.documents.compose import compose
from probe.documents.files import decode, read_bytes
from probe.documents.nodes import (
    MappingNode,
    Node,
    ScalarNode,
    child,
    found,
    key_position,
    to_data,
)
from probe.documents.problem import MOST_PROBLEMS, DocumentError, Problem
from probe.model.spec import REGION_VARIABLE, Spec
from probe.net.child import pickled
from probe.net.names import quoted

MOST_BYTES = 1024 * 1024


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


def answer(data: bytes) -> bytes:
    """What a child of `config.apart` is asked: a pickle of the spec, or of the problems."""
    path, region, variable = json.loads(data)
    try:
        return pickled(load(Path(path), region=region, environ={REGION_VARIABLE: variable}))
    except DocumentError as error:
        return pickled(error.problems)


def _load(
    path: Path, region: str | None, environ: Mapping[str, str], *, strict: bool
) -> tuple[Spec, Sequence[Problem]]:
    file = ConfigFile(str(path), strict)
    data = read_bytes(path, MOST_BYTES, "; move the targets to separate files")
    digest = hashlib.sha256(data).hexdigest()
    spec = _resolved(file, decode(data, file.path), digest, region, environ)
    if spec.region is None and not spec.region_from:
        message = "no region; for probe run, write region: here, or use --region or PROBE_REGION"
        file.notes.append(Problem(file.path, 1, 1, message))
    return spec, sorted(file.notes)


def load_text(
    text: str, where: str, *, region: str | None = None, environ: Mapping[str, str]
) -> Spec:
    """Read a configuration that is in no file.

    Args:
        text: YAML. Paths in it are relative to the working folder.
        where: stands in the problems in place of a file.
        region: as for `load`.
        environ: as for `load`.

    Raises:
        DocumentError: with every problem of the text.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    return _resolved(ConfigFile(where), text, digest, region, environ)


def _resolved(
    file: ConfigFile, text: str, digest: str, region: str | None, environ: Mapping[str, str]
) -> Spec:
    shape = read(text, file.path)
    spec = None
    with contextlib.suppress(TooManyProblems):  # they are in the file
        written = shape.region.name if shape.region else None
        spec = resolve(file, shape, _region(file, region, environ, written), digest)
    if spec is None or file.problems:
        raise DocumentError(*file.problems)
    return spec


def _region(
    file: ConfigFile, option: str | None, environ: Mapping[str, str], written: str | None
) -> str | None:
    """The region by precedence; None when nothing names one."""
    variable = environ.get(REGION_VARIABLE)
    for source, name in (("--region", option), (REGION_VARIABLE, variable)):
        if name and not re.match(NAME_PATTERN.removesuffix("$") + r"\Z", name):
            file.problems.append(
                Problem(
                    file.path,
                    1,
                    1,
                    f"{source} is {quoted(name)}, which is not a valid name",
                )
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
        wrong = (_problem(file, root, read_as, one) for one in errors)
        raise DocumentError(*problems, *wrong) from None
    if problems:
        raise DocumentError(*problems)
    shape.placed(root)
    return shape


def _problem(file: str, root: Node, read_as: ReadAs, error: ErrorDetails) -> Problem:
    """One of pydantic's errors in our words, at its position.

    Locations name keys and indexes, a missing key, keys that nobody wrote behind a short form,
    and ``[key]`` for a key that is wrong itself.
    """
    kind, loc = error["type"], error["loc"]
    about_key = loc[-1:] == ("[key]",)
    holder, node, key = root, root, ""
    for part in loc[:-1] if about_key else loc:
        key, below = str(part), child(node, part)
        if below is not None:
            holder, node = node, below
    if kind == "missing":
        holder = node
    shape = read_as.shapes.get(holder) if isinstance(holder, MappingNode) else None
    where = node.position
    if kind == "extra_forbidden" or about_key:
        where = key_position(holder, key)
    message = explain(kind, key, error.get("ctx", {}), node, shape)
    return Problem(file, where.line, where.column, message)
