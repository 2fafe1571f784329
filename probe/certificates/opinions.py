"""What well-tried verifiers say: of a chain OpenSSL and the web PKI rules of cryptography.

Of a single signature, whether a certificate's key made it: another certificate's, or a staple's.

The judgement agrees with OpenSSL, as most command-line tools and API clients do: what OpenSSL
refuses is never accepted. What only the stricter rules refuse is a warning.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import SignatureAlgorithmOID
from cryptography.x509.verification import (
    PolicyBuilder,
    ServerVerifier,
    Store,
    VerificationError,
)
from OpenSSL import crypto

from probe.certificates.certificate import Certificate
from probe.certificates.der import UNREADABLE, elements
from probe.certificates.verdict import covers


@dataclass(frozen=True, slots=True)
class Opinion:
    """One verifier's word on a chain.

    Attributes:
        path: digests from leaf to anchor; None when it refuses.
        why: the verifier's own words for a refusal.
        code: OpenSSL's X509_V_ERR number for a refusal; 0 elsewhere.
        asked: False when the verifier cannot be asked: no name that it takes for one, or more
            work than the event loop can spare.
        depth: at which certificate of its path OpenSSL refused; 0 is the leaf.
    """

    path: tuple[bytes, ...] | None
    why: str = ""
    code: int = 0
    depth: int = 0
    asked: bool = True

    @property
    def accepts(self) -> bool:
        """Tell whether it found a path that it trusts."""
        return self.path is not None


_MOST_NAMES = 8
"""Names of a leaf that are tried until the strict verifier takes one for a name."""

_MOST_COMPARISONS = 20_000
"""Of names with name constraints: some ten milliseconds in which nothing else can run."""


def ask_openssl(
    leaf: bytes,
    others: Sequence[bytes],
    roots: Sequence[bytes],
    now: float,
    *,
    strict: bool = False,
) -> Opinion:
    """Ask OpenSSL about DER certificates, with partial chains allowed as curl and Python do.

    Names, purposes and the security level are not asked for: the binding offers none of them.
    They do not change which path OpenSSL takes, and all have findings of their own, which that
    path must not have. Others that OpenSSL cannot read have one too; they are left out here.

    Args:
        leaf: the server's certificate.
        others: what else was sent, in this order.
        roots: trust anchors.
        now: wall time, seconds since the epoch.
        strict: with VERIFY_X509_STRICT, as Python's default context has it since 3.13.
    """
    flags = crypto.X509StoreFlags
    try:
        store = crypto.X509Store()
        store.set_time(_instant(now))
        store.set_flags(flags.PARTIAL_CHAIN | (flags.X509_STRICT if strict else 0))
        for root in roots:
            store.add_cert(_read(root))
        readable = [_read(other) for other in others if openssl_reads(other)]
        chain = crypto.X509StoreContext(store, _read(leaf), readable).get_verified_chain()
    except crypto.X509StoreContextError as refusal:
        code, depth, text = refusal.errors
        return Opinion(None, str(text), int(code), int(depth))
    except crypto.Error:
        return Opinion(None, "OpenSSL cannot read it")
    return Opinion(
        tuple(
            hashlib.sha256(crypto.dump_certificate(crypto.FILETYPE_ASN1, c)).digest() for c in chain
        )
    )


def ask_webpki(
    leaf: Certificate, others: Sequence[Certificate], roots: Sequence[Certificate], now: float
) -> Opinion:
    """Ask cryptography's verifier with its web PKI defaults.

    Whether the name is right has its own finding, so it is asked for one of the leaf's own.
    """
    if not roots:
        return Opinion(None, "no trust root bears a name that the chain mentions")
    names = sum(len(c.facts.dns_names) + len(c.facts.ip_names) for c in (leaf, *others))
    if names * sum(c.extensions.constraints for c in (*others, *roots)) > _MOST_COMPARISONS:
        return Opinion(None, asked=False)
    builder = PolicyBuilder().store(Store([root.parsed for root in roots])).time(_instant(now))
    verifier = next(_verifiers(builder, leaf), None)
    if verifier is None:
        return Opinion(None, asked=False)
    try:
        path = verifier.verify(leaf.parsed, [other.parsed for other in others])
    except VerificationError as refusal:
        said = str(refusal).removeprefix("validation failed: ")
        return Opinion(None, said.partition(" (encountered ")[0])  # else the whole certificate
    except UNREADABLE as error:
        return Opinion(None, f"{type(error).__name__}: {error}")
    known = {c.parsed: c.digest for c in (leaf, *others, *roots)}
    return Opinion(tuple(known[certificate] for certificate in path))


def _verifiers(builder: PolicyBuilder, leaf: Certificate) -> Iterator[ServerVerifier]:
    """Yield a verifier for each of the leaf's names that can be asked for."""
    for ip in leaf.facts.ip_names[:_MOST_NAMES]:
        yield builder.build_server_verifier(x509.IPAddress(ipaddress.ip_address(ip)))
    for pattern in leaf.facts.dns_names[:_MOST_NAMES]:
        name = pattern.replace("*", "any", 1)
        if not covers(leaf.facts, name):
            continue  # a pattern that matches nothing, as a*.example
        try:
            yield builder.build_server_verifier(x509.DNSName(name))
        except ValueError:  # an underscore, an empty label
            continue


def openssl_reads(der: bytes) -> bool:
    """Tell whether OpenSSL parses a certificate; if not, its clients break off the handshake."""
    try:
        _read(der)
    except crypto.Error:
        return False
    return True


def _read(der: bytes) -> crypto.X509:
    return crypto.load_certificate(crypto.FILETYPE_ASN1, der)


def _instant(now: float) -> datetime:
    """Cut an instant to whole seconds, as certificates count (RFC 5280 section 4.1.2.5)."""
    return datetime.fromtimestamp(math.floor(now), UTC)


# x509_vfy.h; the binding passes flags through and has no name for this one.
_V_FLAG_NO_CHECK_TIME = 0x200000
_V_ERR_CERT_SIGNATURE_FAILURE = 7
_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY = 6
_NOT_SIGNED = frozenset({_V_ERR_CERT_SIGNATURE_FAILURE, _V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY})


def signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Tell whether the issuer's name and key stand behind the certificate's signature.

    Never with a costly key: it is refused anyway, and verifying would hold up the event loop.
    """
    if issuer.costly_key:
        return False
    try:
        certificate.parsed.verify_directly_issued_by(issuer.parsed)
    except InvalidSignature:
        return False
    except UNREADABLE:
        # Names that are equal to OpenSSL alone, or MD5 and SHA-1, which cryptography no longer
        # computes: such a path must still be followed, or it would be called untrusted where
        # it is weak.
        return _signed_as_openssl_sees_it(certificate, issuer)
    return True


def _signed_as_openssl_sees_it(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        store = crypto.X509Store()
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN | _V_FLAG_NO_CHECK_TIME)
        store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, issuer.der))
        leaf = crypto.load_certificate(crypto.FILETYPE_ASN1, certificate.der)
        chain = crypto.X509StoreContext(store, leaf).get_verified_chain()
    except crypto.X509StoreContextError as refusal:
        code, depth, _ = refusal.errors
        # Refused for what stands in the issuer's certificate, not for the signature: fine here.
        return depth > 0 and code not in _NOT_SIGNED
    except crypto.Error:
        return False
    return len(chain) > 1


_HASHES: dict[bytes, type[hashes.HashAlgorithm]] = {
    bytes.fromhex("06052b0e03021a"): hashes.SHA1,
    bytes.fromhex("0609608648016503040201"): hashes.SHA256,
    bytes.fromhex("0609608648016503040202"): hashes.SHA384,
    bytes.fromhex("0609608648016503040203"): hashes.SHA512,
}
"""By object identifier in DER (RFC 8017 appendix B.1)."""

_WITHOUT_HASH = (SignatureAlgorithmOID.ED25519, SignatureAlgorithmOID.ED448)


def staple_signed_by(response: ocsp.OCSPResponse, signer: Certificate) -> bool | None:
    """Tell whether this certificate's key made the stapled answer's signature.

    None when that cannot be told: an algorithm or a key that is not supported here says
    nothing against the answer.
    """
    if signer.costly_key:
        return None
    try:
        _verify(response, signer)
    except UnsupportedAlgorithm:
        return None
    except (InvalidSignature, StopIteration, *UNREADABLE):  # an element that is not there
        return False
    return True


def _verify(response: ocsp.OCSPResponse, signer: Certificate) -> None:
    key = signer.parsed.public_key()
    signature, text = response.signature, response.tbs_response_bytes
    if response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
        scheme, algorithm = _pss(response)
        if not isinstance(key, rsa.RSAPublicKey):
            raise InvalidSignature
        key.verify(signature, text, scheme, algorithm)
        return
    used = response.signature_hash_algorithm
    if used is None and response.signature_algorithm_oid not in _WITHOUT_HASH:
        raise UnsupportedAlgorithm("an algorithm without a name here")
    match key:
        case rsa.RSAPublicKey() if used is not None:
            key.verify(signature, text, padding.PKCS1v15(), used)
        case ec.EllipticCurvePublicKey() if used is not None:
            key.verify(signature, text, ec.ECDSA(used))
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            key.verify(signature, text)
        case _:
            raise InvalidSignature


def _pss(response: ocsp.OCSPResponse) -> tuple[padding.PSS, hashes.HashAlgorithm]:
    """Read the parameters of RSASSA-PSS, each with its default (RFC 4055 section 3.1).

    Raises:
        UnsupportedAlgorithm: a hash that is not known here.
        ValueError: they cannot be read.
    """
    _, algorithm, *_ = elements(_basic(response))
    _, *given = elements(algorithm)
    fields = {field[0]: next(elements(field)) for one in given for field in elements(one)}
    digest: type[hashes.HashAlgorithm] = hashes.SHA1
    mask, salt = digest, 20
    if (named := fields.get(0xA0)) is not None:
        digest = _hash(named)
    if (named := fields.get(0xA1)) is not None:
        _, inner = elements(named)
        mask = _hash(inner)
    if (number := fields.get(0xA2)) is not None:
        salt = int.from_bytes(number[2:], "big")
    return padding.PSS(padding.MGF1(mask()), salt), digest()


def _hash(identifier: bytes) -> type[hashes.HashAlgorithm]:
    found = _HASHES.get(next(elements(identifier)))
    if found is None:
        raise UnsupportedAlgorithm("a hash of RSASSA-PSS")
    return found


def _basic(response: ocsp.OCSPResponse) -> bytes:
    """Return the BasicOCSPResponse inside (RFC 6960 section 4.2.1)."""
    _, wrapped = elements(response.public_bytes(serialization.Encoding.DER))
    _, octets = elements(next(elements(wrapped)))
    return next(elements(octets))
