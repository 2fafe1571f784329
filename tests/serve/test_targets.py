"""The list of targets: what is found, in which order, page by page; and an hour in a line."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from typing import TypeVar

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Passed
from probe.model.state import EdgeStatus
from probe.model.target import EdgeKey, Target
from probe.serve import Store
from probe.serve.page.html import listed, status_page, target_page, targets_page
from probe.serve.page.spark import spark_of
from probe.serve.page.status import status_of
from probe.serve.page.target_view import target_view
from probe.serve.page.targets_view import (
    PAGE,
    STATES,
    TargetQuery,
    TargetsView,
    found_targets,
    targets_view,
)
from probe.serve.trace import MINUTES, Trace

from .test_cards import EXPIRED, Town
from .test_page import EVIL, NOW, Seen, hostile
from .test_serving import ask, serving
from .world import START, UNRECOGNIZED

T = TypeVar("T")


def walked(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value


def town() -> Town:
    """Nine targets: one failing everywhere, two on cdn-b, one suspect, one that is ours."""
    town = Town()
    listed = [Target(one, labels={"owner": f"team-{n % 2}"}) for n, one in enumerate(town.names)]
    town.store.set_targets("stores", [*listed, Target("new.example")])
    town.fail("s7.example", EXPIRED)
    for name in ("s1.example", "s2.example"):
        town.fail(name, UNRECOGNIZED, providers=["cdn-b"])
    town.put("s3.example", EdgeStatus.SUSPECT, UNRECOGNIZED, providers=["cdn-a"])
    key = town.world.key("s4.example", "cdn-a", 1)
    ours = Inconclusive(Failure(Phase.CONNECT, Reason.NO_ROUTE))
    town.store.record_edge(town.world.result(key, ours, shook=False), EdgeStatus.PASSING, START)
    return town


def found(store: Store, **wanted: str) -> list[str]:
    names = walked(found_targets(store, TargetQuery(**wanted)))
    return [name.removesuffix(".example") for _, name, _ in names]


def view(store: Store, page: int = 1, **wanted: str) -> TargetsView:
    return walked(targets_view(store, TargetQuery(**wanted), page, NOW))


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["s1", "s2", "s7", "s3", "s4", "new", "s0", "s5", "s6", "s8"]),
        ({"state": "failing"}, ["s1", "s2", "s7"]),
        ({"state": "suspect"}, ["s3"]),
        ({"state": "inconclusive"}, ["s4"]),
        ({"state": "awaited"}, ["new"]),
        ({"state": "failing", "provider": "cdn-a"}, ["s7"]),
        ({"reason": "alert_unrecognized_name"}, ["s1", "s2", "s3"]),
        ({"reason": "alert_unrecognized_name", "provider": "cdn-b"}, ["s1", "s2"]),
        ({"q": "S7.EX"}, ["s7"]),
        ({"label": "owner=team-1"}, ["s1", "s7", "s3", "s5"]),
        ({"label": "owner", "state": "failing"}, ["s1", "s2", "s7"]),
        ({"label": "tier"}, []),
        ({"check": "other"}, []),
        ({"provider": "nobody"}, []),
    ],
)
def test_what_is_asked_for_is_found_failing_first(wanted: dict[str, str], names: list[str]) -> None:
    assert found(town().store, **wanted) == names


def test_nothing_of_which_nobody_knows_passes() -> None:
    store = town().store
    assert "new" not in found(store, state="passing")
    assert "s4" not in found(store, state="passing"), "its latest attempt says nothing"
    silent = EdgeKey("stores", "s5.example", "cdn-a", "198.51.51.1:443", "default")
    assert store.census.unsee(silent, 1.0)
    store.census.judge(silent, EdgeStatus.UNSEEN, 1.0, None)
    assert "s5" in found(store, state="unseen")
    assert "s5" not in found(store, state="passing")


def test_pages_follow_each_other_without_gap_or_repetition() -> None:
    many = Town((f"n{number:03}.example" for number in range(PAGE * 2 + 3)), addresses=1)
    pages = [view(many.store, page) for page in (1, 2, 3)]
    names = [row.target for one in pages for row in one.rows]
    assert names == sorted(many.names)
    assert [(one.page, one.pages, one.total) for one in pages] == [
        (place, 3, PAGE * 2 + 3) for place in (1, 2, 3)
    ]
    assert view(many.store, 99).page == 3
    said = targets_page(pages[1])
    assert 'href="/targets?page=3" rel="next"' in said
    assert 'href="/targets" rel="prev"' in said


def test_a_row_has_every_address_of_every_provider() -> None:
    (row,) = view(town().store, q="s1.example").rows
    assert (row.state, row.reason, row.since) == ("failing", "alert_unrecognized_name", START)
    assert {provider: [cell.state for cell in cells] for provider, cells in row.cells.items()} == {
        "cdn-a": ["passing", "passing"],
        "cdn-b": ["failing", "failing"],
    }
    page = targets_page(view(town().store, q="s1.example"))
    assert page.count('<svg class="spark"') == 4
    assert page.count("failed in 1 of the last 60 minutes") == 4, "two lines, spoken and shown"


def test_a_card_leads_to_its_targets() -> None:
    it = town()
    it.fail("s5.example", UNRECOGNIZED, providers=["cdn-b"])
    for name in ("s0", "s6", "s8"):
        it.fail(f"{name}.example", UNRECOGNIZED, providers=["cdn-b"])
    (card,) = [one for one in it.cards if one.reason == "alert_unrecognized_name" and one.confirmed
               and one.providers == ("cdn-b",)]  # fmt: skip
    query = listed(card)
    assert query == "?check=stores&provider=cdn-b&reason=alert_unrecognized_name"
    page = status_page(status_of(it.store, NOW))
    assert f'href="/targets{query.replace("&", "&amp;")}"' in page
    asked = dict(part.split("=") for part in query[1:].split("&"))
    assert sorted(found(it.store, **asked)) == ["s0", "s1", "s2", "s5", "s6", "s8"]


def test_no_name_from_outside_becomes_markup_in_the_list() -> None:
    store = hostile()
    store.set_targets("stores", [Target(f"{EVIL}.example", labels={EVIL: EVIL})])
    for wanted in (
        TargetQuery(),
        TargetQuery(q=EVIL, label=EVIL, provider=EVIL, check=EVIL, reason=EVIL),
    ):
        seen = Seen()
        seen.feed(targets_page(walked(targets_view(store, wanted, 1, NOW))))
        assert seen.tags.count("script") == 1
        assert "img" not in seen.tags
        assert not [name for name, _ in seen.attributes if name.startswith("on")]


async def test_names_come_as_text_and_as_json() -> None:
    async with serving(town().store) as address:
        head, text = await ask(address, "/targets.txt?state=failing")
        _, listed_names = await ask(address, "/api/v1/targets?q=s&limit=2")
        page, _ = await ask(address, "/targets?state=failing&page=1")
    assert "content-type: text/plain" in head.lower()
    assert text == b"s1.example\ns2.example\ns7.example\n"
    assert json.loads(listed_names) == {
        "targets": [
            {"target": "s1.example", "check": "stores", "state": "failing"},
            {"target": "s2.example", "check": "stores", "state": "failing"},
        ],
        "targets_total": 9,
    }
    assert page.startswith("HTTP/1.1 200")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/targets?state=bad", b"state: one of failing, "),
        ("/targets?page=x", b"page: a number from 0 to "),
        ("/api/v1/targets?limit=-1", b"limit: a number from 0 to "),
    ],
)
async def test_odd_questions_are_refused(path: str, why: bytes) -> None:
    async with serving(town().store) as address:
        head, body = await ask(address, path)
    assert head.startswith("HTTP/1.1 400")
    assert why in body


def test_every_state_has_a_sign() -> None:
    page = targets_page(view(town().store))
    choices = re.findall(r"<option>(\w+)</option>", page)
    assert [one for one in choices if one in STATES] == list(STATES)
    assert all(sign.strip() for sign in re.findall(r'<span aria-hidden="true">(.)</span>', page))


# ---------------------------------------------------------------- the last hour


PASS, FAIL = Passed(), Failed(UNRECOGNIZED)
OURS = Inconclusive(Failure(Phase.CONNECT, Reason.NO_ROUTE))


def test_of_each_minute_the_gravest_is_kept() -> None:
    trace = Trace()
    for at, outcome, seconds in (
        (0, PASS, 0.05), (10, FAIL, 9.0), (20, PASS, 0.05),
        (60, PASS, 0.05), (90, PASS, 0.2), (119, PASS, 0.01),
        (180, OURS, 0.1), (190, PASS, 0.1),
    ):  # fmt: skip
        trace.add(at, outcome, seconds)
    *before, first, second, third, fourth = trace.minutes(200)
    assert before == [None] * (MINUTES - 4)
    assert (first, third, fourth) == ("failed", None, "unclear")
    assert second == pytest.approx(0.2, rel=0.06)


@pytest.mark.parametrize("seconds", [0.0, 0.0001, 0.0042, 0.05, 1.0, 9.5, 60.0, 1000.0])
def test_a_latency_is_kept_within_six_percent(seconds: float) -> None:
    trace = Trace()
    trace.add(0, PASS, seconds)
    *_, kept = trace.minutes(0)
    assert kept == pytest.approx(min(max(seconds, 0.0001), 100.0), rel=0.06)


def test_an_hour_forgets_what_is_older_and_what_comes_late_finds_its_minute() -> None:
    trace = Trace()
    trace.add(6000, FAIL, 1.0)
    trace.add(5940, PASS, 1.0)
    trace.add(0, FAIL, 1.0)
    minutes = list(trace.minutes(6000))
    assert (minutes[-1], minutes.count("failed")) == ("failed", 1)
    assert isinstance(minutes[-2], float)
    later = list(trace.minutes(6000 + 59 * 60))
    assert (later[0], set(later[1:])) == ("failed", {None})
    assert set(trace.minutes(6000 + 60 * 60)) == {None}
    trace.add(6000 + 500 * 60, PASS, 1.0)
    assert list(trace.minutes(6000 + 500 * 60)).count(None) == MINUTES - 1


def test_a_line_says_in_words_what_it_draws() -> None:
    drawn = spark_of((0.04, None, "failed", "unclear", 0.08))
    assert drawn.words == (
        "failed in 1 of the last 5 minutes, not judged in 1, usually 60 ms, at most 80 ms"
    )
    assert drawn.line.count("M") == 2, "no line over what was not measured"
    assert drawn.failed == "M60 0v20"
    assert spark_of((None,) * 60).words == "no attempt in the last hour"
    assert spark_of((0.04,) * 60).line.startswith("M0 10.0")


def test_the_page_of_a_target_shows_its_hour() -> None:
    shown = target_view(town().store, "s1.example", NOW)
    assert shown is not None
    assert target_page(shown).count('<svg class="spark"') == 4
