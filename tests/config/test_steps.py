"""Steps of flows: calls, commands, what they expect and capture."""

from collections.abc import Callable

import pytest

from probe.model.spec import Spec

Problems = Callable[..., list[str]]
Loader = Callable[..., Spec]

# The fragment starts at line 7, column 5.
STEP = """\
checks:
- name: a
  kind: api
  auth: {key: {kind: bearer, token: env:T}}
  steps:
  - name: s
    """
GET = "get: https://x.example/\n    "
STATUS = "not a valid HTTP status; write a code such as 200, or a class such as 2xx"
SECRET = (
    "secrets are not allowed in this file; use a reference: file:/path, env:NAME or credential:name"
)
SENT_AS_TEXT = (
    "references to secrets are read under auth:, in json: and form:, and in a command's "
    "environment only; here the reference itself would be sent"
)
CREDENTIAL = (
    "holds a credential, and secrets are not allowed in this file; "
    "use auth: with kind: bearer, basic or headers"
)


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("layer: edge", ["6:5: the step has no URL; write for example get: https://shop.example/"]),
        ("method: GET", ["6:5: the step has no URL; write for example get: https://shop.example/"]),
        (
            "url: https://x.example/",
            ["7:5: url: needs method: in the same step; or write get: and the URL"],
        ),
        ("method: get\n    url: https://x.example/", []),
        (
            "method: G-T\n    url: https://x.example/",
            ['7:13: "G-T" is not a valid method; write for example GET'],
        ),
        (
            GET + "post: https://x.example/",
            ["8:5: a step makes one call; write one of get, post, …"],
        ),
        (
            GET + "method: PUT",
            ["8:5: get: already sets the method; remove method:, or write url: instead"],
        ),
        ("get: ''", ["7:10: must not be empty"]),
        (
            GET + "layer: autorization",
            ['8:12: unknown layer "autorization"; did you mean "authorization"?'],
        ),
        (
            GET + "layer: shop",
            [
                '8:12: unknown layer "shop"; write one of: edge, control, login, token, '
                "authorization, backend, or name your own with layers: in the check"
            ],
        ),
        (GET + "auth: kee", ['8:11: unknown auth "kee"; did you mean "key"?']),
        (
            GET + "json: {a: 1}\n    form: {b: 2}\n    body: c",
            ["9:5: json and form cannot be used together; write one of them"],
        ),
        (GET + "attempts: 0", ["8:15: must be at least 1"]),
        (GET + "follow_redirects: 21", ["8:23: must be at most 20"]),
        # -- headers
        (GET + "headers: {A: 1, a: 2}", ["8:21: duplicate header a, first written as A"]),
        (
            GET + "headers: {'b c': x}",
            ['8:15: "b c" is not a valid header name; write for example X-Request-Id'],
        ),
        (
            GET + 'headers: {a: "b\\nc: d"}',
            ["8:18: a header value must be on one line; remove the line breaks"],
        ),
        (GET + "headers: {X-Any: env:TOKEN}", [f"8:22: {SENT_AS_TEXT}"]),
        (GET + "query: {q: file:/x}", [f"8:16: {SENT_AS_TEXT}"]),
        (GET + "body: credential:x", [f"8:11: {SENT_AS_TEXT}"]),
        (
            "post: http://x.example/\n    form: {q: env:X}",
            ["7:11: the step sends a secret, and secrets need TLS; write https://"],
        ),
        # -- hosts and ports
        *(
            (f"get: https://{host}/", [f"7:10: not a valid URL: {why}"])
            for host, why in {
                "x.example:99999": 'the port of "x.example:99999" must be between 1 and 65535',
                "x.example:0": 'the port of "x.example:0" must be between 1 and 65535',
                "x.example:-1": (
                    'the port of "x.example:-1" is not a number; write for example :443'
                ),
                "xn--a.example": '"xn--a" is not a valid internationalised label (RFC 5891)',
                "2001:db8::7": (
                    '"2001:db8::7" is not a host and port; write an IPv6 address in brackets'
                ),
            }.items()
        ),
        (
            GET + "headers: {Host: https://x.example/}",
            ["8:21: Host must be HOST or HOST:PORT: write x.example, not https://x.example/"],
        ),
        *(
            (
                GET + f"headers: {{{name}: x}}",
                [f"8:15: {name} is set by the agent; leave it out: {advice}"],
            )
            for name, advice in {
                "Connection": "with attempts: 2 or more, each call opens a new connection",
                "content-length": "it follows from json:, form: or body:",
                "Expect": "the body is sent at once",
                "Transfer-Encoding": "a body is sent in one piece, with its length",
                "Upgrade": "http2: controls whether HTTP/2 is offered",
            }.items()
        ),
        (GET + "headers: {Authorization: Bearer hunter2}", [f"8:30: Authorization {CREDENTIAL}"]),
        (GET + "headers: {x-api-key: hunter2}", [f"8:26: x-api-key {CREDENTIAL}"]),
        (GET + "headers: {Cookie: a=b}", [f"8:23: Cookie {CREDENTIAL}"]),
        # -- expectations
        (GET + "expect: {status: 99}", [f"8:22: {STATUS}"]),
        (
            GET + "expect: {status: [999, 6xx, 1000, ok, 2XX, 0xx, true]}",
            [f"8:{at}: {STATUS}" for at in (33, 39, 48, 53)],
        ),
        (
            GET + "expect: {json: [a ||, 'lenght(@) > 0', 'length(@, a)', a b]}",
            [
                '8:21: "a ||" is an incomplete JMESPath expression',
                '8:27: unknown function "lenght"; did you mean "length"?',
                "8:44: the function length takes 1 arguments, found 2",
                '8:60: "a b" is not a JMESPath expression at character 3; '
                "write for example data.items | length(@) > 0",
            ],
        ),
        (
            GET + "expect: {json: 'not_null()'}",
            ["8:20: the function not_null takes 1 or more arguments, found 0"],
        ),
        (
            GET + "expect: {json: '" + "[" * 3000 + "'}",
            ["8:20: this JMESPath expression is nested too deeply"],
        ),
        (
            GET + "expect: {matches: ['(', '[a'], not_matches: '*', headers: {x: '+'}}",
            [
                '8:24: "(" is not a regular expression: missing ), unterminated subpattern '
                "at character 1",
                '8:29: "[a" is not a regular expression: unterminated character set at character 1',
                '8:49: "*" is not a regular expression: nothing to repeat at character 1',
                '8:67: "+" is not a regular expression: nothing to repeat at character 1',
            ],
        ),
        (
            GET + "expect: {matches: '" + "a" * 2001 + "'}",
            ["8:23: a regular expression must have at most 2000 characters"],
        ),
        (
            GET + "expect: {matches: 'a{99999999999}'}",
            ["8:23: this regular expression is too large"],
        ),
        (
            GET
            + "expect: {not_matches: '(?!x)y', json: 'a[::0]'}\n"
            + "    capture: {t: {regex: '(a)\\1'}}",
            [
                '8:27: "(?!x)y" is not a valid RE2 expression '
                "(invalid perl operator: (?!); leave out look-around and back-references",
                "8:43: the step of a slice cannot be zero; write for example [::2]",
                '9:26: "(a)\\1" is not a valid RE2 expression '
                "(invalid escape sequence: \\1); leave out look-around and back-references",
            ],
        ),
        (
            GET + "expect: {max_size: 5, slower_than: 3}",
            [
                "8:24: a size needs a unit; write 5B, or for example 64KiB",
                "8:40: a duration needs a unit; write 3s",
            ],
        ),
        (GET + "expect: {max_size: 64K}", ['8:24: "64K" is not a size; write 64KiB or 64kB']),
        (
            GET + "deny: true\n    expect: {status: [200, 403]}",
            ["9:23: a deny step expects a refusal, and 200 means success; write 4xx, 401 or 403"],
        ),
        (
            "head: https://x.example/\n    expect: {json: a, contains: b, status: 200}",
            [
                "8:14: the response to HEAD has no body, so json cannot match; write get:",
                "8:23: the response to HEAD has no body, so contains cannot match; write get:",
            ],
        ),
        # -- captures
        (
            GET + "capture: {t: {}}",
            ["8:18: write one of: json, header, cookie, regex"],
        ),
        (
            GET + "capture: {t: {json: a, header: b}}",
            ["8:28: json and header cannot be used together; write one of them"],
        ),
        (
            GET + "capture: {t: {regex: a}}",
            ["8:26: the expression has no group; put the part to capture in ( )"],
        ),
        (
            GET + "capture: {t: {cookie: 'a b'}, u: {header: 'a b'}}",
            [
                '8:27: "a b" is not a valid cookie name; write for example session',
                '8:47: "a b" is not a valid header name; write for example X-Request-Id',
            ],
        ),
        (
            GET + "capture: {'b c': {json: a}, target: {json: b}}",
            [
                '8:15: "b c" is not a valid name; use letters, digits and underscores',
                "8:33: {target} is reserved; choose another name",
            ],
        ),
        # -- commands
        ("command: []", ["7:14: write at least 1 entry"]),
        (
            "command: [a]\n    environment: {GH_TOKEN: hunter2, OK: x}",
            [f"8:29: {SECRET}"],
        ),
        (
            "command: [a]\n    environment: {OK: x, 'a b': c}",
            ['8:26: "a b" is not a valid name; use letters, digits and underscores'],
        ),
        ("command: [a]\n    output_cap: 1B", ["8:17: must be between 1KiB and 64MiB; found 1B"]),
        ("command: [a]\n    expect: {exit_codes: 300}", ["8:26: must be at most 255"]),
        ("command: a\n    expect: {exit_codes: [0, 3], json: x, slower_than: 3s}", []),
    ],
)
def test_what_is_wrong_with_a_step(problems: Problems, fragment: str, expected: list[str]) -> None:
    assert problems(STEP + fragment) == [f"probe.yaml:{line}" for line in expected]


def test_steps_have_names_of_their_own(problems: Problems) -> None:
    assert problems(STEP + GET + "\n  - name: s\n    " + GET) == [
        "probe.yaml:9:11: duplicate step s, first defined on line 6"
    ]


@pytest.mark.parametrize(
    ("layers", "layer", "expected"),
    [
        ("[dns, page, cart]", "layer: cart", []),
        ("[dns, page, cart]", "layer: crat", ['6:12: unknown layer "crat"; did you mean "cart"?']),
        (
            "[dns, page, cart]",
            "layer: backend",
            ['6:12: unknown layer "backend"; write one of: dns, page, cart'],
        ),
        ("[dns, page]", "", ['5:5: "layer" is missing; write one of: dns, page']),
        ("[dns, dns]", "layer: dns", ["3:17: duplicate layer, first defined on line 3"]),
        ("[]", "layer: dns", ["3:11: write at least 1 entry"]),
        (
            "['a b']",
            "layer: dns",
            [
                '3:12: "a b" is not a valid name; use letters, digits, dots, hyphens and '
                "underscores, 63 at most, starting with a letter or digit"
            ],
        ),
    ],
)
def test_layers_of_ones_own(
    problems: Problems, layers: str, layer: str, expected: list[str]
) -> None:
    text = (
        f"checks:\n- {{name: a, kind: api,\n  layers: {layers},\n  steps: [\n"
        f"    {{name: s,\n    {layer}{', ' if layer else ''}get: https://x.example/}}]}}"
    )
    assert problems(text) == [f"probe.yaml:{line}" for line in expected]


def test_a_step_that_names_no_layer_proves_the_backend(loaded: Loader) -> None:
    check = loaded(STEP + GET).checks[0]
    assert getattr(check, "steps")[0].layer == "backend"  # noqa: B009 - of one kind of check


def test_checks_of_kind_command_run_programs_only(problems: Problems) -> None:
    text = STEP.replace("kind: api", "kind: command")
    assert problems(text + GET) == [
        "probe.yaml:6:5: kind: command runs programs; write command: [...] or kind: api"
    ]
    assert problems(text + "command: [date]") == []
