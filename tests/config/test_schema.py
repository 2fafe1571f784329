"""The JSON Schema is current, explains every key, and agrees with what loads."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are no dependency of ours
import pytest
import yaml

from probe.config.schema import PLACE, json_schema, schema_text

ROOT = Path(__file__).parents[2]
Problems = Callable[..., list[str]]


def test_the_schema_beside_the_example_is_current() -> None:
    written = (ROOT / PLACE).read_text(encoding="utf-8")
    assert written == schema_text(), "the shapes have changed: run python -m tests.regenerate"


@pytest.mark.parametrize(
    "draft", [jsonschema.Draft7Validator, jsonschema.Draft202012Validator], ids=["7", "2020-12"]
)
def test_it_is_a_schema(draft: Any) -> None:
    draft.check_schema(json_schema())


def properties(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    match node:
        case dict():
            named = node.get("properties", {})
            yield from ((f"{path}/{name}", schema) for name, schema in named.items())
            for key, value in node.items():
                yield from properties(value, f"{path}/{key}")
        case list():
            for index, value in enumerate(node):
                yield from properties(value, f"{path}/{index}")
        case _:
            return


def test_every_key_is_explained() -> None:
    found = dict(properties(json_schema()))
    assert len(found) > 100
    assert [path for path, schema in found.items() if not schema.get("description")] == []


def test_every_mapping_with_keys_of_ours_refuses_others() -> None:
    definitions = json_schema()["$defs"]
    assert [name for name, one in definitions.items() if one["additionalProperties"]] == []


def test_nothing_of_the_code_shows() -> None:
    assert "Shape" not in schema_text()
    assert '"title": "Configuration of a regional probe"' in schema_text()
    assert schema_text().count('"title"') == 1


EXAMPLES = sorted([ROOT / "config/probe.yaml", *(ROOT / "config/examples").glob("*.yaml")])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_editors_find_no_fault_with_the_examples(path: Path) -> None:
    # Through JSON: editors read dates as text.
    document = json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))
    jsonschema.Draft7Validator(json_schema()).validate(document)


CHECK = "{name: a, kind: tls, targets: [shop.example], EXTRA}"


@pytest.mark.parametrize(
    ("extra", "good"),
    [
        ("interval: 15s", True),
        ("interval: 1h30m", True),
        ("interval: 15", False),
        ("interval: 15 sec", False),
        ("confirm: {spacing: 0}", True),
        ("profiles: tls13", True),
        ("profiles: [tls13, {name: b, alpn: [h2]}]", True),
        ("profiles: [tls14]", False),
        ("trust: system", True),
        ("trust: {file: ca.pem}", True),
        ("trust: none", False),
        ("expect: {days_left: 14d}", True),
        ("expect: {days_left: 14}", True),
        ("expect: {days_left: 30%}", True),
        ("expect: {days_left: [14d, 30%]}", True),
        ("expect: {days_left: [14w]}", False),
        ("expect: {days_left: 14w}", False),
        ("providers: live", True),
        ("providers: [live]", True),
        ("providers: [a b]", False),
        ("labels: {a: 1, b: x}", True),
        ("labels: {a: [x]}", False),
        ("port: 443", True),
        ("port: '443'", False),
        ("foo: 1", False),
    ],
)
def test_the_schema_and_the_loader_agree(problems: Problems, extra: str, good: bool) -> None:
    text = f"checks: [{CHECK.replace('EXTRA', extra)}]"
    found = problems(text)
    assert (found == []) == good, found
    valid = jsonschema.Draft7Validator(json_schema()).is_valid(yaml.safe_load(text))
    assert valid == good
