"""The page about what a release is made of: every package, what for, and its licence.

The packages are those of ``deploy/release/requirements.txt``; what they say of themselves is read
from the virtual environment. A licence that is not in ``ALLOWED``, or none, is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from tests.support.programs import DEPLOY, ROOT

PAGE = ROOT / "docs" / "dependencies.md"
PINS = DEPLOY / "release" / "requirements.txt"
BEGIN = "<!-- from deploy/release/requirements.txt and the packages: python -m tests.regenerate -->"

ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0"),
        "MPL-2.0",  # binds the package's own files only, which we do not change
        "PSF-2.0",
    }
)
"""Licences that let a release carry a package, named as SPDX does; ``BSD``: it says not which."""

_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


class LicenceError(Exception):
    """A package that a release must not carry, or not before somebody has looked at it."""


def licence(package: PackageMetadata) -> str:
    """The licence of a package as it states it. LicenceError: it states none, or not clearly."""
    for field in ("License-Expression", "License"):
        try:
            return str(canonicalize_license_expression(package[field] or ""))
        except InvalidLicenseExpression:
            pass
    stated = [one.rpartition(" :: ")[2] for one in package.get_all("Classifier", [])]
    found = sorted({_CLASSIFIERS[one] for one in stated if one in _CLASSIFIERS})
    if not found:
        raise LicenceError(f"{package['Name']} states no licence that is known: read its files")
    return " AND ".join(found)


def allowed(name: str, expression: str) -> str:
    """The licence again. LicenceError: one that it names is not in ALLOWED, also as a choice."""
    named = set(re.findall(r"[\w.+-]+", expression)) - {"AND", "OR", "WITH"}
    if not named <= ALLOWED:
        raise LicenceError(f"{name} has the licence {expression}: choose another package")
    return expression


def pinned(text: str) -> list[str]:
    """Names of all packages of a release."""
    return [canonicalize_name(one) for one in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)]


def purposes(project: str) -> dict[str, str]:
    """Why the agent needs each package that pyproject.toml names: the comment behind it."""
    needed = project.partition("\ndependencies = [")[2].partition("\n]")[0]
    found = re.findall(r'^ +"([\w.-]+)[^"]*", +# (.+)$', needed, re.MULTILINE)
    return {canonicalize_name(name): purpose for name, purpose in found}


def rows() -> Iterator[str]:
    """One line a package. One that this Python does not need keeps the line that it has."""
    purpose = purposes((ROOT / "pyproject.toml").read_text())
    for name in pinned(PINS.read_text()):
        try:
            stated = allowed(name, licence(metadata(name)))
        except PackageNotFoundError:
            yield from re.findall(rf"^\| `{name}` \|.*$", PAGE.read_text(), re.MULTILINE)
            continue
        yield f"| `{name}` | {purpose.get(name, 'needed by another')} | {stated} |"


def page() -> str:
    """The whole page: its prose as it is, then the table."""
    prose = PAGE.read_text().partition(BEGIN)[0].rstrip()
    head = ["| package | what for | licence |", "|---|---|---|"]
    return "\n".join([prose, "", BEGIN, "", *head, *rows(), ""])
