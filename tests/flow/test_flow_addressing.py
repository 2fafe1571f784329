"""Where a call goes: hosts, ports, redirects and queries, as curl and browsers read them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from probe.auth.signatures import canonical_request
from probe.http.messages import Request
from probe.http.url import BadUrl, clean_url
from probe.model.auth import BearerAuth, CookieAuth
from probe.model.failure import Phase, Reason
from probe.model.flow import ApiCheck, Capture, RequestTemplate, Step
from probe.model.result import Failed, FlowResult, Inconclusive, Passed
from probe.model.target import Edge, Resolution, Target
from tests.support.http2_server import Http2
from tests.support.http_server import Ca, Http, Reply, at, by_host, serve

from .conftest import Bench

URL = "http://api.example/"


def check(*requests: RequestTemplate, **more: Any) -> ApiCheck:
    steps = tuple(Step(f"s{i}", "backend", one) for i, one in enumerate(requests))
    return ApiCheck("flow", steps, timeout=2.0, **more)


def failure_of(result: FlowResult) -> tuple[Phase, Reason, str]:
    assert isinstance(result.outcome, (Failed, Inconclusive))
    found = result.outcome.failure
    return found.phase, found.reason, found.detail


# ------------------------------------------------------------------ the Host header


@pytest.mark.parametrize("where", ["step", "check"])
async def test_a_host_header_replaces_that_of_the_url(bench: Bench, where: str) -> None:
    host = {"hOst": "shop.example:8080"}
    request = RequestTemplate("GET", URL, headers=host if where == "step" else {})
    http = Http({"/": Reply(500)})
    async with serve(None, http) as server:
        result = await bench.run(
            check(request, headers=host if where == "check" else {}), at(server.port)
        )
    assert http.seen[0].headers["host"] == "shop.example:8080"
    assert "-H 'hOst: shop.example:8080'" in result.steps[0].evidence.command


async def test_it_is_the_authority_in_http2_and_no_server_name(ca: Ca, bench: Bench) -> None:
    http = Http2()
    request = RequestTemplate("GET", "https://api.example/", headers={"Host": "shop.example"})
    async with serve(ca.context("api.example", alpn=("h2",)), http) as server:
        result = await bench.run(check(request), at(server.port))
    assert result.outcome == Passed(), "the certificate is judged by the URL's name"
    assert http.seen[0][":authority"] == "shop.example"
    assert "host" not in http.seen[0]


async def test_without_one_the_command_names_none(bench: Bench) -> None:
    async with serve(None, Http()) as server:
        result = await bench.run(check(RequestTemplate("GET", URL)), at(server.port))
    assert "ost:" not in result.steps[0].evidence.command


async def test_it_does_not_follow_a_redirect_to_another_host(bench: Bench) -> None:
    """As with curl: it names what is asked for at the first host."""
    http = Http({"/": Reply(302, headers=(("Location", "/b"),)),
                 "/b": Reply(302, headers=(("Location", "http://other.example/c"),)),
                 "/c": Reply(200)})  # fmt: skip
    request = RequestTemplate("GET", URL, headers={"Host": "shop.example"}, follow_redirects=3)
    async with serve(None, http) as server:
        result = await bench.run(check(request), at(server.port))
    assert result.outcome == Passed()
    assert [one.headers["host"] for one in http.seen] == [
        "shop.example", "shop.example", "other.example",
    ]  # fmt: skip


async def test_a_login_keeps_the_host_of_its_url(ca: Ca, bench: Bench) -> None:
    cookie = ("Set-Cookie", "session=ck")
    http = Http({"/in": Reply(200, headers=(cookie,)), "/": Reply(200)})
    login = CookieAuth("https://login.example/in", "session", form={})
    step = Step("s", "backend", RequestTemplate("GET", "https://api.example/"), auth="in")
    flow = ApiCheck("flow", (step,), auth={"in": login}, headers={"Host": "shop.example"})
    async with serve(ca.context("api.example", "login.example"), http) as server:
        result = await bench.run(flow, at(server.port))
    assert result.outcome == Passed()
    assert [one.headers["host"] for one in http.seen] == ["login.example", "shop.example"]


def test_a_signature_covers_the_host_that_is_sent() -> None:
    plain, other = (
        canonical_request(Request("GET", URL, headers), "", plain_path=False)[0]
        for headers in ((), (("Host", "shop.example"),))
    )
    assert "\nhost:api.example\n" in plain
    assert "\nhost:shop.example\n" in other


# ------------------------------------------------------------------ the target in a URL


@pytest.mark.parametrize(
    ("target", "url", "host", "port"),
    [
        (Target("shop.example"), "http://{target}/", "shop.example", 80),
        (Target("shop.example", 8443), "http://{target}/", "shop.example", 8443),
        (Target("shop.example", 8443), "http://{target}:9000/", "shop.example", 9000),
        (Target("shop.example", 8443), "http://{target.name}/", "shop.example", 80),
        (Target("shop.example", 8443), "http://www.{target}/", "www.shop.example", 8443),
        (Target("2001:db8::7"), "http://{target}/", "2001:db8::7", 80),
        (Target("2001:db8::7", 8080), "http://{target}/", "2001:db8::7", 8080),
        (Target("2001:db8::7", 8080), "http://{target}:9000/x", "2001:db8::7", 9000),
        (Target("a", labels={"at": "2001:db8::7"}), "http://{labels.at}:81/", "2001:db8::7", 81),
        (Target("a", labels={"at": "[2001:db8::7]:82"}), "http://{labels.at}/", "2001:db8::7", 82),
        (Target("a", labels={"at": "b.example:83"}), "http://{labels.at}/", "b.example", 83),
    ],
)
async def test_a_target_keeps_its_port_and_brackets(
    bench: Bench, target: Target, url: str, host: str, port: int
) -> None:
    asked: list[tuple[str, int]] = []
    http = Http({"/": Reply(200), "/x": Reply(200)})
    async with serve(None, http) as server:

        async def resolve(name: str, number: int) -> Resolution:
            asked.append((name, number))
            return Resolution((Edge("127.0.0.1", server.port, written=True),))

        result = await bench.run(check(RequestTemplate("GET", url)), resolve, target=target)
    assert result.outcome == Passed()
    assert asked == [(host, port)]
    shown = f"[{host}]" if ":" in host else host
    assert http.seen[0].headers["host"] == (shown if port == 80 else f"{shown}:{port}")


async def test_elsewhere_a_target_is_what_its_list_says(bench: Bench) -> None:
    http = Http({"/shop.example:81": Reply(200)})
    query = {"all": "{target}", "name": "{target.name}"}
    request = RequestTemplate("GET", URL + "{target}", query=query)
    async with serve(None, http) as server:
        await bench.run(check(request), at(server.port), target=Target("shop.example", 81))
    assert http.seen[0].target == "/shop.example:81?all=shop.example%3A81&name=shop.example"


@pytest.mark.parametrize("at_", ["[::1]:8080", "b.example:8080", "127.1:8080"])
async def test_a_captured_host_keeps_its_port(bench: Bench, at_: str) -> None:
    http = Http({"/list": Reply(200, {"at": at_}), "/x": Reply(200)})
    flow = check(RequestTemplate("GET", URL + "list"), RequestTemplate("GET", "http://{at}/x"))
    first, second = flow.steps
    assert isinstance(first, Step)
    first = replace(first, captures=(Capture("at", "json", "at"),))
    async with serve(None, http) as server:
        result = await bench.run(replace(flow, steps=(first, second)), at(server.port))
    assert result.outcome == Passed()
    assert http.seen[1].headers["host"] == at_.replace("127.1", "127.0.0.1")


# ------------------------------------------------------------------ URLs


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("HTTP://Shop.EXAMPLE:80/a#b", "http://shop.example/a"),
        ("http://shop.example:/", "http://shop.example/"),
        ("http://shop.example./", "http://shop.example/"),
        ("http://shop.example", "http://shop.example"),
        ("http://b\u00fccher.example/", "http://xn--bcher-kva.example/"),
        ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"),
        ("http://xn--ls8h.example/", "http://xn--ls8h.example/"),  # a symbol: browsers take it
        ("http://my_host.example/", "http://my_host.example/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("http://0x7f000001/", "http://127.0.0.1/"),
        ("http://[2001:DB8:0:0::7]:8443/", "http://[2001:db8::7]:8443/"),
        ("http://ex%61mple.example/", "http://example.example/"),
        # What is written stays as it is: it may be signed.
        ("http://a/?s=a%2Fb+c%20d'&t=%zz&e=", "http://a/?s=a%2Fb+c%20d'&t=%zz&e="),
    ],
)
def test_urls_are_read_as_curl_and_browsers_do(url: str, clean: str) -> None:
    assert clean_url(url) == clean


@pytest.mark.parametrize(
    ("url", "query", "clean"),
    [
        ("http://a/", {"q": "a b/\u00e9"}, "http://a/?q=a+b%2F%C3%A9"),
        ("http://a/?", {"q": "1"}, "http://a/?q=1"),
        ("http://a/?x=a%2Fb+c&x=&sig=%2b", {"x": "1"}, "http://a/?x=a%2Fb+c&x=&sig=%2b&x=1"),
        ("http://a?x=1#f?g", {"q": "1"}, "http://a?x=1&q=1"),
    ],
)
def test_query_parameters_are_appended(url: str, query: dict[str, str], clean: str) -> None:
    assert clean_url(url, query) == clean


BAD = [
    "http://127.0.0.1:99999/", "http://127.0.0.1:0/", "http://127.0.0.1:-1/", "http://a:b/",
    "http://xn--a/", "http://xn--a.example/", "http://xn--/", "http://xn--abc-.example/",
    "http://xn--99999999999.example/", "http://[::1/", "http://::1/", "http://1.2.3.256/",
    "http://a..b/", "http:///", "http://", "ftp://a/", "/x", "", "http://u:p@a/", "http://a b/",
    "http://" + "a" * 64 + ".example/",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD)
def test_a_url_that_nobody_can_call_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        clean_url(url)


@pytest.mark.parametrize("url", BAD[:12])
async def test_such_a_url_costs_its_step_wherever_it_comes_from(bench: Bench, url: str) -> None:
    http = Http({
        "/": Reply(302, headers=(("Location", url),)),
        "/list": Reply(200, {"next": url}), "/ok": Reply(200),
    })  # fmt: skip
    redirected, listed, captured, after = check(
        RequestTemplate("GET", URL, follow_redirects=3), RequestTemplate("GET", URL + "list"),
        RequestTemplate("GET", "{next}"), RequestTemplate("GET", URL + "ok"),
    ).steps  # fmt: skip
    assert isinstance(listed, Step)
    listed = replace(listed, captures=(Capture("next", "json", "next"),))
    flow = ApiCheck("flow", (redirected, listed, captured, after), timeout=2.0)
    async with serve(None, http) as server:
        result = await bench.run(flow, at(server.port))
    first, _, third, last = result.steps
    assert isinstance(first.outcome, Failed)
    assert first.outcome.failure.reason is Reason.REDIRECT_REFUSED
    assert isinstance(third.outcome, Inconclusive)
    assert third.outcome.failure.reason is Reason.UNSAFE_VALUE
    assert last.outcome == Passed()


# ------------------------------------------------------------------ redirects


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/caf\xc3\xa9?q=\xc3\xa9", "/caf%C3%A9?q=%C3%A9"),
        (b"/caf\xe9", "/caf%E9"),
        (b"/caf%C3%A9", "/caf%C3%A9"),
        (b"http://b\xc3\xbccher.example/x", "/x"),
        (b"?q=a b", "/?q=a%20b"),
        (b"/a|b", "/a|b"),
        (b"../x/./y", "/x/y"),
        (b"//api.example/x", "/x"),
    ],
)
async def test_bytes_of_a_location_stay_as_they_came(
    bench: Bench, location: bytes, target: str
) -> None:
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    targets: list[bytes] = []

    async def handler(stream: Any) -> None:
        while data := bytes(await stream.receive_some(65536)):
            targets.append(data.split(b" ")[1])
            good = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            await stream.send_all(head if len(targets) == 1 else good)

    async with serve(None, handler) as server:
        result = await bench.run(
            check(RequestTemplate("GET", URL, follow_redirects=1)), at(server.port)
        )
    assert result.outcome == Passed()
    assert targets[1].decode() == target


async def test_an_empty_location_leads_nowhere(bench: Bench) -> None:
    http = Http({"/": Reply(302, headers=(("Location", ""),))})
    async with serve(None, http) as server:
        result = await bench.run(
            check(RequestTemplate("GET", URL, follow_redirects=3)), at(server.port)
        )
    assert len(http.seen) == 1
    assert failure_of(result) == (Phase.EXPECT, Reason.STATUS, "answered 302, expected 2xx")


async def test_a_signed_url_of_an_answer_is_called_as_it_stands(ca: Ca, bench: Bench) -> None:
    """And the redirect to it keeps its query, too."""
    signed = "/x?X-Sig=a%2Fb%3D+c&empty=&e=%c3%a9"
    http = Http({"/": Reply(302, headers=(("Location", signed),)), "/x": Reply(200)})
    auth = {"key": BearerAuth(bench.secret("T", "tok-secret"))}
    step = Step(
        "a", "x", RequestTemplate("GET", "https://api.example/", follow_redirects=1), auth="key"
    )
    async with serve(ca.context("api.example"), http) as server:
        hosts = by_host({"api.example": server.port})
        result = await bench.run(ApiCheck("flow", (step,), auth=auth), hosts)
    assert result.outcome == Passed()
    assert http.seen[1].target == signed
