"""Credentials go to the hosts that they are bound to, and flows to addresses that are permitted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probe.model.auth import Auth, BearerAuth, CookieAuth, HeaderAuth, JsonLoginAuth
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, Capture, RequestTemplate, Step
from probe.model.result import Failed, FlowResult, Inconclusive, Passed
from probe.model.target import AddressRules, Edge, Resolution, Target
from tests.support.http_server import Ca, Http, Reply, by_host, serve

from .conftest import Bench

LISTED = "https://{target}/me"


def ours(result: FlowResult) -> Failure:
    assert isinstance(result.outcome, Inconclusive), result.outcome
    return result.outcome.failure


def bearer(bench: Bench, *hosts: str) -> BearerAuth:
    return BearerAuth(token=bench.secret("TOKEN", "very-secret-token"), hosts=hosts)


def flow(url: str, auth: Auth, **more: object) -> ApiCheck:
    step = Step("me", "backend", RequestTemplate("GET", url), auth="cli")
    return replace(ApiCheck("flow", (step,), timeout=2.0, auth={"cli": auth}), **more)  # type: ignore[arg-type]


async def run(bench: Bench, ca: Ca, check: ApiCheck, target: Target | None) -> FlowResult:
    """Run it in a world where every name but shop.example is the attacker's."""
    mine, trap = Http({"/me": Reply(200)}), Http({"/me": Reply(200), "/": Reply(200)})
    names = ("shop.example", "eu.shop.example", "evil.example", "x.evil.example")
    context = ca.context(*names)
    async with serve(context, mine) as server, serve(context, trap) as other:
        ports = dict.fromkeys(names, other.port)
        ports |= {"shop.example": server.port, "eu.shop.example": server.port}
        result = await bench.run(check, by_host(ports), target=target)
        if not isinstance(result.outcome, Passed):
            assert not trap.seen, "nothing reached the attacker"
            assert other.connections == 0
    return result


@pytest.mark.parametrize("host", ["evil.example/?q=", "evil.example#", "x@evil.example/"])
async def test_a_label_never_steers_a_token(ca: Ca, bench: Bench, host: str) -> None:
    target = Target("shop.example", labels={"host": host})
    check = flow("https://{labels.host}.shop.example/me", bearer(bench, "*.shop.example"))
    assert ours(await run(bench, ca, check, target)).reason is Reason.UNSAFE_VALUE


@pytest.mark.parametrize(
    ("target", "hosts", "passes"),
    [
        (Target("shop.example", written=True), (), True),
        (Target("shop.example"), (), False),  # of a list that others write
        (Target("shop.example"), ("shop.example",), True),
        (Target("eu.shop.example"), ("*.shop.example",), True),
        (Target("evil.example"), ("*.shop.example",), False),
        (Target("evil.example", written=True), ("*.shop.example",), False),
    ],
)
async def test_a_target_list_names_no_host_for_a_token(
    ca: Ca, bench: Bench, target: Target, hosts: tuple[str, ...], passes: bool
) -> None:
    for check in (
        flow(LISTED, bearer(bench, *hosts)),
        flow(LISTED, bearer(bench), hosts=hosts),
        flow(LISTED, HeaderAuth({"X-Key": bench.secret("KEY", "very-secret-key")}, hosts)),
    ):
        result = await run(bench, ca, check, target)
        if passes:
            assert result.outcome == Passed()
            continue
        failure = ours(result)
        assert (failure.phase, failure.reason) == (Phase.SEND, Reason.CREDENTIALS_WITHHELD)
        assert target.name in failure.detail
        assert "hosts:" in failure.detail


@pytest.mark.parametrize("kind", ["json", "cookie"])
async def test_a_login_goes_to_no_host_of_a_list(ca: Ca, bench: Bench, kind: str) -> None:
    password = {"password": bench.secret("PASSWORD", "very-secret-password")}
    login: Auth = JsonLoginAuth(LISTED, password, "token")
    if kind == "cookie":
        login = CookieAuth(LISTED, "session", form=password)
    result = await run(bench, ca, flow(LISTED, login), Target("evil.example"))
    assert ours(result).reason is Reason.CREDENTIALS_WITHHELD
    assert [step.step for step in result.steps] == ["cli", "me"]


async def test_a_secret_in_a_body_goes_to_no_host_of_a_list(ca: Ca, bench: Bench) -> None:
    secret = bench.secret("KEY", "very-secret-key")
    request = RequestTemplate("POST", LISTED, json={"key": secret})
    check = ApiCheck("flow", (Step("me", "backend", request),), timeout=2.0)
    result = await run(bench, ca, check, Target("evil.example"))
    assert ours(result).reason is Reason.CREDENTIALS_WITHHELD
    bound = replace(check, hosts=("shop.example",))
    assert (await run(bench, ca, bound, Target("shop.example"))).outcome == Passed()


async def test_a_host_header_of_a_list_gets_no_token(ca: Ca, bench: Bench) -> None:
    """Behind a shared edge the header chooses who gets the request."""
    request = RequestTemplate("GET", "https://shop.example/me", {"Host": "{labels.host}"})
    step = Step("me", "backend", request, auth="cli")
    check = ApiCheck("flow", (step,), timeout=2.0, auth={"cli": bearer(bench, "shop.example")})
    target = Target("shop.example", labels={"host": "evil.example"})
    assert ours(await run(bench, ca, check, target)).reason is Reason.CREDENTIALS_WITHHELD


async def test_a_link_of_an_answer_is_followed_where_hosts_name_it(ca: Ca, bench: Bench) -> None:
    for host, passes in (("shop.example", True), ("evil.example", False)):
        first = Step(
            "list",
            "backend",
            RequestTemplate("GET", "https://shop.example/list"),
            captures=(Capture("next", "json", "next"),),
            auth="cli",
        )
        second = Step("me", "backend", RequestTemplate("GET", "{next}"), auth="cli")
        auth = {"cli": bearer(bench, "shop.example")}
        check = ApiCheck("flow", (first, second), timeout=2.0, auth=auth)
        mine = Http({"/list": Reply(200, {"next": f"https://{host}/me?page=2"}), "/me": Reply(200)})
        trap = Http()
        context = ca.context("shop.example", "evil.example")
        async with serve(context, mine) as server, serve(context, trap) as other:
            ports = {"shop.example": server.port, "evil.example": other.port}
            result = await bench.run(check, by_host(ports))
        assert (result.outcome == Passed()) is passes
        assert other.connections == 0
        assert mine.paths() == ["/list", "/me"][: 1 + passes]


@pytest.mark.parametrize(
    ("location", "passes"),
    [("https://eu.shop.example/me", True), ("https://evil.example/", False)],
)
async def test_a_redirect_with_credentials_leads_only_to_bound_hosts(
    ca: Ca, bench: Bench, location: str, passes: bool
) -> None:
    request = RequestTemplate("GET", "https://shop.example/start", follow_redirects=2)
    step = Step("me", "backend", request, auth="cli")
    auth = {"cli": bearer(bench, "*.shop.example")}
    check = ApiCheck("flow", (step,), timeout=2.0, auth=auth)
    mine = Http({"/start": Reply(302, headers=(("Location", location),)), "/me": Reply(200)})
    trap = Http({"/": Reply(200)})
    context = ca.context("shop.example", "eu.shop.example", "evil.example")
    async with serve(context, mine) as server, serve(context, trap) as other:
        ports = {"shop.example": server.port, "eu.shop.example": server.port}
        result = await bench.run(check, by_host({**ports, "evil.example": other.port}))
    assert (result.outcome == Passed()) is passes
    assert other.connections == 0
    assert all(one.headers["authorization"] == "Bearer very-secret-token" for one in mine.seen)


@pytest.mark.parametrize("asked", [False, True])
async def test_a_redirect_from_https_to_http_must_be_asked_for(
    ca: Ca, bench: Bench, asked: bool
) -> None:
    plain = Http({"/x": Reply(200)})
    http = Http({"/start": Reply(302, headers=(("Location", "http://plain.example/x"),))})
    request = RequestTemplate(
        "GET", "https://shop.example/start", follow_redirects=2, redirect_to_http=asked
    )
    check = ApiCheck("flow", (Step("a", "backend", request),), timeout=2.0)
    async with serve(ca.context("shop.example"), http) as server, serve(None, plain) as other:
        ports = {"shop.example": server.port, "plain.example": other.port}
        result = await bench.run(check, by_host(ports))
    assert len(plain.seen) == asked
    if asked:
        assert result.outcome == Passed()
    else:
        assert isinstance(result.outcome, Failed)
        assert result.outcome.failure.reason is Reason.REDIRECT_REFUSED
        assert "redirect_to_http" in result.outcome.failure.detail


# ------------------------------------------------------------------ addresses


def answers(ip: str, port: int) -> object:
    async def resolve(host: str, _: int) -> Resolution:
        return Resolution((Edge(ip, port),))

    return resolve


@pytest.mark.parametrize("ip", ["127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "0.0.0.0"])  # noqa: S104 - must be refused
async def test_no_answer_of_dns_leads_a_flow_to_this_host(ca: Ca, bench: Bench, ip: str) -> None:
    http = Http({"/": Reply(200)})
    check = ApiCheck("f", (Step("a", "x", RequestTemplate("GET", "http://shop.example/")),))
    async with serve(None, http) as server:
        result = await bench.run(check, answers(ip, server.port))  # type: ignore[arg-type]
        assert ours(result).reason is Reason.ADDRESS_REFUSED
        assert server.connections == 0
        allowed = replace(check, addresses=AddressRules(allow=("127.0.0.0/8",)))
        result = await bench.run(allowed, answers("127.0.0.1", server.port))  # type: ignore[arg-type]
        assert result.outcome == Passed()


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("http://127.0.0.1/", True),
        ("http://localhost/", True),
        ("http://{base}/", True),
        ("http://{target}/", False),
        ("http://{labels.host}/", False),
        ("http://2130706433/", True),
    ],
)
async def test_what_the_configuration_writes_is_permitted(
    bench: Bench, url: str, written: bool
) -> None:
    http = Http({"/": Reply(200)})
    step = Step("a", "x", RequestTemplate("GET", url))
    check = ApiCheck("f", (step,), vars={"base": "127.0.0.1"})
    labels = {"host": "0x7f.1"}
    async with serve(None, http) as server:
        find = answers("127.0.0.1", server.port)
        target = Target("127.0.0.1", labels=labels)
        result = await bench.run(check, find, target=target)  # type: ignore[arg-type]
        assert (result.outcome == Passed()) is written
        if not written:
            assert ours(result).reason is Reason.ADDRESS_REFUSED
        target = replace(target, written=True)
        result = await bench.run(check, find, target=target)  # type: ignore[arg-type]
        assert result.outcome == Passed()


async def test_no_redirect_leads_to_this_host(ca: Ca, bench: Bench) -> None:
    """Neither by an address in the Location nor by what DNS says of its host."""
    for location in ("http://127.0.0.1/", "http://[::ffff:7f00:1]/", "http://inside.example/"):
        inside = Http({"/": Reply(200)})
        http = Http({"/start": Reply(302, headers=(("Location", location),))})
        request = RequestTemplate("GET", "http://shop.example/start", follow_redirects=2)
        check = ApiCheck("f", (Step("a", "x", request),), timeout=2.0)
        async with serve(None, http) as server, serve(None, inside) as other:
            ports = (server.port, other.port)

            async def resolve(host: str, _: int, ports: tuple[int, int] = ports) -> Resolution:
                there = host == "shop.example"
                return Resolution((Edge("127.0.0.1", ports[not there], written=there),))

            result = await bench.run(check, resolve)
            assert ours(result).reason is Reason.ADDRESS_REFUSED
            assert other.connections == 0
