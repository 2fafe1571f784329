"""A list that loses more than half of its targets at once, on its own and in a watcher."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import trio
from trio.testing import MockClock

from probe.discovery import SourceStatus, TargetWatcher, watch
from probe.discovery.status import ShrinkHold, SourceLook
from probe.model.spec import FileSource, TargetList
from probe.model.target import Target

TEN = tuple(Target(f"shop-{number}.example") for number in range(10))


def look(number: int, *faults: str) -> SourceLook:
    return SourceLook(TEN[:number], faults=faults)


@pytest.mark.parametrize("number", [5, 6, 10])
def test_half_of_a_list_is_believed_at_once(number: int) -> None:
    hold = ShrinkHold(600.0)
    hold.take(look(10), 0.0)
    assert hold.take(look(number), 10.0) == look(number)
    assert hold.ends_at is None


@pytest.mark.parametrize("number", [0, 1, 4])
def test_less_is_held_for_its_time_and_then_believed(number: int) -> None:
    hold = ShrinkHold(600.0)
    hold.take(look(10), 0.0)
    for now in (10.0, 300.0, 609.9):
        assert hold.take(look(number), now) == look(10)
        assert hold.ends_at == 610.0
    assert hold.take(look(number), 610.0) == look(number)
    assert hold.ends_at is None


def test_a_list_that_grows_back_ends_the_hold_and_the_next_one_has_its_whole_time() -> None:
    hold = ShrinkHold(600.0)
    hold.take(look(10), 0.0)
    hold.take(look(2), 10.0)
    assert hold.take(look(7), 500.0) == look(7)
    assert hold.take(look(2), 1000.0) == look(7)
    assert hold.ends_at == 1600.0


def test_the_time_runs_from_the_first_shrink_whatever_the_list_holds_meanwhile() -> None:
    hold = ShrinkHold(600.0)
    hold.take(look(10), 0.0)
    for now, number in ((0.0, 4), (300.0, 0), (599.0, 3)):
        assert hold.take(look(number), now) == look(10)
    assert hold.take(look(1), 600.0) == look(1)


def test_the_first_list_and_one_that_a_person_asked_for_are_believed() -> None:
    hold = ShrinkHold(600.0)
    assert hold.take(look(0, "no such file"), 0.0) == look(0, "no such file")
    hold.take(look(10), 1.0)
    hold.take(look(1), 2.0)
    hold.release()
    assert hold.take(look(1), 3.0) == look(1)
    assert hold.ends_at is None


def test_a_hold_of_no_time_holds_nothing() -> None:
    hold = ShrinkHold(0.0)
    hold.take(look(10), 0.0)
    assert hold.take(look(0), 1.0) == look(0)


class Planted:
    """A source that gives what a test says."""

    gives: ClassVar[SourceLook] = SourceLook()

    def __init__(self, *_: object) -> None:
        """Take the arguments of any source."""

    async def look(self) -> SourceLook:
        await trio.lowlevel.checkpoint()
        return Planted.gives

    async def aclose(self) -> None:
        """Hold nothing open."""


@dataclass
class Seen:
    """What a watcher told, with the time."""

    watcher: TargetWatcher
    told: list[tuple[float, int]] = field(default_factory=list)
    news: list[SourceStatus] = field(default_factory=list)


@asynccontextmanager
async def watching(
    monkeypatch: pytest.MonkeyPatch, refresh: float = 10.0, most: int = 50_000
) -> AsyncIterator[Seen]:
    monkeypatch.setattr(watch, "FileTargets", Planted)
    Planted.gives = look(10)
    source = FileSource("stores.yaml")
    spec = TargetList("stores", files=(source,), refresh=refresh, max_targets=most)
    seen = Seen(TargetWatcher(spec))
    start = trio.current_time()

    async def on_change(targets: tuple[Target, ...]) -> None:
        seen.told.append((trio.current_time() - start, len(targets)))

    async with trio.open_nursery() as nursery:
        await nursery.start(seen.watcher.watch, on_change, seen.news.append)
        yield seen
        nursery.cancel_scope.cancel()


async def test_a_watcher_holds_a_list_says_so_and_believes_it_in_the_end(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(monkeypatch) as seen:
        Planted.gives = look(0)
        await trio.sleep(15)
        (status,) = seen.watcher.statuses
        assert (status.up, status.targets, len(seen.watcher.targets)) == (True, 10, 10)
        assert status.held_since is not None
        assert "shrank from 10 targets to 0" in status.problems[0]
        await trio.sleep(700)
        (status,) = seen.watcher.statuses
        assert (status.targets, status.held_since, status.problems) == (0, None, ())
    assert seen.told == [(610.0, 0)]
    assert [bool(one.problems) for one in seen.news] == [True, False], "told at start and end"


async def test_a_hold_ends_in_time_though_the_next_look_is_far(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(monkeypatch, refresh=86_400.0) as seen:
        Planted.gives = look(1)
        await trio.sleep(86_400 + 650)
    assert seen.told == [(86_400.0 + 600.0, 1)]


async def test_whoever_reloads_is_believed_at_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(monkeypatch) as seen:
        Planted.gives = look(1)
        await trio.sleep(15)
        assert seen.told == []
        seen.watcher.release()
        await trio.sleep(1)
        assert [number for _, number in seen.told] == [1]


async def test_a_list_beyond_its_limit_is_cut_and_says_so_until_it_is_not(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(monkeypatch, most=9) as seen:
        (status,) = seen.watcher.statuses
        assert seen.watcher.targets == TEN[:9], "the first ones"
        assert (status.up, status.targets, status.unused) == (True, 10, 1)
        assert "1 targets are beyond the limit of 9" in status.problems[0]
        Planted.gives = SourceLook(TEN[:9], over=5)  # cut by the reader of the file
        await trio.sleep(15)
        assert seen.watcher.statuses[0].unused == 5
        Planted.gives = look(8)
        await trio.sleep(15)
        (status,) = seen.watcher.statuses
        assert (status.unused, status.problems) == (0, ())
        assert seen.watcher.targets == TEN[:8]
