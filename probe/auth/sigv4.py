"""AWS Signature Version 4: every request is signed with the secret key.

As the signing process is published in the IAM user guide ("Signature Version 4 signing
process"); held by its test suite. Chunked and presigned forms are not needed for probes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit

from probe.http.request import Request

_ALGORITHM = "AWS4-HMAC-SHA256"
_NOT_SIGNED = frozenset(
    # Proxies may change or drop these on the way; traceparent differs at every attempt.
    {"accept-encoding", "connection", "expect", "traceparent", "tracestate", "transfer-encoding"}
    | {"user-agent", "x-amzn-trace-id", "authorization"}
)
_UNRESERVED = "-_.~"


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Credentials, and where they are to be used."""

    access: str
    secret: str
    region: str
    service: str
    session: str | None = None


def sign(draft: Request, keys: Keys, now: float, *, plain_path: bool = False) -> Request:
    """The request with its signature.

    Args:
        draft: complete but for headers that are not signed.
        keys: of the account.
        now: wall time; servers refuse what differs by more than some minutes.
        plain_path: sign the path as it is, as is always done for S3.
    """
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    dated = draft.adding(("X-Amz-Date", stamp))
    if keys.session is not None:
        dated = dated.adding(("X-Amz-Security-Token", keys.session))
    payload = hashlib.sha256(draft.body).hexdigest()
    if keys.service == "s3":  # S3 alone demands the payload's hash as a header
        dated = dated.adding(("X-Amz-Content-SHA256", payload))
    request, signed = canonical_request(
        dated, payload, plain_path=plain_path or keys.service == "s3"
    )
    scope = f"{stamp[:8]}/{keys.region}/{keys.service}/aws4_request"
    signature = hmac.new(_key(keys, stamp[:8]), to_sign(request, stamp, scope), "sha256")
    return dated.adding(
        (
            "Authorization",
            f"{_ALGORITHM} Credential={keys.access}/{scope}, SignedHeaders={signed}, "
            f"Signature={signature.hexdigest()}",
        )
    )


def canonical_request(draft: Request, payload: str, *, plain_path: bool) -> tuple[str, str]:
    """The canonical request, and the list of signed headers."""
    parts = urlsplit(draft.url)
    headers: dict[str, list[str]] = {"host": [draft.header("host") or _host(draft.url)]}
    for name, value in draft.headers:
        key = name.lower()
        if key not in _NOT_SIGNED and key != "host":
            headers.setdefault(key, []).append(" ".join(value.split()))
    names = sorted(headers)
    signed = ";".join(names)
    lines = [
        draft.method,
        _path(parts.path, plain=plain_path),
        _query(parts.query),
        *(f"{name}:{','.join(headers[name])}" for name in names),
        "",
        signed,
        payload,
    ]
    return "\n".join(lines), signed


def to_sign(request: str, stamp: str, scope: str) -> bytes:
    """The string to sign."""
    digest = hashlib.sha256(request.encode()).hexdigest()
    return f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}".encode()


def _key(keys: Keys, day: str) -> bytes:
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
    """Encoded as the signature wants it, whatever encoding the URL chose (``+`` is a space)."""
    return quote(unquote(text.replace("+", " ")), safe=_UNRESERVED)
