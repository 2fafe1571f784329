"""``probe check --why``: what the failures of a round depend on, for a person who waits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import trio

from probe.agent.experiments import (
    MOST_DOMAINS,
    Scene,
    as_regular,
    experiment,
    investigate,
    observed,
    scene_of,
)
from probe.agent.jobs import checks_of
from probe.agent.parts import Parts, resolver_of
from probe.agent.why_flows import explain_flows
from probe.http.session import Resolve
from probe.model.cause import Experiment, Investigation, Observed
from probe.model.failure import Failure
from probe.model.flow import ApiCheck
from probe.model.flow_cause import FlowInvestigation
from probe.model.result import Failed, FlowResult, ResolveResult, Result, TlsResult
from probe.model.spec import Spec, TlsCheck
from probe.model.target import Edge, EdgeKey, FlowKey, ProviderKey, Target
from probe.state.causes import Planner, Trial
from probe.state.causes.extent import explained
from probe.state.causes.setting import Outcomes

MOST = 20
"""Investigations of one command: whoever waits has seen enough by then."""

_AGAIN = 3  # attempts alike on a failing edge, before anything is changed
_PATIENCE = 8.0
_PAUSE = 0.2


@dataclass(slots=True)
class Explainer:
    """Explains the failures of a round.

    Attributes:
        parts: probers and the finder of edges.
        spec: what was probed.
        lists: every target of the lists, also those that were not asked for.
    """

    parts: Parts
    spec: Spec
    lists: Mapping[str, Sequence[Target]]

    async def of(self, results: Iterable[Result]) -> dict[EdgeKey, Investigation]:
        """Find out why edges fail; what is left out has too many others before it."""
        results = list(results)
        found: dict[EdgeKey, Investigation] = {}
        checks = checks_of(self.spec, TlsCheck)
        plain = {name: check.plain for name, check in checks.items()}
        failing = {
            one.key: one.outcome.failure
            for one in results
            if isinstance(one, TlsResult) and isinstance(one.outcome, Failed)
            if not plain.get(one.key.check)
        }
        seen = {one.key: one for one in results if isinstance(one, TlsResult)}
        around = await self._around(checks, results, failing)
        made = 0
        for key in sorted(failing):
            if key in found or made >= MOST:
                continue
            scene = scene_of(key, failing[key], checks[key.check], around)
            if scene is None:
                continue
            made += 1
            one = await self._one(scene, seen, failing)
            found |= dict.fromkeys(one.keys, one)
        return found

    async def of_flows(self, results: Iterable[Result]) -> dict[FlowKey, FlowInvestigation]:
        """Find out why flows fail, likewise."""
        checks = checks_of(self.spec, ApiCheck)

        def target(key: FlowKey) -> Target:
            some = self.lists.get(checks[key.check].targets or "", ())
            return next((one for one in some if one.label == key.target), Target(key.target))

        def resolve(key: FlowKey) -> Resolve:
            provider = self.spec.providers.get(key.provider)
            return resolver_of(self.parts.finder, provider, target(key))

        runs = (one for one in results if isinstance(one, FlowResult))
        return await explain_flows(self.parts.flow, checks, target, resolve, runs)

    async def _one(
        self, scene: Scene, seen: Mapping[EdgeKey, TlsResult], failing: Mapping[EdgeKey, Failure]
    ) -> Investigation:
        began, planner = time.time(), Planner(scene.setting())
        regular, made = _regular(scene, seen), list[Experiment]()
        same = next(scene.setting().trials())

        async def again() -> None:
            made.append(await self._made(scene, same))
            planner.observe(same, made[-1].seen)

        async with trio.open_nursery() as nursery:
            for _ in range(_AGAIN):
                nursery.start_soon(again)
        settled = await investigate(
            planner,
            made,
            lambda trial: self._made(scene, trial),
            lambda: regular,
            patience=_PATIENCE,
            pause=_PAUSE,
        )
        keys = explained(settled.cause, scene.key, scene.failure, failing)
        return Investigation(
            settled.cause,
            scene.key,
            scene.failure,
            began,
            time.time(),
            (*as_regular(scene, regular), *made),
            settled.share,
            tuple(sorted({one.target for one in keys})),
            tuple(sorted({one.edge for one in keys})),
            keys,
            settled.left,
            planner.spent + _AGAIN,
        )

    async def _made(self, scene: Scene, trial: Trial) -> Experiment:
        return await experiment(self.parts.tls.probe, scene, trial)

    async def _around(
        self,
        checks: Mapping[str, TlsCheck],
        results: Iterable[Result],
        failing: Mapping[EdgeKey, Failure],
    ) -> dict[ProviderKey, tuple[Target, tuple[Edge, ...]]]:
        """Collect what was probed, and a few other domains at providers where something fails."""
        targets = {
            (check.name, target.label): target
            for check in checks.values()
            for target in self.lists.get(check.targets, ())
        }
        found: dict[ProviderKey, tuple[Target, tuple[Edge, ...]]] = {}
        for one in results:
            if isinstance(one, ResolveResult) and (one.key.check, one.key.target) in targets:
                target = targets[one.key.check, one.key.target]
                found[one.key] = (target, one.resolution.edges)

        async def look(key: ProviderKey, target: Target) -> None:
            provider = self.spec.providers[key.provider]
            resolution = await self.parts.finder.find(provider, target, checks[key.check].port)
            found[key] = (target, resolution.edges)

        async with trio.open_nursery() as nursery:
            for check, provider in {(key.check, key.provider) for key in failing}:
                others = (
                    (ProviderKey(check, label, provider), target)
                    for (name, label), target in targets.items()
                    if name == check and ProviderKey(check, label, provider) not in found
                )
                for key, target in list(islice(others, MOST_DOMAINS)):
                    nursery.start_soon(look, key, target)
        return found


def _regular(scene: Scene, seen: Mapping[EdgeKey, TlsResult]) -> dict[Trial, Outcomes]:
    """Count what the round itself has shown."""
    found: dict[Trial, Outcomes] = {}
    for trial in scene.setting().trials():
        key = scene.key_of(trial)
        result = None if key is None else seen.get(key)
        if result is None:
            continue
        match observed(result.outcome, scene.failure):
            case Observed.PASSED:
                found[trial] = Outcomes(passed=1)
            case Observed.SAME:
                found[trial] = Outcomes(failed=1)
            case Observed.OTHER | Observed.UNCLEAR:
                found[trial] = Outcomes(other=1)
    return found
