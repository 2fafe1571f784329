"""What the collector walks: never everything, however much there is. No clock."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import trio

from probe.agent.process import keep_still, set_apart

MANY = 100_000


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


async def test_a_heap_that_grows_is_set_apart_and_never_walked_whole() -> None:
    walked: list[int] = []

    def looked(phase: str, info: dict[str, int]) -> None:
        if phase == "start" and info["generation"] == 2:
            walked.append(sum(len(gc.get_objects(generation=one)) for one in range(3)))

    async with trio.open_nursery() as nursery:
        await nursery.start(keep_still)
        begun = gc.get_freeze_count()
        gc.callbacks.append(looked)
        try:
            kept = [{"targets": [[number]], "labels": {number: [number]}} for number in range(MANY)]
        finally:
            gc.callbacks.remove(looked)
        assert gc.get_freeze_count() - begun > 4 * MANY, "each has five objects"
        assert len(kept) == MANY
        assert walked
        assert max(walked) < 150_000
        nursery.cancel_scope.cancel()
    assert set_apart not in gc.callbacks


async def test_cycles_are_collected_and_little_is_not_set_apart() -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(keep_still)
        begun = gc.get_freeze_count()
        for _ in range(MANY):
            cycle: list[object] = []
            cycle.append(cycle)
        assert gc.get_freeze_count() == begun
        lists = (one for one in gc.get_objects() if type(one) is list)
        left = sum(len(one) == 1 and one[0] is one for one in lists)
        assert left < 30_000, "most were collected while others were made"
        nursery.cancel_scope.cancel()
