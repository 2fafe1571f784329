"""Tells a person what would wake somebody: the alerts of a real Alertmanager, as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import trio

from probe.demo.engines import Engines, open_engines

_LOOK_EVERY = 1.0
_NOBODY = "http://127.0.0.1:9"  # nothing listens on discard: the demo wakes nobody


@asynccontextmanager
async def open_pages(
    folder: Path, agents: Mapping[str, str], say: Callable[[str], None]
) -> AsyncIterator[tuple[tuple[str, str], ...]]:
    """Run Prometheus and Alertmanager, and say each page and its end while the block lasts.

    Gives name and URL of the page of each.

    Args:
        folder: for their files.
        agents: region to URL of its agent.
        say: takes a line for people.

    Raises:
        DemoError: a program is missing, or does not become ready.
    """
    async with open_engines(folder, agents, _NOBODY) as engines:
        links = await _links(engines)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_follow, engines, say)
            yield links
            nursery.cancel_scope.cancel()


async def _links(engines: Engines) -> tuple[tuple[str, str], ...]:
    """Find the pages that open: Debian ships Prometheus' older pages, and Alertmanager's none."""
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        alerts = f"{engines.prometheus}/alerts"
        if not (await client.get(alerts)).is_success:
            alerts = f"{engines.prometheus}/classic/alerts"
        pages = f"{engines.alertmanager}/"
        if "script.js" not in (await client.get(pages)).text:
            pages = f"{engines.alertmanager}/api/v2/alerts"
    return (("Prometheus", alerts), ("Alertmanager", pages))


async def _follow(engines: Engines, say: Callable[[str], None]) -> None:
    known: dict[str, str] = {}
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        while True:
            await trio.sleep(_LOOK_EVERY)
            try:
                answer = await client.get(
                    f"{engines.alertmanager}/api/v2/alerts",
                    params={"filter": 'severity="page"', "inhibited": "false"},
                )
                answer.raise_for_status()
            except httpx.HTTPError:
                continue  # busy; it is asked again
            for line in news(known, answer.json()):
                say(line)


def news(known: dict[str, str], alerts: list[Mapping[str, Any]]) -> list[str]:
    """Lines for pages that are new and for those that are over; ``known`` is brought up to date."""
    now = {one["fingerprint"]: one["annotations"]["summary"] for one in alerts}
    begun = [f"PAGE: {text}" for name, text in now.items() if name not in known]
    ended = [f"PAGE OVER: {text}" for name, text in known.items() if name not in now]
    known.clear()
    known.update(now)
    return begun + ended
