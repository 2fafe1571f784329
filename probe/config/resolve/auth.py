"""Ways to authenticate: what belongs together is there, and secrets stand nowhere."""

from __future__ import annotations

import re
from collections.abc import Mapping as Bag
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, assert_never

from probe.config.document.nodes import Node, at
from probe.config.problem import unknown
from probe.config.resolve.scope import Scope, check_texts
from probe.config.resolve.site import Site
from probe.config.resolve.urls import check_url
from probe.config.shape.auth import (
    AuthField,
    BasicShape,
    BearerShape,
    CookieShape,
    DigestShape,
    HeadersShape,
    JsonLoginShape,
    JwtKeyShape,
    OAuth2Shape,
    SigV4Shape,
)
from probe.config.shape.base import REFERENCE_HINT, looks_like_reference, parse_reference
from probe.model.flow import (
    Auth,
    BasicAuth,
    BearerAuth,
    CookieAuth,
    DigestAuth,
    HeaderAuth,
    JsonLogin,
    JwtKey,
    OAuth2,
    SigV4,
)
from probe.model.secret import SecretRef

TOKEN_KINDS = frozenset({"bearer", "json_login", "oauth2", "cookie"})
"""Kinds whose token a template may use as ``{auth.NAME}``."""

_SECRET_NAME = re.compile(
    r"(?:accesskey|apikey|passphrase|passwd|password|privatekey|pwd|secret|secretkey|token)\Z"
)


@dataclass(frozen=True, slots=True)
class AuthContext:
    """What entries of ``auth`` are resolved with.

    Attributes:
        scope: names for templates; answers of steps are not among them, because a login also
            runs on its own clock.
        variants: the vars of every persona.
        captures: names that any step captures.
        has_certificate: whether the check has a client certificate.
    """

    site: Site
    scope: Scope
    variants: tuple[Bag[str, str], ...]
    captures: tuple[str, ...]
    has_certificate: bool


def auth(context: AuthContext, shape: AuthField, node: Node) -> Auth:
    """One entry of ``auth``."""
    site = context.site
    match shape:
        case BearerShape():
            return _bearer(context, shape, node)
        case BasicShape() | DigestShape():
            kind = BasicAuth if isinstance(shape, BasicShape) else DigestAuth
            user = _text(context, shape.username, at(node, "username"))
            return kind(user, site.secret(shape.password))
        case HeadersShape():
            return HeaderAuth(
                MappingProxyType({k: site.secret(ref) for k, ref in shape.headers.items()})
            )
        case JsonLoginShape():
            return _json_login(context, shape, node)
        case OAuth2Shape():
            return _oauth2(context, shape, node)
        case SigV4Shape():
            token = None if shape.session_token is None else site.secret(shape.session_token)
            return SigV4(
                access_key=site.secret(shape.access_key),
                secret_key=site.secret(shape.secret_key),
                service=shape.service,
                region=shape.region,
                session_token=token,
            )
        case CookieShape():
            return _cookie(context, shape, node)
        case _:
            assert_never(shape)


def _bearer(context: AuthContext, shape: BearerShape, node: Node) -> BearerAuth:
    site = context.site
    if (shape.token is None) == (shape.capture is None):
        both = "both are there" if shape.token else "neither is there"
        site.problem(node, f"bearer needs one of token: and capture:, and {both}")
    if shape.capture is not None and shape.capture not in context.captures:
        site.problem(at(node, "capture"), unknown("capture", shape.capture, context.captures))
    token = None if shape.token is None else site.secret(shape.token)
    return BearerAuth(token, shape.capture, shape.scheme, shape.header)


def _json_login(context: AuthContext, shape: JsonLoginShape, node: Node) -> JsonLogin:
    _login_url(context, shape.url, at(node, "url"))
    check_texts(context.site, dict(shape.headers), at(node, "headers"), context.scope)
    if shape.expires_at is not None and shape.expires_in is not None:
        context.site.problem(
            at(node, "expires_in"), "expires_at or expires_in; write one of the two"
        )
    return JsonLogin(
        url=shape.url,
        json=_login_document(context, shape.json_, at(node, "json")),
        token=shape.token,
        success=shape.success,
        refused=shape.refused,
        expires_at=shape.expires_at,
        expires_in=shape.expires_in,
        headers=MappingProxyType(dict(shape.headers)),
        scheme=shape.scheme,
        header=shape.header,
    )


def _cookie(context: AuthContext, shape: CookieShape, node: Node) -> CookieAuth:
    _login_url(context, shape.url, at(node, "url"))
    if (shape.form is None) == (shape.json_ is None):
        context.site.problem(node, "a cookie login needs one of form: and json:")
    form = None
    if shape.form is not None:
        form = MappingProxyType(_login_document(context, dict(shape.form), at(node, "form")))
    base = CookieAuth(url=shape.url, cookie=shape.cookie)
    return CookieAuth(
        url=shape.url,
        cookie=shape.cookie,
        form=form,
        json=_login_document(context, shape.json_, at(node, "json")),
        max_age=base.max_age if shape.max_age is None else shape.max_age,
    )


# ---------------------------------------------------------------- OAuth 2


def _oauth2(context: AuthContext, shape: OAuth2Shape, node: Node) -> OAuth2:
    site = context.site
    _login_url(context, shape.token_url, at(node, "token_url"))
    for key in ("scope", "audience", "extra", "claims"):
        check_texts(site, getattr(shape, key), at(node, key), context.scope)
    how = shape.client_auth or _client_auth(shape, context)
    for key, why in _needed(shape, how, context):
        site.problem(at(node, "client_auth" if key == "client_certificate" else "grant"), why)
    client_id = shape.client_id
    if client_id is not None:
        client_id = _text(context, client_id, at(node, "client_id"))
    return OAuth2(
        grant=shape.grant,
        token_url=shape.token_url,
        client_id=client_id,
        client_secret=_secret(site, shape.client_secret),
        client_auth=how,
        refresh_token=_secret(site, shape.refresh_token),
        jwt_key=None if shape.jwt_key is None else _jwt_key(site, shape.jwt_key),
        claims=MappingProxyType(dict(shape.claims)),
        scope=shape.scope,
        audience=shape.audience,
        extra=MappingProxyType(dict(shape.extra)),
        scheme=shape.scheme,
        header=shape.header,
    )


_ClientAuth = Literal["basic", "body", "private_key_jwt", "mtls", "none"]


def _client_auth(shape: OAuth2Shape, context: AuthContext) -> _ClientAuth:
    """How the client shows who it is, by what is given."""
    if shape.client_secret is not None:
        return "basic"
    if shape.grant == "client_credentials":
        if shape.jwt_key is not None:
            return "private_key_jwt"
        return "mtls" if context.has_certificate else "basic"
    return "none"


def _needed(shape: OAuth2Shape, how: _ClientAuth, context: AuthContext) -> list[tuple[str, str]]:
    """Keys that a grant or a client's authentication cannot do without, and why."""
    lacking = []
    if shape.grant == "refresh_token" and shape.refresh_token is None:
        lacking.append(("refresh_token", "the grant refresh_token needs refresh_token:"))
    if shape.grant == "jwt_bearer" and shape.jwt_key is None:
        lacking.append(("jwt_key", "the grant jwt_bearer needs jwt_key:"))
    if shape.grant == "client_credentials" and shape.client_id is None:
        lacking.append(("client_id", "the grant client_credentials needs client_id:"))
    if shape.grant == "client_credentials" and how == "none":
        lacking.append(("client_auth", "the grant client_credentials cannot do without a proof "
                        "of who the client is; write another client_auth:"))  # fmt: skip
    if how in ("basic", "body") and shape.client_secret is None:
        lacking.append(
            (
                "client_secret",
                f"the client shows who it is by {how}, which needs client_secret: "
                "(or jwt_key:, or client_auth: mtls)",
            )
        )
    if how == "private_key_jwt" and shape.jwt_key is None:
        lacking.append(("jwt_key", "client_auth private_key_jwt needs jwt_key:"))
    if how == "mtls" and not context.has_certificate:
        lacking.append(
            ("client_certificate", "client_auth mtls needs the check's client_certificate:")
        )
    return lacking


def _jwt_key(site: Site, shape: JwtKeyShape) -> JwtKey:
    return JwtKey(
        key=site.secret(shape.key),
        algorithm=shape.algorithm,
        key_id=shape.key_id,
        certificate=_secret(site, shape.certificate),
    )


# ---------------------------------------------------------------- parts


def _secret(site: Site, reference: SecretRef | None) -> SecretRef | None:
    return None if reference is None else site.secret(reference)


def _text(context: AuthContext, value: str | SecretRef, node: Node) -> str | SecretRef:
    if isinstance(value, SecretRef):
        return context.site.secret(value)
    check_texts(context.site, value, node, context.scope)
    return value


def _login_url(context: AuthContext, url: str, node: Node) -> None:
    check_texts(context.site, url, node, context.scope)
    check_url(context.site, url, node, context.variants, "a login sends secrets")


def _login_document(context: AuthContext, document: Any, node: Node) -> Any:
    """A login's document with its references read as such, and its texts checked."""
    match document:
        case str() if looks_like_reference(document):
            try:
                return context.site.secret(parse_reference(document))
            except ValueError as problem:
                context.site.problem(node, str(problem))
                return ""
        case str():
            check_texts(context.site, document, node, context.scope)
            return document
        case SecretRef():
            return context.site.secret(document)
        case dict():
            return {
                key: _login_field(context, key, value, at(node, key))
                for key, value in document.items()
            }
        case list():
            return [
                _login_document(context, value, at(node, index))
                for index, value in enumerate(document)
            ]
        case _:
            return document


def _login_field(context: AuthContext, key: str, value: Any, node: Node) -> Any:
    plain = isinstance(value, (str, int)) and not isinstance(value, bool)
    if plain and is_secret_name(key) and not (isinstance(value, str) and _is_indirect(value)):
        context.site.problem(
            node,
            f"a secret never stands in this file; write where it is found: {REFERENCE_HINT}",
        )
        return value
    return _login_document(context, value, node)


def is_secret_name(key: str) -> bool:
    """Whether a field or variable of that name holds a secret, by all custom."""
    return _SECRET_NAME.search(re.sub(r"[^a-z0-9]", "", key.lower())) is not None


def _is_indirect(value: str) -> bool:
    return looks_like_reference(value) or "{" in value or not value
