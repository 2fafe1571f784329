"""The HTTP server: answers, addresses, errors, and an end within a second."""

from __future__ import annotations

import socket
from functools import partial

import pytest
import trio

from probe.model.spec import Listen
from probe.serve import ListenError, Store, application, serve


async def get(address: str, path: str, *headers: str, method: str = "GET") -> bytes:
    host, port = address.removeprefix("http://").rsplit(":", 1)
    stream = await trio.open_tcp_stream(host.strip("[]"), int(port))
    async with stream:
        lines = [f"{method} {path} HTTP/1.1", "Host: probe", "Connection: close", *headers]
        await stream.send_all(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = b""
        async for data in stream:
            answer += data
    return answer


async def test_it_answers_on_a_port_of_the_systems_choice() -> None:
    app = application(Store("sa-east", started_at=0.0))
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            address = await nursery.start(partial(serve, app, Listen("127.0.0.1", 0)))
            assert not address.endswith(":0")
            assert (await get(address, "/healthz")).startswith(b"HTTP/1.1 200")
            assert (await get(address, "/nowhere")).startswith(b"HTTP/1.1 404")
            assert (await get(address, "/metrics", method="POST")).startswith(b"HTTP/1.1 405")
            nursery.cancel_scope.cancel()


async def test_a_port_in_use_is_said_with_the_address() -> None:
    app = application(Store("sa-east", started_at=0.0))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}: Address already in use"):
            await serve(app, Listen("127.0.0.1", port))
