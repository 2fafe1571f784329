"""Secrets go over TLS, to hosts that the configuration names, and never stand in the file."""

from collections.abc import Callable

import pytest

Problems = Callable[..., list[str]]

# The step's fields start at line 8, column 5.
TEXT = """\
checks:
- name: a
  kind: api
  vars: {safe: "https://x.example", plain: "http://x.example", host: x.example}
  auth: {key: {kind: bearer, token: env:T}, late: {kind: bearer, capture: tok}}
  steps:
  - {name: s, get: https://x.example/, capture: {tok: {json: t, secret: true}, next: {json: n}}}
  - name: t
    """
URL = "get: "
BIND = 'bind it in {} to hosts, such as hosts: ["*.shop.example"]'


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("get: https://x.example/\n    auth: key", None),
        ("get: '{safe}/x'\n    auth: key", None),
        ("get: 'https://{host}/'\n    auth: key", None),
        ("get: http://x.example/", None),
        ("get: '{plain}/'", None),
        ("get: '{next}'", None),
        ("get: 'https://x.example/{next}'\n    auth: key", None),
        ("get: 'https://x.example/{tok}'", None),
        (
            "get: http://x.example/\n    auth: key",
            "9:10: the step sends credentials, and secrets need TLS; write https://",
        ),
        (
            "get: '{plain}/'\n    auth: key",
            "9:10: the step sends credentials, and secrets need TLS; write https://",
        ),
        (
            "get: http://127.0.0.1/\n    auth: key",
            "9:10: the step sends credentials, and secrets need TLS; write https://",
        ),
        (
            "get: '{next}'\n    auth: key",
            "9:10: the step sends credentials, so the URL must start with https:// and a host, "
            f"not with a captured or asked value; or {BIND.format('the auth key')}",
        ),
        (
            "get: 'https://{next}/x'\n    auth: key",
            "9:10: the step sends credentials, so the host must not come from a captured value; "
            f"or {BIND.format('the auth key')}",
        ),
        (
            "get: 'https://x.example{next}/x'\n    auth: key",
            "9:10: the step sends credentials, so the host must not come from a captured value; "
            f"or {BIND.format('the auth key')}",
        ),
        (
            "get: http://x.example/\n    headers: {X-Session: '{tok}'}",
            "9:10: the step sends the secret {tok}, and secrets need TLS; write https://",
        ),
        (
            "post: http://x.example/\n    json: {a: ['{tok}']}",
            "9:11: the step sends the secret {tok}, and secrets need TLS; write https://",
        ),
        (
            "post: 'https://{next}/'\n    json: {t: '{auth.key}'}",
            "9:11: the step sends the secret {auth.key}, so the host must not come from a "
            f"captured value; or {BIND.format('the auth key')}",
        ),
        ("get: https://x.example/\n    headers: {Authorization: 'Bearer {tok}'}", None),
        ("get: https://x.example/\n    headers: {Authorization: 'Bearer {auth.key}'}", None),
        (
            "get: https://x.example/\n    headers: {Authorization: 'Bearer {host}'}",
            "10:30: Authorization holds a credential, and secrets are not allowed in this file; "
            "use auth: with kind: bearer, basic or headers",
        ),
        # -- URLs as such
        ("get: shop.example", "9:10: a URL must start with https://; write https://shop.example"),
        ("get: '{host}/x'", "9:10: a URL must start with https://; write https://x.example/x"),
        ("get: /path", "9:10: a URL must start with https://; write https://shop.example/path"),
        ("get: ftp://x.example/", "9:10: a URL must start with https:// or http://, not ftp://"),
        (
            "get: 'https:///x'",
            "9:10: the URL has no host; write for example https://shop.example/",
        ),
        (
            "get: 'https://:443/'",
            "9:10: the URL has no host; write for example https://shop.example/",
        ),
        (
            "get: https://x.example/a b",
            "9:10: a URL must not contain spaces; write %20, or use query:",
        ),
        (
            "get: https://user:hunter2@x.example/",
            "9:10: a URL must contain no user or password; use auth: with kind: basic",
        ),
        ("get: user:hunter2@x.example", "9:10: a URL must start with https://; write https://…"),
    ],
)
def test_where_secrets_may_go(problems: Problems, fragment: str, expected: str | None) -> None:
    found = problems(TEXT + fragment)
    assert found == ([] if expected is None else [f"probe.yaml:{expected}"])
    assert "hunter2" not in "".join(found)


def test_the_capture_that_an_auth_sends_comes_from_an_earlier_step(problems: Problems) -> None:
    text = """\
checks:
- name: a
  kind: api
  auth: {late: {kind: bearer, capture: tok}}
  steps:
  - {name: s, get: https://x.example/, auth: late}
  - {name: t, get: https://x.example/, capture: {tok: {json: t}}}
  - {name: u, get: https://x.example/, auth: late}
"""
    assert problems(text) == [
        "probe.yaml:6:46: the auth late sends a capture: {tok} is captured later, in the "
        "step t; move that step up"
    ]


@pytest.mark.parametrize("vars_", ["{base: 'http://x.example'}", "{base: 'x.example'}"])
def test_urls_are_looked_at_with_the_values_of_every_persona(
    problems: Problems, vars_: str
) -> None:
    text = f"""\
checks:
- name: a
  kind: api
  vars: {{base: "https://x.example"}}
  auth: {{key: {{kind: bearer, token: env:T}}}}
  personas: {{one: {{}}, two: {{vars: {vars_}}}}}
  steps: [{{name: s, get: "{{base}}/", auth: key}}]
"""
    (problem,) = problems(text)
    assert problem.startswith("probe.yaml:7:26: ")


PERSONAS = """\
checks:
- name: a
  kind: api
  auth: {cli: {kind: bearer, token: env:T}}
  steps: [{name: s, get: https://x.example/, auth: cli}]
  personas:
    p: ENTRY
"""


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{}", []),
        ("{auth: {cli: none}, expect_denied: s}", []),
        ("{auth: {cli: {kind: bearer, token: env:OTHER}}}", []),
        ("{auth: {clii: none}}", ['16: unknown auth "clii"; did you mean "cli"?']),
        ("{expect_denied: [t]}", ['25: unknown step "t"; write one of: s']),
        ("{auth: {cli: nobody}}", ["21: expected a mapping of key: value, found text"]),
        (
            "{auth: {cli: {kind: bearer, token: hunter2}}}",
            [
                "43: secrets are not allowed in this file; use a reference: "
                "file:/path, env:NAME or credential:name"
            ],
        ),
        (
            "{vars: {a: env:B}}",
            [
                "19: references to secrets are read under auth:, in json: and form:, and in a "
                "command's environment only; here the reference itself would be sent"
            ],
        ),
        ("{vars: {target: x}}", ["16: {target} is reserved; choose another name"]),
    ],
)
def test_personas(problems: Problems, entry: str, expected: list[str]) -> None:
    found = problems(PERSONAS.replace("ENTRY", entry))
    assert found == [f"probe.yaml:7:{line}" for line in expected]
    assert "hunter2" not in "".join(found)


SECRET = "c0rrect-h0rse"


@pytest.mark.parametrize(
    "text",
    [
        "auth: {x: {kind: bearer, token: %s}}",
        "auth: {x: {kind: bearer, tokn: %s}}",
        "auth: {x: {kind: basic, username: u, password: %s}}",
        "auth: {x: {kind: basic, username: u, password: [%s]}}",
        "auth: {x: {kind: basic, username: u, password: {%s: 1}}}",
        "auth: {x: {kind: headers, headers: {X: %s}}}",
        "auth: {x: {kind: headers, headers: %s}}",
        "auth: {x: {kind: json_login, url: 'https://x.example/', token: t, json: {secret: %s}}}",
        "auth: {x: %s}",
        "auth: %s",
        "headers: {Authorization: 'Bearer %s'}",
        "headers: {X-Api-Key: %s}",
        "client_certificate: {certificate: %s, key: %s}",
        "client_certificate: %s",
        "evidence_headers: {a: %s}",
        "personas: {p: {auth: {x: {kind: bearer, token: %s}}}}",
        "vars: [%s]",
    ],
)
def test_no_problem_repeats_what_stands_where_a_secret_is_due(
    problems: Problems, text: str
) -> None:
    check = "checks:\n- name: a\n  kind: api\n  steps: [{name: s, get: https://x.example/}]\n  "
    found = problems(check + text.replace("%s", SECRET))
    assert found
    if "{%s: 1}" not in text:
        assert SECRET not in "\n".join(found)
