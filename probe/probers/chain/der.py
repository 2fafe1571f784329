"""The few steps through DER that the certificate library does not offer (X.690 section 8.1)."""

from __future__ import annotations

from collections.abc import Iterator

_CONTEXT_0 = 0xA0
_LONG_FORM = 0x80


def subject_public_key_info(tbs_certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo exactly as the certificate holds it (RFC 5280 section 4.1).

    Taken from the bytes and not encoded anew, so that pins also hold for keys that the
    library cannot load.

    Raises:
        ValueError: the bytes are no TBSCertificate.
    """
    fields = [field for field in elements(tbs_certificate) if field[0] != _CONTEXT_0]
    if len(fields) < 6:
        raise ValueError("too few fields for a certificate")
    # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo
    return fields[5]


def subject_public_key(tbs_certificate: bytes) -> bytes:
    """The key's own bits, which OCSP hashes (RFC 6960 section 4.1.1: issuerKeyHash).

    Raises:
        ValueError: the bytes are no TBSCertificate.
    """
    _, bits = elements(subject_public_key_info(tbs_certificate))
    start, end = _content(bits, 0)
    return bits[start + 1 : end]  # the first octet counts unused bits


def elements(der: bytes) -> Iterator[bytes]:
    """The elements inside the outermost one, each with its tag and length.

    Raises:
        ValueError: lengths run past the end.
    """
    start, end = _content(der, 0)
    while start < end:
        _, following = _content(der, start)
        if following > end:
            raise ValueError("an element runs past its container")
        yield der[start:following]
        start = following


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at ``at`` begins and ends."""
    if at + 2 > len(der):
        raise ValueError("the bytes end inside an element")
    length, start = der[at + 1], at + 2
    if length >= _LONG_FORM:
        size = length - _LONG_FORM
        length = int.from_bytes(der[start : start + size], "big")
        start += size
    if start + length > len(der):
        raise ValueError("the bytes end inside an element")
    return start, start + length
