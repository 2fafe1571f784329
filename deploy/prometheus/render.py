"""Writes rules/*.yaml from templates/*.yaml and the values of parameters.yaml.

Usage: ``python deploy/prometheus/render.py``; ``--check`` only says whether rules/ is up to date.
In a template ``<<name>>`` stands for the parameter of that name, and in a parameter for one that
stands before it. Everything else is an ordinary Prometheus rule file.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent
_PLACE = re.compile(r"<<(\w+)>>")


def parameters() -> dict[str, str]:
    """Every parameter, as text."""
    document = yaml.safe_load((HERE / "parameters.yaml").read_text())
    values: dict[str, str] = {}
    for name, value in document.items():
        values[str(name)] = _filled(str(value), values)
    return values


def _filled(text: str, values: dict[str, str]) -> str:
    return _PLACE.sub(lambda place: values[place[1]], text)


def rendered() -> dict[Path, str]:
    """The contents of every rule file by its path. KeyError: a template names no parameter."""
    values = parameters()
    return {
        HERE / "rules" / template.name: "# Written by render.py from templates/: edit those.\n"
        + _filled(template.read_text(), values)
        for template in sorted((HERE / "templates").glob("*.yaml"))
    }


def main() -> int:
    """Write, or compare; 1 when files differ from what they should be."""
    stale = [path for path, text in rendered().items() if _text(path) != text]
    for path in stale:
        if "--check" not in sys.argv[1:]:
            path.write_text(rendered()[path])
        sys.stdout.write(f"{path.relative_to(HERE)}\n")
    return 1 if stale and "--check" in sys.argv[1:] else 0


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
