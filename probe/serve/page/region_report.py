"""What one agent answers when another one's page asks: its own region, and nothing it was told.

An answer from outside is hostile input: it is read into the same types, each text and list within
a bound, or refused.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from itertools import islice
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from probe.serve.memory.store import Store
from probe.serve.page.cards import card_views
from probe.serve.page.flow_view import flow_problems
from probe.serve.page.problems import problem_views
from probe.serve.page.sentence import in_words, level_of, sentence_of
from probe.serve.page.standing import Level, StateCounts, standing_of, states_of
from probe.serve.page.status import provider_views
from probe.state.diagnosis import INCONCLUSIVE

PROBLEMS, PROVIDERS, NAMED = 30, 200, 10
"""Most problems of edges, and as many of flows; most providers; most targets named in one."""

MOST_BYTES = 512 * 1024
"""Of an answer that is read."""

_MOST_TEXT, _MOST_ITEMS = 1000, 256
_MOST_COUNT, _LAST_DAY = 10**9, 10.0**10


@dataclass(frozen=True, slots=True)
class RegionProvider:
    """One provider as one check uses it.

    Attributes:
        state: the gravest state of any edge, flow or name of it; ``passing`` only when all pass.
    """

    check: str
    provider: str
    state: str


@dataclass(frozen=True, slots=True)
class RegionProblem:
    """What fails now for one reason, seen from one region.

    Attributes:
        provider: empty for flows.
        layer: of flows, the layer to blame; empty for edges.
        state: the gravest of ``failing``, ``flapping``, ``suspect``; ``inconclusive`` where the
            fault is the agent's own.
        edges: distinct addresses; 0 for flows.
        targets: names, the first ones.
        unseen: members that failed when they were last seen, and are no longer looked at.
    """

    check: str
    provider: str
    layer: str
    reason: str
    state: str
    since: float
    edges: int
    of_edges: int
    targets: tuple[str, ...]
    targets_total: int
    of_targets: int
    unseen: int


@dataclass(frozen=True, slots=True)
class RegionReport:
    """What one agent sees, for the page of all regions. Nothing in it comes from other agents.

    Attributes:
        agent: tells processes apart; another one after each start.
        now: its time when it answered.
        problems: the gravest first.
    """

    region: str
    agent: str
    now: float
    version: str
    level: Level
    sentence: str
    edges: StateCounts
    flows: StateCounts
    names: StateCounts
    providers: tuple[RegionProvider, ...]
    providers_total: int
    problems: tuple[RegionProblem, ...]
    problems_total: int


class ReportProblem(ValueError):
    """An answer is none; the message says why and quotes nothing of it."""


def region_report(store: Store, now: float, agent: str) -> RegionReport:
    """What this agent sees.

    Args:
        store: where the results are.
        now: wall time.
        agent: tells this process apart.
    """
    states = states_of(store)
    standing = standing_of(store, states)
    edges, flows = problem_views(store), flow_problems(store.flows.values())
    problems = [
        RegionProblem(
            check=one.check,
            provider=one.provider,
            layer="",
            reason=one.reason,
            state=one.state,
            since=one.since,
            edges=one.edges_total,
            of_edges=one.of_edges,
            targets=one.targets[:NAMED],
            targets_total=one.targets_total,
            of_targets=one.of_targets,
            unseen=one.unseen,
        )
        for one in edges[:PROBLEMS]
    ]
    problems += [
        RegionProblem(
            check=one.check,
            provider="",
            layer=one.layer,
            reason=one.reason,
            state=INCONCLUSIVE if one.layer == INCONCLUSIVE else "failing",
            since=one.since,
            edges=0,
            of_edges=0,
            targets=one.targets[:NAMED],
            targets_total=one.targets_total,
            of_targets=one.of_targets,
            unseen=one.unseen,
        )
        for one in flows[:PROBLEMS]
    ]
    providers = islice(provider_views(store, states), PROVIDERS)
    return RegionReport(
        region=store.region,
        agent=agent,
        now=now,
        version=store.agent.version,
        level=level_of(standing),
        sentence=sentence_of(standing, now, in_words(card_views(store), flows, now))[:_MOST_TEXT],
        edges=standing.edges,
        flows=standing.flows,
        names=standing.names,
        providers=tuple(RegionProvider(one.check, one.provider, one.state) for one in providers),
        providers_total=len(states),
        problems=tuple(problems),
        problems_total=len(edges) + len(flows),
    )


def read_report(data: bytes) -> RegionReport:
    """Read what another agent answered. Raises ReportProblem."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise ReportProblem("the answer is not JSON") from None
    report = _read(RegionReport, document, "the answer")
    if not report.region:
        raise ReportProblem("region: is empty")
    return report


R = TypeVar("R")


def _read(kind: type[R], value: object, where: str) -> R:
    """A value as its type says; what nobody knows is left out."""
    if not isinstance(value, dict):
        raise ReportProblem(f"{where} is not an object of an agent")
    hints = get_type_hints(kind)
    read: dict[str, object] = {}
    for one in fields(cast("Any", kind)):
        if one.name in value:
            read[one.name] = _value(hints[one.name], value[one.name], one.name)
        elif one.default is MISSING:
            raise ReportProblem(f"{one.name}: is missing; another version answers")
    return kind(**read)


def _value(kind: Any, value: object, where: str) -> object:
    match value:
        case str() if kind is str and len(value) <= _MOST_TEXT:
            return value
        case int() if kind is int and type(value) is int and 0 <= value <= _MOST_COUNT:
            return value
        case int() | float() if kind is float and type(value) is not bool:
            if 0 <= value <= _LAST_DAY:  # neither is true of NaN
                return float(value)
        case list() if get_origin(kind) is tuple and len(value) <= _MOST_ITEMS:
            return tuple(_value(get_args(kind)[0], one, where) for one in value)
        case str() if isinstance(kind, type) and issubclass(kind, Enum):
            if value in {one.value for one in kind}:
                return kind(value)
        case dict() if isinstance(kind, type) and is_dataclass(kind):
            return _read(kind, value, where)
        case _:
            pass
    raise ReportProblem(f"{where}: is not what an agent answers")
