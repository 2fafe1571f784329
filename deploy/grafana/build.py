"""Writes dashboards/*.json and the Grafana-managed copy of the alert rules.

Usage: ``python deploy/grafana/build.py``; ``--check`` only says which files are out of date, with
exit status 1; ``--queries`` prints every query as JSON, with what the tests must know of it.
The links to the runbooks, the rules and their interval come from ../prometheus.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from boards import agents, alerts, flow, migration, overview, provider, target
from boards.board import Board

HERE = Path(__file__).parent
PROMETHEUS = HERE.parent / "prometheus"
_RULES = HERE / "provisioning" / "alerting" / "probe-rules.yaml"
_HEADER = "# Written by build.py from ../../../prometheus/rules: edit those.\n"


def boards() -> tuple[Board, ...]:
    """Every dashboard."""
    docs = _yaml(PROMETHEUS / "parameters.yaml")["docs"]
    return (
        overview.board(docs),
        provider.board(),
        target.board(),
        flow.board(),
        agents.board(),
        migration.board(),
    )


def written() -> dict[Path, str]:
    """The contents of every generated file by its path."""
    docs = _yaml(PROMETHEUS / "parameters.yaml")["docs"]
    files = {
        HERE / "dashboards" / f"{board.uid}.json": json.dumps(
            board.document(docs), indent=1, sort_keys=True
        )
        + "\n"
        for board in boards()
    }
    rules = {path.name: _yaml(path) for path in sorted((PROMETHEUS / "rules").glob("*.yaml"))}
    interval = _yaml(PROMETHEUS / "prometheus.yml")["global"]["evaluation_interval"]
    document = alerts.provisioned(rules, interval)
    return {**files, _RULES: _HEADER + yaml.safe_dump(document, sort_keys=False, width=100)}


def queries() -> list[dict[str, Any]]:
    """Every query of panels and annotations."""
    panels = [
        {
            "board": board.uid,
            "panel": title,
            "expr": query.expr,
            "quiet": query.quiet,
            "now": query.now,
            "exemplars": query.exemplars,
        }
        for board in boards()
        for title, query in board.questions()
    ]
    marks = [
        {
            "board": board.uid,
            "panel": mark.name,
            "expr": mark.expr,
            "quiet": mark.quiet,
            "now": False,
            "exemplars": False,
        }
        for board in boards()
        for mark in board.marks
    ]
    return panels + marks


def main(arguments: list[str]) -> int:
    """Write, compare or print; 1 when files differ from what they should be."""
    if "--queries" in arguments:
        sys.stdout.write(json.dumps(queries()))
        return 0
    stale = {path: text for path, text in written().items() if _text(path) != text}
    for path, text in stale.items():
        sys.stdout.write(f"{path.relative_to(HERE)}\n")
        if "--check" not in arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return 1 if stale and "--check" in arguments else 0


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
