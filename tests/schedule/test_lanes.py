"""Admission alone: who may start now, with times as arguments."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from probe.schedule.lanes import Lanes, Place


def offered(lanes: Lanes[int], *, slow: bool, now: float, item: int = 0) -> tuple[Place[int], bool]:
    place = Place(item, slow=slow)
    return place, lanes.offer(place, now)


def test_quick_runs_wait_when_all_quick_places_are_taken() -> None:
    lanes: Lanes[int] = Lanes(2, slow_after=1.0)
    first, _ = offered(lanes, slow=False, now=0.0)
    offered(lanes, slow=False, now=0.0)
    third, started = offered(lanes, slow=False, now=0.5, item=3)
    assert not started
    assert (lanes.in_flight, lanes.waiting) == (2, 1)
    lanes.give_back(first)
    assert list(lanes.admit(0.6)) == [third]


def test_slow_keys_never_take_a_quick_place() -> None:
    lanes: Lanes[int] = Lanes(2, slow_after=1.0)
    assert [offered(lanes, slow=True, now=0.0)[1] for _ in range(3)] == [True, True, False]
    assert offered(lanes, slow=False, now=0.0)[1]


def test_a_run_that_turns_slow_gives_its_quick_place_to_others() -> None:
    lanes: Lanes[int] = Lanes(1, slow_after=1.0)
    offered(lanes, slow=False, now=0.0)
    waiting, started = offered(lanes, slow=False, now=0.25)
    assert not started
    assert lanes.next_change() == 1.0
    assert list(lanes.admit(0.9)) == []
    assert list(lanes.admit(1.0)) == [waiting]
    assert lanes.in_flight == 2


def test_the_slow_lane_takes_twice_its_limit_of_runs_that_turned_slow_and_no_more() -> None:
    lanes: Lanes[int] = Lanes(1, slow_after=1.0)
    starts = [offered(lanes, slow=False, now=float(now))[1] for now in range(5)]
    assert starts == [True, True, True, False, False]
    assert lanes.in_flight == 3
    assert lanes.next_change() is None  # only the end of a run helps now


def test_one_who_leaves_the_line_is_not_admitted() -> None:
    lanes: Lanes[int] = Lanes(1, slow_after=9.0)
    first, _ = offered(lanes, slow=False, now=0.0)
    second, _ = offered(lanes, slow=False, now=0.0)
    third, _ = offered(lanes, slow=False, now=0.0)
    lanes.give_back(second)
    assert lanes.waiting == 1
    lanes.give_back(first)
    assert list(lanes.admit(0.1)) == [third]


def test_giving_back_twice_frees_one_place() -> None:
    lanes: Lanes[int] = Lanes(2, slow_after=9.0)
    first, _ = offered(lanes, slow=False, now=0.0)
    offered(lanes, slow=False, now=0.0)
    lanes.give_back(first)
    lanes.give_back(first)
    assert lanes.in_flight == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nobody_is_lost_and_the_bounds_hold(data: st.DataObject) -> None:
    """Whatever comes and goes: each place starts once, and at most three times the limit run."""
    limit = data.draw(st.integers(1, 4))
    lanes: Lanes[int] = Lanes(limit, slow_after=1.0)
    now = 0.0
    flying: list[Place[int]] = []
    started: list[int] = []
    for item in range(40):
        now += data.draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))
        if data.draw(st.booleans()):
            place = Place(item, slow=data.draw(st.booleans()))
            if lanes.offer(place, now):
                flying.append(place)
                started.append(item)
            else:
                started.append(-1)
        elif flying:
            lanes.give_back(flying.pop(data.draw(st.integers(0, len(flying) - 1))))
        admitted = list(lanes.admit(now))
        flying += admitted
        started += [place.item for place in admitted]
        assert lanes.in_flight == len(flying) <= 3 * limit
    waited = started.count(-1)
    while flying:
        lanes.give_back(flying.pop())
        admitted = list(lanes.admit(now))
        flying += admitted
        started += [place.item for place in admitted]
    runs = [item for item in started if item >= 0]
    assert len(runs) == len(set(runs))
    assert len(started) == len(runs) + waited
    assert (lanes.in_flight, lanes.waiting) == (0, 0)
