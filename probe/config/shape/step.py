"""Steps of flows: calls and commands, what they expect and what they capture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from probe.config.shape import defaults
from probe.config.shape.base import AtLeastOne, OneOf, Several, Shape, optional, wrong
from probe.config.shape.flow_texts import (
    CapturingRegex,
    ConditionText,
    CookieName,
    ExpectedStatus,
    ExpressionText,
    HeaderExpectations,
    HeaderName,
    HeaderValue,
    Regex,
    RequestHeader,
)
from probe.config.shape.texts import (
    Duration,
    Name,
    NotEmpty,
    Size,
    Text,
    TextOrReference,
    Timeout,
    UrlTemplate,
    between,
    no_reference,
    size_between,
    text,
)
from probe.documents.targets import LABEL
from probe.net.names import quoted

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


def _value_name(value: str) -> str:
    if not LABEL.match(value):
        raise wrong(f"{quoted(value)} cannot be a name; use letters, digits and underscores")
    if value in ("target", "labels", "auth"):
        raise wrong(f"{{{value}}} has a meaning of its own; choose another name")
    return value


def _method(value: str) -> str:
    if not value.isascii() or not value.isalpha():
        raise wrong(f"{quoted(value)} is not a valid method; write one such as GET")
    return value.upper()


ValueName = Annotated[str, text(_value_name)]


class ExpectShape(Shape):
    """What the answer must be; all that is written must hold."""

    status: Several[ExpectedStatus] = Field(
        default=[], description="Codes (200) and classes (2xx); left out: 2xx, or 4xx of a deny."
    )
    headers: HeaderExpectations = Field(
        default={},
        description="Headers that must be there; a value is a regular expression to match.",
    )
    json_: Several[ConditionText] = Field(
        default=[],
        alias="json",
        description="JMESPath conditions that must be true.",
        examples=["data.items | length(@) > 0"],
    )
    contains: Several[NotEmpty] = Field(
        default=[], description="Texts that the body must contain; templates."
    )
    matches: Several[Regex] = Field(
        default=[], description="Regular expressions that must be found in the body."
    )
    not_matches: Several[Regex] = Field(
        default=[], description="Regular expressions that must not be found in the body."
    )
    max_size: Annotated[Size, size_between("1B", "1GiB")] | None = optional(
        "Most bytes of the decoded body."
    )
    slower_than: Annotated[Duration, between("1ms", "10m")] | None = optional(
        "A slower answer is degraded, not failed."
    )


class CaptureShape(Shape):
    """A value taken from the answer: one of json, header, cookie and regex."""

    json_: ExpressionText | None = Field(
        default=None, alias="json", description="JMESPath of the value.", examples=["data.token"]
    )
    header: HeaderName | None = optional("Name of a response header.")
    cookie: CookieName | None = optional("Name of a cookie that is set.")
    regex: CapturingRegex | None = optional("Regular expression; its first group is the value.")
    secret: bool = Field(
        default=defaults.CAPTURE.secret, description="Redact the value wherever evidence is kept."
    )


class StepShape(Shape):
    """What calls and commands have in common."""

    name: Name = Field(description="Its name on metrics; unique.", examples=["whoami"])
    layer: Name | None = optional(
        f"Which layer it proves: {', '.join(defaults.API.layers)} "
        "(the default), or one of the check's layers.",
        examples=["authorization"],
    )
    timeout: Timeout | None = optional("For this step.")
    cleanup: bool = Field(default=defaults.STEP.cleanup, description="Runs always, last.")


class CallShape(StepShape):
    """One HTTP call; get: URL says method and URL at once."""

    get: UrlTemplate | None = optional("URL to GET; a template.")
    post: UrlTemplate | None = optional("URL to POST to; a template.")
    put: UrlTemplate | None = optional("URL to PUT to; a template.")
    patch: UrlTemplate | None = optional("URL to PATCH; a template.")
    delete: UrlTemplate | None = optional("URL to DELETE; a template.")
    head: UrlTemplate | None = optional("URL to ask the HEAD of; a template.")
    options: UrlTemplate | None = optional("URL to ask the OPTIONS of; a template.")
    method: Annotated[str, text(_method)] | None = optional("Any other method, beside url.")
    url: UrlTemplate | None = optional("The URL beside method; a template.")
    headers: dict[RequestHeader, HeaderValue] = Field(
        default={}, description="Request headers; values are templates. Host replaces the URL's."
    )
    query: dict[NotEmpty, Text] = Field(
        default={}, description="Appended to the URL; values are templates."
    )
    json_: Any = Field(
        default=None,
        alias="json",
        description="JSON document to send; texts are templates, or references to secrets.",
    )
    form: dict[NotEmpty, TextOrReference] | None = optional(
        "Form fields to send; values are templates, or references to secrets."
    )
    body: Annotated[str, no_reference] | None = optional("Raw body to send; a template.")
    follow_redirects: Annotated[int, Field(ge=0, le=20)] = Field(
        default=defaults.REQUEST.follow_redirects, description="How many redirects to follow."
    )
    auth: Name | None = optional("Name of an entry of the check's auth; left out: no credentials.")
    expect: ExpectShape | None = optional("What the answer must be.")
    capture: dict[ValueName, CaptureShape] = Field(
        default={},
        description="Values that later steps use as {name}.",
        examples=[{"token": {"json": "data.token", "secret": True}}],
    )
    deny: bool = Field(
        default=defaults.STEP.deny,
        description="The call must be refused; success means it fails open.",
    )
    backend: NotEmpty | None = optional("What serves this call; left out: the URL's host.")
    attempts: Annotated[int, Field(ge=1, le=20)] = Field(
        default=defaults.STEP.attempts, description="Attempts on fresh connections in each run."
    )


class CommandExpectShape(Shape):
    """What the program must do."""

    spec = defaults.COMMAND

    exit_codes: Several[Annotated[int, Field(ge=0, le=255)]] | None = optional(
        "Exit codes that pass ({default})."
    )
    contains: Several[NotEmpty] = Field(
        default=[], description="Texts that the output must contain; templates."
    )
    matches: Several[Regex] = Field(
        default=[], description="Regular expressions that must be found in the output."
    )
    json_: Several[ConditionText] = Field(
        default=[], alias="json", description="JMESPath conditions on output that is JSON."
    )
    slower_than: Annotated[Duration, between("1ms", "10m")] | None = optional(
        "A slower program is degraded, not failed."
    )


class CommandStepShape(StepShape):
    """A real program, run without a shell."""

    spec = defaults.COMMAND

    command: AtLeastOne[Text] = Field(
        description="Program and arguments; templates. No shell reads them.",
        examples=[["cli", "--version"]],
    )
    environment: dict[ValueName, TextOrReference] = Field(
        default={},
        description="The whole environment of the program: texts, or references to secrets.",
        examples=[{"PATH": "/usr/bin:/bin", "TOKEN": "env:TOKEN"}],
    )
    stdin: TextOrReference | None = optional(
        "What the program reads: a template, or a reference to a secret."
    )
    output_cap: Annotated[Size, size_between("1KiB", "64MiB")] | None = optional(
        "Most output that is kept ({default})."
    )
    expect: CommandExpectShape | None = optional("What the program must do.")


def _call_or_command(value: Mapping[str, Any], _: object) -> type[Shape]:
    return CommandStepShape if "command" in value else CallShape


StepField = Annotated[CallShape | CommandStepShape, OneOf(_call_or_command)]
