"""One round over everything, and the gate that repeats it until all is right.

The daemon asks "what changed?"; this asks "is it right, now?", for a person at a terminal and
for a pipeline that must not move DNS before every edge serves the right certificate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import trio

from probe.agent.parts import Parts, resolver_of
from probe.model.flow import ApiCheck, Persona
from probe.model.result import FlowResult, Passed, ResolveResult, Result, TlsResult
from probe.model.spec import Provider, Spec, TlsCheck
from probe.model.target import Edge, EdgeKey, FlowKey, ProviderKey, Target
from probe.model.tls import ClientProfile

_CONCURRENCY = 100
"""Attempts at once: enough to hide latency, too few to look like an attack on one edge."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a round is.

    Attributes:
        done: attempts finished; grows.
        known: attempts known so far; grows while DNS is still answering.
        wrong: edges or flows that are not right (yet).
        round: counts from 1.
    """

    done: int
    known: int
    wrong: int
    round: int = 1


OnProgress = Callable[[Progress], None]


class Round:
    """Every edge of every provider of every target once (or ``attempts`` times), and every flow.

    Args:
        parts: probers and edge finder.
        spec: what to probe, already narrowed.
        targets: targets by list name.
        attempts: how often each edge is tried; all must pass. An edge that fails four
            handshakes in ten passes five tries in a row with a probability of 8 %.
    """

    def __init__(
        self,
        parts: Parts,
        spec: Spec,
        targets: Mapping[str, tuple[Target, ...]],
        *,
        attempts: int = 1,
        on_progress: OnProgress = lambda _: None,
    ) -> None:
        self._parts = parts
        self._spec = spec
        self._targets = targets
        self._attempts = attempts
        self._on_progress = on_progress
        self._limit = trio.CapacityLimiter(_CONCURRENCY)
        self._results: list[Result] = []
        self._known = 0
        self._number = 1

    async def run(self) -> list[Result]:
        """One full round."""
        self._results, self._known = [], 0
        async with trio.open_nursery() as nursery:
            for check in self._spec.checks:
                for target in self._targets_of(check):
                    for provider in self._providers_of(check):
                        self._known += 1
                        nursery.start_soon(self._through, check, target, provider)
        return self._results

    async def wait(self, patience: float, *, pause: float = 5.0) -> list[Result]:
        """Rounds until one passes whole, or ``patience`` seconds are over; the last round."""
        deadline = trio.current_time() + patience
        while True:
            results = await self.run()
            if all(passed(result) for result in results) or trio.current_time() >= deadline:
                return results
            await trio.sleep(min(pause, max(0.0, deadline - trio.current_time())))
            self._number += 1

    def _targets_of(self, check: TlsCheck | ApiCheck) -> Sequence[Target]:
        if check.targets is None:
            return (Target(check.name),)
        return self._targets[check.targets]

    def _providers_of(self, check: TlsCheck | ApiCheck) -> Iterator[Provider | None]:
        if not check.providers:
            yield None
        for name in check.providers:
            yield self._spec.providers[name]

    async def _through(
        self, check: TlsCheck | ApiCheck, target: Target, provider: Provider | None
    ) -> None:
        if isinstance(check, ApiCheck):
            await self._flows(check, target, provider)
        elif provider is not None:
            await self._edges(check, target, provider)
        self._tell()

    async def _edges(self, check: TlsCheck, target: Target, provider: Provider) -> None:
        async with self._limit:
            resolution = await self._parts.finder.find(provider, target, check.port)
        key = ProviderKey(check.name, target.label, provider.name)
        self._results.append(ResolveResult(key, time.time(), resolution))
        async with trio.open_nursery() as nursery:
            for edge in resolution.edges:
                for profile in check.profiles:
                    self._known += 1
                    nursery.start_soon(self._edge, check, target, provider, edge, profile)

    async def _edge(
        self,
        check: TlsCheck,
        target: Target,
        provider: Provider,
        edge: Edge,
        profile: ClientProfile,
    ) -> None:
        key = EdgeKey(check.name, target.label, provider.name, edge.label, profile.name)
        for _ in range(self._attempts):
            async with self._limit:
                result = await self._parts.tls.probe(key, edge, target, check, profile)
            if not isinstance(result.outcome, Passed):
                break
        self._results.append(result)
        self._tell()

    async def _flows(self, check: ApiCheck, target: Target, provider: Provider | None) -> None:
        personas: Iterable[Persona | None] = check.personas or (None,)
        for persona in personas:
            name = persona.name if persona is not None else ""
            key = FlowKey(check.name, target.label, provider.name if provider else "", name)
            async with self._limit:
                resolve = resolver_of(self._parts.finder, provider, target)
                result = await self._parts.flow.run(key, check, target, persona, resolve=resolve)
            self._results.append(result)
            self._tell()

    def _tell(self) -> None:
        wrong = sum(not passed(result) for result in self._results)
        done = len(self._results)
        self._on_progress(Progress(done, max(self._known, done), wrong, self._number))


def passed(result: Result) -> bool:
    """Whether a result is right in every respect."""
    match result:
        case TlsResult(outcome=outcome) | FlowResult(outcome=outcome):
            return isinstance(outcome, Passed)
        case ResolveResult(resolution=resolution):
            return resolution.failure is None and bool(resolution.edges)
