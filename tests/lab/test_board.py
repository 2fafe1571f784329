from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.lab.board import Board, Situation, Where

NAMES = st.sampled_from(["a", "b", "c"])
SETS = st.frozensets(NAMES, max_size=2)
WHERES = st.builds(Where, SETS, SETS, SETS, SETS, SETS, SETS)
SITUATIONS = st.builds(Situation, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES)


class Fault:
    """Stands for a kind of fault."""


class Other:
    """Stands for another kind."""


@given(SITUATIONS)
def test_a_fault_without_limits_covers_everything(here: Situation) -> None:
    assert Where().covers(here)


@given(WHERES, SITUATIONS)
def test_each_limit_only_ever_narrows(where: Where, here: Situation) -> None:
    alone = (
        Where(domains=where.domains),
        Where(edges=where.edges),
        Where(regions=where.regions),
        Where(layers=where.layers),
        Where(paths=where.paths),
        Where(roles=where.roles),
    )
    assert where.covers(here) == all(one.covers(here) for one in alone)


@given(WHERES)
def test_limits_survive_the_way_to_another_process(where: Where) -> None:
    assert Where.from_json(where.to_json()) == where


def test_an_unknown_limit_is_refused() -> None:
    with pytest.raises(TypeError):
        Where.from_json({"planets": ["mars"]})


def test_paths_are_compared_by_their_beginning() -> None:
    where = Where(paths=frozenset({"/apps"}))
    assert where.covers(Situation(path="/apps/v0"))
    assert not where.covers(Situation(path="/other"))


def test_the_newest_rule_of_the_kind_asked_for_strikes() -> None:
    board = Board()
    first, second = Fault(), Fault()
    board.add("first", first, Where(), 1.0)
    board.add("second", second, Where(), 1.0)
    board.add("other", Other(), Where(), 1.0)
    assert board.strike(Fault, Situation()) is second


def test_what_is_switched_off_strikes_no_more() -> None:
    board = Board()
    rule = board.add("fault", Fault(), Where(), 1.0)
    board.remove(rule.number)
    assert board.strike(Fault, Situation()) is None
    board.add("fault", Fault(), Where(), 1.0)
    board.clear()
    assert board.rules() == ()


@given(st.integers())
def test_four_in_ten_is_about_four_in_ten_and_the_same_for_a_seed(seed: int) -> None:
    def struck() -> list[bool]:
        board = Board(seed)
        board.add("fault", Fault(), Where(), 0.4)
        return [board.strike(Fault, Situation()) is not None for _ in range(1000)]

    hits = struck()
    assert 300 < sum(hits) < 500
    assert hits == struck()


@pytest.mark.parametrize("probability", [-0.1, 1.1])
def test_a_probability_outside_of_0_and_1_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        Board().add("fault", Fault(), Where(), probability)
