"""Logins: what makes one the same as another, from release to release."""

from __future__ import annotations

import pytest

from probe.auth.logins import entry_of
from probe.auth.store import Login
from probe.auth.values import NoValue, Values
from probe.model.auth import (
    BearerAuth,
    CookieAuth,
    JsonLoginAuth,
    JwtKey,
    OAuth2,
    carries_credential,
)
from probe.model.secret import SecretRef

GIVEN = {"target": "shop.example", "labels.tier": "gold", "who": "me"}
ROTATING = OAuth2(
    "refresh_token",
    "https://{target}/token",
    "me",
    client_auth="none",
    refresh_token=SecretRef("env", "R"),
    extra={"tenant": "{labels.tier}"},
)
SIGNED = OAuth2(
    "client_credentials",
    "https://id.example/token",
    SecretRef("file", "/c"),
    client_auth="private_key_jwt",
    jwt_key=JwtKey(SecretRef("file", "/k"), "PS256", "k1", SecretRef("file", "/c.pem")),
    claims={"aud": "{who}"},
)
JSON = JsonLoginAuth(
    "https://id.example/{who}",
    {"token": "{who}", "list": ("a", 1, None, {"b": SecretRef("env", "S")}), "odd": "}} {{"},
    "data.{token: t}.token",
    "a == 'b'",
    headers={"X": "{who}"},
)
COOKIE = CookieAuth("https://id.example", "sid", form={"u": "{who}", "p": SecretRef("env", "P")})


def material(**given: str) -> Values:
    return Values(GIVEN | given, lambda ref: f"<{ref}>", lambda _value, _name: None, lambda: 0.0)


def login(spec: OAuth2 | JsonLoginAuth | CookieAuth) -> Login:
    found = entry_of(spec)
    assert isinstance(found, Login)
    return found


@pytest.mark.parametrize(
    ("spec", "digest"),
    [
        (ROTATING, "1af810bc625c46434dc3ebebc0d7fdf960abc62a330264e3a8ae23f54728ca81"),
        (SIGNED, "4ec6f92abd9da63491c7d7cee53f9eb83c3ca41f88c21db5c9a0ed82132fb9c2"),
        (JSON, "8a7d785d17cb681c05d527faa0398f7fb78903131b91e35addfd7cd9987e30e2"),
        (COOKIE, "784720adb4d485abd9af582e43ef91b5c672cfd5da7b09feade71917095049bf"),
    ],
    ids=["rotating", "signed", "json", "cookie"],
)
def test_an_identity_is_that_of_earlier_releases(
    spec: OAuth2 | JsonLoginAuth | CookieAuth, digest: str
) -> None:
    """Files of rotated refresh tokens are named by it: another one would lock the agent out."""
    one = login(spec)
    assert one.identity(material()) == digest
    assert one.identity(material()) == digest, "remembered"


def test_an_identity_depends_on_the_values_that_the_login_names_and_no_others() -> None:
    one = login(JSON)
    mine = one.identity(material())
    assert one.identity(material(target="other.example")) == mine
    assert one.identity(material(who="you")) != mine
    assert one.identity(material()) == mine
    with pytest.raises(NoValue):
        one.identity(Values({}, str, lambda _v, _n: None, lambda: 0.0))


def test_replaced_secrets_are_noticed_wherever_they_stand() -> None:
    for spec in (ROTATING, SIGNED, JSON, COOKIE):
        one = login(spec)
        before = one.secrets(lambda ref: f"old {ref}")
        assert one.secrets(lambda ref: f"old {ref}") == before
        assert one.secrets(lambda ref: f"new {ref}") != before


def test_only_what_needs_a_call_of_its_own_is_a_login() -> None:
    assert entry_of(BearerAuth(capture="token")) == BearerAuth(capture="token")
    assert [login(one).shared for one in (ROTATING, SIGNED, JSON, COOKIE)] == [
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Authorization", True),
        ("X-API-Key", True),
        ("x-shop-api-apptoken", True),
        ("X-App-Token", True),
        ("X-CSRF-Token", False),
        ("Idempotency-Key", False),
        ("Accept", False),
    ],
)
def test_which_headers_carry_a_credential(header: str, expected: bool) -> None:
    assert carries_credential(header) is expected
