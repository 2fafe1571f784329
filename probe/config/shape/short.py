"""Short forms: what may be left out, because it can only mean one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class OneOrMany:
    """A list of which a single entry may be written without the brackets."""

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def listed(value: object) -> object:
            return value if isinstance(value, list) or value is None else [value]

        return core_schema.no_info_before_validator_function(listed, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        many = handler(core)
        return {"anyOf": [many["items"], many]}


class Short:
    """A shape of which a plain value stands for the mapping with only one key.

    ``Short({str: "kind"})`` lets ``tls13`` stand for ``{kind: tls13}``.
    """

    def __init__(self, keys: dict[type, str]) -> None:
        self._keys = keys

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def spelled_out(value: object) -> object:
            if isinstance(value, dict) or value is None:
                return value
            key = self._keys.get(type(value), self._keys.get(str))
            return value if key is None else {key: value}

        return core_schema.no_info_before_validator_function(spelled_out, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        long = handler(core)
        properties = handler.resolve_ref_schema(long)["properties"]
        return {
            "anyOf": [
                *(without_null(properties[k]) for k in dict.fromkeys(self._keys.values())),
                long,
            ]
        }


def without_null(schema: JsonSchemaValue) -> JsonSchemaValue:
    """A field's schema for where its value is written: nobody writes null or the default."""
    short = {key: value for key, value in schema.items() if key != "default"}
    if "anyOf" in short:
        options = [option for option in short["anyOf"] if option != {"type": "null"}]
        short = {**short, "anyOf": options}
    return short
