"""How many answers may be under way at once, and who makes room when more are wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class Places:
    """So many answers of one kind at once, since each of them holds memory.

    Who comes when all places are taken gets that of the answer which is under way for longest,
    once it has had ``patience`` seconds. Of those who wait the last comes first: a scraper that
    has just come must not stand behind a hundred who never read.

    Args:
        most: how many.
        patience: seconds that every answer has.
    """

    def __init__(self, most: int, patience: float = 0.5) -> None:
        self._most = most
        self._patience = patience
        self._held: dict[trio.CancelScope, float] = {}  # the longest first
        self._waiting: dict[trio.CancelScope, trio.Event] = {}

    @asynccontextmanager
    async def taken(self, scope: trio.CancelScope) -> AsyncIterator[None]:
        """Hold a place; the scope is cancelled when another answer needs it."""
        granted = self._waiting[scope] = trio.Event()
        try:
            self._grant()
            while not granted.is_set():
                with trio.move_on_at(next(iter(self._held.values())) + self._patience):
                    await granted.wait()
                self._grant()
            yield
        finally:
            self._waiting.pop(scope, None)
            self._held.pop(scope, None)
            self._grant()

    def _grant(self) -> None:
        now = trio.current_time()
        while self._waiting:
            if len(self._held) >= self._most:
                longest, since = next(iter(self._held.items()))
                if now < since + self._patience:
                    return
                del self._held[longest]
                longest.cancel()
            scope, granted = self._waiting.popitem()  # who came last
            self._held[scope] = now
            granted.set()
