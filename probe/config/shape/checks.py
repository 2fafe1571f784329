"""The kinds of checks: handshakes with every edge, and flows with the personas that run them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from probe.config.shape import defaults
from probe.config.shape.auth import AuthField, PersonaAuthField
from probe.config.shape.base import AtLeastOne, Several, Shape, optional
from probe.config.shape.flow_texts import HeaderName, HeaderValue, RequestHeader, TokenHeader
from probe.config.shape.step import StepField, ValueName
from probe.config.shape.targets import CheckTargetsField, LabelsField
from probe.config.shape.texts import (
    Duration,
    Interval,
    Name,
    NotEmpty,
    Size,
    Text,
    Timeout,
    between,
    no_reference,
    size_between,
)
from probe.config.shape.tls import (
    ChainShape,
    ClientCertificateShape,
    ConfirmShape,
    ConsensusShape,
    EdgeSeries,
    GroupsField,
    Host,
    Port,
    ProfileField,
    TrustField,
)
from probe.model.spec import LIVE
from probe.model.tls import Starttls


class CheckShape(Shape):
    """What all kinds of checks have."""

    spec: ClassVar[object] = defaults.TLS

    name: Name = Field(description="Its name on metrics; unique.", examples=["stores"])
    interval: Interval | None = optional("Time between scheduled attempts ({default}).")
    timeout: Timeout | None = optional("For one attempt, or one step of a flow ({default}).")
    labels: LabelsField = Field(default={}, description="Labels of the check, kept on info series.")


class TlsCheckShape(CheckShape):
    """Handshake with every edge of every provider of every target, and judge the chain."""

    spec: ClassVar[object] = defaults.TLS

    kind: Literal["tls"] = Field(description="tls: handshakes with every edge.")
    targets: CheckTargetsField = Field(
        description="Name of a list under targets, or the targets themselves.", examples=["stores"]
    )
    providers: AtLeastOne[Name] | None = optional(
        f"Names under providers; left out: what DNS gives customers now ({LIVE})."
    )
    port: Port | None = optional("For targets and providers that name none ({default}).")
    sni: Host | None = optional("Name sent and judged instead of the target's.")
    starttls: Starttls | None = optional("Protocol spoken before TLS.")
    profiles: AtLeastOne[ProfileField] | None = optional(
        "How attempts look to the server: default, tls13, tls12-ecdsa, tls12-rsa, or mappings.",
        examples=[["tls13", "tls12-ecdsa"]],
    )
    expect: ChainShape | None = optional("What the chain must be beyond valid.")
    trust: TrustField | None = optional(
        "Which roots verify the chain: mozilla, system or {file: …}."
    )
    confirm: ConfirmShape | None = optional("How a first failure is confirmed.")
    consensus: ConsensusShape | None = optional("When differing certificates are worth an alarm.")
    edge_series: EdgeSeries | None = optional("Which edges get their own metric series.")


class PersonaShape(Shape):
    """One identity that runs the flow."""

    auth: dict[Name, PersonaAuthField] = Field(
        default={}, description="Replaces entries of the check's auth by name; none removes one."
    )
    vars: dict[ValueName, Text] = Field(
        default={}, description="Replaces entries of the check's vars."
    )
    expect_denied: Several[Name] = Field(
        default=[], description="Names of steps that must be refused for this persona."
    )


class ApiCheckShape(CheckShape):
    """A flow of calls and commands."""

    spec = defaults.API

    kind: Literal["api", "command"] = Field(
        description="api: a flow of calls; command: a flow of programs."
    )
    steps: Annotated[list[StepField], Field(min_length=1, max_length=100)] = Field(
        description="Run in order.", examples=[[{"name": "home", "get": "https://shop.example/"}]]
    )
    targets: CheckTargetsField | None = optional(
        "Name of a list under targets, or the targets themselves; the flow runs for "
        "each as {target}. Left out: it runs once."
    )
    providers: AtLeastOne[Name] | None = optional(
        "Names under providers; left out: what DNS gives customers now."
    )
    flow_timeout: Timeout | None = optional("For the whole run ({default}).")
    vars: dict[ValueName, Text] = Field(
        default={}, description="Values for templates; plain text, never secrets."
    )
    headers: dict[RequestHeader, HeaderValue] = Field(
        default={},
        description="Sent with every request, logins included; values are templates. Host replaces "
        "the URL's in steps alone.",
    )
    user_agent: Annotated[HeaderValue, no_reference] | None = optional(
        "User-Agent of every request."
    )
    auth: dict[Name, AuthField] = Field(
        default={}, description="Named ways to authenticate, for the steps."
    )
    personas: Annotated[dict[Name, PersonaShape], Field(max_length=20)] = Field(
        default={}, description="Identities that each run the flow."
    )
    layers: Annotated[list[Name], Field(min_length=1, max_length=20)] | None = optional(
        f"Own names of layers, outermost first, instead of {', '.join(defaults.API.layers)}."
    )
    router_codes: Several[NotEmpty] | None = optional(
        "Codes in error bodies or evidence headers by which a router says that it did "
        "not reach what is behind it."
    )
    evidence_headers: Several[HeaderName] = Field(
        default=[], description="Response headers to keep as evidence of failures."
    )
    instance_headers: Several[HeaderName] = Field(
        default=[], description="Response headers that tell one server-side part from another."
    )
    run_id_header: TokenHeader | None = optional("Request header that carries the id of the run.")
    login_interval: Annotated[Duration, between("10s", "1d")] | None = optional(
        "Time between logins of their own clock ({default})."
    )
    max_body: Annotated[Size, size_between("1KiB", "256MiB")] | None = optional(
        "Most bytes of a response's body that are read, decoded ({default}). Expectations that "
        "need more of it fail."
    )
    http2: bool | None = optional("Whether HTTP/2 is offered ({default}).")
    groups: GroupsField = None
    trust: TrustField | None = optional(
        "Which roots verify the chain: mozilla, system or {file: …}."
    )
    client_certificate: ClientCertificateShape | None = optional(
        "Certificate shown to servers that ask for one (mTLS)."
    )


CheckShapes = TlsCheckShape | ApiCheckShape
"""An entry of ``checks``."""
