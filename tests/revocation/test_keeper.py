"""The loop that keeps lists: when it looks, what it hands on, what it keeps on disk."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import trio
import trio.testing

from probe.certificates import Judge, Roots, Verdict
from probe.certificates.crl import UnusableList
from probe.certificates.lists import FORGOTTEN, RevocationLists
from probe.model.failure import Reason
from probe.model.tls import ChainExpectations, Trust
from probe.net import apart
from probe.revocation import keeper as keeper_module
from probe.revocation.fetch import Copy, NoCopy
from probe.revocation.keeper import ListKeeper, ListNews
from probe.revocation.shelf import Shelf
from tests.certificates.authority import NOW, intermediate, root
from tests.certificates.revoking import OTHER, URL, entry, named, revocation_list

TOP = root()
ISSUING = intermediate(TOP)
SERVER = named(ISSUING)
GOOD = revocation_list(ISSUING)
REVOKED = revocation_list(ISSUING, entry(SERVER), begins=NOW - timedelta(minutes=30))


class World:
    """Servers of lists, and an agent of which only the lists matter."""

    def __init__(self, says: object = GOOD, folder: Path | None = None) -> None:
        self.says = says
        self.asked: list[tuple[float, str, Copy | None]] = []
        self.news: list[ListNews] = []
        self.lists = RevocationLists()
        self.judge = Judge(lambda _: Roots.of([TOP.der]), lists=self.lists)
        self.began = trio.current_time()
        shelf = None if folder is None else Shelf(folder)
        self.keeper = ListKeeper(self.lists, self.fetch, self.wall, shelf, self.news.append)

    def wall(self) -> float:
        return NOW.timestamp() + self.now

    @property
    def now(self) -> float:
        return trio.current_time() - self.began

    async def fetch(self, url: str, before: Copy | None, turn: int) -> Copy:
        self.asked.append((round(self.now, 3), url, before))
        await trio.sleep(0.1)
        match self.says:
            case bytes(der):
                return Copy(der, '"1"', "", 7200)
            case Copy() as copy:
                return copy
            case Exception() as error:
                raise error
            case _:
                raise AssertionError(self.says)

    async def ask(self, *chain: object) -> Verdict:
        return await self.judge.judge(
            [SERVER.der, ISSUING.der],
            "shop.example",
            self.wall(),
            trust=Trust(),
            expect=ChainExpectations(),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.keeper.run)
            yield
            nursery.cancel_scope.cancel()

    async def settled(self) -> str | None:
        await self.keeper.settled(await self.ask(), 60)
        return (await self.ask()).crl


async def test_a_list_is_fetched_once_and_again_when_caches_would(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with world.running():
        assert await world.settled() == "good"
        await trio.sleep(3600)
        world.says = Copy(None, '"1"', "", 7200)
        await trio.sleep(7200)
    assert [(when, url) for when, url, _ in world.asked] == [(0.0, URL), (7200.1, URL)]
    assert world.asked[1][2] == Copy(None, '"1"', "", 7200)
    assert world.keeper.counts == {"new": 1, "unchanged": 1, "failed": 0, "unusable": 0}


async def test_what_it_revokes_later_is_noticed(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with world.running():
        assert await world.settled() == "good"
        world.says = REVOKED
        await trio.sleep(7201)
        assert (await world.ask()).failures[0].reason is Reason.CRL_REVOKED


@pytest.mark.parametrize(
    ("says", "reason", "outcome"),
    [
        (NoCopy("status 503"), Reason.CRL_UNAVAILABLE, "failed"),
        (RuntimeError("ours"), Reason.CRL_UNAVAILABLE, "failed"),
        (b"<html>", Reason.CRL_INVALID, "unusable"),
        (revocation_list(ISSUING, signer=TOP), Reason.CRL_INVALID, "unusable"),
    ],
)
async def test_trouble_is_a_warning_is_told_once_and_is_tried_again(
    autojump_clock: trio.testing.MockClock, says: object, reason: Reason, outcome: str
) -> None:
    world = World(says)
    async with world.running():
        assert await world.settled() == "unknown"
        verdict = await world.ask()
        assert (verdict.failures, verdict.warnings[0].reason) == ((), reason)
        assert "ours" not in verdict.warnings[0].detail
        await trio.sleep(200)
        assert [when for when, *_ in world.asked] == [0.0, 60.1, 180.2]
        assert world.keeper.counts[outcome] == 3
        world.says = GOOD
        await trio.sleep(300)
        assert (await world.ask()).crl == "good"
    assert [(one.url, one.reason) for one in world.news] == [(URL, reason.value), (URL, "")]


async def test_a_list_that_went_away_while_an_answer_came_is_dropped(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with world.running():
        await world.ask()
        await trio.sleep(0.05)
        world.keeper.switch(world.judge, on=False)
        await trio.sleep(1)
        assert (await world.ask()).crl is None
        assert world.lists.known == {}
        world.keeper.switch(world.judge, on=True)
        assert await world.settled() == "good"


async def test_what_nobody_serves_any_more_is_not_fetched_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with world.running():
        await world.settled()
        await trio.sleep(FORGOTTEN + 3 * 3600)
        count = len(world.asked)
        await trio.sleep(10 * 86_400)
        assert len(world.asked) == count


async def test_a_server_that_hangs_is_waited_for_once_and_not_by_each_edge(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()

    async def hangs(url: str, before: Copy | None, turn: int) -> Copy:
        await trio.sleep_forever()
        raise AssertionError

    world.keeper = ListKeeper(world.lists, hangs, world.wall)
    async with world.running():
        for _ in range(100):
            await world.keeper.settled(await world.ask(), 10)
        assert world.now == pytest.approx(10)
        assert (await world.ask()).crl == "pending"


async def test_few_are_fetched_at_once(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with world.running():
        for number in range(12):
            chain = [named(ISSUING, f"{OTHER}{number}").der, ISSUING.der]
            await world.judge.judge(
                chain, "shop.example", world.wall(), trust=Trust(), expect=ChainExpectations()
            )
        await trio.sleep(1)
    assert [when for when, *_ in world.asked] == [0.0] * 4 + [0.1] * 4 + [0.2] * 4


async def test_a_restart_begins_with_the_copy_on_disk_and_asks_whether_it_changed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state" / "crl"
    first = World(REVOKED, folder)
    async with first.running():
        assert await first.settled() == "revoked"
    assert [one.stat().st_mode & 0o777 for one in folder.iterdir()] == [0o600]
    second = World(NoCopy("down"), folder)
    async with second.running():
        assert await second.settled() == "revoked"
        with trio.fail_after(10):
            while not second.asked:
                await trio.sleep(0.01)
    assert second.asked[0][2] == Copy(None, '"1"')


@pytest.mark.parametrize("odd", ["fifo", "folder", "holes", "nested"])
async def test_an_odd_copy_is_not_waited_for(tmp_path: Path, odd: str) -> None:
    Shelf(tmp_path).keep(URL, GOOD, Copy(None))
    file = next(tmp_path.iterdir())
    file.unlink()
    match odd:
        case "fifo":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "holes":
            with file.open("wb") as holes:
                holes.truncate(20 << 30)
        case _:
            file.write_bytes(b"[" * 4000 + b"\n")
    world = World(GOOD, tmp_path)
    async with world.running():
        assert await world.settled() == "good"
    assert world.asked[0][2] is None


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"\xff\xfe\n", b'{"url": "x"}\nabc', None])
async def test_a_damaged_copy_is_fetched_anew(tmp_path: Path, damage: bytes | None) -> None:
    world = World(GOOD, tmp_path)
    Shelf(tmp_path).keep(URL, GOOD if damage is None else b"x", Copy(None))
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes()[:-40] if damage is None else damage)
    async with world.running():
        assert await world.settled() == "good"
    assert world.asked[0][2] is None


async def test_a_copy_past_its_end_is_not_used(tmp_path: Path) -> None:
    old = revocation_list(ISSUING, begins=NOW - timedelta(days=30))
    Shelf(tmp_path).keep(URL, old, Copy(None, '"old"'))
    world = World(NoCopy("down"), tmp_path)
    async with world.running():
        assert await world.settled() == "unknown"
    assert world.asked[0][2] is None


async def test_a_full_disk_costs_the_copy_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Shelf, "keep", full)
    world = World(GOOD, tmp_path)
    async with world.running():
        assert await world.settled() == "good"
        await trio.sleep(0.05)
    assert [one.problem for one in world.news] == ["No space left on device"]


def test_copies_are_bounded_and_old_ones_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    monkeypatch.setattr("probe.revocation.shelf.MOST_KEPT", 200)
    shelf.keep(URL, b"a" * 100, Copy(None))
    shelf.keep(OTHER, b"b" * 100, Copy(None))
    assert shelf.load(OTHER) is None
    assert shelf.load(URL) == Copy(b"a" * 100)
    monkeypatch.setattr("probe.revocation.shelf._FORGOTTEN", -1.0)
    shelf.sweep()
    assert list(tmp_path.iterdir()) == []
    Shelf(tmp_path / "not there").sweep()


async def test_a_long_list_is_read_by_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    async def once(module: str, data: bytes, seconds: float) -> bytes:
        started.append(len(data))
        return await apart.once(module, data, seconds)

    monkeypatch.setattr(keeper_module, "once", once)
    serials = range(1, 2_000_001, 2000)
    made = revocation_list(ISSUING, entry(SERVER), *(entry(serial) for serial in serials))
    found = await World().keeper.read(made, [ISSUING.der])
    assert found.count == 1001
    assert started == [pytest.approx(len(made), abs=2000)]
    with pytest.raises(UnusableList, match="cannot be read"):
        await World().keeper.read(made[:-1], [ISSUING.der])
    monkeypatch.setattr(keeper_module, "_LONGEST_READ", 0.001)
    with pytest.raises(UnusableList, match="the process that reads"):
        await World().keeper.read(made, [ISSUING.der])
