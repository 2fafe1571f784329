"""Logs of Certificate Transparency, right and wrong: what they sign, and the list they stand in."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from probe.lab.ca import Credential, LeafShape, Pki

_SHA256_ECDSA = b"\4\3"
NAMES = ("Lab Log Oak", "Lab Log Elm", "Lab Log Fir")


@functools.cache
def _key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _public(key: x509.Certificate | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def log_list() -> str:
    """The three logs, as browsers publish them (version 3)."""
    operators = []
    for name in NAMES:
        key = _public(_key(name))
        log = {
            "description": name,
            "log_id": base64.b64encode(hashlib.sha256(key).digest()).decode(),
            "key": base64.b64encode(key).decode(),
            "state": {"usable": {"timestamp": "2026-01-01T00:00:00Z"}},
        }
        operators.append({"name": name, "logs": [log], "tiled_logs": []})
    return json.dumps({"version": "3.0", "operators": operators}, indent=2)


def logged(pki: Pki, name: str, logs: Sequence[str], *, forged: bool = False) -> Credential:
    """A leaf that these logs have confirmed; ``forged``: the last signature is of another leaf."""
    shape = LeafShape(serial=x509.random_serial_number())
    issuer = pki.issuer.certificate
    tbs = pki.leaf([name], shape=shape).tbs_certificate_bytes
    entry = hashlib.sha256(_public(issuer)).digest() + len(tbs).to_bytes(3, "big") + tbs
    when = pki.now - timedelta(days=2)
    signed = [_timestamp(log, when, entry) for log in logs]
    if forged:
        signed[-1] = _timestamp(logs[-1], when, entry[::-1])
    leaf = pki.leaf([name], shape=replace(shape, timestamps=_extension(signed)))
    return Credential((leaf, issuer), pki.leaf_key)


def _timestamp(log: str, when: datetime, entry: bytes) -> bytes:
    """What a log promises of a precertificate (RFC 6962 section 3.2)."""
    millis = int(when.timestamp() * 1000).to_bytes(8, "big")
    key = _key(log)
    signature = key.sign(b"\0\0" + millis + b"\0\1" + entry + b"\0\0", ec.ECDSA(hashes.SHA256()))
    log_id = hashlib.sha256(_public(key)).digest()
    size = len(signature).to_bytes(2, "big")
    return b"\0" + log_id + millis + b"\0\0" + _SHA256_ECDSA + size + signature


def _extension(signed: Sequence[bytes]) -> bytes:
    """The list as an OCTET STRING (section 3.3); three of them take under 64 KiB."""
    inner = b"".join(len(one).to_bytes(2, "big") + one for one in signed)
    value = len(inner).to_bytes(2, "big") + inner
    length = len(value)
    if length < 0x80:
        return bytes([0x04, length]) + value
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([0x04, 0x80 | len(octets)]) + octets + value
