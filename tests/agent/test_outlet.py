"""A log that nobody reads: nothing waits for it, and what is lost is counted."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator

import pytest

from probe.agent import outlet
from probe.agent.log import configure
from probe.agent.outlet import Outlet


@pytest.fixture
def ends() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """A pipe: its descriptor to read, and a stream to write, like standard error."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        yield reading, stream
    os.close(reading)


def said(reading: int) -> list[str]:
    """All that can be read now."""
    data = b""
    while True:
        try:
            data += os.read(reading, 1 << 20)
        except BlockingIOError:
            return data.decode().splitlines()


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("probe", logging.INFO, "", 0, text, None, None)


def test_a_pipe_that_nobody_reads_holds_nobody_up_and_loses_lines_by_count(
    ends: tuple[int, io.TextIOWrapper],
) -> None:
    reading, stream = ends
    handler = Outlet(stream)
    count = 4 * outlet.HELD // 100
    for number in range(count):
        handler.emit(record(f"{number:06} " + "x" * 93))
    lines = said(reading)
    for _ in range(30):  # of 64 KiB at most that a pipe holds
        handler.emit(record("more"))
        lines += said(reading)
    numbers = [int(line[:6]) for line in lines if line[0].isdigit()]
    assert numbers == list(range(len(numbers))), "in order, without a hole, up to where it was full"
    assert len(numbers) >= outlet.HELD // 100
    assert lines.count("log lines lost") == 1
    assert lines[-2:] == ["more", "more"]


def test_the_count_is_a_line_like_others(ends: tuple[int, io.TextIOWrapper]) -> None:
    reading, stream = ends
    before = logging.getLogger().handlers[:]
    configure(stream, "json")
    try:
        (handler,) = logging.getLogger().handlers
        for _ in range(4 * outlet.HELD // 1000):
            handler.emit(record("x" * 1000))
        lines = said(reading)
        while not any("log lines lost" in line for line in lines):
            handler.emit(record("more"))
            lines += said(reading)
    finally:
        logging.getLogger().handlers[:] = before
    (lost,) = [found for line in lines if (found := json.loads(line))["event"] == "log lines lost"]
    assert lost["level"] == "warning"
    assert lost["lines"] > 0


def test_a_line_longer_than_a_pipe_takes_at_once_arrives_whole(
    ends: tuple[int, io.TextIOWrapper],
) -> None:
    reading, stream = ends
    handler = Outlet(stream)
    handler.emit(record("x" * 100_000))
    text = "".join(said(reading))
    for _ in range(10):
        handler.flush()
        text += "".join(said(reading))
    assert text == "x" * 100_000


def test_a_reader_that_has_gone_costs_its_lines_only(ends: tuple[int, io.TextIOWrapper]) -> None:
    reading, stream = ends
    kept = os.dup(reading)
    os.close(reading)
    os.close(kept)
    handler = Outlet(stream)
    handler.emit(record("a"))
    handler.emit(record("b"))
    os.dup2(os.open(os.devnull, os.O_RDONLY), reading)  # for the fixture to close


def test_a_stream_without_a_descriptor_is_written_to() -> None:
    before = logging.getLogger().handlers[:]
    stream = io.StringIO()
    configure(stream, "text")
    try:
        logging.getLogger("probe").info("hello")
    finally:
        logging.getLogger().handlers[:] = before
    assert "hello" in stream.getvalue()
