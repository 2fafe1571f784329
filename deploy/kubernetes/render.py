"""Writes components/operator/rules.yaml: the alerts of deploy/prometheus as a PrometheusRule.

Usage: ``python deploy/kubernetes/render.py``; ``--check`` only says whether it is up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent
RULES = HERE.parent / "prometheus" / "rules"
PLACE = HERE / "components" / "operator" / "rules.yaml"

_HEAD = "# Written by deploy/kubernetes/render.py from deploy/prometheus/rules/: edit those.\n"


def rendered() -> str:
    """The object, with every group of every rule file."""
    groups = [
        group
        for path in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(path.read_text())["groups"]
    ]
    document = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "regional-probe"},
        "spec": {"groups": groups},
    }
    return _HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def main() -> int:
    """Write, or compare; 1 when the file differs from what it should be."""
    if PLACE.exists() and PLACE.read_text() == rendered():
        return 0
    sys.stdout.write(f"{PLACE.relative_to(HERE)}\n")
    if "--check" in sys.argv[1:]:
        return 1
    PLACE.write_text(rendered())
    return 0


if __name__ == "__main__":
    sys.exit(main())
