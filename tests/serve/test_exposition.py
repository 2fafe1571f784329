"""Negotiation, compression, and an exposition that others interrupt."""

from __future__ import annotations

import gzip

import pytest
import trio

from probe.model.state import EdgeStatus
from probe.serve import Store
from probe.serve.http import metrics
from probe.serve.http.metrics import choose_format, gzip_accepted
from probe.serve.series import fragments
from probe.serve.series.family import Format
from tests.support.reading import exposed

from .world import START, World, filled

OPENMETRICS, TEXT = Format.OPENMETRICS, Format.TEXT
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
        (PROMETHEUS, OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", OPENMETRICS),
        ("application/openmetrics-text; version=0.0.1", TEXT),
        ("application/openmetrics-text;q=0.1,text/plain;version=0.0.4;q=0.9", TEXT),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/vnd.google.protobuf;q=0.7,text/plain;q=0.3", TEXT),
        ("APPLICATION/OpenMetrics-Text;Version=1.0.0", OPENMETRICS),
        (";;;,=,q=;q=x", TEXT),
    ],
)
def test_the_scraper_gets_the_format_it_prefers(accept: str, form: Format) -> None:
    assert choose_format(accept) is form


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP;q=0.5, deflate", True),
        ("gzip;q=0", False),
        ("identity", False),
        ("*", True),
        ("*, gzip;q=0", False),
        ("br, x-gzip", True),
    ],
)
def test_compression_only_where_it_is_accepted(accepted: str, expected: bool) -> None:
    assert gzip_accepted(accepted) is expected


async def collected(store: Store, form: Format, *, zipped: bool = False) -> bytes:
    pieces = metrics.exposition(store, form)
    if zipped:
        pieces = metrics.compressed(pieces)
    return b"".join([piece async for piece in pieces])


def without_process(text: str) -> list[str]:
    return [line for line in text.splitlines() if "process_" not in line]


@pytest.mark.parametrize("form", Format)
async def test_pieces_and_compression_change_no_byte(
    form: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "PIECE", 1000)
    monkeypatch.setattr(fragments, "BLOCK", 7)
    store = filled()
    whole = without_process(exposed(store, form))
    assert without_process((await collected(store, form)).decode()) == whole
    zipped = gzip.decompress(await collected(store, form, zipped=True))
    assert without_process(zipped.decode()) == whole


async def test_results_and_removals_meanwhile_leave_a_scrape_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between two pieces anything may arrive; no series may come twice or in half."""
    monkeypatch.setattr(metrics, "PIECE", 500)
    monkeypatch.setattr(metrics, "TURN", -1.0)  # a pause after every block
    monkeypatch.setattr(fragments, "BLOCK", 5)
    store, world = filled(targets=20), World()
    done = trio.Event()
    changes = 0

    async def disturb() -> None:
        nonlocal changes
        while not done.is_set():
            name = f"store-{changes % 20:05}.example"
            key = world.key(name, "cdn-a", 1 + changes % 4)
            store.forget([key])
            await trio.lowlevel.checkpoint()
            store.record_edge(world.result(key), EdgeStatus.PASSING, START)
            changes += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(disturb)
        scrape = (await collected(store, OPENMETRICS)).decode()
        done.set()
    assert changes > 20
    lines = [line for line in scrape.splitlines() if not line.startswith("#")]
    names = [line.rsplit(" ", 1)[0].split(" # ")[0] for line in lines]
    assert len(names) == len(set(names))
    assert scrape.endswith("# EOF\n")
    headers = [line for line in scrape.splitlines() if line.startswith("# TYPE")]
    assert len(headers) == len(set(headers))
