"""References to secrets. No message ever repeats what stands where one is due."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, PlainValidator, WithJsonSchema

from probe.config.shape.base import wrong
from probe.config.shape.texts import scalar_text
from probe.model.secret import SecretRef

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
