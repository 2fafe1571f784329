"""Providers: one way to find edges each, and every number and address makes sense."""

from collections.abc import Callable

import pytest

from probe.model.spec import DnsOptions, NameServer, Provider, Spec

Problems = Callable[..., list[str]]
Loader = Callable[..., Spec]

TEXT = "checks: [{{name: a, kind: tls, targets: [shop.example]}}]\nproviders:\n  p: {}\n"
NO_WAY = "this provider has no source of edges; write dns: {}, or hostname:, or addresses:"
ADDRESS = (
    "is not an IP address; write for example 198.51.100.7, 198.51.100.7:8443, "
    "2001:db8::7 or [2001:db8::7]:8443"
)


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("{}", [f"3:6: {NO_WAY}"]),
        ("{dns: }", [f"3:6: {NO_WAY}"]),
        ("{port: 443}", [f"3:6: {NO_WAY}"]),
        (
            "{hostname: x.example, addresses: [192.0.2.1]}",
            ["3:7: addresses and hostname cannot be used together; write one of them"],
        ),
        (
            "{addresses: [192.0.2.1], dns: {}}",
            ["3:31: addresses and dns cannot be used together; write one of them"],
        ),
        ("{addresses: []}", ["3:18: write at least 1 entry"]),
        (
            "{addresses: [192.0.2.1, '192.0.2.1:443', 192.0.2.1]}",
            ["3:47: duplicate address, first defined on line 3"],
        ),
        (
            "{addresses: [x.example, '192.0.2.1:0', 192.0.2.1/24, 5]}",
            [
                f'3:19: "x.example" {ADDRESS}',
                '3:30: the port of "192.0.2.1:0" must be between 1 and 65535',
                f'3:45: "192.0.2.1/24" {ADDRESS}',
                "3:59: this must be text; write for example 198.51.100.7",
            ],
        ),
        (
            "{hostname: 'https://x.example/'}",
            ["3:17: write x.example, not https://x.example/"],
        ),
        (
            "{hostname: 'x.example:443'}",
            ["3:17: a port is not allowed here; write x.example"],
        ),
        ("{dns: {servers: [dns.example]}}", [f'3:23: "dns.example" {ADDRESS}']),
        (
            "{dns: {client_subnets: {a: 198.51.100.7, b: 198.51.100.7/24, c: '2001:db8::7'}}}",
            [
                '3:33: "198.51.100.7" has no prefix length; write 198.51.100.0/24',
                '3:50: "198.51.100.7/24" has bits set after the prefix; write 198.51.100.0/24',
                '3:70: "2001:db8::7" has no prefix length; write 2001:db8::/56',
            ],
        ),
        (
            "{dns: {client_subnets: {a: x, b: 192.0.2.0/33}}}",
            [
                '3:33: "x" has no prefix length; write for example 198.51.100.0/24',
                '3:39: "192.0.2.0/33" is not an address prefix; write for example 198.51.100.0/24',
            ],
        ),
        ("{dns: {timeout: 0s}}", ["3:22: must be between 50ms and 1m; found 0s"]),
        (
            "{dns: {ttl_floor: 10m}}",
            ["3:24: ttl_floor (10m) is longer than ttl_cap (5m); write at most ttl_cap"],
        ),
        (
            "{dns: {ttl_cap: 5s}}",
            ["3:22: ttl_floor (15s) is longer than ttl_cap (5s); write at most ttl_cap"],
        ),
        ("{dns: {families: [5]}}", ['3:24: unknown value "5"; write one of: 4, 6']),
        ("{dns: {families: []}}", ["3:23: write at least 1 entry"]),
        (
            "{own_names: ['*.cdn.example', 'a.*.b'], hostname: a.example}",
            ['3:36: "a.*.b": a star is allowed only at the start; write names, or *.shop.example'],
        ),
        (
            "{hostname: [x], port: 0}",
            ["3:17: expected text, found a list", "3:28: must be at least 1"],
        ),
    ],
)
def test_what_is_wrong_with_a_provider(
    problems: Problems, provider: str, expected: list[str]
) -> None:
    assert problems(TEXT.format(provider)) == [f"probe.yaml:{line}" for line in expected]


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("{dns: {}}", Provider("p")),
        (
            "{hostname: Stores.CDN-B.example., own_names: '*.CDN-B.example', port: 8443}",
            Provider(
                "p", hostname="stores.cdn-b.example", own_names=("*.cdn-b.example",), port=8443
            ),
        ),
        (
            "{addresses: [198.51.100.7, '2001:DB8::7', '[2001:db8::8]:8443', '192.0.2.1:444']}",
            Provider(
                "p",
                addresses=(
                    ("198.51.100.7", None),
                    ("2001:db8::7", None),
                    ("2001:db8::8", 8443),
                    ("192.0.2.1", 444),
                ),
            ),
        ),
        (
            "{dns: {servers: ['192.0.2.53', '[2001:db8::53]:5353'], hosts_file: false, "
            "client_subnets: {sa-east: 198.51.100.0/24, eu: '2001:db8::/56'}, timeout: 2s, "
            "ttl_floor: 1s, ttl_cap: 1h, keep: 0, families: 6}}",
            Provider(
                "p",
                dns=DnsOptions(
                    servers=(NameServer("192.0.2.53"), NameServer("2001:db8::53", 5353)),
                    hosts_file=False,
                    client_subnets={"sa-east": "198.51.100.0/24", "eu": "2001:db8::/56"},
                    timeout=2.0,
                    ttl_floor=1.0,
                    ttl_cap=3600.0,
                    keep=0.0,
                    families=(6,),
                ),
            ),
        ),
    ],
)
def test_a_provider_comes_out_whole(loaded: Loader, provider: str, expected: Provider) -> None:
    assert loaded(TEXT.format(provider)).providers["p"] == expected


def test_live_is_there_for_checks_that_name_no_provider(loaded: Loader) -> None:
    spec = loaded("checks: [{name: a, kind: tls, targets: [shop.example]}]")
    assert spec.checks[0].providers == ("live",)
    assert spec.providers == {"live": Provider("live")}


def test_a_provider_of_the_file_named_live_takes_its_place(loaded: Loader) -> None:
    spec = loaded(
        "providers: {live: {hostname: x.example}}\n"
        "checks: [{name: a, kind: tls, targets: [shop.example], providers: live}]"
    )
    assert spec.providers == {"live": Provider("live", hostname="x.example")}


@pytest.mark.parametrize(
    ("providers", "expected"),
    [
        ("[cdn-c]", '3:62: unknown provider "cdn-c"; did you mean "cdn-b"?'),
        ("[zzz]", '3:62: unknown provider "zzz"; write one of: cdn-b, live'),
        ("[cdn-b, live, cdn-b]", "3:75: duplicate provider, first defined on line 3"),
        ("[]", "3:61: write at least 1 entry"),
        (
            "['a b']",
            '3:62: "a b" is not a valid name; use letters, digits, dots, hyphens and '
            "underscores, 63 at most, starting with a letter or digit",
        ),
    ],
)
def test_a_check_names_providers_that_exist_once(
    problems: Problems, providers: str, expected: str
) -> None:
    text = (
        "providers: {cdn-b: {hostname: x.example}}\nchecks:\n"
        f"- {{name: a, kind: tls, targets: [shop.example], providers:  {providers}}}\n"
    )
    assert problems(text) == [f"probe.yaml:{expected}"]


def test_a_wrong_provider_still_counts_as_defined(problems: Problems) -> None:
    text = (
        "providers: {p: {dns: {}, port: x}}\n"
        "checks: [{name: a, kind: tls, targets: [a.example], providers: p}]"
    )
    assert problems(text) == ["probe.yaml:1:32: expected a whole number, found text"]


def test_no_provider_is_missed_when_none_can_be_read(problems: Problems) -> None:
    text = "providers: 5\nchecks: [{name: a, kind: tls, targets: [a.example], providers: p}]"
    assert problems(text) == ["probe.yaml:1:12: expected a mapping of key: value, found a number"]


def test_what_may_be_written_stands_once_in_the_list(problems: Problems) -> None:
    text = "checks: [{name: a, kind: tls, targets: [x.example], providers: [zzz]}]\n"
    (problem,) = problems(text + "providers: {live: {dns: {}}}\n")
    assert problem.endswith('unknown provider "zzz"; write one of: live')


def test_a_flow_that_would_never_reach_a_providers_edges_is_refused(problems: Problems) -> None:
    text = """\
providers:
  b: {addresses: [192.0.2.1]}
  c: {hostname: x.cdn.example}
  own: {dns: {servers: [192.0.2.53]}}
checks:
- name: a
  kind: api
  providers: [own, b, c]
  steps: [{name: s, layer: edge, get: "https://api.example/"}]
"""
    found = problems(text)
    places = [problem.split(": ", 1)[0].split(":", 1)[1] for problem in found]
    assert places == ["8:20", "8:23"], found
    assert "the edges of b need a target" in found[0]
    assert not problems(text.replace("  kind: api", "  kind: api\n  targets: [api.example]"))
