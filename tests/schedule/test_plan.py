"""The plan alone: no clock, every time is an argument."""

from __future__ import annotations

import random
import subprocess
import sys
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.schedule.plan import FIRST, MOST_BESIDE, Due, Plan

START = 1_700_000_000.0


def drain(plan: Plan[str], until: float) -> list[Due[str]]:
    """Pop punctually up to ``until``."""
    runs: list[Due[str]] = []
    while (due := plan.next_due()) is not None and due <= until:
        runs += plan.pop(due)
    return runs


def planned(*keys: str, interval: float = 10.0, now: float = START) -> Plan[str]:
    plan: Plan[str] = Plan(first=inf)
    put(plan, keys, interval, now)
    return plan


def put(plan: Plan[str], keys: Iterable[str], interval: float, now: float = START) -> None:
    for key in keys:
        plan.put(key, interval, now)


def test_a_key_keeps_its_phase_over_restarts() -> None:
    first = [due.at for due in drain(planned("a", "b"), START + 40)]
    later = [due.at for due in drain(planned("a", "b", now=START + 17.3), START + 40)]
    assert later == [at for at in first if at > START + 17.3]


def test_the_phase_is_the_same_in_another_process() -> None:
    """Python's own hash() differs between processes; ours must not."""
    code = "from probe.schedule.plan import Plan; print(Plan(salt='eu').fraction('a.example'))"
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert float(other) == Plan[str](salt="eu").fraction("a.example")


def test_agents_with_other_salts_probe_at_other_moments() -> None:
    keys = [f"k{i}" for i in range(100)]
    here, there = Plan[str](salt="sa-east"), Plan[str](salt="us-east")
    assert all(here.fraction(key) != there.fraction(key) for key in keys)


def test_untouched_keys_keep_their_place_when_others_come_and_go() -> None:
    plan = planned("a", "b", "c")
    alone = [due.at for due in drain(planned("a"), START + 100)]
    drain(plan, START + 30)
    plan.remove("b")
    plan.remove("c")
    plan.put("a", 10.0, START + 30)
    plan.put("d", 7.0, START + 30)
    runs = drain(plan, START + 100)
    assert [due.at for due in runs if due.key == "a"] == [at for at in alone if at > START + 30]
    assert {due.key for due in runs} == {"a", "d"}


def test_a_process_that_starts_looks_at_everything_within_a_minute_and_evenly() -> None:
    plan: Plan[str] = Plan()
    keys = [f"k{number}" for number in range(3000)]
    for number, key in enumerate(keys):
        plan.put(key, (30.0, 300.0, 86_400.0)[number % 3], START)
    firsts: dict[str, float] = {}
    for due in drain(plan, START + FIRST):
        firsts.setdefault(due.key, due.at - START)
    assert firsts.keys() == set(keys)
    long = Counter(int(firsts[key] // 5) for number, key in enumerate(keys) if number % 3)
    assert len(long) == 10
    assert all(100 < count < 260 for count in long.values()), "2,000 keys over ten parts"
    for key in keys[1::3]:
        following = [due.at for due in drain(planned(key, interval=300.0), START + 900)]
        assert len(following) == 3, "the first look moves no grid"


def test_a_first_look_is_had_once_and_only_by_the_new() -> None:
    plan: Plan[str] = Plan()
    plan.put("a", 300.0, START)
    assert len(drain(plan, START + FIRST)) == 1
    plan.put("a", 600.0, START + 100)
    assert [due.extra for due in drain(plan, START + 100 + FIRST)] in ([], [False])


def test_a_changed_interval_counts_at_once_and_leaves_no_second_run() -> None:
    plan = planned("a")
    for interval in (20.0, 5.0, 10.0, 5.0):
        plan.put("a", interval, START)
    runs = [due.at for due in drain(plan, START + 50)]
    assert len(runs) == 10
    assert {round(b - a, 3) for a, b in pairwise(runs)} == {5.0}


def test_late_runs_are_not_repeated_and_what_was_missed_is_counted() -> None:
    plan = planned("a")
    first = plan.next_due()
    assert first is not None
    assert plan.pop(first + 34.9) == [Due("a", first, missed=3)]
    assert plan.next_due() == pytest.approx(first + 40, abs=1e-5)
    assert plan.pop(first + 34.9) == []


def test_a_run_popped_at_its_exact_time_is_due_and_its_next_is_later() -> None:
    plan = planned("a")
    first = plan.next_due()
    assert first is not None
    assert plan.pop(first) == [Due("a", first)]
    assert plan.next_due() == pytest.approx(first + 10, abs=1e-5)


def test_a_key_put_at_its_exact_time_waits_for_the_next() -> None:
    first = planned("a").next_due()
    assert first is not None
    assert planned("a", now=first).next_due() == pytest.approx(first + 10, abs=1e-5)


def test_a_run_that_is_overdue_survives_a_reload() -> None:
    plan = planned("a")
    first = plan.next_due()
    assert first is not None
    plan.put("a", 10.0, first + 0.5)
    assert plan.pop(first + 0.5) == [Due("a", first)]


def test_an_extra_run_does_not_move_the_grid() -> None:
    plan = planned("a")
    grid = [due.at for due in drain(planned("a"), START + 40)]
    assert plan.request("a", START + 0.5)
    runs = drain(plan, START + 40)
    assert [due.at for due in runs if due.extra] == [START + 0.5]
    assert [due.at for due in runs if not due.extra] == grid


def test_of_several_plain_extra_runs_the_earliest_stays() -> None:
    plan = planned("a", interval=1e6)
    assert plan.request("a", START + 3)
    assert plan.request("a", START + 2)
    assert not plan.request("a", START + 5)
    assert [due.at for due in drain(plan, START + 10)] == [START + 2]


def test_runs_beside_are_each_kept_up_to_a_bound() -> None:
    plan = planned("a", interval=1e6)
    taken = [plan.request("a", START + i, beside=True) for i in range(MOST_BESIDE + 2)]
    assert taken == [True] * MOST_BESIDE + [False] * 2
    assert [due.at for due in drain(plan, START + 99)] == [START + i for i in range(MOST_BESIDE)]
    assert plan.request("a", START + 100, beside=True)


def test_extra_runs_of_unknown_or_removed_keys_never_come() -> None:
    plan = planned("a", "b", interval=1e6)
    assert not plan.request("z", START)
    plan.request("a", START + 1)
    plan.request("a", START + 1, beside=True)
    plan.remove("a")
    plan.put("a", 1e6, START)
    assert drain(plan, START + 10) == []


def test_an_interval_must_be_positive() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Plan[str]().put("a", 0.0, START)


def test_pop_gives_at_most_as_many_as_asked_and_the_rest_later() -> None:
    plan = planned(*"abcdefgh")
    first = plan.pop(START + 10, most=5)
    rest = plan.pop(START + 10, most=5)
    assert (len(first), len(rest)) == (5, 3)
    assert sorted(due.key for due in first + rest) == list("abcdefgh")


def test_an_empty_plan_has_nothing_due() -> None:
    assert Plan[str]().next_due() is None
    assert Plan[str]().pop(START) == []


def test_load_is_even_over_the_interval() -> None:
    """20,000 keys every 30 s: no second gets more than 20 % above the mean of 667."""
    plan: Plan[str] = Plan()
    put(plan, (f"shop-{i}.example" for i in range(20_000)), 30.0)
    load = Counter(int(due.at) for due in plan.pop(START + 30))
    assert load.total() == 20_000
    assert max(load.values()) < 800
    assert min(load[int(START) + i] for i in range(1, 30)) > 530


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_each_key_runs_exactly_once_per_interval_whatever_else_changes(seed: int) -> None:
    """A simulated hour with random reloads: keys that stay have one run in each period."""
    rng = random.Random(seed)
    interval = rng.choice([7.0, 10.0, 15.0, 30.0, 0.1 * 37])
    stay = [f"stay-{i}" for i in range(10)]
    plan: Plan[str] = Plan(salt=str(seed))
    put(plan, stay, interval)
    others: dict[str, float] = {}
    runs: defaultdict[str, list[float]] = defaultdict(list)
    now = START
    while now < START + 3600:
        now = min(now + rng.expovariate(1 / 60), START + 3600)
        for due in drain(plan, now):
            assert due.missed == 0
            if not due.extra:
                runs[due.key].append(due.at)
        before = others
        others = {f"other-{rng.randrange(20)}": rng.uniform(1, 60) for _ in range(rng.randrange(9))}
        put(plan, stay, interval, now)
        for key in before.keys() - others.keys():
            plan.remove(key)
        for key, seconds in others.items():
            plan.put(key, seconds, now)
            plan.request(key, now + rng.uniform(0, 30), beside=rng.random() < 0.5)
    for key in stay:
        phase = plan.fraction(key) * interval
        periods = [round((at - phase) / interval) for at in runs[key]]
        assert periods == list(range(periods[0], periods[0] + len(periods)))
        assert abs(len(periods) - 3600 / interval) <= 1


@settings(max_examples=50, deadline=None)
@given(pauses=st.lists(st.floats(0.0, 100.0), max_size=40))
def test_every_period_is_either_a_run_or_missed(pauses: list[float]) -> None:
    plan = planned("a")
    first = plan.next_due()
    assert first is not None
    now = START
    periods = 0
    for pause in pauses:
        now += pause
        periods += sum(1 + due.missed for due in plan.pop(now))
    expected = int((now - first) // 10) + 1 if now >= first else 0
    assert periods == pytest.approx(expected, abs=1e-9)


def test_memory_stays_small_under_endless_changes() -> None:
    """Changes leave stale items behind; they must not pile up over weeks of reloads."""
    plan: Plan[str] = Plan()
    keys = [f"k{i}" for i in range(50)]

    def change(times: int) -> None:
        for round_ in range(times):
            put(plan, keys, 10.0 + round_ % 2)
            for key in keys:
                plan.request(key, START + 1000 - round_)

    change(100)
    tracemalloc.start()
    try:
        change(500)
        assert tracemalloc.get_traced_memory()[0] < 100_000, "50,000 items take some 8 MB"
    finally:
        tracemalloc.stop()


def test_a_list_that_shrinks_holds_nobody_up() -> None:
    """From 20,000 keys to ten: what is stale is left behind in small steps, and all of it."""
    plan: Plan[str] = Plan()
    keys = [f"k{i}" for i in range(20_000)]
    put(plan, keys, 600.0)
    calls = most = 0

    def called(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    for key in keys[10:]:
        calls = 0
        sys.setprofile(called)
        plan.remove(key)
        sys.setprofile(None)
        most = max(most, calls)
    assert most < 100
    due = drain(plan, START + 1200)
    assert {one.key for one in due} == set(keys[:10])
    assert [one.at for one in due] == sorted(one.at for one in due)
    assert sum(not one.extra for one in due) == 20
