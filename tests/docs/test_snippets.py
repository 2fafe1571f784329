"""YAML and JSON that pages show are what they look like: ours load, others parse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are no dependency of ours
import pytest
import yaml

from probe.config.loading import load
from probe.config.schema import json_schema
from tests.docs.blocks import Block, written_in

SCHEMA = json_schema()
OURS = SCHEMA["properties"].keys()
SNIPPETS = [block for block in written_in("yaml", "yml") if block.needs is None]


def is_whole(document: Any) -> bool:
    """A configuration that can run: checks, no keys that are not ours, and the lists it names."""
    if not isinstance(document, dict) or not {"checks"} <= document.keys() <= OURS:
        return False
    named = {check.get("targets") for check in document["checks"] if not listed(check)}
    return named <= {None, *document.get("targets", {})}


def listed(check: Any) -> bool:
    """Whether a check spells its targets out."""
    return not isinstance(check.get("targets"), str | None)


def is_part(document: Any) -> bool:
    """A part of a configuration that one of our mappings holds."""
    for name in ("", *SCHEMA["$defs"]):
        shape = SCHEMA["$defs"][name] if name else SCHEMA
        if isinstance(document, dict) and document.keys() <= shape["properties"].keys():
            loose = {key: value for key, value in shape.items() if key != "required"}
            whole = {**loose, "$defs": SCHEMA["$defs"]}
            if jsonschema.Draft7Validator(whole).is_valid(document):
                return True
    return False


FOREIGN = (
    {"apiVersion", "kind"},  # Kubernetes
    {"scrape_configs"},  # Prometheus
    {"groups"},
    {"route"},  # Alertmanager
    {"modules"},  # blackbox_exporter
    {"tls_server_config"},  # exporter toolkit
    {"basic_auth_users"},
    {"remote_write"},
)
"""Keys that tell a file of another program."""


def is_foreign(document: Any) -> bool:
    return isinstance(document, dict) and any(keys <= document.keys() for keys in FOREIGN)


def is_targets(document: Any) -> bool:
    return isinstance(document, list) and all(
        isinstance(one, dict) and "targets" in one for one in document
    )


def plain(text: str) -> Any:
    """The documents of a text as JSON has them: dates as text."""
    return [json.loads(json.dumps(one, default=str)) for one in yaml.safe_load_all(text)]


@pytest.mark.parametrize("block", SNIPPETS, ids=lambda block: block.place)
def test_a_snippet_is_a_configuration_or_a_part_of_one(block: Block, tmp_path: Path) -> None:
    if block.place.startswith("docs/troubleshooting.md:"):
        return  # mistakes, tried in test_troubleshooting.py
    for document in plain(block.text):
        if is_whole(document):
            stand_ins(document, tmp_path)
            path = tmp_path / "probe.yaml"
            path.write_text(block.text)
            assert load(path, environ={}).checks
        else:
            assert is_part(document) or is_foreign(document) or is_targets(document), document


def stand_ins(document: Any, folder: Path) -> None:
    """Write each file of targets that a configuration names."""
    for name, found in document.get("targets", {}).items():
        for file in found.get("files", ()) if isinstance(found, dict) else ():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"- targets: [{name}.example]\n")


def test_snippets_are_told_apart() -> None:
    assert len(SNIPPETS) > 20
    assert is_part({"profiles": ["default"]})
    assert not is_part({"profiles": ["tls14"]})
    assert not is_part({"profile": ["tls13"]})
    assert not is_whole({"checks": [], "route": {}})
    assert not is_targets([{"target": ["shop.example"]}])


@pytest.mark.parametrize("block", written_in("json"), ids=lambda block: block.place)
def test_json_parses(block: Block) -> None:
    json.loads(block.text)
