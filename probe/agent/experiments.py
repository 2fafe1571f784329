"""Experiments on a failing edge: what can be changed there, and one handshake that changes it.

Every experiment asks a pair of domain and edge that the check probes anyway, so that nothing is
asked, and no client certificate shown, that a regular attempt would not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import trio

from probe.model.cause import Change, Experiment, Observed
from probe.model.failure import Failure, Phase
from probe.model.result import Failed, Inconclusive, Outcome, Passed, TlsResult
from probe.model.spec import TlsCheck
from probe.model.target import Edge, EdgeKey, ProviderKey, Target
from probe.model.tls import ClientProfile
from probe.state.causes import Planner, Setting, Settled, Trial
from probe.state.causes.setting import Outcomes, alike, looks, narrowed

PATIENCE = 3.0
"""Most seconds of one experiment; a check with a shorter time-out keeps that."""

MOST_DOMAINS = 12
"""Other domains of an edge that may be asked."""

Probe = Callable[[EdgeKey, Edge, Target, TlsCheck, ClientProfile], Awaitable[TlsResult]]
Around = Mapping[ProviderKey, tuple[Target, tuple[Edge, ...]]]
"""Targets and edges of everything that a check probes, by target and provider."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A failing edge with everything that experiments on it may ask.

    Attributes:
        domains: other targets of the edge, by label.
        edges: other edges of the provider for the target, by label.
        providers: an edge of each other provider for the target, by the provider's name.
    """

    key: EdgeKey
    failure: Failure
    edge: Edge
    target: Target
    check: TlsCheck
    profile: ClientProfile
    domains: Mapping[str, Target]
    edges: Mapping[str, Edge]
    providers: Mapping[str, Edge]

    def setting(self) -> Setting:
        """Describe it to the planner."""
        others = (one for one in self.check.profiles if one.name != self.key.client)
        return Setting(
            self.failure,
            self.key.edge,
            self.edge.version,
            looks(self.profile),
            domains=tuple(self.domains),
            edges=tuple((label, edge.version) for label, edge in self.edges.items()),
            providers=tuple((name, edge.label) for name, edge in self.providers.items()),
            clients=tuple((one.name, looks(one)) for one in others),
        )

    def key_of(self, trial: Trial) -> EdgeKey | None:
        """Return what regular attempts alike are filed under; None where there are none."""
        match trial.change:
            case Change.NOTHING:
                return self.key
            case Change.DOMAIN:
                return self.key._replace(target=trial.member)
            case Change.EDGE | Change.FAMILY:
                return self.key._replace(edge=trial.edge)
            case Change.PROVIDER:
                return self.key._replace(provider=trial.member, edge=trial.edge)
            case Change.CLIENT:
                return self.key._replace(client=trial.member)
            case _:
                return None


def scene_of(
    key: EdgeKey,
    failure: Failure,
    check: TlsCheck,
    around: Around,
    rank: Callable[[EdgeKey], tuple[bool, ...]] = lambda _: (),
) -> Scene | None:
    """Collect what experiments on an edge may ask. None when it is not probed any more.

    Args:
        key: the failing edge.
        failure: how it fails.
        check: its check.
        around: what the check probes.
        rank: orders other domains and edges of other providers, the most telling first.
    """
    found = around.get(key.through)
    profile = next((one for one in check.profiles if one.name == key.client), None)
    if found is None or profile is None:
        return None
    target, edges = found
    labels = {edge.label: edge for edge in edges}
    if key.edge not in labels:
        return None
    domains: dict[str, Target] = {}
    providers: dict[str, Edge] = {}
    for through, (other, theirs) in around.items():
        if through.check != key.check:
            continue
        if through.provider == key.provider and through.target != key.target:
            if any(edge.label == key.edge for edge in theirs):
                domains[through.target] = other
        elif through.target == key.target and through.provider != key.provider and theirs:
            ranks = [(rank(EdgeKey(*through, edge.label, key.client)), edge) for edge in theirs]
            providers[through.provider] = min(ranks, key=lambda pair: pair[0])[1]
    if check.sni is not None:
        domains = {}  # every target of the check asks for the same name
    ranked = sorted(domains, key=lambda label: (rank(key._replace(target=label)), label))
    return Scene(
        key,
        failure,
        labels.pop(key.edge),
        target,
        check,
        profile,
        {label: domains[label] for label in ranked[:MOST_DOMAINS]},
        labels,
        providers,
    )


async def experiment(probe: Probe, scene: Scene, trial: Trial) -> Experiment:
    """Make one experiment. Never raises for anything that a server does."""
    key, edge, target, profile = scene.key, scene.edge, scene.target, scene.profile
    match trial.change:
        case Change.DOMAIN:
            target = scene.domains[trial.member]
        case Change.EDGE | Change.FAMILY:
            edge = scene.edges[trial.edge]
        case Change.PROVIDER:
            edge = scene.providers[trial.member]
        case Change.CLIENT:
            profile = next(one for one in scene.check.profiles if one.name == trial.member)
        case Change.NO_SNI:
            target = Target(edge.ip)  # the name of an address is never sent (RFC 6066)
        case change:
            profile = narrowed(profile, change)
    asked = scene.key_of(trial) or key
    check = replace(scene.check, timeout=min(scene.check.timeout, PATIENCE))
    if trial.change is Change.NO_SNI:
        check = replace(check, sni=None)
    began = trio.current_time()
    result = await probe(asked, edge, target, check, profile)
    return Experiment(
        trial.change,
        asked.target,
        asked.provider,
        edge.label,
        trial.member if trial.change is Change.CLIENT else key.client,
        observed(result.outcome, scene.failure),
        "" if isinstance(result.outcome, Passed) else _short(result.outcome.failure),
        seconds=trio.current_time() - began,
    )


_ORDER = list(Phase)


def observed(outcome: Outcome, failure: Failure) -> Observed:
    """Tell what an outcome says about a failure.

    An attempt that came further than the failing one did not meet its fault.
    """
    match outcome:
        case Passed():
            return Observed.PASSED
        case Inconclusive():
            return Observed.UNCLEAR
        case Failed(found, others):
            if any(alike(one, failure) for one in (found, *others)):
                return Observed.SAME
            further = _ORDER.index(found.phase) > _ORDER.index(failure.phase)
            return Observed.PASSED if further else Observed.OTHER


def _short(failure: Failure) -> str:
    return f"{failure.phase}/{failure.reason}"


async def investigate(
    planner: Planner,
    made: list[Experiment],
    make: Callable[[Trial], Awaitable[Experiment]],
    regular: Callable[[], Mapping[Trial, Outcomes]],
    *,
    patience: float,
    pause: float,
) -> Settled:
    """Ask until the planner has settled on a cause, or there is nothing left to ask.

    Args:
        planner: chooses the experiments.
        made: gets them all, in the order in which they ended.
        make: makes one.
        regular: what regular attempts have shown by now.
        patience: seconds that a fault which comes and goes may take; regular attempts go on
            meanwhile and count.
        pause: seconds between two rounds of experiments on such a fault.
    """
    deadline = trio.current_time() + patience
    while True:
        planner.regular(regular())
        await trio.lowlevel.checkpoint()
        settled = planner.settled()
        random = planner.random
        if random and trio.current_time() >= deadline:
            return settled or planner.last_word()
        if settled is not None and (settled.left == () or not random):
            return settled
        await trio.lowlevel.checkpoint()
        wanted = planner.ask()
        async with trio.open_nursery() as nursery:
            for trial in wanted:
                nursery.start_soon(_one, planner, make, trial, made)
        if random:
            await trio.sleep(pause)


async def _one(
    planner: Planner,
    make: Callable[[Trial], Awaitable[Experiment]],
    trial: Trial,
    made: list[Experiment],
) -> None:
    done = await make(trial)
    made.append(done)
    planner.observe(trial, done.seen)


def as_regular(scene: Scene, tallies: Mapping[Trial, Outcomes]) -> Iterable[Experiment]:
    """Write regular attempts as experiments that cost nothing."""
    for trial, tally in tallies.items():
        key = scene.key_of(trial)
        if key is None:
            continue
        counts = ((Observed.SAME, tally.failed), (Observed.PASSED, tally.passed))
        for seen, times in (*counts, (Observed.OTHER, tally.other)):
            if times:
                detail = _short(scene.failure) if seen is Observed.SAME else ""
                yield Experiment(
                    trial.change,
                    key.target,
                    key.provider,
                    key.edge,
                    key.client,
                    seen,
                    detail,
                    regular=True,
                    times=times,
                )
