"""From a path to a spec, or to every problem."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping as Bag
from pathlib import Path

from probe.config.document.compose import compose
from probe.config.document.nodes import Mapping, Scalar
from probe.config.document.source import decode, read_bytes
from probe.config.explain import found
from probe.config.problem import ConfigError, Problem, TooManyProblems
from probe.config.read import read
from probe.config.resolve.site import Site
from probe.config.resolve.spec import resolve
from probe.config.resolve.targets import read_targets
from probe.config.shape.texts import NAME_PATTERN
from probe.model.spec import Spec
from probe.model.target import Target
from probe.net.names import quoted

MOST_BYTES = 1024 * 1024
REGION_VARIABLE = "PROBE_REGION"


def load(path: Path, *, region: str | None = None, environ: Bag[str, str]) -> Spec:
    """Read a configuration file and the target files that it names.

    Args:
        path: the YAML file.
        region: from the command line; goes before ``PROBE_REGION`` and before the file.
        environ: the environment; secrets are not read here.

    Raises:
        ConfigError: with every problem of the file and of its target files.
    """
    file = str(path)
    data = read_bytes(path, MOST_BYTES)
    root, problems = compose(decode(data, file), file)
    if root is None:
        raise ConfigError(problems or [_empty(file)])
    if not isinstance(root, Mapping):
        if isinstance(root, Scalar) and root.value is None:
            raise ConfigError([_empty(file)])
        message = f"expected a mapping of key: value, found {found(root)}; start with checks:"
        raise ConfigError([Problem(file, root.place.line, root.place.column, message), *problems])
    shape, wrong = read(root, file)
    site = Site(file, problems + wrong)
    spec = None
    if shape is not None:
        with contextlib.suppress(TooManyProblems):  # they are in the site
            written = shape.region.name if shape.region else None
            where = _region(site, region, environ, written)
            spec = resolve(site, shape, root, where, hashlib.sha256(data).hexdigest())
    if spec is None or site.problems:
        raise ConfigError(site.problems)
    return spec


def load_targets(path: Path) -> tuple[Target, ...]:
    """The targets of one ``file_sd`` file, YAML or JSON.

    Raises:
        ConfigError: with every problem of the file.
    """
    site = Site(str(path))
    targets: list[Target] = []
    with contextlib.suppress(TooManyProblems):
        targets = read_targets(site, path, {})
    if site.problems:
        raise ConfigError(site.problems)
    return tuple(targets)


def _empty(file: str) -> Problem:
    return Problem(file, 1, 1, "the file is empty; write at least one entry of checks:")


def _region(
    site: Site, option: str | None, environ: Bag[str, str], written: str | None
) -> str | None:
    """The region by precedence; None when nothing names one."""
    variable = environ.get(REGION_VARIABLE)
    for source, name in (("--region", option), (REGION_VARIABLE, variable)):
        if name and not re.match(NAME_PATTERN.removesuffix("$") + r"\Z", name):
            site.problems.append(
                Problem(site.file, 1, 1, f"{source} says {quoted(name)}, which cannot be a name")
            )
    for name in (option, variable, written):
        if name and name != "auto":
            return name
    return None
