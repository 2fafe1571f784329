"""``probe check --why`` for flows: what the failing calls of a round depend on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import trio

from probe.agent.flow_experiments import (
    FlowScene,
    ResolverOf,
    addresses_of,
    change_of,
    failing_call,
    flow_experiment,
    known_calls,
    slowest_of,
    written,
)
from probe.agent.jobs import persona_of
from probe.model.cause import Observed
from probe.model.flow import ApiCheck
from probe.model.flow_cause import FlowCause, FlowExperiment, FlowInvestigation
from probe.model.result import Failed, FlowResult
from probe.model.target import FlowKey, Target
from probe.probers.flow import FlowProber
from probe.state.causes.calls import Call, CallTrial, SeenCall, calls_of, observed
from probe.state.causes.flow_planner import FlowPlanner, FlowSettled, FlowTally
from probe.state.causes.flow_words import sentence
from probe.state.diagnosis.evidence import Mark

MOST = 5
"""Investigations of one command: each takes some seconds."""

LONGEST = 60.0
_AGAIN = 3  # calls alike, before anything is changed


async def explain_flows(
    prober: FlowProber,
    checks: Mapping[str, ApiCheck],
    targets: Callable[[FlowKey], Target],
    resolver_of: ResolverOf,
    results: Iterable[FlowResult],
) -> dict[FlowKey, FlowInvestigation]:
    """Find out why flows fail; what is left out has too many others before it.

    Args:
        prober: makes one call.
        checks: by name.
        targets: gives the target of a flow.
        resolver_of: gives what finds addresses for a flow.
        results: of a round.
    """
    runs = {run.key: run for run in results if run.key.check in checks}
    found: dict[FlowKey, FlowInvestigation] = {}
    for key, run in sorted(runs.items()):
        if not isinstance(run.outcome, Failed) or len(found) >= MOST:
            continue
        check = checks[key.check]
        mine = {one: some for one, some in runs.items() if one.check == key.check}
        seen = {
            one: list(calls_of(some, check, persona_of(check, one.persona)))
            for one, some in mine.items()
        }
        chosen = failing_call(run, seen[key], ())
        if chosen is None:
            continue
        others = await addresses_of(
            resolver_of(key), chosen[1].evidence.request, chosen[0].call.address
        )
        known = known_calls((one, call) for one, some in seen.items() for call in some)
        around = {one: targets(one) for one in mine}
        slowest = slowest_of(call for some in seen.values() for call in some)
        scene = FlowScene(key, check, around, *chosen, known, resolver_of, others, slowest)
        found[key] = await _explained(prober, scene, seen)
    return found


async def _explained(
    prober: FlowProber, scene: FlowScene, seen: Mapping[FlowKey, list[SeenCall]]
) -> FlowInvestigation:
    began, planner = time.time(), FlowPlanner(scene.setting())
    regular, made = _regular(scene, seen), list[FlowExperiment]()
    planner.regular(regular)
    settled: FlowSettled | None = None

    async def make(trial: CallTrial) -> None:
        told = False
        for line, call, outcome in await flow_experiment(prober, scene, trial):
            made.append(line)
            planner.observe(call, outcome)
            told = told or outcome in (Observed.PASSED, Observed.SAME)
        if not told:
            planner.useless(trial)

    if scene.failing.mark is Mark.LIMITED:
        settled = FlowSettled(FlowCause.RATE_LIMIT)
    else:
        with trio.move_on_after(LONGEST):
            first = planner.setting.trials[:1]
            for trial in first * _AGAIN if scene.step(scene.failing.call.step) else ():
                planner.spent += 1
                await make(trial)
            while (settled := planner.settled()) is None and (asked := planner.ask()):
                async with trio.open_nursery() as nursery:
                    for trial in asked:
                        nursery.start_soon(make, trial)
    settled = settled or planner.undetermined()
    status, own = scene.result.evidence.status, scene.failing.call
    return FlowInvestigation(
        settled.cause,
        scene.key,
        own.step,
        scene.failure,
        sentence(settled, planner.setting, planner.evidence, scene.failure, status),
        began,
        time.time(),
        (*_lines(regular, own), *made),
        settled.share,
        frozenset({scene.key}),
        settled.left,
        planner.spent,
    )


def _lines(regular: Mapping[Call, FlowTally], own: Call) -> list[FlowExperiment]:
    return [
        written(change_of(call, own), call, kind, None, regular=True, times=times)
        for call, tally in regular.items()
        for kind, times in ((Observed.SAME, tally.failed), (Observed.PASSED, tally.passed))
        if times
    ]


def _regular(scene: FlowScene, seen: Mapping[FlowKey, list[SeenCall]]) -> dict[Call, FlowTally]:
    """Count what the round itself has shown."""
    found: dict[Call, FlowTally] = {}
    for one in (one for some in seen.values() for one in some):
        outcome = observed(one.mark, scene.failing.mark)
        if outcome is not None:
            found.setdefault(one.call, FlowTally()).add(outcome)
    return found
