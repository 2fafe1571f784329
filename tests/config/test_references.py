"""A reference to a secret is read, or refused where it would be sent as text. Everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from probe.config.secrets import SecretReader
from probe.config.shape.texts import NEVER_HERE, NOT_READ
from probe.model.secret import SecretError, SecretRef
from probe.model.spec import Spec

Problems = Callable[..., list[str]]
Loader = Callable[..., Spec]

CHECK = """\
checks:
- name: c
  kind: api
  {check}
  auth: {{a: {auth}}}
  steps: [{{name: s, {step}}}]
"""
BASIC = "{kind: basic, username: u, password: env:P}"
GET = "get: 'https://a.example/', auth: a"
LOGIN = "{kind: json_login, url: 'https://a.example/in', token: t, json: {}, %s}"
OAUTH = (
    "{kind: oauth2, grant: client_credentials, token_url: 'https://a.example/t', client_id: i, "
    "client_secret: env:P, %s}"
)
JWT = (
    "{kind: oauth2, grant: jwt_bearer, token_url: 'https://a.example/t', client_id: i, "
    "jwt_key: {key: env:P, key_id: %s}, claims: {x: %s}}"
)
AWS = "{kind: sigv4, access_key: env:P, secret_key: env:P, service: %s, region: %s}"


def text(*, check: str = "vars: {}", auth: str = BASIC, step: str = GET) -> str:
    return CHECK.format(check=check, auth=auth, step=step)


READ = {
    "basic.username": text(auth="{kind: basic, username: env:X, password: env:P}"),
    "digest.username": text(auth="{kind: digest, username: env:X, password: env:P}"),
    "json_login.json": text(auth=LOGIN.replace("json: {}", "json: {a: [env:X]}") % "scheme: ''"),
    "json_login.headers": text(auth=LOGIN % "headers: {X-Key: env:X}"),
    "oauth2.client_id": text(auth=OAUTH.replace("client_id: i", "client_id: env:X") % "scheme: ''"),
    "oauth2.scope": text(auth=OAUTH % "scope: env:X"),
    "oauth2.audience": text(auth=OAUTH % "audience: env:X"),
    "oauth2.extra": text(auth=OAUTH % "extra: {grant_type: password, password: env:X}"),
    "oauth2.claims": text(auth=JWT % ("k", "env:X")),
    "cookie.form": text(
        auth="{kind: cookie, url: 'https://a.example/in', cookie: c, form: {a: env:X}}"
    ),
    "step.form": text(step="post: 'https://a.example/', form: {a: env:X}"),
    "step.json": text(step="post: 'https://a.example/', json: {a: [{b: env:X}]}"),
    "command.environment": text(step="command: [x], environment: {A: env:X}"),
    "command.stdin": text(step="command: [x], stdin: env:X"),
}


@pytest.mark.parametrize("name", READ)
def test_a_reference_is_read(loaded: Loader, name: str) -> None:
    spec = loaded(READ[name])
    assert SecretRef("env", "X") in set(_leaves(spec.checks))
    assert "env:X" not in set(_leaves(spec.checks))


REFUSED = {
    "check.user_agent": text(check="user_agent: env:X"),
    "check.headers": text(check="headers: {X-A: env:X}"),
    "check.vars": text(check="vars: {a: env:X}"),
    "persona.vars": text(check="personas: {p: {vars: {a: env:X}}}"),
    "step.headers": text(step=GET + ", headers: {X-A: env:X}"),
    "step.query": text(step=GET + ", query: {a: env:X}"),
    "step.body": text(step="post: 'https://a.example/', body: env:X"),
    "sigv4.service": text(auth=AWS % ("env:X", "us-east-1")),
    "sigv4.region": text(auth=AWS % ("sts", "env:X")),
    "jwt_key.key_id": text(auth=JWT % ("env:X", "y")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_reference_that_would_be_sent_is_refused(problems: Problems, name: str) -> None:
    found = problems(REFUSED[name])
    assert len(found) == 1
    assert NOT_READ in found[0]


@pytest.mark.parametrize("place", ["get: 'env:X'", "method: env:X, url: 'https://a.example/'"])
def test_elsewhere_it_is_no_value_at_all(problems: Problems, place: str) -> None:
    assert problems(text(step=place)) != []


@pytest.mark.parametrize(
    "auth", [OAUTH % "extra: {password: hunter2}", LOGIN % "headers: {X-Api-Key: hunter2}"]
)
def test_a_secret_itself_stands_nowhere(problems: Problems, auth: str) -> None:
    found = problems(text(auth=auth))
    assert len(found) == 1
    assert NEVER_HERE in found[0]
    assert "hunter2" not in found[0]


def test_a_host_comes_from_no_answer_where_a_secret_is_sent(problems: Problems) -> None:
    first = "name: s, get: 'https://a.example/', capture: {host: {json: h}}}, {name: t, "
    for sent in ("auth: a", "form: {a: env:X}"):
        step = first + "post: 'https://a.example/', headers: {Host: '{host}'}, " + sent
        found = problems(CHECK.format(check="vars: {}", auth=BASIC, step=step[len("name: s, ") :]))
        assert len(found) == 1
        assert "so Host must not come from a response" in found[0]


def test_an_empty_password_is_written_as_such(loaded: Loader, problems: Problems) -> None:
    for kind in ("basic", "digest"):
        auth = f'{{kind: {kind}, username: env:KEY, password: ""}}'
        assert "" in set(_leaves(loaded(text(auth=auth)).checks))
    assert problems(text(auth='{kind: bearer, token: ""}')) != []


def test_bytes_of_a_variable_that_are_no_text_are_no_secret(tmp_path: Path) -> None:
    """Python shows such bytes as halves of characters."""
    reader = SecretReader({"X": "caf\udce9"})
    with pytest.raises(SecretError, match="it is not UTF-8 text"):
        reader.read(SecretRef("env", "X"))


def _leaves(value: Any) -> Iterator[Any]:
    if is_dataclass(value) and not isinstance(value, (type, SecretRef)):
        for one in fields(value):
            yield from _leaves(getattr(value, one.name))
    elif hasattr(value, "values"):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
