"""Cases of both matrices, played by a real agent against real servers; the rest by hand.

Ten are of edges, and two of flows.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.model.flow_cause import FlowCause
from tests.causes.cases import CLIENTS, SEED, Spot, drawn, extensions, rows
from tests.causes.flow_cases import FlowCase, flow_cases
from tests.causes.flow_play import play_flows
from tests.causes.play import play

COUNT = 200
SOLID = [case for case in drawn(COUNT) if all(one.share == 1.0 for one in case.injected)]
TEN = [
    next(case for case in SOLID if case.injected[0].spot is spot and not case.pair)
    for spot in Spot
    if any(case.injected[0].spot is spot and not case.pair for case in SOLID)
]


@pytest.mark.slow
async def test_a_fault_of_each_place_gets_its_cause_and_no_other(tmp_path: Path) -> None:
    answers = await play(TEN[:10], tmp_path, COUNT, SEED)
    told = {answer.case.title: answer.named for answer in answers}
    assert not [answer for answer in answers if answer.wrong], told
    assert sum(answer.right for answer in answers) >= len(answers) - 1, told
    assert max(one.spent for answer in answers for one in answer.found) <= 20


def test_cases_are_the_same_in_every_run_and_cover_the_table() -> None:
    cases = drawn(COUNT)
    assert [case.title for case in cases] == [case.title for case in drawn(COUNT)]
    assert len(cases) == COUNT
    injected = [one for case in cases for one in case.injected]
    assert {row.name for row in rows()} <= {one.name for one in injected}
    assert {one.spot for one in injected} == set(Spot)
    assert {one.share for one in injected} == {1.0, 0.6, 0.3}
    assert {cause for one in injected for cause in one.causes} >= CLIENTS.keys()
    assert sum(case.pair for case in cases) >= COUNT / 10


def test_a_hello_that_is_none_has_no_extensions() -> None:
    assert extensions(b"GET / HTTP/1.1\r\n") == {}


def flow_case(fault: str, cause: FlowCause) -> FlowCase:
    return next(
        case
        for case in flow_cases()
        if case.fault == fault and case.causes == {cause} and case.share == 1.0
    )


@pytest.mark.slow
async def test_a_flow_that_fails_gets_its_cause_and_one_whose_calls_hang_too(
    tmp_path: Path,
) -> None:
    cases = [
        flow_case("authorization_500", FlowCause.AUTHORIZATION),
        flow_case("hang", FlowCause.BACKEND),
    ]
    answers = await play_flows(cases, tmp_path)
    told = {answer.case.title: (answer.named, answer.found) for answer in answers}
    assert all(answer.right for answer in answers), told
    assert max(one.spent for answer in answers for one in answer.found) <= 20


def test_cases_of_flows_have_every_cause_that_one_agent_with_one_target_can_see() -> None:
    cases = flow_cases()
    assert [case.number for case in cases] == list(range(len(cases)))
    assert {case.share for case in cases} == {1.0, 0.6, 0.3}
    unseen = {FlowCause.ONE_TARGET, FlowCause.ONE_PROVIDER, FlowCause.UNDETERMINED}
    assert {cause for case in cases for cause in case.causes} == set(FlowCause) - unseen
