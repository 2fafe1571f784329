"""Redirects: off unless asked, bounded, and never with credentials to another origin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probe.flow.redact import withheld
from probe.http.url import inward, parsed
from probe.model.auth import BearerAuth
from probe.model.failure import Reason
from probe.model.flow import ApiCheck, Expect, RequestTemplate, Step
from probe.model.result import Failed, Passed
from probe.model.target import Edge
from tests.support.http_server import Ca, Http, Reply, Seen, by_host, serve

from .conftest import Bench

URL = "https://api.example/start"


def to(url: str, status: int = 302) -> Reply:
    return Reply(status, headers=(("Location", url),))


def check(*, follow: int, secret: bool = False, bench: Bench | None = None) -> ApiCheck:
    step = Step("a", "backend", RequestTemplate("GET", URL, follow_redirects=follow))
    if not secret or bench is None:
        return ApiCheck("flow", (step,), timeout=2.0)
    auth = {"cli": BearerAuth(token=bench.secret("TOKEN", "very-secret-token"))}
    return ApiCheck("flow", (replace(step, auth="cli"),), timeout=2.0, auth=auth)


async def test_a_redirect_is_an_answer_unless_following_is_asked_for(ca: Ca, bench: Bench) -> None:
    http = Http({"/start": to("/next"), "/next": Reply(200)})
    async with serve(ca.context("api.example"), http) as server:
        hosts = by_host({"api.example": server.port})
        result = await bench.run(check(follow=0), hosts)
        assert isinstance(result.outcome, Failed)
        assert result.steps[0].evidence.status == 302
        step = Step("a", "x", RequestTemplate("GET", URL), Expect(status=("302",)))
        assert (await bench.run(ApiCheck("flow", (step,)), hosts)).outcome == Passed()
        assert (await bench.run(check(follow=1), hosts)).outcome == Passed()
    assert http.paths() == ["/start", "/start", "/start", "/next"]


async def test_a_redirect_to_itself_with_a_cookie_is_followed(ca: Ca, bench: Bench) -> None:
    """Sites set a cookie and ask again, to see whether it is kept; the cookie is a secret."""

    def gate(seen: Seen) -> Reply:
        if "gate=let-me-in" in seen.headers.get("cookie", ""):
            return Reply(500, "no luck with let-me-in")
        cookie = ("Set-Cookie", "gate=let-me-in; Path=/; Secure; HttpOnly")
        return Reply(302, headers=(("Location", "/start"), cookie))

    http = Http({"/start": gate})
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check(follow=3), by_host({"api.example": server.port}))
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.reason is Reason.STATUS
    assert result.steps[0].attempts == 2
    assert result.steps[0].evidence.body == withheld("no luck with let-me-in")
    assert "let-me-in" not in result.steps[0].evidence.command


async def test_too_many_redirects_are_refused(ca: Ca, bench: Bench) -> None:
    http = Http({"/start": to("/start")})
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check(follow=3), by_host({"api.example": server.port}))
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.reason is Reason.REDIRECT_REFUSED
    assert len(http.seen) == 4
    assert result.steps[0].attempts == 4


async def test_a_longer_location_than_servers_take_is_not_followed(ca: Ca, bench: Bench) -> None:
    """Each text of the evidence that holds the URL is searched for secrets."""
    for length, status in ((8192, 200), (8193, 302)):
        long = "/" + "x" * (length - 1)
        http = Http({"/start": to(long), long: Reply(200)})
        async with serve(ca.context("api.example"), http) as server:
            result = await bench.run(check(follow=1), by_host({"api.example": server.port}))
        assert result.steps[0].evidence.status == status
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.reason is Reason.REDIRECT_REFUSED
    assert "8193 characters" in result.outcome.failure.detail


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/",
        "https://api.example:444/",
        "http://api.example/",
        "//evil.example/x",
        "https://127.0.0.1/",
        "https://api.example@evil.example/",
    ],
)
async def test_credentials_never_follow_to_another_origin(
    ca: Ca, bench: Bench, location: str
) -> None:
    evil = Http({"/": Reply(200), "/x": Reply(200)})
    http = Http({"/start": to(location)})
    context = ca.context("api.example", "evil.example", "127.0.0.1")
    async with serve(context, http) as server, serve(context, evil) as trap:
        hosts = by_host(
            {"api.example": server.port, "evil.example": trap.port, "127.0.0.1": trap.port}
        )
        result = await bench.run(check(follow=3, secret=True, bench=bench), hosts)
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.reason is Reason.REDIRECT_REFUSED
    assert trap.connections == 0
    assert len(http.seen) == 1
    assert result.steps[0].evidence.status == 302


async def test_credentials_follow_on_the_same_origin(ca: Ca, bench: Bench) -> None:
    http = Http({"/start": to("https://API.example:443/next"), "/next": Reply(200)})
    async with serve(ca.context("api.example"), http) as server:
        hosts = by_host({"api.example": server.port})
        result = await bench.run(check(follow=1, secret=True, bench=bench), hosts)
    assert result.outcome == Passed()
    assert http.seen[1].headers["authorization"] == "Bearer very-secret-token"


async def test_without_credentials_another_origin_is_followed(ca: Ca, bench: Bench) -> None:
    other = Http({"/x": Reply(200, "there")})
    http = Http({"/start": to("https://other.example/x", 307)})
    context = ca.context("api.example", "other.example")
    async with serve(context, http) as server, serve(context, other) as another:
        hosts = by_host({"api.example": server.port, "other.example": another.port})
        result = await bench.run(check(follow=1), hosts)
    assert result.outcome == Passed()
    assert other.seen[0].headers["host"] == "other.example"


async def test_no_redirect_to_anything_but_http(ca: Ca, bench: Bench) -> None:
    for location in ("file:///etc/passwd", "gopher://api.example/", "javascript:1", "https://"):
        http = Http({"/start": to(location)})
        async with serve(ca.context("api.example"), http) as server:
            result = await bench.run(check(follow=1), by_host({"api.example": server.port}))
        assert isinstance(result.outcome, Failed)
        assert result.outcome.failure.reason is Reason.REDIRECT_REFUSED


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
        ("PUT", 302, "PUT"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("HEAD", 303, "HEAD"),
    ],
)
async def test_methods_turn_as_the_rfc_says(
    ca: Ca, bench: Bench, method: str, status: int, then: str
) -> None:
    bodies: list[Seen] = []

    def keep(seen: Seen) -> Reply:
        bodies.append(seen)
        return Reply(200)

    http = Http({"/start": to("/next", status), "/next": keep})
    body = None if method == "HEAD" else "payload"
    step = Step("a", "x", RequestTemplate(method, URL, body=body, follow_redirects=1))
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(ApiCheck("flow", (step,)), by_host({"api.example": server.port}))
    assert result.outcome == Passed()
    assert bodies[0].method == then
    assert bodies[0].body == (b"payload" if then == method and body else b"")


def test_a_public_server_cannot_steer_us_to_inner_addresses() -> None:
    public, other = Edge("198.51.100.7", 443), Edge("203.0.113.9", 443)
    world = Edge("8.8.8.8", 443)
    inner = ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "::1", "fe80::1", "0.0.0.0"]  # noqa: S104 - must be refused
    inner += ["::ffff:127.0.0.1", "fd00::1"]
    for ip in inner:
        refusal = inward(world, Edge(ip, 443))
        assert refusal is not None
        assert refusal.reason is Reason.REDIRECT_REFUSED
        assert inward(Edge("127.0.0.1", 1), Edge(ip, 443)) is None, "inner to inner is the lab"
    assert inward(world, Edge("9.9.9.9", 443)) is None
    assert inward(public, other) is None


@pytest.mark.parametrize(
    "cookies",
    [("flag",), ("gate=one-secret; Path=/", "gate=another-one; Path=/next")],
    ids=["no value", "two paths"],
)
async def test_any_cookies_of_a_redirect_are_followed(
    ca: Ca, bench: Bench, cookies: tuple[str, ...]
) -> None:
    headers = (("Location", "/next"), *(("Set-Cookie", cookie) for cookie in cookies))
    http = Http({"/start": Reply(302, headers=headers), "/next": Reply(200)})
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check(follow=1), by_host({"api.example": server.port}))
    assert result.outcome == Passed()


async def test_a_flood_of_cookies_is_not_followed_and_not_shown(ca: Ca, bench: Bench) -> None:
    """Hundreds of cookies fit into a head; each costs the loop far more than the server."""
    many = [("Set-Cookie", f"flood{number}=value-{number:04}") for number in range(450)]
    sent: list[str] = []

    def page(seen: Seen) -> Reply:
        sent.append(seen.headers.get("cookie", ""))
        return Reply(500, "broken", headers=(*many, ("X-Echo", "value-0449")))

    http = Http({"/start": Reply(302, headers=(("Location", "/next"), *many)), "/next": page})
    async with serve(ca.context("api.example"), http) as server:
        flow = replace(check(follow=1), evidence_headers=("x-echo",))
        result = await bench.run(flow, by_host({"api.example": server.port}))
    [step] = result.steps
    assert len(sent[0].split("; ")) == 50
    assert step.evidence.headers == {}
    assert step.evidence.body == "broken"


async def test_a_cookie_longer_than_any_is_not_followed(ca: Ca, bench: Bench) -> None:
    headers = (("Location", "/next"), ("Set-Cookie", f"id={'x' * 5000}"), ("Set-Cookie", "a=b"))
    http = Http({"/start": Reply(302, headers=headers), "/next": Reply(200)})
    async with serve(ca.context("api.example"), http) as server:
        await bench.run(check(follow=1), by_host({"api.example": server.port}))
    assert http.seen[-1].headers["cookie"] == "a=b"


async def test_a_setting_in_a_cookie_hides_no_page(ca: Ca, bench: Bench) -> None:
    headers = (("Location", "/next"), ("Set-Cookie", "lang=en; Path=/"))
    http = Http({"/start": Reply(302, headers=headers), "/next": Reply(500, "then it ended")})
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check(follow=1), by_host({"api.example": server.port}))
    assert result.steps[0].evidence.body == "then it ended"


def test_long_urls_are_not_remembered() -> None:
    """A server chooses where its redirects lead, another place in every run."""
    assert parsed(URL) is parsed(URL)
    long = f"{URL}?{'x' * 60_000}"
    assert parsed(long) is not parsed(long)
