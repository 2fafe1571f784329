"""What is probed now: from targets to providers to edges, and a job for each.

Targets come from discovery, edges from DNS; both change while the agent runs. Each change is a
difference: jobs that stay are not touched, so they keep their phase and their history.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from probe.agent.filing import Filing
from probe.agent.jobs import JobKey, resolving
from probe.agent.parts import Parts
from probe.model.failure import Failure, Reason
from probe.model.result import Inconclusive, ResolveResult, Timings, TlsResult
from probe.model.spec import Provider, Spec, TlsCheck
from probe.model.target import Edge, EdgeKey, ProviderKey, Resolution, Target
from probe.schedule import FIRST, Job, Runner
from probe.serve import Store

FIRST_LOOK = 5.0
"""Most seconds over which the first questions for new targets are spread …"""

FIRST_RATE = 100.0
"""… and most of them a second, as long as that takes no longer."""

GRACE = 5.0
"""Seconds that a run may take beyond the check's time-out before it counts as our defect."""

AFTER_DEFECT = 10.0
"""Seconds until a question is asked again that our own code could not finish."""

_FIXED_INTERVAL = 300.0  # fixed addresses change with the configuration only


class Coverage:
    """Keeps the runner's jobs equal to what configuration, targets and DNS say.

    Args:
        parts: probers and the finder of edges.
        runner: runs the jobs.
        filing: takes the results.
        store: told which targets there are.
    """

    def __init__(self, parts: Parts, runner: Runner[JobKey], filing: Filing, store: Store) -> None:
        self._parts = parts
        self._runner = runner
        self._filing = filing
        self._store = store
        self._checks: dict[str, TlsCheck] = {}
        self._providers: dict[str, Provider] = {}
        self._lists: dict[str, tuple[Target, ...]] = {}
        self._through: dict[ProviderKey, Target] = {}
        self._edges: dict[ProviderKey, dict[str, Edge]] = {}
        self._keys: dict[ProviderKey, set[EdgeKey]] = {}

    # ------------------------------------------------------------ what there should be

    def configure(self, spec: Spec) -> None:
        """Follow a new configuration with the targets known so far."""
        before = {key: self._ways(key) for key in self._through}
        asked = {key: self._question(key) for key in self._through}
        self._checks = {c.name: c for c in spec.checks if isinstance(c, TlsCheck)}
        self._providers = dict(spec.providers)
        self._parts.own_names.providers = spec.providers
        self._filing.configure(spec, time.time())
        self._store.configure(spec)
        self._lists = {name: self._lists.get(name, ()) for name in spec.targets}
        for key in list(self._through):
            check = self._checks.get(key.check)
            if check is None or key.provider not in check.providers:
                self._leave(key)
        for check in self._checks.values():
            self._cover(check)
            for key in [key for key in self._through if key.check == check.name]:
                self._put_resolve(key)
                self._follow(key, self._edges[key].values(), renew=True)
        # The job keeps its phase, and its next turn may be minutes away.
        self._look(
            [key for key in before if key in self._through and before[key] != self._ways(key)]
        )
        changed = [
            key for key in asked if key in self._through and asked[key] != self._question(key)
        ]
        edges = [edge for key in changed for edge in sorted(self._keys[key])]
        self._runner.request_all(edges, within=FIRST, rate=FIRST_RATE)

    def set_targets(self, name: str, targets: tuple[Target, ...]) -> None:
        """Follow a target list."""
        self._lists[name] = targets
        for check in self._checks.values():
            if check.targets == name:
                self._cover(check)

    def keys(self) -> Iterator[JobKey]:
        """Everything that is probed now."""
        for key, edges in self._keys.items():
            yield key
            yield from edges

    def defect(self, key: EdgeKey | ProviderKey, failure: Failure) -> None:
        """A run that our own code did not finish: its key has a result all the same."""
        at, known = (
            time.time(),
            self._edges.get(key if isinstance(key, ProviderKey) else key.through),
        )
        if known is None:
            return
        if isinstance(key, ProviderKey):
            self._runner.request(key, after=AFTER_DEFECT)
            found = Resolution(tuple(known.values()), failure)
            self._filing.resolution(ResolveResult(key, at, found))
        elif key.edge in known:
            outcome = Inconclusive(failure)
            self._filing.edge(TlsResult(key, known[key.edge], at, outcome, Timings()))

    def _cover(self, check: TlsCheck) -> None:
        targets = self._lists.get(check.targets, ())
        self._store.set_targets(check.name, targets)
        wanted = {
            ProviderKey(check.name, target.label, provider): target
            for target in targets
            for provider in check.providers
        }
        for key in [key for key in self._through if key.check == check.name]:
            if key not in wanted:
                self._leave(key)
        fresh = [key for key in wanted if key not in self._through]
        for key in fresh:
            self._through[key] = wanted[key]
            self._edges[key] = {}
            self._keys[key] = set()
            self._put_resolve(key)
        self._look(fresh)
        for key, target in wanted.items():
            if self._through[key] != target:  # another port or other labels
                self._through[key] = target
                self._runner.request(key)

    def _look(self, keys: list[ProviderKey]) -> None:
        """Ask for the edges of all of these soon."""
        self._runner.request_all(keys, within=FIRST_LOOK, rate=FIRST_RATE)

    def _ways(self, key: ProviderKey) -> tuple[Provider, int]:
        """What an answer depends on beside the target."""
        return self._providers[key.provider], self._checks[key.check].port

    def _question(self, key: ProviderKey) -> tuple[object, ...]:
        """What the verdict on an edge depends on beside the edge and the target."""
        check = self._checks[key.check]
        judged = (check.sni, check.starttls, check.profiles, check.expect, check.trust)
        return *judged, check.timeout, self._providers[key.provider].own_names

    def _leave(self, key: ProviderKey) -> None:
        self._runner.drop(key)
        self._drop_edges(key.check, self._keys.pop(key))
        del self._edges[key]
        del self._through[key]
        self._filing.forget_provider(key)

    # ------------------------------------------------------------ edges

    def _put_resolve(self, key: ProviderKey) -> None:
        provider = self._providers[key.provider]
        interval = _FIXED_INTERVAL if provider.addresses else provider.dns.ttl_cap
        timeout = _patience(provider)
        self._store.expect(key, max(interval, timeout))
        self._runner.put(
            Job(key, resolving(key.check), interval, timeout, partial(self._resolve, key))
        )

    async def _resolve(self, key: ProviderKey) -> None:
        target, (provider, port) = self._through[key], self._ways(key)
        at = time.time()
        found = await self._parts.finder.find(provider, target, port)
        if key not in self._through:
            return  # the target went while DNS was asked
        if self._ways(key) != (provider, port):
            self._runner.request(key)  # a reload came between; this answers the old question
            return
        if found.failure is not None and found.failure.reason is Reason.DEFECT:
            found = replace(found, edges=tuple(self._edges[key].values()))  # nothing was heard
        self._filing.resolution(ResolveResult(key, at, found))
        self._follow(key, found.edges)
        if found.ttl is not None:
            self._store.expect(key, max(found.ttl, _patience(provider)))
            self._runner.request(key, after=found.ttl)

    def _follow(self, key: ProviderKey, edges: Iterable[Edge], *, renew: bool = False) -> None:
        """Make the edges' jobs what they should be; ``renew`` when the check itself changed."""
        check = self._checks[key.check]
        before = self._keys[key]
        self._edges[key] = {edge.label: edge for edge in edges}
        wanted = self._keys[key] = {
            EdgeKey(key.check, key.target, key.provider, label, profile.name)
            for label in self._edges[key]
            for profile in check.profiles
        }
        self._drop_edges(check.name, before - wanted)
        fresh = wanted if renew else wanted - before
        self._filing.watch(check.name, fresh)
        for edge_key in sorted(fresh):
            call = partial(self._attempt, edge_key)
            timeout = check.timeout + GRACE
            kin = (edge_key.provider, edge_key.edge)  # an address that hangs does so for all
            self._store.expect(edge_key, max(check.interval, timeout))
            self._runner.put(Job(edge_key, check.name, check.interval, timeout, call, kin))

    def _drop_edges(self, check: str, keys: set[EdgeKey]) -> None:
        for key in keys:
            self._runner.drop(key)
        self._filing.forget(check, keys, time.time())

    async def _attempt(self, key: EdgeKey) -> None:
        check = self._checks[key.check]
        edge = self._edges[key.through][key.edge]
        target = self._through[key.through]
        profile = next(profile for profile in check.profiles if profile.name == key.client)
        asked = self._question(key.through)
        result = await self._parts.tls.probe(key, edge, target, check, profile)
        if key.through in self._through and self._question(key.through) != asked:
            self._runner.request(key)  # a reload came between; this answers the old question
            return
        self._filing.edge(result)


def _patience(provider: Provider) -> float:
    """Seconds that asking for a provider's edges may take."""
    return 2 * provider.dns.timeout + GRACE + FIRST_LOOK
