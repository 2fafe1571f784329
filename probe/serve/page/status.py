"""From the store to the view of it that the page and the API show. Pure, and bounded in size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import nsmallest
from itertools import islice

from probe.model.result import Failed, Inconclusive
from probe.model.state import EdgeStatus
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve.census import NOT_KNOWN, Through, TroubleGroup
from probe.serve.memory.store import Store
from probe.serve.page.flow_view import flow_problems, flow_views
from probe.serve.page.sentence import in_words, level_of, sentence_of
from probe.serve.page.standing import Overview, standing_of, states_of
from probe.serve.page.status_parts import (
    agent_view,
    blind_views,
    change_view,
    check_views,
    name_views,
    provider_views,
    split_views,
    unseen_views,
)
from probe.serve.page.views import EdgeView, ProblemView, StatusView, Totals
from probe.serve.records import EdgeRecord, TargetKey

PROBLEMS, FLOWS, NAMES, CHANGES = 50, 40, 50, 100
"""Most entries of each list."""

PER_PROBLEM = 60
"""Most edges, and most targets, named in one problem."""

EDGES = 500
"""Edges listed one by one, unless asked otherwise."""

_GRAVITY = {EdgeStatus.FAILING: 0, EdgeStatus.FLAPPING: 1, EdgeStatus.SUSPECT: 2}


def status_of(store: Store, now: float, *, edges: int = EDGES) -> StatusView:
    """How it stands.

    Args:
        store: where the results are.
        now: wall time.
        edges: most failing edges to list one by one.
    """
    groups = {through: census.groups() for through, census in store.census.providers.items()}
    states = states_of(store)
    standing = standing_of(store, states)
    totals = _totals(store, standing)
    problems = sorted(_problems(store, groups), key=_weight)
    flows = flow_problems(store.flows.values())
    return StatusView(
        region=store.region,
        now=now,
        level=level_of(standing),
        sentence=sentence_of(standing, now, in_words(problems, flows, now)),
        totals=totals,
        standing=standing,
        problems=tuple(problems[:PROBLEMS]),
        problems_total=len(problems),
        edges=tuple(_edges(store, edges)),
        edges_total=totals.edges_failing + totals.edges_suspect,
        flow_problems=tuple(flows[:PROBLEMS]),
        flows=tuple(flow_views(store.flows.values(), FLOWS)),
        flows_total=len(store.flows),
        names=tuple(name_views(store, NAMES)),
        names_total=len(store.unresolved),
        splits=tuple(split_views(store, NAMES)),
        splits_total=len(store.differing),
        blind=tuple(blind_views(store)),
        unseen=tuple(unseen_views(store)),
        providers=tuple(provider_views(store, groups, states)),
        checks=tuple(check_views(store)),
        changes=tuple(map(change_view, islice(store.journal, CHANGES))),
        sources=tuple(store.agent.sources()),
        agent=agent_view(store),
    )


Groups = Mapping[Through, list[TroubleGroup]]
"""What does not pass, per provider, alike things together."""


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


# ---------------------------------------------------------------- problems and edges


def _problems(store: Store, groups: Groups) -> Iterator[ProblemView]:
    """Edges and names that do not pass, grouped by provider and reason; flows stand apart."""
    for through, alike in groups.items():
        for group in alike:
            if not isinstance(group.first, FlowKey):
                yield _problem(store, through, group, group.first)


def _problem(
    store: Store, through: Through, group: TroubleGroup, first: EdgeKey | ProviderKey
) -> ProblemView:
    census = store.census.providers[through]
    detail, browser, command = _evidence(store, first)
    return ProblemView(
        check=through.check,
        provider=through.provider,
        phase=group.why[0].value,
        reason=group.why[1].value,
        state=group.state.value,
        since=group.since,
        edges=tuple(nsmallest(PER_PROBLEM, group.edges)),
        edges_total=len(group.edges),
        of_edges=len(census.edges),
        targets=tuple(nsmallest(PER_PROBLEM, group.targets)),
        targets_total=len(group.targets),
        of_targets=len(census.targets),
        example=first.target,
        detail=detail,
        browser=browser,
        command=command,
        unseen=group.unseen,
        unseen_since=group.unseen_since,
        unnamed=tuple(nsmallest(PER_PROBLEM, group.unnamed)),
    )


def _evidence(store: Store, key: EdgeKey | ProviderKey) -> tuple[str, str, str]:
    """Detail, what a browser shows, and the command, of the latest failure."""
    if isinstance(key, ProviderKey):
        resolved = store.unresolved.get(key)
        failure = (resolved.failed or resolved.resolution.failure) if resolved else None
        return (failure.detail if failure else "", "", "")
    record = store.targets[TargetKey(key.check, key.target)].edges[key]
    view = edge_view(record)
    return (view.detail, view.browser, view.command)


def _weight(problem: ProblemView) -> tuple[bool, int, float]:
    """Confirmed before suspect, then by breadth, then by age."""
    return (not problem.confirmed, -problem.targets_total, problem.since)


def _edges(store: Store, most: int) -> Iterator[EdgeView]:
    """Edges that do not pass: confirmed ones first, in a stable order."""
    keyed = (
        (_GRAVITY[trouble.status], key)
        for census in store.census.providers.values()
        for key, trouble in census.troubles.items()
        if isinstance(key, EdgeKey)
    )
    for _, key in nsmallest(most, keyed):
        yield edge_view(store.targets[TargetKey(key.check, key.target)].edges[key])


def edge_view(record: EdgeRecord) -> EdgeView:
    """An edge with the evidence of its latest failed attempt."""
    key, shown = record.key, record.evidence or record.last
    outcome = shown.outcome
    failure = outcome.failure if isinstance(outcome, Failed | Inconclusive) else None
    return EdgeView(
        check=key.check,
        target=key.target,
        provider=key.provider,
        edge=key.edge,
        client=key.client,
        state=record.status.value,
        since=record.since,
        phase=failure.phase.value if failure else "",
        reason=failure.reason.value if failure else "",
        detail=failure.detail if failure else "",
        browser=shown.browser,
        command=shown.command,
        at=shown.at,
        unseen=record.unseen,
        unnamed=record.unnamed,
    )
