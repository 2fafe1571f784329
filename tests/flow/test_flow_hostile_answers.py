"""Answers made to break their reader: odd charsets, half characters, texts that make patterns slow.

Each ends in a result with a reason; none raises, and none holds up the event loop.
"""

from __future__ import annotations

import random

import pytest
import trio

from probe.flow import run
from probe.model.expressions import PatternError, compile_pattern, first_group, found
from probe.model.failure import Reason
from probe.model.flow import ApiCheck, Capture, Expect, HeaderExpectation, RequestTemplate, Step
from probe.model.result import Failed, Inconclusive, Passed
from tests.support.http_server import Ca, Http, Reply, at, serve

from .conftest import Bench

URL = "https://api.example/"
QUADRATIC = "a" * 900_000


def flow(expect: Expect, *captures: Capture, **more: object) -> ApiCheck:
    step = Step("a", "backend", RequestTemplate("GET", URL), expect=expect, captures=captures)
    return ApiCheck("flow", (step,), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "charset",
    ["idna", "undefined", "punycode", "zlib", "utf-7", "unicode_escape", "no-such", "", "utf-16"],
)
async def test_a_server_cannot_choose_a_codec_that_raises(
    ca: Ca, bench: Bench, charset: str
) -> None:
    body = "welcome \\q +2AA- é".encode("utf-16" if charset == "utf-16" else "utf-8")
    headers = (("Content-Type", f'text/html; charset="{charset}"'),)
    check = flow(Expect(contains=("welcome",), not_matches=("good-bye",)))
    async with serve(ca.context("api.example"), Http({"/": Reply(200, body, headers)})) as server:
        result = await bench.run(check, at(server.port))
    assert result.outcome == Passed()


async def test_half_a_character_is_no_value(ca: Ca, bench: Bench) -> None:
    """JSON can write one half of a pair; no URL, header or body can."""
    http = Http({"/": Reply(200, b'{"id": "\\ud800"}')})
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(flow(Expect(), Capture("id", "json", "id")), at(server.port))
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.reason is Reason.CAPTURE_MISSING


async def test_a_text_made_for_a_pattern_takes_no_longer_than_any_other(
    ca: Ca, bench: Bench
) -> None:
    """Each of these takes a backtracking engine minutes to ages on this body."""
    wanted = Expect(
        headers=(HeaderExpectation("x-long", "(x|xx)+y"),),
        matches=("a*b", "(a|aa)+$", "(.*)(.*)c"),
        not_matches=("(a+a+)+b",),
    )
    http = Http({"/": Reply(200, QUADRATIC, (("X-Long", "x" * 5000),))})
    async with serve(ca.context("api.example"), http) as server:
        check = flow(wanted, Capture("v", "regex", "(a*)b"), max_body=1 << 20, timeout=20.0)
        result = await bench.run(check, at(server.port))
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.reason is Reason.HEADER
    others = [one.reason for one in result.outcome.others]
    assert others == [Reason.REGEX, Reason.REGEX, Reason.CAPTURE_MISSING]


@pytest.mark.parametrize("status", [200, 500])
async def test_a_pattern_that_takes_too_long_is_ours_and_hides_no_failure(
    ca: Ca, bench: Bench, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(run, "_LONGEST", 0.0)
    async with serve(ca.context("api.example"), Http({"/": Reply(status, "a" * 9000)})) as server:
        result = await bench.run(flow(Expect(matches=("a*b",))), at(server.port))
    if status == 200:
        assert isinstance(result.outcome, Inconclusive)
        assert result.outcome.failure.reason is Reason.LOCAL_RESOURCE
    else:
        assert isinstance(result.outcome, Failed)
        assert result.outcome.failure.reason is Reason.STATUS


async def test_the_event_loop_turns_while_a_pattern_is_searched_for() -> None:
    """The search leaves the interpreter to others, unlike Python's own."""
    text = "".join(random.Random(7).choices("ab", k=60_000))
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn)
        work = lambda: found("([ab]*a[ab]{500})z", text)  # noqa: E731 - stands for a judgement
        assert not await run.run_off_loop(
            work, patterns=True, size=len(text), deadline=float("inf")
        )
        nursery.cancel_scope.cancel()
    assert turns > 10


def test_groups() -> None:
    assert first_group("b(.)|x", "abc") == "c"
    assert first_group("b.", "abc") == "bc"
    assert first_group("(z)|b", "abc") is None
    assert first_group("z", "abc") is None
    assert first_group("b(é)", "abéc") == "é"
    with pytest.raises(PatternError, match="invalid"):
        compile_pattern("(?=a)")
