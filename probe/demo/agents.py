"""Starts the demo's agents as processes, and ends them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from probe.demo.errors import DemoError

_START_SECONDS = 90.0
_STOP_SECONDS = 3.0
_LOOK_EVERY = 0.05
_LINES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Agent:
    """A running agent.

    Attributes:
        url: of its status page.
        log: file that its log lines go to.
    """

    region: str
    url: str
    log: Path
    process: trio.Process


@asynccontextmanager
async def open_agents(folder: Path, files: dict[str, Path]) -> AsyncIterator[tuple[Agent, ...]]:
    """Start an agent for each region's configuration file; they end with the block.

    Raises:
        DemoError: one did not start; the message holds the end of its log.
    """
    processes: list[trio.Process] = []
    try:
        for region, file in files.items():
            processes.append(await _launch(file, folder / f"{region}.log"))
        agents: dict[str, Agent] = {}

        async def await_start(region: str, process: trio.Process) -> None:
            log = folder / f"{region}.log"
            agents[region] = Agent(region, await _address(process, log), log, process)

        async with trio.open_nursery() as nursery:
            for region, process in zip(files, processes, strict=True):
                nursery.start_soon(await_start, region, process)
        yield tuple(agents[region] for region in files)
    finally:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for process in processes:
                    nursery.start_soon(_end, process)


async def _launch(file: Path, log: Path) -> trio.Process:
    command = ["-m", "probe.demo.leash", "run", "--config", str(file), "--log", "json"]
    with log.open("wb") as stderr:
        return await trio.lowlevel.open_process(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )


async def _address(process: trio.Process, log: Path) -> str:
    """What the agent logs when it listens."""
    with trio.move_on_after(_START_SECONDS):
        while process.poll() is None:
            for line in (await trio.Path(log).read_text()).splitlines():
                found = _started(line)
                if found is not None:
                    return found
            await trio.sleep(_LOOK_EVERY)
    said = (await trio.Path(log).read_text()).splitlines()[-_LINES_SHOWN:]
    state = "ended" if process.returncode is not None else "did not start in time"
    raise DemoError("\n".join([f"an agent {state}:", *said]))


def _started(line: str) -> str | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None  # not written to its end yet, or no log line
    if isinstance(document, dict) and document.get("event") == "started":
        return str(document["address"])
    return None


async def _end(process: trio.Process) -> None:
    """Let go of the leash, and kill what does not end of itself."""
    assert process.stdin is not None  # noqa: S101 - opened with a pipe
    await process.stdin.aclose()
    if process.returncode is None:
        process.terminate()
    with trio.move_on_after(_STOP_SECONDS):
        await process.wait()
        return
    process.kill()
    await process.wait()
