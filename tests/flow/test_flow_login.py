"""Logins: kept tokens, renewal, their own clock, and every way in which they fail."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from email.utils import formatdate
from functools import partial
from typing import Any

import pytest
import trio

from probe.model.auth import BearerAuth, EarlyRefusal, JsonLoginAuth
from probe.model.failure import Phase, Reason
from probe.model.flow import ApiCheck, Capture, Expect, Persona, RequestTemplate, Step
from probe.model.result import Failed, FlowResult, Inconclusive, NoLogin, NotMeant, Passed, Skipped
from probe.model.target import Target
from probe.state.diagnosis import diagnose
from tests.support.http_server import Ca, Http, Reply, Route, Seen, Server, at, by_host, serve

from .conftest import Bench

URL = "https://api.example"


REFUSED = Reply(401, {"authStatus": "WrongCredentials"})


class Platform:
    """A login and an API behind it; tokens count up and may be revoked."""

    def __init__(self, life: float = 3600.0) -> None:
        self.life = life
        self.issued = 0
        self.valid: set[str] = set()
        self.http = Http({"POST /login": self.login, "/me": self.me, "/open": Reply(200)})
        self.login_route: Route | None = None

    def login(self, seen: Seen) -> Reply:
        if self.login_route is not None:
            route = self.login_route
            return route if isinstance(route, Reply) else route(seen)
        assert seen.json() == {"appkey": "the-app-key", "apptoken": "the-app-token"}
        assert "authorization" not in seen.headers
        self.issued += 1
        token = f"issued-token-{self.issued}"
        self.valid = {token}
        return Reply(
            200, {"authStatus": "Success", "token": token, "expires": time.time() + self.life}
        )

    def me(self, seen: Seen) -> Reply:
        scheme, _, token = seen.headers.get("authorization", "").partition(" ")
        return Reply(200) if scheme == "Bearer" and token in self.valid else Reply(401)

    @property
    def logins(self) -> int:
        return self.http.paths().count("/login")


def check_of(bench: Bench, **more: Any) -> ApiCheck:
    login = JsonLoginAuth(
        URL + "/login",
        {
            "appkey": bench.secret("APP_KEY", "the-app-key"),
            "apptoken": bench.secret("APP_TOKEN", "the-app-token"),
        },
        token="token",
        success="authStatus == 'Success'",
        refused="authStatus == 'WrongCredentials'",
        expires_at="expires",
    )
    steps = (
        Step("open", "control", RequestTemplate("GET", URL + "/open")),
        Step("me", "authorization", RequestTemplate("GET", URL + "/me"), auth="cli"),
        Step("me2", "authorization", RequestTemplate("GET", URL + "/me"), auth="cli"),
    )
    check = ApiCheck("flow", steps, auth={"cli": login}, timeout=1.0, flow_timeout=5.0)
    return replace(check, **more)


def names(result: FlowResult) -> list[str]:
    return [step.step for step in result.steps]


def outcome(result: FlowResult, step: str) -> Any:
    return next(one.outcome for one in result.steps if one.step == step)


async def test_a_token_is_fetched_once_and_kept_between_runs(ca: Ca, bench: Bench) -> None:
    platform = Platform()
    async with serve(ca.context("api.example"), platform.http) as server:
        first = await bench.run(check_of(bench), at(server.port))
        second = await bench.run(check_of(bench), at(server.port))
    assert first.outcome == second.outcome == Passed()
    assert names(first) == ["open", "cli", "me", "me2"]
    assert names(second) == ["open", "me", "me2"]
    login = first.steps[1]
    assert login.layer == "login"
    assert login.timings.auth is not None
    assert login.timings.wait is login.timings.connect is None
    assert login.timings.total == login.timings.auth
    assert all(step.timings.auth is None for step in first.steps if step.step != "cli")
    for result in (first, second):
        assert result.token_expires_at == pytest.approx(time.time() + 3600, abs=60)


async def test_a_token_is_renewed_shortly_before_it_ends(ca: Ca, bench: Bench) -> None:
    platform = Platform(life=3600.0)
    async with serve(ca.context("api.example"), platform.http) as server:
        for offset, logins in ((0.0, 1), (3400.0, 1), (3550.0, 2)):
            bench.offset = offset
            result = await bench.run(check_of(bench, login_interval=1e9), at(server.port))
            assert result.outcome == Passed()
            assert platform.logins == logins, offset


@pytest.mark.parametrize("kind", ["counted", "degraded"])
async def test_a_401_to_a_kept_token_renews_it_once_and_both_calls_count(
    ca: Ca, bench: Bench, kind: EarlyRefusal
) -> None:
    platform, check = Platform(), check_of(bench)
    login = check.auth["cli"]
    assert isinstance(login, JsonLoginAuth)
    check = replace(check, auth={"cli": replace(login, early_refusal=kind)})
    async with serve(ca.context("api.example"), platform.http) as server:
        first = await bench.run(check, at(server.port))
        platform.valid.clear()  # revoked on the other side
        result = await bench.run(check, at(server.port))
    assert isinstance(result.outcome, Passed)
    assert [one.reason for one in result.outcome.warnings] == [Reason.TOKEN_REFUSED]
    assert names(result) == ["open", "cli", "me", "me2"]
    assert [step.attempts for step in result.steps] == [1, 1, 2, 1]
    assert [step.early_refusal for step in result.steps] == ["", "", kind, ""]
    assert not any(step.early_refusal for step in first.steps)


async def test_a_slow_login_is_degraded_and_not_failed(ca: Ca, bench: Bench) -> None:
    platform, check = Platform(), check_of(bench)
    platform.login_route = replace(gives("issued"), delay=0.3)
    platform.valid = {"issued"}
    login = check.auth["cli"]
    assert isinstance(login, JsonLoginAuth)
    for limit, reasons in ((0.2, [Reason.TOO_SLOW]), (5.0, [])):
        patient = replace(check, auth={"cli": replace(login, slower_than=limit)})
        async with serve(ca.context("api.example"), platform.http) as server:
            result = await bench.run(patient, at(server.port))
        found = outcome(result, "cli")
        assert isinstance(found, Passed)
        assert [one.reason for one in found.warnings] == reasons


async def test_a_401_to_a_new_token_is_the_answer(ca: Ca, bench: Bench) -> None:
    """Nobody takes tokens any more: one login more at most, then only on its own clock."""
    platform = Platform()
    async with serve(ca.context("api.example"), platform.http) as server:
        await bench.run(check_of(bench), at(server.port))
        platform.http.routes["/me"] = Reply(401)
        results = [await bench.run(check_of(bench), at(server.port)) for _ in range(3)]
    assert platform.logins == 2
    for result in results:
        assert isinstance(outcome(result, "me"), Failed)
        assert result.steps[-1].evidence.status == 401
    assert [names(result).count("cli") for result in results] == [1, 0, 0]


async def test_a_login_is_tested_on_its_own_clock_while_kept_tokens_work(
    ca: Ca, bench: Bench
) -> None:
    platform = Platform()
    async with serve(ca.context("api.example"), platform.http) as server:
        await bench.run(check_of(bench), at(server.port))
        platform.login_route = Reply(503)
        result = await bench.run(check_of(bench, login_interval=0.0), at(server.port))
    login = outcome(result, "cli")
    assert isinstance(login, Failed)
    assert (login.failure.phase, login.failure.reason) == (Phase.AUTH, Reason.LOGIN_FAILED)
    assert outcome(result, "me") == Passed()
    assert isinstance(result.outcome, Failed)


async def test_a_login_that_fails_beside_a_kept_token_stays_in_sight_until_it_works_again(
    ca: Ca, bench: Bench
) -> None:
    """Seen once in an interval, it would look like a recovery to the very next run."""
    platform = Platform()
    async with serve(ca.context("api.example"), platform.http) as server:
        await bench.run(check_of(bench), at(server.port))
        platform.login_route = Reply(503)
        due = check_of(bench, login_interval=0.0)
        failing = [
            await bench.run(check, at(server.port)) for check in (due, *[check_of(bench)] * 3)
        ]
        platform.login_route = None
        well = [await bench.run(check_of(bench), at(server.port)) for _ in range(2)]
    for result in failing:
        assert isinstance(outcome(result, "cli"), Failed)
        assert outcome(result, "me") == Passed(), "the kept token still serves"
    assert outcome(well[0], "cli") == Passed()
    assert names(well[1]) == ["open", "me", "me2"], "back on its own clock"


@pytest.mark.parametrize(
    ("route", "calls"),
    [
        (REFUSED, 3),  # as many as confirm it
        (Reply(429, headers=(("Retry-After", "120"),)), 1),
    ],
    ids=["refused", "limited"],
)
async def test_a_login_that_is_held_back_beside_a_kept_token_stays_in_sight_without_a_call(
    ca: Ca, bench: Bench, route: Reply, calls: int
) -> None:
    platform = Platform()
    async with serve(ca.context("api.example"), platform.http) as server:
        await bench.run(check_of(bench), at(server.port))
        platform.login_route = route
        due = check_of(bench, login_interval=0.0)
        runs = [await bench.run(due, at(server.port))]
        runs += [await bench.run(check_of(bench), at(server.port)) for _ in range(4)]
    assert platform.logins == 1 + calls
    for result in runs:
        assert isinstance(outcome(result, "cli"), Failed)
        assert outcome(result, "me") == Passed()
        login = next(step for step in result.steps if step.step == "cli")
        assert login.evidence.status == route.status, "what it answered stays in sight"


async def test_credentials_that_worked_and_are_refused_unchanged_are_the_logins_fault(
    ca: Ca, bench: Bench
) -> None:
    platform, check = Platform(), check_of(bench, login_interval=0.0)
    async with serve(ca.context("api.example"), platform.http) as server:
        await bench.run(check, at(server.port))
        platform.login_route = REFUSED
        lost = await bench.run(check, at(server.port))
        bench.secrets["APP_TOKEN"] = "a-new-one"
        changed = await bench.run(check, at(server.port))
        platform.login_route = None
        bench.secrets["APP_TOKEN"] = "the-app-token"
        well = await bench.run(check, at(server.port))
    found = outcome(lost, "cli")
    assert isinstance(found, Failed)
    assert (found.failure.phase, found.failure.reason) == (Phase.AUTH, Reason.LOGIN_FAILED)
    assert "the service lost its clients, or the secret was revoked" in found.failure.detail
    said = diagnose(check, None, [lost])
    assert said.layer == "login"
    assert "kept token pass" in said.why
    ours = outcome(changed, "cli")
    assert isinstance(ours, Inconclusive)
    assert ours.failure.reason is Reason.CREDENTIALS_REFUSED
    assert well.outcome == Passed()


class Two:
    """Two personas of one service, each with its own credentials."""

    def __init__(self, bench: Bench) -> None:
        check = check_of(bench, login_interval=0.0)
        mine = check.auth["cli"]
        assert isinstance(mine, JsonLoginAuth)
        secret = {"appkey": bench.secret("B_KEY", "b-key"), "apptoken": bench.secret("B", "b")}
        self.bench, self.check = bench, check
        self.a, self.b = Persona("a"), Persona("b", auth={"cli": replace(mine, json=secret)})
        self.refused: set[str] = set()
        self.http = Http({"POST /login": self.login, "/me": Reply(200), "/open": Reply(200)})

    def login(self, seen: Seen) -> Reply:
        who = "b" if seen.json()["appkey"] == "b-key" else "a"
        good = Reply(200, {"authStatus": "Success", "token": "t", "expires": time.time() + 3600})
        return REFUSED if who in self.refused else good

    async def run(self, persona: Persona, server: Server) -> Any:
        result = await self.bench.run(self.check, at(server.port), persona=persona)
        return outcome(result, "cli")


async def test_a_login_that_refuses_everybody_is_its_own_fault_as_soon_as_all_have_tried(
    ca: Ca, bench: Bench
) -> None:
    two = Two(bench)
    async with serve(ca.context("api.example"), two.http) as server:
        assert await two.run(two.a, server) == await two.run(two.b, server) == Passed()
        two.refused = {"a", "b"}
        first = await two.run(two.a, server)
        two.check = replace(two.check, login_interval=300.0)
        second, third = await two.run(two.b, server), await two.run(two.a, server)
    assert isinstance(first, Inconclusive), "the other has not tried since"
    assert first.failure.reason is Reason.REFUSAL_UNCLEAR
    assert isinstance(second, Failed), "asked again, although its token serves"
    assert isinstance(third, Failed)
    assert second.failure.reason is third.failure.reason is Reason.LOGIN_FAILED


async def test_a_login_that_refuses_one_and_takes_others_has_our_fault(
    ca: Ca, bench: Bench
) -> None:
    two = Two(bench)
    async with serve(ca.context("api.example"), two.http) as server:
        await two.run(two.a, server)
        await two.run(two.b, server)
        two.refused = {"a"}
        for number in range(4):
            found = await two.run(two.a, server)
            assert isinstance(found, Inconclusive)
            unclear = found.failure.reason is Reason.REFUSAL_UNCLEAR
            assert unclear == (number == 0), "the other has not tried since"
            assert await two.run(two.b, server) == Passed()
    assert "takes the credentials of others" in found.failure.detail


async def test_credentials_that_never_worked_say_nothing_against_those_that_did(
    ca: Ca, bench: Bench
) -> None:
    two = Two(bench)
    two.refused = {"b"}
    async with serve(ca.context("api.example"), two.http) as server:
        assert await two.run(two.a, server) == Passed()
        assert isinstance(await two.run(two.b, server), Inconclusive)
        two.refused = {"a", "b"}
        lost = await two.run(two.a, server)
        still = await two.run(two.b, server)
    assert isinstance(lost, Failed)
    assert isinstance(still, Inconclusive), "it never worked: ours"


async def test_without_a_token_what_needs_one_is_skipped(ca: Ca, bench: Bench) -> None:
    platform = Platform()
    platform.login_route = Reply(500)
    async with serve(ca.context("api.example"), platform.http) as server:
        result = await bench.run(check_of(bench), at(server.port))
    assert outcome(result, "open") == Passed()
    assert outcome(result, "me") == outcome(result, "me2") == Skipped(NoLogin("cli"))
    assert platform.logins == 1, "a failed login is not repeated for every step"


JWT_ENDED = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (b'{"alg":"none"}', json.dumps({"exp": time.time() - 60}).encode(), b"x")
)


def gives(token: object = "abc", **more: object) -> Reply:
    return Reply(200, {"authStatus": "Success", "token": token, **more})


FAILURES: list[tuple[str, Reply, Reason]] = [
    ("500", Reply(500), Reason.LOGIN_FAILED),
    ("503 in HTML", Reply(503, "<html>sorry</html>"), Reason.LOGIN_FAILED),
    ("404", Reply(404, {"x": 1}), Reason.LOGIN_FAILED),
    ("403 in HTML", Reply(403, "<html>"), Reason.LOGIN_FAILED),
    ("401 of another kind", Reply(401, {"authStatus": "Pending"}), Reason.LOGIN_FAILED),
    ("429", Reply(429), Reason.RATE_LIMITED),
    ("HTML", Reply(200, "<html>login here</html>"), Reason.TOKEN_MALFORMED),
    ("empty", Reply(200), Reason.TOKEN_MALFORMED),
    ("a redirect", Reply(302, headers=(("Location", "/"),)), Reason.LOGIN_FAILED),
    ("200 with an error", Reply(200, {"authStatus": "Error"}), Reason.LOGIN_FAILED),
    ("no token", Reply(200, {"authStatus": "Success"}), Reason.TOKEN_MALFORMED),
    ("an empty token", gives(""), Reason.TOKEN_MALFORMED),
    ("a line end in it", gives("abc\r\nX-Evil: 1"), Reason.TOKEN_MALFORMED),
    ("not ASCII", gives("tökén"), Reason.TOKEN_MALFORMED),
    ("endless", gives("x" * 100_000), Reason.TOKEN_MALFORMED),
    ("expired at issue", gives(expires=time.time() - 5), Reason.TOKEN_EXPIRED),
    ("a JWT expired at issue", gives(JWT_ENDED), Reason.TOKEN_EXPIRED),
    ("refused", Reply(401, {"authStatus": "WrongCredentials"}), Reason.CREDENTIALS_REFUSED),
    ("refused with 200", Reply(200, {"authStatus": "WrongCredentials"}),
        Reason.CREDENTIALS_REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "reason"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
async def test_every_failure_has_its_reason(
    ca: Ca, bench: Bench, reply: Reply, reason: Reason
) -> None:
    platform = Platform()
    platform.login_route = reply
    async with serve(ca.context("api.example"), platform.http) as server:
        result = await bench.run(check_of(bench), at(server.port))
    found = outcome(result, "cli")
    ours = reason is Reason.CREDENTIALS_REFUSED
    assert isinstance(found, Inconclusive if ours else Failed)
    assert (found.failure.phase, found.failure.reason) == (Phase.AUTH, reason)
    assert isinstance(result.outcome, type(found))
    assert outcome(result, "me") == Skipped(NoLogin("cli"))
    evidence = next(step for step in result.steps if step.step == "cli").evidence
    assert evidence.status == reply.status
    assert '"$APP_TOKEN"' in evidence.command


async def test_our_own_clock_is_told_from_a_token_expired_at_issue(ca: Ca, bench: Bench) -> None:
    """The server's clock is 2 h behind ours, and its token good for 1 h: ours is wrong."""
    platform = Platform()
    async with serve(ca.context("api.example"), platform.http) as server:
        bench.offset = 7200.0
        now = time.time()
        date = (("Date", formatdate(now)),)
        platform.login_route = replace(gives(expires=now + 3600), headers=date)
        result = await bench.run(check_of(bench), at(server.port))
    assert isinstance(result.outcome, Inconclusive)
    assert result.outcome.failure.reason is Reason.CLOCK_OFF
    assert "s ahead of the server's" in result.outcome.failure.detail


async def test_refused_credentials_are_not_tried_again_until_they_change_or_time_passes(
    ca: Ca, bench: Bench
) -> None:
    """Asking again and again with a wrong password locks accounts."""
    platform = Platform()
    platform.login_route = Reply(401, {"authStatus": "WrongCredentials"})
    async with serve(ca.context("api.example"), platform.http) as server:
        for _ in range(3):
            result = await bench.run(check_of(bench), at(server.port))
            assert isinstance(outcome(result, "cli"), Inconclusive)
        assert platform.logins == 1
        check = check_of(bench)
        bench.secrets["APP_TOKEN"] = "a-new-one"
        await bench.run(check, at(server.port))
        assert platform.logins == 2
        await bench.run(replace(check, login_interval=0.0), at(server.port))
    assert platform.logins == 2, "the interval counts from the refusal"


@pytest.mark.parametrize(
    "after", ["120", formatdate(time.time() + 3000, usegmt=True)], ids=["seconds", "date"]
)
async def test_retry_after_is_kept(ca: Ca, bench: Bench, after: str) -> None:
    platform = Platform()
    platform.login_route = Reply(429, headers=(("Retry-After", after),))
    async with serve(ca.context("api.example"), platform.http) as server:
        for _ in range(2):
            result = await bench.run(check_of(bench), at(server.port))
            found = outcome(result, "cli")
            assert isinstance(found, Failed)
            assert found.failure.reason is Reason.RATE_LIMITED
    assert platform.logins == 1


async def test_a_missing_secret_is_inconclusive_and_nothing_is_sent(ca: Ca, bench: Bench) -> None:
    platform = Platform()
    check = check_of(bench)
    del bench.secrets["APP_TOKEN"]
    async with serve(ca.context("api.example"), platform.http) as server:
        result = await bench.run(check, at(server.port))
    assert isinstance(result.outcome, Inconclusive)
    assert result.outcome.failure.reason is Reason.SECRET_MISSING
    assert platform.logins == 0
    assert outcome(result, "open") == Passed()


async def test_a_failed_control_call_is_not_hidden_by_a_missing_secret(
    ca: Ca, bench: Bench
) -> None:
    platform = Platform()
    platform.http.routes["/open"] = Reply(500)
    check = check_of(bench)
    del bench.secrets["APP_TOKEN"]
    async with serve(ca.context("api.example"), platform.http) as server:
        result = await bench.run(check, at(server.port))
    assert isinstance(result.outcome, Failed)


async def test_a_slow_token_endpoint_stretches_no_deadline(ca: Ca, bench: Bench) -> None:
    platform = Platform()
    platform.login_route = Reply(200, delay=30)
    async with serve(ca.context("api.example"), platform.http) as server:
        result = await bench.run(check_of(bench, timeout=0.4), at(server.port))
    found = outcome(result, "cli")
    assert isinstance(found, Failed)
    assert (found.failure.phase, found.failure.reason) == (Phase.AUTH, Reason.TIMEOUT)
    assert result.seconds < 30


async def test_a_token_endpoint_that_cannot_be_reached_keeps_its_phase(bench: Bench) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    check = check_of(bench, steps=check_of(bench).steps[1:2])
    found = outcome(await bench.run(check, at(port)), "cli")
    assert isinstance(found, Failed)
    assert (found.failure.phase, found.failure.reason) == (Phase.CONNECT, Reason.REFUSED)


async def test_flows_of_many_targets_share_one_login(ca: Ca, bench: Bench) -> None:
    platform = Platform()
    async with serve(ca.context("api.example"), platform.http) as server, trio.open_nursery() as n:
        for number in range(5):
            target = Target(f"shop{number}.example")
            n.start_soon(partial(bench.run, check_of(bench), at(server.port), target=target))
    assert platform.logins == 1


async def test_a_run_that_waited_for_a_login_repeats_its_failure_and_asks_no_more(
    ca: Ca, bench: Bench
) -> None:
    platform = Platform()
    platform.login_route = Reply(503)
    results: list[FlowResult] = []

    async def run(server: Server, target: str) -> None:
        check = check_of(bench)
        results.append(await bench.run(check, at(server.port), target=Target(target)))

    async with serve(ca.context("api.example"), platform.http) as server, trio.open_nursery() as n:
        for number in range(3):
            n.start_soon(run, server, f"shop{number}.example")
    assert platform.logins == 1
    reasons = [one.failure.reason for one in (outcome(result, "cli") for result in results)]
    assert reasons == [Reason.LOGIN_FAILED] * 3


async def test_personas_bring_their_own_credentials_or_none(ca: Ca, bench: Bench) -> None:
    platform = Platform()
    anonymous = Persona("anonymous", auth={"cli": None}, expect_denied=("me", "me2"))
    async with serve(ca.context("api.example"), platform.http) as server:
        result = await bench.run(check_of(bench), at(server.port), persona=anonymous)
        assert result.outcome == Passed()
        assert platform.logins == 0
        platform.http.routes["/me"] = Reply(200)
        result = await bench.run(check_of(bench), at(server.port), persona=anonymous)
    assert isinstance(result.outcome, Failed)
    assert "must be refused" in result.outcome.failure.detail


async def test_credentials_do_not_go_where_a_server_sends_them(ca: Ca, bench: Bench) -> None:
    """The host of a later call comes out of an answer: nothing secret goes there."""
    platform = Platform()
    found_there = {"next": "https://evil.example", "host": "evil.example"}
    platform.http.routes["/open"] = Reply(200, found_there)
    trap = Http({"/me": Reply(200)})
    captures = (Capture("next", "json", "next"), Capture("host", "json", "host"))
    first = Step("open", "control", RequestTemplate("GET", URL + "/open"), captures=captures)
    context = ca.context("api.example", "evil.example")
    for url in ("{next}/me", "https://{host}/me"):
        step = Step("me", "x", RequestTemplate("GET", url), auth="cli")
        async with serve(context, platform.http) as server, serve(context, trap) as other:
            hosts = by_host({"api.example": server.port, "evil.example": other.port})
            result = await bench.run(check_of(bench, steps=(first, step)), hosts)
        found = outcome(result, "me")
        assert isinstance(found, Inconclusive)
        assert found.failure.reason is Reason.CREDENTIALS_WITHHELD
        assert "evil.example" in found.failure.detail
        assert other.connections == 0


# ------------------------------------------------------------------ tokens elsewhere


def validating(bench: Bench, platform: Platform) -> ApiCheck:
    """A step that sends the token as content, to ask whether it is good."""

    def validate(seen: Seen) -> Reply:
        good = seen.json()["token"] in platform.valid
        return Reply(200, {"authStatus": "Success" if good else "Invalid"})

    platform.http.routes["POST /validate"] = validate
    request = RequestTemplate("POST", URL + "/validate", json={"token": "{auth.cli}"})
    ask = Step("valid", "token", request, Expect(json=("authStatus == 'Success'",)))
    check = check_of(bench)
    return replace(check, steps=(ask, *check.steps))


async def test_a_token_can_be_sent_as_content(ca: Ca, bench: Bench) -> None:
    platform = Platform()
    check = validating(bench, platform)
    async with serve(ca.context("api.example"), platform.http) as server:
        result = await bench.run(check, at(server.port))
        assert names(result) == ["cli", "valid", "open", "me", "me2"]
        assert result.outcome == Passed()
        platform.valid.clear()  # revoked: asking shows it first
        result = await bench.run(check, at(server.port))
        assert isinstance(result.outcome, Passed)
        assert names(result) == ["cli", "valid", "open", "me", "me2"]
        assert [one.early_refusal for one in result.steps] == ["", "counted", "", "", ""]
        assert [one.attempts for one in result.steps] == [1, 2, 1, 1, 1]
        assert platform.logins == 2
        platform.http.routes["POST /validate"] = Reply(200, {"authStatus": "Broken"})
        results = [await bench.run(check, at(server.port)) for _ in range(3)]
    for result in results:
        assert isinstance(outcome(result, "valid"), Failed)
        assert outcome(result, "me") == Passed()
    assert platform.logins == 3, "one more login for the doubt, then only on its clock"


async def test_a_token_that_is_not_there_skips_what_carries_it(ca: Ca, bench: Bench) -> None:
    platform = Platform()
    check = validating(bench, platform)
    platform.login_route = Reply(500)
    async with serve(ca.context("api.example"), platform.http) as server:
        result = await bench.run(check, at(server.port))
    assert outcome(result, "valid") == Skipped(NoLogin("cli"))
    anonymous = Persona("anonymous", auth={"cli": None}, expect_denied=("me", "me2"))
    async with serve(ca.context("api.example"), platform.http) as server:
        result = await bench.run(check, at(server.port), persona=anonymous)
    assert outcome(result, "valid") == Skipped(NotMeant("cli"))
    assert result.outcome == Passed(), "without credentials there is no token to ask about"


@pytest.mark.parametrize("value", ["two\nlines", "ends\r\n", "nul\0"])
async def test_a_secret_with_a_line_end_is_ours_and_not_sent(
    ca: Ca, bench: Bench, value: str
) -> None:
    http = Http({"/me": Reply(200)})
    check = check_of(bench, auth={"cli": BearerAuth(bench.secret("T", value))})
    check = replace(check, steps=check.steps[1:2])
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert isinstance(result.outcome, Inconclusive)
    assert result.outcome.failure.reason is Reason.UNSAFE_VALUE
    assert http.seen == []


async def test_headers_may_hold_any_letters(ca: Ca, bench: Bench) -> None:
    http = Http({"/open": Reply(200)})
    step = Step("open", "x", RequestTemplate("GET", URL + "/open", {"X-Name": "Zo\u00eb \u6771"}))
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check_of(bench, steps=(step,)), at(server.port))
    assert result.outcome == Passed()
