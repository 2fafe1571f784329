"""The lab in a process of its own, so that its handshakes and a live display share no loop.

``open_lab_process`` starts ``python -m probe.lab.process`` and steers it over its standard input
and output. The child ends when its input closes, so that it never outlives its parent.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from probe.lab.board import Where
from probe.lab.control import lines, obey, send_line
from probe.lab.info import Broken, Layout, WorldInfo
from probe.lab.world import open_world

_GOODBYE_SECONDS = 2.0


class LabDied(Exception):
    """The lab's process ended, or answered nothing that makes sense."""


@dataclass(slots=True)
class RemoteLab:
    """A lab in another process; the same abilities as ``World``."""

    info: WorldInfo
    process: trio.Process
    _answers: AsyncIterator[Any] = field(repr=False)
    _lock: trio.Lock = field(default_factory=trio.Lock, repr=False)

    async def _ask(self, **command: Any) -> Any:
        async with self._lock:
            assert self.process.stdin is not None  # noqa: S101 - opened with a pipe
            try:
                await send_line(self.process.stdin, command)
            except trio.BrokenResourceError:
                raise LabDied("the lab's process has ended") from None
            answer = await _next(self._answers)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["ok"]

    async def inject(
        self, fault: str, where: Where | None = None, *, probability: float = 1.0
    ) -> int:
        """Switch a fault on; ValueError when the lab refuses."""
        place = (where or Where()).to_json()
        number = await self._ask(do="inject", fault=fault, where=place, probability=probability)
        return int(number)

    async def remove(self, number: int) -> None:
        """Switch one fault off."""
        await self._ask(do="remove", number=number)

    async def clear(self) -> None:
        """Switch every fault off."""
        await self._ask(do="clear")

    async def move(self, domains: Iterable[str], canonical: str) -> None:
        """Point the DNS of domains elsewhere."""
        await self._ask(do="move", domains=list(domains), canonical=canonical)

    async def truth(self) -> tuple[Broken, ...]:
        """What is broken now."""
        return tuple(Broken(**one) for one in await self._ask(do="truth"))


async def _next(answers: AsyncIterator[Any]) -> Any:
    try:
        return await anext(answers)
    except StopAsyncIteration:
        raise LabDied("the lab's process has ended") from None


@asynccontextmanager
async def open_lab_process(folder: Path, layout: Layout | None = None) -> AsyncIterator[RemoteLab]:
    """Start a lab as a child process; it ends with the block.

    ``folder`` receives the root certificate and ``lab.log``, what the child says of its errors.

    Raises:
        LabDied: it did not start.
    """
    start = WorldInfo(layout or Layout(), (), {}, str(folder), False).to_json()
    with (folder / "lab.log").open("wb") as log:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "probe.lab.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdin is not None  # noqa: S101 - opened with a pipe
    assert process.stdout is not None  # noqa: S101 - opened with a pipe
    try:
        async with aclosing(lines(process.stdout)) as answers:
            await send_line(process.stdin, start)
            info = WorldInfo.from_json(await _next(answers))
            yield RemoteLab(info, process, answers)
    finally:
        with trio.CancelScope(shield=True):
            await _end(process)


async def _end(process: trio.Process) -> None:
    assert process.stdin is not None  # noqa: S101 - opened with a pipe
    assert process.stdout is not None  # noqa: S101 - opened with a pipe
    await process.stdin.aclose()
    with trio.move_on_after(_GOODBYE_SECONDS) as waiting:
        await process.wait()
    if waiting.cancelled_caught:
        process.kill()
        await process.wait()
    await process.stdout.aclose()


async def _main() -> None:
    """The child: a lab, obeying the lines of its input until that closes."""
    hear = trio.lowlevel.FdStream(os.dup(sys.stdin.fileno()))
    say = trio.lowlevel.FdStream(os.dup(sys.stdout.fileno()))
    async with hear, say, aclosing(lines(hear)) as commands:
        start = WorldInfo.from_json(await anext(commands))
        async with open_world(Path(start.roots), start.layout) as world:
            await send_line(say, world.info.to_json())
            async for command in commands:
                try:
                    answer = {"ok": await obey(world, command)}
                except (KeyError, ValueError, TypeError) as error:
                    answer = {"error": repr(error)}
                await send_line(say, answer)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us, by closing our input
    trio.run(_main)
