"""How a TLS attempt looks to the server, what verifies its chain, and what is expected of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from probe.model.secret import SecretRef

Starttls = Literal["smtp", "imap", "pop3", "ldap", "postgres"]
ProfileName = Literal[
    "default",
    "tls13",
    "tls12-ecdsa",
    "tls12-rsa",
    "chrome",
    "firefox",
    "safari",
    "android",
    "java",
    "go",
    "curl",
    "openssl",
]
NO_STAPLE: frozenset[ProfileName] = frozenset({"curl", "openssl"})
"""Clients that ask for no stapled OCSP answer, so that none can be missing."""
NO_ALPN: frozenset[ProfileName] = frozenset({"openssl"})
"""Clients that offer no application protocol unless told to."""
GroupName = Literal[
    "X25519MLKEM768",
    "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024",
    "X25519",
    "X448",
    "P-256",
    "P-384",
    "P-521",
    "ffdhe2048",
    "ffdhe3072",
]
"""A closed list, so that a slip is found where it stands; a test holds that OpenSSL knows them.

In OpenSSL's own language a hyphen before a name would take a group away.
"""


def clients_in_words(fails: Collection[str], passes: Collection[str]) -> str:
    """Say ``fails for android and java, passes for chrome``; empty where one client looks.

    Args:
        fails: names of profiles that fail.
        passes: of those that were seen to pass at the same edges.
    """
    if len(fails) + len(passes) < 2 or not fails:
        return ""
    text = f"fails for {_listed(fails)}"
    return f"{text}, passes for {_listed(passes)}" if passes else text


def _listed(names: Collection[str]) -> str:
    *most, last = sorted(names)
    return f"{', '.join(most)} and {last}" if most else last


@dataclass(frozen=True, slots=True)
class Trust:
    """Which roots verify a chain.

    Attributes:
        kind: ``mozilla`` (the list of certifi), ``system`` (this host's), ``file``.
        file: PEM bundle, only for ``file``.
    """

    kind: Literal["mozilla", "system", "file"] = "mozilla"
    file: str | None = None


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Certificate chain and key for servers that ask for one (PEM)."""

    certificate: SecretRef
    key: SecretRef


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """How an attempt looks to the server; equal profiles share one TLS context.

    Attributes:
        name: the ``client`` label: a built-in profile's name, or the check's own.
        kind: which built-in it starts from.
        alpn: protocols offered, in order; empty offers none.
        min_version: ``TLSv1.2`` or ``TLSv1.3``; None leaves the profile's own.
        ciphers: OpenSSL cipher string for TLS 1.2; None leaves the profile's own.
        groups: key exchange groups offered, in order, by OpenSSL's names; empty leaves
            OpenSSL's own choice, which is that of browsers. In TLS 1.2 they also bound the
            curves of ECDSA certificates (RFC 8422, section 5.1.1).
        max_version: None leaves the profile's own.
        signatures: signature algorithms accepted, by OpenSSL's names; they bound the key types of
            certificates. Empty leaves the profile's own.
        resumption: ``across_edges`` also offers each edge a session ticket of another edge of
            its provider; None offers none.
    """

    name: str = "default"
    kind: ProfileName = "default"
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    min_version: Literal["TLSv1.2", "TLSv1.3"] | None = None
    ciphers: str | None = None
    client_certificate: ClientCertificate | None = None
    groups: tuple[str, ...] = ()
    max_version: Literal["TLSv1.2"] | None = None
    signatures: tuple[str, ...] = ()
    resumption: Literal["across_edges"] | None = None


@dataclass(frozen=True, slots=True)
class DaysLeft:
    """Life that a certificate must have left; with less, its renewal is late.

    Where both are given, the one that asks for less counts: a third of six days is not 30 days.

    Attributes:
        days: so many days, whatever the lifetime.
        share: this share of the lifetime, 0 to 1.
    """

    days: float | None = 30.0
    share: float | None = 1 / 6

    def seconds(self, lifetime: float) -> float:
        """Return the seconds that a certificate with this lifetime (seconds) must have left."""
        asked = (
            None if self.days is None else self.days * 86_400,
            None if self.share is None else self.share * lifetime,
        )
        return min((one for one in asked if one is not None), default=0.0)


@dataclass(frozen=True, slots=True)
class ChainExpectations:
    """What the presented chain must be beyond valid.

    Attributes:
        days_left: warn when a certificate of the verified path has less life left than this.
        issuers: at least one must be contained in the leaf's issuer; empty accepts any.
        fingerprints: SHA-256 of leaf certificates, lower-case hex; empty accepts any.
        spki: SHA-256 of the leaf's public key, lower-case hex; empty accepts any.
        not_before: the leaf must not be older than this (seconds since the epoch).
        alpn: protocol that must be chosen; None accepts any.
        ocsp: ``if_must_staple`` demands a stapled answer where the certificate does.
        ct: whether too few timestamps of Certificate Transparency fail, warn or are not counted;
            asked of chains to public roots alone.
        ct_log_list: JSON list of the logs whose signatures are checked; None checks none.
    """

    days_left: DaysLeft = DaysLeft()
    issuers: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    spki: tuple[str, ...] = ()
    not_before: float | None = None
    alpn: str | None = None
    ocsp: Literal["ignore", "if_must_staple", "require"] = "if_must_staple"
    ct: Literal["ignore", "warn", "require"] = "warn"
    ct_log_list: str | None = None
