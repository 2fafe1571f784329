"""Which kind an auth entry is, and what one login is remembered under."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

from probe.auth import login, oauth2
from probe.auth.material import Filler, Material
from probe.auth.sign import CookieSigner, Signer, token_header
from probe.auth.token import Token
from probe.http.request import Request
from probe.http.response import Response
from probe.model.auth import Auth, CookieAuth, JsonLogin, OAuth2
from probe.model.failure import Failure
from probe.model.secret import Secret, SecretRef

Login = JsonLogin | OAuth2 | CookieAuth


def is_login(spec: Auth) -> TypeGuard[Login]:
    """Whether the entry needs a call of its own before it can be used."""
    return isinstance(spec, (JsonLogin, OAuth2, CookieAuth))


def login_url(spec: Login) -> str:
    """The template of where the login goes."""
    return spec.token_url if isinstance(spec, OAuth2) else spec.url


def draft(spec: Login, material: Material, refresh: Secret | None) -> Request:
    """The login's request.

    Args:
        spec: which login.
        material: of the run.
        refresh: a rotated refresh token that replaces the configured one.

    Raises:
        SecretError: a secret is missing.
    """
    match spec:
        case JsonLogin():
            return login.json_login(spec, material)
        case CookieAuth():
            return login.cookie_login(spec, material)
        case OAuth2():
            return oauth2.token_request(spec, material, refresh=refresh)


def token(spec: Login, answer: Response, now: float, sent: Request) -> Token | Failure:
    """What the login gave for the request that was sent, or why there is nothing."""
    match spec:
        case JsonLogin():
            return login.json_token(spec, answer, now)
        case CookieAuth():
            return login.cookie_token(spec, answer, now)
        case OAuth2():
            return oauth2.token(spec, answer, now, sent)


def signer(spec: Login, value: str) -> Signer:
    """Shows the token on a request."""
    if isinstance(spec, CookieAuth):
        return CookieSigner(spec.cookie, value)
    return token_header(spec.header, spec.scheme, value)


def identity(spec: Login, values: Filler) -> str:
    """What makes this login the same as another: its configuration, filled in.

    Flows of many targets share one token unless the login itself depends on the target.
    """
    return hashlib.sha256(repr(_filled(spec, values)).encode()).hexdigest()


def credentials(spec: Login, read: Callable[[SecretRef], str]) -> str:
    """A digest of the secrets behind a login, to notice that they were replaced.

    Raises:
        SecretError: one is missing.
    """
    digest = hashlib.sha256()
    for ref in _refs(spec):
        digest.update(f"{ref}\0{read(ref)}\0".encode())
    return digest.hexdigest()


def _filled(value: Any, values: Filler) -> Any:
    match value:
        case str():
            return values.fill(value) if "{" in value else value
        case SecretRef():
            return str(value)
        case Mapping():
            return {key: _filled(one, values) for key, one in value.items()}
        case list() | tuple():
            return [_filled(one, values) for one in value]
        case _:
            pass
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        own = {one.name: getattr(value, one.name) for one in fields}
        # Expressions on the answer are no templates, though they may hold braces.
        asks = {"token", "success", "refused", "expires_at", "expires_in"}
        return {name: one if name in asks else _filled(one, values) for name, one in own.items()}
    return value


def _refs(value: Any) -> Iterator[SecretRef]:
    match value:
        case SecretRef():
            yield value
        case Mapping():
            for one in value.values():
                yield from _refs(one)
        case list() | tuple():
            for one in value:
                yield from _refs(one)
        case _ if dataclasses.is_dataclass(value):
            for one in dataclasses.fields(value):
                yield from _refs(getattr(value, one.name))
        case _:
            return
