"""A real Prometheus with the shipped configuration and rules, only faster; and questions to it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio
import yaml

from probe.net.library import httpx

SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus"


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    client: httpx.AsyncClient

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


def configuration(folder: Path, agents: Mapping[str, str]) -> Path:
    """The shipped configuration, scraping these agents (region to address) every second."""
    document = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    document["global"] = {
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "evaluation_interval": "1s",
    }
    del document["alerting"]
    document["rule_files"] = [str(SHIPPED / "rules" / "*.yaml")]
    (job,) = document["scrape_configs"]
    job["file_sd_configs"] = [{"files": [str(folder / "agents.yml")]}]
    targets = [{"targets": [at], "labels": {"region": region}} for region, at in agents.items()]
    (folder / "agents.yml").write_text(yaml.safe_dump(targets))
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(document))
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def running(config: Path) -> AsyncIterator[Prometheus]:
    """A Prometheus that ends with the block."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.fail("prometheus is missing: apt-get install prometheus")
    port = _free_port()
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={config.parent / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
    with (config.parent / "prometheus.log").open("wb") as log:
        process = await trio.lowlevel.open_process(command, stderr=log, stdout=subprocess.DEVNULL)
    try:
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=30) as client:
            with trio.fail_after(30):
                while not await _ready(client):
                    await trio.sleep(0.1)
            yield Prometheus(client)
    finally:
        with trio.CancelScope(shield=True):
            process.send_signal(signal.SIGKILL)  # nothing of it is kept
            await process.wait()


async def _ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/-/ready")).status_code == 200
    except httpx.TransportError:
        return False
