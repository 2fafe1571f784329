"""What two well-tried verifiers say of a chain: OpenSSL's, and the web PKI rules of cryptography.

The judgement agrees with OpenSSL, as most command-line tools and API clients do: what OpenSSL
refuses is never accepted. What only the stricter rules refuse is a warning.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)
from OpenSSL import crypto

from probe.probers.chain.certificate import UNREADABLE, Certificate


@dataclass(frozen=True, slots=True)
class Opinion:
    """One verifier's word on a chain.

    Attributes:
        path: digests from leaf to anchor; None when it refuses.
        why: the verifier's own words for a refusal.
        code: OpenSSL's X509_V_ERR number for a refusal; 0 elsewhere.
        depth: at which certificate of its path OpenSSL refused; 0 is the leaf.
    """

    path: tuple[bytes, ...] | None
    why: str = ""
    code: int = 0
    depth: int = 0

    @property
    def accepts(self) -> bool:
        """Whether it found a path that it trusts."""
        return self.path is not None


def ask_openssl(
    leaf: Certificate, others: Sequence[Certificate], roots: Sequence[Certificate], now: float
) -> Opinion:
    """OpenSSL's opinion, with partial chains allowed as curl and Python do.

    Names and purposes are not asked for: the binding offers neither, and both have findings
    of their own.
    """
    try:
        store = crypto.X509Store()
        store.set_time(_instant(now))
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        for root in roots:
            store.add_cert(_for_openssl(root))
        context = crypto.X509StoreContext(
            store, _for_openssl(leaf), [_for_openssl(other) for other in others]
        )
        chain = context.get_verified_chain()
        return Opinion(
            tuple(
                hashlib.sha256(crypto.dump_certificate(crypto.FILETYPE_ASN1, c)).digest()
                for c in chain
            )
        )
    except crypto.X509StoreContextError as refusal:
        code, depth, text = refusal.errors
        return Opinion(None, str(text), int(code), int(depth))
    except crypto.Error as error:
        return Opinion(None, f"OpenSSL cannot read it: {error.args[0] if error.args else ''}")


def ask_webpki(
    leaf: Certificate, others: Sequence[Certificate], roots: Sequence[Certificate], now: float
) -> Opinion:
    """The opinion of cryptography's verifier with its web PKI defaults, names left aside."""
    if not roots:
        return Opinion(None, "no trust root bears a name that the chain mentions")
    builder = PolicyBuilder().store(Store([root.parsed for root in roots])).time(_instant(now))
    builder = builder.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=_any_name()
    )
    try:
        path = builder.build_server_verifier(x509.DNSName("any.invalid")).verify(
            leaf.parsed, [other.parsed for other in others]
        )
    except VerificationError as refusal:
        return Opinion(None, str(refusal))
    except UNREADABLE as error:
        return Opinion(None, f"{type(error).__name__}: {error}")
    known = {c.parsed: c.digest for c in (leaf, *others, *roots)}
    return Opinion(tuple(known[certificate] for certificate in path))


def openssl_reads(der: bytes) -> bool:
    """Whether OpenSSL parses a certificate; if not, its clients break off the handshake."""
    try:
        crypto.load_certificate(crypto.FILETYPE_ASN1, der)
    except crypto.Error:
        return False
    return True


def _any_name() -> ExtensionPolicy:
    """The defaults for servers, less the comparison of names: it has its own findings."""
    return ExtensionPolicy.webpki_defaults_ee().require_present(
        x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
    )


def _instant(now: float) -> datetime:
    """Certificates count whole seconds (RFC 5280 section 4.1.2.5)."""
    return datetime.fromtimestamp(math.floor(now), UTC)


def _for_openssl(certificate: Certificate) -> crypto.X509:
    return crypto.load_certificate(crypto.FILETYPE_ASN1, certificate.der)
