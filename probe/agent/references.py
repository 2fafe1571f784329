"""Looks at the references every few seconds, and at once when something fails."""

from __future__ import annotations

from functools import partial

import trio

from probe.agent.parts import Parts
from probe.agent.process import Crashed
from probe.model.result import Inconclusive
from probe.model.spec import DnsOptions, References
from probe.model.target import Resolution
from probe.state.vantage import Vantage

_TIMEOUT = 3.0
_LEAST_APART = 1.0
_DNS = DnsOptions(timeout=2.0, ttl_floor=0.0, ttl_cap=10.0)
"""How references' names are asked for: an answer from minutes ago says nothing of now."""


class ReferenceWatch:
    """Feeds the vantage with how its references are.

    Args:
        parts: finder of addresses and the prober.
        vantage: told every outcome, offset and answer of DNS.
        crashed: told of a look that our own code could not finish.
    """

    def __init__(
        self, parts: Parts, vantage: Vantage, crashed: Crashed = lambda _, __: None
    ) -> None:
        self._parts = parts
        self._vantage = vantage
        self._crashed = crashed
        self._references = References()
        self._hurry = trio.Event()

    def configure(self, references: References) -> None:
        """Follow a configuration."""
        self._references = references
        self.hurry()

    def hurry(self) -> None:
        """Look now, because something failed, unless the last look was a moment ago."""
        self._hurry.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look at the references until cancelled."""
        task_status.started()
        while True:
            began = trio.current_time()
            self._hurry = trio.Event()
            async with trio.open_nursery() as nursery:
                for url in self._references.urls:
                    nursery.start_soon(self._look, url)
            await trio.sleep_until(began + _LEAST_APART)
            with trio.move_on_at(began + self._references.interval):
                await self._hurry.wait()

    async def _look(self, url: str) -> None:
        trust = self._references.trust
        resolve = partial(self._resolve, url)
        look = await self._parts.references.look(
            url, resolve=resolve, trust=trust, timeout=_TIMEOUT
        )
        if isinstance(look.outcome, Inconclusive):
            self._crashed("references", look.outcome.failure.detail)
        now = trio.current_time()
        if url not in self._references.urls:
            return  # reconfigured meanwhile
        self._vantage.reference(url, look.outcome, now)
        if look.offset is not None:
            self._vantage.clock(url, look.offset, now)
        self._vantage.judge(now)

    async def _resolve(self, url: str, host: str, port: int) -> Resolution:
        found = await self._parts.finder.resolve(host, port, _DNS)
        if found.seconds is not None:
            self._vantage.dns(url, found.failure, trio.current_time())
        return found
