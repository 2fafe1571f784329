"""The page in a real browser says within ten seconds that its agent is gone, and how old it is."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio

from probe.model.spec import Listen
from probe.serve import application, serve
from tests.serve.world import filled
from tests.support.agents import StartAgent
from tests.support.browser import chromium

SAYS_WITHIN = 10.0
"""Seconds from the agent's end to the words on the page."""

NOISE = 5.0
"""More seconds that a busy machine may take."""

PROXY = "<!doctype html><title>Sign in</title><main>Please sign in</main>"


async def _answer(stream: trio.SocketStream, *, status: str, body: str = "") -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nContent-Type: text/html\r\n"
    async with stream:
        await stream.receive_some()
        await stream.send_all(f"{head}Connection: close\r\n\r\n{body}".encode())


@asynccontextmanager
async def answering(port: int, status: str, body: str = "") -> AsyncIterator[None]:
    """Something in the agent's place that gives every request the same answer."""
    async with trio.open_nursery() as nursery:
        answer = partial(_answer, status=status, body=body)
        await nursery.start(partial(trio.serve_tcp, answer, port, host="127.0.0.1"))
        yield
        nursery.cancel_scope.cancel()


def says(text: str) -> Callable[[dict[str, Any]], bool]:
    """Whether the large letters say so."""
    return lambda one: text in one["alarm"]


@pytest.mark.slow
async def test_the_page_says_that_its_agent_is_hung_dead_or_ill(
    tmp_path: Path, plain: Path, agents: StartAgent
) -> None:
    within = SAYS_WITHIN + NOISE
    async with (
        agents(plain, "--listen", "127.0.0.1:0") as agent,
        chromium(tmp_path / "profile") as browser,
    ):
        address = await agent.address()
        await browser.open(address)
        seen = await browser.until(lambda one: one["age"] != "", 60)
        fresh = await browser.until(lambda one: one["at"] != seen["at"], within)
        assert (fresh["alarm"], fresh["old"]) == ("", False)
        assert "sa-east" in fresh["title"]

        agent.process.send_signal(signal.SIGSTOP)
        hung = await browser.until(lambda one: bool(one["alarm"]), within)
        assert "The agent does not answer" in hung["alarm"]
        assert hung["old"]
        assert "The agent does not answer" in hung["title"]
        later = await browser.until(lambda one: one["age"] != hung["age"], within)
        assert later["at"] == hung["at"], "the age ticks without the agent"

        agent.process.send_signal(signal.SIGCONT)
        again = await browser.until(lambda one: not one["alarm"], within)
        assert not again["old"]
        assert again["at"] != hung["at"]

        agent.process.send_signal(signal.SIGKILL)
        dead = await browser.until(lambda one: bool(one["alarm"]), within)
        assert "The agent does not answer" in dead["alarm"]

        await agent.process.wait()
        port = urlsplit(address).port or 0
        for status, body, said in (
            ("503 Service Unavailable", "", "The agent answers with error 503"),
            ("500 Internal Server Error", PROXY, "The agent answers with error 500"),
            ("200 OK", PROXY, "Something other than the agent answers"),
        ):
            async with answering(port, status, body):
                ill = await browser.until(says(said), within)
                assert ill["old"]
                assert "Please sign in" not in await browser.asked("document.body.innerText")


HELD = """(() => ({
  text: document.activeElement.textContent,
  open: [...document.querySelectorAll("details[open]")].map((one) => one.id),
}))()"""


@pytest.mark.slow
async def test_focus_and_open_disclosures_survive_a_renewal(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery, chromium(tmp_path / "profile") as browser:
        start = partial(serve, application(filled(targets=9)), Listen("127.0.0.1", 0))
        await browser.open(await nursery.start(partial(start, stop=trio.sleep_forever)))
        seen = await browser.until(lambda one: one["age"] != "", 60)
        await browser.asked(
            """(() => {
              const one = document.querySelector("details[id$='/targets']");
              one.open = true;
              one.querySelector("a").focus();
            })()"""
        )
        before = await browser.asked(HELD)
        assert before["text"] == "store-00000.example"
        assert before["open"]
        await browser.until(lambda one: one["at"] != seen["at"], SAYS_WITHIN + NOISE)
        assert await browser.asked(HELD) == before
        nursery.cancel_scope.cancel()


@pytest.mark.slow
async def test_without_scripts_the_time_of_the_picture_stands_there(
    tmp_path: Path, plain: Path, agents: StartAgent
) -> None:
    async with (
        agents(plain, "--listen", "127.0.0.1:0") as agent,
        chromium(tmp_path / "profile") as browser,
    ):
        await browser.open(await agent.address(), scripts=False)
        with trio.fail_after(60):
            while "as of" not in (text := await browser.asked("document.body?.innerText") or ""):
                await trio.sleep(0.1)
        assert "reloads every 10 seconds" in text
        assert "UTC" in text
        loaded = "performance.timeOrigin"
        first = await browser.asked(loaded)
        with trio.fail_after(30):
            while await browser.asked(loaded) == first:
                await trio.sleep(0.2)
        with trio.fail_after(30):
            while await browser.asked("document.readyState") != "complete":
                await trio.sleep(0.1)
        agent.process.send_signal(signal.SIGSTOP)
        stale = "getComputedStyle(document.getElementById('stale')).visibility"
        with trio.fail_after(60):
            while await browser.asked(stale) != "visible":
                await trio.sleep(0.2)
                # While the reload waits for the agent, Chromium answers no questions of the page.
                await browser.call("Page.stopLoading")
        grey = "getComputedStyle(document.querySelector('main .banner')).filter"
        assert await browser.asked(grey) == "grayscale(1)"
