"""The few steps through DER that the certificate library does not offer (X.690 section 8.1)."""

from __future__ import annotations

from collections.abc import Iterator

_VERSION = 0xA0
_EXTENSIONS = 0xA3
_SEQUENCE = 0x30
_LONG_FORM = 0x80


def tbs_fields(tbs_certificate: bytes) -> list[bytes]:
    """Split a TBSCertificate into its fields, the version left out (RFC 5280 section 4.1).

    Taken from the bytes and not encoded anew, so that digests hold even for names and keys that
    the library cannot read: serialNumber, signature, issuer, validity, subject,
    subjectPublicKeyInfo, then what is optional.

    Raises:
        ValueError: the bytes are no TBSCertificate.
    """
    fields = [field for field in elements(tbs_certificate) if field[0] != _VERSION]
    if len(fields) < 6:
        raise ValueError("too few fields for a certificate")
    return fields


def subject_public_key(tbs_certificate: bytes) -> bytes:
    """Return the key's own bits, which OCSP hashes (RFC 6960 section 4.1.1: issuerKeyHash).

    Raises:
        ValueError: the bytes are no TBSCertificate.
    """
    _, bits = elements(tbs_fields(tbs_certificate)[5])
    return content(bits)[1:]  # the first octet counts unused bits


def extensions(tbs_certificate: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield each extension (section 4.2): its identifier's content, its value, and all of it.

    Raises:
        ValueError: the bytes are no TBSCertificate.
    """
    for field in tbs_fields(tbs_certificate)[6:]:
        if field[0] == _EXTENSIONS:
            for extension in elements(content(field)):
                identifier, *_, value = elements(extension)
                yield content(identifier), content(value), extension


def with_only(certificate: bytes, extension: bytes) -> bytes:
    """Encode the certificate with this one extension; its signature no longer verifies.

    Raises:
        ValueError: the bytes are no certificate.
    """
    tbs, *signature = elements(certificate)
    fields = [field for field in elements(tbs) if field[0] != _EXTENSIONS]
    only = _element(_EXTENSIONS, _element(_SEQUENCE, extension))
    return _element(_SEQUENCE, _element(_SEQUENCE, *fields, only), *signature)


def elements(der: bytes) -> Iterator[bytes]:
    """Yield the elements inside the outermost one, each with its tag and length.

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


def content(element: bytes) -> bytes:
    """Return what an element holds, without tag and length.

    Raises:
        ValueError: the bytes end inside it.
    """
    start, end = _content(element, 0)
    return element[start:end]


def _element(tag: int, *parts: bytes) -> bytes:
    inside = b"".join(parts)
    length = len(inside)
    if length < _LONG_FORM:
        return bytes([tag, length]) + inside
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG_FORM | len(size)]) + size + inside


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the element at ``at`` begins and ends."""
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
