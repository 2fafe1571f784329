"""OAuth 2 without a person: RFC 6749 sections 4.4 and 6, RFC 7523, RFC 8705."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote_plus

from probe.auth.assertion import assertion
from probe.auth.login import login_failed, unwell
from probe.auth.material import Material
from probe.auth.token import ENDED_GRANT, Token, issued, lasting, malformed, refused
from probe.http.answers import NotJson, parse_json
from probe.http.request import Request, form_body
from probe.http.response import Response
from probe.http.url import clean_url
from probe.model.auth import OAuth2
from probe.model.failure import Failure
from probe.model.secret import Secret, SecretError

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_OURS = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",  # RFC 8707
        "unauthorized_client",
        "unsupported_grant_type",
        "access_denied",
    }
)
"""Errors of RFC 6749 section 5.2 that say that what we sent is wrong, not that the service is."""


def token_request(spec: OAuth2, material: Material, *, refresh: Secret | None = None) -> Request:
    """The request to the token endpoint.

    Args:
        spec: what to ask for.
        material: of the run.
        refresh: a rotated refresh token that replaces the configured one.

    Raises:
        SecretError: a secret is missing.
    """
    url = clean_url(material.values.fill_url(spec.token_url))
    client = None if spec.client_id is None else material.text(spec.client_id)
    fields = _grant(spec, material, url, client, refresh)
    if spec.scope is not None:
        fields["scope"] = material.text(spec.scope)
    if spec.audience is not None:
        fields["audience"] = material.text(spec.audience)
    fields |= {name: material.text(value) for name, value in spec.extra.items()}
    headers, more = _client(spec, material, url, client)
    body, content_type = form_body(fields | more)
    return Request("POST", url, (content_type, ("Accept", "application/json"), *headers), body)


def _grant(
    spec: OAuth2, material: Material, url: str, client: str | None, refresh: Secret | None
) -> dict[str, str]:
    match spec.grant:
        case "client_credentials":
            return {"grant_type": "client_credentials"}
        case "refresh_token":
            if spec.refresh_token is None:
                raise SecretError("the grant refresh_token has no refresh_token")
            configured = material.read(spec.refresh_token)
            value = configured if refresh is None else refresh.reveal()
            material.learn(value, "REFRESH_TOKEN")
            return {"grant_type": "refresh_token", "refresh_token": value}
        case "jwt_bearer":
            return {"grant_type": _JWT_BEARER, "assertion": _signed(spec, material, url, client)}


def _client(
    spec: OAuth2, material: Material, url: str, client: str | None
) -> tuple[tuple[tuple[str, str], ...], dict[str, str]]:
    """How the client shows who it is: headers, and form fields."""
    named = {} if client is None else {"client_id": client}
    if spec.client_auth == "private_key_jwt":
        signed = _signed(spec, material, url, client, own=True)
        return (), named | {
            "client_assertion_type": _CLIENT_ASSERTION,
            "client_assertion": signed,
        }
    if spec.client_secret is None or spec.client_auth in {"mtls", "none"}:
        return (), named  # RFC 8705 section 2: the certificate speaks, client_id names it
    secret = material.read(spec.client_secret)
    if spec.client_auth == "body":
        return (), named | {"client_secret": secret}
    code = str if spec.client_auth == "basic_raw" else quote_plus  # section 2.3.1
    pair = f"{code(client or '')}:{code(secret)}"
    coded = base64.b64encode(pair.encode()).decode()
    material.learn(coded, "CLIENT_BASIC")
    return (("Authorization", f"Basic {coded}"),), {}


def _signed(
    spec: OAuth2, material: Material, url: str, client: str | None, *, own: bool = False
) -> str:
    """An assertion; ``own`` when it stands for the client itself, whose claims are fixed."""
    if spec.jwt_key is None:
        raise SecretError("no jwt_key to sign with")
    claims = {} if own and spec.grant == "jwt_bearer" else spec.claims
    return assertion(spec.jwt_key, claims, issuer=client or "", audience=url, material=material)


def token(spec: OAuth2, answer: Response, now: float, sent: Request) -> Token | Failure:
    """The access token that the endpoint gave for a request, or why there is none."""
    early = unwell(answer)
    if early is not None:
        return early
    try:
        document = parse_json(answer.body, answer.charset)
    except NotJson as error:
        if answer.ok:
            return malformed(f"answered {answer.status} with {error}")
        return login_failed(f"answered {answer.status} with {error}")
    if not isinstance(document, dict):
        return malformed(f"answered {answer.status} with JSON that is no object")
    if not answer.ok or document.get("error"):  # some answer "error": null beside the token
        return _error(spec, document, answer, now, hint=_hint(spec, sent))
    life = lasting(document.get("expires_in"))
    rotated = document.get("refresh_token")
    if isinstance(rotated, str) and not (rotated.isascii() and rotated.isprintable()):
        return malformed("the refresh token holds characters that none may hold (RFC 6749)")
    return issued(
        document.get("access_token"),
        answer,
        now,
        expires_at=None if life is None else now + life,
        refresh=Secret(rotated) if isinstance(rotated, str) and rotated else None,
    )


def _error(
    spec: OAuth2, document: dict[str, Any], answer: Response, now: float, *, hint: str
) -> Failure:
    code = document.get("error")
    said = code if isinstance(code, str) else "no error code"
    if said in _OURS:
        if said == "invalid_grant" and spec.grant == "refresh_token":
            said = ENDED_GRANT
        more = hint if said == "invalid_client" else ""
        return refused(answer, now, f"answered {answer.status} {said}{more}")
    return login_failed(f"answered {answer.status}, {said}")


def _hint(spec: OAuth2, sent: Request) -> str:
    """What to try when a client whose name or secret had to be encoded is not known."""
    coded = (sent.header("authorization") or "").partition(" ")[2]
    if spec.client_auth != "basic" or not {*b"%+"} & {*base64.b64decode(coded)}:
        return ""
    return "; client and secret were sent URL-encoded (RFC 6749): client_auth: basic_raw does not"
