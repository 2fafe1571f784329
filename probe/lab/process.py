"""The lab in processes of its own, so that its handshakes and a live display share no loop.

``open_lab_process`` starts ``python -m probe.lab.process`` twice and steers both over their
standard inputs and outputs: one has the CDNs' edges, which are the work, the other the platform
and DNS, which must not wait behind them. A child ends when its input closes, so that it never
outlives its parent.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from probe.lab.board import Where
from probe.lab.control import lines, obey, send_line
from probe.lab.info import Broken, Layout, Part, Strikes, WorldInfo
from probe.lab.places import choose_places
from probe.lab.world import Share, open_world

PARTS: tuple[Part, ...] = ("edges", "platform")
_GOODBYE_SECONDS = 2.0


class LabDied(Exception):
    """The lab's process ended, or answered nothing that makes sense."""


@dataclass(slots=True)
class _Worker:
    """One process of a lab."""

    process: trio.Process
    answers: AsyncGenerator[Any, None]

    async def ask(self, document: Any) -> Any:
        """Send a line, and wait for the one that answers it."""
        assert self.process.stdin is not None  # noqa: S101 - opened with a pipe
        try:
            await send_line(self.process.stdin, document)
            return await anext(self.answers)
        except (trio.BrokenResourceError, StopAsyncIteration):
            raise LabDied("a process of the lab has ended; see lab-*.log") from None


@dataclass(slots=True)
class RemoteLab:
    """A lab in other processes; the same abilities as ``World``.

    Attributes:
        processes: the children.
    """

    info: WorldInfo
    processes: tuple[trio.Process, ...]
    _workers: tuple[_Worker, ...] = field(repr=False)
    _lock: trio.Lock = field(default_factory=trio.Lock, repr=False)

    async def _ask_all(self, **command: Any) -> list[Any]:
        """Tell all processes the same."""
        async with self._lock:
            answers = [await worker.ask(command) for worker in self._workers]
        if "error" in answers[0]:
            raise ValueError(answers[0]["error"])
        return [answer["ok"] for answer in answers]

    async def _ask(self, **command: Any) -> Any:
        """Tell all processes what they know alike and answer alike."""
        return (await self._ask_all(**command))[0]

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

    async def struck(self) -> tuple[Strikes, ...]:
        """How often each fault struck, in whichever process."""
        answers = await self._ask_all(do="struck")
        return tuple(Strikes(**one) for answer in answers for one in answer)


@asynccontextmanager
async def open_lab_process(folder: Path, layout: Layout | None = None) -> AsyncIterator[RemoteLab]:
    """Start a lab as child processes; it ends with the block.

    ``folder`` receives the root certificates and ``lab-*.log``, what children say of their errors.

    Raises:
        LabDied: it did not start.
    """
    layout = layout or Layout()
    places, distinct = choose_places(layout.regions, layout.network)
    start = WorldInfo(layout, places, {}, str(folder), distinct).to_json()
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(_worker(folder, part)) for part in PARTS]
        infos = []
        for part, worker in zip(PARTS, workers, strict=True):
            infos.append(WorldInfo.from_json(await worker.ask({**start, "part": part})))
        roots = folder / "roots.pem"
        known = b"".join([await trio.Path(info.roots).read_bytes() for info in infos])
        await trio.Path(roots).write_bytes(known)
        resolvers = {region: at for info in infos for region, at in info.resolvers.items()}
        info = WorldInfo(layout, places, resolvers, str(roots), distinct)
        yield RemoteLab(info, tuple(worker.process for worker in workers), tuple(workers))


@asynccontextmanager
async def _worker(folder: Path, part: Part) -> AsyncIterator[_Worker]:
    with (folder / f"lab-{part}.log").open("wb") as log:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "probe.lab.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None  # noqa: S101 - opened with a pipe
    try:
        async with aclosing(lines(process.stdout)) as answers:
            yield _Worker(process, answers)
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
    """The child: a share of a lab, obeying the lines of its input until that closes."""
    hear = trio.lowlevel.FdStream(os.dup(sys.stdin.fileno()))
    say = trio.lowlevel.FdStream(os.dup(sys.stdout.fileno()))
    async with hear, say, aclosing(lines(hear)) as commands:
        order = await anext(commands)
        start = WorldInfo.from_json(order)
        share = Share(order["part"], start.places, start.distinct)
        async with open_world(Path(start.roots), start.layout, share=share) as world:
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
