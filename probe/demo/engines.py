"""Starts a real Prometheus and a real Alertmanager with the shipped rules and routes.

Only addresses are adapted: where the agents listen, where Alertmanager is, who receives. Rules,
intervals, grouping, inhibition and templates are those of ``deploy/``.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import trio
import yaml

from probe.demo.errors import DemoError

DEPLOY = Path(__file__).parents[2] / "deploy"
"""Where the shipped configuration stands in the source tree."""

_READY_SECONDS = 30.0
_STOP_SECONDS = 5.0
_LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Engines:
    """Where the engines listen."""

    prometheus: str
    alertmanager: str

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector that an expression gives now; empty while it gives nothing."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(
                f"{self.prometheus}/api/v1/query", params={"query": expression}
            )
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found


def programs() -> tuple[str, str]:
    """Paths of Prometheus and Alertmanager.

    Raises:
        DemoError: one is not installed; the message names the package.
    """
    prometheus = shutil.which("prometheus")
    alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if prometheus is None:
        raise DemoError("prometheus is missing: apt-get install prometheus")
    if alertmanager is None:
        raise DemoError("alertmanager is missing: apt-get install prometheus-alertmanager")
    return prometheus, alertmanager


@asynccontextmanager
async def open_engines(
    folder: Path, agents: Mapping[str, str], receiver: str, *, mail: str | None = None
) -> AsyncIterator[Engines]:
    """Start both; they end with the block.

    Args:
        folder: for their files and logs.
        agents: region to URL of its agent.
        receiver: base URL that pages, chat messages and the watchdog are posted to.
        mail: address and port of a mail server; without one, tickets fail to be delivered.

    Raises:
        DemoError: a program is missing, or does not become ready.
    """
    prometheus, _ = programs()
    port = _free_port()
    async with open_alertmanager(folder, receiver, mail=mail) as alertmanager:
        settings = _write_prometheus(folder, agents, urlsplit(alertmanager).netloc)
        command = [
            prometheus,
            f"--config.file={settings}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        async with _running("prometheus", command, port, folder) as url:
            yield Engines(url, alertmanager)


@asynccontextmanager
async def open_alertmanager(
    folder: Path, receiver: str, *, mail: str | None = None
) -> AsyncIterator[str]:
    """Start Alertmanager alone; gives its URL. Arguments and errors as for ``open_engines``."""
    _, alertmanager = programs()
    port = _free_port()
    command = [
        alertmanager,
        f"--config.file={_write_alertmanager(folder, receiver, mail)}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    async with _running("alertmanager", command, port, folder) as url:
        yield url


@asynccontextmanager
async def _running(name: str, command: list[str], port: int, folder: Path) -> AsyncIterator[str]:
    log = folder / f"{name}.log"
    with log.open("wb") as said:
        process = await trio.lowlevel.open_process(command, stdout=said, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        await _ready(name, process, url, log)
        yield url
    finally:
        with trio.CancelScope(shield=True):
            await _end(process)


def _write_prometheus(folder: Path, agents: Mapping[str, str], alertmanager: str) -> Path:
    document = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    document["rule_files"] = [str(DEPLOY / "prometheus" / "rules" / "*.yaml")]
    document["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [alertmanager]}]
    where = folder / "agents.yml"
    where.write_text(
        yaml.safe_dump(
            [
                {"targets": [urlsplit(url).netloc], "labels": {"region": region}}
                for region, url in agents.items()
            ]
        )
    )
    document["scrape_configs"][0]["file_sd_configs"][0]["files"] = [str(where)]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def _write_alertmanager(folder: Path, receiver: str, mail: str | None) -> Path:
    document = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    document["templates"] = [str(DEPLOY / "alertmanager" / "templates" / "*.tmpl")]
    if mail is not None:
        document["global"]["smtp_smarthost"] = mail
    for one in document["receivers"]:
        for webhook in one.get("webhook_configs", ()):
            webhook["url"] = f"{receiver}/{one['name']}"
        for slack in one.get("slack_configs", ()):
            slack["api_url"] = f"{receiver}/chat"
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def _free_port() -> int:
    """A port that was free a moment ago: the engines do not say which one they chose."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


async def _ready(name: str, process: trio.Process, url: str, log: Path) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        with trio.move_on_after(_READY_SECONDS):
            while process.poll() is None:
                try:
                    if (await client.get(f"{url}/-/ready")).is_success:
                        return
                except httpx.TransportError:
                    pass  # it does not listen yet
                await trio.sleep(_LOOK_EVERY)
    said = (await trio.Path(log).read_text()).splitlines()[-5:]
    raise DemoError("\n".join([f"{name} did not become ready:", *said]))


async def _end(process: trio.Process) -> None:
    if process.poll() is None:
        process.terminate()
        with trio.move_on_after(_STOP_SECONDS):
            await process.wait()
    if process.poll() is None:
        process.kill()
    await process.wait()
