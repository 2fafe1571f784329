"""When renewal is due, late and urgent, by the lifetime."""

from __future__ import annotations

import pytest

from probe.certificates.renewal import earliest, renewal_of
from probe.model.result import Renewal
from probe.model.tls import ChainExpectations, DaysLeft
from tests.incidents.expiry import lived

HOUR = 3600.0
DAY = 24 * HOUR


def left(days: float, expect: DaysLeft | None = None) -> tuple[float, float, float]:
    """What is left when renewal is due, late and urgent, in days."""
    facts = lived(1e9, days * DAY)
    asked = ChainExpectations() if expect is None else ChainExpectations(days_left=expect)
    times = renewal_of(facts, asked)
    due, late, urgent = (
        round((facts.not_after - at) / DAY, 6) for at in (times.due, times.late, times.urgent)
    )
    return due, late, urgent


@pytest.mark.parametrize(
    ("lifetime", "due", "late", "urgent"),
    [
        (1, 1 / 3, 1 / 6, 1 / 12),
        (6, 2, 1, 0.5),
        (14, 14 / 3, 14 / 6, 0.5),
        (45, 15, 7.5, 1.5),
        (90, 30, 15, 3),
        (398, 398 / 3, 30, 3),
        (3650, 3650 / 3, 30, 3),
    ],
)
def test_the_default_is_right_for_every_lifetime(
    lifetime: float, due: float, late: float, urgent: float
) -> None:
    assert left(lifetime) == pytest.approx((due, late, urgent), abs=1e-5)


@pytest.mark.parametrize(
    ("asked", "late"),
    [
        (DaysLeft(14, None), 14),
        (DaysLeft(None, 0.3), 27),
        (DaysLeft(14, 0.3), 14),
        (DaysLeft(30, 0.3), 27),
        (DaysLeft(0, None), 0),
    ],
)
def test_a_check_says_when_it_is_late_and_what_asks_for_less_counts(
    asked: DaysLeft, late: float
) -> None:
    assert left(90, asked)[1] == late


@pytest.mark.parametrize(("lifetime", "urgent"), [(1, 1 / 12), (3, 0.25), (6, 0.5), (90, 3)])
def test_days_that_a_check_asks_for_page_nobody_for_short_lived_certificates(
    lifetime: float, urgent: float
) -> None:
    assert left(lifetime, DaysLeft(14, None))[2] == pytest.approx(urgent, abs=1e-5)


def test_the_three_come_in_order_whatever_a_check_asks_for() -> None:
    for lifetime in (0, 1, 6, 90, 398):
        for asked in (DaysLeft(0, None), DaysLeft(2, None), DaysLeft(400, 1.0), DaysLeft()):
            due, late, urgent = left(lifetime, asked)
            assert due >= late >= urgent >= 0


def test_a_stage_begins_at_its_own_instant() -> None:
    times = Renewal(due=1.0, late=2.0, urgent=3.0)
    stages = [times.stage(now) for now in (0.9, 1.0, 2.0, 3.0, 99.0)]
    assert stages == [None, "due", "late", "urgent", "urgent"]


def test_of_a_path_the_earliest_of_each_counts() -> None:
    assert earliest([Renewal(3.0, 5.0, 6.0), Renewal(1.0, 7.0, 8.0)]) == Renewal(1.0, 5.0, 6.0)
    assert earliest([]) is None
