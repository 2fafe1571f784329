"""Target lists across reloads."""

from __future__ import annotations

import json
from pathlib import Path

import trio

from probe.agent.log import EventLog
from probe.agent.parts import build_parts
from probe.agent.sources import Sources
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

    def take(_: str, targets: tuple[Target, ...]) -> None:
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
        with trio.fail_after(10):
            await news.wait()
        assert given[-1] == {"c.example", "d.example"}  # the new sources have spoken

        await sources.configure({})
        await sources.configure(stores(old))
        assert given[-1] == {"a.example", "b.example"}  # nothing is carried from before
        nursery.cancel_scope.cancel()


async def test_one_bad_entry_of_three_thousand_leaves_the_source_up(tmp_path: Path) -> None:
    path = tmp_path / "stores.json"
    names = [*(f"store-{number}.example" for number in range(2999)), "a b"]
    path.write_text(json.dumps([{"targets": names}]))
    given: list[int] = []
    store = Store("sa-east", started_at=0.0)
    sources = Sources(
        build_parts(NOTHING, {}), store, EventLog(), lambda _, targets: given.append(len(targets))
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(sources.run)
        await sources.configure(stores(path))
        nursery.cancel_scope.cancel()
    assert given == [2999]
    (source,) = store.agent.sources.values()
    assert (source.up, source.targets, source.rejected) == (True, 2999, 1)
    assert source.problem.startswith(f"{path}:1:")
    assert source.problem.endswith('"a b" has a space in it; write one name an entry')
