"""Flows: steps of calls and commands, personas, and the checks that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from probe.config.shape.auth import AuthField, PersonaAuthField
from probe.config.shape.base import (
    Duration,
    Name,
    OneOrMany,
    Shape,
    Size,
    Text,
    TextOrReference,
    between,
    size_between,
    text,
    wrong,
)
from probe.config.shape.check import CheckShape, Timeout
from probe.config.shape.http import (
    CapturingRegex,
    Condition,
    Expression,
    HeaderExpectations,
    HeaderName,
    HeaderValue,
    Regex,
    Status,
)
from probe.config.shape.tls import ClientCertificateShape, TrustField
from probe.config.shape.world import LABEL, CheckTargetsField
from probe.model.names import quoted

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


def _value_name(value: str) -> str:
    if not LABEL.match(value):
        raise wrong(f"{quoted(value)} cannot be a name; use letters, digits and underscores")
    if value in ("target", "labels", "auth"):
        raise wrong(f"{{{value}}} has a meaning of its own; choose another name")
    return value


def _method(value: str) -> str:
    if not value.isascii() or not value.isalpha():
        raise wrong(f"{quoted(value)} is no method; write one such as GET")
    return value.upper()


ValueName = Annotated[str, text(_value_name)]
Url = Annotated[str, Field(min_length=1)]
NotEmpty = Annotated[str, Field(min_length=1)]


class ExpectShape(Shape):
    """What the answer must be; all that is written must hold."""

    status: Annotated[list[Status], OneOrMany()] = Field(
        default=[], description="Codes (200) and classes (2xx); left out: 2xx, or 4xx of a deny."
    )
    headers: HeaderExpectations = Field(
        default={},
        description="Headers that must be there; a value is a regular expression to match.",
    )
    json_: Annotated[list[Condition], OneOrMany()] = Field(
        default=[],
        alias="json",
        description="JMESPath conditions that must be true.",
        examples=["data.items | length(@) > 0"],
    )
    contains: Annotated[list[NotEmpty], OneOrMany()] = Field(
        default=[], description="Texts that the body must contain; templates."
    )
    matches: Annotated[list[Regex], OneOrMany()] = Field(
        default=[], description="Regular expressions that must be found in the body."
    )
    not_matches: Annotated[list[Regex], OneOrMany()] = Field(
        default=[], description="Regular expressions that must not be found in the body."
    )
    max_size: Annotated[Size, size_between("1B", "1GiB")] | None = Field(
        default=None, description="Most bytes of the decoded body."
    )
    slower_than: Annotated[Duration, between("1ms", "10m")] | None = Field(
        default=None, description="A slower answer is degraded, not failed."
    )


class CaptureShape(Shape):
    """A value taken from the answer: one of json, header, cookie and regex."""

    json_: Expression | None = Field(
        default=None, alias="json", description="JMESPath of the value.", examples=["data.token"]
    )
    header: HeaderName | None = Field(default=None, description="Name of a response header.")
    cookie: HeaderName | None = Field(default=None, description="Name of a cookie that is set.")
    regex: CapturingRegex | None = Field(
        default=None, description="Regular expression; its first group is the value."
    )
    secret: bool = Field(default=False, description="Redact the value wherever evidence is kept.")


class StepShape(Shape):
    """What calls and commands have in common."""

    name: Name = Field(description="Its name on metrics; unique.", examples=["whoami"])
    layer: Name | None = Field(
        default=None,
        description="Which layer it proves: edge, control, login, token, authorization, backend "
        "(the default), or one of the check's layers.",
        examples=["authorization"],
    )
    timeout: Timeout | None = Field(default=None, description="For this step.")
    cleanup: bool = Field(default=False, description="Runs always, last.")


class CallShape(StepShape):
    """One HTTP call; get: URL says method and URL at once."""

    get: Url | None = Field(default=None, description="URL to GET; a template.")
    post: Url | None = Field(default=None, description="URL to POST to; a template.")
    put: Url | None = Field(default=None, description="URL to PUT to; a template.")
    patch: Url | None = Field(default=None, description="URL to PATCH; a template.")
    delete: Url | None = Field(default=None, description="URL to DELETE; a template.")
    head: Url | None = Field(default=None, description="URL to ask the HEAD of; a template.")
    options: Url | None = Field(default=None, description="URL to ask the OPTIONS of; a template.")
    method: Annotated[str, text(_method)] | None = Field(
        default=None, description="Any other method, beside url."
    )
    url: Url | None = Field(default=None, description="The URL beside method; a template.")
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, description="Request headers; values are templates."
    )
    query: dict[NotEmpty, Text] = Field(
        default={}, description="Appended to the URL; values are templates."
    )
    json_: Any = Field(
        default=None, alias="json", description="JSON document to send; texts are templates."
    )
    form: dict[NotEmpty, Text] | None = Field(
        default=None, description="Form fields to send; values are templates."
    )
    body: str | None = Field(default=None, description="Raw body to send; a template.")
    follow_redirects: Annotated[int, Field(ge=0, le=20)] = Field(
        default=0, description="How many redirects to follow."
    )
    auth: Name | None = Field(
        default=None, description="Name of an entry of the check's auth; left out: no credentials."
    )
    expect: ExpectShape | None = Field(default=None, description="What the answer must be.")
    capture: dict[ValueName, CaptureShape] = Field(
        default={},
        description="Values that later steps use as {name}.",
        examples=[{"token": {"json": "data.token", "secret": True}}],
    )
    deny: bool = Field(
        default=False, description="The call must be refused; success means it fails open."
    )
    backend: NotEmpty | None = Field(
        default=None, description="What serves this call; left out: the URL's host."
    )
    attempts: Annotated[int, Field(ge=1, le=20)] = Field(
        default=1, description="Attempts on fresh connections in each run."
    )


class CommandExpectShape(Shape):
    """What the program must do."""

    exit_codes: Annotated[list[Annotated[int, Field(ge=0, le=255)]], OneOrMany()] | None = Field(
        default=None, description="Exit codes that pass ([0])."
    )
    contains: Annotated[list[NotEmpty], OneOrMany()] = Field(
        default=[], description="Texts that the output must contain; templates."
    )
    matches: Annotated[list[Regex], OneOrMany()] = Field(
        default=[], description="Regular expressions that must be found in the output."
    )
    json_: Annotated[list[Condition], OneOrMany()] = Field(
        default=[], alias="json", description="JMESPath conditions on output that is JSON."
    )
    slower_than: Annotated[Duration, between("1ms", "10m")] | None = Field(
        default=None, description="A slower program is degraded, not failed."
    )


class CommandStepShape(StepShape):
    """A real program, run without a shell."""

    command: Annotated[list[Text], OneOrMany(), Field(min_length=1)] = Field(
        description="Program and arguments; templates. No shell reads them.",
        examples=[["vtex", "--version"]],
    )
    environment: dict[ValueName, TextOrReference] = Field(
        default={},
        description="The whole environment of the program: texts, or references to secrets.",
        examples=[{"PATH": "/usr/bin:/bin", "TOKEN": "env:TOKEN"}],
    )
    stdin: TextOrReference | None = Field(
        default=None, description="What the program reads: a template, or a reference to a secret."
    )
    output_cap: Annotated[Size, size_between("1KiB", "64MiB")] | None = Field(
        default=None, description="Most output that is kept (64KiB)."
    )
    expect: CommandExpectShape | None = Field(default=None, description="What the program must do.")


def _call_or_command(value: object) -> str:
    return "<command>" if isinstance(value, Mapping) and "command" in value else "<call>"


StepField = Annotated[
    Annotated[CallShape, Tag("<call>")] | Annotated[CommandStepShape, Tag("<command>")],
    Discriminator(_call_or_command),
]


class PersonaShape(Shape):
    """One identity that runs the flow."""

    auth: dict[Name, PersonaAuthField] = Field(
        default={}, description="Replaces entries of the check's auth by name; none removes one."
    )
    vars: dict[ValueName, Text] = Field(
        default={}, description="Replaces entries of the check's vars."
    )
    expect_denied: Annotated[list[Name], OneOrMany()] = Field(
        default=[], description="Names of steps that must be refused for this persona."
    )


class ApiCheckShape(CheckShape):
    """A flow of calls and commands."""

    kind: Literal["api", "command"] = Field(
        description="api: a flow of calls; command: a flow of programs."
    )
    steps: Annotated[list[StepField], Field(min_length=1)] = Field(
        description="Run in order.",
        examples=[[{"name": "home", "get": "https://shop.example/"}]],
    )
    targets: CheckTargetsField | None = Field(
        default=None,
        description="Name of a list under targets, or the targets themselves; the flow runs for "
        "each as {target}. Left out: it runs once.",
    )
    providers: Annotated[list[Name], OneOrMany(), Field(min_length=1)] | None = Field(
        default=None,
        description="Names under providers; left out: what DNS gives customers now.",
    )
    flow_timeout: Timeout | None = Field(default=None, description="For the whole run (25s).")
    vars: dict[ValueName, Text] = Field(
        default={}, description="Values for templates; plain text, never secrets."
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, description="Sent with every request; values are templates."
    )
    user_agent: HeaderValue | None = Field(default=None, description="User-Agent of every request.")
    auth: dict[Name, AuthField] = Field(
        default={}, description="Named ways to authenticate, for the steps."
    )
    personas: dict[Name, PersonaShape] = Field(
        default={}, description="Identities that each run the flow."
    )
    layers: Annotated[list[Name], Field(min_length=1)] | None = Field(
        default=None,
        description="Own names of layers, outermost first, instead of edge, control, login, "
        "token, authorization, backend.",
    )
    evidence_headers: Annotated[list[HeaderName], OneOrMany()] = Field(
        default=[], description="Response headers to keep as evidence of failures."
    )
    instance_headers: Annotated[list[HeaderName], OneOrMany()] = Field(
        default=[], description="Response headers that tell one server-side part from another."
    )
    run_id_header: HeaderName | None = Field(
        default=None, description="Request header that carries the id of the run."
    )
    login_interval: Annotated[Duration, between("10s", "1d")] | None = Field(
        default=None, description="Time between logins of their own clock (5m)."
    )
    max_body: Annotated[Size, size_between("1KiB", "256MiB")] | None = Field(
        default=None, description="Most bytes of a response's body, decoded (1MiB)."
    )
    http2: bool | None = Field(default=None, description="Whether HTTP/2 is offered (true).")
    trust: TrustField | None = Field(
        default=None, description="Which roots verify the chain: mozilla, system or {file: …}."
    )
    client_certificate: ClientCertificateShape | None = Field(
        default=None, description="Certificate shown to servers that ask for one (mTLS)."
    )
