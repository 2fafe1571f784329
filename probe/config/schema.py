"""JSON Schema of the configuration file, for editors: made from the shapes, never by hand."""

from __future__ import annotations

import json
from typing import Any

from probe.config.shape.file import FileShape

COMMAND = "python -m probe.config"
"""Writes the schema that stands beside the example configuration."""


def json_schema() -> dict[str, Any]:
    """The schema, as draft 7: what editors' YAML servers know best."""
    schema = FileShape.model_json_schema(by_alias=True)
    tidy: dict[str, Any] = _without_noise(schema)
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


def _without_noise(node: Any, *, names: bool = False) -> Any:
    """Without the titles that pydantic makes of names, and the null that no one needs to write.

    Args:
        node: a part of the schema.
        names: whether the keys of this mapping are names of the file's own.
    """
    if isinstance(node, list):
        return [_without_noise(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {
        key: _without_noise(value, names=key in ("properties", "$defs"))
        for key, value in node.items()
        if names or (key not in ("title", "discriminator") and not _is_empty_default(key, value))
    }
    options = tidy.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options and not names:
        tidy["anyOf"] = [option for option in options if option != {"type": "null"}]
        if len(tidy["anyOf"]) == 1:
            tidy = {**tidy.pop("anyOf")[0], **tidy}
    return tidy


def _is_empty_default(key: str, value: object) -> bool:
    return key == "default" and (value is None or value in ({}, []))
