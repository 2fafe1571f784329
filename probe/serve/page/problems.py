"""What does not pass now: kinds of failure over a provider, and edges one by one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest
from itertools import chain
from typing import Any

from probe.model.failure import Reason, failure_fields
from probe.model.result import Failed, Inconclusive
from probe.model.state import CONFIRMED, EdgeStatus
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve.census import ProviderCensus, Through, TroubleGroup
from probe.serve.memory.store import Store
from probe.serve.page.cause_view import cause_of, why_of
from probe.serve.page.standing import state_of
from probe.serve.page.views import EdgeView, ProblemView
from probe.serve.records import EdgeRecord, TargetKey

PER_PROBLEM = 60
"""Most edges, and most targets, named in one problem."""

_MOST_COMPARED = 2000
"""Most failing edges at which it is looked up which other clients pass."""

_GRAVITY = {EdgeStatus.FAILING: 0, EdgeStatus.FLAPPING: 1, EdgeStatus.SUSPECT: 2}


def problem_views(store: Store) -> list[ProblemView]:
    """Edges and names that do not pass, by provider and reason, gravest first.

    Flows stand apart.
    """
    problems = [
        _problem(store, through, census, group, group.first)
        for through, census in store.census.providers.items()
        for group in census.groups()
        if not isinstance(group.first, FlowKey)
    ]
    return sorted(problems, key=_weight)


def _problem(
    store: Store,
    through: Through,
    census: ProviderCensus,
    group: TroubleGroup,
    first: EdgeKey | ProviderKey,
) -> ProblemView:
    detail, browser, command = evidence_of(store, first)
    known = why_of(store, through, census, group)
    return ProblemView(
        **through._asdict(),
        phase=group.why[0].value,
        reason=group.why[1].value,
        detail=detail,
        browser=browser,
        command=command,
        state=group.state.value,
        since=group.since,
        edges=tuple(nsmallest(PER_PROBLEM, group.edges)),
        edges_total=len(group.edges),
        of_edges=len(census.edges),
        targets=tuple(nsmallest(PER_PROBLEM, group.targets)),
        targets_total=len(group.targets),
        of_targets=len(census.targets),
        example=first.target,
        unseen=group.unseen,
        unseen_since=group.unseen_since,
        unnamed=tuple(nsmallest(PER_PROBLEM, group.unnamed)),
        fails_for=tuple(sorted(group.clients)),
        passes_for=tuple(sorted(passing_clients(store, census, group))),
        causes=known.causes,
        investigating=known.investigating,
        planned=len(group.targets & census.planned),
    )


def passing_clients(store: Store, census: ProviderCensus, group: TroubleGroup) -> set[str]:
    """Find the clients that were last seen to pass wherever another one fails.

    None is named where so much fails that each look would cost: nobody is said to pass unseen.
    """
    passing: set[str] | None = None
    if group.probed > _MOST_COMPARED:
        return set()
    for key, trouble in census.troubles.items():
        if (trouble.why, trouble.status in CONFIRMED) != (group.why, group.confirmed):
            continue
        if not isinstance(key, EdgeKey):
            return set()
        if passing is None:
            known = store.targets[TargetKey(key.check, key.target)].edges
            passing = {one.client for one in known} - group.clients
        passing = {
            one
            for one in passing
            if (other := key._replace(client=one)) in census.members
            and state_of(store, other) == EdgeStatus.PASSING
        }
        if not passing:
            break
    return passing or set()


def evidence_of(store: Store, key: EdgeKey | ProviderKey) -> tuple[str, str, str]:
    """Detail, what a browser shows, and the command, of the latest failure."""
    if isinstance(key, ProviderKey):
        resolved = store.unresolved.get(key)
        failure = (resolved.failed or resolved.resolution.failure) if resolved else None
        return (failure.detail if failure else "", "", "")
    record = store.of(key)
    if not isinstance(record, EdgeRecord):
        return ("", "", "")
    view = edge_view(store, record)
    return (view.detail, view.browser, view.command)


def _weight(problem: ProblemView) -> tuple[bool, int, float]:
    """Confirmed before suspect, then by breadth, then by age."""
    return (not problem.confirmed, -problem.targets_total, problem.since)


EdgeRank = tuple[int, EdgeKey]
"""Where an edge stands in the list of those that do not pass: confirmed ones first."""

_STEP = 1000


def edge_views(
    store: Store, most: int, after: EdgeRank | None = None
) -> Iterator[tuple[EdgeRank, EdgeView] | None]:
    """Edges that do not pass, in a stable order, in short steps; some of them yield nothing.

    Args:
        store: where the results are.
        most: how many.
        after: only those that stand behind this place.
    """
    best: list[EdgeRank] = []
    for census in list(store.census.providers.values()):
        troubles = list(census.troubles.items())  # others may change it between two steps
        for start in range(0, len(troubles), _STEP):
            ranks = (
                (_GRAVITY[trouble.status], key)
                for key, trouble in troubles[start : start + _STEP]
                if isinstance(key, EdgeKey)
            )
            behind = (rank for rank in ranks if after is None or rank > after)
            best = nsmallest(most, chain(best, behind))
            yield None
    for rank in best:
        record = store.of(rank[1])
        if isinstance(record, EdgeRecord):  # else it went since the first step
            yield rank, edge_view(store, record)


def edge_view(store: Store, record: EdgeRecord) -> EdgeView:
    """An edge with the evidence of its latest failed attempt."""
    return EdgeView(**edge_fields(store, record), state=record.status.value)


def edge_fields(store: Store, record: EdgeRecord) -> dict[str, Any]:
    """What both pages say of an edge, but for its state."""
    shown = record.evidence or record.last
    outcome = shown.outcome
    failure = outcome.failure if isinstance(outcome, Failed | Inconclusive) else None
    cause, because = cause_of(store, record.key)
    said = failure_fields(failure)
    if failure is not None and failure.reason is Reason.MISSING_INTERMEDIATE:
        said["detail"] += _sent_elsewhere(store, record)
    return {
        **record.key._asdict(),
        **said,
        "cause": cause,
        "because": because,
        "since": record.since,
        "browser": shown.browser,
        "command": shown.command,
        "at": shown.at,
        "unseen": record.unseen,
        "unnamed": record.unnamed,
    }


def _sent_elsewhere(store: Store, record: EdgeRecord) -> str:
    """Whether other edges of the same target pass with a certificate of the same issuer."""
    seen = (record.evidence or record.last).handshake
    target = store.targets.get(TargetKey(record.key.check, record.key.target))
    if seen is None or seen.leaf is None or target is None:
        return ""
    issuer = seen.leaf.issuer
    whole = {
        other.key.edge
        for other in target.edges.values()
        if other.status is EdgeStatus.PASSING and other.unseen is None
        if (shown := other.last.handshake) is not None and len(shown.chain) > 1
        if shown.leaf is not None and shown.leaf.issuer == issuer
    }
    return f"; other edges of {record.key.target} send it: {min(whole)}" if whole else ""
