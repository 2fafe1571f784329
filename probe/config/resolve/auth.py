"""Ways to authenticate: what belongs together is there, and secrets stand nowhere."""

from __future__ import annotations

from types import MappingProxyType
from typing import assert_never

from probe.config.resolve.logins import AuthContext, login_document, login_url, text
from probe.config.resolve.oauth2 import oauth2
from probe.config.shape.auth import (
    AuthField,
    BasicShape,
    BearerShape,
    CookieShape,
    DigestShape,
    HeadersShape,
    JsonLoginShape,
    OAuth2Shape,
    SigV4Shape,
)
from probe.documents.nodes import Node, at, lost
from probe.documents.problem import unknown
from probe.model.auth import (
    Auth,
    BasicAuth,
    BearerAuth,
    CookieAuth,
    DigestAuth,
    HeaderAuth,
    JsonLogin,
    SigV4,
)

TOKEN_KINDS = frozenset({"bearer", "json_login", "oauth2", "cookie"})
"""Kinds whose token a template may use as ``{auth.NAME}``."""


def auth(context: AuthContext, shape: AuthField, node: Node) -> Auth:
    """One entry of ``auth``."""
    site = context.site
    match shape:
        case BearerShape():
            return _bearer(context, shape, node)
        case BasicShape() | DigestShape():
            kind = BasicAuth if isinstance(shape, BasicShape) else DigestAuth
            user = text(context, shape.username, at(node, "username"))
            return kind(user, site.secret(shape.password) if shape.password else "")
        case HeadersShape():
            return HeaderAuth(
                MappingProxyType({k: site.secret(ref) for k, ref in shape.headers.items()})
            )
        case JsonLoginShape():
            return _json_login(context, shape, node)
        case OAuth2Shape():
            return oauth2(context, shape, node)
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
    read = not lost(node, "token", "capture")
    if read and (shape.token is None) == (shape.capture is None):
        both = "both are there" if shape.token else "neither is there"
        site.problem(node, f"bearer needs one of token: and capture:, and {both}")
    known = context.captures
    if shape.capture is not None and known is not None and shape.capture not in known:
        site.problem(at(node, "capture"), unknown("capture", shape.capture, known))
    token = None if shape.token is None else site.secret(shape.token)
    return BearerAuth(token, shape.capture, shape.scheme, shape.header)


def _json_login(context: AuthContext, shape: JsonLoginShape, node: Node) -> JsonLogin:
    login_url(context, shape.url, at(node, "url"))
    if shape.expires_at is not None and shape.expires_in is not None:
        context.site.problem(
            at(node, "expires_in"), "expires_at or expires_in; write one of the two"
        )
    return JsonLogin(
        url=shape.url,
        json=login_document(context, shape.json_, at(node, "json")),
        token=shape.token,
        success=shape.success,
        refused=shape.refused,
        expires_at=shape.expires_at,
        expires_in=shape.expires_in,
        headers=MappingProxyType(login_document(context, dict(shape.headers), at(node, "headers"))),
        scheme=shape.scheme,
        header=shape.header,
        slower_than=shape.slower_than,
        early_refusal=shape.early_refusal,
    )


def _cookie(context: AuthContext, shape: CookieShape, node: Node) -> CookieAuth:
    login_url(context, shape.url, at(node, "url"))
    if not lost(node, "form") and (shape.form is None) == (shape.json_ is None):
        context.site.problem(node, "a cookie login needs one of form: and json:")
    form = None
    if shape.form is not None:
        form = MappingProxyType(login_document(context, dict(shape.form), at(node, "form")))
    base = CookieAuth(url=shape.url, cookie=shape.cookie)
    return CookieAuth(
        url=shape.url,
        cookie=shape.cookie,
        form=form,
        json=login_document(context, shape.json_, at(node, "json")),
        max_age=base.max_age if shape.max_age is None else shape.max_age,
        slower_than=shape.slower_than,
        early_refusal=shape.early_refusal,
    )
