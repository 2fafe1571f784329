"""The ring: every target has its owners, about evenly, and few move when peers come or go."""

from __future__ import annotations

from bisect import bisect
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.schedule import Ring, Shard, ShardError
from probe.schedule.ring import _point, _points

NAMES = st.lists(st.text(min_size=1, max_size=40), max_size=50, unique=True)
PEERS = st.sets(st.integers(1, 40).map(str), min_size=1, max_size=12)
STORES = tuple(f"store-{number:05d}.example" for number in range(20_000))
PODS = tuple(f"10.{number // 250}.{number % 250}.7" for number in range(500))


@given(NAMES, PEERS, st.integers(1, 15))
def test_every_target_has_as_many_owners_as_asked_for_or_all(
    names: list[str], peers: set[str], count: int
) -> None:
    ring = Ring(peers)
    for name in names:
        owners = ring.owners(name, count)
        assert len(set(owners)) == len(owners) == min(count, len(peers))
        assert set(owners) <= peers


@given(NAMES, PEERS)
def test_more_replicas_keep_the_owners_there_are(names: list[str], peers: set[str]) -> None:
    ring = Ring(peers)
    for name in names:
        assert ring.owners(name, 5)[:2] == ring.owners(name, 2)


@given(NAMES, PEERS, st.integers(1, 4))
def test_a_peer_that_comes_takes_over_targets_and_moves_no_other(
    names: list[str], peers: set[str], count: int
) -> None:
    before, after = Ring(peers), Ring(peers | {"new"})
    for name in names:
        assert set(after.owners(name, count)) - {"new"} <= set(before.owners(name, count))


@given(NAMES, PEERS)
def test_what_a_peer_had_that_goes_falls_to_the_next_owner(
    names: list[str], peers: set[str]
) -> None:
    ring = Ring(peers)
    for name in names if len(peers) > 1 else ():
        first, second = ring.owners(name, 2)
        assert Ring(peers - {first}).owners(name, 1) == (second,)


def test_a_ring_that_is_filled_in_steps_is_the_same() -> None:
    """A name with a thousand addresses: no step may hold up the agent."""
    peers = [f"10.0.{number // 250}.{number % 250}" for number in range(1000)]
    slow, whole = Ring(), Ring(peers)
    steps = sum(1 for _ in slow.filled(peers))
    assert steps > 60
    assert slow.peers == whole.peers
    points = sorted((point, peer) for peer in peers for point in _points(peer))
    for name in STORES[:500]:
        follow = points[bisect(points, (_point(name), "")) % len(points)]
        assert slow.owners(name, 3) == whole.owners(name, 3)
        assert slow.owners(name, 1) == (follow[1],)


def test_peers_get_about_the_same_number_of_targets() -> None:
    """500 pods, 80 targets each: chance of the points and of the targets both."""
    ring = Ring(PODS)
    load = Counter(peer for name in STORES for peer in ring.owners(name, 2))
    average = 2 * len(STORES) / len(PODS)
    assert load.keys() == set(PODS)
    assert max(load.values()) < 1.6 * average
    assert min(load.values()) > 0.6 * average
    near = sum(abs(count - average) < 0.2 * average for count in load.values())
    assert near > 0.8 * len(PODS)


def test_shards_are_of_about_the_same_size() -> None:
    for count in (2, 3, 4, 8):
        ring = Ring(map(str, range(1, count + 1)))
        owned = Counter(ring.owners(name, 1)[0] for name in STORES)
        average = len(STORES) / count
        assert all(abs(owned[str(n)] - average) < 0.2 * average for n in range(1, count + 1))


def test_owners_are_the_same_in_every_process_and_release() -> None:
    """Two agents of different releases must agree, or a target is lost while they differ."""
    ring = Ring(map(str, range(1, 6)))
    assert "".join(ring.owners(name, 1)[0] for name in STORES[:20]) == PINNED


PINNED = "41144135431214224443"


@given(NAMES, st.integers(1, 12))
def test_every_target_is_probed_by_exactly_one_shard(names: list[str], count: int) -> None:
    shards = [Shard(number, count) for number in range(1, count + 1)]
    for name in names:
        assert sum(shard.owns(name) for shard in shards) == 1


@pytest.mark.parametrize("text", ["1/1", "1/3", "3/3", "1000/1000"])
def test_a_shard_reads_as_it_is_written(text: str) -> None:
    assert str(Shard.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "1", "/", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1 / 3", "1/1001", "¹/3"]
)
def test_other_texts_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ShardError, match="write I/N"):
        Shard.parse(text)
