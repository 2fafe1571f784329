"""Admission alone: who may start now, with times as arguments."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from probe.schedule.jobs import LanePlace, Lanes


def offered(
    lanes: Lanes[int], *, slow: bool, now: float, item: int = 0
) -> tuple[LanePlace[int], bool]:
    place = LanePlace(item, slow=slow)
    return place, lanes.offer(place, now)


def test_quick_runs_wait_when_all_quick_places_are_taken() -> None:
    lanes: Lanes[int] = Lanes(2, slow_after=1.0)
    first, _ = offered(lanes, slow=False, now=0.0)
    offered(lanes, slow=False, now=0.0)
    third, started = offered(lanes, slow=False, now=0.5, item=3)
    assert not started
    assert (lanes.in_flight, lanes.waiting) == (2, 1)
    lanes.give_back(first, 0.6)
    assert list(lanes.admit(0.6)) == [third]


def test_slow_keys_never_take_a_quick_place() -> None:
    lanes: Lanes[int] = Lanes(1, slow_after=1.0)
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


def test_when_the_slow_lane_is_full_runs_that_turn_slow_keep_their_quick_places() -> None:
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
    lanes.give_back(second, 0.0)
    assert lanes.waiting == 1
    lanes.give_back(first, 0.0)
    assert list(lanes.admit(0.1)) == [third]


def test_giving_back_twice_frees_one_place() -> None:
    lanes: Lanes[int] = Lanes(2, slow_after=9.0)
    first, _ = offered(lanes, slow=False, now=0.0)
    offered(lanes, slow=False, now=0.0)
    lanes.give_back(first, 0.0)
    lanes.give_back(first, 0.0)
    assert lanes.in_flight == 1


def hung(lanes: Lanes[int], kin: str, times: int, now: float = 0.0) -> None:
    """Runs of one kin that take 10 s."""
    places = [LanePlace(0, kin=kin) for _ in range(times)]
    for place in places:
        assert lanes.offer(place, now)
    for place in places:
        lanes.give_back(place, now + 10.0)


def test_kin_of_slow_runs_are_expected_to_be_slow_until_one_is_quick() -> None:
    lanes: Lanes[int] = Lanes(100, slow_after=1.0)
    hung(lanes, "192.0.2.1", 4)
    kin, other = LanePlace(1, kin="192.0.2.1"), LanePlace(2, kin="192.0.2.2")
    lanes.offer(kin, 20.0)
    lanes.offer(other, 20.0)
    assert (kin.slow, other.slow) == (True, False)
    lanes.give_back(kin, 20.1)
    again = LanePlace(3, kin="192.0.2.1")
    lanes.offer(again, 21.0)
    assert not again.slow


def test_kin_learn_from_runs_that_still_hang() -> None:
    """In the first wave of an outage no run has ended yet, and all others are on their way."""
    lanes: Lanes[int] = Lanes(100, slow_after=1.0)
    for item in range(4):
        lanes.offer(LanePlace(item, kin="a"), 0.0)
    early, late = LanePlace(5, kin="a"), LanePlace(6, kin="a")
    lanes.offer(early, 0.9)
    lanes.offer(late, 1.0)
    assert (early.slow, late.slow) == (False, True)


def test_a_run_counts_once_for_its_kin() -> None:
    """It turns slow and then ends slow: that is one slow run, not two."""
    lanes: Lanes[int] = Lanes(100, slow_after=1.0)
    places = [LanePlace(item, kin="a") for item in range(3)]
    for place in places:
        lanes.offer(place, 0.0)
    list(lanes.admit(5.0))
    for place in places:
        lanes.give_back(place, 10.0)
    again = LanePlace(4, kin="a")
    lanes.offer(again, 20.0)
    assert not again.slow


def test_kin_of_whom_some_are_quick_stay_in_the_quick_lane() -> None:
    lanes: Lanes[int] = Lanes(100, slow_after=1.0)
    for turn in range(50):
        now = 100.0 * turn
        hung(lanes, "a", 3, now)
        quick = LanePlace(1, kin="a")
        lanes.offer(quick, now + 20)
        assert not quick.slow
        lanes.give_back(quick, now + 20.1)


def test_slow_runs_asked_for_and_those_of_the_grid_take_turns() -> None:
    lanes: Lanes[str] = Lanes(1, slow_after=1.0)
    lanes.offer(LanePlace("stays", slow=True), 0.0)
    current = LanePlace("first", slow=True)
    lanes.offer(current, 0.0)
    for name in ("grid-1", "grid-2", "grid-3", "extra-1", "extra-2"):
        lanes.offer(LanePlace(name, slow=True, extra=name.startswith("extra")), 0.0)
    order = []
    while lanes.waiting:
        lanes.give_back(current, 0.0)
        for current in lanes.admit(0.0):
            order.append(current.item)
    assert order == ["extra-1", "grid-1", "extra-2", "grid-2", "grid-3"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nobody_is_lost_and_the_bounds_hold(data: st.DataObject) -> None:
    """Whatever comes and goes: each place starts once, and at most three times the limit run."""
    limit = data.draw(st.integers(1, 4))
    lanes: Lanes[int] = Lanes(limit, slow_after=1.0)
    now = 0.0
    flying: list[LanePlace[int]] = []
    started: list[int] = []
    for item in range(40):
        now += data.draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))
        if data.draw(st.booleans()):
            place = LanePlace(
                item,
                slow=data.draw(st.booleans()),
                extra=data.draw(st.booleans()),
                kin=data.draw(st.sampled_from([None, "one", "two"])),
            )
            if lanes.offer(place, now):
                flying.append(place)
                started.append(item)
            else:
                started.append(-1)
        elif flying:
            lanes.give_back(flying.pop(data.draw(st.integers(0, len(flying) - 1))), now)
        admitted = list(lanes.admit(now))
        flying += admitted
        started += [place.item for place in admitted]
        assert lanes.in_flight == len(flying) <= 3 * limit
    waited = started.count(-1)
    while flying:
        lanes.give_back(flying.pop(), now)
        admitted = list(lanes.admit(now))
        flying += admitted
        started += [place.item for place in admitted]
    runs = [item for item in started if item >= 0]
    assert len(runs) == len(set(runs))
    assert len(started) == len(runs) + waited
    assert (lanes.in_flight, lanes.waiting) == (0, 0)
