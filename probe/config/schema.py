"""JSON Schema of the configuration file, for editors: made from the shapes, never by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from probe.config.shape.base import Unit
from probe.config.shape.file import FileShape

PLACE = Path("config", "probe.schema.json")
"""Beside the example configuration, seen from the top of the source tree."""


def json_schema() -> dict[str, Any]:
    """The schema, as draft 7: what editors' YAML servers know best.

    It says what one value may be. That names exist and times fit together is not in it:
    ``probe validate`` says that.
    """
    tidy: dict[str, Any] = _tidy(FileShape.model_json_schema(schema_generator=_WithDefaults))
    # Keys that start with x- hold whatever anchors are made of.
    tidy["patternProperties"] = {"^x-": {}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of a regional probe",
        **tidy,
    }


def schema_text() -> str:
    """The schema as it stands in its file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


class _WithDefaults(GenerateJsonSchema):
    """Fills ``{default}`` in the descriptions of a shape's fields."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made, shape = super().model_schema(schema), schema["cls"]
        for key, field in shape.named_fields().items():
            described = made["properties"][key]
            said = " ".join(described.get("description", "").split())  # docstrings break lines
            if "{default}" in said:
                default = _as_written(getattr(shape.spec, key), field.annotation)
                said = said.replace("{default}", default)
            if said:
                described["description"] = said
        return made


def _as_written(value: object, annotation: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(map(str, value))}]"
        case float() | int() if (unit := _unit(annotation)) is not None:
            return unit.written(value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _unit(annotation: Any) -> Unit | None:
    if isinstance(annotation, Unit):
        return annotation
    return next(filter(None, map(_unit, get_args(annotation))), None)


def _tidy(node: Any) -> Any:
    """A part of pydantic's schema without what no reader needs.

    That is: titles made of names, defaults that are empty, and null, which nobody has to
    write where a key can be left out.
    """
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node.replace("Shape", "") if str(node).startswith("#/$defs/") else node
    tidy: dict[str, Any] = {}
    for key, value in node.items():
        if key == "$defs":
            tidy[key] = {name.removesuffix("Shape"): _tidy(part) for name, part in value.items()}
        elif key in _NAMES_OF_OURS:
            tidy[key] = {name: _tidy(part) for name, part in value.items()}
        elif key not in _NOISE and not (key == "default" and value in (None, {}, [])):
            tidy[key] = _tidy(value)
    if "anyOf" in tidy:
        tidy = _plain_options(tidy)
    if "patternProperties" in tidy:
        tidy["additionalProperties"] = False
    return tidy


_NAMES_OF_OURS = ("properties", "patternProperties")
_NOISE = ("title", "discriminator")
_NULL = {"type": "null"}


def _plain_options(node: dict[str, Any]) -> dict[str, Any]:
    """Options without null and without options inside options; one option alone is no option."""
    options: list[Any] = []
    for option in node["anyOf"]:
        inner = option["anyOf"] if set(option) == {"anyOf"} else [option]
        options += [one for one in inner if one != _NULL and one not in options]
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    if len(options) == 1:
        return {**options[0], **rest}
    return {"anyOf": options, **rest}
