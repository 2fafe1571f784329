"""Everything that the model of flows and providers can say, the configuration can say."""

from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from probe.model.auth import BearerAuth
from probe.model.flow import (
    ApiCheck,
    Capture,
    Command,
    CommandStep,
    Expect,
    HeaderExpectation,
    Persona,
    RequestTemplate,
    Step,
)
from probe.model.secret import SecretRef
from probe.model.spec import Spec, TlsCheck
from probe.model.target import AddressRules, Target
from probe.model.tls import ClientCertificate, Trust

Loader = Callable[..., Spec]

TEXT = """\
x-json: &json {a: [1, 2.5, "{host}", true, null], b: {c: d}}
targets: {stores: [shop.example]}
providers: {cdn: {hostname: cdn.example}}
checks:
- name: everything
  kind: api
  targets: stores
  providers: [live, cdn]
  interval: 1m
  timeout: 5s
  flow_timeout: 40s
  vars: {host: x.example, page: 7}
  headers: {Accept-Language: en}
  user_agent: Tool/1.0
  auth: {key: {kind: bearer, token: env:T}}
  personas:
    inside: {vars: {host: y.example}}
    outside: {auth: {key: none}, expect_denied: [second]}
    other: {auth: {key: {kind: bearer, token: env:U}}}
  layers: [edge, page, cart]
  router_codes: [no_route]
  evidence_headers: [X-Request-Id]
  instance_headers: X-Node
  run_id_header: X-Run
  login_interval: 2m
  max_body: 64KiB
  http2: false
  groups: X25519
  trust: system
  client_certificate: {certificate: file:c.pem, key: file:c.key}
  labels: {team: api}
  addresses: {allow: '::1', deny: 10.0.0.0/8, nat64: '2001:db8:64::/96'}
  hosts: ['*.example']
  steps:
  - name: first
    layer: page
    put: "https://{target}/{page}"
    headers: {X-A: "{host}", X-B: 2}
    query: {q: "{page}", n: 1}
    json: *json
    follow_redirects: 3
    auth: key
    timeout: 3s
    backend: catalog
    attempts: 4
    expect:
      status: [200, 3xx]
      headers: {Content-Type: ^text/, X-There: null}
      json: [a, "length(b) > 0"]
      contains: "{host}"
      matches: a+
      not_matches: [b, c]
      max_size: 1MiB
      slower_than: 500ms
    capture:
      one: {json: a.b, secret: true}
      two: {header: X-Two}
      three: {cookie: sid}
      four: {regex: "id=(.*)"}
  - {name: second, layer: cart, post: "https://x.example/", form: {f: "{two}"}, deny: true,
     expect: {headers: [X-One, X-Two]}}
  - {name: third, layer: cart, method: purge, url: "https://x.example/", body: "{three}",
     follow_redirects: 1, redirect_to_http: true}
  - name: program
    layer: page
    command: [tool, --page, "{page}"]
    environment: {PATH: /bin, TOKEN: env:T, FILE: file:t}
    stdin: credential:input
    output_cap: 1MiB
    timeout: 2s
    cleanup: true
    expect: {exit_codes: [0, 3], contains: [ok], matches: [o.], json: a, slower_than: 1s}
  - {name: clean, layer: cart, delete: "https://x.example/", cleanup: true}
"""


@pytest.fixture
def check(loaded: Loader) -> ApiCheck:
    (check,) = loaded(TEXT).checks
    assert isinstance(check, ApiCheck)
    return check


def test_the_check(check: ApiCheck, tmp_path: Path) -> None:
    key = BearerAuth(SecretRef("env", "T"))
    assert check == ApiCheck(
        name="everything",
        steps=check.steps,
        targets="stores",
        providers=("live", "cdn"),
        interval=60.0,
        timeout=5.0,
        flow_timeout=40.0,
        vars={"host": "x.example", "page": "7"},
        headers={"Accept-Language": "en"},
        user_agent="Tool/1.0",
        auth={"key": key},
        personas=(
            Persona("inside", vars={"host": "y.example"}),
            Persona("outside", auth={"key": None}, expect_denied=("second",)),
            Persona("other", auth={"key": BearerAuth(SecretRef("env", "U"))}),
        ),
        layers=("edge", "page", "cart"),
        router_codes=("no_route",),
        evidence_headers=("x-request-id",),
        instance_headers=("x-node",),
        run_id_header="X-Run",
        login_interval=120.0,
        max_body=65536,
        groups=("X25519",),
        http2=False,
        trust=Trust("system"),
        client_certificate=ClientCertificate(
            SecretRef("file", str(tmp_path / "c.pem")), SecretRef("file", str(tmp_path / "c.key"))
        ),
        labels={"team": "api"},
        addresses=AddressRules(("::1/128",), ("10.0.0.0/8",), ("2001:db8:64::/96",)),
        hosts=("*.example",),
    )


def test_the_steps_in_the_order_written(check: ApiCheck, tmp_path: Path) -> None:
    first = Step(
        name="first",
        layer="page",
        request=RequestTemplate(
            method="PUT",
            url="https://{target}/{page}",
            headers={"X-A": "{host}", "X-B": "2"},
            query={"q": "{page}", "n": "1"},
            json={"a": [1, 2.5, "{host}", True, None], "b": {"c": "d"}},
            follow_redirects=3,
        ),
        expect=Expect(
            status=("200", "3xx"),
            headers=(HeaderExpectation("Content-Type", "^text/"), HeaderExpectation("X-There")),
            json=("a", "length(b) > 0"),
            contains=("{host}",),
            matches=("a+",),
            not_matches=("b", "c"),
            max_size=2**20,
            slower_than=0.5,
        ),
        captures=(
            Capture("one", "json", "a.b", secret=True),
            Capture("two", "header", "X-Two"),
            Capture("three", "cookie", "sid"),
            Capture("four", "regex", "id=(.*)"),
        ),
        auth="key",
        timeout=3.0,
        backend="catalog",
        attempts=4,
    )
    second = Step(
        name="second",
        layer="cart",
        request=RequestTemplate(method="POST", url="https://x.example/", form={"f": "{two}"}),
        expect=Expect(headers=(HeaderExpectation("X-One"), HeaderExpectation("X-Two"))),
        deny=True,
    )
    third = Step(
        name="third",
        layer="cart",
        request=RequestTemplate(
            method="PURGE",
            url="https://x.example/",
            body="{three}",
            follow_redirects=1,
            redirect_to_http=True,
        ),
    )
    program = CommandStep(
        name="program",
        layer="page",
        command=Command(
            arguments=("tool", "--page", "{page}"),
            environment={
                "PATH": "/bin",
                "TOKEN": SecretRef("env", "T"),
                "FILE": SecretRef("file", str(tmp_path / "t")),
            },
            exit_codes=(0, 3),
            contains=("ok",),
            matches=("o.",),
            json=("a",),
            output_cap=2**20,
            stdin=SecretRef("credential", "input"),
            slower_than=1.0,
        ),
        timeout=2.0,
        cleanup=True,
    )
    clean = Step(
        name="clean",
        layer="cart",
        request=RequestTemplate(method="DELETE", url="https://x.example/"),
        cleanup=True,
    )
    assert check.steps == (first, second, third, program, clean)


def test_documents_are_plain_data(check: ApiCheck) -> None:
    """What a prober copies and serialises holds nothing of the YAML that it came from."""
    (first, *_) = check.steps
    assert isinstance(first, Step)
    assert type(first.request.json) is dict
    assert type(first.request.json["b"]) is dict


@pytest.mark.parametrize(
    "values",
    [
        lambda check: [check],
        lambda check: [step for step in check.steps if isinstance(step, Step)],
        lambda check: [step for step in check.steps if isinstance(step, CommandStep)],
        lambda check: [step.request for step in check.steps if isinstance(step, Step)],
        lambda check: [step.expect for step in check.steps if isinstance(step, Step)],
        lambda check: [step.command for step in check.steps if isinstance(step, CommandStep)],
        lambda check: check.personas,
    ],
    ids=["check", "call", "command step", "request", "expect", "command", "persona"],
)
def test_no_field_of_the_model_is_out_of_reach(
    check: ApiCheck, values: Callable[[ApiCheck], list[Any]]
) -> None:
    """A field that the file above cannot give another value than its default is forgotten."""
    found = values(check)
    for field in fields(found[0]):
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        assert any(getattr(value, field.name) != default for value in found), field.name


def test_a_flow_that_says_nothing_is_what_the_model_says(loaded: Loader) -> None:
    text = "checks: [{name: a, kind: api, steps: [{name: s, get: https://x.example/}]}]"
    step = Step("s", "backend", RequestTemplate("GET", "https://x.example/"))
    assert loaded(text).checks == (ApiCheck("a", (step,)),)


def test_checks_of_all_kinds_stand_beside_each_other(loaded: Loader) -> None:
    text = """\
checks:
- {name: a, kind: tls, targets: [shop.example]}
- {name: b, kind: api, targets: [shop.example], steps: [{name: s, get: "https://{target}/"}]}
- {name: c, kind: command, steps: [{name: s, command: date}]}
"""
    spec = loaded(text)
    assert [(type(check), check.name) for check in spec.checks] == [
        (TlsCheck, "a"),
        (ApiCheck, "b"),
        (ApiCheck, "c"),
    ]
    assert spec.targets["inline:b"].static == (Target("shop.example", written=True),)
