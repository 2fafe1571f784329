"""A value of another kind than expected says both, and what to write."""

from collections.abc import Callable

import pytest

Problems = Callable[..., list[str]]

TOP = "{}\nchecks: [{{name: a, kind: tls, targets: [shop.example]}}]\n"
TLS = "checks:\n- name: a\n  kind: tls\n  targets: [shop.example]\n  {}\n"
STEP = (
    "checks:\n- name: a\n  kind: api\n  steps:\n  - name: s\n    get: https://x.example/\n    {}\n"
)
KINDS = (
    "default, tls13, tls12-ecdsa, tls12-rsa, chrome, firefox, safari, android, java, go, curl, "
    "openssl"
)
TEXT = "expected text, found a number; put it in quotes to make it text"


@pytest.mark.parametrize(
    ("template", "fragment", "place", "message"),
    [
        (TOP, "region: 5", "1:9", TEXT),
        (TOP, "listen: 9469", "1:9", "this must be text; write for example 127.0.0.1:9469"),
        (TOP, "limits: {concurrency: 1.5}", "1:23", "expected a whole number, found a fraction"),
        (TOP, "limits: 5", "1:9", "expected a mapping of key: value, found a number"),
        (TOP, "limits: {concurrency: [1]}", "1:23", "expected a whole number, found a list"),
        (TOP, "providers: [a]", "1:12", "expected a mapping of key: value, found a list"),
        (TOP, "providers: {a: live}", "1:16", "expected a mapping of key: value, found text"),
        (
            TOP,
            "providers: {a: {dns: 1}}",
            "1:22",
            "expected a mapping of key: value, found a number",
        ),
        (TOP, "targets: {t: 5}", "1:14", TEXT),
        (TOP, "targets: {t: [5]}", "1:15", TEXT),
        (TLS, 'port: "443"', "5:9", "expected a whole number, found text; write it without quotes"),
        (TLS, "port: https", "5:9", "expected a whole number, found text"),
        (TLS, "port: true", "5:9", "expected a whole number, found true"),
        (
            TLS,
            "consensus: {across_providers: yes}",
            "5:33",
            "expected true or false, found text; write true",
        ),
        (
            TLS,
            'consensus: {across_providers: "Off"}',
            "5:33",
            "expected true or false, found text; write false",
        ),
        (TLS, "consensus: {across_providers: 1}", "5:33", "expected true or false, found a number"),
        (TLS, "confirm: {sample_budget: x}", "5:28", "expected a number, found text"),
        (TLS, "expect: [h2]", "5:11", "expected a mapping of key: value, found a list"),
        (TLS, "labels: {x: [1]}", "5:15", "expected text, found a list"),
        (
            TLS,
            "labels: {x: 1.10}",
            "5:15",
            "expected text, found a number; put it in quotes to make it text",
        ),
        (
            TLS,
            "labels: {x: true}",
            "5:15",
            'expected text, found true; write "true" in quotes',
        ),
        (
            TLS,
            "profiles: {kind: tls13}\n  starttls: 5",
            "6:13",
            'unknown value "5"; write one of: smtp, imap, pop3, ldap, postgres',
        ),
        (TLS, "starttls: smpt", "5:13", 'unknown value "smpt"; did you mean "smtp"?'),
        (
            TLS,
            "profiles: [[tls13]]",
            "5:14",
            f"expected text, found a list; write one of: {KINDS}",
        ),
        (
            TLS,
            "edge_series: some",
            "5:16",
            'unknown value "some"; write one of: all, failing, none',
        ),
        (TLS, "profiles: []", "5:13", "write at least 1 entry"),
        (TLS, "port: 0", "5:9", "must be at least 1"),
        (TLS, "port: 70000", "5:9", "must be at most 65535"),
        (STEP, "deny: on", "7:11", "expected true or false, found text; write true"),
        (
            STEP,
            "json: {a: b}\n    headers: [x]",
            "8:14",
            "expected a mapping of key: value, found a list",
        ),
        (STEP, "body: [x]", "7:11", "expected text, found a list"),
        (STEP, "capture: [t]", "7:14", "expected a mapping of key: value, found a list"),
        (STEP, "capture: {t: data.token}", "7:18", "expected a mapping of key: value, found text"),
        (STEP, 'backend: ""', "7:14", "must not be empty"),
    ],
)
def test_a_value_of_another_kind_says_what_was_found(
    problems: Problems, template: str, fragment: str, place: str, message: str
) -> None:
    assert problems(template.format(fragment)) == [f"probe.yaml:{place}: {message}"]


@pytest.mark.parametrize("section", ["providers", "targets", "defaults", "limits", "region"])
def test_an_empty_section_counts_as_left_out(problems: Problems, section: str) -> None:
    assert problems(TOP.format(f"{section}:")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("checks: [5]", ["1:10: expected a mapping of key: value, found a number"]),
        (
            "checks: [{kind: tls, name: a, targets: [a.example], profiles: [{kind: kind}]}]",
            [f'1:71: unknown value "kind"; write one of: {KINDS}'],
        ),
        (
            "kind: kind\nchecks: []",
            [
                '1:1: unknown key "kind"; write one of: region, listen, page, host_names, '
                "web_config, share, regions, state_dir, crl, limits, vantage, defaults, addresses, "
                "providers, targets, checks, blackbox, maintenance",
            ],
        ),
        ("checks: [{}]", ['1:10: "kind" is missing; write one of: tls, tcp, api, command']),
        ("checks: [{kind: tsl}]", ['1:17: unknown value "tsl"; did you mean "tls"?']),
        (
            "checks: [{kind: [tls]}]",
            ["1:17: expected text, found a list; write one of: tls, tcp, api, command"],
        ),
        (
            "checks: [{kind: tls}]",
            [
                '1:10: "name" is missing; write for example name: stores',
                '1:10: "targets" is missing; write for example targets: stores',
            ],
        ),
        (
            "checks: [{kind: api, name: ''}]",
            [
                '1:10: "steps" is missing; write for example steps: '
                "[{name: home, get: https://shop.example/}]",
                '1:28: "" is not a valid name; use letters, digits, dots, hyphens and underscores, '
                "63 at most, starting with a letter or digit",
            ],
        ),
        (
            "checks: [{kind: api, name: a, steps: [], auth: {x: {}}}]",
            [
                "1:38: write at least 1 entry",
                '1:52: "kind" is missing; write one of: bearer, basic, digest, headers, '
                "json_login, oauth2, sigv4, cookie",
            ],
        ),
        (
            "checks:\n- {kind: tls, name: a, targets: [a.example]}\n"
            "- {kind: tls, name: a, targets: [b.example]}",
            ["3:21: duplicate check a; give each check its own name"],
        ),
    ],
)
def test_what_a_check_cannot_do_without(problems: Problems, text: str, expected: list[str]) -> None:
    assert problems(text) == [f"probe.yaml:{line}" for line in expected]
