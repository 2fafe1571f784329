"""The page in a real browser says within ten seconds that its agent is gone, and how old it is."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
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
from tests.support.programs import program

SAYS_WITHIN = 10.0
"""Seconds from the agent's end to the words on the page."""

NOISE = 5.0
"""More seconds that a busy machine may take."""

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
    "--no-proxy-server",
    "--disable-dev-shm-usage",
)

SEEN = """(() => ({
  alarm: document.getElementById("alarm").hidden ? "" : document.getElementById("alarm").innerText,
  old: document.body.classList.contains("old"),
  age: document.getElementById("age").innerText,
  title: document.title,
  at: document.querySelector("main").dataset.at,
}))()"""


class Browser:
    """One tab of a headless Chromium, spoken to over pipes (the DevTools protocol)."""

    def __init__(self, write: trio.lowlevel.FdStream, read: trio.lowlevel.FdStream) -> None:
        self._write, self._read = write, read
        self._rest = b""
        self._calls = 0
        self._session = ""

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its answer; events between are left out."""
        self._calls += 1
        command = {"id": self._calls, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        await self._write.send_all(json.dumps(command).encode() + b"\0")
        while True:
            message = await self._message()
            if message.get("id") == self._calls:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    async def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            chunk = await self._read.receive_some()
            assert chunk, "the browser is gone"
            self._rest += bytes(chunk)
        whole, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(whole)
        return message

    async def open(self, url: str, *, scripts: bool = True) -> None:
        """A new tab with this page."""
        self._session = ""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        if not scripts:
            await self.call("Emulation.setScriptExecutionDisabled", value=True)
        await self.call("Page.navigate", url=url)

    async def asked(self, expression: str) -> Any:
        """The value of an expression; None while the page is not there yet."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def until(self, holds: Callable[[dict[str, Any]], bool], within: float) -> dict[str, Any]:
        """What is seen, as soon as it is so."""
        seen: dict[str, Any] = {}
        with trio.move_on_after(within):
            while True:
                seen = await self.asked(SEEN) or seen
                if seen and holds(seen):
                    return seen
                await trio.sleep(0.1)
        raise AssertionError(f"not within {within} s; last seen: {seen}")


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Browser]:
    """A browser with a profile of its own that talks to nobody but the page."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs_in, theirs_out)]

    def wire() -> None:
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    process = await trio.lowlevel.open_process(
        [program("chromium"), *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=wire,
        start_new_session=True,
    )
    for fd in (theirs_in, theirs_out, *high):
        os.close(fd)
    streams = trio.lowlevel.FdStream(ours_out), trio.lowlevel.FdStream(ours_in)
    try:
        yield Browser(*streams)
    finally:
        with trio.CancelScope(shield=True):
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            for stream in streams:
                await stream.aclose()


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
