"""What the benchmark computes by itself; what it measures is nobody's claim here."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest

from .agent import Scrape, quantile
from .case import Spread, percentile
from .curves import chart

INF = math.inf


def test_a_quantile_lies_within_its_bucket_and_counts_only_what_came_in_between() -> None:
    before = {0.01: 100.0, 0.1: 100.0, INF: 100.0}
    after = {0.01: 150.0, 0.1: 200.0, INF: 200.0}
    assert quantile(before, after, 0.25) == pytest.approx(0.005)
    assert quantile(before, after, 0.75) == pytest.approx(0.055)


def test_a_quantile_beyond_the_last_bound_is_that_bound() -> None:
    assert quantile({}, {0.01: 1.0, INF: 10.0}, 0.99) == 0.01


def test_nothing_came_in_between() -> None:
    assert math.isnan(quantile({0.01: 5.0, INF: 5.0}, {0.01: 5.0, INF: 5.0}, 0.99))


def test_buckets_and_totals_add_up_over_checks() -> None:
    text = """\
# TYPE late_seconds histogram
late_seconds_bucket{check="a",le="0.1",region="r"} 2.0
late_seconds_bucket{check="b",le="0.1",region="r"} 3.0
late_seconds_bucket{check="b",le="+Inf",region="r"} 4.0
late_seconds_count{check="a"} 2.0
late_seconds_count{check="b"} 4.0
"""
    scrape = Scrape(text, len(text), 0.1)
    assert scrape.buckets("late_seconds") == {0.1: 5.0, INF: 4.0}
    assert scrape.total("late_seconds_count") == 6
    assert scrape.total("late_seconds_count", 'check="b"') == 4
    assert scrape.series == 5


def test_a_spread_shows_median_and_range() -> None:
    assert Spread.of([3.0, 1.0, 2.0]).text() == "2 (1–3)"
    assert percentile([4.0, 1.0, 2.0, 3.0], 0.99) == 4.0


def test_a_chart_is_well_formed_and_names_its_lines() -> None:
    drawn = chart("a < b", {"one": [(100, 1.0), (10_000, 3.0)], "two": [(100, 2.0)]})
    texts = [element.text for element in ET.fromstring(drawn).iter() if element.text]  # noqa: S314 - our own curves
    assert {"a < b", "one", "two", "10,000"} <= set(texts)
