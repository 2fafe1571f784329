"""Targets divided among live peers: covered always, whatever each of them sees."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

import pytest
import trio
from trio.testing import MockClock

from probe.agent.jobs import UNLISTED
from probe.agent.log import EventLog
from probe.agent.process import supervised
from probe.agent.sharing import LINGER, Sharing
from probe.model.spec import Share
from probe.model.target import Target
from probe.schedule import Ring
from probe.serve import Store
from tests.support.reading import value

NAMES = tuple(f"store-{number:05d}.example" for number in range(6000))
PODS = tuple(f"10.{number // 250}.{number % 250}.7" for number in range(500))
Shares = Mapping[str, tuple[str, ...]]


def shares_of(peers: Iterable[str]) -> Shares:
    ring = Ring(peers)
    return {name: ring.owners(name, 2) for name in NAMES}


# ------------------------------------------------------------------------ 500 pods, their views


def test_500_pods_that_come_and_go_leave_no_target_alone() -> None:
    """Each pod sees DNS at its own moments, and holds what it lost for two looks.

    Every 2 s a pod dies, or one starts; DNS knows 1 s later; pods look every 5 s. What a dead pod
    probed is probed by its other replica at once, and by two pods within a look.
    """
    refresh, ticks = 5, 60
    random_ = random.Random(3)
    phase = {pod: random_.randrange(refresh) for pod in PODS}
    versions = [shares_of(PODS)]  # what DNS said, and what follows from it
    seen = dict.fromkeys(PODS, 0)  # version that each pod acts by
    held: dict[str, list[tuple[int, int]]] = {pod: [] for pod in PODS}  # (version, until)
    alive, due = set(PODS), -1
    for now in range(ticks):
        if now == due:
            versions.append(shares_of(alive))
        if now % 2 == 0:
            due = now + 1
            if now % 4 == 0:
                alive.remove(random_.choice(sorted(alive)))
            else:
                pod = f"10.9.{now}.9"
                alive.add(pod)
                phase[pod], seen[pod], held[pod] = now % refresh, len(versions) - 1, []
        for pod in alive:
            if now % refresh == phase[pod] and seen[pod] != len(versions) - 1:
                held[pod].append((seen[pod], now + LINGER * refresh))
                seen[pod] = len(versions) - 1
            held[pod] = [(version, until) for version, until in held[pod] if until > now]
        acting = {v for pod in alive for v in (seen[pod], *(h for h, _ in held[pod]))}
        covered: set[str] = set()
        for version in acting:
            by = {p for p in alive if seen[p] == version or any(h == version for h, _ in held[p])}
            covered |= {name for name, ps in versions[version].items() if not by.isdisjoint(ps)}
        assert covered == set(NAMES), f"at {now} s"


# ------------------------------------------------------------------------ one agent's share


class Region:
    """A DNS name whose addresses change, and what one agent is told to probe."""

    def __init__(self, peers: Iterable[str] | str, replicas: int = 2) -> None:
        self.answer: frozenset[str] | str = peers if isinstance(peers, str) else frozenset(peers)
        self.ours: dict[str, set[str]] = {}
        share = Share("peers.example", replicas, refresh=5.0)
        self.store = Store("sa-east", started_at=0.0)
        self.sharing = Sharing(
            share,
            PODS[0],
            self._lookup,
            self._deliver,
            EventLog(),
        )
        self.store.agent.readings.append(self.sharing.samples)

    def metrics(self) -> tuple[float | None, ...]:
        """Peers, whether they are seen, replicas, and the targets of the list."""
        return tuple(
            value(self.store, f"probe_agent_share_{name}")
            for name in ("peers", "peers_up", "replicas", "targets")
        )

    async def _lookup(self, name: str) -> frozenset[str] | str:
        assert name == "peers.example"
        return self.answer

    async def _deliver(self, name: str, targets: tuple[Target, ...]) -> None:
        self.ours[name] = {target.label for target in targets}


TARGETS = tuple(Target(name) for name in NAMES[:300])
ALL = {target.label for target in TARGETS}


def share_of(peers: Iterable[str], replicas: int = 2) -> set[str]:
    ring = Ring(peers)
    return {name for name in ALL if PODS[0] in ring.owners(name, replicas)}


async def test_a_share_follows_the_peers_and_what_is_lost_is_held_for_two_looks(
    autojump_clock: MockClock,
) -> None:
    region = Region(PODS[:3])
    async with trio.open_nursery() as nursery:
        await nursery.start(region.sharing.run)
        region.sharing.set_targets("stores", TARGETS)
        await trio.sleep(1)
        three = share_of(PODS[:3])
        assert region.ours["stores"] == three
        region.answer = frozenset(PODS[:6])
        await trio.sleep(5)
        six = share_of(PODS[:6])
        assert six < three
        assert region.ours["stores"] == three, "others may not have begun yet"
        assert region.metrics() == (6, 1, 2, len(three)), "what is held counts"
        await trio.sleep(LINGER * 5)
        assert region.ours["stores"] == six
        assert region.metrics() == (6, 1, 2, len(six))
        region.answer = frozenset(PODS[:2])
        await trio.sleep(5)
        assert region.ours["stores"] == ALL, "two peers, two replicas"
        assert region.metrics() == (2, 1, 2, len(ALL))
        nursery.cancel_scope.cancel()


async def test_peers_that_change_at_every_look_do_not_make_it_hold_for_ever(
    autojump_clock: MockClock,
) -> None:
    region = Region(PODS[:2])
    async with trio.open_nursery() as nursery:
        await nursery.start(region.sharing.run)
        region.sharing.set_targets("stores", TARGETS)
        for step in range(12):
            region.answer = frozenset(PODS[: 50 + step])
            await trio.sleep(5)
        assert len(region.ours["stores"]) < 60
        nursery.cancel_scope.cancel()


async def test_blind_it_probes_more_and_never_less(autojump_clock: MockClock) -> None:
    region = Region(PODS[:10])
    async with trio.open_nursery() as nursery:
        await nursery.start(region.sharing.run)
        region.sharing.set_targets("stores", TARGETS)
        await trio.sleep(1)
        before = region.ours["stores"]
        region.answer = "no answer"
        sizes = []
        for _ in range(10):
            await trio.sleep(60)
            assert before <= region.ours["stores"]
            sizes.append(len(region.ours["stores"]))
        assert sizes == sorted(sizes)
        assert sizes[0] > len(before)
        assert sizes[-1] == len(ALL)
        assert region.metrics() == (10, 0, 2 + 1 + 9, len(ALL)), "more replicas than peers: all"
        region.answer = frozenset(PODS[:10])
        await trio.sleep(20)
        assert region.ours["stores"] == before
        assert region.metrics() == (10, 1, 2, len(before))
        nursery.cancel_scope.cancel()


async def test_who_never_saw_a_peer_probes_everything(autojump_clock: MockClock) -> None:
    region = Region("no answer")
    async with trio.open_nursery() as nursery:
        await nursery.start(region.sharing.run)
        region.sharing.set_targets("stores", TARGETS)
        await trio.sleep(1)
        assert region.ours["stores"] == ALL
        assert region.metrics() == (1, 0, 3, len(ALL))
        nursery.cancel_scope.cancel()


async def test_flows_without_a_list_are_shared_too_and_are_no_list_of_the_metrics(
    autojump_clock: MockClock,
) -> None:
    region = Region(PODS[:5])
    async with trio.open_nursery() as nursery:
        await nursery.start(region.sharing.run)
        region.sharing.set_targets(UNLISTED, TARGETS)
        region.sharing.forget_lists([])
        await trio.sleep(1)
        assert region.ours[UNLISTED] == share_of(PODS[:5])
        assert region.metrics() == (5, 1, 2, None)
        region.answer = frozenset(PODS[:50])
        await trio.sleep(6)
        assert region.ours[UNLISTED] == share_of(PODS[:5]), "held for two looks"
        await trio.sleep(15)
        assert region.ours[UNLISTED] == share_of(PODS[:50])
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("call", [150, 450, 750])
async def test_a_crash_halfway_loses_no_share(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """The first share, and the one after the change, each halfway; and one that never comes."""
    calls, whole = 0, Ring.owners

    def planted(ring: Ring, name: str, count: int) -> tuple[str, ...]:
        nonlocal calls
        calls += 1
        if calls == call:
            raise IndexError
        return whole(ring, name, count)

    three, six = share_of(PODS[:3]), share_of(PODS[:6])
    monkeypatch.setattr(Ring, "owners", planted)
    crashes: list[float] = []
    region = Region(PODS[:3])
    async with trio.open_nursery() as nursery:
        run, crashed = region.sharing.run, lambda *_: crashes.append(trio.current_time())
        await nursery.start(supervised, "sharing", run, crashed)
        region.sharing.set_targets("stores", TARGETS)
        await trio.sleep(2)
        assert region.ours["stores"] == three
        region.answer = frozenset(PODS[:6])
        await trio.sleep(8)
        assert len(crashes) == (calls >= call)
        assert region.ours["stores"] == three, "others may not have begun yet"
        await trio.sleep((LINGER + 1) * 5)
        assert region.ours["stores"] == six
        nursery.cancel_scope.cancel()


async def test_a_list_that_always_crashes_holds_up_no_other(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Ring.owners

    def planted(ring: Ring, name: str, count: int) -> tuple[str, ...]:
        if name == "broken.example":
            raise IndexError
        return whole(ring, name, count)

    monkeypatch.setattr(Ring, "owners", planted)
    region = Region(PODS[:3])
    async with trio.open_nursery() as nursery:
        await nursery.start(supervised, "sharing", region.sharing.run, lambda *_: None)
        region.sharing.set_targets("broken", (Target("broken.example"),))
        region.sharing.set_targets("stores", TARGETS)
        await trio.sleep(5)
        assert region.ours == {"stores": share_of(PODS[:3])}
        nursery.cancel_scope.cancel()


class _Turns(trio.abc.Instrument):
    """Counts what was looked for on the ring in each turn of the event loop."""

    def __init__(self) -> None:
        self.longest = self.now = 0

    def before_io_wait(self, timeout: float) -> None:
        self.longest, self.now = max(self.longest, self.now), 0


@pytest.mark.parametrize("replicas", [2, 90, 120, 500])
async def test_a_large_region_that_is_blind_for_long_does_not_hold_the_loop(
    replicas: int, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longer peers are not seen, the more owners each target has, all of which are found."""
    turns, owners = _Turns(), Ring.owners

    def counted(ring: Ring, name: str, count: int) -> tuple[str, ...]:
        turns.now += min(count, len(ring.peers))
        return owners(ring, name, count)

    monkeypatch.setattr(Ring, "owners", counted)
    many = [PODS[0], *(f"10.9.0.{number}" for number in range(119))]
    region = Region(many, replicas)
    async with trio.open_nursery() as nursery:
        await nursery.start(region.sharing.run)
        trio.lowlevel.add_instrument(turns)
        region.sharing.set_targets("stores", TARGETS)
        await trio.sleep(1)
        trio.lowlevel.remove_instrument(turns)
        nursery.cancel_scope.cancel()
    ring = Ring(many)
    expected = {name for name in ALL if PODS[0] in owners(ring, name, replicas)}
    assert region.ours["stores"] == expected
    assert turns.longest <= 1000
