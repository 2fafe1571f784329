"""OAuth 2: which grant needs what, and how a client shows who it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from probe.config.resolve.logins import AuthContext, login_document, login_url, secret, text
from probe.config.resolve.site import Site
from probe.config.shape.auth import JwtKeyShape, OAuth2Shape
from probe.documents.nodes import Node, at, lost
from probe.model.auth import ClientAuth, JwtKey, OAuth2
from probe.model.secret import SecretRef


def oauth2(context: AuthContext, shape: OAuth2Shape, node: Node) -> OAuth2:
    """One ``kind: oauth2`` entry of ``auth``."""
    site = context.site
    login_url(context, shape.token_url, at(node, "token_url"))
    how = shape.client_auth or _client_auth(shape, context)
    _check_parts(context, shape, how, node)

    def read(key: str) -> str | SecretRef | None:
        value = getattr(shape, key)
        return None if value is None else text(context, value, at(node, key))

    def fields(key: str) -> Mapping[str, str | SecretRef]:
        return MappingProxyType(login_document(context, dict(getattr(shape, key)), at(node, key)))

    return OAuth2(
        grant=shape.grant,
        token_url=shape.token_url,
        client_id=read("client_id"),
        client_secret=secret(site, shape.client_secret),
        client_auth=how,
        refresh_token=secret(site, shape.refresh_token),
        jwt_key=None if shape.jwt_key is None else _jwt_key(site, shape.jwt_key),
        claims=fields("claims"),
        scope=read("scope"),
        audience=read("audience"),
        extra=fields("extra"),
        scheme=shape.scheme,
        header=shape.header,
        slower_than=shape.slower_than,
        early_refusal=shape.early_refusal,
    )


def _client_auth(shape: OAuth2Shape, context: AuthContext) -> ClientAuth:
    """How the client shows who it is, by what is given."""
    if shape.client_secret is not None:
        return "basic"
    if shape.grant == "client_credentials":
        if shape.jwt_key is not None:
            return "private_key_jwt"
        return "mtls" if context.has_certificate else "basic"
    return "none"


def _check_parts(context: AuthContext, shape: OAuth2Shape, how: ClientAuth, node: Node) -> None:
    """What a grant and a client's way to show who it is cannot do without must be there."""
    site, grant = context.site, at(node, "grant")

    def need(key: str, reason: str, where: Node = grant, more: str = "") -> None:
        if getattr(shape, key) is None and not lost(node, key, "grant"):
            site.problem(where, f"{reason} needs {key}:{more}")

    match shape.grant:
        case "refresh_token" | "jwt_bearer":
            need(
                "refresh_token" if shape.grant == "refresh_token" else "jwt_key",
                f"the grant {shape.grant}",
            )
        case "client_credentials":
            need("client_id", "the grant client_credentials")
            if how == "none":
                site.problem(
                    at(node, "client_auth"),
                    "the grant client_credentials has to show who the client is; "
                    "write another client_auth:",
                )
    if how in ("basic", "basic_raw", "body"):
        written = shape.client_auth is not None
        reason = f"client_auth {how}" if written else f"the grant {shape.grant}"
        where = at(node, "client_auth") if written else grant
        more = "" if written else ", or jwt_key:, or client_auth: mtls"
        need("client_secret", reason, where, more)
    if how == "private_key_jwt":
        need("jwt_key", "client_auth private_key_jwt", at(node, "client_auth"))
    if how == "mtls" and not context.has_certificate:
        site.problem(
            at(node, "client_auth"), "client_auth mtls needs client_certificate: in the check"
        )


def _jwt_key(site: Site, shape: JwtKeyShape) -> JwtKey:
    return JwtKey(
        key=site.secret(shape.key),
        algorithm=shape.algorithm,
        key_id=shape.key_id,
        certificate=secret(site, shape.certificate),
    )
