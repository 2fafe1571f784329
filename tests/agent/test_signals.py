"""Signals at awkward moments, with the real process: while it starts, reads, waits, ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from tests.support.agents import StartAgent

SOON = 30.0
"""Seconds of patience until it has ended; what it waits for in these tests never comes."""

CHILD = "probe.config.loading"


@dataclass(frozen=True)
class Held:
    """While ``file`` exists no configuration is read by agents of this environment."""

    file: Path
    environ: dict[str, str]


def readers(held: Held) -> list[int]:
    """Processes that read a configuration for an agent of this environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            environ = (entry / "environ").read_bytes()
        except OSError:
            continue
        if CHILD.encode() in words and held.environ["PYTHONPATH"].encode() in environ:
            found.append(int(entry.name))
    return found


@pytest.fixture
def held(tmp_path: Path) -> Held:
    """A switch that keeps the reading of configurations from going on."""
    (tmp_path / "sitecustomize.py").write_text(f"""\
import os, sys, time
while {CHILD!r} in sys.orig_argv and os.path.exists({str(tmp_path / "hold")!r}):
    time.sleep(0.02)
""")
    return Held(tmp_path / "hold", {"PYTHONPATH": str(tmp_path)})


async def until(holds: Callable[[], object]) -> None:
    with trio.fail_after(30):
        while not holds():
            await trio.sleep(0.02)


async def ends(process: trio.Process) -> int:
    with trio.fail_after(SOON):
        return await process.wait()


def listen_nowhere(config: Path) -> None:
    config.write_text(f"listen: 127.0.0.1:0\n{config.read_text()}")


async def test_a_reload_asked_for_while_it_starts_is_done_once_it_runs(
    plain: Path, held: Held, agents: StartAgent
) -> None:
    listen_nowhere(plain)
    held.file.touch()
    async with agents(plain, environ=held.environ) as agent:
        await until(lambda: readers(held))
        agent.process.send_signal(signal.SIGHUP)
        agent.process.send_signal(signal.SIGHUP)
        await trio.sleep(0.2)
        assert agent.process.returncode is None
        held.file.unlink()
        await agent.said("started")
        await agent.said("reloaded")
        await agent.get("/healthz")
        assert [line["event"] for line in agent.log].count("reloaded") == 1
        assert not [line for line in agent.log if line["level"] == "error"]


async def test_from_its_first_line_on_a_reload_does_not_kill(
    plain: Path, agents: StartAgent
) -> None:
    """Sent again and again from the first moment that Python itself can hear it."""
    listen_nowhere(plain)
    program = (
        sys.executable,
        "-c",
        "import os, signal, sys; from probe.cli.main import main;"
        "os.kill(os.getpid(), signal.SIGHUP); main(prog_name='probe')",
    )
    async with agents(plain, program=program) as agent:
        await agent.said("reloaded")
        for _ in range(20):
            agent.process.send_signal(signal.SIGHUP)
            await trio.sleep(0.01)
        await agent.get("/healthz")
        assert agent.process.returncode is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_at_once_while_it_reads_its_configuration(
    number: signal.Signals, plain: Path, held: Held, agents: StartAgent
) -> None:
    held.file.touch()
    async with agents(plain, environ=held.environ) as agent:
        await until(lambda: readers(held))
        agent.process.send_signal(number)
        assert await ends(agent.process) == (0 if number is signal.SIGTERM else 130)
        await until(lambda: not readers(held))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_at_once_while_it_reloads(
    number: signal.Signals, plain: Path, held: Held, agents: StartAgent
) -> None:
    listen_nowhere(plain)
    async with agents(plain, environ=held.environ) as agent:
        await agent.said("started")
        held.file.touch()
        agent.process.send_signal(signal.SIGHUP)
        await until(lambda: readers(held))
        agent.process.send_signal(signal.SIGHUP)  # one more while the first is under way
        agent.process.send_signal(number)
        assert await ends(agent.process) == 0
        await agent.said("stopped")
        await until(lambda: not readers(held))


async def test_it_ends_at_once_while_it_waits_for_its_turn(plain: Path, agents: StartAgent) -> None:
    listen_nowhere(plain)
    async with agents(plain, "--handover", "1") as first:
        address = (await first.address()).removeprefix("http://")
        async with agents(plain, "--handover", "600", "--listen", address) as second:
            await second.said("taking over")
            second.process.send_signal(signal.SIGTERM)
            assert await ends(second.process) == 0
            await second.said("stopped")


async def test_it_ends_at_once_while_it_starts(plain: Path, agents: StartAgent) -> None:
    """Sharing waits for its first look at DNS, which does not come."""
    listen_nowhere(plain)
    program = (
        sys.executable,
        "-c",
        "import trio; from probe.agent.sharing import Sharing;"
        "Sharing._look = lambda self: trio.sleep_forever();"
        "from probe.cli.main import main; main(prog_name='probe')",
    )
    plain.write_text(plain.read_text() + "share: {peers: probe.example}\n")
    environ = {"PROBE_ADDRESS": "127.0.0.1"}
    async with agents(plain, program=program, environ=environ) as agent:
        await agent.said("started")
        agent.process.send_signal(signal.SIGHUP)
        agent.process.send_signal(signal.SIGTERM)
        assert await ends(agent.process) == 0
        await agent.said("stopped")
