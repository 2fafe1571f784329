"""Logs of Certificate Transparency for tests: they sign what they see, and stand in a list."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from .authority import DAY, NOW, Made, ec_key, leaf, sequence

EMBEDDED = x509.PrecertificateSignedCertificateTimestamps.oid
STAPLED = x509.SignedCertificateTimestamps.oid


@dataclass(frozen=True)
class Log:
    """One log; nothing of it is shared with the code that is tested."""

    name: str
    operator: str = ""
    state: str = "usable"
    tiled: bool = False
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(default_factory=ec_key)
    at: datetime = NOW - 30 * DAY

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def entry(self) -> dict[str, Any]:
        return {
            "description": self.name,
            "log_id": base64.b64encode(hashlib.sha256(self.spki).digest()).decode(),
            "key": base64.b64encode(self.spki).decode(),
            "mmd": 86400,
            "state": {self.state: {"timestamp": "2026-01-01T00:00:00Z"}},
        }

    def sign(self, kind: int, entry: bytes, *, spoilt: bool = False) -> bytes:
        """A timestamp as it is serialized (RFC 6962 section 3.2)."""
        millis = int(self.at.timestamp() * 1000).to_bytes(8, "big")
        text = b"\0\0" + millis + kind.to_bytes(2, "big") + entry + b"\0\0"
        if isinstance(self.key, rsa.RSAPrivateKey):
            scheme, signature = 1, self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        else:
            scheme, signature = 3, self.key.sign(text, ec.ECDSA(hashes.SHA256()))
        if spoilt:
            signature = signature[:-1] + bytes([signature[-1] ^ 1])
        log_id = hashlib.sha256(self.spki).digest()
        size = len(signature).to_bytes(2, "big")
        return b"\0" + log_id + millis + b"\0\0" + bytes([4, scheme]) + size + signature


def tls_list(timestamps: Iterable[bytes]) -> bytes:
    """The extension's value: an OCTET STRING that holds a TLS list (section 3.3)."""
    inner = b"".join(len(one).to_bytes(2, "big") + one for one in timestamps)
    return sequence(len(inner).to_bytes(2, "big"), inner, tag=0x04)


def logged(
    issuer: Made, logs: Sequence[Log], *, days: int = 90, spoilt: bool = False, **changes: Any
) -> Made:
    """A leaf that these logs have confirmed before it was issued."""
    common = {
        "key": ec_key(),
        "serial": x509.random_serial_number(),
        "not_before": NOW - 30 * DAY,
        "not_after": NOW - 30 * DAY + days * DAY,
        **changes,
    }
    tbs = leaf(issuer, **common).certificate.tbs_certificate_bytes
    key = issuer.certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    entry = hashlib.sha256(key).digest() + len(tbs).to_bytes(3, "big") + tbs
    timestamps = [log.sign(1, entry, spoilt=spoilt) for log in logs]
    extension = x509.UnrecognizedExtension(EMBEDDED, tls_list(timestamps))
    return leaf(issuer, extra=[(extension, False)], **common)


def write_list(path: Path, logs: Iterable[Log]) -> str:
    """A list as browsers publish it, with each operator once."""
    operators: dict[str, dict[str, Any]] = {}
    for log in logs:
        name = log.operator or log.name
        one = operators.setdefault(name, {"name": name, "logs": [], "tiled_logs": []})
        one["tiled_logs" if log.tiled else "logs"].append(log.entry())
    document = {"version": "3.0", "operators": list(operators.values())}
    path.write_text(json.dumps(document, indent=2))
    return str(path)


@cache
def some_logs() -> tuple[Log, Log, Log]:
    """Three logs of three operators."""
    return Log("Oak"), Log("Elm"), Log("Fir")
