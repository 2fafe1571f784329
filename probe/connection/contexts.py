"""TLS contexts: one per distinct setting, shared by all attempts; never one per attempt.

This is the only file where OpenSSL's certificate verification is off. Every presented chain is
judged after the handshake (`probe.certificates`), so that a rejected chain still yields its
facts; a caller that sends credentials must have that verdict before its first byte. OpenSSL
still proves that the edge holds the key of the certificate it shows.

The table `OFFERS` says what each client profile offers. ``default`` follows what current
browsers offer: TLS 1.2 and 1.3, forward secrecy first, plain RSA key exchange last, no
finite-field Diffie-Hellman, and Chrome's signatures without ML-DSA. Key exchange groups, unless a
profile names its own, are OpenSSL's choice: X25519MLKEM768 and X25519 (both with a key share)
from 3.5 on. The two TLS 1.2 profiles offer the suites of one certificate type only, so that an
edge which lacks that certificate cannot answer with the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL

from probe.connection import openssl
from probe.connection.failures import AttemptFailed
from probe.documents.files import Wanted, pem_problem
from probe.model.failure import Failure, Phase, Reason
from probe.model.secret import ReadSecret, Secret, SecretError, SecretRef
from probe.model.tls import ClientCertificate, ClientProfile, ProfileName

_ECDSA = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
)
_RSA = (
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
)
TLS13_SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

CHROME_SIGNATURES = (
    "ecdsa_secp256r1_sha256",
    "rsa_pss_rsae_sha256",
    "rsa_pkcs1_sha256",
    "ecdsa_secp384r1_sha384",
    "rsa_pss_rsae_sha384",
    "rsa_pkcs1_sha384",
    "rsa_pss_rsae_sha512",
    "rsa_pkcs1_sha512",
)
"""Signature algorithms of Chrome, in its order, without ML-DSA: ``kVerifyPrefs`` in Chromium's
``net/socket/ssl_client_socket_impl.cc``.

Chrome 156 offers three of ML-DSA before them, and so does the profile ``chrome``. ``default`` does
not: Firefox 153 and Safari 26 do not offer it, and an edge that fails for it should fail for
``chrome`` and ``go``, not for all."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a ClientHello offers.

    Attributes:
        min_version: OpenSSL's version number.
        max_version: OpenSSL's version number.
        ciphers: OpenSSL cipher string for TLS 1.2.
        alpn: protocols, in order.
        groups: key exchange groups, in order, with ``*`` before those that a key share is sent
            for; empty for OpenSSL's own choice.
        signatures: signature algorithms, in order; empty for OpenSSL's own choice.
        suites: of TLS 1.3, in order.
        options: of OpenSSL, beside those that all have.
        empty: numbers of extensions sent without content.
        later_certificate: offers a client certificate after the handshake (RFC 8446, 4.2.6).
    """

    min_version: int
    max_version: int
    ciphers: str
    alpn: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    suites: str = TLS13_SUITES
    # Browsers still talk to servers without RFC 5746; OpenSSL refuses them by default.
    options: int = SSL.OP_LEGACY_SERVER_CONNECT | SSL.OP_NO_TICKET
    empty: tuple[int, ...] = ()
    later_certificate: bool = False


OFFERS: Mapping[ProfileName, Offer] = MappingProxyType(
    {
        "default": Offer(
            SSL.TLS1_2_VERSION,
            SSL.TLS1_3_VERSION,
            ":".join(_ECDSA + _RSA),
            signatures=CHROME_SIGNATURES,
        ),
        "tls13": Offer(SSL.TLS1_3_VERSION, SSL.TLS1_3_VERSION, ":".join(_ECDSA + _RSA)),
        "tls12-ecdsa": Offer(SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION, ":".join(_ECDSA)),
        "tls12-rsa": Offer(SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION, ":".join(_RSA)),
    }
)
_VERSIONS = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}


def offer(profile: ClientProfile) -> Offer:
    """Look up what a profile offers, and apply its overrides."""
    named = OFFERS.get(profile.kind) or _named(profile.kind)
    found = replace(named, alpn=profile.alpn, groups=profile.groups or named.groups)
    if profile.resumption is not None:
        found = replace(found, options=found.options & ~SSL.OP_NO_TICKET)
    if profile.min_version is not None:
        found = replace(found, min_version=_VERSIONS[profile.min_version])
    if profile.max_version is not None:
        found = replace(found, max_version=_VERSIONS[profile.max_version])
    if profile.ciphers is not None:
        found = replace(found, ciphers=profile.ciphers)
    if profile.signatures:
        found = replace(found, signatures=profile.signatures)
    elif profile.client_certificate is not None and profile.kind == "default":
        # OpenSSL signs with nothing else than what it offers: an Ed25519 key would be of no use.
        found = replace(found, signatures=())
    return found


def _named(kind: ProfileName) -> Offer:
    from probe.connection.clients import CLIENTS  # noqa: PLC0415 - few checks ask for them

    return CLIENTS[kind]


class TlsContexts:
    """Builds and keeps contexts.

    Args:
        secrets: reads a secret; raises `probe.model.secret.SecretError`. Asked before every
            attempt with a client certificate, so that a rotated one is used from then on.
    """

    def __init__(self, secrets: ReadSecret) -> None:
        self._secrets = secrets
        self._plain: dict[Offer, SSL.Context] = {}
        self._by_profile: dict[ClientProfile, SSL.Context] = {}
        self._with_certificate: dict[ClientProfile, tuple[Secret, Secret, SSL.Context]] = {}

    def get(self, profile: ClientProfile) -> SSL.Context:
        """Return the context for a profile.

        Raises:
            AttemptFailed: inconclusive; a client certificate that is missing or unusable, or
                ciphers or groups that this OpenSSL does not know.
        """
        if profile.client_certificate is not None:
            return self._certified(profile, profile.client_certificate)
        context = self._by_profile.get(profile)
        if context is None:
            wanted = offer(profile)  # profiles that differ only in their name share a context
            context = self._plain.get(wanted)
            if context is None:
                context = self._plain[wanted] = _build(wanted)
            self._by_profile[profile] = context
        return context

    def _certified(self, profile: ClientProfile, which: ClientCertificate) -> SSL.Context:
        try:
            certificate, key = self._secrets(which.certificate), self._secrets(which.key)
        except SecretError as error:
            raise AttemptFailed(error.failure(Phase.TLS)) from error
        kept = self._with_certificate.get(profile)
        if kept is not None and kept[:2] == (certificate, key):
            return kept[2]
        context = _build(offer(profile))
        _present(context, certificate, key, which)
        self._with_certificate[profile] = (certificate, key, context)
        return context


def _build(wanted: Offer) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_min_proto_version(wanted.min_version)
    context.set_max_proto_version(wanted.max_version)
    try:
        context.set_cipher_list(wanted.ciphers.encode())
    except SSL.Error as error:
        raise _lacking(f"every cipher of {wanted.ciphers!r}") from error
    context.set_tls13_ciphersuites(wanted.suites.encode())
    if wanted.groups and not openssl.offer_groups(context, wanted.groups):
        raise _lacking(f"a group of {':'.join(wanted.groups)!r}")
    if wanted.signatures and not openssl.offer_signatures(context, wanted.signatures):
        raise _lacking(f"a signature algorithm of {':'.join(wanted.signatures)!r}")
    # A full handshake unless a caller offers a session: a resumed one presents no certificate.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | wanted.options)
    if wanted.empty or wanted.later_certificate:
        openssl.offer_extensions(context, wanted.empty, later_certificate=wanted.later_certificate)
    # 15 KiB less per handshake in flight: hundreds are, when a provider stops answering.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    if wanted.alpn:
        context.set_alpn_protos([name.encode() for name in wanted.alpn])
    return context


def _present(
    context: SSL.Context, certificate: Secret, key: Secret, which: ClientCertificate
) -> None:
    """Load a client certificate chain and its key."""
    parts: tuple[tuple[Secret, SecretRef, Wanted], ...] = (
        (certificate, which.certificate, "certificate"),
        (key, which.key, "key"),
    )
    for secret, reference, wanted in parts:
        problem = pem_problem(secret.reveal().encode(), wanted, reference.name)
        if problem is not None:
            raise _unusable(f"client certificate: {reference}: {problem}")
    try:
        use_pair(context, certificate.reveal().encode(), key.reveal().encode())
    except PairError as error:
        raise _unusable(
            f"client certificate {which.certificate} with key {which.key}: no usable pair ({error})"
        ) from None


class PairError(Exception):
    """A certificate and a key that cannot be used together; says the kind of complaint only."""


def use_pair(context: SSL.Context, certificate: bytes, key: bytes) -> None:
    """Load a certificate chain and its key, both in PEM. Raises PairError."""
    try:
        leaf, *issuers = x509.load_pem_x509_certificates(certificate)
        private = load_pem_private_key(key, None)
        context.use_certificate(leaf)
        for issuer in issuers:
            context.add_extra_chain_cert(issuer)
        context.use_privatekey(private)  # type: ignore[arg-type]  # the wrong kind raises
        context.check_privatekey()
    except (ValueError, TypeError, UnsupportedAlgorithm, SSL.Error) as error:
        # The library's words could quote the PEM.
        raise PairError(type(error).__name__) from None


def _lacking(what: str) -> AttemptFailed:
    return AttemptFailed(Failure(Phase.TLS, Reason.LOCAL_RESOURCE, f"OpenSSL here lacks {what}"))


def _unusable(detail: str) -> AttemptFailed:
    return AttemptFailed(SecretError(detail).failure(Phase.TLS))
