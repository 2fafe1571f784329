"""Ways to authenticate. Every secret is a reference; every other text may be a template."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from probe.config.shape import defaults
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
    Password,
    Reference,
    TextOrReference,
    UrlTemplate,
    between,
    no_reference,
    text,
)
from probe.model.auth import EarlyRefusal, JwtAlgorithm
from probe.net.names import quoted

_WHERE = "Where the {} is: file:/path, env:NAME or credential:name."


def _scheme(value: str) -> str:
    if not value.replace("-", "").replace("_", "").isalnum() and value:
        raise wrong(
            f"{quoted(value)} is not a valid scheme; write one word such as Bearer, or nothing"
        )
    return value


Scheme = Annotated[str, text(_scheme)]


class HeaderTokenShape(Shape):
    """How a token is sent."""

    scheme: Scheme = Field(
        default=defaults.BEARER.scheme,
        description='The word before the token: Bearer, token …; "" for none.',
    )
    header: TokenHeader = Field(
        default=defaults.BEARER.header, description="The header that carries it."
    )


class BearerShape(HeaderTokenShape):
    """A token in a header, from a secret or from a step's capture."""

    kind: Literal["bearer"] = Field(description="bearer: a token that is there already.")
    token: Reference | None = optional(_WHERE.format("token"), examples=["env:TOKEN"])
    capture: str | None = optional("Name of a capture of an earlier step, instead of token.")


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


class BasicShape(Shape):
    """User and password in a header (RFC 7617)."""

    kind: Literal["basic"] = Field(description="basic: RFC 7617.")
    username: Username
    password: PasswordField


class DigestShape(Shape):
    """User and password by challenge and response (RFC 7616)."""

    kind: Literal["digest"] = Field(description="digest: RFC 7616.")
    username: Username
    password: PasswordField


class HeadersShape(Shape):
    """API keys in headers of their own."""

    kind: Literal["headers"] = Field(description="headers: API keys in headers of their own.")
    headers: Annotated[dict[TokenHeader, Reference], Field(min_length=1)] = Field(
        description="Header name to the reference of its secret.",
        examples=[{"X-Api-Key": "env:API_KEY"}],
    )


class LoginShape(Shape):
    """What logs in has in common."""

    slower_than: Annotated[Duration, between("1ms", "10m")] | None = optional(
        "A slower login is degraded, not failed."
    )
    early_refusal: EarlyRefusal = Field(
        default=defaults.JSON_LOGIN.early_refusal,
        description="What a run is in which a kept token is refused before its end and renewed: "
        "counted only, or degraded too.",
    )


class JsonLoginShape(HeaderTokenShape, LoginShape):
    """A JSON POST that answers a token."""

    kind: Literal["json_login"] = Field(description="json_login: a JSON POST answers a token.")
    url: UrlTemplate = Field(
        description="URL of the login; a template.", examples=["https://login.example/token"]
    )
    json_: Any = Field(
        alias="json",
        description="JSON document to send; texts are templates, or references to secrets.",
        examples=[{"user": "env:USERNAME", "password": "env:PASSWORD"}],
    )
    token: ExpressionText = Field(
        description="JMESPath of the token in the answer.", examples=["token"]
    )
    success: ConditionText | None = optional(
        "Condition that must hold besides a 2xx status.", examples=["authStatus == 'Success'"]
    )
    refused: ConditionText | None = optional(
        "Condition that says that our credentials are wrong: inconclusive then."
    )
    expires_at: ExpressionText | None = optional("JMESPath of the expiry as seconds since 1970.")
    expires_in: ExpressionText | None = optional("JMESPath of the token's life in seconds.")
    headers: dict[RequestHeader, HeaderOrReference] = Field(
        default={},
        description="Further request headers; values are templates, or references to secrets.",
    )


class JwtKeyShape(Shape):
    """A private key that signs assertions (RFC 7523)."""

    key: Reference = Field(
        description=_WHERE.format("private key (PEM)"), examples=["file:client.key"]
    )
    algorithm: JwtAlgorithm = Field(
        default=defaults.JWT_KEY.algorithm, description="Signature algorithm."
    )
    key_id: Annotated[str, no_reference] | None = optional("kid of the JWT header.")
    certificate: Reference | None = optional("Where its certificate is, for x5t#S256.")


class OAuth2Shape(HeaderTokenShape, LoginShape):
    """OAuth 2 without a person (RFC 6749, RFC 7523, RFC 8705)."""

    kind: Literal["oauth2"] = Field(description="oauth2: a token endpoint gives a token.")
    grant: Literal["client_credentials", "refresh_token", "jwt_bearer"] = Field(
        description="Which grant.", examples=["client_credentials"]
    )
    token_url: UrlTemplate = Field(
        description="URL of the token endpoint.", examples=["https://login.example/oauth/token"]
    )
    client_id: TextOrReference | None = optional("The client: text, or a reference.")
    client_secret: Reference | None = optional(_WHERE.format("client's secret"))
    client_auth: Literal["basic", "basic_raw", "body", "private_key_jwt", "mtls", "none"] | None = (
        optional(
            "How the client shows who it is; left out: by what is given. basic encodes "
            "client and secret as RFC 6749 says, basic_raw does not."
        )
    )
    refresh_token: Reference | None = optional(_WHERE.format("refresh token"))
    jwt_key: JwtKeyShape | None = optional("Key for jwt_bearer and private_key_jwt.")
    claims: dict[str, TextOrReference] = Field(
        default={}, description="Further claims of the assertion (iss, sub, aud …)."
    )
    scope: TextOrReference | None = optional(
        "Scopes, separated by spaces: a template, or a reference."
    )
    audience: TextOrReference | None = optional("Audience asked for: a template, or a reference.")
    extra: dict[str, TextOrReference] = Field(
        default={},
        description="Further fields of the token request, also in place of those of the grant: "
        "templates, or references to secrets.",
        examples=[{"grant_type": "password", "username": "probe", "password": "env:PASSWORD"}],
    )


class SigV4Shape(Shape):
    """AWS Signature Version 4, for every request."""

    kind: Literal["sigv4"] = Field(description="sigv4: AWS Signature Version 4.")
    access_key: Reference = Field(
        description=_WHERE.format("access key id"), examples=["env:AWS_ACCESS_KEY_ID"]
    )
    secret_key: Reference = Field(
        description=_WHERE.format("secret access key"), examples=["env:AWS_SECRET_ACCESS_KEY"]
    )
    session_token: Reference | None = optional(_WHERE.format("session token of temporary keys"))
    service: Annotated[str, Field(min_length=1), no_reference] = Field(
        description="The service in the signature's scope.", examples=["sts"]
    )
    region: Annotated[str, Field(min_length=1), no_reference] = Field(
        description="The AWS region in the signature's scope.", examples=["us-east-1"]
    )


class CookieShape(LoginShape):
    """A login that sets a cookie."""

    spec = defaults.COOKIE

    kind: Literal["cookie"] = Field(description="cookie: a login sets it, later calls send it.")
    url: UrlTemplate = Field(
        description="URL of the login; a template.", examples=["https://shop.example/login"]
    )
    cookie: CookieName = Field(description="Name of the cookie.", examples=["session"])
    form: dict[str, TextOrReference] | None = optional(
        "Form fields to send: templates, or references to secrets."
    )
    json_: Any = Field(
        default=None,
        alias="json",
        description="JSON document to send instead; texts are templates or references.",
    )
    max_age: Annotated[Duration, between("1s", "30d")] | None = optional(
        "How long to keep a cookie that names no expiry itself ({default})."
    )


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
