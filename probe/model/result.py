"""Results of probes: one record for success and failure, facts kept when the verdict is bad."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from probe.model.auth import EarlyRefusal
from probe.model.failure import Failure
from probe.model.records import NameFindings
from probe.model.target import Edge, EdgeKey, FlowKey, ProviderKey, Resolution

_EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Passed:
    """All that was expected held.

    Attributes:
        warnings: findings that a person should know and that fail nothing
            (expires soon, wrong order, too slow).
    """

    warnings: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The target, or what serves it, is at fault.

    Attributes:
        failure: the finding to name first; its phase and reason become labels.
        others: every further finding.
    """

    failure: Failure
    others: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """The fault is ours; nothing may be concluded about the target."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Missing:
    """A step needs a value that no step before it gave."""

    name: str

    def __str__(self) -> str:
        return f"needs {self.name}, which no step before it gave"


@dataclass(frozen=True, slots=True)
class NoLogin:
    """A step needs the credentials of a login that gave none."""

    auth: str

    def __str__(self) -> str:
        return f"needs the login {self.auth}, which gave no token"


@dataclass(frozen=True, slots=True)
class NotMeant:
    """A step carries a token that this persona does not have, as the configuration wants it."""

    auth: str

    def __str__(self) -> str:
        return f"carries the token of {self.auth}, which this persona does not have"


@dataclass(frozen=True, slots=True)
class OutOfTime:
    """The run's time was over before the step began."""

    def __str__(self) -> str:
        return "the run's time was over before it began"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A step that did not run."""

    why: Missing | NoLogin | NotMeant | OutOfTime

    def __str__(self) -> str:
        return str(self.why)


Outcome = Passed | Failed | Inconclusive
StepOutcome = Passed | Failed | Inconclusive | Skipped


def outcome_of(failures: tuple[Failure, ...], warnings: tuple[Failure, ...] = ()) -> Outcome:
    """Choose the outcome for findings in order of importance: ours beat the target's."""
    for failure in failures:
        if failure.ours:
            return Inconclusive(failure)
    if failures:
        return Failed(failures[0], failures[1:] + warnings)
    return Passed(warnings)


def changed(outcome: Outcome, change: Callable[[Failure], Failure]) -> Outcome:
    """Make an outcome of the same kind with each failure and warning changed."""
    match outcome:
        case Passed(warnings):
            return Passed(tuple(map(change, warnings))) if warnings else outcome
        case Inconclusive(failure):
            return Inconclusive(change(failure))
        case Failed(failure, others):
            return replace(outcome, failure=change(failure), others=tuple(map(change, others)))


class Clock(StrEnum):
    """Where the ends of the phases were read."""

    KERNEL = "kernel"  # SO_TIMESTAMPNS on receive
    APPLICATION = "application"


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds per phase; None for a phase that did not happen. Never zero for absent.

    Attributes:
        auth: obtaining a token, its own phase so that it stretches no other.
        lag: the greatest event-loop lag seen around the attempt, in seconds; above the
            agent's bound the timings are not trustworthy.
        clock: what the ends of the phases were read from.
        lookup: of the resolution that gave the address, made now or before; 0 where none was
            needed, None where no address was looked for.
    """

    resolve: float | None = None
    connect: float | None = None
    starttls: float | None = None
    tls: float | None = None
    auth: float | None = None
    send: float | None = None
    wait: float | None = None
    receive: float | None = None
    total: float = 0.0
    lag: float = 0.0
    clock: Clock = Clock.APPLICATION
    lookup: float | None = None


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What one presented certificate says. Shared between results: built once per certificate.

    Attributes:
        not_before: seconds since the epoch.
        not_after: seconds since the epoch.
        subject: RFC 4514 string.
        issuer: RFC 4514 string.
        serial: lower-case hex.
        dns_names: subject alternative names of type DNS.
        ip_names: subject alternative names of type IP.
        key: ``ec-p256``, ``rsa-2048``, ``ed25519``, …
        key_type: ``ecdsa``, ``rsa``, ``ed25519``, ``other``: what consensus groups by.
        issuer_url: the AIA caIssuers URL, if any.
    """

    fingerprint_sha256: str
    spki_sha256: str
    subject: str
    issuer: str
    serial: str
    not_before: float
    not_after: float
    dns_names: tuple[str, ...]
    ip_names: tuple[str, ...]
    key: str
    key_type: str
    issuer_url: str | None = None
    self_signed: bool = False


@dataclass(frozen=True, slots=True)
class Renewal:
    """By when a certificate should be renewed, or the first one of a path. Epoch seconds.

    Attributes:
        due: a third of the lifetime is left: renewal is expected from here on, nothing is wrong.
        late: less is left than the check asks for (``days_left``): something is stuck.
        urgent: so little is left that somebody must act at once.
    """

    due: float
    late: float
    urgent: float

    def stage(self, now: float) -> Literal["due", "late", "urgent"] | None:
        """Name the latest of the times that has come; None before all of them."""
        if now < self.due:
            return None
        return "due" if now < self.late else "late" if now < self.urgent else "urgent"


_REVOCATION = {
    "good": "on no list",
    "revoked": "revoked",
    "unknown": "not known",
    "pending": "not looked at yet",
}


@dataclass(frozen=True, slots=True)
class Timestamps:
    """Signed certificate timestamps (RFC 6962) that came with a certificate of a public root.

    Those in the handshake's own extension are not looked at.

    Attributes:
        embedded: in the certificate.
        stapled: in the stapled OCSP answer.
        logs: distinct logs whose timestamps count; with a list of logs, only approved ones whose
            signature holds.
        needed: from how many distinct logs browsers want them.
        checked: signatures were checked, because there is a list of logs.
    """

    embedded: int
    stapled: int
    logs: int
    needed: int
    checked: bool


@dataclass(frozen=True, slots=True)
class Handshake:
    """Facts of a completed handshake, whatever the verdict on the chain.

    Attributes:
        version: ``TLS 1.3`` as blackbox_exporter writes it.
        cipher: IANA/OpenSSL name.
        group: key exchange group, e.g. ``X25519MLKEM768``; None when unknown.
        alpn: protocol chosen, None when none.
        chain: presented certificates in the order sent; leaf first. Empty only if unparsable.
        verified_not_after: the least NotAfter on the verified path with the greatest such
            value; None when no path verifies. Seconds since the epoch.
        renewal: of that path, the earliest times over its certificates; None likewise.
        leaf_renewal: of the leaf alone, whether or not it verifies; None without a leaf.
        ocsp: ``good``, ``revoked``, ``unknown`` or None when nothing was stapled.
        timestamps: of Certificate Transparency; None when they were not asked for: the chain
            does not verify to a public root, or the check ignores them.
        crl: ``good`` when every revocation list that the verified path names was looked at,
            ``revoked``, ``unknown`` when one cannot be used, ``pending`` before it was fetched;
            None when nothing was looked at: no list is named, no path verifies, or it is off.
    """

    version: str
    cipher: str
    chain: tuple[CertificateFacts, ...]
    group: str | None = None
    alpn: str | None = None
    verified_not_after: float | None = None
    renewal: Renewal | None = None
    leaf_renewal: Renewal | None = None
    ocsp: str | None = None
    timestamps: Timestamps | None = None
    crl: Literal["good", "revoked", "unknown", "pending"] | None = None

    @property
    def revocation(self) -> str:
        """What is known of revocation lists, in words."""
        return "not looked at" if self.crl is None else _REVOCATION[self.crl]

    @property
    def leaf(self) -> CertificateFacts | None:
        """The server's own certificate."""
        return self.chain[0] if self.chain else None


@dataclass(frozen=True, slots=True)
class SessionTrial:
    """What became of a session ticket that was offered to an edge.

    Attributes:
        outcome: ``resumed``; ``refused``, politely, with a full handshake; ``broken``: the
            handshake failed, and passed without the ticket; ``untried``: there was no ticket to
            offer, or the edge could not be reached with it.
        giver: the edge that the ticket was taken at; empty without one.
    """

    outcome: Literal["resumed", "refused", "broken", "untried"]
    giver: str = ""


@dataclass(frozen=True, slots=True)
class TlsResult:
    """One attempt of a TLS check against one edge.

    Attributes:
        at: wall time of the start, seconds since the epoch.
        handshake: facts, present whenever a handshake completed.
        command: paste-ready reproduction, only composed for failures.
        browser: what a browser shows its user for this failure (``ERR_SSL_…``), or empty.
        notes: what cannot be told of the edge, in words.
        session: the ticket of another edge that was offered afterwards; None where none was to be.
    """

    key: EdgeKey
    edge: Edge
    at: float
    outcome: Outcome
    timings: Timings
    handshake: Handshake | None = None
    command: str = ""
    browser: str = ""
    notes: tuple[str, ...] = ()
    session: SessionTrial | None = None


@dataclass(frozen=True, slots=True)
class ResolveResult:
    """What a provider's DNS said for one target; its own signal beside the edges' results.

    Attributes:
        named: what it said besides addresses; None where nothing else was asked for.
    """

    key: ProviderKey
    at: float
    resolution: Resolution
    named: NameFindings | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a person needs to see of a step, secrets redacted.

    Attributes:
        request: method and URL.
        status: HTTP status code, or exit code for a command; None without a response.
        headers: response headers that the configuration lists.
        body: first bytes of the response's body as text.
        command: paste-ready ``curl``, secrets as shell variables.
        trace_id: W3C trace id that the request carried (32 hex digits).
        http_version: 1.1 or 2.0; None without a response.
        content_length: bytes that the response announced, -1 when it announced none.
        body_size: bytes of the decoded body that were read.
        redirects: how many were followed.
    """

    request: str = ""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: _EMPTY, hash=False)
    body: str = ""
    command: str = ""
    trace_id: str = ""
    http_version: float | None = None
    content_length: int | None = None
    body_size: int | None = None
    redirects: int | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step of one run of a flow, or one of its further attempts.

    Attributes:
        attempts: requests made for this step in this run (two after a refreshed token).
        early_refusal: what it counts as that a kept token was refused before its end and a new
            one taken; empty when none was.
        edge: address that answered; None when none was reached.
        handshake: facts of the connection the step opened; None when it reused one.
    """

    step: str
    layer: str
    outcome: StepOutcome
    timings: Timings = field(default_factory=Timings)
    attempts: int = 0
    edge: Edge | None = None
    handshake: Handshake | None = None
    evidence: Evidence = field(default_factory=Evidence)
    early_refusal: EarlyRefusal | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class FlowResult:
    """One run of a flow: its steps in order, with skipped ones standing in their place."""

    key: FlowKey
    at: float
    outcome: Outcome
    steps: tuple[StepResult, ...]
    seconds: float = 0.0
    lag: float = 0.0
    run_id: str = ""
    token_expires_at: float | None = None


Result = TlsResult | FlowResult | ResolveResult
