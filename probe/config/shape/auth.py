"""Ways to authenticate. Every secret is a reference; every other text may be a template."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from probe.config.shape.base import BY_KIND, Rewritten, Shape, optional, wrong
from probe.config.shape.flow_texts import (
    ConditionText,
    CookieName,
    ExpressionText,
    HeaderOrReference,
    RequestHeader,
    TokenHeader,
)
from probe.config.shape.texts import (
    Duration,
    HostPatterns,
    Password,
    Reference,
    TextOrReference,
    UrlTemplate,
    between,
    no_reference,
    text,
)
from probe.model.auth import (
    BearerAuth,
    CookieAuth,
    EarlyRefusal,
    JsonLoginAuth,
    JwtAlgorithm,
    JwtKey,
)
from probe.model.secret import SecretRef
from probe.net.names import quoted

_WHERE = "Where the {} is: file:/path, env:NAME or credential:name."


def _scheme(value: str) -> str:
    if not value.replace("-", "").replace("_", "").isalnum() and value:
        raise wrong(
            f"{quoted(value)} is not a valid scheme; write one word such as Bearer, or nothing"
        )
    return value


Scheme = Annotated[str, text(_scheme)]


class AuthShape(Shape):
    """What all ways to authenticate have in common."""

    hosts: HostPatterns = Field(default=[], examples=[["*.shop.example"]])
    """Names of hosts that the credentials go to; left out: those of the check, or the hosts that
    this file itself spells out where it uses them."""


class HeaderTokenShape(AuthShape):
    """How a token is sent."""

    scheme: Scheme = BearerAuth().scheme
    """The word before the token: Bearer, token …; "" for none."""
    header: TokenHeader = BearerAuth().header
    """The header that carries it."""


class BearerShape(HeaderTokenShape):
    """A token in a header, from a secret or from a step's capture."""

    kind: Literal["bearer"]
    """bearer: a token that is there already."""
    token: Reference | None = optional(_WHERE.format("token"), examples=["env:TOKEN"])
    capture: str | None = None
    """Name of a capture of an earlier step, instead of token."""


Username = Annotated[
    TextOrReference,
    Field(description="The user: text, or a reference.", examples=["env:USERNAME"]),
]
PasswordField = Annotated[
    Password,
    Field(
        description=f'{_WHERE.format("password")} "" sends an empty one.', examples=["env:PASSWORD"]
    ),
]


class BasicShape(AuthShape):
    """User and password in a header (RFC 7617)."""

    kind: Literal["basic"]
    """basic: RFC 7617."""
    username: Username
    password: PasswordField


class DigestShape(AuthShape):
    """User and password by challenge and response (RFC 7616)."""

    kind: Literal["digest"]
    """digest: RFC 7616."""
    username: Username
    password: PasswordField


class HeadersShape(AuthShape):
    """API keys in headers of their own."""

    kind: Literal["headers"]
    """headers: API keys in headers of their own."""
    headers: Annotated[dict[TokenHeader, Reference], Field(min_length=1)] = Field(
        examples=[{"X-Api-Key": "env:API_KEY"}]
    )
    """Header name to the reference of its secret."""


class LoginShape(AuthShape):
    """What logs in has in common."""

    slower_than: Annotated[Duration, between("1ms", "10m")] | None = None
    """A slower login is degraded, not failed."""
    early_refusal: EarlyRefusal = JsonLoginAuth("", None, "").early_refusal
    """What a run is in which a kept token is refused before its end and renewed: counted only, or
    degraded too."""


class JsonLoginShape(HeaderTokenShape, LoginShape):
    """A JSON POST that answers a token."""

    kind: Literal["json_login"]
    """json_login: a JSON POST answers a token."""
    url: UrlTemplate = Field(examples=["https://login.example/token"])
    """URL of the login; a template."""
    json_: Any = Field(
        alias="json", examples=[{"user": "env:USERNAME", "password": "env:PASSWORD"}]
    )
    """JSON document to send; texts are templates, or references to secrets."""
    token: ExpressionText = Field(examples=["token"])
    """JMESPath of the token in the answer."""
    success: ConditionText | None = Field(default=None, examples=["authStatus == 'Success'"])
    """Condition that must hold besides a 2xx status."""
    refused: ConditionText | None = None
    """Condition that says that our credentials are wrong: inconclusive then."""
    expires_at: ExpressionText | None = None
    """JMESPath of the expiry as seconds since 1970."""
    expires_in: ExpressionText | None = None
    """JMESPath of the token's life in seconds."""
    headers: dict[RequestHeader, HeaderOrReference] = {}
    """Further request headers; values are templates, or references to secrets."""


class JwtKeyShape(Shape):
    """A private key that signs assertions (RFC 7523)."""

    key: Reference = Field(
        description=_WHERE.format("private key (PEM)"), examples=["file:client.key"]
    )
    algorithm: JwtAlgorithm = JwtKey(SecretRef("env", "")).algorithm
    """Signature algorithm."""
    key_id: Annotated[str, no_reference] | None = None
    """kid of the JWT header."""
    certificate: Reference | None = None
    """Where its certificate is, for x5t#S256."""


class OAuth2Shape(HeaderTokenShape, LoginShape):
    """OAuth 2 without a person (RFC 6749, RFC 7523, RFC 8705)."""

    kind: Literal["oauth2"]
    """oauth2: a token endpoint gives a token."""
    grant: Literal["client_credentials", "refresh_token", "jwt_bearer"] = Field(
        examples=["client_credentials"]
    )
    """Which grant."""
    token_url: UrlTemplate = Field(examples=["https://login.example/oauth/token"])
    """URL of the token endpoint."""
    client_id: TextOrReference | None = None
    """The client: text, or a reference."""
    client_secret: Reference | None = optional(_WHERE.format("client's secret"))
    client_auth: Literal["basic", "basic_raw", "body", "private_key_jwt", "mtls", "none"] | None = (
        None
    )
    """How the client shows who it is; left out: by what is given. basic encodes client and secret
    as RFC 6749 says, basic_raw does not."""
    refresh_token: Reference | None = optional(_WHERE.format("refresh token"))
    jwt_key: JwtKeyShape | None = None
    """Key for jwt_bearer and private_key_jwt."""
    claims: dict[str, TextOrReference] = {}
    """Further claims of the assertion (iss, sub, aud …)."""
    scope: TextOrReference | None = None
    """Scopes, separated by spaces: a template, or a reference."""
    audience: TextOrReference | None = None
    """Audience asked for: a template, or a reference."""
    extra: dict[str, TextOrReference] = Field(
        default={},
        examples=[{"grant_type": "password", "username": "probe", "password": "env:PASSWORD"}],
    )
    """Further fields of the token request, also in place of those of the grant: templates, or
    references to secrets."""


class SigV4Shape(AuthShape):
    """AWS Signature Version 4, for every request."""

    kind: Literal["sigv4"]
    """sigv4: AWS Signature Version 4."""
    access_key: Reference = Field(
        description=_WHERE.format("access key id"), examples=["env:AWS_ACCESS_KEY_ID"]
    )
    secret_key: Reference = Field(
        description=_WHERE.format("secret access key"), examples=["env:AWS_SECRET_ACCESS_KEY"]
    )
    session_token: Reference | None = optional(_WHERE.format("session token of temporary keys"))
    service: Annotated[str, Field(min_length=1), no_reference] = Field(examples=["sts"])
    """The service in the signature's scope."""
    region: Annotated[str, Field(min_length=1), no_reference] = Field(examples=["us-east-1"])
    """The AWS region in the signature's scope."""


class CookieShape(LoginShape):
    """A login that sets a cookie."""

    spec = CookieAuth("", "")

    kind: Literal["cookie"]
    """cookie: a login sets it, later calls send it."""
    url: UrlTemplate = Field(examples=["https://shop.example/login"])
    """URL of the login; a template."""
    cookie: CookieName = Field(examples=["session"])
    """Name of the cookie."""
    form: dict[str, TextOrReference] | None = None
    """Form fields to send: templates, or references to secrets."""
    json_: Any = Field(default=None, alias="json")
    """JSON document to send instead; texts are templates or references."""
    max_age: Annotated[Duration, between("1s", "30d")] | None = None
    """How long to keep a cookie that names no expiry itself ({default})."""


AuthField = Annotated[
    BearerShape
    | BasicShape
    | DigestShape
    | HeadersShape
    | JsonLoginShape
    | OAuth2Shape
    | SigV4Shape
    | CookieShape,
    BY_KIND,
]


_OR_NONE = Rewritten(
    lambda value: None if value == "none" else value,
    lambda schema: {"anyOf": [{"const": "none"}, schema]},
)
PersonaAuthField = Annotated[AuthField | None, _OR_NONE]
"""Credentials, or the word ``none`` for going without."""
