"""Ways to authenticate: what belongs together is there, and secrets stand nowhere."""

from __future__ import annotations

from typing import Any, assert_never

from probe.config.resolve.file import FlowScope
from probe.config.resolve.requests import (
    Cargo,
    check_url,
    references,
    refuse_plain_secrets,
    shown_certificate,
)
from probe.config.shape.auth import (
    AuthField,
    BasicShape,
    BearerShape,
    CookieShape,
    DigestShape,
    HeadersShape,
    JsonLoginShape,
    LoginShape,
    OAuth2Shape,
    SigV4Shape,
)
from probe.config.shape.base import Shape
from probe.documents.problem import unknown
from probe.model.auth import (
    Auth,
    BasicAuth,
    BearerAuth,
    ClientAuth,
    CookieAuth,
    DigestAuth,
    HeaderAuth,
    JsonLoginAuth,
    JwtKey,
    OAuth2,
    SigV4,
)


def auth(scope: FlowScope, shape: AuthField) -> Auth:
    """One entry of ``auth``."""
    file = scope.file
    match shape:
        case BearerShape():
            _check_bearer(scope, shape)
            return file.built(BearerAuth, shape)
        case BasicShape() | DigestShape():
            scope.used_by(shape.username, shape.at("username"))
            if isinstance(shape, BasicShape):
                return file.built(BasicAuth, shape)
            return file.built(DigestAuth, shape)
        case HeadersShape():
            return file.built(HeaderAuth, shape)
        case JsonLoginShape():
            return _json_login(scope, shape)
        case OAuth2Shape():
            return _oauth2(scope, shape)
        case SigV4Shape():
            return file.built(SigV4, shape)
        case CookieShape():
            return _cookie(scope, shape)
        case _:
            assert_never(shape)


def _check_bearer(scope: FlowScope, shape: BearerShape) -> None:
    scope.file.one_of(shape, "token", "capture")
    if shape.capture is not None and shape.capture not in scope.captures:
        message = unknown("capture", shape.capture, scope.captures)
        scope.file.problem(shape.at("capture"), message)


# ---------------------------------------------------------------- logins


def _json_login(scope: FlowScope, shape: JsonLoginShape) -> JsonLoginAuth:
    _check_login_url(scope, shape, "url")
    scope.file.one_of(shape, "expires_at", "expires_in", required=False)
    document, headers = _sent(scope, shape, "json"), _fields(scope, shape, "headers")
    return scope.file.built(JsonLoginAuth, shape, json=document, headers=headers)


def _cookie(scope: FlowScope, shape: CookieShape) -> CookieAuth:
    _check_login_url(scope, shape, "url")
    scope.file.one_of(shape, "form", "json")
    form = None if shape.form is None else _fields(scope, shape, "form")
    return scope.file.built(CookieAuth, shape, form=form, json=_sent(scope, shape, "json"))


def _check_login_url(scope: FlowScope, shape: LoginShape, key: str) -> None:
    """Check the URL that secrets are sent to: one that the file spells out, or one of ``hosts``."""
    url, node = getattr(shape, key), shape.at(key)
    scope.used_by(url, node)
    hosts, where = (shape.hosts, "the login") if shape.hosts else (scope.check.hosts, "the check")
    cargo = Cargo("a login sends secrets", hosts, where, only=False)
    check_url(scope, url, node, (cargo, *shown_certificate(scope)))


def _sent(scope: FlowScope, shape: Shape, key: str) -> Any:
    """A login's document with its references read as such, and its texts checked."""
    document, node = shape.written().get(key), shape.at(key)
    refuse_plain_secrets(scope.file, document, node)
    found = references(scope.file, document, node)
    scope.used_by(found, node)
    return found


def _fields(scope: FlowScope, shape: Shape, key: str) -> Any:
    """The same for a mapping of fields or headers, read-only."""
    return scope.file.fixed(_sent(scope, shape, key) or {})


# ---------------------------------------------------------------- OAuth 2


def _oauth2(scope: FlowScope, shape: OAuth2Shape) -> OAuth2:
    """Which grant needs what, and how the client shows who it is."""
    _check_login_url(scope, shape, "token_url")
    how = shape.client_auth or _client_auth(scope, shape)
    _check_grant(scope, shape, how)
    _check_client_auth(scope, shape, how)
    for key in ("client_id", "scope", "audience"):
        scope.used_by(getattr(shape, key), shape.at(key))
    signing = shape.jwt_key
    return scope.file.built(
        OAuth2,
        shape,
        client_auth=how,
        jwt_key=None if signing is None else scope.file.built(JwtKey, signing),
        claims=_fields(scope, shape, "claims"),
        extra=_fields(scope, shape, "extra"),
    )


def _client_auth(scope: FlowScope, shape: OAuth2Shape) -> ClientAuth:
    """How the client shows who it is, by what is given."""
    if shape.client_secret is not None:
        return "basic"
    if shape.grant == "client_credentials":
        if shape.jwt_key is not None:
            return "private_key_jwt"
        return "basic" if scope.check.client_certificate is None else "mtls"
    return "none"


def _check_grant(scope: FlowScope, shape: OAuth2Shape, how: ClientAuth) -> None:
    """What a grant cannot do without must be there."""
    needed = {"refresh_token": "refresh_token", "jwt_bearer": "jwt_key"}.get(
        shape.grant, "client_id"
    )
    if getattr(shape, needed) is None:
        scope.file.problem(shape.at("grant"), f"the grant {shape.grant} needs {needed}:")
    if shape.grant == "client_credentials" and how == "none":
        scope.file.problem(
            shape.at("client_auth"),
            "the grant client_credentials has to show who the client is; "
            "write another client_auth:",
        )


def _check_client_auth(scope: FlowScope, shape: OAuth2Shape, how: ClientAuth) -> None:
    """What a client's way to show who it is cannot do without must be there."""
    where = shape.at("client_auth")
    if how in ("basic", "basic_raw", "body") and shape.client_secret is None:
        if shape.client_auth is not None:
            message = f"client_auth {how} needs client_secret:"
            scope.file.problem(where, message)
        else:
            message = f"the grant {shape.grant} needs client_secret:"
            message += ", or jwt_key:, or client_auth: mtls"
            scope.file.problem(shape.at("grant"), message)
    if how == "private_key_jwt" and shape.jwt_key is None:
        scope.file.problem(where, "client_auth private_key_jwt needs jwt_key:")
    if how == "mtls" and scope.check.client_certificate is None:
        message = "client_auth mtls needs client_certificate: in the check"
        scope.file.problem(where, message)
