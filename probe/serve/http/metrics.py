"""The answer at ``/metrics``: which format and coding, and the body in pieces.

The pieces let a scrape delay no probe.

Pieces are joined on the loop, with a checkpoint whenever ``TURN`` has passed; only
compression runs in a thread, where zlib lets go of the interpreter. Joining in a thread as well
would cost the loop a switch interval (5 ms) at every system call of every handshake meanwhile.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import NamedTuple, TypeVar

import trio
from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from probe.serve.memory.store import Store
from probe.serve.series.family import Format, clean

PIECE = 256 * 1024
"""Bytes handed on at once: large enough that per-piece costs vanish, small enough to copy fast."""

T = TypeVar("T")

TURN = 0.002
"""Seconds of joining in one turn of the loop, of all answers together: less than a handshake
notices."""

_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way of asking for a gzip header and trailer


def blocks(store: Store, form: Format) -> Iterator[bytes]:
    """Everything, in short steps; some of them yield nothing."""
    for _ in store.refresh():
        yield b""
    for table in store.series.tables:
        yield from table.blocks(form)
    for histogram in store.series.histograms:
        yield from histogram.blocks(form)
    yield _process(clean(store.region), form)
    if form is Format.OPENMETRICS:
        yield b"# EOF\n"


def _process(region: str, form: Format) -> bytes:
    """The series of this process, which prometheus-client reads and writes."""
    if form is Format.TEXT:
        return bytes(generate_latest(_Process(region)))
    text = generate_openmetrics(_Process(region))  # type: ignore[no-untyped-call]  # has no types
    return bytes(text).removesuffix(b"# EOF\n")


class _Process(Collector):
    def __init__(self, region: str) -> None:
        self._region = region

    def collect(self) -> Iterator[Metric]:
        """What is known of this process, with the region as a label."""
        for metric in ProcessCollector(registry=None).collect():
            metric.samples = [
                sample._replace(labels={**sample.labels, "region": self._region})
                for sample in metric.samples
            ]
            yield metric


class _Pausing:
    """How many answers wait for their next turn."""

    def __init__(self) -> None:
        self.count = 0

    async def pause(self) -> None:
        """Let others run."""
        self.count += 1
        try:
            await trio.lowlevel.checkpoint()
        finally:
            self.count -= 1


_pausing = _Pausing()


async def paced(steps: Iterable[T]) -> AsyncGenerator[T, None]:
    """The steps, others running in between.

    A checkpoint lets every other task have its turn, which on a busy agent takes long: one
    after each step would make a scrape take seconds just when somebody wants to see why.
    """
    began = trio.current_time()
    for step in steps:
        yield step
        if trio.current_time() - began > TURN / (1 + _pausing.count):
            await _pausing.pause()
            began = trio.current_time()


async def exposition(store: Store, form: Format) -> AsyncGenerator[bytes, None]:
    """The exposition in pieces of about ``PIECE`` bytes, others running in between."""
    pending: list[bytes] = []
    size = 0
    async with aclosing(paced(blocks(store, form))) as steps:
        async for block in steps:
            pending.append(block)
            size += len(block)
            if size >= PIECE:
                yield b"".join(pending)
                pending, size = [], 0
    if size:
        yield b"".join(pending)


async def swept(store: Store) -> None:
    """Find what became unseen, others running in between."""
    await walked(store.sweep())


async def walked(steps: Iterable[None]) -> None:
    """Take all steps, others running in between."""
    async with aclosing(paced(steps)) as each:
        async for _ in each:
            pass


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


class Preference(NamedTuple):
    """One element of an Accept or Accept-Encoding header."""

    name: str
    parameters: dict[str, str]
    quality: float


def preferences(header: str) -> list[Preference]:
    """The elements of a header; what cannot be read as a quality counts as 1."""
    found = []
    for element in header.split(","):
        name, *rest = [part.strip() for part in element.split(";")]
        if not name:
            continue
        parameters = {}
        for part in rest:
            key, _, value = part.partition("=")
            parameters[key.strip().lower()] = value.strip().strip('"')
        found.append(Preference(name.lower(), parameters, _quality(parameters.pop("q", "1"))))
    return found


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 1.0


def choose_format(accept: str) -> Format:
    """OpenMetrics when the scraper prefers it by name, else the text format.

    Wildcards mean the text format: it is what people and simple tools can read.
    """
    quality = {Format.TEXT: 0.0, Format.OPENMETRICS: 0.0}
    for name, parameters, wanted in preferences(accept):
        version = parameters.get("version")
        if name == "application/openmetrics-text" and version in {None, "1.0.0"}:
            form = Format.OPENMETRICS
        elif (name == "text/plain" and version in {None, "0.0.4"}) or name in {"text/*", "*/*"}:
            form = Format.TEXT
        else:
            continue
        quality[form] = max(quality[form], wanted)
    openmetrics = quality[Format.OPENMETRICS]
    preferred = openmetrics > 0 and openmetrics >= quality[Format.TEXT]
    return Format.OPENMETRICS if preferred else Format.TEXT


def gzip_accepted(accept_encoding: str) -> bool:
    """Whether the answer may be compressed with gzip."""
    qualities = {name: quality for name, _, quality in preferences(accept_encoding)}
    for name in ("gzip", "x-gzip", "*"):
        if name in qualities:
            return qualities[name] > 0
    return False
