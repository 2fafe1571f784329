"""Target lists across reloads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from probe.agent import process
from probe.agent.log import EventLog
from probe.agent.parts import build_parts
from probe.agent.sources import Sources
from probe.discovery.files import FileTargets
from probe.discovery.status import SourceLook
from probe.model.spec import FileSource, Listen, Spec, TargetList
from probe.model.target import Target
from probe.serve import Store

NOTHING = Spec("sa-east", Listen(), {}, {}, ())


def stores(*paths: Path, static: tuple[Target, ...] = ()) -> dict[str, TargetList]:
    files = tuple(FileSource(str(path)) for path in paths)
    return {"stores": TargetList("stores", static=static, files=files, refresh=0.05)}


async def test_a_source_that_is_down_at_a_reload_takes_no_targets_away(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text('[{"targets": ["a.example", "b.example"]}]')
    given: list[set[str]] = []
    news = trio.Event()

    async def take(_: str, targets: tuple[Target, ...]) -> None:
        given.append({target.name for target in targets})
        news.set()

    store = Store("sa-east", started_at=0.0)
    sources = Sources(build_parts(NOTHING, {}), store, EventLog(), take)
    async with trio.open_nursery() as nursery:
        await nursery.start(sources.run)
        await sources.configure(stores(old))
        assert given == [{"a.example", "b.example"}]

        await sources.configure(stores(new, static=(Target("c.example"),)))
        assert given[-1] == {"a.example", "b.example", "c.example"}

        news = trio.Event()
        new.write_text('[{"targets": ["d.example"]}]')
        with trio.fail_after(30):
            await news.wait()
        assert given[-1] == {"c.example", "d.example"}  # the new sources have spoken

        await sources.configure({})
        await sources.configure(stores(old))
        assert given[-1] == {"a.example", "b.example"}  # nothing is carried from before
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("reloaded", [False, True])
async def test_a_reader_that_crashes_twice_takes_no_targets_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, reloaded: bool
) -> None:
    path = tmp_path / "stores.json"
    path.write_text('[{"targets": ["a.example", "b.example"]}]')
    monkeypatch.setattr(process, "SHORTEST", 0.01)
    look, broken = FileTargets.look, trio.Event()
    crashes: list[str] = []
    given: list[set[str]] = []

    async def planted(source: FileTargets) -> SourceLook:
        if broken.is_set():
            raise IndexError
        return await look(source)

    def crashed(loop: str, _: str) -> None:
        assert loop == "discovery"
        crashes.append(loop)

    async def take(_: str, targets: tuple[Target, ...]) -> None:
        given.append({target.name for target in targets})

    monkeypatch.setattr(FileTargets, "look", planted)
    store = Store("sa-east", started_at=0.0)
    sources = Sources(build_parts(NOTHING, {}), store, EventLog(), take, crashed)
    async with trio.open_nursery() as nursery:
        await nursery.start(sources.run)
        await sources.configure(stores(path))
        broken.set()
        with trio.fail_after(30):
            while len(crashes) < 2:
                await trio.sleep(0.01)
        if reloaded:
            await sources.configure(stores(path, static=(Target("c.example"),)))
        path.write_text("not: [a list of groups")
        broken = trio.Event()
        with trio.fail_after(30):
            while "crashed" in (problem := told(store)) or not problem:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    both = {"a.example", "b.example"}
    assert given[-1] == (both | {"c.example"} if reloaded else both)
    assert all(targets >= both for targets in given)


@pytest.mark.parametrize("reloaded", [False, True])
async def test_a_list_that_shrank_is_held_though_its_watcher_crashes(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, *, reloaded: bool
) -> None:
    """Ten minutes from the shrink, not from the crash; a reload meanwhile believes it."""
    ten = tuple(Target(f"h{number}.example") for number in range(10))
    gives: SourceLook | None = SourceLook(ten)
    crashes: list[str] = []
    given: list[tuple[float, int]] = []

    async def planted(_: FileTargets) -> SourceLook:
        await trio.lowlevel.checkpoint()
        if gives is None:
            raise IndexError
        return gives

    async def take(_: str, targets: tuple[Target, ...]) -> None:
        given.append((round(trio.current_time() - began), len(targets)))

    monkeypatch.setattr(FileTargets, "look", planted)
    lists = {"stores": TargetList("stores", files=(FileSource("stores.json"),), refresh=10.0)}
    store, began = Store("sa-east", started_at=0.0), trio.current_time()
    sources = Sources(
        build_parts(NOTHING, {}), store, EventLog(), take, lambda loop, _: crashes.append(loop)
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(sources.run)
        await sources.configure(lists)
        gives = SourceLook(ten[:1])
        await trio.sleep(95)
        assert "shrank from 10 targets to 1" in told(store)
        gives = None
        while not crashes:
            await trio.sleep(1)
        if reloaded:
            await sources.configure(lists)
        gives = SourceLook(ten[:1])
        await trio.sleep(100)
        assert given[-1][1] == (1 if reloaded else 10)
        assert ("shrank" in told(store)) is not reloaded
        await trio.sleep(600)
        nursery.cancel_scope.cancel()
    fell = [at for at, number in given if number == 1]
    assert len(fell) == 1
    assert fell[0] == 610 or reloaded


def told(store: Store) -> str:
    """What is said of the file."""
    return "".join(one.problem for one in store.agent.sources() if one.source != "static")


async def test_one_bad_entry_of_three_thousand_leaves_the_source_up(tmp_path: Path) -> None:
    path = tmp_path / "stores.json"
    names = [*(f"store-{number}.example" for number in range(2999)), "a b"]
    path.write_text(json.dumps([{"targets": names}]))
    given: list[int] = []
    store = Store("sa-east", started_at=0.0)

    async def take(_: str, targets: tuple[Target, ...]) -> None:
        given.append(len(targets))

    sources = Sources(build_parts(NOTHING, {}), store, EventLog(), take)
    async with trio.open_nursery() as nursery:
        await nursery.start(sources.run)
        await sources.configure(stores(path))
        nursery.cancel_scope.cancel()
    assert given == [2999]
    (source,) = store.agent.sources()
    assert (source.up, source.targets, source.rejected) == (True, 2999, 1)
    assert source.problem.startswith(f"{path}:1:")
    assert source.problem.endswith('"a b" contains a space; write one name per entry')


async def ignore(*_: object) -> None:
    """Take targets, and do nothing with them."""


async def test_an_end_while_lists_are_configured_is_no_crash() -> None:
    """At whatever step it comes: what starts the watchers is cancelled with them."""
    lists = {str(n): TargetList(str(n), static=(Target("a.example"),)) for n in range(5)}
    for steps in range(40):
        store = Store("sa-east", started_at=0.0)
        sources = Sources(build_parts(NOTHING, {}), store, EventLog(), ignore)

        async def work(nursery: trio.Nursery, sources: Sources = sources) -> None:
            await nursery.start(sources.run)
            await sources.configure(lists)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, nursery)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
