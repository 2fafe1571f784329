"""docs/configuration.md knows every key, and what it shows as an example loads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import create_model

from probe.config.schema import json_schema
from probe.config.shape.base import Shape
from probe.config.shape.file import FileShape
from tests.config.configuration_page import PAGE, default_of, example_of, keys_of, page, type_of

SCHEMA = json_schema()
SHAPES = {"": SCHEMA, **SCHEMA["$defs"]}


def keys() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for name, shape in SHAPES.items():
        for key, described in keys_of(shape):
            yield name, key, described


KEYS = list(keys())


def classes(base: type[Shape] = Shape) -> Iterator[type[Shape]]:
    for one in base.__subclasses__():
        yield one
        yield from classes(one)


BY_NAME: dict[str, type[Shape]] = {
    "": FileShape,
    **{one.__name__.removesuffix("Shape"): one for one in classes()},
}


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run python -m tests.regenerate"


def test_every_key_of_every_shape_has_a_row() -> None:
    sections = page().split("\n## ")
    assert len(KEYS) > 200
    assert len(sections) == len(SHAPES) + 2, "one each, the head, and how to read types"
    rows = sum(line.startswith("| `") for part in sections[2:] for line in part.splitlines())
    assert rows == len(KEYS)


@pytest.mark.parametrize(
    ("name", "key", "described"), KEYS, ids=[f"{name}-{key}" for name, key, _ in KEYS]
)
def test_the_example_of_a_key_is_one_that_loads(
    name: str, key: str, described: Mapping[str, Any]
) -> None:
    value = example_of(name, key, described)
    assert value is not None, "write one in tests/config/examples_of_keys.yaml"
    field = BY_NAME[name].named_fields()[key]
    alone = create_model("Alone", __base__=Shape, **{"one": (field.annotation, field)})  # type: ignore[call-overload]
    alone.model_validate({field.alias or "one": value})


def test_a_default_in_a_shape_is_the_one_on_the_page() -> None:
    """What a docstring fills in is found again, whatever stands around it."""
    found = {
        (name, key): default_of(SHAPES[name]["properties"][key])
        for name, shape in BY_NAME.items()
        if name in SHAPES
        for key, field in shape.named_fields().items()
        if "{default}" in (field.description or "")
    }
    assert len(found) > 30
    assert {where for where, default in found.items() if default is None} == set()


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/$defs/Dns"}, "[DNS](#dns)"),
        ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
         "one or a list of text"),
        ({"type": "array", "items": {"enum": [4, 6]}}, "list of `4`, `6`"),
        ({"type": "object", "additionalProperties": {"type": "boolean"}},
         "names to `true` or `false`"),
        ({"type": "integer", "minimum": 1, "maximum": 9}, "integer from 1 to 9"),
        ({}, "any value"),
    ],
)  # fmt: skip
def test_types_are_said_in_words(schema: dict[str, Any], words: str) -> None:
    assert type_of(schema) == words


@pytest.mark.parametrize(
    ("described", "default"),
    [
        ({"description": "Time between attempts (30s)."}, "30s"),
        ({"description": "Passes at the latest (400); fewer do."}, "400"),
        ({"description": "What they are (warn): nothing, or more."}, "warn"),
        ({"description": "Asked for on behalf of others (RFC 7871): a name."}, None),
        ({"description": "Whatever.", "default": False}, "false"),
    ],
)
def test_defaults_are_read_from_descriptions(described: dict[str, Any], default: str) -> None:
    assert default_of(described) == default
