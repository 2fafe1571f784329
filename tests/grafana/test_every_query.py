"""Every query of every dashboard, put to a real Prometheus that has scraped real agents.

A healthy phase and a broken one. What the generator marks as quiet is empty in the first and has
data in the second; everything else has data in the first.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from probe.lab.process import open_lab_process
from tests.support.agents import start_agent
from tests.support.engines import Prometheus, open_prometheus

from . import dashboards, scene
from .dashboards import Question, label_values, substituted, variables

_HEALTHY_WITHIN = 120.0
_BROKEN_WITHIN = 120.0
"""Seconds of patience; a busy machine needs some of them."""

SHARING = {"PROBE_ADDRESS": "127.0.0.1"}
"""The address of an agent that shares; only one does."""


async def _chosen(prometheus: Prometheus, wanted: dict[str, str], uid: str) -> dict[str, str]:
    """What the variables of a dashboard stand for: all, or the one that was chosen."""
    values = {"datasource": "probe-prometheus"}
    for variable in variables(dashboards.load()[uid]):
        name = variable["name"]
        metric, label = label_values(variable)
        offered = await prometheus.values(substituted(metric, values), label)
        if variable.get("includeAll"):
            assert offered or name == "persona", f"{uid}: ${name} offers nothing"
            values[name] = variable["allValue"]
        else:
            assert wanted[name] in offered, f"{uid}: ${name} offers {offered}"
            values[name] = wanted[name]
    return values


async def _choices(prometheus: Prometheus) -> dict[str, dict[str, str]]:
    return {
        uid: await _chosen(prometheus, scene.CHOICES.get(uid, {}), uid) for uid in dashboards.load()
    }


async def _wait_for(
    asked: list[Question], has: Callable[[Question], Awaitable[bool]], seconds: float
) -> list[Question]:
    """The questions that still have no data after so long."""
    missing = asked
    with trio.move_on_after(seconds):
        while missing := [one for one in missing if not await has(one)]:
            await trio.sleep(0.5)
    return missing


async def _doze(process: trio.Process) -> None:
    """Hold a process up time and again, as a host without CPU would."""
    try:
        while True:
            process.send_signal(signal.SIGSTOP)
            await trio.sleep(1.2)
            process.send_signal(signal.SIGCONT)
            await trio.sleep(0.1)
    finally:
        process.send_signal(signal.SIGCONT)


def _names(asked: list[Question]) -> str:
    return "\n".join(f"{one.board} · {one.panel}: {one.expr}" for one in asked)


@pytest.mark.real
@pytest.mark.slow
async def test_every_query_has_data_when_it_should(tmp_path: Path) -> None:
    asked = dashboards.questions()
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(open_lab_process(tmp_path, scene.LAYOUT))
        regions = (*scene.SEEING, scene.DROWSY)
        agents = {
            region: await stack.enter_async_context(
                start_agent(scene.write(tmp_path, lab.info, region), environ=SHARING)
            )
            for region in regions
        }
        addresses = {
            region: (await agent.address()).removeprefix("http://")
            for region, agent in agents.items()
        }
        prometheus = await stack.enter_async_context(
            open_prometheus(
                scene.scraping(tmp_path, addresses), "--enable-feature=exemplar-storage"
            )
        )

        async def healthy() -> bool:
            passed = await prometheus.series("probe_success == 1")
            tokens = await prometheus.series("probe_flow_token_expiry_timestamp_seconds")
            return len(passed) >= 2 * 10 + 1 and len(tokens) >= 2 * 3

        with trio.fail_after(_HEALTHY_WITHIN):
            while not await healthy():
                await trio.sleep(0.5)
        choices = await _choices(prometheus)

        async def has(one: Question) -> bool:
            return bool(await prometheus.series(substituted(one.expr, choices[one.board])))

        missing = await _wait_for([one for one in asked if not one.quiet], has, _HEALTHY_WITHIN)
        assert not missing, f"no data on a healthy system:\n{_names(missing)}"
        loud = [one for one in asked if one.quiet and await has(one)]
        assert not loud, f"data on a healthy system, though marked as quiet:\n{_names(loud)}"
        for one in asked:
            if one.exemplars:
                await _has_traces(prometheus, substituted(one.expr, choices[one.board]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(_doze, agents[scene.DROWSY].process)
            await scene.break_everything(lab, tmp_path)
            agents[scene.SEEING[0]].process.send_signal(signal.SIGHUP)
            quiet = [one for one in asked if one.quiet]
            missing = await _wait_for(quiet, has, _BROKEN_WITHIN)
            assert not missing, f"no data on a broken system:\n{_names(missing)}"
            # Timings are dropped for a moment where an agent is late itself: ask again.
            with trio.move_on_after(_BROKEN_WITHIN):
                while strange := await _strange_fields(prometheus, choices):
                    await trio.sleep(0.5)
            assert not strange, f"labels that the data do not have: {strange}"
            nursery.cancel_scope.cancel()


async def _strange_fields(
    prometheus: Prometheus, choices: dict[str, dict[str, str]]
) -> dict[str, set[str]]:
    """Columns and legends that name no label of the data, and so would stay empty."""
    strange: dict[str, set[str]] = {}
    for uid, board in dashboards.load().items():
        for panel in dashboards.panels(board):
            given: set[str] = set()
            for query in panel["targets"]:
                for one in await prometheus.series(substituted(query["expr"], choices[uid])):
                    given |= set(one["metric"])
            if missing := dashboards.fields(panel) - given:
                strange[f"{uid} · {panel['title']}"] = missing
    return strange


async def _has_traces(prometheus: Prometheus, expr: str) -> None:
    found = await prometheus.ask("query_exemplars", query=expr, start="0", end="9999999999")
    ids = [one["labels"]["trace_id"] for series in found for one in series["exemplars"]]
    assert ids, f"no exemplars: {expr}"
    assert all(len(one) == 32 for one in ids)
