"""HTTP/2: the same facts, the same bounds, and its own ways to fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probe.model.failure import Phase, Reason
from probe.model.flow import ApiCheck, Capture, Expect, RequestTemplate, Step
from probe.model.result import Failed, Passed
from tests.support import http2_server as h
from tests.support.http2_server import Http2, Misdeed
from tests.support.http_server import Ca, Http, Reply, at, serve

from .conftest import Bench

URL = "https://api.example/"
A_STEP = Step("a", "backend", RequestTemplate("GET", URL))
CHECK = ApiCheck("flow", (A_STEP,), timeout=1.0, flow_timeout=3.0, max_body=64 * 1024)


async def test_a_run_keeps_one_connection_and_knows_the_phases(ca: Ca, bench: Bench) -> None:
    server = Http2(Reply(200, {"id": "7"}, (("x-cell", "blue"),)))
    steps = (
        replace(A_STEP, captures=(Capture("id", "json", "id"),)),
        Step("b", "backend", RequestTemplate("POST", URL + "{id}", json={"big": "x" * 200_000})),
    )
    check = replace(CHECK, steps=steps, instance_headers=("x-cell",), user_agent="cli/1")
    async with serve(ca.context("api.example", alpn=("h2",)), server) as running:
        result = await bench.run(check, at(running.port))
    assert result.outcome == Passed()
    assert running.connections == 1
    assert [one[":path"] for one in server.seen] == ["/", "/7"]
    assert server.seen[0][":authority"] == "api.example"
    assert server.seen[0]["user-agent"] == "cli/1"
    assert len(server.bodies[1]) > 200_000
    first, second = result.steps
    assert first.handshake is not None
    assert first.handshake.alpn == "h2"
    assert second.handshake is None
    for step in result.steps:
        assert step.timings.send is not None
        assert step.timings.wait is not None
        assert step.timings.receive is not None
        assert step.evidence.headers == {"x-cell": "blue"}


FAULTS: list[tuple[Misdeed, Phase, Reason]] = [
    (h.resets, Phase.WAIT, Reason.HTTP2_ERROR),
    (h.resets_in_the_body, Phase.RECEIVE, Reason.HTTP2_ERROR),
    (h.goes_away, Phase.WAIT, Reason.HTTP2_ERROR),
    (h.talks_garbage, Phase.WAIT, Reason.HTTP2_ERROR),
    (h.says_nothing, Phase.WAIT, Reason.TIMEOUT),
    (h.odd_status, Phase.WAIT, Reason.HTTP_INVALID),
    (h.endless_body, Phase.RECEIVE, Reason.TOO_LARGE),
    (h.endless_headers, Phase.WAIT, Reason.TOO_LARGE),
    (h.endless_pings, Phase.WAIT, Reason.TOO_LARGE),
]


@pytest.mark.parametrize(("misdeed", "phase", "reason"), FAULTS)
async def test_every_fault_has_its_reason(
    ca: Ca, bench: Bench, misdeed: Misdeed, phase: Phase, reason: Reason
) -> None:
    check = replace(CHECK, steps=(replace(A_STEP, expect=Expect(contains=("the end",))),))
    async with serve(ca.context("api.example", alpn=("h2",)), Http2(misdeed=misdeed)) as server:
        result = await bench.run(check, at(server.port))
    assert isinstance(result.outcome, Failed)
    failure = result.outcome.failure
    assert (failure.phase, failure.reason) == (phase, reason), failure
    assert result.steps[0].timings.total < 2.5


async def test_a_server_that_shuts_the_connection(ca: Ca, bench: Bench) -> None:
    """A reset, when what we acknowledged is still unread at its end."""
    async with serve(ca.context("api.example", alpn=("h2",)), Http2(misdeed=h.shuts)) as server:
        result = await bench.run(CHECK, at(server.port))
    assert isinstance(result.outcome, Failed)
    failure = result.outcome.failure
    assert failure.phase is Phase.WAIT
    assert failure.reason in {Reason.CLOSED, Reason.RESET}


@pytest.mark.parametrize("misdeed", [h.goes_away_politely, h.shuts])
async def test_a_kept_connection_that_ends_is_no_failure(
    ca: Ca, bench: Bench, misdeed: Misdeed
) -> None:
    """The second request meets a server that is about to restart: it goes elsewhere."""
    steps = (A_STEP, replace(A_STEP, name="b"))
    server = Http2(misdeed=misdeed, at=2)

    def once(talk: h.Talk, stream_id: int) -> None:
        server.misdeed = None
        misdeed(talk, stream_id)

    server.misdeed = once
    async with serve(ca.context("api.example", alpn=("h2",)), server) as running:
        result = await bench.run(replace(CHECK, steps=steps), at(running.port))
    assert result.outcome == Passed()
    assert running.connections == 2
    assert result.steps[1].attempts == 2


async def test_a_server_without_http2_gets_http1(ca: Ca, bench: Bench) -> None:
    async with serve(ca.context("api.example"), Http({"/": Reply(200)})) as server:
        result = await bench.run(CHECK, at(server.port))
    assert result.outcome == Passed()
    handshake = result.steps[0].handshake
    assert handshake is not None
    assert handshake.alpn == "http/1.1"


async def test_http2_is_not_offered_when_it_is_off(ca: Ca, bench: Bench) -> None:
    context = ca.context("api.example", alpn=("h2", "http/1.1"))
    async with serve(context, Http({"/": Reply(200)})) as server:
        result = await bench.run(replace(CHECK, http2=False), at(server.port))
    assert result.outcome == Passed()


async def test_expectations_hold_for_http2_answers(ca: Ca, bench: Bench) -> None:
    step = replace(A_STEP, expect=Expect(status=("201",)))
    async with serve(ca.context("api.example", alpn=("h2",)), Http2()) as server:
        result = await bench.run(replace(CHECK, steps=(step,)), at(server.port))
    assert isinstance(result.outcome, Failed)
    assert result.steps[0].evidence.status == 200
