"""The operator's objects against the operator's own schemas, which are no part of this project.

No part of the suite. The schemas are the files ``monitoring.coreos.com_podmonitors.yaml`` and
``monitoring.coreos.com_prometheusrules.yaml`` of a release of the Prometheus operator:

    python -m tests.deploy.operator_schemas FILE…
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it has no types

from tests.support.programs import DEPLOY

OBJECTS = DEPLOY / "kubernetes" / "components" / "operator"


def strict(schema: Any) -> Any:
    """The same schema, without room for keys that it does not know."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(part) for key, part in schema.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def problems(definition: dict[str, Any]) -> list[str]:
    """What the objects of one kind have that their definition does not allow."""
    spec = definition["spec"]
    (version,) = [version for version in spec["versions"] if version["name"] == "v1"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}  # that of Kubernetes
    files = {path: yaml.safe_load(path.read_text()) for path in sorted(OBJECTS.glob("*.yaml"))}
    found = {path: one for path, one in files.items() if one["kind"] == spec["names"]["kind"]}
    if not found:
        return [f"nothing here is a {spec['names']['kind']}"]
    return [
        f"{path.name}: {'.'.join(map(str, error.path))}: {error.message[:200]}"
        for path, one in found.items()
        for error in Draft7Validator(schema).iter_errors(one)
    ]


def main(files: list[str]) -> int:
    """Say what is wrong; 1 when anything is."""
    wrong = 0
    for name in files:
        definition = yaml.safe_load(Path(name).read_text())
        found = problems(definition)
        wrong += len(found)
        release = definition["metadata"]["annotations"].get("operator.prometheus.io/version", "?")
        kind = definition["spec"]["names"]["kind"]
        sys.stdout.write(f"{kind}, operator {release}: {'; '.join(found) or 'good'}\n")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
