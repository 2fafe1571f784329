"""The OpenAPI document of ``/api/v1/``, written from the types of the views."""

from __future__ import annotations

import inspect
import json
import re
import types
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import probe.serve.http
from probe.serve.page.region_report import RegionReport
from probe.serve.page.regions_view import RegionsView
from probe.serve.page.status import EDGES
from probe.serve.page.targets_view import STATES, TargetQuery
from probe.serve.page.views import EdgeView, StatusView

PLACE = Path(probe.serve.http.__file__).parent / "static" / "openapi.json"

_SIMPLE: dict[object, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}
_TIMES = "Times are seconds since the epoch."


def page() -> str:
    """The whole document."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def document() -> dict[str, Any]:
    """The same as a value."""
    schemas = _Schemas()
    edge = schemas.of(EdgeView)
    status = schemas.of(StatusView)
    status_schema = schemas.named["StatusView"]
    status_schema["properties"]["edges"] = {"type": "array", "items": edge}
    status_schema["properties"]["edges_next"] = {
        "type": ["string", "null"],
        "description": "What `after` takes to ask for the edges that follow; null at the end.",
    }
    status_schema["required"].append("edges_next")
    paths = {
        "/api/v1/status": {
            "get": {
                "operationId": "status",
                "summary": "Everything that the status page shows.",
                "parameters": [
                    _parameter(
                        "edges",
                        f"Most edges that do not pass to list one by one ({EDGES}).",
                        {"type": "integer", "minimum": 0, "maximum": 10_000, "default": EDGES},
                    ),
                    _parameter(
                        "after",
                        "The `edges_next` of the answer before: lists the edges behind it.",
                        {"type": "string"},
                    ),
                ],
                "responses": _responses(status, bad="A parameter cannot be used."),
            }
        },
        "/api/v1/targets": {
            "get": {
                "operationId": "targets",
                "summary": "Targets and their state, failing ones first.",
                "parameters": [
                    *(
                        _parameter(
                            one.name,
                            _SEARCH[one.name],
                            {"enum": list(STATES)} if one.name == "state" else {"type": "string"},
                        )
                        for one in fields(TargetQuery)
                    ),
                    _parameter(
                        "limit",
                        "Most targets to list (100).",
                        {"type": "integer", "minimum": 0, "maximum": 10_000, "default": 100},
                    ),
                ],
                "responses": _responses(
                    _object(
                        {
                            "targets": {
                                "type": "array",
                                "items": _object(
                                    {
                                        "target": {"type": "string"},
                                        "check": {"type": "string"},
                                        "state": {"enum": list(STATES)},
                                    }
                                ),
                            },
                            "targets_total": {
                                "type": "integer",
                                "description": "How many fit.",
                            },
                        }
                    ),
                    bad="A parameter cannot be used.",
                ),
            }
        },
        "/api/v1/regions": {
            "get": {
                "operationId": "regions",
                "summary": "All regions, as this agent hears them; 404 without `regions:`.",
                "responses": _responses(schemas.of(RegionsView)),
            }
        },
        "/api/v1/region": {
            "get": {
                "operationId": "region",
                "summary": "What this agent sees, for the pages of others.",
                "responses": _responses(schemas.of(RegionReport)),
            }
        },
        "/api/v1/openapi.json": {
            "get": {
                "operationId": "openapi",
                "summary": "This document.",
                "responses": _responses({"type": "object"}),
            }
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Regional probe",
            "version": "1",
            "description": f"What one agent sees from its region. {_TIMES} Lists are bounded; "
            "`…_total` says how many entries there are. Fields may be added; none is renamed or "
            "removed within version 1. Errors are text.",
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.named.items())),
            "securitySchemes": {
                "login": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "Where the web configuration names users.",
                }
            },
        },
        "security": [{}, {"login": []}],
    }


_SEARCH = {
    "q": "A part of the target's name.",
    "state": "The target's gravest state.",
    "provider": "A provider that serves it.",
    "check": "The check that probes it.",
    "label": "A label of it: `owner=team-1`, or `owner` with any value.",
    "reason": "A reason for which it fails.",
}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _responses(schema: dict[str, Any], *, bad: str = "") -> dict[str, Any]:
    said = {
        "400": bad,
        "401": "A login is needed, or was refused.",
        "404": "Not served on this address: `page:` in the configuration says where.",
        "421": "The agent does not answer to this host name: see `host_names:`.",
        "429": "Too many requests or failed logins.",
        "503": "Too many others are being answered.",
    }
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "200": {"description": "Found.", "content": {"application/json": {"schema": schema}}},
        **{code: {"description": words, "content": text} for code, words in said.items() if words},
    }


class _Schemas:
    """Schemas of types; those of dataclasses have a name each."""

    def __init__(self) -> None:
        self.named: dict[str, dict[str, Any]] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of a type. Raises TypeError for one that no view may use."""
        if kind in _SIMPLE:
            return {"type": _SIMPLE[kind]}
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (Union, types.UnionType):
            members = [self.of(one) for one in arguments]
            if all(one.keys() == {"type"} for one in members):
                return {"type": [one["type"] for one in members]}
            return {"anyOf": members}
        if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is dict and arguments[0] is str:
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if origin is Literal:
            return {"enum": list(arguments)}
        if isinstance(kind, type) and issubclass(kind, Enum):
            return {"enum": [one.value for one in kind]}
        if isinstance(kind, type) and is_dataclass(kind):
            if kind.__name__ not in self.named:
                self.named[kind.__name__] = {}  # in the table before its fields, which may name it
                self.named[kind.__name__] |= self._object(kind)
            return {"$ref": f"#/components/schemas/{kind.__name__}"}
        raise TypeError(f"no schema for {kind}")

    def _object(self, kind: type) -> dict[str, Any]:
        assert is_dataclass(kind)
        text, said = _described(kind)
        hints = get_type_hints(kind)
        properties = {}
        for one in fields(kind):
            schema = self.of(hints[one.name])
            described = {"description": said[one.name]} if one.name in said else {}
            properties[one.name] = schema | described
        return {
            "type": "object",
            "description": text,
            "properties": properties,
            "required": list(properties),
        }


_ATTRIBUTE = re.compile(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", re.MULTILINE | re.DOTALL)


def _described(kind: type) -> tuple[str, dict[str, str]]:
    """What a docstring says of a class and of its attributes, by name."""
    text, _, attributes = (inspect.getdoc(kind) or "").partition("\nAttributes:\n")
    said = {name: _prose(words) for name, words in _ATTRIBUTE.findall(attributes)}
    return _prose(text), said


def _prose(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
