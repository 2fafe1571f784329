"""Which flows run now: a job for each target, provider and persona of each API check."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import trio

from probe.agent.coverage import FIRST_RATE, GRACE
from probe.agent.flow_filing import FlowFiling
from probe.agent.jobs import (
    UNLISTED,
    JobKey,
    checks_of,
    flow_jobs,
    parts,
    persona_of,
    provider_jobs,
    targets_of,
)
from probe.agent.parts import Parts, resolver_of
from probe.http.session import Resolve
from probe.model.failure import Failure
from probe.model.flow import ApiCheck
from probe.model.result import FlowResult, Inconclusive
from probe.model.spec import Provider, Spec
from probe.model.state import FLOW_CONFIRMATION
from probe.model.target import FlowKey, Target
from probe.schedule import FIRST, Job, Runner
from probe.serve import Store


class FlowCoverage:
    """Keeps the runner's flow jobs equal to what configuration and targets say.

    Args:
        parts: the flow prober and the finder of edges.
        runner: runs the jobs.
        store: told which targets there are.
        filing: takes the results.
        gone: told of each flow that runs no more.
        wall: seconds since the epoch, for results that no prober made.
    """

    def __init__(
        self,
        parts: Parts,
        runner: Runner[JobKey],
        store: Store,
        filing: FlowFiling,
        gone: Callable[[FlowKey], None] = lambda _: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._parts = parts
        self._runner = runner
        self._store = store
        self._filing = filing
        self._gone = gone
        self._wall = wall
        self._checks: dict[str, ApiCheck] = {}
        self._providers: dict[str, Provider] = {}
        self._alike: dict[str, ApiCheck] = {}
        self._lists: dict[str, tuple[Target, ...]] = {}
        self._running: dict[FlowKey, Target] = {}
        self._turns: dict[FlowKey, trio.Lock] = {}

    def configure(self, spec: Spec) -> Iterator[None]:
        """Follow a new configuration with the targets known so far, in short steps."""
        asked = {key: self._question(key) for key in self._running}
        self._checks = checks_of(spec, ApiCheck)
        self._providers = dict(spec.providers)
        alike = {name: _alike(check) for name, check in self._checks.items()}
        # Equal ones stay the same object: thousands of flows compare it.
        self._alike = {
            n: old if (old := self._alike.get(n)) == new else new for n, new in alike.items()
        }
        self._lists = {name: self._lists.get(name, ()) for name in (*spec.targets, UNLISTED)}
        self._filing.configure(spec)
        for key in [key for key in self._running if key.check not in self._checks]:
            self._drop(key)
        changed = [k for k in self._running if asked[k] != self._question(k)]
        for key in changed:
            self._filing.doubt(key)
        for check in self._checks.values():
            yield from self._cover(check)
        # The job keeps its phase, and its next turn may be minutes away.
        changed = [key for key in changed if key in self._running]
        yield from self._runner.request_all(changed, within=FIRST, rate=FIRST_RATE)

    def set_targets(self, name: str, targets: tuple[Target, ...]) -> Iterator[None]:
        """Follow a target list, in short steps; whoever takes them takes them to the end."""
        self._lists[name] = targets
        for check in list(self._checks.values()):
            if (check.targets or UNLISTED) == name:
                yield from self._cover(check)

    def defect(self, key: FlowKey, failure: Failure) -> None:
        """File a result for a run that our own code did not finish."""
        if key in self._running:
            self._filing.file(FlowResult(key, self._wall(), Inconclusive(failure), ()))

    def check(self, name: str) -> ApiCheck | None:
        """Return a check by its name; None when it is gone."""
        return self._checks.get(name)

    def targets(self, check: str) -> dict[FlowKey, Target]:
        """Return every flow of a check that runs, with its target."""
        return {key: target for key, target in self._running.items() if key.check == check}

    def resolver(self, key: FlowKey) -> Resolve:
        """Return what finds addresses for a flow, as its provider wants."""
        provider = self._providers.get(key.provider)
        return resolver_of(self._parts.finder, provider, self._running[key])

    def keys(self) -> Iterable[FlowKey]:
        """Return the key of every flow that runs now."""
        return self._running

    def _cover(self, check: ApiCheck) -> Iterator[None]:
        targets = targets_of(check, self._lists)
        wanted: dict[FlowKey, Target] = {}
        for some in parts(targets):
            for through, target in provider_jobs(check, some).items():
                wanted |= dict.fromkeys(flow_jobs(check, through), target)
            yield
        for keys in parts(list(self._running)):
            for key in keys:
                if key.check == check.name and key not in wanted and key in self._running:
                    self._drop(key)
            yield
        yield from self._store.retarget(check.name, targets)
        for keys in parts(list(wanted)):
            for key in keys:
                self._put(check, key, wanted[key])
            yield

    def _put(self, check: ApiCheck, key: FlowKey, target: Target) -> None:
        # A flow that makes things would meet its own: its runs wait for each other.
        alone = any(step.cleanup for step in check.steps)
        runs = 1 + FLOW_CONFIRMATION.attempts if alone else 1
        timeout = check.flow_timeout * runs + GRACE
        self._running[key] = target
        if alone:
            self._turns.setdefault(key, trio.Lock())
        else:
            self._turns.pop(key, None)
        self._store.expect(key, max(check.interval, check.flow_timeout + GRACE))
        self._runner.put(Job(key, check.name, check.interval, timeout, partial(self._run, key)))

    def _drop(self, key: FlowKey) -> None:
        self._runner.drop(key)
        del self._running[key]
        self._turns.pop(key, None)
        self._filing.forget(key)
        self._gone(key)

    async def _run(self, key: FlowKey) -> None:
        async with self._turns.get(key, nullcontext()):
            await self._run_now(key)

    async def _run_now(self, key: FlowKey) -> None:
        check, target = self._checks[key.check], self._running[key]
        resolve = self.resolver(key)
        asked = self._question(key)
        persona = persona_of(check, key.persona)
        result = await self._parts.flow.run(key, check, target, persona, resolve=resolve)
        if key in self._running and self._question(key) != asked:
            self._runner.request(key)  # a reload came between; this is of the old flow
            return
        self._filing.file(result)

    def _question(self, key: FlowKey) -> tuple[object, ...]:
        """Return what a run depends on besides the target."""
        persona = persona_of(self._checks[key.check], key.persona)
        return self._alike[key.check], self._providers.get(key.provider), persona


def _alike(check: ApiCheck) -> ApiCheck:
    """Copy a check without what says when and for which persona it runs."""
    return replace(check, interval=1.0, targets=None, providers=(), personas=(), labels={})
