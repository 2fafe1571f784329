"""Two releases side by side: the new one takes the address over without a gap in the data."""

from __future__ import annotations

import re
import signal
import socket
from functools import partial
from pathlib import Path

import pytest
import trio

from probe.agent.warmup import warmed_up
from probe.model.spec import Listen
from probe.net.http import httpx
from probe.serve import ListenError, Store, application, serve
from tests.support.agents import StartAgent
from tests.support.ports import free_port

EDGES = re.compile(r"^probe_edge_up\{.*\} 1\.0$", re.MULTILINE)


@pytest.mark.slow
async def test_every_scrape_during_an_upgrade_sees_every_edge(
    config: Path, agents: StartAgent
) -> None:
    """The old agent and the new one, watched by a scraper that never pauses for long."""
    listen = f"127.0.0.1:{free_port()}"
    seen: list[int] = []

    async def scrape() -> None:
        # Each scrape is a new connection: the hardest case, a kept one stays with the old agent.
        while True:
            async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
                answer = await client.get(f"http://{listen}/metrics")
            seen.append(len(EDGES.findall(answer.text)))
            await trio.sleep(0.05)

    handover = ("--listen", listen, "--handover", "30")
    async with agents(config, *handover) as old:
        await old.said("started")

        async def complete() -> bool:
            return len(EDGES.findall((await old.get("/metrics")).text)) == 32

        await old.until(complete)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scrape)
            async with agents(config, *handover) as new:
                assert (await new.said("took over"))["complete"] is True
                old.process.send_signal(signal.SIGTERM)
                await old.said("stopped")
                before = len(seen)
                with trio.fail_after(30):
                    while len(seen) < before + 5:
                        await trio.sleep(0.05)
                nursery.cancel_scope.cancel()
    assert before > 10
    assert set(seen) == {32}, "no scrape failed, and none was incomplete"


async def test_what_had_begun_to_connect_is_answered_before_the_address_is_left() -> None:
    """The kernel resets who waits at a socket that is closed, so nobody may wait there."""
    listen = Listen("127.0.0.1", free_port())
    leave = trio.Event()
    statuses: list[bytes] = []

    async def ask(connected: trio.SocketStream) -> None:
        async with connected:
            await connected.send_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            statuses.append((await connected.receive_some(4096)).partition(b"\r\n")[0])

    async def connect_and_ask() -> None:
        await ask(await trio.open_tcp_stream(listen.host, listen.port))

    async with trio.open_nursery() as nursery:
        start = partial(serve, application(Store("sa-east", started_at=0.0)), listen)

        async def at_once() -> None:
            pass

        await nursery.start(partial(start, turn=at_once, stop=leave.wait))
        await nursery.start(partial(start, turn=at_once))
        begun = [await trio.open_tcp_stream(listen.host, listen.port) for _ in range(24)]
        with trio.fail_after(20):
            async with trio.open_nursery() as asking:
                leave.set()
                for stream in begun:
                    asking.start_soon(ask, stream)
                for _ in range(24):
                    asking.start_soon(connect_and_ask)
                    await trio.sleep(0.05)  # while it leaves, and after
        nursery.cancel_scope.cancel()
    assert statuses == [b"HTTP/1.1 200 OK"] * 48


async def test_alone_it_serves_at_once() -> None:
    async def never() -> None:
        raise AssertionError("nobody else serves")

    serving = trio.Event()
    start = partial(
        serve,
        application(Store("sa-east", started_at=0.0)),
        Listen("127.0.0.1", free_port()),
        turn=never,
        on_serving=serving.set,
    )
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(start)
            await serving.wait()
            nursery.cancel_scope.cancel()


async def test_an_address_that_its_owner_does_not_share_is_refused_before_anything_starts() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = Listen("127.0.0.1", other.getsockname()[1])
        store = Store("sa-east", started_at=0.0)
        with pytest.raises(ListenError, match="Address already in use"):
            await serve(application(store), listen, turn=trio.sleep_forever)


async def test_one_that_was_not_asked_to_never_shares_an_address() -> None:
    listen = Listen("127.0.0.1", free_port())
    store = Store("sa-east", started_at=0.0)
    async with trio.open_nursery() as nursery:
        sharing = partial(serve, application(store), listen, turn=trio.sleep_forever)
        await nursery.start(sharing)
        with pytest.raises(ListenError, match="Address already in use"):
            await serve(application(store), listen)
        nursery.cancel_scope.cancel()


async def test_knowing_nothing_ends_with_the_time(autojump_clock: trio.testing.MockClock) -> None:
    begin = trio.current_time()
    assert await warmed_up(Store("sa-east", started_at=0.0), list, 20.0) is False
    assert trio.current_time() - begin == 20.0
