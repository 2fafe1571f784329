"""A watched list whose files are written, swapped, broken and removed while it runs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
import trio.testing

from probe.discovery import SourceStatus, TargetWatcher, files
from probe.documents.targets import Listed, read_file
from probe.model.spec import FileSource, TargetList
from probe.model.target import Target

REFRESH = 0.01


@pytest.fixture(autouse=True)
def settle_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SETTLE", 0.01)
    monkeypatch.setattr(files, "QUIET", 0.01)


@dataclass
class Watching:
    """What the watcher told."""

    watcher: TargetWatcher
    first: tuple[Target, ...] = ()
    told: list[tuple[Target, ...]] = field(default_factory=list)
    statuses: list[SourceStatus] = field(default_factory=list)

    async def until(self, *names: str) -> None:
        await eventually(
            lambda: [target.name for target in self.watcher.targets] == list(names),
        )

    async def problem(self, text: str) -> None:
        """Until a problem of the first source has the text in it."""
        await eventually(lambda: any(text in one for one in self.watcher.statuses[0].problems))

    async def good(self) -> SourceStatus:
        await eventually(lambda: self.watcher.statuses[0].up)
        return self.watcher.statuses[0]


async def eventually(condition: Callable[[], bool]) -> None:
    with trio.fail_after(30):
        while not condition():
            await trio.sleep(REFRESH)


@asynccontextmanager
async def watching(*paths: Path, static: tuple[Target, ...] = ()) -> AsyncIterator[Watching]:
    sources = tuple(FileSource(str(path)) for path in paths)
    seen = Watching(TargetWatcher(TargetList("stores", static, sources, refresh=REFRESH)))

    async def on_change(targets: tuple[Target, ...]) -> None:
        seen.told.append(targets)

    async with trio.open_nursery() as nursery:
        seen.first = await nursery.start(seen.watcher.watch, on_change, seen.statuses.append)
        yield seen
        nursery.cancel_scope.cancel()


def write(path: Path, *names: str) -> None:
    """Replace a file at once, as careful writers do."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(f"- targets: [{', '.join(names)}]\n")
    new.rename(path)


async def test_the_first_list_is_there_at_the_start_and_changes_are_told_once(
    tmp_path: Path,
) -> None:
    path = tmp_path / "stores.yaml"
    write(path, "a.example")
    async with watching(path, static=(Target("s.example"),)) as seen:
        assert [target.name for target in seen.first] == ["s.example", "a.example"]
        write(path, "a.example", "b.example")
        await seen.until("s.example", "a.example", "b.example")
        await trio.sleep(5 * REFRESH)
    assert len(seen.told) == 1
    assert seen.statuses == [], "nothing was ever wrong"


async def test_unchanged_files_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stores.yaml"
    write(path, "a.example")
    read: list[Path] = []

    def reading(path: Path, most: int) -> Listed:
        read.append(path)
        return read_file(path, most=most)

    monkeypatch.setattr("probe.discovery.reading.read_file", reading)
    async with watching(path):
        await trio.sleep(10 * REFRESH)
    assert len(read) == 1


BROKEN = {
    "half written": "- targets: [a.example, b.exa",
    "of another kind": "targets: a.example",
    "emptied": "",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
async def test_a_broken_file_keeps_the_last_good_list_and_says_so_until_it_is_good_again(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "stores.yaml"
    write(path, "a.example", "b.example")
    async with watching(path) as seen:
        path.write_text(content)
        await seen.problem(str(path))
        (status,) = seen.watcher.statuses
        assert (status.up, status.targets) == (False, 2)
        await seen.until("a.example", "b.example")
        write(path, "c.example")
        await seen.until("c.example")
        assert (await seen.good()).problems == ()
    assert [status.up for status in seen.statuses] == [False, True]


async def test_a_file_that_is_removed_or_cannot_be_read_keeps_its_list(tmp_path: Path) -> None:
    path = tmp_path / "stores.yaml"
    write(path, "a.example")
    async with watching(path) as seen:
        path.unlink()
        await seen.problem("there is no such file")
        path.mkdir()
        await seen.problem("this is a directory")
        await seen.until("a.example")
        path.rmdir()
        write(path, "b.example")
        await seen.until("b.example")


async def test_a_pipe_in_place_of_a_file_blocks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stores.yaml"
    os.mkfifo(path)
    async with watching(path) as seen:
        await seen.problem("not a regular file")


async def test_a_missing_file_at_the_start_is_a_problem_and_not_the_end(tmp_path: Path) -> None:
    path = tmp_path / "stores.yaml"
    async with watching(path) as seen:
        assert seen.first == ()
        await seen.problem("there is no such file")
        assert seen.watcher.statuses[0].good_at is None
        write(path, "a.example")
        await seen.until("a.example")


async def test_the_swap_of_a_mounted_config_map_is_seen(tmp_path: Path) -> None:
    """Kubernetes: stores.yaml -> ..data/stores.yaml, ..data -> ..2026, and ..data is swapped."""
    for version, name in (("..1", "a.example"), ("..2", "b.example")):
        (tmp_path / version).mkdir()
        write(tmp_path / version / "stores.yaml", name)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "stores.yaml").symlink_to("..data/stores.yaml")
    async with watching(tmp_path / "*.yaml") as seen:
        await seen.until("a.example")
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").rename(tmp_path / "..data")
        await seen.until("b.example")


async def test_a_glob_takes_new_files_up_and_lets_removed_ones_go(tmp_path: Path) -> None:
    write(tmp_path / "b.yaml", "b.example")
    async with watching(tmp_path / "*.yaml") as seen:
        write(tmp_path / "a.yaml", "a.example")
        (tmp_path / "c.json").write_text('[{"targets": ["c.example"]}]')
        await seen.until("a.example", "b.example")
        (tmp_path / "b.yaml").unlink()
        await seen.until("a.example")
        await seen.good()


async def test_a_glob_that_loses_every_file_keeps_the_last_list(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "a.example")
    async with watching(tmp_path / "*.yaml") as seen:
        (tmp_path / "a.yaml").unlink()
        await seen.problem("no file")
        await trio.sleep(5 * REFRESH)
        await seen.until("a.example")


async def test_one_broken_file_of_a_glob_leaves_the_others_working(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "a.example")
    write(tmp_path / "b.yaml", "b.example")
    async with watching(tmp_path / "*.yaml") as seen:
        (tmp_path / "a.yaml").write_text("}")
        await seen.problem("a.yaml")
        write(tmp_path / "b.yaml", "c.example")
        await seen.until("a.example", "c.example")


async def test_a_file_that_is_always_being_written_is_read_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "QUIET", 0.1)
    path = tmp_path / "stores.yaml"
    write(path, "a.example", "b.example")
    source = files.FileTargets(str(path))
    await source.look()

    async def keep_writing() -> None:
        with path.open("w") as file:
            while True:
                file.write("- targets: [c.example]\n")
                file.flush()
                await trio.sleep(0.002)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_writing)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            look = await source.look()
            assert [target.name for target in look.targets] == ["a.example", "b.example"]
        monkeypatch.setattr(files, "MOST_POSTPONED", 0.2)
        look = await source.look()
        assert len(look.targets) > 2
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("how", ["truncated", "removed"])
async def test_a_list_that_is_written_line_by_line_is_never_read_half_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Every prefix of it is a good list."""
    monkeypatch.setattr(files, "QUIET", 0.5)
    path = tmp_path / "stores.yaml"
    write(path, "old.example")
    names = [f"shop-{number}.example" for number in range(12)]

    async def write_slowly() -> None:
        if how == "removed":
            path.unlink()
        with path.open("w") as file:
            for name in names:
                file.write(f"- targets: [{name}]\n")
                file.flush()
                await trio.sleep(0.1)

    async with watching(path) as seen:
        await write_slowly()
        await seen.until(*names)
    assert [len(one) for one in seen.told] == [len(names)]


async def test_a_file_that_was_finished_elsewhere_waits_for_a_moment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "QUIET", 3600.0)
    path = tmp_path / "stores.yaml"
    write(path, "a.example")
    new = tmp_path / ".new"
    async with watching(path) as seen:
        new.write_text("- targets: [b.example]\n")
        await trio.sleep(0.05)  # the kernel's stamps have a grain of some milliseconds
        new.rename(path)
        await seen.until("b.example")


@pytest.mark.parametrize("there", [("a.yaml",), ()], ids=["beside another", "in an empty folder"])
async def test_a_new_file_of_a_glob_is_left_until_it_settles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...]
) -> None:
    """Half of a list that is being written reads well, and half of the targets are in it."""
    monkeypatch.setattr(files, "SETTLE", 0.1)
    for name in there:
        write(tmp_path / name, "a.example")
    known = [f"{Path(name).stem}.example" for name in there]
    source = files.FileTargets(str(tmp_path / "*.yaml"))
    await source.look()
    new = tmp_path / "b.yaml"
    new.write_text("- targets: [b.example]\n")

    async def keep_writing() -> None:
        await trio.sleep(0.05)
        with new.open("a") as file:
            file.write("- targets: [c.example]\n")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_writing)
        look = await source.look()
    assert [target.name for target in look.targets] == known
    look = await source.look()
    assert [target.name for target in look.targets] == [*known, "b.example", "c.example"]


async def test_duplicates_collapse_and_are_counted_for_the_source_that_repeats(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a.yaml", "shop.example", "store.example", "SHOP.example.")
    write(tmp_path / "b.yaml", "store.example", "store.example:8443")
    paths = (tmp_path / "a.yaml", tmp_path / "b.yaml")
    async with watching(
        *paths, static=(Target("shop.example", labels={"from": "static"}),)
    ) as seen:
        assert [(target.name, target.port) for target in seen.first] == [
            ("shop.example", None),
            ("store.example", None),
            ("store.example", 8443),
        ]
        assert seen.first[0].labels == {"from": "static"}
        assert [status.duplicates for status in seen.watcher.statuses] == [0, 2, 1]


async def test_an_empty_list_is_legal_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "stores.yaml"
    path.write_text("[]")
    async with watching(path) as seen:
        (status,) = seen.watcher.statuses
    assert (status.up, status.targets, status.notes) == (True, 0, ("the list is empty",))


async def test_a_change_of_labels_alone_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "stores.yaml"
    path.write_text("- {targets: [a.example], labels: {owner: x}}")
    async with watching(path) as seen:
        path.write_text("- {targets: [a.example], labels: {owner: y}}")
        await eventually(lambda: bool(seen.told))
    assert seen.told[0][0].labels == {"owner": "y"}


async def test_one_look_serves_commands_that_run_once(tmp_path: Path) -> None:
    path = tmp_path / "stores.yaml"
    write(path, "a.example")
    watcher = TargetWatcher(TargetList("stores", files=(FileSource(str(path)),)))
    await watcher.look()
    assert [target.name for target in watcher.targets] == ["a.example"]
    assert watcher.statuses[0].up
