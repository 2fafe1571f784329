"""Prints the lowest versions that pyproject.toml allows, as requirements for pip.

A bound on the other side stays: ``example>=0.18,<0.19`` becomes ``example==0.18``.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement


def lowest(requirement: str) -> str:
    """The requirement, pinned to its lower bound. ValueError: it has none."""
    parsed = Requirement(requirement)
    for bound in parsed.specifier:
        if bound.operator == ">=":
            return f"{parsed.name}=={bound.version}"
    raise ValueError(f"{requirement}: no lower bound; write {parsed.name}>=VERSION")


if __name__ == "__main__":
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    needed = (*project["dependencies"], *project["optional-dependencies"]["demo"])
    sys.stdout.writelines(f"{lowest(one)}\n" for one in needed)
