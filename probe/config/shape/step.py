"""Steps of flows: calls and commands, what they expect and what they capture."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

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
from probe.model.flow import ApiCheck, Capture, Command, RequestTemplate, Step
from probe.net.names import quoted

API: Final = ApiCheck("", ())
"""Holds the defaults of flows."""
_STEP: Final = Step("", "", RequestTemplate("", ""))

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


def _value_name(value: str) -> str:
    if not LABEL.match(value):
        raise wrong(f"{quoted(value)} is not a valid name; use letters, digits and underscores")
    if value in ("target", "labels", "auth"):
        raise wrong(f"{{{value}}} is reserved; choose another name")
    return value


def _method(value: str) -> str:
    if not value.isascii() or not value.isalpha():
        raise wrong(f"{quoted(value)} is not a valid method; write for example GET")
    return value.upper()


ValueName = Annotated[str, text(_value_name)]


class ExpectShape(Shape):
    """What the answer must be; all that is written must hold."""

    status: Several[ExpectedStatus] = []
    """Codes (200) and classes (2xx); left out: 2xx, or 4xx of a deny."""
    headers: HeaderExpectations = {}
    """Headers that must be there; a value is a regular expression to match."""
    json_: Several[ConditionText] = Field(
        default=[], alias="json", examples=["data.items | length(@) > 0"]
    )
    """JMESPath conditions that must be true."""
    contains: Several[NotEmpty] = []
    """Texts that the body must contain; templates."""
    matches: Several[Regex] = []
    """Regular expressions that must be found in the body."""
    not_matches: Several[Regex] = []
    """Regular expressions that must not be found in the body."""
    max_size: Annotated[Size, size_between("1B", "1GiB")] | None = None
    """Most bytes of the decoded body."""
    slower_than: Annotated[Duration, between("1ms", "10m")] | None = None
    """A slower answer is degraded, not failed."""


class CaptureShape(Shape):
    """A value taken from the answer: one of json, header, cookie and regex."""

    json_: ExpressionText | None = Field(default=None, alias="json", examples=["data.token"])
    """JMESPath of the value."""
    header: HeaderName | None = None
    """Name of a response header."""
    cookie: CookieName | None = None
    """Name of a cookie that is set."""
    regex: CapturingRegex | None = None
    """Regular expression; its first group is the value."""
    secret: bool = Capture("", "json", "").secret
    """Redact the value wherever evidence is kept."""


class StepShape(Shape):
    """What calls and commands have in common."""

    name: Name = Field(examples=["whoami"])
    """Its name on metrics; unique."""
    layer: Name | None = optional(
        f"Which layer it proves: {', '.join(API.layers)}, "
        f"or one of the check's layers ({API.layers[-1]}).",
        examples=["authorization"],
    )
    timeout: Timeout | None = None
    """For this step."""
    cleanup: bool = _STEP.cleanup
    """Runs always, last."""


class CallShape(StepShape):
    """One HTTP call; get: URL says method and URL at once."""

    get: UrlTemplate | None = None
    """URL to GET; a template."""
    post: UrlTemplate | None = None
    """URL to POST to; a template."""
    put: UrlTemplate | None = None
    """URL to PUT to; a template."""
    patch: UrlTemplate | None = None
    """URL to PATCH; a template."""
    delete: UrlTemplate | None = None
    """URL to DELETE; a template."""
    head: UrlTemplate | None = None
    """URL to ask the HEAD of; a template."""
    options: UrlTemplate | None = None
    """URL to ask the OPTIONS of; a template."""
    method: Annotated[str, text(_method)] | None = None
    """Any other method, beside url."""
    url: UrlTemplate | None = None
    """The URL beside method; a template."""
    headers: dict[RequestHeader, HeaderValue] = {}
    """Request headers; values are templates. Host replaces the URL's."""
    query: dict[NotEmpty, Text] = {}
    """Appended to the URL; values are templates."""
    json_: Any = Field(default=None, alias="json")
    """JSON document to send; texts are templates, or references to secrets."""
    form: dict[NotEmpty, TextOrReference] | None = None
    """Form fields to send; values are templates, or references to secrets."""
    body: Annotated[str, no_reference] | None = None
    """Raw body to send; a template."""
    follow_redirects: Annotated[int, Field(ge=0, le=20)] = _STEP.request.follow_redirects
    """How many redirects to follow."""
    redirect_to_http: bool = _STEP.request.redirect_to_http
    """Whether redirects may lead from https to http."""
    auth: Name | None = None
    """Name of an entry of the check's auth; left out: no credentials."""
    expect: ExpectShape | None = None
    """What the answer must be."""
    capture: dict[ValueName, CaptureShape] = Field(
        default={}, examples=[{"token": {"json": "data.token", "secret": True}}]
    )
    """Values that later steps use as {name}."""
    deny: bool = _STEP.deny
    """The call must be refused; success means it fails open."""
    backend: NotEmpty | None = None
    """What serves this call; left out: the URL's host."""
    attempts: Annotated[int, Field(ge=1, le=20)] = _STEP.attempts
    """Attempts on fresh connections in each run."""


class CommandExpectShape(Shape):
    """What the program must do."""

    spec = Command(())

    exit_codes: Several[Annotated[int, Field(ge=0, le=255)]] | None = None
    """Exit codes that pass ({default})."""
    contains: Several[NotEmpty] = []
    """Texts that the output must contain; templates."""
    matches: Several[Regex] = []
    """Regular expressions that must be found in the output."""
    json_: Several[ConditionText] = Field(default=[], alias="json")
    """JMESPath conditions on output that is JSON."""
    slower_than: Annotated[Duration, between("1ms", "10m")] | None = None
    """A slower program is degraded, not failed."""


class CommandStepShape(StepShape):
    """A real program, run without a shell."""

    spec = Command(())

    command: AtLeastOne[Text] = Field(examples=[["cli", "--version"]])
    """Program and arguments; templates. No shell reads them."""
    environment: dict[ValueName, TextOrReference] = Field(
        default={}, examples=[{"PATH": "/usr/bin:/bin", "TOKEN": "env:TOKEN"}]
    )
    """The whole environment of the program: texts, or references to secrets."""
    stdin: TextOrReference | None = None
    """What the program reads: a template, or a reference to a secret."""
    output_cap: Annotated[Size, size_between("1KiB", "64MiB")] | None = None
    """Most output that is kept ({default})."""
    expect: CommandExpectShape | None = None
    """What the program must do."""


StepField = Annotated[
    CallShape | CommandStepShape,
    OneOf(lambda value, _: CommandStepShape if "command" in value else CallShape),
]
