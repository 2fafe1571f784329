"""API checks: flows of steps, what they send, expect and capture.

Texts marked *template* may hold ``{name}`` placeholders, filled from the check's ``vars``, the
target (``{target}`` as its list has it, ``{target.name}`` without a port, ``{labels.NAME}``), the
persona, captures of earlier steps, and the token that an entry of ``auth`` gave (``{auth.NAME}``:
bearer, json_login, oauth2, cookie; for calls that carry it elsewhere than in the header).
``probe.model.expressions`` reads and fills them. ``{{`` and ``}}`` are literal braces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from probe.model.auth import Auth
from probe.model.secret import SecretRef
from probe.model.target import AddressRules
from probe.model.tls import ClientCertificate, Trust


def _no_items() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """What a step sends.

    Attributes:
        url: template; absolute.
        headers: values are templates; ``Host`` replaces the URL's.
        query: appended to the URL; values are templates.
        json: a JSON document whose string leaves are templates or ``SecretRef`` values.
        form: fields of an ``application/x-www-form-urlencoded`` body; templates or secrets.
        body: raw body, template. At most one of json, form, body is not None.
        follow_redirects: how many; 0 is off. With credentials never to another origin, unless
            ``hosts`` names its host.
        redirect_to_http: whether a redirect may lead from https to http; never with credentials.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=_no_items)
    query: Mapping[str, str] = field(default_factory=_no_items)
    json: Any = None
    form: Mapping[str, str | SecretRef] | None = None
    body: str | None = None
    follow_redirects: int = 0
    redirect_to_http: bool = False


@dataclass(frozen=True, slots=True)
class HeaderExpectation:
    """A response header that must be there, and match when a pattern is given."""

    name: str
    matches: str | None = None


@dataclass(frozen=True, slots=True)
class Expect:
    """What the answer must be. Everything that is written must hold.

    Attributes:
        status: codes (``200``) and classes (``2xx``) as written; empty means ``2xx``.
        json: JMESPath conditions; each must give true (not null, false or empty).
        contains: texts that the body must contain; templates.
        matches: regular expressions that must be found in the body.
        not_matches: regular expressions that must not.
        max_size: bytes of the decoded body.
        slower_than: seconds; a slower answer is *degraded*, not failed.
    """

    status: tuple[str, ...] = ()
    headers: tuple[HeaderExpectation, ...] = ()
    json: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    not_matches: tuple[str, ...] = ()
    max_size: int | None = None
    slower_than: float | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    """A value taken from the answer for later steps.

    Attributes:
        source: ``json`` (JMESPath), ``header`` (name), ``cookie`` (name), ``regex`` (first group).
        secret: the value is redacted wherever evidence is kept.
    """

    name: str
    source: Literal["json", "header", "cookie", "regex"]
    expression: str
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a flow.

    Attributes:
        layer: which layer this call proves (``edge``, ``control``, ``login``, ``token``,
            ``authorization``, ``backend``, or a name of the check's own).
        auth: name of an entry of the check's ``auth``; None sends no credentials.
        deny: the call must be refused (a 4xx); a success means authorization fails open.
        cleanup: runs always, last.
        backend: what serves this call (host or service); the diagnosis tells one backend's
            failure from all backends' failure by it. Defaults to the URL's host.
        attempts: fresh-connection attempts per run, for failures of only some parts.
    """

    name: str
    layer: str
    request: RequestTemplate
    expect: Expect = field(default_factory=Expect)
    captures: tuple[Capture, ...] = ()
    auth: str | None = None
    timeout: float | None = None
    deny: bool = False
    cleanup: bool = False
    backend: str | None = None
    attempts: int = 1

    def denied_to(self, persona: Persona | None) -> bool:
        """Tell whether the call must be refused, to everybody or to this persona."""
        return self.deny or (persona is not None and self.name in persona.expect_denied)


@dataclass(frozen=True, slots=True)
class Command:
    """A real program run as a step: argument list, no shell.

    Attributes:
        arguments: program and arguments; templates.
        environment: the whole environment of the program; values may be secrets. ``PATH``,
            ``HOME`` and ``TMPDIR`` (a folder thrown away afterwards) are set when absent.
        stdin: what the program reads, a template or a secret; None for nothing.
        exit_codes: codes that pass.
        slower_than: seconds; a slower program is *degraded*, not failed.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str | SecretRef] = field(default_factory=_no_items)
    exit_codes: tuple[int, ...] = (0,)
    contains: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    json: tuple[str, ...] = ()
    output_cap: int = 65536
    slower_than: float | None = None
    stdin: str | SecretRef | None = None


@dataclass(frozen=True, slots=True)
class CommandStep:
    """A step that runs a program instead of a call."""

    name: str
    layer: str
    command: Command
    timeout: float | None = None
    cleanup: bool = False


@dataclass(frozen=True, slots=True)
class Persona:
    """One identity that runs the flow.

    Attributes:
        auth: replaces entries of the check's ``auth`` by name; ``None`` as a value removes
            the credentials (anonymous).
        vars: replaces entries of the check's ``vars``.
        expect_denied: names of steps that must be refused for this persona.
    """

    name: str
    auth: Mapping[str, Auth | None] = field(default_factory=_no_items)
    vars: Mapping[str, str] = field(default_factory=_no_items)
    expect_denied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApiCheck:
    """One ``kind: api`` (or ``kind: command``) entry.

    Attributes:
        targets: name of a target list, or None for a flow that runs once.
        providers: names; empty means live DNS through the system's resolver.
        timeout: for one step.
        flow_timeout: for the whole run.
        headers: sent with every request; templates.
        evidence_headers: response headers to keep as evidence.
        instance_headers: response headers that tell one server-side part from another.
        layers: names in order, outermost first.
        router_codes: values of ``code`` in error bodies, or of an evidence header, by which a
            router says that it did not reach what is behind it.
        login_interval: seconds between logins of their own clock.
        groups: key exchange groups offered, by OpenSSL's names; empty: as browsers do.
        max_body: cap on a response's body, decoded, in bytes.
        trust: as for TLS checks; always verified.
        addresses: which may be connected to.
        hosts: patterns of names that secrets of the check may go to; empty: those that the
            configuration itself spells out where it uses them.
    """

    kind: ClassVar = "api"

    name: str
    steps: tuple[Step | CommandStep, ...]
    targets: str | None = None
    providers: tuple[str, ...] = ()
    interval: float = 30.0
    timeout: float = 10.0
    flow_timeout: float = 25.0
    vars: Mapping[str, str] = field(default_factory=_no_items)
    headers: Mapping[str, str] = field(default_factory=_no_items)
    user_agent: str | None = None
    auth: Mapping[str, Auth] = field(default_factory=_no_items)
    personas: tuple[Persona, ...] = ()
    layers: tuple[str, ...] = ("edge", "control", "login", "token", "authorization", "backend")
    router_codes: tuple[str, ...] = ()
    evidence_headers: tuple[str, ...] = ()
    instance_headers: tuple[str, ...] = ()
    run_id_header: str | None = None
    login_interval: float = 300.0
    max_body: int = 1024 * 1024
    http2: bool = True
    trust: Trust = field(default_factory=Trust)
    client_certificate: ClientCertificate | None = None
    groups: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=_no_items)
    addresses: AddressRules = field(default_factory=AddressRules)
    hosts: tuple[str, ...] = ()

    def json_due(self, step: Step) -> bool:
        """Tell whether a call that is let in gets JSON, by what the check expects.

        The same request with credentials tells; without one, the calls to the same place.
        """
        calls = [s for s in self.steps if isinstance(s, Step) and not s.deny]
        asked = (step.request.method, step.request.url)
        alike = [s for s in calls if (s.request.method, s.request.url) == asked]
        place = _place(step)
        return any(map(_expects_json, alike or [s for s in calls if _place(s) == place]))


def _place(step: Step) -> str:
    """Cut a URL template before its path."""
    scheme, separator, rest = step.request.url.rpartition("://")
    return scheme + separator + rest.partition("/")[0]


def _expects_json(step: Step) -> bool:
    typed = (one.matches or "" for one in step.expect.headers if one.name.lower() == "content-type")
    return (
        bool(step.expect.json)
        or any(one.source == "json" for one in step.captures)
        or any("json" in pattern for pattern in typed)
    )
