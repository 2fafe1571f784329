"""Proxies that other programs would use: said at the start, and by a failure that one explains."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from probe.agent.parts import Proxies, build_parts, resolver_of
from probe.cli.main import main
from probe.edges import EdgeFinder
from probe.model.flow import ApiCheck, RequestTemplate, Step
from probe.model.result import Failed
from probe.model.spec import Check, Listen, Provider, Spec, TlsCheck
from probe.model.target import FlowKey, Target

PROXY = "http://proxy.example:3128"


def spec(*urls: str, **more: str) -> Spec:
    steps = tuple(
        Step(f"s{i}", "backend", RequestTemplate("GET", url)) for i, url in enumerate(urls)
    )
    return of(ApiCheck("flow", steps, vars=more))


def of(*checks: Check) -> Spec:
    return Spec("lab", Listen("127.0.0.1", 0), {}, {}, checks)


@pytest.mark.parametrize(
    ("environ", "scheme", "host", "name"),
    [
        ({}, "https", "a.example", None),
        ({"HTTPS_PROXY": ""}, "https", "a.example", None),
        ({"HTTPS_PROXY": PROXY}, "https", "a.example", "HTTPS_PROXY"),
        ({"HTTPS_PROXY": PROXY}, "http", "a.example", None),
        ({"http_proxy": PROXY}, "http", "a.example", "http_proxy"),
        ({"ALL_PROXY": PROXY}, "http", "a.example", "ALL_PROXY"),
        ({"ALL_PROXY": PROXY, "no_proxy": "b.example, .A.example"}, "http", "a.example", None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "example"}, "http", "a.example", None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "a.example"}, "http", "aa.example", "ALL_PROXY"),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "*"}, "http", "a.example", None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8,::1"}, "http", "10.9.8.7", None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8,::1"}, "http", "::1", None),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, "http", "11.0.0.1", "ALL_PROXY"),
    ],
)
def test_variables_are_read_as_curl_reads_them(
    environ: dict[str, str], scheme: str, host: str, name: str | None
) -> None:
    assert Proxies(environ).variable(scheme, host) == name


@pytest.mark.parametrize(
    ("checks", "name"),
    [
        (spec("http://a.example/"), None),
        (spec("https://a.example/"), "HTTPS_PROXY"),
        (spec("https://in.example/"), None),
        (spec("{api}/x", api="https://in.example"), None),
        (spec("{api}/x", api="https://a.example"), "HTTPS_PROXY"),
        (spec("https://{target}/"), "HTTPS_PROXY"),
        (of(TlsCheck("tls", "stores", ("live",))), "HTTPS_PROXY"),
    ],
)
def test_a_start_warns_of_a_variable_that_would_have_mattered(
    checks: Spec, name: str | None
) -> None:
    environ = {"HTTPS_PROXY": PROXY, "NO_PROXY": "in.example"}
    assert Proxies(environ).ignored(checks) == name
    assert Proxies({}).ignored(checks) is None


async def test_a_call_that_does_not_reach_its_host_names_the_variable() -> None:
    check = spec("http://127.0.0.1:1/").checks[0]
    assert isinstance(check, ApiCheck)
    for environ, more in (
        ({"http_proxy": PROXY}, "; http_proxy is set, and probes use no proxy"),
        ({}, ""),
    ):
        parts = build_parts(of(), environ)
        target = Target("flow")
        result = await parts.flow.run(
            FlowKey("flow", "flow", "", ""), check, target, None,
            resolve=resolver_of(parts.finder, None, target),
        )  # fmt: skip
        assert isinstance(result.outcome, Failed)
        assert result.outcome.failure.detail == f"127.0.0.1:1: ECONNREFUSED{more}"


def test_a_round_says_so_before_it_begins(tmp_path: Path) -> None:
    config = tmp_path / "probe.yaml"
    step = '{name: s, get: "http://127.0.0.1:1/"}'
    config.write_text(f"checks: [{{name: c, kind: api, steps: [{step}]}}]\n")
    environ = {"http_proxy": PROXY, "no_proxy": "", "NO_PROXY": ""}
    done = CliRunner().invoke(main, ["check", "-c", str(config), "--region", "lab"], env=environ)
    assert "http_proxy is set; probes use no proxy" in done.output
    assert done.exit_code == 1


# ------------------------------------------------------------------ ports of targets


@pytest.mark.parametrize(
    ("provider", "asked", "edge"),
    [
        (Provider("fixed", addresses=(("127.0.0.1", None),)), 8443, "127.0.0.1:8443"),
        (Provider("fixed", addresses=(("127.0.0.1", None),)), 9000, "127.0.0.1:9000"),
        (Provider("fixed", addresses=(("127.0.0.1", None),), port=7), 8443, "127.0.0.1:8443"),
        (Provider("fixed", addresses=(("127.0.0.1", None),), port=7), 443, "127.0.0.1:7"),
        (Provider("fixed", addresses=(("127.0.0.1", 9),), port=7), 8443, "127.0.0.1:9"),
    ],
)
async def test_a_provider_stands_for_a_target_with_its_port(
    provider: Provider, asked: int, edge: str
) -> None:
    resolve = resolver_of(EdgeFinder(), provider, Target("shop.example", 8443))
    assert [one.label for one in (await resolve("shop.example", asked)).edges] == [edge]
