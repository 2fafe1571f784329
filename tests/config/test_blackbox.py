"""``blackbox:``, modules of it, and ``kind: tcp``."""

from __future__ import annotations

import pytest

from probe.model.flow import ApiCheck
from probe.model.spec import TlsCheck

from .conftest import Loader, Problems

BOX = """\
region: here
blackbox:
  targets:
    ["*.Shop.example", 198.51.100.0/24, 192.0.2.1, "db.example:5432", "[2001:db8::1]:443", "*"]
  modules:
"""


def module(text: str) -> str:
    return f"{BOX}    {text}\n"


def test_modules_are_checks_without_a_schedule(loaded: Loader) -> None:
    spec = loaded(
        BOX
        + """\
    tls: {kind: tls, starttls: smtp, port: 25, timeout: 5s, prefer: ip4, fallback: false}
    tcp: {kind: tcp}
    http_2xx: {kind: api, steps: [{name: get, get: "{target.url}"}]}
"""
    )
    box = spec.blackbox
    assert box is not None
    assert spec.checks == ()
    assert box.targets == (
        ("*.shop.example", None),
        ("198.51.100.0/24", None),
        ("192.0.2.1/32", None),
        ("db.example", 5432),
        ("2001:db8::1/128", 443),
        ("*", None),
    )
    tls, tcp, http = (box.modules[name] for name in ("tls", "tcp", "http_2xx"))
    assert isinstance(tls.check, TlsCheck)
    assert tls.check.starttls == "smtp"
    assert (tls.timeout, tls.prefer, tls.fallback) == (5.0, 4, False)
    assert isinstance(tcp.check, TlsCheck)
    assert tcp.check.plain
    assert tcp.check.kind == "tcp"
    assert (tcp.timeout, tcp.prefer, tcp.fallback) == (None, 6, True)
    assert isinstance(http.check, ApiCheck)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: {kind: tls, targets: [shop.example]}", "a module has no targets; leave it out"),
        ("a: {kind: tls, interval: 30s}", "a module has no interval; leave it out"),
        ("a: {kind: tcp, providers: [live]}", "a module has no providers; leave it out"),
        ("a: {kind: nope}", "unknown value"),
    ],
)
def test_what_a_module_has_no_use_for_is_said(problems: Problems, text: str, said: str) -> None:
    (problem,) = problems(module(text))
    assert problem.startswith("probe.yaml:6:")
    assert said in problem


def test_credentials_need_hosts_since_anybody_may_name_the_target(problems: Problems) -> None:
    step = '{name: g, get: "{target.url}", auth: t}'
    auth = f'auth: {{t: {{kind: bearer, token: "env:T"}}}}, steps: [{step}]'
    (problem,) = problems(module(f"a: {{kind: api, {auth}}}"))
    assert "bind it in the auth t to hosts" in problem
    assert not problems(module(f'a: {{kind: api, hosts: ["*.shop.example"], {auth}}}'))


def test_the_url_that_was_asked_for_is_for_modules_alone(problems: Problems) -> None:
    check = '{name: a, kind: api, targets: [x.example], steps: [{name: g, get: "{target.url}"}]}'
    (problem,) = problems(f"region: here\nchecks: [{check}]\n")
    assert "{target.url} is for modules of blackbox:; write {target}" in problem


@pytest.mark.parametrize("target", ["*shop.example", "a.*.example", "10.0.0.0/99", "a.example:0"])
def test_odd_patterns_of_targets_are_refused(problems: Problems, target: str) -> None:
    text = f'region: here\nblackbox:\n  targets: ["{target}"]\n  modules: {{t: {{kind: tcp}}}}\n'
    (problem,) = problems(text)
    assert problem.startswith("probe.yaml:3:")


def test_a_module_may_take_longer_than_a_check_s_interval(loaded: Loader) -> None:
    step = '[{name: g, get: "{target.url}"}]'
    spec = loaded(
        f"{BOX}    a: {{kind: api, timeout: 2m, steps: {step}}}\n"
        "    b: {kind: tls, timeout: 2m}\n"
    )
    assert spec.blackbox is not None
    assert {one.timeout for one in spec.blackbox.modules.values()} == {120.0}


def test_a_section_without_modules_is_a_slip(problems: Problems) -> None:
    (problem,) = problems("region: here\nblackbox: {targets: [a.example]}\n")
    assert "write at least one module" in problem


def test_a_tcp_check_has_a_port(loaded: Loader, problems: Problems) -> None:
    text = "region: here\nchecks: [{{name: db, kind: tcp, targets: [db.example]{}}}]\n"
    (check,) = loaded(text.format(", port: 5432")).checks
    assert isinstance(check, TlsCheck)
    assert check.plain
    assert check.port == 5432
    (problem,) = problems(text.format(""))
    assert "write port:" in problem
