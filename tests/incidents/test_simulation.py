"""The parts of a simulated day. The whole day is one of the long tests, see whole_day.py."""

from __future__ import annotations

import random

import pytest

from probe.model.state import Confirmation

from .bursts import Burst, burst
from .virtual import FORGIVEN, LOST, Span, Window, cut_off, renewal, silent, walk


def test_a_single_lost_handshake_is_forgiven_within_what_is_not_walked() -> None:
    """The simulation leaves out what follows a single loss: this is why it may."""
    for offset in range(30):
        lost = iter([True])
        course = walk(
            lambda _, lost=lost: LOST if next(lost, False) else None,  # type: ignore[misc]  # bound now
            float(offset),
            0.0,
            Confirmation(),
        )
        assert course.named == []
        assert len(course.failed) == 1
        assert course.attempts <= FORGIVEN


@pytest.mark.parametrize(
    ("seconds", "share"), [(1.0, 0.5), (3.0, 1.0), (4.0, 0.4), (8.0, 0.2), (30.0, 0.03)]
)
def test_a_burst_of_losses_at_one_address_names_nobody(seconds: float, share: float) -> None:
    """All its domains at once, and what is in doubt is tried again in the same bad moment."""
    for seed in range(4):
        courses = burst(random.Random(seed), Burst(1, Span(100.0, 100.0 + seconds), share))
        assert len(courses) >= 5
        assert [span for course in courses for span in course.named] == []


@pytest.mark.parametrize(("seconds", "share"), [(30.0, 0.3), (30.0, 1.0)])
def test_an_address_that_is_ill_for_half_a_minute_is_no_burst(seconds: float, share: float) -> None:
    courses = burst(random.Random(1), Burst(1, Span(100.0, 100.0 + seconds), share))
    named = [span for course in courses for span in course.named]
    assert len(named) > 5
    assert min(span.start for span in named) < 120.0


@pytest.mark.parametrize("refused", [True, False])
def test_a_region_that_is_cut_off_names_nobody(refused: bool) -> None:
    cut = Span(3600.0, 3720.0)
    window = Window(cut, refused=refused, step=None)
    courses = cut_off(random.Random(1), window, cut)
    window.advance(4000.0)
    assert [span for course in courses for span in course.named] == []
    assert [span.what for span in window.ill] == ["network"]


def test_a_renewal_that_rolls_within_its_grace_is_no_split() -> None:
    for seed in range(5):
        assert renewal(random.Random(seed), 0.0) == []


def test_runs_that_give_nothing_are_unseen_after_three_intervals_until_one_does() -> None:
    spans = silent(random.Random(1), 50, Span(1000.0, 1500.0))
    assert len(spans) == 50
    assert all(1060 <= span.start <= 1090 and 1500 <= span.end <= 1530 for span in spans)
    assert silent(random.Random(1), 50, Span(1000.0, 1059.0)) == []
