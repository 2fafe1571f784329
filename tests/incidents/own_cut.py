"""An agent without references: one provider falls silent, and then the network.

Run inside of a network namespace (``unshare --map-root-user --net``): two providers live on
addresses of its loopback interface, and a packet filter drops what goes to them. Prints what was
seen as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import trio

from tests.support.agents import RunningAgent, start_agent
from tests.support.estate import NAMES, certified, open_estate

PROVIDERS = {"cdn-a": "198.51.100.1", "cdn-b": "203.0.113.1"}
_PATIENCE = 60.0


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


async def _states(agent: RunningAgent) -> list[str]:
    """What each provider's edges are, other than passing."""
    status = (await agent.get("/api/v1/status?edges=100")).json()
    found = {f"{one['provider']} {one['state']}" for one in status["edges"]}
    return sorted(one for one in found if not one.endswith(("passing", "suspect")))


async def _all_up(agent: RunningAgent) -> bool:
    lines = (await agent.get("/metrics")).text.splitlines()
    up = [
        line
        for line in lines
        if line.startswith("probe_edge_up{") and line.endswith((" 1", " 1.0"))
    ]
    return len(up) == 2 * len(PROVIDERS)


async def _until_ill(agent: RunningAgent, *, ill: bool) -> None:
    with trio.move_on_after(_PATIENCE):
        while (await agent.metric("probe_vantage_illness", cause="network") == 1.0) is not ill:
            await trio.sleep(0.5)


async def _play(folder: Path) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    async with trio.open_nursery() as nursery:
        opened = await open_estate(nursery, certified(folder), list(PROVIDERS.values()))
        check = {
            "name": "stores",
            "kind": "tls",
            "targets": list(NAMES[:2]),
            "providers": list(PROVIDERS),
        }
        document = {
            "region": "sa-east",
            "listen": "127.0.0.1:0",
            "defaults": {"interval": "2s", "timeout": "1500ms", "trust": {"file": "roots.pem"}},
            "providers": {
                name: {"addresses": [address]}
                for name, address in zip(PROVIDERS, opened, strict=True)
            },
            "checks": [check],
        }
        config = folder / "probe.yaml"
        config.write_text(json.dumps(document))
        async with start_agent(config) as agent:
            with trio.fail_after(2 * _PATIENCE):
                while not agent.log:  # starting it takes half a minute on a busy machine
                    await trio.sleep(0.5)
            await agent.until(partial(_all_up, agent), patience=_PATIENCE)
            seen["calm"] = await _states(agent)
            for number, address in enumerate(PROVIDERS.values()):
                _run("iptables", "-I", "INPUT", "-d", address, "-j", "DROP")
                if not number:  # long enough to confirm it, and too short for "before"
                    with trio.move_on_after(_PATIENCE):
                        while not (confirmed := await _states(agent)):
                            await trio.sleep(0.5)
                    seen["one provider"] = confirmed
                    seen["ill then"] = await agent.metric("probe_vantage_healthy") == 0.0
                    _run("iptables", "-F")
                    with trio.move_on_after(_PATIENCE):
                        while await _states(agent):
                            await trio.sleep(0.5)
                    _run("iptables", "-I", "INPUT", "-d", address, "-j", "DROP")
            await _until_ill(agent, ill=True)
            await trio.sleep(10.0)
            seen["both"] = await _states(agent)
            seen["ill"] = (await agent.said("vantage ill"))["network"]
            page = (await agent.get("/api/v1/status")).json()["agent"]
            seen["page"] = page["vantage_evidence"]
            _run("iptables", "-F")
            await _until_ill(agent, ill=False)
            await agent.said("vantage well")
            seen["after"] = await _states(agent)
        nursery.cancel_scope.cancel()
    return seen


def main() -> None:
    """Play it and print what was seen."""
    _run("ip", "link", "set", "lo", "up")
    for address in PROVIDERS.values():
        _run("ip", "address", "add", f"{address}/32", "dev", "lo")
    with tempfile.TemporaryDirectory(prefix="probe-cut-") as folder:
        json.dump(trio.run(_play, Path(folder)), sys.stdout)


if __name__ == "__main__":
    main()
