"""All regions on one page: what is joined, what is never claimed, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from probe.serve.page.html import regions_page
from probe.serve.page.region_report import (
    RegionProblem,
    RegionProvider,
    RegionReport,
    ReportProblem,
    read_report,
    region_report,
)
from probe.serve.page.regions_view import FRESH, HeardAgent, RegionsView, regions_view
from probe.serve.page.standing import Level, StateCounts

from .test_serving import ask, serving
from .world import START, filled

PROBLEM = RegionProblem(
    check="stores",
    provider="cdn-b",
    layer="",
    reason="alert_unrecognized_name",
    state="failing",
    since=START - 60,
    edges=2,
    of_edges=4,
    targets=("store-1.example",),
    targets_total=9,
    of_targets=30,
    unseen=0,
)
FINE = RegionReport(
    region="sa-east",
    agent="a",
    now=START,
    version="1",
    level=Level.OK,
    sentence="All 4 edges pass",
    edges=StateCounts(passing=4),
    flows=StateCounts(),
    names=StateCounts(),
    providers=(RegionProvider("stores", "cdn-b", "passing"),),
    providers_total=1,
    problems=(),
    problems_total=0,
)
ILL = replace(
    FINE,
    region="eu-west",
    agent="b",
    level=Level.TROUBLE,
    edges=StateCounts(passing=2, failing=2),
    providers=(RegionProvider("stores", "cdn-b", "failing"),),
    problems=(PROBLEM,),
    problems_total=1,
)


def heard(report: RegionReport, age: float = 0.0) -> HeardAgent:
    return HeardAgent(f"https://{report.region}.example", report, report.region, START - age)


def states(view: RegionsView) -> dict[str, str]:
    return {one.name: one.state for one in view.problems[0].sightings}


def test_who_sees_it_who_does_not_and_since_when() -> None:
    silent = HeardAgent("https://ap.example", None, "ap-south", START - 90, START - 80, "no answer")
    view = regions_view(FINE, [heard(ILL), silent])
    assert view.level is Level.TROUBLE
    assert view.sentence.startswith("eu-west sees failures; ap-south is silent since ")
    assert "all" not in view.sentence
    assert states(view) == {"sa-east": "passing", "eu-west": "failing", "ap-south": "silent"}
    assert (view.problems[0].seen_by, view.problems[0].heard) == (1, 2)
    assert view.problems[0].since == START - 60


def test_all_agents_pass_only_if_all_of_them_said_so() -> None:
    other = replace(FINE, region="eu-west", agent="b")
    whole = regions_view(FINE, [heard(other)])
    assert (whole.level, whole.sentence) == (Level.OK, "All 2 agents pass")
    old = regions_view(FINE, [heard(other, FRESH + 1)])
    assert old.level is Level.UNSURE
    assert [row.state for row in old.agents] == ["ok", "silent"]
    assert "eu-west is silent" in old.sentence
    never = regions_view(FINE, [HeardAgent("https://ap.example")])
    assert never.level is Level.UNSURE
    assert "https://ap.example is silent" in never.sentence


@pytest.mark.parametrize(
    ("providers", "more", "problems", "state"),
    [
        ((RegionProvider("stores", "cdn-b", "passing"),), 0, 0, "passing"),
        ((RegionProvider("stores", "cdn-b", "passing"),), 1, 0, "unknown"),
        ((RegionProvider("stores", "cdn-b", "suspect"),), 0, 0, "other"),
        ((RegionProvider("stores", "cdn-b", "failing"),), 0, 40, "unknown"),
        ((RegionProvider("stores", "cdn-b", "unseen"),), 0, 0, "unknown"),
        ((RegionProvider("stores", "cdn-b", "awaited"),), 0, 0, "unknown"),
        ((RegionProvider("stores", "cdn-b", "a new word"),), 0, 0, "unknown"),
        ((RegionProvider("stores", "cdn-a", "passing"),), 0, 0, "absent"),
        ((), 0, 0, "absent"),
        ((), 300, 0, "unknown"),
    ],
)
def test_what_is_said_of_a_region_that_does_not_name_the_problem(
    providers: tuple[RegionProvider, ...], more: int, problems: int, state: str
) -> None:
    own = replace(
        FINE,
        providers=providers,
        providers_total=len(providers) + more,
        problems_total=problems,
    )
    assert states(regions_view(own, [heard(ILL)]))["sa-east"] == state


def test_times_are_by_our_clock_whatever_theirs_is() -> None:
    shifted = replace(ILL, now=START + 3600, problems=(replace(PROBLEM, since=START + 3600 - 60),))
    view = regions_view(FINE, [heard(shifted)])
    assert view.problems[0].since == START - 60
    assert view.agents[1].ahead == 3600
    assert "Its clock is 1 h ahead of ours." in regions_page(view)


def test_an_agent_that_is_met_twice_or_is_this_one_stands_there_once() -> None:
    twice = replace(heard(ILL), page="https://198.51.100.7")
    view = regions_view(FINE, [heard(FINE), heard(ILL), twice])
    assert [row.name for row in view.agents] == ["sa-east", "eu-west"]


def test_agents_of_one_region_are_told_apart_by_their_address() -> None:
    view = regions_view(FINE, [heard(replace(FINE, agent="c"))])
    assert [row.name for row in view.agents] == [
        "sa-east (this agent)",
        "sa-east (https://sa-east.example)",
    ]


def test_the_page_escapes_what_others_say() -> None:
    evil = "<script>alert(1)</script>\x1b[31m\u202e"
    report = replace(
        ILL, region=evil, sentence=evil, problems=(replace(PROBLEM, check=evil, targets=(evil,)),)
    )
    page = regions_page(regions_view(FINE, [heard(report)]))
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b" in page


def test_what_one_agent_writes_another_one_reads() -> None:
    report = region_report(filled(), START + 5, "x")
    assert report.problems
    assert {one.layer for one in report.problems} > {""}
    assert read_report(json.dumps(asdict(report)).encode()) == report
    newer = asdict(report) | {"later": 1}
    assert read_report(json.dumps(newer).encode()) == report


def _set(*path: str | int, to: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("region", to=""),
        _set("region", to=7),
        _set("region", to="x" * 2000),
        _set("level", to="green"),
        _set("now", to=1e300),
        _set("now", to=float("nan")),
        _set("now", to=-1.0),
        _set("now", to=10**400),
        _set("now", to=True),
        _set("edges", to=[]),
        _set("edges", "failing", to=-1),
        _set("edges", "failing", to=10**30),
        _set("edges", "failing", to=1.5),
        _set("problems", to={}),
        _set("problems", 0, "targets", to=["x"] * 1000),
        _set("problems", 0, "targets", 0, to=None),
        _set("providers", 0, to="cdn-a"),
        lambda document: document.pop("problems"),
    ],
)
def test_an_answer_that_is_none_is_refused(change: Callable[[Any], None]) -> None:
    document = asdict(ILL)
    document = json.loads(json.dumps(document))
    read_report(json.dumps(document).encode())
    change(document)
    with pytest.raises(ReportProblem):
        read_report(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"no", b"[]", b"[" * 200_000, b"\xff", b"1" * 5000])
def test_bytes_that_are_no_report_are_refused(data: bytes) -> None:
    with pytest.raises(ReportProblem):
        read_report(data)


def test_a_report_of_many_targets_is_short() -> None:
    store = filled(targets=60, broken_targets=60, broken_edges=2, edges=2)
    assert len(json.dumps(asdict(region_report(store, START, "x")))) < 16 * 1024


async def test_without_regions_there_is_no_such_page_and_others_may_ask() -> None:
    async with serving(filled(targets=2)) as address:
        for path in ("/regions", "/api/v1/regions"):
            head, body = await ask(address, path)
            assert head.startswith("HTTP/1.1 404 ")
            assert b"regions: in the configuration" in body
        head, body = await ask(address, "/api/v1/region")
        assert head.startswith("HTTP/1.1 200 ")
        assert read_report(body).region == "sa-east"
        assert (await ask(address, "/api/v1/region", host="evil.example"))[0].startswith(
            "HTTP/1.1 421 "
        )
