"""What all shapes share: no unknown keys, no guessing of types, our own words, short forms.

Shapes say what one value may be. Whatever needs two values (names that must exist, an interval
beside a time-out) is decided in ``resolve``, once every single value is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from probe.documents.nodes import Block, MappingNode, Node, Position, at, key_position
from probe.documents.problem import unknown

OURS: Final = "probe"
"""Type of the errors whose message is already what a person should read."""


def optional(description: str, **more: Any) -> Any:
    """A key that may be left out, which is None then."""
    return Field(default=None, description=description, **more)


def wrong(message: str) -> PydanticCustomError:
    """An error with a message of ours."""
    return PydanticCustomError(OURS, "{message}", {"message": message})


@dataclass(frozen=True)
class Unit:
    """How values of a type are written, beside its validators."""

    written: Callable[[Any], str]


class Shape(BaseModel):
    """A mapping of the configuration file, and where it stands.

    ``examples`` of fields are documentation: the JSON Schema and messages show them.

    Attributes:
        spec: holds the defaults that descriptions show as ``{default}``.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
    spec: ClassVar[object] = None
    _node: Node = PrivateAttr()

    @model_validator(mode="before")
    @classmethod
    def _remember(cls, data: object, info: ValidationInfo) -> object:
        """Note which shape a mapping was read as: messages about unknown keys need it.

        A key with nothing behind it counts as left out: a section whose entries are all
        commented out is no mistake.
        """
        if not isinstance(data, Block):
            return data
        if isinstance(info.context, ReadAs):
            info.context.shapes[data.node] = cls
        return {key: value for key, value in data.items() if value is not None}

    @classmethod
    def named_fields(cls) -> dict[str, FieldInfo]:
        """The fields by the names that stand in the file."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}

    @property
    def node(self) -> Node:
        """What it was read from; for a short form, the value that stands for the mapping."""
        return self._node

    def placed(self, node: Node) -> None:
        """Take note of where this mapping and all shapes inside it stand."""
        self._node = node
        for name, field in type(self).model_fields.items():
            _place(getattr(self, name), at(node, field.alias or name))

    def at(self, key: str, *path: str | int) -> Node:
        """The node of a value under a key, or the nearest one around it."""
        return at(self._node, self._checked(key), *path)

    def key_position(self, key: str) -> Position:
        """Where a key stands; the mapping's own position when it is left out."""
        return key_position(self._node, self._checked(key))

    def written(self) -> dict[str, Any]:
        """What the file says, by the names that stand in it."""
        return {
            field.alias or name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if name in self.model_fields_set
        }

    def _checked(self, key: str) -> str:
        if key not in self.named_fields():
            raise KeyError(f"{type(self).__name__} has no key {key}")
        return key


def _place(value: object, node: Node) -> None:
    match value:
        case Shape():
            value.placed(node)
        case list():
            for index, item in enumerate(value):
                _place(item, at(node, index))
        case dict():
            for key, item in value.items():
                _place(item, at(node, str(key)))
        case _:
            pass


class ReadAs:
    """Which shape each mapping was read as, filled while validating."""

    def __init__(self) -> None:
        self.shapes: dict[MappingNode, type[Shape]] = {}


# ---------------------------------------------------------------- unions


@dataclass(frozen=True, eq=False)
class OneOf:
    """Chooses the member of a union of shapes, so that only this one is read.

    Attributes:
        choose: gives the member for a mapping, and raises ValidationError where it cannot.
    """

    choose: Callable[[Mapping[str, Any], Sequence[type[Shape]]], type[Shape]]

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        members = get_args(source)

        def read(value: object, info: ValidationInfo) -> Shape:
            chosen = self.choose(value, members) if isinstance(value, dict) else members[0]
            return chosen.model_validate(value, context=info.context)

        shown = core_schema.tagged_union_schema(
            {one.__name__: handler.generate_schema(one) for one in members}, "kind"
        )
        return core_schema.with_info_plain_validator_function(read, json_schema_input_schema=shown)


def kinds(members: Sequence[type[Shape]]) -> dict[str, type[Shape]]:
    """What ``kind`` may be, and the member that each word stands for."""
    return {kind: one for one in members for kind in get_args(one.model_fields["kind"].annotation)}


def _by_kind(value: Mapping[str, Any], members: Sequence[type[Shape]]) -> type[Shape]:
    known, kind = kinds(members), value.get("kind")
    words = ", ".join(known)
    match kind:
        case str() if kind in known:
            return known[kind]
        case None:
            raise wrong(f'"kind" is missing; write one of: {words}')
        case str() | int() | float():
            message = unknown("value", str(kind), known)
        case _:
            what = "a list" if isinstance(kind, list) else "a mapping"
            message = f"expected text, found {what}; write one of: {words}"
    raise ValidationError.from_exception_data(
        "kind", [InitErrorDetails(type=wrong(message), loc=("kind",), input=None)]
    )


BY_KIND: Final = OneOf(_by_kind)


# ---------------------------------------------------------------- short forms


@dataclass(frozen=True)
class Rewritten:
    """A type of which another spelling may be written too.

    Attributes:
        rewrite: gives the full spelling of a value, and any other value as it is.
        schema: gives the JSON Schema of all spellings from that of the full one.
    """

    rewrite: Callable[[Any], object]
    schema: Callable[[JsonSchemaValue], JsonSchemaValue]

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.rewrite, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return self.schema(handler(core))


def _listed(value: object) -> object:
    return value if isinstance(value, list) or value is None else [value]


_ONE_OR_MANY = Rewritten(_listed, lambda many: {"anyOf": [many["items"], many]})
Item = TypeVar("Item")
Several = Annotated[list[Item], _ONE_OR_MANY]
"""A list of which a single entry may be written without the brackets."""
AtLeastOne = Annotated[list[Item], _ONE_OR_MANY, Field(min_length=1)]


@dataclass(frozen=True, eq=False)
class Short:
    """A shape of which a plain value stands for the mapping with only one key.

    ``Short({str: "kind"})`` lets ``tls13`` stand for ``{kind: tls13}``.
    """

    keys: Mapping[type, str]

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def spelled_out(value: object) -> object:
            if isinstance(value, dict) or value is None:
                return value
            key = self.keys.get(type(value), self.keys.get(str))
            return value if key is None else {key: value}

        return core_schema.no_info_before_validator_function(spelled_out, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        long = handler(core)
        properties = handler.resolve_ref_schema(long)["properties"]
        keys = dict.fromkeys(self.keys.values())
        return {"anyOf": [*(_without_null(properties[key]) for key in keys), long]}


def _without_null(schema: JsonSchemaValue) -> JsonSchemaValue:
    """A field's schema for where its value is written: nobody writes null or the default."""
    short = {key: value for key, value in schema.items() if key != "default"}
    if "anyOf" in short:
        options = [option for option in short["anyOf"] if option != {"type": "null"}]
        short = {**short, "anyOf": options}
    return short
