"""Which windows are open when, what they cover, and that each is told once. No clock."""

from __future__ import annotations

import pytest

from probe.model.maintenance import Window
from probe.model.target import ProviderKey
from probe.state.maintenance import Maintenance, Turn, covering, covers

KEY = ProviderKey("stores", "shop.example", "cdn-b")
MOVE = Window(100.0, 200.0, "move", providers=("cdn-b",))


def test_a_window_begins_with_its_start_and_does_not_include_its_end() -> None:
    maintenance = Maintenance("sa-east")
    maintenance.follow([MOVE])
    moments = (99.9, 100.0, 199.9, 200.0)
    assert [bool(maintenance.open(now)) for now in moments] == [False, True, True, False]


def test_a_window_for_other_regions_is_never_open() -> None:
    maintenance = Maintenance("sa-east")
    here = Window(100.0, 200.0, "here", regions=("eu-west", "sa-east"), targets=("*",))
    maintenance.follow([here, Window(100.0, 200.0, "there", regions=("eu-west",), targets=("*",))])
    assert maintenance.open(150.0) == (here,)


def test_begin_and_end_are_told_once_each() -> None:
    maintenance = Maintenance("sa-east")
    maintenance.follow([MOVE])
    assert maintenance.turn(50.0) == Turn()
    assert maintenance.turn(150.0) == Turn(began=(MOVE,))
    assert maintenance.turn(151.0) == Turn()
    maintenance.follow([MOVE])  # a reload
    assert maintenance.turn(152.0) == Turn()
    assert maintenance.turn(250.0) == Turn(ended=(MOVE,))
    assert maintenance.turn(251.0) == Turn()


def test_a_forgotten_window_is_told_to_be_over_at_the_first_look() -> None:
    maintenance = Maintenance("sa-east")
    maintenance.follow([MOVE])
    assert maintenance.turn(1000.0) == Turn(ended=(MOVE,))
    assert maintenance.turn(1001.0) == Turn()


def test_a_window_taken_out_while_it_is_open_is_over() -> None:
    maintenance = Maintenance("sa-east")
    maintenance.follow([MOVE])
    maintenance.turn(150.0)
    maintenance.follow([])
    assert maintenance.turn(151.0) == Turn(ended=(MOVE,))
    assert maintenance.turn(152.0) == Turn()


def test_a_clock_that_is_set_back_opens_the_window_again() -> None:
    maintenance = Maintenance("sa-east")
    maintenance.follow([MOVE])
    maintenance.turn(250.0)
    assert maintenance.turn(150.0) == Turn(began=(MOVE,))


@pytest.mark.parametrize(
    ("limits", "covered"),
    [
        ({"checks": ("stores",)}, True),
        ({"checks": ("other",)}, False),
        ({"providers": ("cdn-a", "cdn-b")}, True),
        ({"providers": ("cdn-a",)}, False),
        ({"providers": ("cdn-b",), "targets": ("other.example",)}, False),
        ({"checks": ("stores",), "providers": ("cdn-b",), "targets": ("shop.example",)}, True),
        ({"targets": ("SHOP.example",)}, True),
        ({"targets": ("*.example",)}, True),
        ({"targets": ("s*p.ex*",)}, True),
        ({"targets": ("*",)}, True),
        ({"targets": ("hop.example",)}, False),
        ({"targets": ("shop.exampl",)}, False),
        ({"targets": ("shopXexample",)}, False),
        ({"targets": ("shop?example",)}, False),
    ],
)
def test_what_is_written_must_all_fit(limits: dict[str, tuple[str, ...]], covered: bool) -> None:
    assert covers(Window(0.0, 1.0, "x", **limits), KEY) is covered


@pytest.mark.parametrize(
    ("target", "pattern", "covered"),
    [
        ("shop.example:8443", "shop.example", True),
        ("shop.example:8443", "shop.example:8443", True),
        ("shop.example:8443", "shop.example:443", False),
        ("shop.example", "shop.example:443", False),
        ("[2001:db8::1]:8443", "[2001:db8::1]", True),
        ("2001:db8::1", "2001:db8:", False),
        ("2001:db8::1", "2001:db8::1", True),
    ],
)
def test_a_target_is_named_with_its_port_or_without(
    target: str, pattern: str, covered: bool
) -> None:
    key = KEY._replace(target=target)
    assert covers(Window(0.0, 1.0, "x", targets=(pattern,)), key) is covered


def test_of_windows_that_overlap_the_last_to_end_counts() -> None:
    longer = Window(150.0, 300.0, "longer", targets=("*",))
    assert covering([MOVE, longer], KEY) == longer
    assert covering([MOVE], KEY._replace(provider="cdn-a")) is None
