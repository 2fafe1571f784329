"""Counts what the house holds itself to: lines, files, and names that stand in two modules.

``python -m tests.bars`` prints them. The product is ``probe/`` without ``lab`` and ``demo``.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.support.programs import ROOT

MOST_LINES = 55_850
MOST_FILES = 305
"""About as many as there are; who makes the product smaller makes these smaller too."""

DOUBLE: frozenset[str] = frozenset()
"""Names that stand in two modules and may for now. Nothing is added here."""


def modules() -> list[Path]:
    """Every module of the product."""
    paths = (path.relative_to(ROOT) for path in (ROOT / "probe").rglob("*.py"))
    return sorted(path for path in paths if path.parts[1] not in ("lab", "demo"))


def lines() -> int:
    """Lines of all of them."""
    return sum(len((ROOT / path).read_text().splitlines()) for path in modules())


def doubled() -> dict[str, list[str]]:
    """Public classes and type aliases by name, with their modules, where there are two."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in modules():
        for name in set(types(ast.parse((ROOT / path).read_text()))):
            found[name].append(str(path))
    return {name: places for name, places in sorted(found.items()) if len(places) > 1}


def types(module: ast.Module) -> Iterator[str]:
    """Names of classes, and of values that are written like classes: Tokens, not TOKENS."""
    for node in module.body:
        match node:
            case ast.ClassDef(name=name):
                yield from () if name.startswith("_") else (name,)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield from (name,) if name[0].isupper() and not name.isupper() else ()
            case _:
                pass


def main() -> int:
    """Print the counts."""
    sys.stdout.write(f"{lines()} lines in {len(modules())} files\n")
    for name, places in doubled().items():
        sys.stdout.write(f"{name} stands in {' and '.join(places)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
