"""Certificate and key files: what one is, when it is not the PEM (RFC 7468) that is needed. Pure.

The words name the format and the command that converts it. Nothing of the content is repeated: it
may be a key.
"""

from __future__ import annotations

import re
import shlex
from typing import Literal

Wanted = Literal["certificate", "key"]

_GOOD: dict[Wanted, bytes] = {
    "certificate": rb"-----BEGIN CERTIFICATE-----",
    "key": rb"-----BEGIN (RSA |EC |DSA )?PRIVATE KEY-----",
}
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")  # OID 1.2.840.113549.1.7.2 (RFC 2315)
_ENCRYPTED = (
    "a private key encrypted with a passphrase, and there is nobody to type it; "
    "openssl pkey -in FILE"
)
_KINDS: dict[Wanted, tuple[tuple[bytes, str], ...]] = {
    "certificate": (
        (b"BEGIN TRUSTED CERTIFICATE", "OpenSSL's TRUSTED CERTIFICATE; openssl x509 -in FILE"),
        (b"BEGIN X509 CERTIFICATE", "an X509 CERTIFICATE of old; openssl x509 -in FILE"),
        (b"BEGIN PKCS7", "PKCS #7; openssl pkcs7 -in FILE -print_certs"),
        (b"BEGIN CERTIFICATE REQUEST", "a certificate request, which is not signed yet"),
        (b"PRIVATE KEY", "a private key"),
        (b"BEGIN PUBLIC KEY", "a public key"),
    ),
    "key": (
        (b"BEGIN ENCRYPTED PRIVATE KEY", _ENCRYPTED),
        (b"4,ENCRYPTED", _ENCRYPTED),
        (b"BEGIN OPENSSH", "an OpenSSH key; ssh-keygen -p -m PEM -N '' -f FILE"),
        (b"BEGIN CERTIFICATE", "a certificate"),
        (b"BEGIN PUBLIC KEY", "a public key"),
    ),
}


def pem_problem(data: bytes, wanted: Wanted, file: str) -> str | None:
    """What a file is instead of PEM with a certificate or key in it; None when it has one.

    Args:
        data: the file's bytes.
        wanted: what must be in it; a key must not be encrypted.
        file: its path, for the command that converts it.
    """
    good = re.search(_GOOD[wanted], data)
    if good and not (wanted == "key" and b"4,ENCRYPTED" in data):
        return None
    if not data.strip():
        return f"this is an empty file; a PEM {wanted} is needed"
    for mark, words in _KINDS[wanted]:
        if mark in data:
            return _instead(words, wanted, file)
    if data.startswith(b"\x30") and len(data) > 1 and data[1] & 0x80:  # a long ASN.1 SEQUENCE
        return _instead(_der(data, wanted), wanted, file)
    return f"this file has no PEM {wanted}: no line -----BEGIN …-----"


def _der(data: bytes, wanted: Wanted) -> str:
    if wanted == "key":
        return "binary (DER); openssl pkey -inform der -in FILE"
    if _SIGNED_DATA in data[:32]:
        return "binary PKCS #7 (DER); openssl pkcs7 -inform der -in FILE -print_certs"
    if data[4:7] == b"\x02\x01\x03":  # version 3 (RFC 7292 section 4)
        return "PKCS #12; openssl pkcs12 -in FILE -nokeys"
    return "binary (DER); openssl x509 -inform der -in FILE"


def _instead(words: str, wanted: Wanted, file: str) -> str:
    what, semicolon, command = words.replace("FILE", shlex.quote(file)).partition("; ")
    convert = f"; convert it with {command}" if semicolon else ""
    output = f" -out {wanted}.pem" if command.startswith("openssl") else ""
    return f"not a PEM {wanted} but {what}{convert}{output}"
