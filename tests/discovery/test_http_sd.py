"""Lists behind a URL, from a server that behaves and one that does not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio

from probe.discovery import SourceStatus, TargetWatcher, http
from probe.model.secret import Secret, SecretError, SecretRef
from probe.model.spec import HttpSource, TargetList
from probe.model.target import Target

GOOD = b'[{"targets": ["shop.example:443"], "labels": {"owner": "x"}}]'


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


@dataclass
class Endpoint:
    """A server that answers every request with ``answer``; empty bytes are silence."""

    url: str = ""
    answer: bytes = answer(GOOD)
    requests: list[str] = field(default_factory=list)

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            while head := await _head(stream):
                self.requests.append(head)
                if not self.answer:
                    await trio.sleep_forever()
                try:
                    await stream.send_all(self.answer)
                except trio.BrokenResourceError:
                    return


async def _head(stream: trio.SocketStream) -> str:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        chunk = bytes(await stream.receive_some())
        if not chunk:
            return ""
        data += chunk
    return data.decode()


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    server = Endpoint()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/targets"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, server.serve, listeners)
        yield server
        nursery.cancel_scope.cancel()


def watcher(
    url: str,
    timeout: float = 5.0,
    read_secret: Callable[[SecretRef], Secret] | None = None,
    static: tuple[Target, ...] = (),
) -> TargetWatcher:
    reference = SecretRef("env", "TOKEN") if read_secret else None
    sources = (HttpSource(url, reference, timeout),)
    spec = TargetList("stores", static, http=sources, refresh=0.01)
    return TargetWatcher(spec, read_secret) if read_secret else TargetWatcher(spec)


async def test_a_json_list_gives_targets_with_labels() -> None:
    async with endpoint() as server:
        watched = watcher(server.url)
        await watched.look()
    (status,) = watched.statuses
    assert watched.targets == (Target("shop.example", 443, {"owner": "x"}),)
    assert (status.up, status.targets, status.problems) == (True, 1, ())
    assert "x-prometheus-refresh-interval-seconds: 0.01" in server.requests[0]


FAULTS: dict[str, tuple[bytes, str]] = {
    "server error": (answer(b"[]", "503 Service Unavailable"), "status 503"),
    "redirect": (answer(b"", "302 Found", "location: /else\r\n"), "status 302"),
    "no JSON": (answer(b"<html>Sign in</html>"), "no JSON"),
    "no list": (answer(b"{}"), "no list of groups"),
    "nothing": (answer(b""), "empty"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "RemoteProtocolError"),
    "cut off": (b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n[]", "within 0.2 s"),
    "compressed": (answer(b"\x1f\x8b", headers="content-encoding: gzip\r\n"), "coded (gzip)"),
    "too large": (answer(GOOD + b" " * 2000), "larger than"),
    "silence": (b"", "no whole answer within 0.2 s"),
}


@pytest.mark.parametrize(("reply", "problem"), FAULTS.values(), ids=FAULTS)
async def test_each_fault_keeps_the_last_good_list_and_says_so(
    reply: bytes, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LARGEST", 1000)
    async with endpoint() as server:
        watched = watcher(server.url, timeout=0.2)
        await watched.look()
        server.answer = reply
        await watched.look()
        (status,) = watched.statuses
        assert not status.up
        assert problem in status.problems[0]
        assert [target.name for target in watched.targets] == ["shop.example"]
        server.answer = answer(b'[{"targets": ["other.example"]}]')
        await watched.look()
        assert watched.statuses[0].problems == ()
        assert [target.name for target in watched.targets] == ["other.example"]


async def test_a_server_that_is_not_there_is_a_problem() -> None:
    async with endpoint() as server:
        pass
    watched = watcher(server.url)
    await watched.look()
    assert "ConnectError" in watched.statuses[0].problems[0]


async def test_a_slow_server_does_not_hold_up_the_start_and_its_list_comes_later() -> None:
    told: list[tuple[Target, ...]] = []
    statuses: list[SourceStatus] = []

    changed = trio.Event()

    async def on_change(targets: tuple[Target, ...]) -> None:
        told.append(targets)
        changed.set()

    async with endpoint() as server:
        server.answer = b""
        watched = watcher(server.url, timeout=0.05, static=(Target("s.example"),))
        async with trio.open_nursery() as nursery:
            first = await nursery.start(watched.watch, on_change, statuses.append)
            assert first == (Target("s.example"),)
            with trio.fail_after(5):
                while not statuses:
                    await trio.sleep(0.01)
            server.answer = answer(GOOD)
            with trio.fail_after(5):
                await changed.wait()
            nursery.cancel_scope.cancel()
    assert [target.name for target in told[0]] == ["s.example", "shop.example"]


async def test_the_bearer_token_is_read_for_each_fetch() -> None:
    tokens = iter(("first", "second\n"))
    async with endpoint() as server:
        watched = watcher(server.url, read_secret=lambda ref: Secret(next(tokens)))
        await watched.look()
        await watched.look()
    assert "authorization: Bearer first\r\n" in server.requests[0]
    assert "authorization: Bearer second\r\n" in server.requests[1]


async def test_a_missing_or_unfit_secret_is_a_problem_that_shows_nothing_of_it() -> None:
    def missing(reference: SecretRef) -> Secret:
        raise SecretError(f"{reference} is not set")

    async with endpoint() as server:
        for read in (missing, lambda ref: Secret("tok\r\nx-evil: en")):
            watched = watcher(server.url, read_secret=read)
            await watched.look()
            (status,) = watched.statuses
            assert "env:TOKEN" in status.problems[0]
            assert "evil" not in str(status)
    assert server.requests == []


async def test_user_password_and_query_of_a_url_are_never_shown() -> None:
    watched = watcher("http://user:hunter2@127.0.0.1:1/targets?key=hunter2")
    await watched.look()
    assert "hunter2" not in str(watched.statuses)
    assert watched.statuses[0].source == "http://127.0.0.1:1/targets"
