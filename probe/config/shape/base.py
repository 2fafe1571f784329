"""What all shapes share: no unknown keys, no guessing of types, short forms, named kinds of text.

Shapes say what one value may be. Whatever needs two values (names that must exist, an interval
beside a time-out) is decided in ``resolve``, so that a problem in one place hides none elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from probe.config.document.nodes import Block, Mapping
from probe.config.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    UnitProblem,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from probe.model.names import NameProblem, quoted
from probe.model.secret import SecretRef

OURS: Final = "probe"
"""Type of the errors whose message is already what a person should read."""


def wrong(message: str) -> PydanticCustomError:
    """An error with a message of ours."""
    return PydanticCustomError(OURS, "{message}", {"message": message})


class Shape(BaseModel):
    """A mapping of the configuration file."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _remember(cls, data: object, info: ValidationInfo) -> object:
        """Note which shape a mapping was read as: messages about unknown keys need it."""
        if isinstance(data, Block) and isinstance(info.context, ReadAs):
            info.context.shapes[data.node] = cls
        return data


class ReadAs:
    """Which shape each mapping was read as, filled while validating."""

    def __init__(self) -> None:
        self.shapes: dict[Mapping, type[Shape]] = {}


# ---------------------------------------------------------------- short forms


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
            key = self._keys.get(type(value))
            return value if key is None else {key: value}

        return core_schema.no_info_before_validator_function(spelled_out, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        long = handler(core)
        properties = handler.resolve_ref_schema(long)["properties"]
        return {"anyOf": [*(without_null(properties[k]) for k in self._keys.values()), long]}


def without_null(schema: JsonSchemaValue) -> JsonSchemaValue:
    """A field's schema for where its value is written: nobody writes null or the default."""
    short = {key: value for key, value in schema.items() if key != "default"}
    if "anyOf" in short:
        options = [option for option in short["anyOf"] if option != {"type": "null"}]
        short = {**short, "anyOf": options}
    return short


# ---------------------------------------------------------------- kinds of text and number


def _ours(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The parser with its own errors turned into ours; its messages are fit to read."""

    def parsed(value: Any) -> Any:
        try:
            return parse(value)
        except (UnitProblem, NameProblem) as problem:
            raise wrong(str(problem)) from None

    return parsed


def text(parse: Callable[[str], str]) -> AfterValidator:
    """Validator for a text that stays a text; ``parse`` raises ``NameProblem`` or ours."""
    return AfterValidator(_ours(parse))


def from_text(parse: Callable[[str], Any]) -> PlainValidator:
    """Validator for a text that becomes something else."""

    def parsed(value: object) -> Any:
        if not isinstance(value, str):
            raise PydanticCustomError("string_type", "expected text")
        return _ours(parse)(value)

    return PlainValidator(parsed)


STRING_SCHEMA: Final = WithJsonSchema({"type": "string"})


Duration = Annotated[
    float,
    PlainValidator(_ours(parse_duration)),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"const": 0}]},
    ),
]
Size = Annotated[
    int,
    PlainValidator(_ours(parse_size)),
    WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN}),
]


def between(least: str, most: str) -> AfterValidator:
    """Bounds of a ``Duration``, as one writes them."""
    low, high = parse_duration(least), parse_duration(most)

    def check(seconds: float) -> float:
        if not low <= seconds <= high:
            raise wrong(f"must be between {least} and {most}; found {format_duration(seconds)}")
        return seconds

    return AfterValidator(check)


def size_between(least: str, most: str) -> AfterValidator:
    """Bounds of a ``Size``, as one writes them."""
    low, high = parse_size(least), parse_size(most)

    def check(size: int) -> int:
        if not low <= size <= high:
            raise wrong(f"must be between {least} and {most}; found {format_size(size)}")
        return size

    return AfterValidator(check)


NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"


def _name(value: str) -> str:
    if re.match(NAME_PATTERN.removesuffix("$") + r"\Z", value) is None:
        raise wrong(
            f"{quoted(value)} cannot be a name; use letters, digits, dots, hyphens and "
            "underscores, 63 at most, starting with a letter or digit"
        )
    return value


Name = Annotated[
    str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})
]


def _scalar_text(value: object) -> object:
    if isinstance(value, bool):
        raise wrong(
            f'this is a truth value; write "{str(value).lower()}" in quotes to make it text'
        )
    if isinstance(value, float):
        raise wrong("this is a number; put it in quotes so that it stays as it is written")
    return str(value) if isinstance(value, int) else value


@dataclass(frozen=True)
class _Lenient:
    """Text for which a whole number may stand: both have one spelling only."""

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_scalar_text, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": ["string", "integer"]}


Text = Annotated[str, _Lenient()]


# ---------------------------------------------------------------- secrets

REFERENCE_HINT = "file:/path, env:NAME or credential:name"
_REFERENCE = re.compile(r"(file|env|credential):(.+)\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CREDENTIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


def looks_like_reference(value: str) -> bool:
    """Whether a text is written as a reference to a secret."""
    return value.startswith(("file:", "env:", "credential:")) and "://" not in value[:16]


def parse_reference(value: object) -> SecretRef:
    """A reference to a secret. Messages never repeat the text: it may be the secret itself."""
    if not isinstance(value, str) or not looks_like_reference(value):
        raise wrong(
            f"a secret never stands in this file; write where it is found: {REFERENCE_HINT}"
        )
    match = _REFERENCE.match(value)
    if match is None:
        raise wrong(f"the reference to a secret is incomplete; write {REFERENCE_HINT}")
    kind, name = match.groups()
    if kind == "env" and not _VARIABLE.match(name):
        raise wrong("after env: the name of an environment variable is expected, as in env:TOKEN")
    if kind == "credential" and not _CREDENTIAL.match(name):
        raise wrong("after credential: a plain file name is expected, as in credential:token")
    match kind:
        case "file":
            return SecretRef("file", name)
        case "env":
            return SecretRef("env", name)
        case _:
            return SecretRef("credential", name)


def parse_text_or_reference(value: object) -> str | SecretRef:
    """Plain text, or a reference when it is written as one."""
    if isinstance(value, str) and looks_like_reference(value):
        return parse_reference(value)
    if not isinstance(value, str):
        raise wrong(f"this must be text or a reference to a secret ({REFERENCE_HINT})")
    return value


_REFERENCE_SCHEMA = {"type": "string", "pattern": "^(file|env|credential):.+$"}
Reference = Annotated[SecretRef, PlainValidator(parse_reference), WithJsonSchema(_REFERENCE_SCHEMA)]
TextOrReference = Annotated[
    str | SecretRef, PlainValidator(parse_text_or_reference), WithJsonSchema({"type": "string"})
]
