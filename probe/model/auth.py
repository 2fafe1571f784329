"""How calls show who they are: kinds of credentials, and logins that give a token.

Texts marked *template* are filled in as those of `probe.model.flow`. A login has ``slower_than``
(seconds; a slower login is *degraded*, not failed) and ``early_refusal``.

``hosts`` of every kind are patterns of names that the credentials may go to, as on certificates;
empty: the hosts that the configuration itself spells out where it uses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from probe.model.secret import SecretRef

_CREDENTIAL_HEADERS = frozenset(
    {
        "api-key", "authorization", "cookie", "private-token", "proxy-authorization",
        "x-access-token", "x-amz-security-token", "x-api-key", "x-auth-token",
    }
)  # fmt: skip


def carries_credential(header: str) -> bool:
    """Tell whether a request header's value is a credential by all custom."""
    name = header.lower()
    return name in _CREDENTIAL_HEADERS or name.endswith(("-apptoken", "-app-token"))


def _no_items() -> Mapping[str, Any]:
    return MappingProxyType({})


EarlyRefusal = Literal["counted", "degraded"]
"""What a run counts as in which a kept token was refused before its end and renewed."""


@dataclass(frozen=True, slots=True)
class BearerAuth:
    """A header with a token: from a secret, or from a capture of a login step.

    Attributes:
        scheme: the word before it (``Bearer``, ``token``, ``FlyV1``); empty for none.
        header: usually ``Authorization``.
        token: a secret reference, or None to use ``capture``.
    """

    token: SecretRef | None = None
    capture: str | None = None
    scheme: str = "Bearer"
    header: str = "Authorization"
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """RFC 7617. An empty password stands as an empty text."""

    username: str | SecretRef
    password: SecretRef | Literal[""]
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DigestAuth:
    """RFC 7616. An empty password stands as an empty text."""

    username: str | SecretRef
    password: SecretRef | Literal[""]
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderAuth:
    """API keys in headers of their own."""

    headers: Mapping[str, SecretRef]
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JsonLoginAuth:
    """A templated JSON POST that gives a token.

    Attributes:
        url: template.
        json: document whose string leaves are templates or ``SecretRef`` values.
        token: JMESPath of the token in the answer.
        success: JMESPath condition that must hold besides a 2xx status.
        refused: JMESPath condition that says our credentials are wrong (inconclusive).
        expires_at: JMESPath of an absolute expiry (epoch seconds).
        expires_in: JMESPath of a relative expiry (seconds).
        headers: extra request headers; templates or secrets.
    """

    url: str
    json: Any
    token: str
    success: str | None = None
    refused: str | None = None
    expires_at: str | None = None
    expires_in: str | None = None
    headers: Mapping[str, str | SecretRef] = field(default_factory=_no_items)
    scheme: str = "Bearer"
    header: str = "Authorization"
    slower_than: float | None = None
    early_refusal: EarlyRefusal = "counted"
    hosts: tuple[str, ...] = ()


JwtAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class JwtKey:
    """A private key that signs assertions (RFC 7523).

    Attributes:
        certificate: its certificate, for ``x5t#S256``; None leaves the header out.
    """

    key: SecretRef
    algorithm: JwtAlgorithm = "RS256"
    key_id: str | None = None
    certificate: SecretRef | None = None


ClientAuth = Literal["basic", "basic_raw", "body", "private_key_jwt", "mtls", "none"]
"""How a client shows who it is. ``basic`` encodes client and secret as RFC 6749 section 2.3.1 says;
``basic_raw`` leaves that out, for servers that do not decode them."""


@dataclass(frozen=True, slots=True)
class OAuth2:
    """OAuth 2 without a person (RFC 6749, RFC 7523, RFC 8705).

    Attributes:
        grant: which one.
        client_auth: how the client shows who it is at the token endpoint.
        claims: extra claims of a ``jwt_bearer`` assertion (``iss``, ``sub``, ``aud`` …).
        extra: further fields of the request; they replace those of the grant.
    """

    grant: Literal["client_credentials", "refresh_token", "jwt_bearer"]
    token_url: str
    client_id: str | SecretRef | None = None
    client_secret: SecretRef | None = None
    client_auth: ClientAuth = "basic"
    refresh_token: SecretRef | None = None
    jwt_key: JwtKey | None = None
    claims: Mapping[str, str | SecretRef] = field(default_factory=_no_items)
    scope: str | SecretRef | None = None
    audience: str | SecretRef | None = None
    extra: Mapping[str, str | SecretRef] = field(default_factory=_no_items)
    scheme: str = "Bearer"
    header: str = "Authorization"
    slower_than: float | None = None
    early_refusal: EarlyRefusal = "counted"
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SigV4:
    """AWS Signature Version 4, per request."""

    access_key: SecretRef
    secret_key: SecretRef
    service: str
    region: str
    session_token: SecretRef | None = None
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CookieAuth:
    """A login that answers ``Set-Cookie``; the named cookie is sent with later calls.

    Attributes:
        form: fields of the login, templates or secrets; or ``json``.
        max_age: seconds to keep the cookie when it names no expiry itself.
    """

    url: str
    cookie: str
    form: Mapping[str, str | SecretRef] | None = None
    json: Any = None
    max_age: float = 3600.0
    slower_than: float | None = None
    early_refusal: EarlyRefusal = "counted"
    hosts: tuple[str, ...] = ()


Auth = (
    BearerAuth | BasicAuth | DigestAuth | HeaderAuth | JsonLoginAuth | OAuth2 | SigV4 | CookieAuth
)
