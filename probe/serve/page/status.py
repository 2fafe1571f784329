"""From the store to the view of it that the page and the API show. Pure, and bounded in size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from heapq import nsmallest
from itertools import islice

from probe.model.failure import Failure, Phase, Reason
from probe.model.state import EdgeStatus, Transition
from probe.serve.census import NOT_KNOWN, Through, failing
from probe.serve.memory.agent import causes
from probe.serve.memory.store import Store
from probe.serve.page.cards import card_views
from probe.serve.page.flow_view import flow_problems, flow_views
from probe.serve.page.problems import edge_views, problem_views
from probe.serve.page.sentence import in_words, level_of, sentence_of
from probe.serve.page.standing import Overview, States, standing_of, states_of
from probe.serve.page.views import (
    AgentView,
    BlindView,
    ChangeView,
    CheckView,
    NameView,
    ProviderView,
    SplitView,
    StatusView,
    Totals,
    UnseenView,
    WindowView,
)
from probe.state.vantage import Health

PROBLEMS, FLOWS, NAMES, CHANGES = 50, 40, 50, 100
"""Most entries of each list."""

NAMED = 10
"""Edges named in one comparison of certificates, and targets of what is unseen."""

EDGES = 500
"""Edges listed one by one, unless asked otherwise."""


def status_of(store: Store, now: float, *, edges: int = EDGES) -> StatusView:
    """How it stands.

    Args:
        store: where the results are.
        now: wall time.
        edges: most failing edges to list one by one.
    """
    states = states_of(store)
    standing = standing_of(store, states)
    totals = _totals(store, standing)
    problems = problem_views(store)
    cards = card_views(store)
    flows = flow_problems(store.flows.values())
    return StatusView(
        region=store.region,
        now=now,
        level=level_of(standing),
        sentence=sentence_of(standing, now, in_words(cards, flows, now)),
        totals=totals,
        standing=standing,
        cards=tuple(cards[:PROBLEMS]),
        cards_total=len(cards),
        problems=tuple(problems[:PROBLEMS]),
        problems_total=len(problems),
        edges=tuple(found[1] for found in edge_views(store, edges) if found),
        edges_total=totals.edges_failing + totals.edges_suspect,
        flow_problems=tuple(flows[:PROBLEMS]),
        flows=tuple(flow_views(store.flows.values(), FLOWS, store.flow_causes)),
        flows_total=len(store.flows),
        names=tuple(_name_views(store, NAMES)),
        names_total=len(store.unresolved),
        splits=tuple(_split_views(store, NAMES)),
        splits_total=len(store.differing),
        blind=tuple(_blind_views(store)),
        unseen=tuple(_unseen_views(store)),
        providers=tuple(provider_views(store, states)),
        checks=tuple(
            CheckView(one.name, one.kind, one.interval, tuple(one.providers), dict(one.labels))
            for one in store.checks.values()
        ),
        changes=changes_of(store.journal),
        sources=tuple(store.agent.sources()),
        agent=_agent_view(store),
        maintenance=tuple(_window_views(store)),
    )


def changes_of(changes: Iterable[Transition], most: int = CHANGES) -> tuple[ChangeView, ...]:
    """The first of these changes of state."""
    return tuple(ChangeView(**change.fields()) for change in islice(changes, most))


def _totals(store: Store, standing: Overview) -> Totals:
    censuses = store.census.providers.values()
    return Totals(
        checks=len(store.checks),
        targets=len(store.targets),
        edges=sum(census.probed for census in censuses),
        edges_failing=standing.edges.confirmed,
        edges_suspect=standing.edges.suspect,
        flows=sum(1 for flow in store.flows.values() if flow.status not in NOT_KNOWN),
        flows_failing=standing.flows.confirmed,
        names_failing=len(store.unresolved),
        inconclusive=len(store.blind),
        attempts=sum(census.tally.attempts for census in censuses),
        failed_attempts=sum(census.tally.failed for census in censuses),
        unseen=len(store.silence.unseen),
    )


def _name_views(store: Store, most: int) -> Iterator[NameView]:
    """Name resolutions that fail now; first those whose edges are still known and probed."""
    ranked = ((not record.resolution.edges, key) for key, record in store.unresolved.items())
    for _, key in nsmallest(most, ranked):
        record = store.unresolved[key]
        failure = record.resolution.failure
        if failure is not None:
            yield NameView(
                **key._asdict(),
                reason=failure.reason.value,
                detail=failure.detail,
                since=record.failing_since or record.at,
                edges=len(record.resolution.edges),
            )


def _split_views(store: Store, most: int) -> Iterator[SplitView]:
    """Certificates that differ across edges, those beyond their grace first."""
    ranked = ((not split.alarming, key) for key, split in store.differing.items())
    for _, key in nsmallest(most, ranked):
        split = store.differing[key]
        edges = sorted({edge.edge for edge in split.minority})
        yield SplitView(
            **key._asdict(),
            distinct=split.distinct,
            minority=tuple(edges[:NAMED]),
            minority_total=len(edges),
            since=split.since,
            alarming=split.alarming,
        )


def _blind_views(store: Store) -> Iterator[BlindView]:
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


def _unseen_views(store: Store) -> Iterator[UnseenView]:
    """What nobody has judged for too long, by provider."""
    for through, census in sorted(store.census.providers.items(), key=lambda item: item[0]):
        if not census.unseen:
            continue
        targets = {key.target for key in census.unseen}
        first = min(census.unseen, key=census.unseen.__getitem__)
        yield UnseenView(
            **through._asdict(),
            count=len(census.unseen),
            of=len(census.members),
            targets=tuple(nsmallest(NAMED, targets)),
            targets_total=len(targets),
            since=census.unseen[first],
            example=" ".join(part for part in first[1:] if part),
        )


def provider_views(store: Store, states: Mapping[Through, States]) -> Iterator[ProviderView]:
    """Every provider of every check, with what of it fails."""
    for through, census in sorted(store.census.providers.items(), key=lambda item: item[0]):
        now = failing(census.groups())
        yield ProviderView(
            **through._asdict(),
            state=_gravest(states[through]),
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


def _gravest(states: States) -> str:
    """The gravest state of what a provider serves: "passing" only when all of it passes."""
    known = {name for (_, name), number in states.items() if number > 0}
    if EdgeStatus.FLAPPING in known:
        return EdgeStatus.FAILING.value
    grave = (EdgeStatus.FAILING, EdgeStatus.SUSPECT, EdgeStatus.UNSEEN, "inconclusive", "awaited")
    return next((str(name) for name in grave if name in known), EdgeStatus.PASSING.value)


def _window_views(store: Store) -> Iterator[WindowView]:
    """The maintenance windows that are open now; a configuration holds a few of them."""
    for window in store.planned.open[:NAMES]:
        yield WindowView(
            start=window.start,
            end=window.end,
            reason=window.reason,
            checks=window.checks,
            providers=window.providers,
            targets=window.targets,
            covered=store.planned.count(window),
        )


def _agent_view(store: Store) -> AgentView:
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
        vantage_evidence=() if health is None else tuple(_evidence(health)),
        regions=agent.regions,
    )


def _evidence(health: Health) -> Iterator[str]:
    """Yield why the vantage is ill or in doubt, and what it cannot judge."""
    for one in health.complaints:
        yield f"{one.sign.value}: {one.why}"
    for sign, why in sorted(health.unjudged.items()):
        yield f"{sign.value} cannot be judged: {why}"
