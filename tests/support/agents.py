"""Real agents as processes, and a lab in a process of its own, as fixtures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from probe.lab.info import Layout, store_names
from probe.lab.known import shown_in
from probe.lab.process import RemoteLab, open_lab_process
from probe.net.http import httpx

PATIENCE = 90.0
"""Seconds until something that must happen counts as not happening; machines are busy."""


@dataclass(slots=True)
class RunningAgent:
    """One ``probe run`` and what it said so far."""

    process: trio.Process
    log: list[dict[str, Any]] = field(default_factory=list)
    _news: trio.Event = field(default_factory=trio.Event)

    async def listen(self) -> None:
        """Read the log until it ends."""
        assert self.process.stderr is not None
        rest = b""
        async for chunk in self.process.stderr:
            *whole, rest = (rest + bytes(chunk)).split(b"\n")
            assert not any(shown_in(line.decode()) for line in whole), "a secret in the log"
            try:
                self.log += [json.loads(line) for line in whole]
            except ValueError:
                raise AssertionError(f"no JSON in the log: {b' '.join(whole)[:2000]!r}") from None
            self._news.set()
            self._news = trio.Event()

    async def said(self, event: str, **fields: object) -> dict[str, Any]:
        """The first line with this event and these fields, as soon as there is one."""
        with trio.move_on_after(PATIENCE):
            while True:
                for line in self.log:
                    if line["event"] == event and fields.items() <= line.items():
                        return line
                await self._news.wait()
        raise AssertionError(f"it did not say {event} {fields}, but {self.log[-5:]}")

    async def address(self) -> str:
        """Where it serves."""
        return str((await self.said("started"))["address"])

    async def get(self, path: str) -> httpx.Response:
        """What it answers."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            answer = await client.get(await self.address() + path)
        assert not shown_in(answer.text), f"a secret at {path}"
        return answer

    async def metric(self, name: str, **labels: str) -> float | None:
        """The value of the one series with this name and these labels; None without one."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = [
            float(line.rsplit(" ", 1)[1])
            for line in (await self.get("/metrics")).text.splitlines()
            if line.startswith((f"{name}{{", f"{name} ")) and all(w in line for w in wanted)
        ]
        assert len(found) <= 1, f"{name}{labels} names {len(found)} series"
        return found[0] if found else None

    async def until(
        self, holds: Callable[[], Awaitable[bool]], *, patience: float = PATIENCE
    ) -> None:
        """Wait until something holds."""
        with trio.fail_after(patience):
            while not await holds():
                await trio.sleep(0.1)


StartAgent = Callable[..., AbstractAsyncContextManager[RunningAgent]]


@asynccontextmanager
async def start_agent(
    config: Path,
    *more: str,
    environ: Mapping[str, str] | None = None,
    program: Sequence[str] = (sys.executable, "-m", "probe"),
) -> AsyncIterator[RunningAgent]:
    """A running agent; killed with the block if it did not end itself."""
    command = [*program, "run", "--config", str(config), "--log", "json"]
    process = await trio.lowlevel.open_process(
        [*command, *more], stderr=subprocess.PIPE, env={**os.environ, **(environ or {})}
    )
    agent = RunningAgent(process)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent.listen)
            yield agent
            process.send_signal(signal.SIGTERM)
            with trio.move_on_after(5):
                await process.wait()
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
                await process.wait()
            assert process.stderr is not None
            await process.stderr.aclose()


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[RemoteLab]:
    """A lab with four stores."""
    async with open_lab_process(tmp_path, Layout(domains=store_names(4), ttl=1)) as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, lab: RemoteLab) -> Path:
    """Every store through live DNS as sa-east sees it, and through CDN b."""
    (tmp_path / "stores.json").write_text(
        json.dumps([{"targets": list(lab.info.layout.domains), "labels": {"team": "stores"}}])
    )
    host, port = lab.info.resolvers["sa-east"]
    path = tmp_path / "probe.yaml"
    path.write_text(f"""\
region: sa-east
listen: 127.0.0.1:0
defaults: {{interval: 2s, timeout: 1500ms}}
addresses: {{allow: 127.0.0.0/8}}
providers:
  live:  {{dns: {{servers: ["{host}:{port}"], ttl_floor: 1s}}}}
  cdn-b: {{hostname: stores.cdn-b.example, dns: {{servers: ["{host}:{port}"], ttl_floor: 1s}}}}
targets:
  stores: {{files: [stores.json], refresh: 1s}}
checks:
  - name: stores
    kind: tls
    targets: stores
    providers: [live, cdn-b]
    port: {lab.info.port}
    trust: {{file: roots.pem}}
""")
    return path


@pytest.fixture
def agents() -> StartAgent:
    """Starts agents."""
    return start_agent


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A good configuration that needs no lab."""
    path = tmp_path / "probe.yaml"
    path.write_text("""\
region: sa-east
defaults: {interval: 2s, timeout: 1s}
providers:
  nowhere: {addresses: ["127.0.0.1:1"]}
targets:
  stores: {static: [shop.example]}
checks:
  - name: stores
    kind: tls
    targets: stores
    providers: [nowhere]
""")
    return path
