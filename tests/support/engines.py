"""A real Prometheus, and questions to it."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from probe.net.http import httpx
from tests.support.ports import free_port
from tests.support.programs import program

PATIENCE = 60.0
"""Seconds for it to start; a busy machine needs some of them."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    client: httpx.AsyncClient
    url: str

    async def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer; a refused question fails the test."""
        answer = await self.client.get(f"/api/v1/{path}", params=parameters)
        document = answer.json()
        assert document["status"] == "success", f"{document['error']}\n{parameters}"
        return document["data"]

    async def series(self, expr: str) -> list[dict[str, Any]]:
        """What an expression gives now."""
        found: list[dict[str, Any]] = (await self.ask("query", query=expr))["result"]
        return found

    async def values(self, metric: str, label: str) -> list[str]:
        """What ``label_values(metric, label)`` means to Grafana."""
        found: list[str] = await self.ask(f"label/{label}/values", **{"match[]": metric})
        return found


@asynccontextmanager
async def open_prometheus(
    config: Path, *options: str, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Prometheus]:
    """A Prometheus with its data beside its configuration; it ends with the block."""
    port = free_port()
    storage = "agent" if any("agent" in option for option in options) else "tsdb"
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.{storage}.path={config.parent / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        *options,
    ]
    log = config.parent / "prometheus.log"
    with log.open("wb") as output:
        process = await trio.lowlevel.open_process(
            command, stdout=output, stderr=output, env={**os.environ, **(environ or {})}
        )
    try:
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=30) as client:
            with trio.move_on_after(PATIENCE) as patience:
                while not await _ready(client):
                    await trio.sleep(0.1)
            assert not patience.cancelled_caught, log.read_text()
            yield Prometheus(client, base)
    finally:
        with trio.CancelScope(shield=True):
            process.send_signal(signal.SIGKILL)  # nothing of it is kept
            await process.wait()


async def _ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/-/ready")).status_code == 200
    except httpx.TransportError:
        return False
