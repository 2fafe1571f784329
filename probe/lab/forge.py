"""Certificates and keys that no honest builder makes, patched together byte by byte."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

# RFC 8017, appendix C: the two identifiers differ in their last byte only.
_SHA256_WITH_RSA = bytes.fromhex("06092a864886f70d01010b")
_SHA1_WITH_RSA = bytes.fromhex("06092a864886f70d010105")
_NULL = b"\x05\x00"


def _element(tag: int, content: bytes) -> bytes:
    """One DER element (X.690, 8.1) of up to 65,535 bytes."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    if size < 0x100:
        return bytes([tag, 0x81, size]) + content
    return bytes([tag, 0x82]) + size.to_bytes(2, "big") + content


def with_sha1(certificate: x509.Certificate, issuer: rsa.RSAPrivateKey) -> x509.Certificate:
    """The same certificate, signed with SHA-1 (which the builder refuses to do)."""
    body = certificate.tbs_certificate_bytes.replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA, 1)
    signature = issuer.sign(body, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - the fault itself
    algorithm = _element(0x30, _SHA1_WITH_RSA + _NULL)
    whole = _element(0x30, body + algorithm + _element(0x03, b"\x00" + signature))
    return x509.load_der_x509_certificate(whole)


def mismatched_key(shown: ec.EllipticCurvePrivateKey) -> bytes:
    """A key that claims the public half of ``shown`` and signs with another private half.

    OpenSSL compares public halves only when a server loads certificate and key, so it takes
    this one and then makes signatures that no client can verify.
    """
    other = ec.generate_private_key(ec.SECP256R1())
    encoded = other.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return encoded.replace(_point(other), _point(shown))


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
