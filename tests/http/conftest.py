"""Calls over a session of their own, to servers that say exactly these bytes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.http.messages import CallResult, Request
from probe.http.session import Dialler, Session, SessionOptions
from probe.model.secret import Secret, SecretRef
from probe.model.tls import ClientProfile, Trust
from tests.support.http_server import Ca, Handler, Stream, at

URL = "http://api.example/"
CAP = 1000
SECONDS = 5.0


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Ca:
    return Ca(tmp_path_factory.mktemp("ca"))


def no_secret(ref: SecretRef) -> Secret:
    raise AssertionError(ref)


class Caller:
    """One session to servers on ports of loopback."""

    def __init__(self, *ports: int, roots: str = "", http2: bool = False, cap: int = CAP) -> None:
        dialler = Dialler(TlsContexts(no_secret), Judge(), time.time)
        alpn = ("h2",) if http2 else ("http/1.1",)
        trust = Trust("file", roots) if roots else Trust()
        options = SessionOptions(at(*ports), ClientProfile(alpn=alpn), trust, max_body=cap)
        self.session = Session(dialler, options)

    async def __call__(
        self, method: str = "GET", url: str = URL, body: bytes = b"", *, seconds: float = SECONDS
    ) -> CallResult:
        deadline = trio.current_time() + seconds
        return await self.session.call(Request(method, url, (), body), deadline=deadline)


async def request_of(stream: Stream) -> bytes:
    """A request without a body; empty at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some(65536)
        if not more:
            return b""
        data += more
    return data


def says(*answers: bytes, then: Callable[[Stream], Awaitable[None]] | None = None) -> Handler:
    """Gives one answer after the other on a connection, the last one again and again."""

    async def handler(stream: Stream) -> None:
        for answer in answers:
            if not await request_of(stream):
                return
            await stream.send_all(answer)
        if then is not None:
            await then(stream)
            return
        while await request_of(stream):
            await stream.send_all(answers[-1])

    return handler


async def hangs_up(stream: Stream) -> None:
    return None


async def waits(stream: Stream) -> None:
    await trio.sleep_forever()


Make = Callable[..., Caller]


@pytest.fixture
def caller() -> Iterator[Make]:
    """Makes callers and closes what they keep."""
    made: list[Caller] = []

    def make(*ports: int, roots: str = "", http2: bool = False, cap: int = CAP) -> Caller:
        made.append(Caller(*ports, roots=roots, http2=http2, cap=cap))
        return made[-1]

    yield make
    for one in made:
        one.session.close()
