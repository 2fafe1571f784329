"""What is probed now: from targets to providers to edges, and a job for each.

Targets come from discovery, edges from DNS; both change while the agent runs. Each change is a
difference: jobs that stay are not touched, so they keep their phase and their history. A long list
is followed in short steps, between which everything else runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import trio

from probe.agent.filing import Filing
from probe.agent.jobs import (
    JobKey,
    checks_of,
    edge_jobs,
    parts,
    provider_jobs,
    resolving,
    targets_of,
)
from probe.agent.named import MOST_LOOKS, judged, look_up
from probe.agent.parts import Parts
from probe.model.failure import Failure, Reason
from probe.model.records import NameFindings
from probe.model.result import Inconclusive, ResolveResult, Timings, TlsResult
from probe.model.spec import Provider, Spec, TlsCheck
from probe.model.target import Edge, EdgeKey, ProviderKey, Resolution, Target
from probe.model.tls import ClientProfile
from probe.net.addresses import refusal
from probe.schedule import FIRST, Job, Runner
from probe.serve import Store
from probe.state.promises import name_findings

FIRST_LOOK = 5.0
"""Most seconds over which the first questions for new targets are spread …"""

FIRST_RATE = 100.0
"""… and most of them a second, as long as that takes no longer …"""

MOST_RATE = 1000.0
"""… and most of them a second, however long that takes: more would hold up everything else."""

GRACE = 5.0
"""Seconds that a run may take beyond its own time-out before it counts as our defect."""

AFTER_DEFECT = 10.0
"""Seconds until a question is asked again that our own code could not finish."""

_FIXED_INTERVAL = 300.0  # fixed addresses change with the configuration only


@dataclass(slots=True)
class _Covered:
    """A target through one provider, with the edges that DNS named last and their jobs.

    Attributes:
        named: what else DNS says about the name; None where that is not asked for, or not known.
        named_until: by trio's clock, until when edges are judged by it.
    """

    target: Target
    edges: tuple[Edge, ...] = ()
    jobs: dict[EdgeKey, tuple[Edge, ClientProfile]] = field(default_factory=dict)
    named: NameFindings | None = None
    named_until: float = 0.0


class Coverage:
    """Keeps the runner's jobs equal to what configuration, targets and DNS say.

    Args:
        parts: probers and the finder of edges.
        runner: runs the jobs.
        filing: takes the results.
        store: told which targets there are.
        wall: seconds since the epoch, for results that no prober made.
    """

    def __init__(
        self,
        parts: Parts,
        runner: Runner[JobKey],
        filing: Filing,
        store: Store,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._parts = parts
        self._runner = runner
        self._filing = filing
        self._store = store
        self._wall = wall
        self._checks: dict[str, TlsCheck] = {}
        self._providers: dict[str, Provider] = {}
        self._lists: dict[str, tuple[Target, ...]] = {}
        self._covered: dict[ProviderKey, _Covered] = {}

    # ------------------------------------------------------------ what there should be

    def retire(self, spec: Spec) -> Iterator[None]:
        """End what another configuration does not name, in short steps, while this one holds."""
        checks = checks_of(spec, TlsCheck)
        named = {
            (check.name, provider) for check in checks.values() for provider in check.providers
        }
        gone = [key for key in self._covered if (key.check, key.provider) not in named]
        for part in parts(gone):
            for key in part:
                self._leave(key)
            yield

    def configure(self, spec: Spec) -> Iterator[None]:
        """Follow a new configuration with the targets known so far, in short steps.

        What it does not name was retired before.
        """
        ways = {(key.check, key.provider) for key in self._covered}
        asked = {way: self._lookup(*way) for way in ways}
        attempted = {way: self._attempted(*way) for way in ways}
        self._checks = checks_of(spec, TlsCheck)
        self._providers = dict(spec.providers)
        self._parts.own_names.providers = spec.providers
        self._filing.configure(spec, self._wall())
        self._lists = {name: self._lists.get(name, ()) for name in spec.targets}
        kept = list(self._covered)
        for check in self._checks.values():
            yield from self._cover(check)
        for part in parts(kept):
            for key in part:
                if key in self._covered:
                    self._put_resolve(key)
                    self._follow(key, self._covered[key].edges, renew=True)
            yield
        # The jobs keep their phase, and the next turn of each may be minutes away.
        kept = [key for key in kept if key in self._covered]
        other = {way for way in ways if way[0] in self._checks}
        looks = {way for way in other if asked[way] != self._lookup(*way)}
        yield from self._look([key for key in kept if (key.check, key.provider) in looks])
        tries = {way for way in other if attempted[way] != self._attempted(*way)}
        changed = [key for key in kept if (key.check, key.provider) in tries]
        edges = [edge for key in changed for edge in sorted(self._covered[key].jobs)]
        yield from self._runner.request_all(edges, within=FIRST, rate=FIRST_RATE)

    def edges(self, most: int) -> dict[str, list[Edge]]:
        """Return edges of each provider that may be connected to: of so many targets at most."""
        found: dict[str, list[Edge]] = {}
        left = dict.fromkeys(self._providers, most)
        for key, covered in self._covered.items():
            if left.get(key.provider) and covered.edges:
                left[key.provider] -= 1
                rules = self._checks[key.check].addresses
                found.setdefault(key.provider, []).extend(
                    replace(edge, written=True)
                    for edge in covered.edges
                    if edge.written or refusal(edge.ip, rules) is None
                )
                if not any(left.values()):
                    break
        return found

    def set_targets(self, name: str, targets: tuple[Target, ...]) -> Iterator[None]:
        """Follow a target list, in short steps; whoever takes them takes them to the end."""
        self._lists[name] = targets
        for check in list(self._checks.values()):
            if check.targets == name:
                yield from self._cover(check)

    def check(self, name: str) -> TlsCheck | None:
        """Return a check by its name; None when there is none."""
        return self._checks.get(name)

    def around(self) -> dict[ProviderKey, tuple[Target, tuple[Edge, ...]]]:
        """Return every target through every provider, with its edges."""
        return {key: (covered.target, covered.edges) for key, covered in self._covered.items()}

    def keys(self) -> Iterator[JobKey]:
        """Yield the key of everything that is probed now."""
        for key, covered in self._covered.items():
            yield key
            yield from covered.jobs

    def defect(self, key: EdgeKey | ProviderKey, failure: Failure) -> None:
        """File a result for a run that our own code did not finish."""
        through = key if isinstance(key, ProviderKey) else key.through
        covered = self._covered.get(through)
        if covered is None:
            return
        at = self._wall()
        if isinstance(key, ProviderKey):
            self._runner.request(key, after=AFTER_DEFECT)
            self._filing.resolution(ResolveResult(key, at, Resolution(covered.edges, failure)))
        elif key in covered.jobs:
            edge, _ = covered.jobs[key]
            self._filing.edge(TlsResult(key, edge, at, Inconclusive(failure), Timings()))

    def _cover(self, check: TlsCheck) -> Iterator[None]:
        targets = targets_of(check, self._lists)
        wanted: dict[ProviderKey, Target] = {}
        for some in parts(targets):
            wanted |= provider_jobs(check, some)
            yield
        for keys in parts(list(self._covered)):
            for key in keys:
                if key.check == check.name and key not in wanted and key in self._covered:
                    self._leave(key)
            yield
        yield from self._store.retarget(check.name, targets)
        fresh = [key for key in wanted if key not in self._covered]
        for keys in parts(fresh):
            for key in keys:
                self._covered[key] = _Covered(wanted[key])
                self._put_resolve(key)
            yield
        yield from self._look(fresh)
        for keys in parts(list(wanted)):
            for key in keys:
                if self._covered[key].target != wanted[key]:  # another port or other labels
                    self._covered[key].target = wanted[key]
                    self._runner.request(key)
            yield

    def _look(self, keys: list[ProviderKey]) -> Iterator[None]:
        """Ask DNS for the edges of these targets within seconds."""
        within = max(FIRST_LOOK, len(keys) / MOST_RATE)
        return self._runner.request_all(keys, within=within, rate=FIRST_RATE)

    def _lookup(self, check: str, provider: str) -> tuple[Provider, int, tuple[object, ...]]:
        """Return what is asked of DNS besides the target."""
        one = self._checks[check]
        return self._providers[provider], one.port, (one.records, one.sni, one.addresses.nat64)

    def _attempted(self, name: str, provider: str) -> tuple[object, ...]:
        """Return what the verdict on an edge depends on besides the edge and the target."""
        check = self._checks[name]
        given = (check.sni, check.starttls, check.profiles, check.expect, check.trust)
        own = (self._providers[provider].own_names, check.caa_issuers)
        return *given, check.addresses, check.timeout, own

    def _leave(self, key: ProviderKey) -> None:
        self._runner.drop(key)
        self._drop_edges(key.check, self._covered.pop(key).jobs.keys())
        self._filing.forget_provider(key)

    # ------------------------------------------------------------ edges

    def _put_resolve(self, key: ProviderKey) -> None:
        provider, patience = self._providers[key.provider], self._patience(key)
        interval = _FIXED_INTERVAL if provider.addresses else provider.dns.ttl_cap
        self._store.expect(key, max(interval, patience))
        self._runner.put(
            Job(key, resolving(key.check), interval, patience, partial(self._resolve, key))
        )

    async def _resolve(self, key: ProviderKey) -> None:
        covered, asked = self._covered[key], self._lookup(key.check, key.provider)
        at, (provider, port, _) = self._wall(), asked
        rules = self._checks[key.check].addresses
        found = await self._parts.finder.find(provider, covered.target, port, rules)
        if key not in self._covered:
            return  # the target went while DNS was asked
        if self._lookup(key.check, key.provider) != asked:
            self._runner.request(key)  # a reload came between; this answers the old question
            return
        if found.failure is not None and found.failure.reason is Reason.DEFECT:
            found = replace(found, edges=self._covered[key].edges)  # nothing was heard
        self._filing.resolution(ResolveResult(key, at, found))
        self._follow(key, found.edges)
        if found.ttl is not None:
            self._store.expect(key, max(found.ttl, self._patience(key)))
            self._runner.request(key, after=found.ttl)
        await self._name(key, covered, found)

    async def _name(self, key: ProviderKey, covered: _Covered, found: Resolution) -> None:
        """Look up what else DNS says about the name. The edges are probed meanwhile."""
        check, provider = self._checks[key.check], self._providers[key.provider]
        if not check.records:
            if covered.named is not None:  # a reload asks for them no more
                covered.named = None
                self._store.record_named(key, None)
            return
        asked = self._lookup(key.check, key.provider)
        records = await look_up(self._parts, check, provider, covered.target)
        if self._covered.get(key) is covered and self._lookup(key.check, key.provider) == asked:
            covered.named = name_findings(records, found)
            pause = self._patience(key) + (found.ttl or _FIXED_INTERVAL)
            covered.named_until = trio.current_time() + MOST_LOOKS * pause
            self._store.record_named(key, covered.named)

    def _follow(self, key: ProviderKey, edges: Iterable[Edge], *, renew: bool = False) -> None:
        """Make the edges' jobs what they should be; ``renew`` when the check itself changed."""
        check, covered = self._checks[key.check], self._covered[key]
        before = covered.jobs.keys()
        covered.edges = tuple(edges)
        covered.jobs = edge_jobs(check, key, covered.edges)
        self._drop_edges(check.name, before - covered.jobs.keys())
        fresh = covered.jobs.keys() - (set() if renew else before)
        self._filing.watch(check.name, fresh)
        for edge_key in sorted(fresh):
            call = partial(self._attempt, edge_key)
            timeout = check.timeout + GRACE
            kin = (edge_key.provider, edge_key.edge)  # an address that hangs does so for all
            self._store.expect(edge_key, max(check.interval, timeout))
            self._runner.put(Job(edge_key, check.name, check.interval, timeout, call, kin))

    def _drop_edges(self, check: str, keys: Iterable[EdgeKey]) -> None:
        gone = list(keys)
        for key in gone:
            self._runner.drop(key)
        self._filing.forget(check, gone, self._wall())

    async def _attempt(self, key: EdgeKey) -> None:
        through = key.through
        check, covered = self._checks[key.check], self._covered[through]
        edge, profile = covered.jobs[key]
        asked = self._attempted(through.check, through.provider)
        result = await self._parts.tls.probe(key, edge, covered.target, check, profile)
        known = through in self._covered
        if known and self._attempted(through.check, through.provider) != asked:
            self._runner.request(key)  # a reload came between; this answers the old question
            return
        if check.records and covered.named is not None:
            fresh = trio.current_time() < covered.named_until
            records = covered.named.records if fresh else None
            result = judged(result, check, covered.target, profile, records)
        self._filing.edge(result)

    def _patience(self, key: ProviderKey) -> float:
        """Add up the seconds that a look-up of a target's edges and records may take."""
        looks = 3 if self._checks[key.check].records else 2
        return looks * self._providers[key.provider].dns.timeout + GRACE + FIRST_LOOK
