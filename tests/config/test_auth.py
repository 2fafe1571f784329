"""Ways to authenticate: what belongs together is there, and secrets stand nowhere."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from probe.config.resolve.file import TOKEN_KINDS
from probe.config.shape.auth import AuthField
from probe.config.shape.base import kinds
from probe.model.auth import (
    Auth,
    BasicAuth,
    BearerAuth,
    CookieAuth,
    DigestAuth,
    HeaderAuth,
    JsonLoginAuth,
    JwtKey,
    OAuth2,
    SigV4,
)
from probe.model.flow import ApiCheck
from probe.model.secret import SecretRef
from probe.model.spec import Spec

Problems = Callable[..., list[str]]
Loader = Callable[..., Spec]

# The entry starts at line 6, column 8.
TEXT = """\
checks:
- name: a
  kind: api
  steps: [{name: s, get: https://x.example/, capture: {tok: {json: token, secret: true}}}]
  auth:
    x: ENTRY
"""
SECRET = (
    "secrets are not allowed in this file; use a reference: file:/path, env:NAME or credential:name"
)
OAUTH = "kind: oauth2, token_url: 'https://x.example/'"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{kind: beer}", ['15: unknown value "beer"; did you mean "bearer"?']),
        (
            "{}",
            [
                '8: "kind" is missing; write one of: bearer, basic, digest, headers, json_login, '
                "oauth2, sigv4, cookie"
            ],
        ),
        ("{kind: bearer}", ["8: write one of: token, capture"]),
        (
            "{kind: bearer, token: env:A, capture: tok}",
            ["37: token and capture cannot be used together; write one of them"],
        ),
        ("{kind: bearer, capture: tokk}", ['32: unknown capture "tokk"; did you mean "tok"?']),
        (
            "{kind: bearer, token: env:A, scheme: 'a b'}",
            ['45: "a b" is not a valid scheme; write one word such as Bearer, or nothing'],
        ),
        # -- references
        ("{kind: bearer, token: hunter2}", [f"30: {SECRET}"]),
        ("{kind: bearer, token: 12345}", [f"30: {SECRET}"]),
        ("{kind: bearer, token: 'evn:hunter2'}", [f"30: {SECRET}"]),
        ("{kind: bearer, token: 'file://hunter2'}", [f"30: {SECRET}"]),
        ("{kind: bearer, token: [hunter2]}", [f"30: {SECRET}"]),
        (
            "{kind: bearer, token: 'env:hunter2!'}",
            ["30: env: must be followed by the name of an environment variable, as in env:TOKEN"],
        ),
        (
            "{kind: bearer, token: 'credential:../hunter2'}",
            ["30: credential: must be followed by a plain file name, as in credential:token"],
        ),
        (
            "{kind: bearer, token: 'file:'}",
            [
                "30: the reference to a secret is incomplete; "
                "write file:/path, env:NAME or credential:name"
            ],
        ),
        (
            "{kind: basic, username: me}",
            ['8: "password" is missing; write for example password: env:PASSWORD'],
        ),
        ("{kind: basic, username: env:U, password: hunter2}", [f"49: {SECRET}"]),
        (
            "{kind: digest, username: [5], password: env:P}",
            [
                "33: this must be text or a reference to a secret "
                "(file:/path, env:NAME or credential:name)"
            ],
        ),
        (
            "{kind: headers}",
            [
                '8: "headers" is missing; write for example headers: {X-Api-Key: env:API_KEY}',
            ],
        ),
        ("{kind: headers, headers: [x]}", ["33: expected a mapping of key: value, found a list"]),
        ("{kind: headers, headers: {}}", ["33: write at least 1 entry"]),
        ("{kind: headers, headers: {X-Key: hunter2}}", [f"41: {SECRET}"]),
        # -- logins
        (
            "{kind: json_login, url: 'http://x.example/', json: {a: b}, token: t}",
            ["32: a login sends secrets, and secrets need TLS; write https://"],
        ),
        (
            "{kind: json_login, url: 'https://{tok}/', json: {a: b}, token: t}",
            [
                "32: {tok} is captured by a step, and this text is sent before any step "
                "runs; use it in later steps"
            ],
        ),
        (
            "{kind: json_login, url: 'https://x.example/', token: 't |', json: {}}",
            ['61: "t |" is an incomplete JMESPath expression'],
        ),
        (
            "{kind: json_login, url: 'https://x.example/', token: t, "
            "json: {app_token: hunter2, user: me, deep: [{password: 5}, 'env:']}}",
            [
                f"82: {SECRET}",
                f"119: {SECRET}",
                "123: the reference to a secret is incomplete; "
                "write file:/path, env:NAME or credential:name",
            ],
        ),
        (
            "{kind: json_login, url: 'https://x.example/', json: {a: b}, token: t, "
            "expires_at: a, expires_in: b}",
            ["93: expires_at and expires_in cannot be used together; write one of them"],
        ),
        (
            "{kind: cookie, url: 'https://x.example/', cookie: sid}",
            ["8: write one of: form, json"],
        ),
        (
            "{kind: cookie, url: 'https://x.example/', cookie: 'a b', form: {user: me}}",
            ['58: "a b" is not a valid cookie name; write for example session'],
        ),
        (
            "{kind: cookie, url: 'https://x.example/', cookie: sid, "
            "form: {user: me, password: hunter2}}",
            [f"90: {SECRET}"],
        ),
        # -- OAuth 2
        (
            f"{{{OAUTH}, grant: password}}",
            [
                '63: unknown value "password"; write one of: client_credentials, '
                "refresh_token, jwt_bearer"
            ],
        ),
        (
            f"{{{OAUTH}, grant: client_credentials}}",
            [
                "63: the grant client_credentials needs client_id:",
                "63: the grant client_credentials needs client_secret:, or jwt_key:, "
                "or client_auth: mtls",
            ],
        ),
        (
            f"{{{OAUTH}, grant: client_credentials, client_id: me, client_auth: body}}",
            ["111: client_auth body needs client_secret:"],
        ),
        (
            f"{{{OAUTH}, grant: client_credentials, client_id: me, client_auth: mtls}}",
            ["111: client_auth mtls needs client_certificate: in the check"],
        ),
        (
            f"{{{OAUTH}, grant: client_credentials, client_id: me, client_auth: none}}",
            [
                "111: the grant client_credentials has to show who the client is; "
                "write another client_auth:"
            ],
        ),
        (
            f"{{{OAUTH}, grant: client_credentials, client_id: me, client_auth: private_key_jwt}}",
            ["111: client_auth private_key_jwt needs jwt_key:"],
        ),
        (
            f"{{{OAUTH}, grant: refresh_token}}",
            ["63: the grant refresh_token needs refresh_token:"],
        ),
        (f"{{{OAUTH}, grant: jwt_bearer}}", ["63: the grant jwt_bearer needs jwt_key:"]),
        (
            f"{{{OAUTH}, grant: jwt_bearer, jwt_key: {{algorithm: HS256}}}}",
            [
                '84: "key" is missing; write for example key: file:client.key',
                '96: unknown value "HS256"; did you mean "RS256"?',
            ],
        ),
        (
            "{kind: oauth2, token_url: login.example, grant: refresh_token, refresh_token: env:R, "
            "scope: '{x}'}",
            [
                "34: a URL must start with https://; write https://login.example",
                "100: unknown variable {x}; none is defined",
            ],
        ),
        # -- SigV4
        (
            "{kind: sigv4, access_key: AKIAhunter2, secret_key: env:S, service: '', region: r}",
            [f"34: {SECRET}", "75: must not be empty"],
        ),
    ],
)
def test_what_is_wrong_with_an_entry(problems: Problems, entry: str, expected: list[str]) -> None:
    found = problems(TEXT.replace("ENTRY", entry))
    assert found == [f"probe.yaml:6:{line}" for line in expected]
    assert "hunter2" not in "".join(found), "a problem must not repeat a secret"


def file(tmp_path: Path, name: str) -> SecretRef:
    return SecretRef("file", str(tmp_path / name))


def test_every_kind_comes_out_whole(loaded: Loader, tmp_path: Path) -> None:
    text = """\
checks:
- name: a
  kind: api
  vars: {host: x.example}
  client_certificate: {certificate: file:c.pem, key: file:c.key}
  steps: [{name: s, get: https://x.example/, capture: {tok: {json: token}}}]
  auth:
    bearer: {kind: bearer, token: file:/etc/token, scheme: "", header: X-Token}
    captured: {kind: bearer, capture: tok}
    basic: {kind: basic, username: "{host}", password: env:P}
    digest: {kind: digest, username: env:U, password: credential:p}
    headers: {kind: headers, headers: {X-Key: env:K, X-Token: file:t}}
    json:
      kind: json_login
      url: "https://{host}/login"
      json: {appkey: env:A, nested: [{token: file:t}, "{host}", 5, null]}
      token: data.token
      success: status == 'ok'
      refused: status == 'no'
      expires_in: expires
      headers: {X-Api: 2}
      scheme: token
      header: X-Auth
    secret:
      kind: oauth2
      grant: client_credentials
      token_url: https://x.example/token
      client_id: env:ID
      client_secret: env:SECRET
      scope: a b
      audience: https://api.example/
      extra: {resource: r}
    key:
      kind: oauth2
      grant: client_credentials
      token_url: https://x.example/token
      client_id: me
      jwt_key: {key: file:k.pem, algorithm: PS256, key_id: one, certificate: file:c.pem}
    mtls: {kind: oauth2, grant: client_credentials, token_url: https://x.example/t, client_id: me}
    refresh: {kind: oauth2, grant: refresh_token, token_url: https://x.example/t,
              refresh_token: env:R, client_auth: body, client_id: me, client_secret: env:S}
    assertion: {kind: oauth2, grant: jwt_bearer, token_url: https://x.example/t,
                jwt_key: {key: env:K}, claims: {sub: me, aud: you}}
    aws: {kind: sigv4, access_key: env:A, secret_key: env:S, session_token: env:T,
          service: sts, region: us-east-1}
    form: {kind: cookie, url: https://x.example/, cookie: sid, form: {u: me, p: env:P}}
    document: {kind: cookie, url: https://x.example/, cookie: sid, json: {p: env:P}, max_age: 2h}
"""
    url, token_url = "https://x.example/", "https://x.example/t"
    expected: dict[str, Auth] = {
        "bearer": BearerAuth(SecretRef("file", "/etc/token"), scheme="", header="X-Token"),
        "captured": BearerAuth(capture="tok"),
        "basic": BasicAuth("{host}", SecretRef("env", "P")),
        "digest": DigestAuth(SecretRef("env", "U"), SecretRef("credential", "p")),
        "headers": HeaderAuth({"X-Key": SecretRef("env", "K"), "X-Token": file(tmp_path, "t")}),
        "json": JsonLoginAuth(
            url="https://{host}/login",
            json={
                "appkey": SecretRef("env", "A"),
                "nested": [{"token": file(tmp_path, "t")}, "{host}", 5, None],
            },
            token="data.token",
            success="status == 'ok'",
            refused="status == 'no'",
            expires_in="expires",
            headers={"X-Api": "2"},
            scheme="token",
            header="X-Auth",
        ),
        "secret": OAuth2(
            grant="client_credentials",
            token_url="https://x.example/token",
            client_id=SecretRef("env", "ID"),
            client_secret=SecretRef("env", "SECRET"),
            client_auth="basic",
            scope="a b",
            audience="https://api.example/",
            extra={"resource": "r"},
        ),
        "key": OAuth2(
            grant="client_credentials",
            token_url="https://x.example/token",
            client_id="me",
            client_auth="private_key_jwt",
            jwt_key=JwtKey(
                file(tmp_path, "k.pem"), "PS256", key_id="one", certificate=file(tmp_path, "c.pem")
            ),
        ),
        "mtls": OAuth2(
            grant="client_credentials", token_url=token_url, client_id="me", client_auth="mtls"
        ),
        "refresh": OAuth2(
            grant="refresh_token",
            token_url=token_url,
            client_id="me",
            client_secret=SecretRef("env", "S"),
            client_auth="body",
            refresh_token=SecretRef("env", "R"),
        ),
        "assertion": OAuth2(
            grant="jwt_bearer",
            token_url=token_url,
            client_auth="none",
            jwt_key=JwtKey(SecretRef("env", "K")),
            claims={"sub": "me", "aud": "you"},
        ),
        "aws": SigV4(
            SecretRef("env", "A"),
            SecretRef("env", "S"),
            service="sts",
            region="us-east-1",
            session_token=SecretRef("env", "T"),
        ),
        "form": CookieAuth(url, "sid", form={"u": "me", "p": SecretRef("env", "P")}),
        "document": CookieAuth(url, "sid", json={"p": SecretRef("env", "P")}, max_age=7200.0),
    }
    (check,) = loaded(text).checks
    assert isinstance(check, ApiCheck)
    for name, entry in expected.items():
        assert check.auth[name] == entry, name
    assert set(check.auth) == set(expected)


def test_the_kinds_that_give_a_token_exist() -> None:
    assert set(kinds(get_args(get_args(AuthField)[0]))) > TOKEN_KINDS


def test_a_login_and_a_step_do_not_share_a_name(problems: Problems) -> None:
    """Their results would be taken for one step's, and one blamed for the other."""
    login = "{kind: json_login, url: https://l.example/, json: {a: env:A}, token: t}"
    fixed = "{kind: bearer, token: env:A}"
    same = TEXT.replace("name: s,", "name: x,")
    assert problems(same.replace("ENTRY", login)) == [
        "probe.yaml:4:18: the login of the auth x is a result of that name; rename one of them"
    ]
    assert problems(same.replace("ENTRY", fixed)) == []
