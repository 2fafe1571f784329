"""A reference that says anything at all is reached; silence and closed doors are the network's."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
import trio

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Passed
from probe.model.target import Edge, Resolution
from probe.model.tls import Trust
from probe.probers.reference import Look, ReferenceProber

Serve = Callable[[trio.SocketStream], Awaitable[None]]
WALL = 1_700_000_000.0


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        opened = await nursery.start(trio.serve_tcp, serve, 0)
        yield opened[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def answering(head: str) -> Serve:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some(4096)
        await stream.send_all(f"HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n".encode())

    return serve


async def look(url: str, resolution: Resolution, timeout: float = 5.0) -> Look:
    def no_secret(_: object) -> object:
        raise AssertionError("a reference needs no secret")

    async def resolve(host: str, port: int) -> Resolution:
        return resolution

    prober = ReferenceProber(TlsContexts(no_secret), Judge(), lambda: WALL)  # type: ignore[arg-type]  # never called
    return await prober.look(url, resolve=resolve, trust=Trust(), timeout=timeout)


def at(port: int) -> Resolution:
    return Resolution((Edge("127.0.0.1", port, written=True),))


@pytest.mark.parametrize("head", ["200 OK", "404 Not Found", "503 Service Unavailable"])
async def test_any_answer_will_do(head: str) -> None:
    async with served(answering(head)) as port:
        assert await look(f"http://one.example:{port}/", at(port)) == Look(Passed())


async def test_its_clock_is_compared_with_ours() -> None:
    date = formatdate(WALL + 60, usegmt=True)
    async with served(answering(f"200 OK\r\nDate: {date}")) as port:
        seen = await look(f"http://one.example:{port}/", at(port))
    assert seen.offset is not None
    assert abs(seen.offset - 60) < 3


@pytest.mark.parametrize(
    "date",
    [
        "soon",
        "Mon, 99 Foo 2024 00:00:00 GMT",
        "",
        "Tue, 06 Oct 99999999999999999999 12:00:00 GMT",
    ],
)
async def test_an_odd_date_says_nothing(date: str) -> None:
    async with served(answering(f"200 OK\r\nDate: {date}")) as port:
        assert await look(f"http://one.example:{port}/", at(port)) == Look(Passed())


async def test_no_tls_where_it_was_expected_is_still_an_answer() -> None:
    async with served(answering("400 Bad Request")) as port:
        assert await look(f"https://one.example:{port}/", at(port)) == Look(Passed())


async def test_a_closed_port_is_the_networks() -> None:
    async with served(answering("200 OK")) as port:
        pass
    seen = await look(f"http://one.example:{port}/", at(port))
    assert isinstance(seen.outcome, Failed)
    assert seen.outcome.failure.reason is Reason.REFUSED


async def test_silence_is_the_networks() -> None:
    async def silent(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    began = time.monotonic()
    async with served(silent) as port:
        seen = await look(f"http://one.example:{port}/", at(port), timeout=0.2)
    assert isinstance(seen.outcome, Failed)
    assert seen.outcome.failure.reason is Reason.TIMEOUT
    assert time.monotonic() > began


async def test_a_name_without_an_answer_is_the_networks() -> None:
    failure = Failure(Phase.RESOLVE, Reason.SERVFAIL)
    seen = await look("https://one.example/", Resolution((), failure))
    assert seen.outcome == Failed(failure)


@pytest.mark.parametrize(
    "where", ["probe.probers.reference.clock_of", "probe.http.http1.Http1._parsed"]
)
async def test_a_defect_of_ours_says_nothing_of_the_network(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crashes(*_: object) -> None:
        raise IndexError("what a server said")

    monkeypatch.setattr(where, crashes)
    async with served(answering("200 OK")) as port:
        seen = await look(f"http://one.example:{port}/", at(port))
    assert isinstance(seen.outcome, Inconclusive)
    assert seen.outcome.failure.reason is Reason.DEFECT
    assert seen.offset is None
