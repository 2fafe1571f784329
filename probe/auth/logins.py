"""Logins: what each kind asks, what it makes of the response, and how its token is shown."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from probe.auth.signatures import sign_assertion
from probe.auth.signers import CookieSigner, Signer, StaticAuth, TokenSigner
from probe.auth.store import Login
from probe.auth.tokens import (
    ENDED_GRANT,
    LONGEST_TOKEN,
    Token,
    issued,
    lasting,
    login_failed,
    malformed,
    refused,
    seconds,
)
from probe.auth.values import Values, fits_header
from probe.http.answers import as_text, condition, expression
from probe.http.messages import NotJson, Request, Response, form_body, json_body
from probe.http.url import clean_url
from probe.model.auth import Auth, CookieAuth, JsonLoginAuth, OAuth2
from probe.model.expressions import holds, select
from probe.model.failure import Failure
from probe.model.secret import Secret, SecretError, SecretRef
from probe.net.http import http_date

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_OURS = frozenset(
    {
        "access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope",
        "invalid_target", "unauthorized_client", "unsupported_grant_type",
    }
)  # fmt: skip
"""Errors of RFC 6749 section 5.2 and RFC 8707 that say that what we sent is wrong."""


class JsonLogin(Login):
    """A JSON document that gives a token."""

    def __init__(self, spec: JsonLoginAuth) -> None:
        super().__init__(spec.url, spec)
        self._spec = spec

    def request(self, values: Values, refresh: Secret | None = None) -> Request:
        """Build the login's request."""
        spec = self._spec
        body, content_type = json_body(values.document(spec.json))
        headers = tuple(
            (k, values.read(v) if isinstance(v, SecretRef) else values.fill_header(v))
            for k, v in spec.headers.items()
        )
        start = (content_type, ("Accept", "application/json"))
        return Request("POST", clean_url(values.fill_url(spec.url)), start, body).adding(*headers)

    def signer(self, token: str) -> Signer:
        """Show the token in its header."""
        return TokenSigner(self._spec.header, self._spec.scheme, token)

    def _token(self, response: Response, now: float, sent: Request) -> Token | Failure:
        spec = self._spec
        try:
            document = response.json()
        except NotJson as error:
            detail = f"answered {response.status} with {error}"
            return malformed(detail) if response.ok else login_failed(response)
        if spec.refused is not None and holds(condition(spec.refused), document):
            return refused(response, now, f"answered {response.status}: {spec.refused}")
        if spec.refused is None and response.status == 401:
            return refused(response, now, "answered 401")
        if not response.ok:
            return login_failed(response)
        if spec.success is not None and not holds(condition(spec.success), document):
            return login_failed(response, f", and {spec.success} does not hold")
        found = as_text(select(expression(spec.token), document))
        return issued(found, response, now, expires_at=self._expiry(document, now))

    def _expiry(self, document: object, now: float) -> float | None:
        spec = self._spec
        if spec.expires_at is not None:
            return lasting(select(expression(spec.expires_at), document))
        if spec.expires_in is not None:
            life = lasting(select(expression(spec.expires_in), document))
            return None if life is None else now + life
        return None


class CookieLogin(Login):
    """Form fields or a JSON document that give a cookie."""

    def __init__(self, spec: CookieAuth) -> None:
        super().__init__(spec.url, spec)
        self._spec = spec

    def request(self, values: Values, refresh: Secret | None = None) -> Request:
        """Build the login's request."""
        if self._spec.form is not None:
            fields = {name: values.text(value) for name, value in self._spec.form.items()}
            body, content_type = form_body(fields)
        else:
            body, content_type = json_body(values.document(self._spec.json))
        return Request("POST", clean_url(values.fill_url(self.url)), (content_type,), body)

    def signer(self, token: str) -> Signer:
        """Show the cookie."""
        return CookieSigner(self._spec.cookie, token)

    def _token(self, response: Response, now: float, sent: Request) -> Token | Failure:
        if response.status in {401, 403}:
            return refused(response, now, f"answered {response.status}")
        if not response.ok and not 300 <= response.status < 400:  # a form's login often redirects
            return login_failed(response)
        said = response.cookie(self._spec.cookie)
        if not said.get(""):
            return login_failed(response, f" and set no cookie {self._spec.cookie}")
        if not fits_header(said[""]):
            return malformed("the cookie holds a control character")
        return issued(said[""], response, now, expires_at=now + self._life(said, now))

    def _life(self, said: Mapping[str, str], now: float) -> float:
        """Read the seconds that the cookie lasts: Max-Age beats Expires (RFC 6265 section 5.3)."""
        life = seconds(said.get("max-age"))
        if life is None:
            until = http_date(said.get("expires"))
            life = None if until is None else until - now
        return self._spec.max_age if life is None else life


class OAuth2Login(Login):
    """OAuth 2 without a person: RFC 6749 sections 4.4 and 6, RFC 7523, RFC 8705."""

    def __init__(self, spec: OAuth2) -> None:
        super().__init__(spec.token_url, spec)
        self._spec = spec
        self.refresh_token = spec.refresh_token
        self.shared = spec.grant == "refresh_token"

    def signer(self, token: str) -> Signer:
        """Show the access token in its header."""
        return TokenSigner(self._spec.header, self._spec.scheme, token)

    def request(self, values: Values, refresh: Secret | None = None) -> Request:
        """Build the request to the token endpoint."""
        spec, url = self._spec, clean_url(values.fill_url(self.url))
        client = None if spec.client_id is None else values.text(spec.client_id)
        fields = self._grant(values, url, client, refresh)
        for name, value in (("scope", spec.scope), ("audience", spec.audience)):
            if value is not None:
                fields[name] = values.text(value)
        fields |= {name: values.text(value) for name, value in spec.extra.items()}
        headers, more = self._client(values, url, client)
        body, content_type = form_body(fields | more)
        start = (content_type, ("Accept", "application/json"))
        return Request("POST", url, (*start, *headers), body)

    def _grant(
        self, values: Values, url: str, client: str | None, refresh: Secret | None
    ) -> dict[str, str]:
        match self._spec.grant:
            case "client_credentials":
                return {"grant_type": "client_credentials"}
            case "refresh_token":
                if self.refresh_token is None:
                    raise SecretError("the grant refresh_token has no refresh_token")
                configured = values.read(self.refresh_token)
                value = configured if refresh is None else refresh.reveal()
                values.learn_secret(value, "REFRESH_TOKEN")
                return {"grant_type": "refresh_token", "refresh_token": value}
            case "jwt_bearer":
                signed = self._assertion(values, url, client)
                return {"grant_type": _JWT_BEARER, "assertion": signed}

    def _client(
        self, values: Values, url: str, client: str | None
    ) -> tuple[tuple[tuple[str, str], ...], dict[str, str]]:
        """Return how the client shows who it is: headers, and form fields."""
        spec = self._spec
        named = {} if client is None else {"client_id": client}
        if spec.client_auth == "private_key_jwt":
            named["client_assertion_type"] = _CLIENT_ASSERTION
            return (), named | {"client_assertion": self._assertion(values, url, client, own=True)}
        if spec.client_secret is None or spec.client_auth in {"mtls", "none"}:
            return (), named  # RFC 8705 section 2: the certificate speaks, client_id names it
        secret = values.read(spec.client_secret)
        if spec.client_auth == "body":
            return (), named | {"client_secret": secret}
        code = str if spec.client_auth == "basic_raw" else quote_plus  # section 2.3.1
        pair = f"{code(client or '')}:{code(secret)}"
        coded = base64.b64encode(pair.encode()).decode()
        values.learn_secret(coded, "CLIENT_BASIC")
        return (("Authorization", f"Basic {coded}"),), {}

    def _assertion(self, values: Values, url: str, client: str | None, *, own: bool = False) -> str:
        """Sign an assertion; ``own`` for one of the client itself, whose claims are fixed."""
        key = self._spec.jwt_key
        if key is None:
            raise SecretError("no jwt_key to sign with")
        claims = {} if own and self._spec.grant == "jwt_bearer" else self._spec.claims
        return sign_assertion(key, claims, issuer=client or "", audience=url, values=values)

    def _token(self, response: Response, now: float, sent: Request) -> Token | Failure:
        try:
            document = response.json()
        except NotJson as error:
            if response.ok:
                return malformed(f"answered {response.status} with {error}")
            return login_failed(response, f" with {error}")
        if not isinstance(document, dict):
            return malformed(f"answered {response.status} with JSON that is no object")
        if not response.ok or document.get("error"):  # some say "error": null beside the token
            return self._error(document, response, now, sent)
        life = lasting(document.get("expires_in"))
        rotated = document.get("refresh_token")
        if isinstance(rotated, str) and not (rotated.isascii() and rotated.isprintable()):
            return malformed("the refresh token holds characters that none may hold (RFC 6749)")
        if isinstance(rotated, str) and len(rotated) > LONGEST_TOKEN:
            return malformed(f"the refresh token is {len(rotated)} characters long")
        return issued(
            document.get("access_token"),
            response,
            now,
            expires_at=None if life is None else now + life,
            refresh=Secret(rotated) if isinstance(rotated, str) and rotated else None,
        )

    def _error(
        self, document: dict[str, Any], response: Response, now: float, sent: Request
    ) -> Failure:
        code = document.get("error")
        said = code if isinstance(code, str) else "no error code"
        if said not in _OURS:
            return login_failed(response, f", {said}")
        if said == "invalid_grant" and self.shared:
            said = ENDED_GRANT
        more = self._hint(sent) if said == "invalid_client" else ""
        return refused(response, now, f"answered {response.status} {said}{more}")

    def _hint(self, sent: Request) -> str:
        """Say what to try when a client whose name or secret had to be encoded is not known."""
        coded = (sent.header("authorization") or "").partition(" ")[2]
        if self._spec.client_auth != "basic" or not {*b"%+"} & {*base64.b64decode(coded)}:
            return ""
        sent_as = "client and secret were sent URL-encoded (RFC 6749)"
        return f"; {sent_as}: client_auth: basic_raw does not"


def entry_of(spec: Auth) -> Login | StaticAuth:
    """Turn an auth entry into what a run uses: a login, or what signs at once."""
    match spec:
        case JsonLoginAuth():
            return JsonLogin(spec)
        case CookieAuth():
            return CookieLogin(spec)
        case OAuth2():
            return OAuth2Login(spec)
        case _:
            return spec
