"""The kinds of checks: handshakes with every edge, and flows with the personas that run them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from probe.config.shape.auth import AuthField, PersonaAuthField
from probe.config.shape.base import AtLeastOne, Several, Shape, optional
from probe.config.shape.flow_texts import HeaderName, HeaderValue, RequestHeader, TokenHeader
from probe.config.shape.step import API, StepField, ValueName
from probe.config.shape.targets import AddressesShape, CheckTargetsField, LabelsField
from probe.config.shape.texts import (
    Duration,
    HostPatterns,
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
    TLS,
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
from probe.model.records import RecordType
from probe.model.spec import LIVE
from probe.model.tls import Starttls


class CheckShape(Shape):
    """What all kinds of checks have."""

    spec: ClassVar[object] = TLS

    name: Name = Field(examples=["stores"])
    """Its name on metrics; unique."""
    interval: Interval | None = None
    """Time between scheduled attempts ({default})."""
    timeout: Timeout | None = None
    """For one attempt, or one step of a flow ({default})."""
    labels: LabelsField = {}
    """Labels of the check, kept on info series."""
    addresses: AddressesShape | None = None
    """Which addresses that lists, DNS and servers name may be connected to, beside those of the
    file."""


class TlsCheckShape(CheckShape):
    """Handshake with every edge of every provider of every target, and judge the chain."""

    spec: ClassVar[object] = TLS

    kind: Literal["tls"]
    """tls: handshakes with every edge."""
    targets: CheckTargetsField = Field(examples=["stores"])
    """Name of a list under targets, or the targets themselves."""
    providers: AtLeastOne[Name] | None = optional(
        f"Names under providers; left out: what DNS gives customers now ({LIVE})."
    )
    port: Port | None = None
    """For targets and providers that name none ({default})."""
    sni: Host | None = None
    """Name sent and judged instead of the target's."""
    starttls: Starttls | None = None
    """Protocol spoken before TLS."""
    profiles: AtLeastOne[ProfileField] | None = Field(
        default=None, examples=[["tls13", "tls12-ecdsa"]]
    )
    """How attempts look to the server: default, tls13, tls12-ecdsa, tls12-rsa, or mappings."""
    expect: ChainShape | None = None
    """What the chain must be beyond valid."""
    trust: TrustField | None = None
    """Which roots verify the chain: mozilla, system or {file: …}."""
    confirm: ConfirmShape | None = None
    """How a first failure is confirmed."""
    consensus: ConsensusShape | None = None
    """When differing certificates are worth an alarm."""
    edge_series: EdgeSeries | None = None
    """Which edges get their own metric series."""
    records: Several[RecordType] = Field(default=[], examples=[["HTTPS", "CAA"]])
    """Records looked up beside addresses, and compared with what edges show: HTTPS (RFC 9460), CAA
    (RFC 8659). What differs is a warning."""
    caa_issuers: dict[NotEmpty, AtLeastOne[Host]] = Field(
        default={}, examples=[{"Example Trust": ["ca.example"]}]
    )
    """Organisation in the name of an issuer, to the names by which CAA records allow it; known
    authorities need none."""


class TcpCheckShape(CheckShape):
    """Connect to every address of every provider of every target, without TLS."""

    spec: ClassVar[object] = TLS

    kind: Literal["tcp"]
    """tcp: TCP connections, without TLS."""
    targets: CheckTargetsField = Field(examples=["databases"])
    """Name of a list under targets, or the targets themselves."""
    port: Port | None = Field(default=None, examples=[5432])
    """For targets and providers that name none; needed, since no port is usual."""
    providers: AtLeastOne[Name] | None = optional(
        f"Names under providers; left out: what DNS gives customers now ({LIVE})."
    )
    confirm: ConfirmShape | None = None
    """How a first failure is confirmed."""
    edge_series: EdgeSeries | None = None
    """Which edges get their own metric series."""


class PersonaShape(Shape):
    """One identity that runs the flow."""

    auth: dict[Name, PersonaAuthField] = {}
    """Replaces entries of the check's auth by name; none removes one."""
    vars: dict[ValueName, Text] = {}
    """Replaces entries of the check's vars."""
    expect_denied: Several[Name] = []
    """Names of steps that must be refused for this persona."""


class ApiCheckShape(CheckShape):
    """A flow of calls and commands."""

    spec = API

    kind: Literal["api", "command"]
    """api: a flow of calls; command: a flow of programs."""
    steps: Annotated[list[StepField], Field(min_length=1, max_length=100)] = Field(
        examples=[[{"name": "home", "get": "https://shop.example/"}]]
    )
    """Run in order."""
    targets: CheckTargetsField | None = None
    """Name of a list under targets, or the targets themselves; the flow runs for each as {target}.
    Left out: it runs once."""
    providers: AtLeastOne[Name] | None = None
    """Names under providers; left out: what DNS gives customers now."""
    flow_timeout: Timeout | None = None
    """For the whole run ({default})."""
    vars: dict[ValueName, Text] = {}
    """Values for templates; plain text, never secrets."""
    headers: dict[RequestHeader, HeaderValue] = {}
    """Sent with every request, logins included; values are templates. Host replaces the URL's in
    steps alone."""
    user_agent: Annotated[HeaderValue, no_reference] | None = None
    """User-Agent of every request."""
    auth: dict[Name, AuthField] = {}
    """Named ways to authenticate, for the steps."""
    personas: Annotated[dict[Name, PersonaShape], Field(max_length=20)] = {}
    """Identities that each run the flow."""
    hosts: HostPatterns = Field(default=[], examples=[["*.shop.example"]])
    """Names of hosts that the check's secrets go to, and credentials of auth entries that name
    none; left out: the hosts that this file itself spells out."""
    layers: Annotated[list[Name], Field(min_length=1, max_length=20)] | None = optional(
        f"Own names of layers, outermost first, instead of {', '.join(API.layers)}."
    )
    router_codes: Several[NotEmpty] | None = None
    """Codes in error bodies or evidence headers by which a router says that it did not reach what
    is behind it."""
    evidence_headers: Several[HeaderName] = []
    """Response headers to keep as evidence of failures."""
    instance_headers: Several[HeaderName] = []
    """Response headers that tell one server-side part from another."""
    run_id_header: TokenHeader | None = None
    """Request header that carries the id of the run."""
    login_interval: Annotated[Duration, between("10s", "1d")] | None = None
    """Time between logins of their own clock ({default})."""
    max_body: Annotated[Size, size_between("1KiB", "256MiB")] | None = None
    """Most bytes of a response's body that are read, decoded ({default}). Expectations that need
    more of it fail."""
    http2: bool | None = None
    """Whether HTTP/2 is offered ({default})."""
    groups: GroupsField = None
    trust: TrustField | None = None
    """Which roots verify the chain: mozilla, system or {file: …}."""
    client_certificate: ClientCertificateShape | None = None
    """Certificate shown to servers that ask for one (mTLS)."""


CheckShapes = TlsCheckShape | TcpCheckShape | ApiCheckShape
"""An entry of ``checks``."""
