"""Two agents of one region share its targets: none lost, none probed twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from probe.lab.info import store_names
from tests.support.agents import StartAgent


async def test_two_shards_probe_every_target_once(config: Path, agents: StartAgent) -> None:
    async with agents(config, "--shard", "1/2") as one, agents(config, "--shard", "2/2") as two:

        async def probed(agent: Any) -> set[str]:
            text = (await agent.get("/metrics")).text
            return set(re.findall(r'^probe_success\{.*?target="([^"]+)"', text, re.MULTILINE))

        async def all_are() -> bool:
            return await probed(one) | await probed(two) == set(store_names(4))

        await one.until(all_are)
        assert not await probed(one) & await probed(two)
