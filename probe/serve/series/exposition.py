"""The body of ``/metrics``: both formats, in pieces, so that a scrape delays no probe.

Pieces are joined on the loop, with a checkpoint whenever ``TURN`` has passed; only
compression runs in a thread, where zlib lets go of the interpreter. Joining in a thread as well
would cost the loop a switch interval (5 ms) at every system call of every handshake meanwhile.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import trio
from prometheus_client.metrics_core import Metric

from probe.serve.memory.store import Store
from probe.serve.series.plain import SeriesTable
from probe.serve.series.text import Format

PIECE = 256 * 1024
"""Bytes handed on at once: large enough that per-piece costs vanish, small enough to copy fast."""

TURN = 0.002
"""Seconds of joining between two checkpoints: less than a handshake notices."""

_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way of asking for a gzip header and trailer


def blocks(store: Store, form: Format) -> Iterator[bytes]:
    """Everything, in short steps; some of them yield nothing."""
    for _ in store.refresh():
        yield b""
    for table in store.tables:
        yield from table.blocks(form)
    yield from store.instruments.blocks(form)
    if form is Format.OPENMETRICS:
        yield b"# EOF\n"


async def exposition(store: Store, form: Format) -> AsyncGenerator[bytes, None]:
    """The exposition in pieces of about ``PIECE`` bytes, others running in between.

    A checkpoint lets every other task have its turn, which on a busy agent takes long: one
    after each block would make a scrape take seconds just when somebody wants to see why.
    """
    pending: list[bytes] = []
    size = 0
    began = trio.current_time()
    for block in blocks(store, form):
        pending.append(block)
        size += len(block)
        if size >= PIECE:
            yield b"".join(pending)
            pending, size = [], 0
        if trio.current_time() - began > TURN:
            await trio.lowlevel.checkpoint()
            began = trio.current_time()
    if size:
        yield b"".join(pending)


async def swept(store: Store) -> None:
    """Find what became unseen, others running in between."""
    began = trio.current_time()
    for _ in store.sweep():
        if trio.current_time() - began > TURN:
            await trio.lowlevel.checkpoint()
            began = trio.current_time()


async def compressed(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The pieces as one gzip stream (RFC 1952).

    Level 1: the text repeats itself so much that higher levels cost many times the CPU for
    little.
    """
    compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WINDOW)
    async with aclosing(pieces):
        async for piece in pieces:
            squeezed = await trio.to_thread.run_sync(compressor.compress, piece)
            if squeezed:
                yield squeezed
    yield compressor.flush()


class StoreCollector:
    """The plain path: a store made with ``plain=True`` as a collector of prometheus-client."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """The families that have series, in the order of the exposition."""
        for _ in self._store.refresh():
            pass
        for table in self._store.tables:
            if isinstance(table, SeriesTable):
                yield from table.metrics()
        yield from self._store.instruments.metrics()
