"""From a path to a spec, or to every problem."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from probe.config.error import ConfigError, TooManyProblems
from probe.config.read import read
from probe.config.resolve.file import ConfigFile
from probe.config.resolve.spec import resolve
from probe.config.shape.texts import NAME_PATTERN
from probe.documents.files import decode, read_bytes
from probe.documents.problem import DocumentError, Problem
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
        ConfigError: with every problem of the file.
    """
    return _load(path, region, environ, strict=False)[0]


def validate(path: Path, *, environ: Mapping[str, str]) -> tuple[Spec, Sequence[Problem]]:
    """Read a configuration file and the files of targets and roots that it names, strictly.

    Returns:
        the spec, and notes on what is no problem and may surprise.

    Raises:
        ConfigError: with every problem of all these files.
    """
    return _load(path, None, environ, strict=True)


def _load(
    path: Path, region: str | None, environ: Mapping[str, str], *, strict: bool
) -> tuple[Spec, Sequence[Problem]]:
    file = ConfigFile(str(path), strict)
    try:
        data = read_bytes(path, MOST_BYTES)
        shape = read(decode(data, file.path), file.path)
    except DocumentError as error:
        raise ConfigError(error.problems) from None
    spec = None
    with contextlib.suppress(TooManyProblems):  # they are in the file
        written = shape.region.name if shape.region else None
        where = _region(file, region, environ, written)
        spec = resolve(file, shape, where, hashlib.sha256(data).hexdigest())
    if spec is None or file.problems:
        raise ConfigError(file.problems)
    if spec.region is None and not spec.region_from:
        message = "no region is named; probe run needs region: here, --region or PROBE_REGION"
        file.notes.append(Problem(file.path, 1, 1, message))
    return spec, sorted(file.notes)


def load_targets(path: Path) -> tuple[Target, ...]:
    """The targets of one ``file_sd`` file, YAML or JSON.

    Raises:
        ConfigError: with every problem of the file.
    """
    try:
        listed = read_file(path)
    except DocumentError as error:
        raise ConfigError(error.problems) from None
    if listed.problems:
        raise ConfigError(listed.problems)
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
