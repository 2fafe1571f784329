"""OAuth 2: which grant needs what, and how a client shows who it is."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

from probe.config.document.nodes import Node, at
from probe.config.resolve.logins import AuthContext, login_url, secret, text
from probe.config.resolve.scope import check_texts
from probe.config.resolve.site import Site
from probe.config.shape.auth import (
    JwtKeyShape,
    OAuth2Shape,
)
from probe.model.flow import (
    JwtKey,
    OAuth2,
)


def oauth2(context: AuthContext, shape: OAuth2Shape, node: Node) -> OAuth2:
    """One ``kind: oauth2`` entry of ``auth``."""
    site = context.site
    login_url(context, shape.token_url, at(node, "token_url"))
    for key in ("scope", "audience", "extra", "claims"):
        check_texts(site, getattr(shape, key), at(node, key), context.scope)
    how = shape.client_auth or _client_auth(shape, context)
    for key, why in _needed(shape, how, context):
        site.problem(at(node, "client_auth" if key == "client_certificate" else "grant"), why)
    client_id = shape.client_id
    if client_id is not None:
        client_id = text(context, client_id, at(node, "client_id"))
    return OAuth2(
        grant=shape.grant,
        token_url=shape.token_url,
        client_id=client_id,
        client_secret=secret(site, shape.client_secret),
        client_auth=how,
        refresh_token=secret(site, shape.refresh_token),
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
        certificate=secret(site, shape.certificate),
    )
