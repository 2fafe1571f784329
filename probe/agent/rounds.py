"""One round over everything, and the gate that repeats it until all is right.

The daemon asks "what changed?"; this asks "is it right, now?", for a person at a terminal and
for a pipeline that must not move DNS before every edge serves the right certificate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import trio

from probe.agent.jobs import (
    UNLISTED,
    JobKey,
    edge_jobs,
    flow_jobs,
    provider_jobs,
    targets_of,
    unlisted,
)
from probe.agent.key_types import KeyTypes
from probe.agent.named import judged, look_up
from probe.agent.parts import Parts, resolver_of
from probe.model.failure import Failure, Phase, Reason, defect
from probe.model.flow import ApiCheck
from probe.model.records import NameFindings
from probe.model.result import (
    FlowResult,
    Inconclusive,
    Passed,
    ResolveResult,
    Result,
    Timings,
    TlsResult,
)
from probe.model.spec import Check, Spec, TlsCheck
from probe.model.target import Edge, EdgeKey, FlowKey, ProviderKey, Resolution, Target
from probe.model.tls import ClientProfile
from probe.report.progress import OnProgress, RoundProgress
from probe.report.rows import in_short
from probe.state.promises import name_findings

_CONCURRENCY = 100
"""Attempts at once: enough to hide latency, too few to look like an attack on one edge."""


_GIVERS, _MOST_GIVERS = 2, 4


class Round:
    """Every edge of every provider of every target once (or ``attempts`` times), and every flow.

    Args:
        parts: probers and edge finder.
        spec: what to probe, already narrowed.
        targets: targets by list name.
        attempts: how often each edge is tried; all must pass. An edge that fails four
            handshakes in ten passes five tries in a row with a probability of 8 %.
        key_types: the profiles that each edge is asked with besides, once.
        on_progress: told how far a round is.
        wall: seconds since the epoch, for results that no prober made.
    """

    def __init__(
        self,
        parts: Parts,
        spec: Spec,
        targets: Mapping[str, tuple[Target, ...]],
        *,
        attempts: int = 1,
        key_types: KeyTypes | None = None,
        on_progress: OnProgress = lambda _: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._parts = parts
        self._spec = spec
        self._targets = targets
        self._attempts = attempts
        self._key_types = key_types or KeyTypes({})
        self._on_progress = on_progress
        self._wall = wall
        self._limit = trio.CapacityLimiter(_CONCURRENCY)
        self._results: list[Result] = []
        self._named: dict[EdgeKey, Edge] = {}
        self._known = 0
        self._wrong = 0
        self._number = 1
        self._failing: dict[str, int] = {}

    async def run(self, only: Collection[ProviderKey] | None = None) -> list[Result]:
        """Make one round over everything, or over ``only`` these."""
        self._results, self._named, self._known, self._wrong = [], {}, 0, 0
        self._failing = {}
        lists = {**self._targets, UNLISTED: unlisted(self._spec)}
        async with trio.open_nursery() as nursery:
            for check in self._spec.checks:
                for key, target in provider_jobs(check, targets_of(check, lists)).items():
                    if only is None or key in only:
                        self._known += 1
                        nursery.start_soon(self._through, check, key, target)
        return self._results

    async def wait(self, patience: float, *, pause: float = 5.0) -> list[Result]:
        """Make rounds until one over everything passes, or for ``patience`` seconds.

        Between the first round and the one that proves all of it only what was not right is
        tried again: thousands of edges that are right need no handshakes every few seconds.
        The first round is always finished; later ones are cut off when time is up. A round over
        everything that is cut off proves nothing: what it did not finish is inconclusive.

        Returns:
            what was seen last of everything.
        """
        deadline = trio.current_time() + patience
        results = list(await self.run())
        while wrong := self._wrong_of(results):
            if trio.current_time() + pause >= deadline:
                break
            await trio.sleep(pause)
            results = await self._again(results, wrong, deadline)
            if not self._wrong_of(results):
                results = await self._again(results, None, deadline)
        return results

    async def _again(
        self, before: list[Result], only: Collection[ProviderKey] | None, deadline: float
    ) -> list[Result]:
        """Make another round. What it does not reach in time stays as it was seen before.

        Without ``only`` the round is to prove everything; then that is inconclusive.
        """
        self._number += 1
        with trio.move_on_at(deadline):
            again = await self.run(only)
            tried = {_through(result) for result in again}
            return [result for result in before if _through(result) not in tried] + again
        done = {result.key for result in self._results}
        left = [result for result in before if result.key not in done]
        return (left if only is not None else self._unproved(left, done)) + self._results

    def _unproved(self, left: Iterable[Result], done: Collection[JobKey]) -> list[Result]:
        """Make the results of what a round over everything did not finish in time.

        Args:
            left: what was seen before, of keys that this round did not finish.
            done: the keys that it finished.
        """
        now, edges = self._wall(), {k: v for k, v in self._named.items() if k not in done}
        unproved: list[Result] = []
        for result in left:
            match result:
                case TlsResult(key=key, edge=edge):
                    if key.through not in done:  # else DNS has just said which edges there are
                        edges[key] = edge
                case FlowResult(key=flow):
                    unproved.append(FlowResult(flow, now, _too_late(Phase.SEND), ()))
                case _:
                    unproved.append(result)
        late = _too_late(Phase.CONNECT)
        tls = [TlsResult(key, edge, now, late, Timings()) for key, edge in edges.items()]
        return [*unproved, *tls]

    async def _through(self, check: Check, key: ProviderKey, target: Target) -> None:
        """Probe a target through a provider. A crash of our own code becomes a result."""
        try:
            if isinstance(check, ApiCheck):
                await self._flows(check, key, target)
            else:
                await self._edges(check, key, target)
        except Exception as error:
            self._take(_unfinished(check, key, self._wall(), error))
        self._tell()

    async def _edges(self, check: TlsCheck, key: ProviderKey, target: Target) -> None:
        async with self._limit:
            provider = self._spec.providers[key.provider]
            resolution = await self._parts.finder.find(
                provider, target, check.port, check.addresses
            )
            named = None
            if check.records:
                records = await look_up(self._parts, check, provider, target)
                named = name_findings(records, resolution)
        self._take(ResolveResult(key, self._wall(), resolution, named))
        besides = self._key_types.asked.get(check.name)
        if besides is not None:
            check = replace(check, profiles=(*check.profiles, besides))
        # An edge that DNS stopped naming meanwhile serves no customer, so it holds up no gate.
        jobs = edge_jobs(check, key, (edge for edge in resolution.edges if not edge.stale))
        self._known += len(jobs)
        self._named |= {edge_key: edge for edge_key, (edge, _) in jobs.items()}
        await self._give_tickets(check, target, jobs)
        async with trio.open_nursery() as nursery:
            for edge_key, (edge, profile) in jobs.items():
                nursery.start_soon(self._edge, check, target, edge_key, edge, profile, named)

    async def _give_tickets(
        self, check: TlsCheck, target: Target, jobs: Mapping[EdgeKey, tuple[Edge, ClientProfile]]
    ) -> None:
        """Have two edges give a session ticket, so that each finds one of another. No results."""
        wanted = [one for one in check.profiles if one.resumption is not None]
        for client in wanted if len(jobs) > len(check.profiles) else ():
            mine = [(key, edge) for key, (edge, profile) in jobs.items() if profile is client]
            given = 0
            for key, edge in mine[:_MOST_GIVERS]:
                async with self._limit:
                    result = await self._parts.tls.probe(key, edge, target, check, client)
                given += result.session is not None
                if given == _GIVERS:
                    break

    async def _edge(
        self,
        check: TlsCheck,
        target: Target,
        key: EdgeKey,
        edge: Edge,
        profile: ClientProfile,
        named: NameFindings | None,
    ) -> None:
        besides = profile is self._key_types.asked.get(check.name)
        try:
            for _ in range(1 if besides else self._attempts):
                async with self._limit:
                    result = await self._parts.tls.probe(key, edge, target, check, profile)
                if named is not None:
                    result = judged(result, check, target, profile, named.records)
                if not isinstance(result.outcome, Passed):
                    break
        except Exception as error:  # no prober raises; should one do so, the others go on
            outcome = Inconclusive(defect(error, Phase.CONNECT))
            result = TlsResult(key, edge, self._wall(), outcome, Timings())
        self._take(result)
        self._tell()

    async def _flows(self, check: ApiCheck, through: ProviderKey, target: Target) -> None:
        provider = self._spec.providers[through.provider] if through.provider else None
        resolve = resolver_of(self._parts.finder, provider, target)
        for key, persona in flow_jobs(check, through).items():
            async with self._limit:
                result = await self._parts.flow.run(key, check, target, persona, resolve=resolve)
            self._take(result)
            self._tell()

    def _wrong_of(self, results: list[Result]) -> set[ProviderKey]:
        """Return the targets and providers where something is not right."""
        judged = self._key_types.judged(results)
        return {_through(result) for result in judged if not passed(result)}

    def _take(self, result: Result) -> None:
        self._results.append(result)
        if not passed(result) and not self._key_types.refused(result):
            self._wrong += 1
            words = in_short(result)
            self._failing[words] = self._failing.get(words, 0) + 1

    def _tell(self) -> None:
        done = len(self._results)
        known, failing = max(self._known, done), MappingProxyType(self._failing)
        self._on_progress(RoundProgress(done, known, self._wrong, self._number, failing))


def _unfinished(check: Check, key: ProviderKey, now: float, error: Exception) -> Result:
    """Make the result of a target at which our own code crashed."""
    if isinstance(check, ApiCheck):
        outcome = Inconclusive(defect(error, Phase.SEND))
        return FlowResult(FlowKey(*key, ""), now, outcome, ())
    return ResolveResult(key, now, Resolution((), defect(error, Phase.RESOLVE)))


def _too_late(phase: Phase) -> Inconclusive:
    """Make the outcome of what a round that was cut off did not finish."""
    return Inconclusive(Failure(phase, Reason.TIMEOUT, "not proved in time"))


def _through(result: Result) -> ProviderKey:
    key = result.key
    return ProviderKey(key.check, key.target, key.provider)


def passed(result: Result) -> bool:
    """Whether a result is right in every respect."""
    match result:
        case TlsResult(outcome=outcome) | FlowResult(outcome=outcome):
            return isinstance(outcome, Passed)
        case ResolveResult(resolution=resolution):
            return resolution.failure is None and bool(resolution.edges)
