"""Our own code raises somewhere in a run: what was seen before it stays, cleanup still runs."""

from __future__ import annotations

from typing import NoReturn

import pytest
import trio

from probe.auth.logins import JsonLogin
from probe.auth.signers import Signer
from probe.model.auth import BearerAuth, JsonLoginAuth
from probe.model.failure import Phase, Reason
from probe.model.flow import ApiCheck, Capture, Command, CommandStep, RequestTemplate, Step
from probe.model.result import (
    Failed,
    FlowResult,
    Inconclusive,
    Missing,
    Passed,
    Skipped,
    StepResult,
)
from tests.support.http_server import Ca, Http, Reply, Route, at, serve

from .conftest import Bench

URL = "https://api.example"


def planted(*_: object, **__: object) -> NoReturn:
    raise IndexError("s3cr3t of a server\x1b[2J")


async def planted_soon(*_: object, **__: object) -> NoReturn:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(planted_in_a_task)
    raise AssertionError


async def planted_in_a_task() -> None:
    planted()


def get(name: str, path: str, **more: object) -> Step:
    return Step(name, "backend", RequestTemplate("GET", URL + path), **more)  # type: ignore[arg-type]


def defect_of(result: FlowResult | StepResult) -> tuple[Phase, str]:
    assert isinstance(result.outcome, Inconclusive), result.outcome
    failure = result.outcome.failure
    assert failure.reason is Reason.DEFECT
    assert "s3cr3t" not in failure.detail
    assert failure.detail.isprintable()
    return failure.phase, failure.detail


FLOW = ApiCheck("flow", (get("one", "/one"), get("two", "/two"), get("tidy", "/x", cleanup=True)))
HTTP: dict[str, Route] = {"/one": Reply(200), "/two": Reply(200), "/x": Reply(200)}

EVERY_STEP = [
    ("probe.auth.values.Values.request", planted, Phase.SEND),
    ("probe.flow.run.FlowRun.whole", planted, Phase.SEND),
    ("probe.http.session.Session._open", planted, Phase.RESOLVE),
    ("probe.connection.tcp._connected", planted_soon, Phase.CONNECT),
    ("probe.connection.tls.SSL.Connection.request_ocsp", planted, Phase.TLS),
    ("probe.http.session.Channel", planted, Phase.TLS),
    ("probe.http.http1.rendered", planted, Phase.SEND),
    ("probe.http.http1.Http1._parsed", planted, Phase.RECEIVE),
    ("probe.http.session.Progress.facts", planted, Phase.SEND),
    ("probe.http.answers.judge", planted, Phase.EXPECT),
    ("probe.flow.steps.outcome_of", planted, Phase.EXPECT),
]


@pytest.mark.parametrize(("where", "raises", "phase"), EVERY_STEP)
async def test_each_step_that_meets_it_says_so(
    where: str,
    raises: object,
    phase: Phase,
    ca: Ca,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serve(ca.context("api.example"), Http(HTTP)) as server:
        assert (await bench.run(FLOW, at(server.port))).outcome == Passed()
        monkeypatch.setattr(where, raises)
        result = await bench.run(FLOW, at(server.port))
    assert result.key.check == "flow"
    assert [step.step for step in result.steps] == ["one", "two", "tidy"]
    for found, detail in (defect_of(result), *map(defect_of, result.steps)):
        assert found is phase
        assert "flow/test_flow_defects.py:" in detail


@pytest.mark.parametrize(
    "where",
    [
        "probe.probers.flow.FlowProber._begin",
        "probe.probers.flow.flow_outcome",
        "probe.flow.credentials.Credentials.expires_at",
        "probe.probers.flow._reserve",
    ],
)
async def test_around_the_steps_it_costs_the_run(
    where: str, ca: Ca, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, planted)
    async with serve(ca.context("api.example"), Http(HTTP)) as server:
        result = await bench.run(FLOW, at(server.port))
    assert result.key.check == "flow"
    assert defect_of(result)[0] is Phase.SEND


async def test_a_platform_that_fails_is_named_though_a_later_step_crashes(
    ca: Ca, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The 500 was seen before our own code went wrong; the cleanup goes on after it."""
    http = Http({"/one": Reply(500), "/x": Reply(200)})
    monkeypatch.setattr("probe.probers.flow.command_step", planted_soon)
    command = CommandStep("two", "backend", Command(("true",)))
    check = ApiCheck("flow", (get("one", "/one"), command, get("tidy", "/x", cleanup=True)))
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.reason is Reason.STATUS
    one, two, tidy = result.steps
    assert isinstance(one.outcome, Failed)
    assert defect_of(two)[0] is Phase.SEND
    assert tidy.outcome == Passed()
    assert http.paths() == ["/one", "/x"]


async def test_what_a_crashed_step_would_have_captured_is_missing(
    ca: Ca, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = Http({"/one": Reply(200, {"id": "7"}), "/free": Reply(200)})
    monkeypatch.setattr("probe.http.answers.capture", planted)
    check = ApiCheck(
        "flow",
        (
            get("one", "/one", captures=(Capture("id", "json", "id"),)),
            get("two", "/two/{id}"),
            get("free", "/free"),
        ),
    )
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    one, two, free = result.steps
    assert defect_of(result) == defect_of(one)
    assert two.outcome == Skipped(Missing("id"))
    assert free.outcome == Passed()


@pytest.mark.parametrize("where", ["request", "_token"])
async def test_in_a_login_the_phase_is_auth(
    where: str, ca: Ca, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"probe.auth.logins.JsonLogin.{where}", planted)
    auth = {"login": JsonLoginAuth(URL + "/login", {"name": "a"}, token="token")}
    check = ApiCheck("flow", (get("one", "/one", auth="login"),), auth=auth)
    http = Http({"/login": Reply(200, {"token": "abc"}), "/one": Reply(200)})
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert defect_of(result)[0] is Phase.AUTH
    assert http.paths() == (["/login"] if where == "_token" else [])


@pytest.mark.parametrize("kept", [False, True], ids=["first", "renewed"])
async def test_a_login_that_was_made_is_told_though_what_follows_crashes(
    kept: bool, ca: Ca, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = {"login": JsonLoginAuth(URL + "/login", {"name": "a"}, token="token")}
    check = ApiCheck("flow", (get("one", "/one", auth="login"), get("two", "/two")), auth=auth)
    http = Http(HTTP | {"/login": Reply(200, {"token": "first"})})
    show = JsonLogin.signer

    def crashing(login: JsonLogin, token: str) -> Signer:
        return planted() if token == "second" else show(login, token)

    monkeypatch.setattr(JsonLogin, "signer", crashing)
    async with serve(ca.context("api.example"), http) as server:
        if kept:
            assert (await bench.run(check, at(server.port))).outcome == Passed()
            http.routes["/one"] = Reply(401)
        http.routes["/login"] = Reply(200, {"token": "second"})
        result = await bench.run(check, at(server.port))
    login, one, two = result.steps
    assert (login.step, login.outcome) == ("login", Passed())
    if kept:
        assert isinstance(one.outcome, Failed), "the 401 was seen"
    else:
        assert defect_of(one)[0] is Phase.AUTH
    assert two.outcome == Passed()


async def test_a_secret_that_a_message_repeats_is_not_shown(
    ca: Ca, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = bench.secret("TOKEN", "very-secret-token")

    def raises(self: object, *_: object, **__: object) -> NoReturn:
        raise ValueError("very-secret-token cannot be read")

    monkeypatch.setattr("probe.flow.run.FlowRun.whole", raises)
    check = ApiCheck("flow", (get("one", "/one", auth="t"),), auth={"t": BearerAuth(token)})
    async with serve(ca.context("api.example"), Http(HTTP)) as server:
        result = await bench.run(check, at(server.port))
    assert "ValueError at " in defect_of(result)[1]
    assert "very-secret" not in repr(result)


async def test_cancellation_still_passes_and_cleans_up(
    ca: Ca, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = Http({"/x": Reply(200)})
    started = trio.Event()

    async def forever(*_: object) -> None:
        started.set()
        await trio.sleep_forever()

    monkeypatch.setattr("probe.probers.flow.command_step", forever)
    command = CommandStep("one", "backend", Command(("true",)))
    check = ApiCheck("flow", (command, get("tidy", "/x", cleanup=True)))
    ended: list[FlowResult] = []
    async with serve(ca.context("api.example"), http) as server, trio.open_nursery() as nursery:

        async def run() -> None:
            ended.append(await bench.run(check, at(server.port)))

        nursery.start_soon(run)
        await started.wait()
        nursery.cancel_scope.cancel()
    assert not ended
    assert http.paths() == ["/x"]
