"""A key that nothing reads is a problem at the key, with what was probably meant."""

from collections.abc import Callable

import pytest

from probe.config.shape.file import FileShape

Problems = Callable[..., list[str]]

TOP = "{}\nchecks: [{{name: a, kind: tls, targets: [shop.example]}}]\n"
TLS = "checks:\n- name: a\n  kind: tls\n  targets: [shop.example]\n  {}\n"
API = "checks:\n- name: a\n  kind: api\n  steps: [{{name: s, get: https://x.example/}}]\n  {}\n"
STEP = (
    "checks:\n- name: a\n  kind: api\n  steps:\n  - name: s\n    get: https://x.example/\n    {}\n"
)
RUN = "checks:\n- name: a\n  kind: command\n  steps:\n  - name: s\n    command: [date]\n    {}\n"


@pytest.mark.parametrize(
    ("template", "fragment", "place", "message"),
    [
        (TOP, "listn: x", "1:1", 'unknown key "listn"; did you mean "listen"?'),
        (
            TOP,
            "foo: x",
            "1:1",
            'unknown key "foo"; write one of: ' + ", ".join(FileShape.named_fields()),
        ),
        (
            TOP,
            "limits: {lag-bound: 5ms}",
            "1:10",
            'unknown key "lag-bound"; did you mean "lag_bound"?',
        ),
        (TOP, "defaults: {every: 5s}", "1:12", 'unknown key "every"; did you mean "interval"?'),
        (
            TOP,
            "defaults: {confirm: {window: 3}}",
            "1:22",
            'unknown key "window"; write one of: attempts, spacing, sample_interval, sample_for, '
            "sample_budget, flapping_score, forgive_after, clear_after",
        ),
        (
            TOP,
            "providers: {p: {dns: {server: 192.0.2.53}}}",
            "1:23",
            'unknown key "server"; did you mean "servers"?',
        ),
        (
            TOP,
            "providers: {p: {dns: {}, cname: x.example}}",
            "1:26",
            'unknown key "cname"; did you mean "hostname"?',
        ),
        (
            TOP,
            "targets: {t: {static: [a.example], file: a.yaml}}",
            "1:36",
            'unknown key "file"; did you mean "files"?',
        ),
        (
            TOP,
            "targets: {t: [{targets: [a.example], label: {}}]}",
            "1:38",
            'unknown key "label"; did you mean "labels"?',
        ),
        (TLS, "intervall: 5s", "5:3", 'unknown key "intervall"; did you mean "interval"?'),
        (TLS, "Interval: 5s", "5:3", 'unknown key "Interval"; did you mean "interval"?'),
        (TLS, "expect: {issuer: x}", "5:12", 'unknown key "issuer"; did you mean "issuers"?'),
        (TLS, "profiles: [{cipher: x}]", "5:15", 'unknown key "cipher"; did you mean "ciphers"?'),
        (TLS, "trust: {path: x}", "5:11", 'unknown key "path"; write one of: roots, file'),
        (TLS, "consensus: {grce: 5s}", "5:15", 'unknown key "grce"; did you mean "grace"?'),
        (API, "variables: {a: b}", "5:3", 'unknown key "variables"; did you mean "vars"?'),
        (
            API,
            "personas: {p: {expect_deny: [s]}}",
            "5:18",
            'unknown key "expect_deny"; did you mean "expect_denied"?',
        ),
        (
            API,
            "auth: {x: {kind: bearer, token: env:T, prefix: y}}",
            "5:42",
            'unknown key "prefix"; write one of: hosts, scheme, header, kind, token, capture',
        ),
        (STEP, "assert: {}", "7:5", 'unknown key "assert"; did you mean "expect"?'),
        (
            STEP,
            "request: {}",
            "7:5",
            'unknown key "request"; write get: and the URL, or method: and url:, '
            "in the step itself",
        ),
        (STEP, "expect: {stauts: 200}", "7:14", 'unknown key "stauts"; did you mean "status"?'),
        (
            STEP,
            "capture: {t: {json: a, hide: true}}",
            "7:28",
            'unknown key "hide"; write one of: json, header, cookie, regex, secret',
        ),
        (
            RUN,
            "expect: {exit_code: 0}",
            "7:14",
            'unknown key "exit_code"; did you mean "exit_codes"?',
        ),
        (
            RUN,
            "get: https://x.example/",
            "7:5",
            'unknown key "get"; write one of: name, layer, timeout, cleanup, command, environment, '
            "stdin, output_cap, expect",
        ),
        (
            RUN,
            '"": 1',
            "7:5",
            'unknown key ""; write one of: name, layer, timeout, cleanup, command, '
            "environment, stdin, output_cap, expect",
        ),
    ],
)
def test_an_unknown_key_is_named_with_what_was_meant(
    problems: Problems, template: str, fragment: str, place: str, message: str
) -> None:
    assert problems(template.format(fragment)) == [f"probe.yaml:{place}: {message}"]


def test_top_level_keys_that_start_with_x_are_free_for_anchors(problems: Problems) -> None:
    text = (
        "x-fast: &fast {interval: 5s, timeout: 2s}\n"
        "checks: [{<<: *fast, name: a, kind: tls, targets: [shop.example]}]\n"
    )
    assert problems(text) == []


def test_long_and_strange_keys_stay_on_one_line(problems: Problems) -> None:
    text = TOP.format('"a\\nb\\u202e' + "x" * 500 + '": 1')
    (problem,) = problems(text)
    assert "\n" not in problem
    assert "\u202e" not in problem, "a text that turns the line around"
    assert len(problem) < 300
