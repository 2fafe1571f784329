"""The history of a target: what failed stays longest, and no neighbour displaces it."""

from __future__ import annotations

from probe.model.state import Transition
from probe.model.target import EdgeKey
from probe.serve.memory.history import TargetHistory
from probe.serve.page.html import target_page
from probe.serve.page.target_view import target_view
from probe.serve.records import TargetKey

from .test_cards import Town
from .test_page import NOW
from .world import START, UNRECOGNIZED


def change(target: str, at: float, after: str = "failing") -> Transition:
    key = EdgeKey("stores", target, "cdn-a", "192.0.2.1:443", "default")
    return Transition(key, "passing", after, at, at, UNRECOGNIZED, "a command")


def kept(history: TargetHistory, target: str) -> list[tuple[float, str]]:
    return [(one.at, one.after) for one in history.of([TargetKey("stores", target)])]


def test_a_noisy_neighbour_displaces_nothing() -> None:
    history = TargetHistory(of_one=4, of_all=20)
    history.add(change("quiet.example", 0.0))
    for at in range(1000):
        history.add(change("noisy.example", float(at)))
    assert kept(history, "quiet.example") == [(0.0, "failing")]
    assert [at for at, _ in kept(history, "noisy.example")] == [999.0, 998.0, 997.0, 996.0]


def test_failures_are_kept_longer_than_recoveries() -> None:
    history = TargetHistory(of_one=4)
    for at, after in enumerate(["failing", "passing"] * 3):
        history.add(change("shop.example", float(at), after))
    assert kept(history, "shop.example") == [
        (5.0, "passing"),
        (4.0, "failing"),
        (2.0, "failing"),
        (0.0, "failing"),
    ]


def test_with_too_many_in_all_the_longest_histories_are_shortened() -> None:
    history = TargetHistory(of_one=8, of_all=40)
    for at in range(8):
        history.add(change("long.example", float(at)))
    for number in range(33):
        history.add(change(f"s{number}.example", 100.0 + number))
    assert all(kept(history, f"s{number}.example") for number in range(33))
    assert kept(history, "long.example")[0] == (7.0, "failing")
    assert len(kept(history, "long.example")) < 8


def test_it_is_bounded_however_many_targets_change() -> None:
    history = TargetHistory(of_one=8, of_all=40)
    for number in range(500):
        history.add(change(f"s{number}.example", float(number)))
    names = [f"s{number}.example" for number in range(500)]
    assert sum(len(kept(history, name)) for name in names) <= 40
    assert kept(history, "s499.example")


def test_a_target_that_is_gone_has_none_and_the_page_shows_its_own() -> None:
    town = Town(["shop.example", "other.example"])
    town.store.note(change("shop.example", START))
    for at in range(500):
        town.store.note(change("other.example", START + at))
    view = target_view(town.store, "shop.example", NOW)
    assert view is not None
    assert [one.after for one in view.changes] == ["failing"]
    assert "Recent changes" in target_page(view)
    town.store.set_targets("stores", ())
    assert kept(town.store.history, "shop.example") == []
