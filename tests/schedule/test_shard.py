"""Shards: every target has one owner, and few move when shards are added."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.schedule import Shard, ShardError
from probe.schedule.shard import owner

NAMES = st.lists(st.text(min_size=1, max_size=40), max_size=50, unique=True)


@given(NAMES, st.integers(1, 12))
def test_every_target_is_probed_by_exactly_one_shard(names: list[str], count: int) -> None:
    shards = [Shard(number, count) for number in range(1, count + 1)]
    for name in names:
        assert sum(shard.owns(name) for shard in shards) == 1


@given(NAMES, st.integers(1, 12))
def test_another_shard_takes_over_targets_and_moves_no_other(names: list[str], count: int) -> None:
    for name in names:
        before, after = owner(name, count), owner(name, count + 1)
        assert after in {before, count + 1}


def test_shards_are_of_about_the_same_size() -> None:
    """Five deviations of a binomial: the names are fixed, so this passes always or never."""
    owned = Counter(owner(f"store-{number}.example", 8) for number in range(8000))
    assert set(owned) == set(range(1, 9))
    assert all(abs(count - 1000) < 5 * (8000 * 1 / 8 * 7 / 8) ** 0.5 for count in owned.values())


def test_owners_are_the_same_in_every_process_and_release() -> None:
    """Two agents of different releases must agree, or a target is lost while they differ."""
    assert [owner(f"store-{number}.example", 5) for number in range(10)] == PINNED


PINNED = [5, 5, 1, 2, 3, 4, 1, 1, 2, 1]


@pytest.mark.parametrize("text", ["1/1", "1/3", "3/3", "1000/1000"])
def test_a_shard_reads_as_it_is_written(text: str) -> None:
    assert str(Shard.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "1", "/", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1 / 3", "1/1001", "¹/3"]
)
def test_other_texts_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ShardError, match="write I/N"):
        Shard.parse(text)
