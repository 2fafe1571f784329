"""Targets divided among live peers: covered always, evenly, with few moves."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from probe.agent.log import EventLog
from probe.agent.sharing import LINGER, Sharing
from probe.agent.supervised import supervised
from probe.model.spec import Share
from probe.model.target import Target
from probe.schedule.peers import Ranking, digest, foremost, score
from probe.serve import Store
from tests.support.reading import value

NAMES = tuple(f"store-{number:05d}.example" for number in range(6000))
PODS = tuple(f"10.{number // 250}.{number % 250}.7" for number in range(500))
Shares = Mapping[str, tuple[str, ...]]


def ranked(names: Iterable[str], peers: Iterable[str], replicas: int = 2) -> Ranking:
    ranking = Ranking(replicas)
    for _ in ranking.update(names, peers, replicas):
        pass
    return ranking


def follow(ranking: Ranking, peers: Iterable[str], replicas: int = 2) -> Shares:
    for _ in ranking.update(NAMES, peers, replicas):
        pass
    return ranking.shares()


def pairs(shares: Shares) -> set[tuple[str, str]]:
    return {(name, peer) for name, peers in shares.items() for peer in peers}


def load(shares: Shares) -> Counter[str]:
    return Counter(peer for peers in shares.values() for peer in peers)


@pytest.fixture(scope="module")
def base() -> Shares:
    return ranked(NAMES, PODS).shares()


def test_every_target_has_its_replicas_and_every_pod_its_share_within_a_fifth(base: Shares) -> None:
    assert base.keys() == set(NAMES)
    assert all(len(set(peers)) == 2 for peers in base.values())
    average = 2 * len(NAMES) / len(PODS)
    assert max(load(base).values()) <= 1.2 * average
    assert min(load(base)[pod] for pod in PODS) >= 0.8 * average


def test_a_pod_that_goes_or_comes_moves_little_else(base: Shares) -> None:
    """Each change moves that pod's share; the bounds add less than as much again."""
    ranking, before = ranked(NAMES, PODS), base
    alive = set(PODS)
    random_ = random.Random(7)
    moved = ideal = 0
    for step in range(12):
        if step % 2:
            pod = f"10.9.{step}.9"
            alive.add(pod)
        else:
            pod = random_.choice(sorted(alive))
            alive.remove(pod)
        after = follow(ranking, alive)
        ideal += load(before)[pod] + load(after)[pod]
        moved += len(pairs(after) - pairs(before))
        before = after
    assert moved < 2 * ideal


@pytest.mark.parametrize("names", [1000, 1250, 2500])
def test_nothing_tips_over_where_the_average_is_a_whole_number(names: int) -> None:
    """Few targets for many pods: one pod that goes changes what each may have by a hair."""
    ranking = ranked(NAMES[:names], PODS)
    before = ranking.shares()
    for _ in ranking.update(NAMES[:names], PODS[1:], 2):
        pass
    moved = pairs(ranking.shares()) - pairs(before)
    assert len(moved) < 2 * names / 20, "less than a twentieth"


def test_all_agents_agree_however_they_came_to_know_their_peers() -> None:
    ranking = ranked(reversed(NAMES[:500]), PODS[100:])
    for peers in (PODS[200:], PODS[150:450], PODS[:300]):
        for _ in ranking.update(NAMES[:400], peers, 3):
            pass
    assert ranking.shares() == ranked(NAMES[:400], reversed(PODS[:300]), 3).shares()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12),
    st.lists(st.sets(st.integers(0, 90), min_size=1), min_size=1, max_size=4),
    st.integers(1, 5),
)
def test_keeping_up_gives_what_starting_anew_gives(
    names: int, views: list[set[int]], replicas: int
) -> None:
    wanted = NAMES[:names]
    ranking = Ranking(1)
    for view in views:
        for _ in ranking.update(wanted, (PODS[pod] for pod in view), replicas):
            pass
    last = [PODS[pod] for pod in views[-1]]
    shares = ranking.shares()
    assert shares == ranked(wanted, last, replicas).shares()
    for name in wanted:
        assert shares[name][0] == foremost(name, last, 1)[0], "the first place knows no bound"
        assert len(shares[name]) == min(replicas, len(last))


def test_scores_are_spread_evenly() -> None:
    """Chi-squared over which of 20 pods comes first: 19 degrees of freedom, far from its tail."""
    pods = {pod: digest(pod) for pod in PODS[:20]}
    wins = Counter(max(pods, key=lambda p: score(digest(name), pods[p])) for name in NAMES)
    expected = len(NAMES) / 20
    assert sum((wins[pod] - expected) ** 2 / expected for pod in pods) < 60


# ------------------------------------------------------------------------ 500 pods, their views


def test_500_pods_that_come_and_go_leave_no_target_alone() -> None:
    """Each pod sees DNS at its own moments, and holds what it lost for two looks.

    Every 2 s a pod dies, or one starts; DNS knows 1 s later; pods look every 5 s. What a dead pod
    probed is probed by its other replica at once, and by two pods within a look. Whatever DNS
    says, no share that follows from it is a fifth above or below the average.
    """
    refresh, ticks = 5, 60
    random_ = random.Random(3)
    phase = {pod: random_.randrange(refresh) for pod in PODS}
    ranking = ranked(NAMES, PODS)
    versions: list[Shares] = [ranking.shares()]  # what DNS said, and what follows from it
    seen = dict.fromkeys(PODS, 0)  # version that each pod acts by
    held: dict[str, list[tuple[int, int]]] = {pod: [] for pod in PODS}  # (version, until)
    alive, due = set(PODS), -1
    for now in range(ticks):
        if now == due:
            versions.append(follow(ranking, alive))
            loads, average = load(versions[-1]), 2 * len(NAMES) / len(alive)
            assert all(0.8 * average <= loads[pod] <= 1.2 * average for pod in alive)
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
        self.told = 0
        share = Share("peers.example", replicas, refresh=5.0)
        self.store = Store("sa-east", started_at=0.0)
        self.sharing = Sharing(
            share,
            PODS[0],
            self._lookup,
            self._deliver,
            self._on_peers,
            EventLog(),
            self.store.agent,
        )

    def metrics(self) -> tuple[float | None, ...]:
        """Peers, whether they are seen, replicas, and the targets of the list."""
        return tuple(
            value(self.store, f"probe_agent_share_{name}")
            for name in ("peers", "peers_up", "replicas", "targets")
        )

    async def _lookup(self, name: str) -> frozenset[str] | str:
        assert name == "peers.example"
        return self.answer

    def _deliver(self, name: str, targets: tuple[Target, ...]) -> None:
        self.ours[name] = {target.label for target in targets}

    def _on_peers(self) -> None:
        self.told += 1


TARGETS = tuple(Target(name) for name in NAMES[:300])
ALL = {target.label for target in TARGETS}


def share_of(peers: Iterable[str], replicas: int = 2) -> set[str]:
    shares = ranked(sorted(ALL), peers, replicas).shares()
    return {name for name, chosen in shares.items() if PODS[0] in chosen}


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
        assert region.sharing.owns("checkout")
        assert region.metrics() == (1, 0, 3, len(ALL))
        nursery.cancel_scope.cancel()


async def test_targets_without_a_list_are_shared_too(autojump_clock: MockClock) -> None:
    regions = [Region(PODS[:5]) for _ in range(1)]
    flows = [f"flow-{number}" for number in range(200)]
    async with trio.open_nursery() as nursery:
        (region,) = regions
        await nursery.start(region.sharing.run)
        mine = {flow for flow in flows if region.sharing.owns(flow)}
        assert mine == {flow for flow in flows if PODS[0] in foremost(flow, PODS[:5], 2)}
        region.answer = frozenset(PODS[:50])
        await trio.sleep(6)
        assert {flow for flow in flows if region.sharing.owns(flow)} >= mine, "held for two looks"
        told = region.told
        await trio.sleep(15)
        assert {flow for flow in flows if region.sharing.owns(flow)} < mine
        assert region.told > told, "the flows are asked again when they may go"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("where", ["_rank", "_insert", "_choose"])
async def test_a_crash_halfway_loses_no_share(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    calls, whole = 0, getattr(Ranking, where)

    def planted(ranking: Ranking, *args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 150:
            raise IndexError
        return whole(ranking, *args)

    monkeypatch.setattr(Ranking, where, planted)
    crashes: list[float] = []
    region = Region(PODS[:3])
    flows = [f"flow-{number}" for number in range(200)]
    async with trio.open_nursery() as nursery:
        run, crashed = region.sharing.run, lambda *_: crashes.append(trio.current_time())
        await nursery.start(supervised, "sharing", run, crashed)
        region.sharing.set_targets("stores", TARGETS)
        await trio.sleep(2)
        assert region.ours["stores"] == share_of(PODS[:3])
        mine = {flow for flow in flows if region.sharing.owns(flow)}
        region.answer = frozenset(PODS[:6])
        await trio.sleep(8)
        assert len(crashes) == 1
        assert region.ours["stores"] == share_of(PODS[:3]), "others may not have begun yet"
        assert {flow for flow in flows if region.sharing.owns(flow)} >= mine
        told = region.told
        await trio.sleep((LINGER + 1) * 5)
        assert region.ours["stores"] == share_of(PODS[:6])
        assert region.told > told
        nursery.cancel_scope.cancel()


async def test_a_list_that_always_crashes_holds_up_no_other(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Ranking.update

    def planted(ranking: Ranking, names: list[str], *args: Any) -> Iterator[None]:
        if "broken.example" in names:
            raise IndexError
        return update(ranking, names, *args)

    monkeypatch.setattr(Ranking, "update", planted)
    region = Region(PODS[:3])
    async with trio.open_nursery() as nursery:
        await nursery.start(supervised, "sharing", region.sharing.run, lambda *_: None)
        region.sharing.set_targets("broken", (Target("broken.example"),))
        region.sharing.set_targets("stores", TARGETS)
        await trio.sleep(5)
        assert region.ours == {"stores": share_of(PODS[:3])}
        nursery.cancel_scope.cancel()
