"""The committed dashboards and the generator, as the tests see them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")


@dataclass(frozen=True, slots=True)
class Question:
    """One query of a panel or annotation.

    Attributes:
        quiet: the generator says that it is empty on a healthy system.
    """

    board: str
    panel: str
    expr: str
    quiet: bool
    now: bool
    exemplars: bool


def generator(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(GRAFANA / "build.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def questions() -> list[Question]:
    done = generator("--queries")
    assert done.returncode == 0, done.stderr
    return [Question(**one) for one in json.loads(done.stdout)]


def load() -> dict[str, Any]:
    """Every committed dashboard by its uid."""
    return {board["uid"]: board for board in (json.loads(path.read_text()) for path in FILES)}


def panels(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (panel for panel in board["panels"] if panel["type"] != "row")


def variables(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (one for one in board["templating"]["list"] if one["type"] == "query")


def fields(panel: Mapping[str, Any]) -> set[str]:
    """The labels that a panel shows by name: columns, axes of a matrix, legends."""
    found: set[str] = set()
    for step in panel.get("transformations", ()):
        if step["id"] == "filterFieldsByName":
            found |= set(step["options"]["include"]["names"])
        if step["id"] == "groupingToMatrix":
            found |= {step["options"][axis] for axis in ("rowField", "columnField")}
    for query in panel["targets"]:
        found |= set(re.findall(r"{{(\w+)}}", query.get("legendFormat", "")))
    return {name for name in found if not name.startswith("Value")}


def label_values(variable: Mapping[str, Any]) -> tuple[str, str]:
    """Metric with selector, and label, of a variable."""
    found = _LABEL_VALUES.fullmatch(variable["query"]["query"])
    assert found, variable["query"]
    return found[1], found[2]


def substituted(text: str, chosen: Mapping[str, str]) -> str:
    """What Grafana sends: its own variables for a minute's range, then the dashboard's."""
    own = {"__range": "60s", "__interval": "5s", "__rate_interval": "20s"}
    return _VARIABLE.sub(lambda place: {**own, **chosen}[place[1]], text)
