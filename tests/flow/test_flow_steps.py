"""Steps in order: requests, expectations, captures, skipping, cleanup, connections."""

from __future__ import annotations

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import (
    ApiCheck,
    Capture,
    Expect,
    HeaderExpectation,
    Persona,
    RequestTemplate,
    Step,
)
from probe.model.result import (
    Failed,
    Inconclusive,
    Missing,
    NoLogin,
    NotMeant,
    OutOfTime,
    Passed,
    Skipped,
    StepResult,
)
from probe.model.target import Target
from probe.probers.flow import flow_outcome
from tests.support.http_server import Ca, Http, Reply, Seen, at, serve

from .conftest import Bench

URL = "https://api.example"


def get(name: str, path: str, **more: object) -> Step:
    return Step(name, "backend", RequestTemplate("GET", URL + path), **more)  # type: ignore[arg-type]


def by_name(steps: tuple[StepResult, ...]) -> dict[str, StepResult]:
    return {step.step: step for step in steps}


async def test_a_capture_of_one_step_fills_the_request_of_the_next(ca: Ca, bench: Bench) -> None:
    http = Http({"/one": Reply(200, {"data": {"id": 7}}), "/two/7": Reply(200, {"ok": True})})
    check = ApiCheck(
        "flow",
        (
            get("one", "/one", captures=(Capture("id", "json", "data.id"),)),
            get("two", "/two/{id}", expect=Expect(json=("ok == true",))),
        ),
    )
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert result.outcome == Passed()
    assert http.paths() == ["/one", "/two/7"]
    assert server.connections == 1, "a run keeps its connection"
    first, second = result.steps
    assert first.handshake is not None
    assert first.handshake.chain
    assert first.timings.connect is not None
    assert first.timings.tls is not None
    assert second.handshake is None
    assert second.timings.connect is None
    for step in result.steps:
        timings = step.timings
        assert timings.send is not None
        assert timings.wait is not None
        assert timings.receive is not None
        assert timings.resolve is None
        assert 0 < timings.total < 5
        assert step.edge is not None
        assert step.edge.port == server.port
        assert step.attempts == 1
        assert step.evidence.status == 200


async def test_nothing_is_kept_between_runs(ca: Ca, bench: Bench) -> None:
    http = Http({"/": Reply(200)})
    check = ApiCheck("flow", (get("a", "/"), get("b", "/")))
    async with serve(ca.context("api.example"), http) as server:
        await bench.run(check, at(server.port))
        await bench.run(check, at(server.port))
    assert [one.connection for one in http.seen] == [1, 1, 2, 2]


async def test_a_missing_capture_skips_what_needs_it_and_nothing_else(ca: Ca, bench: Bench) -> None:
    http = Http({"/one": Reply(200, {}), "/free": Reply(200)})
    check = ApiCheck(
        "flow",
        (
            get("one", "/one", captures=(Capture("id", "json", "data.id"),)),
            get("needs", "/two/{id}"),
            get("free", "/free"),
        ),
    )
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    steps = by_name(result.steps)
    one = steps["one"].outcome
    assert isinstance(one, Failed)
    assert one.failure.reason is Reason.CAPTURE_MISSING
    assert steps["needs"].outcome == Skipped(Missing("id"))
    assert steps["free"].outcome == Passed()
    assert [s.step for s in result.steps] == ["one", "needs", "free"]


async def test_an_expectation_that_needs_a_missing_value_makes_no_call(
    ca: Ca, bench: Bench
) -> None:
    """A call that is made is filed with its timings; one that cannot be judged is not made."""
    http = Http({"/one": Reply(500), "/two": Reply(200)})
    check = ApiCheck(
        "flow",
        (
            get("one", "/one", captures=(Capture("id", "json", "id"),)),
            get("two", "/two", expect=Expect(contains=("{id}",))),
        ),
    )
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert http.paths() == ["/one"]
    assert by_name(result.steps)["two"].outcome == Skipped(Missing("id"))
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.detail == "answered 500, expected 2xx"


async def test_a_missing_capture_called_time_is_not_the_end_of_the_run_s_time(
    ca: Ca, bench: Bench
) -> None:
    http = Http({"/one": Reply(403)})
    check = ApiCheck(
        "flow",
        (
            get("one", "/one", captures=(Capture("time", "json", "time"),)),
            get("two", "/two/{time}"),
        ),
    )
    persona = Persona("stranger", expect_denied=("one",))
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port), persona=persona)
    assert by_name(result.steps)["two"].outcome == Skipped(Missing("time"))
    assert isinstance(result.outcome, Inconclusive)
    assert result.outcome.failure.reason is Reason.CAPTURE_MISSING


async def test_cleanup_runs_last_and_after_failures(ca: Ca, bench: Bench) -> None:
    http = Http({"/made": Reply(200, {"id": "x"}), "DELETE /made/x": Reply(204)})
    clean = Step("tidy", "backend", RequestTemplate("DELETE", URL + "/made/{id}"), cleanup=True)
    check = ApiCheck(
        "flow",
        (clean, get("make", "/made", captures=(Capture("id", "json", "id"),)), get("no", "/no")),
    )
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert http.paths() == ["/made", "/no", "/made/x"]
    assert by_name(result.steps)["tidy"].outcome == Passed()
    assert isinstance(result.outcome, Failed)


X_ID = HeaderExpectation("X-Id")
ABC = Reply(200, headers=(("X-Id", "abc"),))

EXPECTATIONS = [
    (Expect(), Reply(500), Reason.STATUS),
    (Expect(status=("200", "404")), Reply(404), None),
    (Expect(status=("4xx",)), Reply(418), None),
    (Expect(status=("201",)), Reply(200), Reason.STATUS),
    (Expect(headers=(X_ID,)), Reply(200), Reason.HEADER),
    (Expect(headers=(X_ID,)), ABC, None),
    (Expect(headers=(HeaderExpectation("X-Id", "^a"),)), ABC, None),
    (Expect(headers=(HeaderExpectation("X-Id", "^b"),)), ABC, Reason.HEADER),
    (Expect(json=("data | length(@) > 0",)), Reply(200, {"data": []}), Reason.JSON),
    (Expect(json=("data | length(@) > 0",)), Reply(200, {"data": [1]}), None),
    (Expect(json=("a",)), Reply(200, "<html>"), Reason.JSON),
    (Expect(json=("a",)), Reply(200, "[" * 100_000), Reason.JSON),
    (Expect(contains=("lo {target}",)), Reply(200, "hello flow"), None),
    (Expect(contains=("bye",)), Reply(200, "hello"), Reason.BODY),
    (Expect(matches=("^h.*o$",)), Reply(200, "hello"), None),
    (Expect(matches=("^b",)), Reply(200, "hello"), Reason.REGEX),
    (Expect(not_matches=("ell",)), Reply(200, "hello"), Reason.REGEX),
    (Expect(max_size=4), Reply(200, "hello"), Reason.SIZE),
]  # fmt: skip


@pytest.mark.parametrize(("expect", "reply", "reason"), EXPECTATIONS)
async def test_expectations(
    ca: Ca, bench: Bench, expect: Expect, reply: Reply, reason: Reason | None
) -> None:
    async with serve(ca.context("api.example"), Http({"/": reply})) as server:
        result = await bench.run(ApiCheck("flow", (get("a", "/", expect=expect),)), at(server.port))
    if reason is None:
        assert result.outcome == Passed()
    else:
        assert isinstance(result.outcome, Failed)
        assert (result.outcome.failure.phase, result.outcome.failure.reason) == (
            Phase.EXPECT,
            reason,
        )


async def test_slow_is_degraded_not_failed(ca: Ca, bench: Bench) -> None:
    http = Http({"/": Reply(200, delay=0.05)})
    check = ApiCheck("flow", (get("a", "/", expect=Expect(slower_than=0.01)),))
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert isinstance(result.outcome, Passed)
    assert [w.reason for w in result.outcome.warnings] == [Reason.TOO_SLOW]
    wait = result.steps[0].timings.wait
    assert wait is not None
    assert wait >= 0.045


async def test_captures_from_every_source(ca: Ca, bench: Bench) -> None:
    http = Http(
        {
            "/a": Reply(
                200,
                {"n": 1.5, "deep": {"t": True}},
                (("X-Next", "page2"), ("Set-Cookie", "sid=abc; Path=/; HttpOnly")),
            ),
            "/b": lambda seen: Reply(200, {"got": seen.target, "c": seen.headers["cookie"]}),
        }
    )
    captures = (
        Capture("n", "json", "n"),
        Capture("t", "json", "deep.t"),
        Capture("next", "header", "x-next"),
        Capture("sid", "cookie", "sid"),
        Capture("word", "regex", '"(de\\w+)"'),
    )
    request = RequestTemplate(
        "GET", URL + "/b", {"Cookie": "sid={sid}"}, {"q": "{n}-{t}-{next}-{word}", "x": "a b&c"}
    )
    check = ApiCheck("flow", (get("a", "/a", captures=captures), Step("b", "x", request)))
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert result.outcome == Passed()
    assert http.seen[1].target == "/b?q=1.5-true-page2-deep&x=a+b%26c"
    assert http.seen[1].headers["cookie"] == "sid=abc"


async def test_bodies_and_headers_are_filled_in(ca: Ca, bench: Bench) -> None:
    http = Http({"/": Reply(200)})
    url = URL + "/"
    values = {"who": "w", "labels": "no"}
    steps = (
        Step("json", "x", RequestTemplate("POST", url, json={"a": ["{who}", 1, {"b": "{{x}}"}]})),
        Step("form", "x", RequestTemplate("POST", url, form={"a": "{who} &", "t": "{target}"})),
        Step(
            "raw",
            "x",
            RequestTemplate("PUT", url, {"Content-Type": "text/x"}, body="{labels.tier}"),
        ),
    )
    check = ApiCheck(
        "flow", steps, vars=values, headers={"X-All": "{who}"}, user_agent="cli/1",
        run_id_header="X-Run",
    )  # fmt: skip
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(
            check, at(server.port), target=Target("shop.example", labels={"tier": "gold"})
        )
    assert result.outcome == Passed()
    one, two, three = http.seen
    assert one.json() == {"a": ["w", 1, {"b": "{x}"}]}
    assert one.headers["content-type"] == "application/json"
    assert two.body == b"a=w+%26&t=shop.example"
    assert three.body == b"gold"
    assert three.headers["content-type"] == "text/x"
    for seen in http.seen:
        assert seen.headers["user-agent"] == "cli/1"
        assert seen.headers["x-all"] == "w"
        assert seen.headers["x-run"] == result.run_id
        version, trace, span, flags = seen.headers["traceparent"].split("-")
        assert (version, trace, flags) == ("00", result.run_id, "01")
        assert len(span) == 16
    assert len({seen.headers["traceparent"] for seen in http.seen}) == 3


async def test_a_captured_line_end_never_reaches_a_header(ca: Ca, bench: Bench) -> None:
    http = Http({"/a": Reply(200, {"v": "x\r\nX-Evil: 1"}), "/b": Reply(200)})
    check = ApiCheck(
        "flow",
        (
            get("a", "/a", captures=(Capture("v", "json", "v"),)),
            Step("b", "x", RequestTemplate("GET", URL + "/b", {"X-V": "{v}"})),
        ),
    )
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    outcome = result.steps[1].outcome
    assert isinstance(outcome, Inconclusive)
    assert outcome.failure.reason is Reason.UNSAFE_VALUE
    assert http.paths() == ["/a"]


async def test_a_captured_value_cannot_change_the_shape_of_a_url(ca: Ca, bench: Bench) -> None:
    seen: list[Seen] = []

    def keep(one: Seen) -> Reply:
        seen.append(one)
        return Reply(200)

    value = "x?admin=1&a#frag%2e +"
    http = Http({"/a": Reply(200, {"v": value}), "/b/x%3Fadmin%3D1%26a%23frag%252e%20%2B": keep})
    check = ApiCheck(
        "flow",
        (get("a", "/a", captures=(Capture("v", "json", "v"),)), get("b", "/b/{v}")),
    )
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert result.outcome == Passed()
    assert len(seen) == 1


async def test_attempts_use_fresh_connections_and_every_address(ca: Ca, bench: Bench) -> None:
    good = Http({"/": Reply(200, headers=(("X-Cell", "a"),))})
    bad = Http({"/": Reply(500, headers=(("X-Cell", "b"),))})
    check = ApiCheck("flow", (get("a", "/", attempts=4),), instance_headers=("x-cell",))
    context = ca.context("api.example")
    async with serve(context, good) as one, serve(context, bad) as two:
        result = await bench.run(check, at(one.port, two.port))
    assert one.connections == two.connections == 2
    outcomes = {(s.evidence.headers["x-cell"], type(s.outcome)) for s in result.steps}
    assert outcomes == {("a", Passed), ("b", Failed)}
    assert [s.step for s in result.steps] == ["a"] * 4


@pytest.mark.parametrize(
    ("why", "outcome", "words"),
    [
        (Missing("id"), Reason.CAPTURE_MISSING, "needs id, which no step before it gave"),
        (NoLogin("cli"), Reason.CAPTURE_MISSING, "needs the login cli, which gave no token"),
        (OutOfTime(), Reason.TIMEOUT, "the run's time was over before it began"),
        (NotMeant("cli"), None, "carries the token of cli, which this persona does not have"),
    ],
)
def test_why_a_step_was_skipped_decides_what_the_run_says(
    why: Missing | NoLogin | NotMeant | OutOfTime, outcome: Reason | None, words: str
) -> None:
    steps = (StepResult("one", "x", Passed()), StepResult("two", "x", Skipped(why)))
    found = flow_outcome(steps)
    assert str(Skipped(why)) == words
    assert (None if isinstance(found, Passed) else found.failure.reason) is outcome
    failed = StepResult("three", "x", Failed(Failure(Phase.WAIT, Reason.RESET)))
    worse = flow_outcome((*steps, failed))
    assert isinstance(worse, Failed)
    assert worse.failure.reason is Reason.RESET, "a failure goes before what was skipped"
