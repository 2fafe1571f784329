"""A headless Chromium, spoken to over pipes (the DevTools protocol)."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from tests.support.programs import program

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
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return answer["result"].get("value")

    async def look(self, *, width: int, scheme: str) -> None:
        """Show the page so many CSS pixels wide, in a light or dark scheme."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.call("Emulation.setEmulatedMedia", features=[feature])

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
