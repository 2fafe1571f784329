"""Requests to the agent's port, through ``WebServer.handle`` with the pages of a filled store.

An input is one byte that says in which pieces the rest arrives, and whether a login is asked for,
then what a client sends before it stops sending. The client reads everything that comes back.
"""

from __future__ import annotations

import logging
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import bcrypt
import trio
import trio.testing

from probe.serve import Store, application
from probe.serve.http.guard import Guard
from probe.serve.http.server import Router, WebServer
from tests.fuzz.target import Finding, Target, in_virtual_time
from tests.serve.world import START, filled

_PIECES = (1 << 16, 1, 2, 7, 64, 1000)
_GUARDED = 0x80
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [ -~]+\r\n")
_FIELD = re.compile(rb"[A-Za-z0-9-]+: [ -~]*\r\n")


class _Said(logging.Handler):
    """What the server logs: it does so only when our own code raised."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class _Accepted:
    """The server's side of a connection: a stream in memory that knows where its client is."""

    def __init__(self, stream: trio.StapledStream[Any, Any]) -> None:
        self._stream = stream
        self.socket = self

    def getpeername(self) -> tuple[str, int]:
        return "127.0.0.1", 40000

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@cache
def _said() -> _Said:
    said, logger = _Said(), logging.getLogger("probe.serve")
    logger.addHandler(said)
    logger.propagate = False
    return said


@cache
def _router() -> Router:
    return application(filled(), wall=lambda: START)


def run(data: bytes) -> None:
    """One connection. It must end without a word in the log, and every head must be clean."""
    said = _said()
    said.lines.clear()
    how = data[0] if data else 0
    size = _PIECES[how % len(_PIECES)]
    answer = in_virtual_time(_run, data[1:], size, how >= _GUARDED)
    if said.lines:
        raise Finding(said.lines[0])
    if answer and not _STATUS.match(answer):
        raise Finding(f"no status line: {answer[:80]!r}")
    if b"\r\n\r\n" in answer:
        for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
            if not _FIELD.fullmatch(line + b"\r\n"):
                raise Finding(f"a header that no client reads alike: {line!r}")


async def _run(sent: bytes, size: int, guarded: bool) -> bytes:
    ours, theirs = trio.testing.memory_stream_pair()
    guard = Guard(_web_config(), Store("fuzz", started_at=START).agent) if guarded else None
    if guard is not None:
        await guard.start()
    server: Any = WebServer(_router(), guard)
    answer = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.handle, _Accepted(theirs))
        nursery.start_soon(_send, ours, sent, size)
        async for part in ours:
            answer += part
        nursery.cancel_scope.cancel()
    return answer


@cache
def _web_config() -> Path:
    """Asks for the login a:b, its hash as cheap as bcrypt has them."""
    path = Path(tempfile.mkdtemp(prefix="fuzz-web-")) / "web.yaml"
    hashed = bcrypt.hashpw(b"b", bcrypt.gensalt(4)).decode()
    path.write_text(f"basic_auth_users: {{a: '{hashed}'}}\n")
    return path


async def _send(stream: trio.StapledStream[Any, Any], sent: bytes, size: int) -> None:
    try:
        for start in range(0, len(sent), size):
            await stream.send_all(sent[start : start + size])
        await stream.send_eof()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the server has refused the rest


def seeds() -> list[bytes]:
    """Each page, as scrapers, browsers and health checks ask for it; and what is no request."""
    host = b"HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    paths = b"/ /metrics /healthz /readyz /api/v1/status /api/v1/status?edges=3 /target/x /static/x"
    gets = [b"GET " + path + b" " + host + b"\r\n" for path in paths.split()]
    scrape = b"Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n"
    return [
        *(b"\0" + one for one in gets),
        b"\0GET /metrics " + host + scrape + b"Accept-Encoding: gzip;q=0.5, *;q=0\r\n\r\n",
        b"\4HEAD /metrics " + host + b"\r\n" + gets[2] + gets[3],
        b"\3GET http://127.0.0.1/target/%2e%2e%00?a=%ff " + host + b"Connection: close\r\n\r\n",
        b"\0POST / " + host + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n" + gets[2],
        b"\0GET / " + host + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
        b"\0GET / HTTP/1.0\r\nAuthorization: Basic YTpi\r\n\r\n",
        b"\x80GET / " + host + b"Authorization: Basic YTpi\r\n\r\n",
        b"\x80GET /metrics " + host + b"Authorization: Basic YTpj\r\n\r\n" + gets[2],
        b"\0PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        b"\1\x16\x03\x01\x02\0\1",
    ]


def words() -> list[bytes]:
    """What means something in a request."""
    texts = """GET HEAD POST OPTIONS * HTTP/1.0 HTTP/1.1 HTTP/2.0 Host: Connection: close keep-alive
    Upgrade: h2c Accept: Accept-Encoding: gzip identity ;q=0 application/openmetrics-text
    Content-Length: Transfer-Encoding: chunked Expect: 100-continue Range: Cookie: Authorization:
    Basic Bearer Origin: Sec-Fetch-Site: /metrics /healthz /api/v1/status /target/ /static/ ../ %00
    %2e%2e ?edges= &state= http:// @ [::1] localhost"""
    return [b"\r\n", b"\r\n\r\n", b"\r\n ", b"\0", *(word.encode() for word in texts.split())]


TARGET = Target(run, seeds, words)
