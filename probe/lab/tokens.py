"""Tokens that look like the platform's: JSON Web Tokens (RFC 7519), signed with HS256."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Claims:
    """Whom a token stands for."""

    subject: str
    role: str
    expires: float


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_part(part: str) -> Any:
    """One part of a token as JSON, or None when it is none."""
    try:
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Mint:
    """Issues and checks tokens with one secret."""

    secret: bytes

    def _signature(self, signed: str) -> str:
        return _encode(hmac.new(self.secret, signed.encode(), hashlib.sha256).digest())

    def issue(self, subject: str, role: str, now: float, life: float) -> str:
        """A token that lives for ``life`` seconds from ``now``."""
        head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        claims = {"sub": subject, "role": role, "iat": int(now), "exp": int(now + life)}
        signed = f"{head}.{_encode(json.dumps(claims).encode())}"
        return f"{signed}.{self._signature(signed)}"

    def read(self, token: str, now: float) -> Claims | None:
        """Whom a token stands for; None when it is forged, malformed or has expired."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._signature(signed).encode(), signature.encode()):
            return None
        claims = decode_part(signed.partition(".")[2])
        if not isinstance(claims, dict) or claims["exp"] <= now:
            return None
        return Claims(claims["sub"], claims["role"], claims["exp"])
