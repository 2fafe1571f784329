"""Whether a certificate's key made a signature: another certificate's, or a stapled answer's."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import SignatureAlgorithmOID
from OpenSSL import crypto

from probe.certificates.certificate import Certificate
from probe.certificates.der import UNREADABLE, elements

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
