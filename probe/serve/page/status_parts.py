"""The lesser parts of the status: names, certificates, providers, checks, changes, the agent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from heapq import nsmallest

from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck
from probe.model.state import EdgeStatus, Transition
from probe.model.target import EdgeKey, FlowKey
from probe.serve.census import Through, TroubleGroup, failing
from probe.serve.memory.agent import causes
from probe.serve.memory.store import Store
from probe.serve.page.standing import States
from probe.serve.page.views import (
    AgentView,
    BlindView,
    ChangeView,
    CheckView,
    NameView,
    ProviderView,
    SplitView,
    UnseenView,
)

NAMED = 10
"""Edges named in one comparison of certificates."""


def name_views(store: Store, most: int) -> Iterator[NameView]:
    """Name resolutions that fail now; first those whose edges are still known and probed."""
    ranked = ((not record.resolution.edges, key) for key, record in store.unresolved.items())
    for _, key in nsmallest(most, ranked):
        record = store.unresolved[key]
        failure = record.resolution.failure
        if failure is not None:
            yield NameView(
                check=key.check,
                target=key.target,
                provider=key.provider,
                reason=failure.reason.value,
                detail=failure.detail,
                since=record.failing_since or record.at,
                edges=len(record.resolution.edges),
            )


def split_views(store: Store, most: int) -> Iterator[SplitView]:
    """Certificates that differ across edges, those beyond their grace first."""
    ranked = ((not split.alarming, key) for key, split in store.differing.items())
    for _, key in nsmallest(most, ranked):
        split = store.differing[key]
        edges = sorted({edge.edge for edge in split.minority})
        yield SplitView(
            check=key.check,
            target=key.target,
            provider=key.provider,
            key_type=key.key_type,
            distinct=split.distinct,
            minority=tuple(edges[:NAMED]),
            minority_total=len(edges),
            since=split.since,
            alarming=split.alarming,
        )


def blind_views(store: Store) -> Iterator[BlindView]:
    """What cannot be judged, by check and reason."""
    counts: Counter[tuple[str, Phase, Reason]] = Counter()
    examples: dict[tuple[str, Phase, Reason], Failure] = {}
    for key, failure in store.blind.items():
        why = (key.check, failure.phase, failure.reason)
        counts[why] += 1
        if why not in examples:
            examples[why] = failure
    for why, count in counts.most_common():
        check, phase, reason = why
        yield BlindView(check, phase.value, reason.value, count, examples[why].detail)


def unseen_views(store: Store) -> Iterator[UnseenView]:
    """What nobody has judged for too long, by provider."""
    for through, census in sorted(store.census.providers.items(), key=lambda item: item[0]):
        if not census.unseen:
            continue
        targets = {key.target for key in census.unseen}
        first = min(census.unseen, key=census.unseen.__getitem__)
        yield UnseenView(
            check=through.check,
            provider=through.provider,
            count=len(census.unseen),
            of=len(census.members),
            targets=tuple(nsmallest(NAMED, targets)),
            targets_total=len(targets),
            since=census.unseen[first],
            example=" ".join(part for part in first[1:] if part),
        )


def provider_views(
    store: Store,
    groups: Mapping[Through, list[TroubleGroup]],
    states: Mapping[Through, States],
) -> Iterator[ProviderView]:
    """Every provider of every check, with what of it fails."""
    for through, census in sorted(store.census.providers.items(), key=lambda item: item[0]):
        now = failing(groups[through])
        yield ProviderView(
            check=through.check,
            provider=through.provider,
            state=_state(states[through]),
            edges=len(census.edges),
            edges_failing=now.edges,
            targets=len(census.targets),
            targets_failing=now.targets,
            inconclusive=sum(n for (_, (_, blind)), n in census.states.items() if blind),
            unseen=len(census.unseen),
            attempts=census.tally.attempts,
            failed_attempts=census.tally.failed,
            since=now.since,
        )


def _state(states: States) -> str:
    """The gravest state of what a provider serves: "passing" only when all of it passes."""
    known = {name for (_, name), number in states.items() if number > 0}
    if EdgeStatus.FLAPPING in known:
        return EdgeStatus.FAILING.value
    grave = (EdgeStatus.FAILING, EdgeStatus.SUSPECT, EdgeStatus.UNSEEN, "inconclusive", "awaited")
    return next((str(name) for name in grave if name in known), EdgeStatus.PASSING.value)


def check_views(store: Store) -> Iterator[CheckView]:
    """Every check of the configuration."""
    for check in store.checks.values():
        kind = "api" if isinstance(check, ApiCheck) else "tls"
        yield CheckView(
            check.name, kind, check.interval, tuple(check.providers), dict(check.labels)
        )


def change_view(change: Transition) -> ChangeView:
    """One change of state."""
    key, failure = change.key, change.failure
    return ChangeView(
        check=key.check,
        target=key.target,
        provider=key.provider,
        edge=key.edge if isinstance(key, EdgeKey) else "",
        client=key.client if isinstance(key, EdgeKey) else "",
        persona=key.persona if isinstance(key, FlowKey) else "",
        before=change.before,
        after=change.after,
        since=change.since,
        at=change.at,
        phase=failure.phase.value if failure else "",
        reason=failure.reason.value if failure else "",
        detail=failure.detail if failure else "",
        command=change.command,
        note=change.note,
    )


def agent_view(store: Store) -> AgentView:
    """The agent on itself."""
    agent, health = store.agent, store.agent.health()
    return AgentView(
        version=agent.version,
        started_at=store.started_at,
        ready=agent.ready,
        config_digest=agent.digest,
        reload_success=agent.reload.success if agent.reload else None,
        reload_at=agent.reload.at if agent.reload else None,
        reload_problem=agent.reload.problem if agent.reload else "",
        vantage_healthy=None if health is None else health.healthy,
        vantage_causes=causes(health),
    )
