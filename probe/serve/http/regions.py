"""The page of all regions, and what another agent's page asks of this one."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict

import trio

from probe.serve.http.message import HTML, Refused, WebAnswer, WebRequest
from probe.serve.http.metrics import swept
from probe.serve.memory.store import Store
from probe.serve.page.region_report import RegionReport, region_report
from probe.serve.page.regions_view import HeardAgent, RegionsView, regions_view

AskPeers = Callable[[], Awaitable[Sequence[HeardAgent] | None]]
"""What other agents said, asked now if that is due; None where the configuration names none."""


async def no_peers() -> None:
    """Name no other agents."""


class RegionPages:
    """Answers for ``/regions``, ``/api/v1/regions`` and ``/api/v1/region``.

    Only the first two ask others, and others are asked for the third only: no request goes round.

    Args:
        store: what this agent knows.
        wall: asked for the time of day.
        ask: asks the other agents.
        headers: of every answer.
    """

    def __init__(
        self, store: Store, wall: Callable[[], float], ask: AskPeers, headers: dict[str, str]
    ) -> None:
        self._store = store
        self._wall = wall
        self._ask = ask
        self._headers = headers
        self._agent = secrets.token_hex(8)

    async def own(self, _: WebRequest) -> WebAnswer:
        """What this agent sees, for the pages of others."""
        return self._json(await self._report())

    async def joined(self, _: WebRequest) -> WebAnswer:
        """All regions as JSON."""
        return self._json(await self._view())

    async def page(self, _: WebRequest) -> WebAnswer:
        """All regions as a page."""
        text = await trio.to_thread.run_sync(_rendered, await self._view())
        return WebAnswer(text.encode(), HTML, headers=self._headers)

    async def _report(self) -> RegionReport:
        await swept(self._store)
        return region_report(self._store, self._wall(), self._agent)

    async def _view(self) -> RegionsView:
        heard = await self._ask()
        if heard is None:
            raise Refused(404, "no other agents are named here (regions: in the configuration)")
        return regions_view(await self._report(), heard)

    def _json(self, value: RegionReport | RegionsView) -> WebAnswer:
        body = json.dumps(asdict(value)).encode() + b"\n"
        return WebAnswer(body, "application/json", headers=self._headers)


def _rendered(view: RegionsView) -> str:
    """Render in a thread; Jinja is imported by the first look at a page."""
    from probe.serve.page.html import regions_page  # noqa: PLC0415 - 3 MiB that few need

    return regions_page(view)
