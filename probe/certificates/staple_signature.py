"""Who signed a stapled OCSP answer, with every algorithm that this library can compute."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import SignatureAlgorithmOID

from probe.certificates.certificate import Certificate
from probe.certificates.der import elements
from probe.certificates.extensions import UNREADABLE

_HASHES: dict[bytes, type[hashes.HashAlgorithm]] = {
    bytes.fromhex("06052b0e03021a"): hashes.SHA1,
    bytes.fromhex("0609608648016503040201"): hashes.SHA256,
    bytes.fromhex("0609608648016503040202"): hashes.SHA384,
    bytes.fromhex("0609608648016503040203"): hashes.SHA512,
}
"""By object identifier in DER (RFC 8017 appendix B.1)."""

_WITHOUT_HASH = (SignatureAlgorithmOID.ED25519, SignatureAlgorithmOID.ED448)


def signed(response: ocsp.OCSPResponse, signer: Certificate) -> bool | None:
    """Whether this certificate's key made the answer's signature.

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
    """The parameters of RSASSA-PSS, each with its default (RFC 4055 section 3.1).

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
    """The BasicOCSPResponse inside (RFC 6960 section 4.2.1)."""
    _, wrapped = elements(response.public_bytes(serialization.Encoding.DER))
    _, octets = elements(next(elements(wrapped)))
    return next(elements(octets))
