"""The HTTP server: answers, addresses, errors, and an end within a second whatever clients do."""

from __future__ import annotations

import gzip
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
import trio.testing

from probe.model.spec import Listen
from probe.serve import ListenError, Store, application, serve
from probe.serve.http import server as server_module
from probe.serve.http.server import Router

from .world import filled

LOOPBACK = Listen("127.0.0.1", 0)


@asynccontextmanager
async def serving(store: Store, listen: Listen = LOOPBACK) -> AsyncIterator[str]:
    async with serving_router(application(store), listen) as address:
        yield address


@asynccontextmanager
async def serving_router(router: Router, listen: Listen = LOOPBACK) -> AsyncIterator[str]:
    stop = trio.Event()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            start = partial(serve, router, listen, stop=stop.wait)
            yield await nursery.start(start)
            stop.set()


async def connect(address: str) -> trio.SocketStream:
    host, port = address.removeprefix("http://").rsplit(":", 1)
    return await trio.open_tcp_stream(host.strip("[]"), int(port))


async def ask(
    address: str, path: str, *headers: str, method: str = "GET", host: str = "localhost"
) -> tuple[str, bytes]:
    """Head and body of the answer; chunked bodies put together."""
    async with await connect(address) as stream:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
        await stream.send_all(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = b"".join([data async for data in stream])
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        whole, rest = b"", body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            whole, rest = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        body = whole
    return head.decode(), body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/metrics", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("POST", "/metrics", 405),
        ("DELETE", "/", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/target/nobody.example", 404),
        ("GET", "/../../etc/passwd", 404),
    ],
)
async def test_paths_and_methods(method: str, path: str, status: int) -> None:
    async with serving(filled(targets=2)) as address:
        head, body = await ask(address, path, method=method)
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "server:" not in head.lower()
    if status >= 400:
        assert "content-type: text/plain" in head.lower()
        assert body


async def test_not_ready_before_targets_are_loaded() -> None:
    async with serving(Store("sa-east", started_at=0.0)) as address:
        head, _ = await ask(address, "/readyz")
        assert head.startswith("HTTP/1.1 503 ")
        assert (await ask(address, "/healthz"))[0].startswith("HTTP/1.1 200 ")


async def test_metrics_come_in_the_format_and_coding_asked_for() -> None:
    async with serving(filled()) as address:
        head, body = await ask(address, "/metrics")
        assert "content-type: text/plain; version=0.0.4; charset=utf-8" in head.lower()
        assert b'probe_success{check="stores"' in body
        accept = "Accept: application/openmetrics-text; version=1.0.0"
        head, body = await ask(address, "/metrics", accept, "Accept-Encoding: gzip")
        assert "content-type: application/openmetrics-text; version=1.0.0" in head.lower()
        assert "content-encoding: gzip" in head.lower()
        assert gzip.decompress(body).endswith(b"# EOF\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_it_listens_where_it_is_told_on_a_port_of_the_systems_choice(host: str) -> None:
    try:
        async with serving(Store("r", started_at=0.0), Listen(host, 0)) as address:
            assert not address.endswith(":0")
            assert (await ask(address, "/healthz"))[1] == b"ok\n"
    except ExceptionGroup as group:
        if host == "::1" and group.subgroup(ListenError):
            pytest.skip("no IPv6 on this host")
        raise


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
async def test_an_address_that_is_not_ours_is_said(host: str) -> None:
    with pytest.raises(ListenError, match=f"cannot listen on {host}:9469"):
        await serve(application(Store("r", started_at=0.0)), Listen(host, 9469))


async def test_a_port_in_use_is_said_with_the_address() -> None:
    app = application(Store("sa-east", started_at=0.0))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}: Address already in use"):
            await serve(app, Listen("127.0.0.1", port))


async def test_stopping_does_not_wait_for_idle_or_stuck_clients() -> None:
    """A client that asks for megabytes and never reads must not keep the agent from ending."""
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        start = partial(serve, application(filled(targets=600)), LOOPBACK, stop=stop.wait)
        address = await nursery.start(start)
        idle = await connect(address)
        await idle.send_all(b"GET /healthz HTTP/1.1\r\nHost: probe\r\n\r\n")
        await idle.receive_some(100)
        half = await connect(address)
        await half.send_all(b"GET /metr")
        stuck = await connect(address)
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await stuck.send_all(b"GET /metrics HTTP/1.1\r\nHost: probe\r\n\r\n")
        await stuck.receive_some(100)
        stop.set()
        nursery.cancel_scope.deadline = trio.current_time() + 2.0
    assert not nursery.cancel_scope.cancelled_caught
    for stream in (idle, half, stuck):
        await stream.aclose()


async def test_a_stuck_client_does_not_resist_cancellation_either() -> None:
    app = application(filled(targets=600))
    with trio.move_on_after(5) as whole:
        async with trio.open_nursery() as nursery:
            address = await nursery.start(partial(serve, app, LOOPBACK))
            stuck = await connect(address)
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await stuck.send_all(b"GET /metrics HTTP/1.1\r\nHost: probe\r\n\r\n")
            await stuck.receive_some(100)
            nursery.cancel_scope.cancel()
    assert not whole.cancelled_caught
    await stuck.aclose()


async def test_clients_that_leave_in_the_middle_are_no_event(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(filled(targets=300)) as address:
        for _ in range(3):
            async with await connect(address) as stream:
                await stream.send_all(b"GET /metrics HTTP/1.1\r\nHost: probe\r\n\r\n")
                await stream.receive_some(100)
        assert (await ask(address, "/healthz"))[1] == b"ok\n"
    assert [record.getMessage() for record in caplog.records if record.levelname != "DEBUG"] == []


async def test_garbage_neither_ends_the_server_nor_fills_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(filled(targets=1)) as address:
        for garbage in (b"\x16\x03\x01\x00\xff\x01", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 50_000):
            async with await connect(address) as stream:
                await stream.send_all(garbage)
                await stream.send_eof()
                with trio.move_on_after(2):
                    with suppress(trio.BrokenResourceError):
                        await stream.receive_some(100)
        assert (await ask(address, "/healthz"))[1] == b"ok\n"
    assert [record.getMessage() for record in caplog.records if record.levelname != "DEBUG"] == []


async def test_connections_of_clients_that_went_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Health checks and many scrapers come with a new connection each time, and go."""
    monkeypatch.setattr(server_module, "CONNECTIONS", 4)
    async with serving(filled(targets=1)) as address:
        for _ in range(20):
            async with await connect(address) as stream:
                await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: probe\r\n\r\n")
                answer = b""
                while not answer.endswith(b"ok\n"):
                    data = await stream.receive_some(4096)
                    assert data, "no answer"
                    answer += data
                await trio.testing.wait_all_tasks_blocked(0.01)  # the server now waits for more


async def test_a_client_that_only_finished_asking_is_answered() -> None:
    async with serving(filled(targets=1)) as address, await connect(address) as stream:
        await stream.send_all(b"GET /metrics HTTP/1.1\r\nHost: probe\r\n\r\n")
        await stream.send_eof()
        answer = b"".join([data async for data in stream])
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"probe_success{" in answer


# ---------------------------------------------------------------- who may ask for what

PAGES = ["/", "/api/v1/status", "/target/store-00000.example", "/static/style.css"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9469", 200),
        ("[::1]:9469", 200),
        ("localhost", 200),
        ("LOCALHOST.", 200),
        (socket.gethostname(), 200),
        ("probe.example.com:9469", 200),
        ("a.inner.example.com", 200),
        ("inner.example.com", 421),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("1.2.3", 421),
        ("user@localhost", 400),
        ("local host", 400),
        ("localhost:80:80", 400),
        ("b\u00fccher.example", 400),
        ("localhost, evil.example", 400),
    ],
)
async def test_browsers_read_pages_under_known_names_only(host: str, status: int) -> None:
    """Else a foreign page whose name is pointed here (DNS rebinding) could read them."""
    names = ("probe.example.com", "*.inner.example.com")
    router = application(filled(targets=1), hosts=names)
    async with serving_router(router) as address:
        for path in PAGES:
            head, body = await ask(address, path, host=host)
            assert head.startswith(f"HTTP/1.1 {status} "), path
            if status == 421:
                assert b"host_names:" in body
        head, _ = await ask(address, "/metrics", host=host)
        assert head.startswith(f"HTTP/1.1 {400 if status == 400 else 200} ")
        # The authority of a whole URL goes before Host (RFC 9112 section 3.2.2).
        if status != 400:
            head, _ = await ask(address, f"http://{host}/", host="evil.example")
            assert head.startswith(f"HTTP/1.1 {status} ")


async def test_without_pages_only_metrics_and_health_are_there() -> None:
    router = application(filled(targets=1), pages=False)
    async with serving_router(router) as address:
        for path in PAGES:
            head, body = await ask(address, path)
            assert head.startswith("HTTP/1.1 404 ")
            assert b"store-00000" not in body
        for path in ("/metrics", "/healthz", "/readyz"):
            head, _ = await ask(address, path)
            assert head.startswith("HTTP/1.1 200 ")


async def test_no_evidence_is_kept_framed_or_read_from_elsewhere() -> None:
    async with serving(filled(targets=1)) as address:
        for path in PAGES[:3]:
            head = (await ask(address, path))[0].lower()
            for line in (
                "cache-control: no-store",
                "x-content-type-options: nosniff",
                "x-frame-options: deny",
                "referrer-policy: no-referrer",
                "cross-origin-resource-policy: same-origin",
            ):
                assert line in head, path
            assert "access-control-allow" not in head
