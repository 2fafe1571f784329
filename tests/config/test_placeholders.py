"""Every name in a template has a value where it stands, or says which name was meant."""

from collections.abc import Callable

import pytest

Problems = Callable[..., list[str]]

CHECK = """\
targets:
  stores: {static: [{targets: [shop.example], labels: {tier: gold, market: eu}}]}
  asked: {http: 'https://sd.example/'}
checks:
- name: a
  kind: api
  targets: stores
  vars: {host: x.example, page: home}
  auth:
    cli: {kind: json_login, url: "https://x.example/", json: {u: env:U}, token: token}
    key: {kind: basic, username: u, password: env:P}
  steps:
  - name: first
    get: https://x.example/
    capture: {item: {json: id}, token: {json: t, secret: true}, other: {json: a}}
  - name: second
"""


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("get: 'https://{host}/{page}/{item}/{other}'", []),
        ("get: 'https://{target}/{labels.tier}'", []),
        (
            "get: 'https://{hots}/'",
            ['17:10: unknown variable {hots}; did you mean "host"?'],
        ),
        (
            "get: 'https://{nothing_like_it}/'",
            [
                "17:10: unknown variable {nothing_like_it}; "
                "write one of: target, item, token, other, host, page"
            ],
        ),
        (
            "get: 'https://{target}/{labels.teir}'",
            ['17:10: no target has a label teir; did you mean "tier"?'],
        ),
        (
            "get: 'https://x.example/{auth.clu}'",
            [
                '17:10: no entry of auth: named clu gives a token; did you mean "cli"?'
            ],
        ),
        (
            "get: 'https://x.example/{auth.key}'",
            ["17:10: no entry of auth: named key gives a token; write one of: cli"],
        ),
        ("post: https://x.example/\n    json: {token: '{auth.cli}'}", []),
        (
            "get: 'https://x.example/{later}'",
            ["17:10: {later} is captured later, in the step third; move that step up"],
        ),
        (
            "get: https://x.example/\n    headers: {X: '{a}'}\n    query: {q: '{b}'}\n"
            "    expect: {contains: ['{c}']}",
            [
                "18:18: unknown variable {a}; "
                "write one of: target, item, token, other, host, page",
                "19:16: unknown variable {b}; "
                "write one of: target, item, token, other, host, page",
                "20:25: unknown variable {c}; "
                "write one of: target, item, token, other, host, page",
            ],
        ),
        (
            "post: https://x.example/\n    json: {a: [1, {b: '{itme}'}], c: '{'}",
            [
                '18:23: unknown variable {itme}; did you mean "item"?',
                "18:38: a { starts a placeholder such as {target}; "
                "write {{ for the brace itself",
            ],
        ),
        ("post: https://x.example/\n    form: {a: '{itm}'}",
         ['18:15: unknown variable {itm}; did you mean "item"?']),
        ("post: https://x.example/\n    body: 'x}'",
         ["18:11: a } without its {; write }} for the brace itself"]),
        (
            "command: [run, '{itm}']",
            ['17:20: unknown variable {itm}; did you mean "item"?'],
        ),
        (
            "command: [run, '{token}']",
            [
                "17:14: {token} is secret, and everyone on the host can read a program's "
                "arguments; pass a secret through environment: as a reference"
            ],
        ),
        ("command: [run]\n    stdin: '{token}'", []),
        ("command: [run]\n    stdin: '{tokn}'",
         ['18:12: unknown variable {tokn}; did you mean "token"?']),
        ("get: https://x.example/\n    capture: {host: {json: a}}",
         ["18:21: host is already defined in vars:; choose another name"]),
        ("get: https://x.example/\n    expect: {json: \"a == '{b}'\", matches: '{b}'}", []),
    ],
)  # fmt: skip
def test_names_are_looked_up_where_they_stand(
    problems: Problems, step: str, expected: list[str]
) -> None:
    text = f"{CHECK}    {step}\n  - name: third\n    get: https://x.example/\n"
    text += "    capture: {later: {json: x}}\n"
    assert problems(text) == [f"probe.yaml:{line}" for line in expected]


def test_labels_that_nobody_can_know_beforehand_are_not_judged(problems: Problems) -> None:
    text = CHECK.replace("targets: stores", "targets: asked")
    assert problems(text + "    get: 'https://{target}/{labels.anything}'") == []


@pytest.mark.parametrize("name", ["target", "labels.tier"])
def test_without_targets_there_is_no_target(problems: Problems, name: str) -> None:
    text = "checks: [{name: a, kind: api, steps: [{name: s, get: 'https://x.example/{%s}'}]}]"
    assert problems(text.replace("%s", name)) == [
        "probe.yaml:1:54: this check has no targets; write targets: with the name of a list"
    ]


def test_a_cleanup_step_runs_last_wherever_it_stands(problems: Problems) -> None:
    text = """\
checks:
- name: a
  kind: api
  steps:
  - {name: clean, cleanup: true, delete: "https://x.example/{item}"}
  - {name: make, post: https://x.example/, capture: {item: {json: id}}}
"""
    assert problems(text) == []


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("headers: {X-Item: '{item}'}", "4:21"),
        (
            "auth: {k: {kind: json_login, url: 'https://x.example/{item}', "
            "json: {a: env:A}, token: t}}",
            "4:37",
        ),
        (
            "auth: {k: {kind: basic, username: '{item}', password: env:P}}",
            "4:37",
        ),
    ],
)
def test_what_is_sent_before_any_step_cannot_use_captures(
    problems: Problems, where: str, place: str
) -> None:
    text = (
        f"checks:\n- name: a\n  kind: api\n  {where}\n"
        "  steps: [{name: s, get: https://x.example/, capture: {item: {json: a}}}]\n"
    )
    assert problems(text) == [
        f"probe.yaml:{place}: {{item}} is captured by a step, and this text is sent "
        "before any step runs; use it in later steps"
    ]


def test_a_name_that_only_some_personas_have_is_no_value_for_all(problems: Problems) -> None:
    text = """\
checks:
- name: a
  kind: api
  personas: {inside: {vars: {team: core, area: x}}, outside: {vars: {area: y}}}
  steps: [{name: s, get: "https://x.example/{team}/{area}"}]
"""
    assert problems(text) == [
        "probe.yaml:5:26: the persona outside has no {team}; add it to the check's vars"
    ]
    assert problems(text.replace("kind: api", "kind: api\n  vars: {team: none}")) == []


def test_captures_of_a_wrong_step_still_count(problems: Problems) -> None:
    text = """\
checks:
- name: a
  kind: api
  steps:
  - {name: s, get: 5, capture: {item: {json: id}}}
  - {name: t, get: "https://x.example/{item}"}
"""
    assert problems(text) == [
        "probe.yaml:5:20: expected text, found a number; put it in quotes to make it text"
    ]
