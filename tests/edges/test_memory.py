"""Edges are kept after DNS ceases to name them, and no longer: arithmetic, no clock."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from probe.edges.memory import EdgeMemory
from probe.model.target import Edge

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.10"
KEEP = 600.0


def memory(limit: int = 64) -> EdgeMemory:
    return EdgeMemory(KEEP, limit)


def ips(edges: tuple[Edge, ...]) -> list[str]:
    return [edge.ip for edge in edges]


def test_an_edge_that_rotates_away_is_kept_marked_stale_and_then_dropped() -> None:
    known = memory()
    known.answered(("", 4), [A, B], (), 0.0)
    known.answered(("", 4), [B, C], (), 100.0)
    assert [(e.ip, e.stale) for e in known.edges(443, 100.0)] == [(A, True), (B, False), (C, False)]
    assert ips(known.edges(443, 699.9)) == [A, B, C]
    assert ips(known.edges(443, 700.0)) == [B, C], "600 s after it was first left out"


def test_the_time_counts_from_the_first_answer_that_left_it_out() -> None:
    known = memory()
    known.answered(("", 4), [A], (), 0.0)
    for now in (100.0, 200.0, 300.0):
        known.answered(("", 4), [B], (), now)
    assert ips(known.edges(443, 700.0)) == [B]


def test_an_edge_that_comes_back_is_fresh_again() -> None:
    known = memory()
    known.answered(("", 4), [A], (), 0.0)
    known.answered(("", 4), [B], (), 100.0)
    known.answered(("", 4), [A], (), 650.0)
    assert [(e.ip, e.stale) for e in known.edges(443, 700.0)] == [(A, False), (B, True)]


def test_without_a_new_answer_nothing_decays() -> None:
    known = memory()
    known.answered(("", 4), [A], (), 0.0)
    assert [(e.ip, e.stale) for e in known.edges(443, 1e6)] == [(A, False)]


def test_an_answer_without_addresses_starts_the_decay_of_all() -> None:
    known = memory()
    known.answered(("", 4), [A, B], (), 0.0)
    known.answered(("", 4), [], (), 10.0)
    assert all(edge.stale for edge in known.edges(443, 11.0))
    assert known.edges(443, 610.0) == ()


def test_families_decay_apart() -> None:
    known = memory()
    known.answered(("", 4), [A], (), 0.0)
    known.answered(("", 6), ["2001:db8::1"], (), 0.0)
    known.answered(("", 6), [], (), 1.0)
    assert [(e.ip, e.stale) for e in known.edges(443, 2.0)] == [(A, False), ("2001:db8::1", True)]


def test_the_union_over_regions_says_who_sees_which_edge() -> None:
    known = memory()
    known.answered(("sa-east", 4), [A, B], (), 0.0)
    known.answered(("eu-west", 4), [B], (), 0.0)
    assert {edge.ip: edge.seen_from for edge in known.edges(443, 0.0)} == {
        A: ("sa-east",),
        B: ("eu-west", "sa-east"),
    }
    known.answered(("sa-east", 4), [A], (), 1.0)
    (_, b) = known.edges(443, 2.0)
    assert (b.stale, b.seen_from) == (False, ("eu-west", "sa-east")), "rotation is no move"
    assert known.edges(443, 700.0)[1].seen_from == ("eu-west",)


def test_order_is_by_number_ipv4_first_whatever_the_answer_says() -> None:
    known = memory()
    known.answered(("", 6), ["2001:db8::10", "2001:db8::2"], (), 0.0)
    known.answered(("", 4), [C, B, A], (), 0.0)
    assert ips(known.edges(443, 0.0)) == [A, B, C, "2001:db8::2", "2001:db8::10"]


def test_the_chain_that_led_to_an_edge_is_that_of_the_latest_answer_that_named_it() -> None:
    known = memory()
    known.answered(("", 4), [A, B], ("old.cdn.example",), 0.0)
    known.answered(("", 4), [A], ("new.cdn.example",), 1.0)
    assert [edge.cnames for edge in known.edges(443, 1.0)] == [
        ("new.cdn.example",),
        ("old.cdn.example",),
    ]


def test_beyond_the_limit_those_go_first_that_dns_has_not_named_for_longest() -> None:
    known = memory(limit=2)
    assert known.answered(("", 4), [A], (), 0.0) == 0
    assert known.answered(("", 4), [B], (), 1.0) == 0
    assert known.answered(("", 4), [C], (), 2.0) == 1
    assert ips(known.edges(443, 2.0)) == [B, C]
    assert known.answered(("", 4), [f"198.51.100.{n}" for n in range(9)], (), 3.0) == 9
    assert ips(known.edges(443, 3.0)) == ["198.51.100.0", "198.51.100.1"]


POOL = [f"192.0.2.{n}" for n in range(1, 7)]
STEPS = st.lists(
    st.tuples(
        st.floats(0.1, 500.0),  # seconds since the step before
        st.sampled_from(("", "sa-east", "eu-west")),
        st.none() | st.sets(st.sampled_from(POOL)),  # None: DNS failed, the memory is not told
    ),
    max_size=20,
)


@settings(deadline=None)
@given(STEPS)
def test_no_edge_is_lost_before_its_time_none_returns_after_and_none_is_there_twice(
    steps: list[tuple[float, str, set[str] | None]],
) -> None:
    known, now = memory(), 0.0
    answers: dict[str, list[tuple[float, set[str]]]] = {}
    for pause, region, addresses in steps:
        now += pause
        if addresses is not None:
            known.answered((region, 4), addresses, (), now)
            answers.setdefault(region, []).append((now, addresses))
        edges = known.edges(443, now)
        assert len(set(ips(edges))) == len(edges)
        assert set(ips(edges)) == {ip for ip in POOL if _expected(ip, answers, now)}
        current = set().union(*(told[-1][1] for told in answers.values()))
        assert {edge.ip for edge in edges if not edge.stale} == current


def _expected(ip: str, answers: dict[str, list[tuple[float, set[str]]]], now: float) -> bool:
    """Named by the latest answer of a region, or left out for less than KEEP seconds."""
    for told in answers.values():
        named = [number for number, (_, addresses) in enumerate(told) if ip in addresses]
        if not named:
            continue
        after = told[named[-1] + 1 :]
        if not after or now - after[0][0] < KEEP:
            return True
    return False
