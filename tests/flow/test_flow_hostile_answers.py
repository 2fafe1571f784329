"""Answers made to break their reader: odd charsets, half characters, texts that make patterns slow.

Each ends in a result with a reason; none raises, and none holds up the event loop.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from probe.flow import apart
from probe.model.expressions import PatternError, compile_pattern, first_group, found
from probe.model.failure import Failure, Reason
from probe.model.flow import ApiCheck, Capture, Expect, HeaderExpectation, RequestTemplate, Step
from probe.model.result import Failed, Inconclusive, Passed
from probe.net import apart as border
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
    monkeypatch.setattr(border, "LONGEST", 0.0)
    async with serve(ca.context("api.example"), Http({"/": Reply(status, "a" * 9000)})) as server:
        result = await bench.run(flow(Expect(matches=("a*b",))), at(server.port))
    if status == 200:
        assert isinstance(result.outcome, Inconclusive)
        assert result.outcome.failure.reason is Reason.LOCAL_RESOURCE
    else:
        assert isinstance(result.outcome, Failed)
        assert result.outcome.failure.reason is Reason.STATUS


LONG = apart.AT_ONCE + 1
SPINS = partial(found, "([ab]*a[ab]{500})z", "".join(random.Random(7).choices("ab", k=60_000)))


async def test_long_work_is_done_elsewhere_and_the_process_is_kept() -> None:
    first = await apart.run_apart(os.getpid, size=LONG)
    assert first != os.getpid()
    assert not await apart.run_apart(SPINS, size=60_000)
    assert await apart.run_apart(os.getpid, size=LONG) == first
    assert await apart.run_apart(os.getpid, size=apart.AT_ONCE) == os.getpid()


class KillsAtTheLastMoment(threading.Timer):
    """A timer whose time comes when the answer has just been read."""

    def start(self) -> None: ...

    def cancel(self) -> None:
        self.function()

    def join(self, timeout: float | None = None) -> None: ...


async def test_an_answer_behind_its_time_costs_the_process_and_not_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = await apart.run_apart(os.getpid, size=LONG)
    with monkeypatch.context() as soon:
        soon.setattr(border, "LONGEST", 0.0)
        soon.setattr(threading, "Timer", KillsAtTheLastMoment)
        late = await apart.run_apart(os.getpid, size=LONG)
    assert isinstance(late, Failure)
    assert "took over 0 s" in late.detail
    fresh = await apart.run_apart(os.getpid, size=LONG)
    assert isinstance(fresh, int)
    assert fresh != kept


async def test_nobody_reads_answers_in_the_memory_of_that_process() -> None:
    dumpable = partial(eval, "__import__('ctypes').CDLL(None).prctl(3)")  # PR_GET_DUMPABLE
    assert await apart.run_apart(dumpable, size=LONG) == 0


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (partial(int, "what a server sent"), Reason.DEFECT),
        (partial(bytes, 1 << 31), Reason.LOCAL_RESOURCE),
    ],
)
async def test_what_goes_wrong_elsewhere_is_ours(
    work: Callable[[], object], reason: Reason
) -> None:
    failure = await apart.run_apart(work, size=LONG)
    assert isinstance(failure, Failure)
    assert failure.reason is reason
    assert "what a server sent" not in failure.detail
    assert await apart.run_apart(partial(len, "four"), size=LONG) == 4


async def test_a_process_that_died_is_replaced_and_one_that_hangs_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pid = await apart.run_apart(os.getpid, size=LONG)
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    died = await apart.run_apart(os.getpid, size=LONG)
    assert isinstance(died, Failure)
    assert died.reason is Reason.LOCAL_RESOURCE
    pid = await apart.run_apart(os.getpid, size=LONG)
    assert isinstance(pid, int)
    monkeypatch.setattr(border, "LONGEST", 0.05)
    hung = await apart.run_apart(signal.pause, size=LONG)
    assert isinstance(hung, Failure)
    assert not Path(f"/proc/{pid}").exists()


async def test_what_costs_too_much_ends_by_itself() -> None:
    """By the CPU that it took: on a busy machine honest work takes long too."""
    failure = await apart.run_apart(partial(sum, itertools.repeat(0)), size=LONG)
    assert isinstance(failure, Failure)
    assert failure.reason is Reason.LOCAL_RESOURCE
    assert "2 s of CPU" in failure.detail


async def test_the_process_is_given_no_secret_of_the_environment() -> None:
    named = {"PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH"}
    pid = await apart.run_apart(os.getpid, size=LONG)
    passed = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert {line.partition(b"=")[0].decode() for line in passed if line} <= named


COSTLY = "sort_by(@, &to_string(@))[0]"


@pytest.mark.parametrize("long", [False, True])
async def test_a_long_answer_is_judged_as_a_short_one_is(ca: Ca, bench: Bench, long: bool) -> None:
    document = {"id": "i-1", "items": [{"n": n} for n in range(4000 if long else 4)]}
    wanted = Expect(json=("length(items) > 3", "id == 'other'"), matches=('"n": 2',))
    capture = Capture("id", "json", "id")
    async with serve(ca.context("api.example"), Http({"/": Reply(200, document)})) as server:
        result = await bench.run(flow(wanted, capture), at(server.port))
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.detail == "does not hold: id == 'other'"
    assert not result.outcome.others


async def test_a_secret_in_a_long_answer_is_found(ca: Ca, bench: Bench) -> None:
    document = {"key": "s3cr3t-and-long", "rest": "x" * 20_000}
    check = flow(Expect(contains=("nowhere",)), Capture("key", "json", "key", secret=True))
    async with serve(ca.context("api.example"), Http({"/": Reply(200, document)})) as server:
        result = await bench.run(check, at(server.port))
    assert isinstance(result.outcome, Failed)
    shown = result.steps[0].evidence.body
    assert shown
    assert "s3cr3t" not in shown


async def test_an_expression_that_takes_too_long_is_ours(
    ca: Ca, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(border, "LONGEST", 0.05)
    body = b"[" + b"[]," * 300_000 + b"[]]"
    http = Http({"/": Reply(200, body, (("Content-Type", "application/json"),))})
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(flow(Expect(json=(COSTLY,))), at(server.port))
    assert isinstance(result.outcome, Inconclusive)
    assert result.outcome.failure.reason is Reason.LOCAL_RESOURCE
    assert "simpler expressions" in result.outcome.failure.detail


def test_groups() -> None:
    assert first_group("b(.)|x", "abc") == "c"
    assert first_group("b.", "abc") == "bc"
    assert first_group("(z)|b", "abc") is None
    assert first_group("z", "abc") is None
    assert first_group("b(é)", "abéc") == "é"
    with pytest.raises(PatternError, match="invalid"):
        compile_pattern("(?=a)")
