"""TLS settings: how an attempt looks, which roots count, what the chain must be."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from probe.config.shape.base import AtLeastOne, Shape, Short, wrong
from probe.config.shape.texts import (
    Duration,
    Name,
    NotEmpty,
    PathText,
    Reference,
    between,
    from_text,
    text,
)
from probe.config.units import parse_fingerprint, parse_moment
from probe.model.spec import TlsCheck
from probe.model.tls import DaysLeft, GroupName, ProfileName
from probe.net.names import parse_host, quoted

TLS: Final = TlsCheck("", "", ())
"""Holds the defaults of TLS checks."""

Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, text(parse_host)]


_LIFE = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)([d%])")
_MOST_DAYS = 3650
_LIFE_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": _MOST_DAYS},
        {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?[d%]$"},
    ]
}


def _days_left(value: object) -> DaysLeft:
    written = value if isinstance(value, list) else [value]
    found: dict[str, float] = {}
    for one in written:
        match one:
            case bool():
                pass
            case int() | float() if 0 <= one <= _MOST_DAYS:
                found.setdefault("d", float(one))
            case str() if (life := _LIFE.fullmatch(one)) and float(life[1]) <= _MOST_DAYS:
                found.setdefault(life[2], float(life[1]))
    share = found.get("%")
    if not 0 < len(found) == len(written) or (share is not None and share > 100):
        raise wrong("write days, such as 14, a share of the lifetime, such as 30%, or [14d, 30%]")
    return DaysLeft(found.get("d"), None if share is None else share / 100)


Fingerprint = Annotated[str, text(parse_fingerprint)]
Fingerprints = AtLeastOne[Fingerprint]
Moment = Annotated[float, from_text(parse_moment, "2024-05-31"), WithJsonSchema({"type": "string"})]
Life = Annotated[
    DaysLeft,
    PlainValidator(_days_left),
    WithJsonSchema(
        {"anyOf": [*_LIFE_SCHEMA["anyOf"], {"type": "array", "items": _LIFE_SCHEMA, "maxItems": 2}]}
    ),
]


def _no_file(value: object) -> object:
    """Tell who writes a path here what to write instead."""
    if isinstance(value, str) and ("." in value or "/" in value):
        raise wrong(f"unknown value {quoted(value)}; write mozilla, system or {{file: {value}}}")
    return value


class TrustShape(Shape):
    """Which roots verify a chain."""

    roots: Annotated[Literal["mozilla", "system"], BeforeValidator(_no_file)] | None = None
    """Mozilla's list or this host's store (mozilla)."""
    file: PathText | None = Field(default=None, examples=["roots.pem"])
    """PEM file of roots, relative to this file."""


TrustField = Annotated[TrustShape, Short({str: "roots"})]


class ClientCertificateShape(Shape):
    """Certificate chain and key (PEM) for servers that ask for one."""

    certificate: Reference = Field(examples=["file:client.pem"])
    """Where the certificate chain is: file:, env: or credential:."""
    key: Reference = Field(examples=["file:client.key"])
    """Where its private key is: file:, env: or credential:."""


GroupsField = Annotated[
    AtLeastOne[GroupName] | None,
    Field(
        description="Key exchange groups offered, in order, by OpenSSL's names; "
        "left out: as browsers do. For TLS 1.2 the curves of the servers' ECDSA certificates "
        "belong to them (RFC 8422).",
        examples=[["X25519", "P-256"]],
    ),
]


class ProfileShape(Shape):
    """How an attempt looks to the server."""

    kind: ProfileName = TLS.profiles[0].kind
    """The built-in profile that it starts from: by what is offered, or a named client."""
    name: Name | None = None
    """Its name on metrics (label client); the kind when left out."""
    alpn: list[Annotated[str, Field(min_length=1, max_length=255)]] | None = None
    """Application protocols offered, in order; [] offers none."""
    min_version: Literal["TLSv1.2", "TLSv1.3"] | None = None
    """The least TLS version offered."""
    ciphers: NotEmpty | None = Field(default=None, examples=["ECDHE+AESGCM"])
    """OpenSSL cipher string for TLS 1.2."""
    groups: GroupsField = None
    resumption: Literal["across_edges"] | None = None
    """Offer each edge a session ticket of another edge of its provider too, after a handshake
    without one. Left out: no ticket is taken or offered."""
    client_certificate: ClientCertificateShape | None = None
    """Certificate shown to servers that ask for one (mTLS)."""


ProfileField = Annotated[ProfileShape, Short({str: "kind"})]


class ChainShape(Shape):
    """What the presented chain must be beyond valid."""

    spec = TLS.expect

    days_left: Life | None = Field(default=None, examples=["14d", "30%", ["14d", "30%"]])
    """Life that a certificate must have left: days, a share of its lifetime, or both, and then the
    one that asks for less counts. With less, its renewal is late: a warning and a ticket. Left
    out: a sixth, at most 30 days."""
    issuers: AtLeastOne[NotEmpty] | None = None
    """Texts of which one must be in the leaf's issuer."""
    fingerprints: Fingerprints | None = None
    """SHA-256 of the leaf certificates that are right; hex, colons allowed."""
    spki: Fingerprints | None = None
    """SHA-256 of the leaf's public key (SubjectPublicKeyInfo); hex."""
    not_before: Moment | None = None
    """The leaf must not be older than this date or RFC 3339 time."""
    alpn: str | None = None
    """Application protocol that must be chosen."""
    ocsp: Literal["ignore", "if_must_staple", "require"] | None = None
    """Whether a stapled OCSP answer is demanded ({default})."""
    ct: Literal["ignore", "warn", "require"] | None = None
    """What too few timestamps of Certificate Transparency are ({default}): nothing, a warning, or
    a failure. Asked of chains to a root of Mozilla's list alone."""
    ct_log_list: PathText | None = Field(default=None, examples=["log_list.json"])
    """JSON list of logs as browsers publish it (version 3), relative to this file. With it only
    timestamps of approved logs count whose signature holds."""


class ConfirmShape(Shape):
    """How a first failure is confirmed, and recovery likewise."""

    spec = TLS.confirm

    attempts: Annotated[int, Field(ge=0, le=20)] | None = None
    """Quick further attempts on the same edge after a change ({default})."""
    spacing: Annotated[Duration, between("0", "1m")] | None = None
    """Time between their starts ({default})."""
    sample_interval: Annotated[Duration, between("100ms", "1h")] | None = None
    """How often an edge under suspicion is sampled ({default})."""
    sample_for: Annotated[Duration, between("0", "1d")] | None = None
    """How long faster sampling lasts after the last failure ({default})."""
    sample_budget: Annotated[float, Field(ge=0, le=10_000)] | None = None
    """Most extra attempts a second for the whole check ({default})."""
    flapping_score: Annotated[float, Field(ge=1, le=1000)] | None = None
    """Failures, net of forgiven ones, from which an edge is flapping ({default})."""
    forgive_after: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Passes that outweigh one failure ({default})."""
    clear_after: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Passes in a row that end flapping at the latest ({default}); fewer do when they are
    improbable for an edge that fails as often as this one did."""


class ConsensusShape(Shape):
    """When differing certificates across edges are worth an alarm."""

    spec = TLS.consensus

    grace: Annotated[Duration, between("0", "90d")] | None = None
    """How long a rolling renewal may take ({default})."""
    across_providers: bool | None = None
    """Compare all providers of the check with each other ({default})."""
    across_regions: bool | None = None
    """Compare what all regions see, by an alert rule ({default}). Write false where
    a provider has certificates for each region."""


EdgeSeries = Literal["all", "failing", "none"]
