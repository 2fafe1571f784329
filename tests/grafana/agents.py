"""Real agents as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio


@asynccontextmanager
async def started(config: Path) -> AsyncIterator[tuple[trio.Process, str]]:
    """An agent's process and address, once it serves; killed with the block."""
    command = [sys.executable, "-m", "probe", "run", "--config", str(config), "--log", "json"]
    log = config.with_suffix(".log")
    environ = {**os.environ, "PROBE_ADDRESS": "127.0.0.1"}  # for one that shares
    with log.open("wb") as sink:
        process = await trio.lowlevel.open_process(
            command, stderr=sink, stdout=subprocess.DEVNULL, env=environ
        )
    try:
        with trio.fail_after(30):
            while (address := _address(log)) is None:
                assert process.poll() is None, log.read_text()
                await trio.sleep(0.1)
        yield process, address
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()


def _address(log: Path) -> str | None:
    """``127.0.0.1:40123``, from the first line that says so."""
    for line in log.read_text().splitlines(keepends=True):
        if line.endswith("\n") and (said := json.loads(line))["event"] == "started":
            return str(said["address"]).removeprefix("http://")
    return None
