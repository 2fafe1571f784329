"""Signed assertions in place of a client's password: RFC 7521 and RFC 7523."""

from __future__ import annotations

import base64
import hashlib
import uuid
import warnings
from collections.abc import Mapping
from typing import Literal

from probe.auth.material import Material
from probe.model.auth import JwtKey
from probe.model.secret import SecretError, SecretRef

LIFE = 300.0
"""Seconds that an assertion is valid: used at once, with room for clocks that differ a little."""


def assertion(
    key: JwtKey,
    claims: Mapping[str, str | SecretRef],
    *,
    issuer: str,
    audience: str,
    material: Material,
) -> str:
    """A signed JWT that says who we are.

    Args:
        key: signs it.
        claims: templates or secrets; they replace what is said by default.
        issuer: ``iss`` and ``sub`` unless ``claims`` says otherwise.
        audience: ``aud`` unless ``claims`` says otherwise.
        material: of the run.

    Raises:
        SecretError: the key or certificate is missing, or is none.
    """
    # Costs some MiB, and only flows with signed assertions need it.
    from joserfc import jwt  # noqa: PLC0415
    from joserfc.errors import JoseError, SecurityWarning  # noqa: PLC0415
    from joserfc.jwk import import_key  # noqa: PLC0415

    now = int(material.wall())
    payload: dict[str, object] = {
        "iss": issuer,
        "sub": issuer,
        "aud": audience,
        "iat": now,
        "nbf": now,
        "exp": now + int(LIFE),
        "jti": str(uuid.uuid4()),  # a server may refuse one that it has seen (section 3)
    }
    payload.update({name: material.text(value) for name, value in claims.items()})
    header = {"alg": key.algorithm, **_key_headers(key, material)}
    pem = material.read(key.key)
    kind: Literal["RSA", "EC", "OKP"] = "EC" if key.algorithm.startswith("ES") else "RSA"
    if key.algorithm in {"EdDSA", "Ed25519"}:
        kind = "OKP"
    try:
        own = import_key(pem, kind)
        with warnings.catch_warnings():
            # The algorithm is what the server at hand wants; it is not ours to modernise.
            warnings.simplefilter("ignore", SecurityWarning)
            signed = jwt.encode(header, payload, own, algorithms=[key.algorithm])
    except (JoseError, ValueError, TypeError) as error:
        # The message may quote the key; its type says enough.
        detail = f"{key.key} cannot sign {key.algorithm}: {type(error).__name__}"
        raise SecretError(detail) from None
    material.learn(signed, "assertion")
    return signed


def _key_headers(key: JwtKey, material: Material) -> dict[str, str]:
    headers: dict[str, str] = {}
    if key.key_id is not None:
        headers["kid"] = key.key_id
    if key.certificate is not None:
        headers["x5t#S256"] = _thumbprint(material.read(key.certificate), str(key.certificate))
    return headers


def _thumbprint(pem: str, name: str) -> str:
    """The certificate's thumbprint (RFC 7515 section 4.1.8), which tells servers the key."""
    from cryptography import x509  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    try:
        der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    except ValueError:
        raise SecretError(f"{name} is not a PEM certificate") from None
    digest = hashlib.sha256(der).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
