"""Named kinds of text and number: durations, sizes, names, paths, references to secrets.

No message repeats what stands where a reference to a secret is due.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
)

from probe.config.shape.base import Rewritten, Several, Unit, wrong
from probe.config.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    UnitProblem,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from probe.model.secret import SecretRef
from probe.net.names import NameProblem, parse_name_pattern, quoted


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


def from_text(parse: Callable[[str], Any], example: str) -> PlainValidator:
    """Validator for a text that becomes something else."""

    def parsed(value: object) -> Any:
        if not isinstance(value, str):
            raise wrong(f"this must be text; write for example {example}")
        return _ours(parse)(value)

    return PlainValidator(parsed)


def _path(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise wrong("not a valid path; write for example targets/stores.yaml")
    return value


PathText = Annotated[str, text(_path)]
STRING_SCHEMA: Final = WithJsonSchema({"type": "string"})


Duration = Annotated[
    float,
    PlainValidator(_ours(parse_duration)),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"const": 0}]},
    ),
    Unit(format_duration),
]
Size = Annotated[
    int,
    PlainValidator(_ours(parse_size)),
    WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN}),
    Unit(format_size),
]


def _bounds(
    parse: Callable[[object], float], written: Callable[[Any], str]
) -> Callable[[str, str], AfterValidator]:
    def bounds(least: str, most: str) -> AfterValidator:
        low, high = parse(least), parse(most)

        def check(value: float) -> float:
            if not low <= value <= high:
                raise wrong(f"must be between {least} and {most}; found {written(value)}")
            return value

        return AfterValidator(check)

    return bounds


between = _bounds(parse_duration, format_duration)
"""Bounds of a ``Duration``, as one writes them."""
size_between = _bounds(parse_size, format_size)
"""Bounds of a ``Size``, as one writes them."""


Interval = Annotated[Duration, between("1s", "1d")]
Timeout = Annotated[Duration, between("50ms", "10m")]
NotEmpty = Annotated[str, Field(min_length=1)]
UrlTemplate = Annotated[str, Field(min_length=1)]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"


def _name(value: str) -> str:
    if re.match(NAME_PATTERN.removesuffix("$") + r"\Z", value) is None:
        raise wrong(
            f"{quoted(value)} is not a valid name; use letters, digits, dots, hyphens and "
            "underscores, 63 at most, starting with a letter or digit"
        )
    return value


Name = Annotated[
    str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})
]


def scalar_text(value: object) -> object:
    """A whole number as the text that it is written as; other values as they are."""
    if isinstance(value, bool):
        raise wrong(
            f'expected text, found {str(value).lower()}; write "{str(value).lower()}" in quotes'
        )
    if isinstance(value, float):
        raise wrong("expected text, found a number; put it in quotes to make it text")
    return str(value) if isinstance(value, int) else value


Text = Annotated[str, Rewritten(scalar_text, lambda _: {"type": ["string", "integer"]})]
"""Text for which a whole number may stand: both have one spelling only."""


HostPatterns = Several[Annotated[str, text(parse_name_pattern)]]
"""Names of hosts; ``*.`` before one stands for it and every name below it."""


# ---------------------------------------------------------------- references to secrets


REFERENCE_HINT = "file:/path, env:NAME or credential:name"
NEVER_HERE = f"secrets are not allowed in this file; use a reference: {REFERENCE_HINT}"
NOT_READ = (
    "references to secrets are read under auth:, in json: and form:, and in a command's "
    "environment only; here the reference itself would be sent"
)
_REFERENCE = re.compile(r"(file|env|credential):(.+)\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CREDENTIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


def looks_like_reference(value: str) -> bool:
    """Whether a text is written as a reference to a secret."""
    return value.startswith(("file:", "env:", "credential:")) and "://" not in value[:16]


def parse_reference(value: object) -> SecretRef:
    """A reference to a secret. Messages never repeat the text: it may be the secret itself."""
    if not isinstance(value, str) or not looks_like_reference(value):
        raise wrong(NEVER_HERE)
    match = _REFERENCE.match(value)
    if match is None:
        raise wrong(f"the reference to a secret is incomplete; write {REFERENCE_HINT}")
    kind, name = match.groups()
    if kind == "env" and not _VARIABLE.match(name):
        raise wrong("env: must be followed by the name of an environment variable, as in env:TOKEN")
    if kind == "credential" and not _CREDENTIAL.match(name):
        raise wrong("credential: must be followed by a plain file name, as in credential:token")
    match kind:
        case "file":
            return SecretRef("file", name)
        case "env":
            return SecretRef("env", name)
        case _:
            return SecretRef("credential", name)


def parse_text_or_reference(value: object) -> str | SecretRef:
    """Plain text, or a reference when it is written as one."""
    value = scalar_text(value)
    if isinstance(value, str) and looks_like_reference(value):
        return parse_reference(value)
    if not isinstance(value, str):
        raise wrong(f"this must be text or a reference to a secret ({REFERENCE_HINT})")
    return value


def _password(value: object) -> SecretRef | Literal[""]:
    return "" if value == "" else parse_reference(value)


def _no_reference(value: str) -> str:
    if looks_like_reference(value):
        raise wrong(NOT_READ)
    return value


no_reference = AfterValidator(_no_reference)
"""For texts that are sent and where no reference is read."""

_REFERENCE_SCHEMA = {"type": "string", "pattern": "^(file|env|credential):.+$"}
Reference = Annotated[SecretRef, PlainValidator(parse_reference), WithJsonSchema(_REFERENCE_SCHEMA)]
Password = Annotated[
    SecretRef | Literal[""],
    PlainValidator(_password),
    WithJsonSchema({"anyOf": [{"const": ""}, _REFERENCE_SCHEMA]}),
]
TextOrReference = Annotated[
    str | SecretRef,
    PlainValidator(parse_text_or_reference),
    WithJsonSchema({"type": ["string", "integer"]}),
]
