"""How much of a long list is followed between two turns of the event loop. No clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from trio.testing import MockClock

from probe.agent.jobs import PART
from probe.model.spec import Provider
from probe.model.target import Target
from probe.schedule import Runner
from tests.agent.test_silence import Edges, World

NUMBER = 1_000
MANY = tuple(Target(f"shop-{number:04d}.example") for number in range(NUMBER))


class Counted:
    """Counts calls of the runner."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for name in ("put", "drop"):
            monkeypatch.setattr(Runner, name, self._counted(getattr(Runner, name)))

    def _counted(self, call: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return call(*args, **kwargs)

        return counted

    def most(self, steps: Iterator[None]) -> tuple[int, int]:
        """The most calls in one step, and all of them."""
        each = [0]
        for _ in steps:
            each.append(self.count)
        each.append(self.count)
        each = [after - before for before, after in pairwise(each)]
        total, self.count = self.count, 0
        return max(each), total


async def test_a_list_is_followed_a_part_at_a_time(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, counted = World(Edges(), targets=0), Counted(monkeypatch)
    assert counted.most(world.coverage.set_targets("stores", MANY)) == (PART, NUMBER)
    assert len(list(world.coverage.keys())) == NUMBER
    assert counted.most(world.coverage.set_targets("stores", MANY[:10] + MANY[20:])) == (10, 10)
    assert len(world.store.listed["stores"]) == NUMBER - 10
    most, total = counted.most(world.coverage.set_targets("stores", ()))
    assert (most, total) == (PART, NUMBER - 10)
    assert not world.store.listed["stores"]
    assert not list(world.coverage.keys())


async def test_a_reload_is_followed_a_part_at_a_time(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, counted = World(Edges(), targets=0), Counted(monkeypatch)
    list(world.coverage.set_targets("stores", MANY))
    counted.count = 0
    check = replace(world.check, interval=60.0, providers=("live", "new"))
    providers = {name: Provider(name) for name in check.providers}
    spec = replace(world.spec, checks=(check,), providers=providers)
    assert counted.most(world.coverage.retire(spec)) == (0, 0)
    world.store.configure(spec)
    assert counted.most(world.coverage.configure(spec)) == (PART, 2 * NUMBER)
    gone = replace(spec, checks=())
    assert counted.most(world.coverage.retire(gone)) == (PART, 2 * NUMBER)
    assert not list(world.coverage.keys())


async def test_what_is_asked_for_at_once_is_asked_for_in_parts(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner: Runner[int] = Runner(wall=lambda: 0.0)
    asked: list[int] = []

    def request(_: Runner[int], key: int, *, after: float) -> bool:
        asked.append(key)
        return after >= 0

    monkeypatch.setattr(Runner, "request", request)
    before, most = 0, 0
    for _ in runner.request_all(range(2_200), within=5.0, rate=100.0):
        before, most = len(asked), max(most, len(asked) - before)
    assert asked == list(range(2_200))
    assert most == 500
