"""What is signed with a key of ours: requests to AWS, and assertions in place of a password.

AWS Signature Version 4 is as published in the IAM user guide ("Signature Version 4 signing
process"), held by its test suite; chunked and presigned forms are not needed for probes.
Assertions are those of RFC 7521 and RFC 7523.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from probe.auth.values import Values
from probe.http.messages import Request
from probe.model.auth import JwtKey
from probe.model.secret import SecretError, SecretRef

_AWS = "AWS4-HMAC-SHA256"
_NOT_SIGNED = frozenset(
    # Proxies may change or drop these on the way; traceparent differs at every attempt.
    {"accept-encoding", "connection", "expect", "traceparent", "tracestate", "transfer-encoding"}
    | {"user-agent", "x-amzn-trace-id", "authorization"}
)
_UNRESERVED = "-_.~"


@dataclass(frozen=True, slots=True, repr=False)
class AwsKeys:
    """Credentials, and where they are to be used."""

    access: str
    secret: str
    region: str
    service: str
    session: str | None = None


def sign_aws(request: Request, keys: AwsKeys, now: float, *, plain_path: bool = False) -> Request:
    """Sign a request.

    Args:
        request: complete but for headers that are not signed.
        keys: of the account.
        now: wall time; servers refuse what differs by more than some minutes.
        plain_path: sign the path as it is, as is always done for S3.
    """
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    dated = request.adding(("X-Amz-Date", stamp))
    if keys.session is not None:
        dated = dated.adding(("X-Amz-Security-Token", keys.session))
    payload = hashlib.sha256(request.body).hexdigest()
    if keys.service == "s3":  # S3 alone demands the payload's hash as a header
        dated = dated.adding(("X-Amz-Content-SHA256", payload))
    canonical, signed = canonical_request(
        dated, payload, plain_path=plain_path or keys.service == "s3"
    )
    scope = f"{stamp[:8]}/{keys.region}/{keys.service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{_AWS}\n{stamp}\n{scope}\n{digest}".encode()
    signature = hmac.new(_key(keys, stamp[:8]), to_sign, "sha256")
    return dated.adding(
        (
            "Authorization",
            f"{_AWS} Credential={keys.access}/{scope}, SignedHeaders={signed}, "
            f"Signature={signature.hexdigest()}",
        )
    )


def canonical_request(request: Request, payload: str, *, plain_path: bool) -> tuple[str, str]:
    """Write the canonical request, and the list of signed headers."""
    parts = urlsplit(request.url)
    headers: dict[str, list[str]] = {"host": [request.header("host") or _host(request.url)]}
    for name, value in request.headers:
        key = name.lower()
        if key not in _NOT_SIGNED and key != "host":
            headers.setdefault(key, []).append(" ".join(value.split()))
    names = sorted(headers)
    signed = ";".join(names)
    lines = [
        request.method,
        _path(parts.path, plain=plain_path),
        _query(parts.query),
        *(f"{name}:{','.join(headers[name])}" for name in names),
        "",
        signed,
        payload,
    ]
    return "\n".join(lines), signed


def _key(keys: AwsKeys, day: str) -> bytes:
    key = f"AWS4{keys.secret}".encode()
    for part in (day, keys.region, keys.service, "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return key


def _host(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    default = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    return host.removesuffix(default) if default else host


def _path(path: str, *, plain: bool) -> str:
    if plain:  # S3: object keys may hold anything, also "//" and ".."
        return quote(unquote(path), safe="/" + _UNRESERVED) or "/"
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in {"", "."}:
            kept.append(part)
    tail = "/" if kept and re.search(r"/\.{0,2}$", path) else ""
    # Encoded once for the wire, once more for the signature.
    return quote("/" + "/".join(kept) + tail, safe="/" + _UNRESERVED)


def _query(query: str) -> str:
    pairs = []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        pairs.append((_encoded(name), _encoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: str) -> str:
    """Encode as the signature wants it, whatever encoding the URL chose (``+`` is a space)."""
    return quote(unquote(text.replace("+", " ")), safe=_UNRESERVED)


# ---------------------------------------------------------------- assertions

_LIFE = 300.0
"""Seconds that an assertion is valid: used at once, with room for clocks that differ a little."""


def sign_assertion(
    key: JwtKey,
    claims: Mapping[str, str | SecretRef],
    *,
    issuer: str,
    audience: str,
    values: Values,
) -> str:
    """Sign a JWT that says who we are.

    Args:
        key: signs it.
        claims: templates or secrets; they replace what is said by default.
        issuer: ``iss`` and ``sub`` unless ``claims`` says otherwise.
        audience: ``aud`` unless ``claims`` says otherwise.
        values: of the run.

    Raises:
        SecretError: the key or certificate is missing, or is none.
    """
    from joserfc import jwt  # noqa: PLC0415 - some MiB that only signed assertions need
    from joserfc.errors import JoseError, SecurityWarning  # noqa: PLC0415 - as above
    from joserfc.jwk import import_key  # noqa: PLC0415 - as above

    now = int(values.wall())
    payload: dict[str, object] = {
        "iss": issuer,
        "sub": issuer,
        "aud": audience,
        "iat": now,
        "nbf": now,
        "exp": now + int(_LIFE),
        "jti": str(uuid.uuid4()),  # a server may refuse one that it has seen (section 3)
    }
    payload.update({name: values.text(value) for name, value in claims.items()})
    header = {"alg": key.algorithm, **_key_headers(key, values)}
    pem = values.read(key.key)
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
    values.learn_secret(signed, "assertion")
    return signed


def _key_headers(key: JwtKey, values: Values) -> dict[str, str]:
    headers: dict[str, str] = {}
    if key.key_id is not None:
        headers["kid"] = key.key_id
    if key.certificate is not None:
        headers["x5t#S256"] = _thumbprint(values.read(key.certificate), str(key.certificate))
    return headers


def _thumbprint(pem: str, name: str) -> str:
    """Compute a certificate's thumbprint (RFC 7515 section 4.1.8), which tells servers the key."""
    from cryptography import x509  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above

    try:
        der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)
    except ValueError:
        raise SecretError(f"{name} is not a PEM certificate") from None
    digest = hashlib.sha256(der).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
