"""One region's agent loses its network, in a network namespace of its own.

Run inside of one (``unshare --map-root-user --net python -m tests.incidents.cut``): everything
lives there on the loopback interface, and a route makes what the agent of one region reaches
unreachable, its references included. Prints what fired as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import trio

from probe.demo.configuration import CLI
from probe.lab.info import Layout, store_names

from .replay import CHECK, REGION, Stage, stage

_NETWORKS = ("127.20.0.0/16", "127.30.0.0/16")  # its edges, its references
_HOLD = 20.0
_PATIENCE = 60.0


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


async def _answer(stream: trio.SocketStream) -> None:
    async with stream:
        await stream.receive_some(4096)
        head = f"HTTP/1.1 204 No Content\r\nDate: {formatdate(usegmt=True)}\r\n\r\n"
        await stream.send_all(head.encode())


async def _references(nursery: trio.Nursery, network: str) -> list[str]:
    urls = []
    for number in (1, 2, 3):
        host = f"{network}.{number}"
        opened = await nursery.start(partial(trio.serve_tcp, _answer, 0, host=host))
        urls.append(f"http://{host}:{opened[0].socket.getsockname()[1]}/")
    return urls


async def _fired(running: Stage, window: str, selector: str) -> list[dict[str, str]]:
    alerts = f'ALERTS{{alertstate="firing",{selector}}}'
    found = await running.engines.query(f"count_over_time({alerts}[{window}])")
    return [one["metric"] for one in found]


async def _play(folder: Path) -> dict[str, Any]:
    async with trio.open_nursery() as nursery:
        mine = await _references(nursery, "127.30.0")
        others = await _references(nursery, "127.31.0")

        def adapt(document: dict[str, Any]) -> None:
            cut = document["region"] == REGION
            document["vantage"] = {"references": mine if cut else others, "interval": "3s"}
            stores = next(check for check in document["checks"] if check["name"] == CHECK)
            stores["interval"] = "10s"
            if cut:  # the platform is the same for all regions and cannot be cut off for one
                document["checks"] = [c for c in document["checks"] if c["name"] != CLI]

        async with stage(folder, Layout(domains=store_names(40)), adapt) as running:
            for network in _NETWORKS:
                _ip("route", "add", "unreachable", network, "table", "local")
            with trio.move_on_after(_PATIENCE):
                while not await _fired(running, "15s", 'alertname="ProbeVantageIll"'):
                    await trio.sleep(1)
            await trio.sleep(_HOLD)
            ill = await _fired(running, "10s", 'alertname="ProbeVantageIll"')
            for network in _NETWORKS:
                _ip("route", "del", "unreachable", network, "table", "local")
            with trio.move_on_after(_PATIENCE):
                while await _fired(running, "6s", 'alertname="ProbeVantageIll"'):
                    await trio.sleep(1)
            counted = 'sum(increase(probe_agent_inconclusive_total{region="sa-east"}[5m]))'
            result = {
                "ill": ill,
                "over": not await _fired(running, "6s", 'alertname="ProbeVantageIll"'),
                "targets": await _fired(running, "10m", 'scope="target"'),
                "pages": await _fired(running, "10m", 'severity="page"'),
                "inconclusive": float((await running.engines.query(counted))[0]["value"][1]),
            }
        nursery.cancel_scope.cancel()
    return result


def main() -> None:
    """Play it and print the result."""
    _ip("link", "set", "lo", "up")
    with tempfile.TemporaryDirectory(prefix="probe-cut-") as folder:
        json.dump(trio.run(_play, Path(folder)), sys.stdout)


if __name__ == "__main__":
    main()
