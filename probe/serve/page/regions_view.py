"""All regions on one page: who sees what, who does not, since when, and who is silent. Pure.

Nothing is said of an agent that was not heard lately, but that it is silent: no page is green for
what nobody told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from probe.serve.page.region_report import RegionProblem, RegionReport
from probe.serve.page.sentence import clock
from probe.serve.page.standing import Level, StateCounts

FRESH = 15.0
"""Seconds for which an answer holds; after that its agent is silent."""

PROBLEMS, NAMED = 100, 20
"""Most problems shown, and most targets named in one."""

SKEW = 5.0
"""Seconds of difference between two clocks that are worth a word."""

_SPOKEN = 5


@dataclass(frozen=True, slots=True)
class HeardAgent:
    """One other agent, as far as it was heard.

    Attributes:
        page: its address, as the configuration or DNS gives it.
        report: its latest answer; None while it is silent.
        region: as it last said; empty before the first answer.
        at: when it last answered; None before that.
        silent_since: since when it does not answer; None while it does.
        problem: why not.
    """

    page: str
    report: RegionReport | None = None
    region: str = ""
    at: float | None = None
    silent_since: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent on the page of all regions.

    Attributes:
        name: its region, with its address where the region has several agents.
        page: where its own page is; empty for the agent that answers.
        state: its level; or ``silent``, and then nothing else is known of it.
        at: when it last answered; None if it never did.
        silent_since: since when it does not answer.
        problem: why not.
        ahead: seconds that its clock is ahead of ours; negative behind.
    """

    name: str
    page: str
    state: str
    sentence: str = ""
    version: str = ""
    at: float | None = None
    silent_since: float | None = None
    problem: str = ""
    ahead: float = 0.0
    edges: StateCounts = field(default_factory=StateCounts)
    flows: StateCounts = field(default_factory=StateCounts)
    problems_total: int = 0


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one agent says of a problem.

    Attributes:
        name: of the agent, as in its row.
        state: ``failing``, ``flapping``, ``suspect`` or ``inconclusive`` where it has it;
            ``passing`` where all of the provider passes; ``other`` where something else of it
            fails; ``unknown`` where not all of it was judged; ``absent`` where it is not probed;
            ``silent`` where the agent is.
        since: by our clock; None where it does not have it.
    """

    name: str
    state: str
    since: float | None = None
    edges: int = 0
    of_edges: int = 0
    targets_total: int = 0
    of_targets: int = 0
    unseen: int = 0


@dataclass(frozen=True, slots=True)
class SharedProblem:
    """What fails for one reason, and which regions have it.

    Attributes:
        provider: empty for flows.
        layer: of flows, the layer to blame.
        since: when the first region saw it.
        seen_by: how many agents have it, of ``heard`` that were heard.
        targets: names, the first ones.
    """

    check: str
    provider: str
    layer: str
    reason: str
    since: float
    seen_by: int
    heard: int
    targets: tuple[str, ...]
    sightings: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True)
class RegionsView:
    """All regions, as one agent hears them.

    Attributes:
        region: of the agent that answers.
    """

    region: str
    now: float
    level: Level
    sentence: str
    agents: tuple[AgentRow, ...]
    problems: tuple[SharedProblem, ...]
    problems_total: int


def regions_view(own: RegionReport, peers: Iterable[HeardAgent]) -> RegionsView:
    """Join what this agent sees with what others said.

    Args:
        own: this agent's report, of now.
        peers: the others; this agent itself, found through DNS, is left out.
    """
    now = own.now
    known = [HeardAgent("", own, own.region, now), *_others(own, peers)]
    rows = [_row(one, name, now) for one, name in zip(known, _names(known), strict=True)]
    reports = [
        (row, one.report if row.state != "silent" else None, _offset(one))
        for row, one in zip(rows, known, strict=True)
    ]
    problems = sorted(_problems(reports), key=_weight)
    return RegionsView(
        region=own.region,
        now=now,
        level=_level(rows),
        sentence=_sentence(rows, now),
        agents=tuple(rows),
        problems=tuple(problems[:PROBLEMS]),
        problems_total=max(len(problems), *(row.problems_total for row in rows)),
    )


def _others(own: RegionReport, peers: Iterable[HeardAgent]) -> Iterator[HeardAgent]:
    """Each other agent once, however many addresses lead to it."""
    met = {own.agent}
    for one in peers:
        if one.report is not None and one.report.agent in met:
            continue
        if one.report is not None:
            met.add(one.report.agent)
        yield one


def _names(known: Sequence[HeardAgent]) -> list[str]:
    """The region of each, or its address; both where a region has several agents."""
    many = Counter(one.region for one in known)
    return [
        one.page
        if not one.region
        else f"{one.region} ({one.page or 'this agent'})"
        if many[one.region] > 1
        else one.region
        for one in known
    ]


def _offset(one: HeardAgent) -> float:
    """What is added to its times to have them by our clock."""
    return 0.0 if one.report is None or one.at is None else one.at - one.report.now


def _row(one: HeardAgent, name: str, now: float) -> AgentRow:
    row = AgentRow(name, one.page, "silent", at=one.at, problem=one.problem)
    if one.report is None or one.at is None:
        return replace(row, silent_since=one.silent_since)
    if now - one.at > FRESH:
        return replace(row, silent_since=one.at, problem="it was not asked since")
    return replace(
        row,
        state=one.report.level.value,
        sentence=one.report.sentence,
        version=one.report.version,
        ahead=-_offset(one),
        edges=one.report.edges,
        flows=one.report.flows,
        problems_total=one.report.problems_total,
    )


Told = tuple[AgentRow, RegionReport | None, float]
_Key = tuple[str, str, str, str]


def _key(problem: RegionProblem) -> _Key:
    return problem.check, problem.provider, problem.layer, problem.reason


def _problems(told: Sequence[Told]) -> Iterator[SharedProblem]:
    found = [
        {} if report is None else {_key(one): one for one in report.problems}
        for _, report, _ in told
    ]
    for key in dict.fromkeys(key for one in found for key in one):
        having = [one[key] for one in found if key in one]
        sightings = tuple(
            _sighting(key, one.get(key), *about) for one, about in zip(found, told, strict=True)
        )
        names = dict.fromkeys(name for one in having for name in one.targets)
        yield SharedProblem(
            *key,
            since=min(one.since for one in sightings if one.since is not None),
            seen_by=len(having),
            heard=sum(one.state != "silent" for one in sightings),
            targets=tuple(sorted(names)[:NAMED]),
            sightings=sightings,
        )


def _sighting(
    key: _Key,
    problem: RegionProblem | None,
    row: AgentRow,
    report: RegionReport | None,
    offset: float,
) -> Sighting:
    if report is None:
        return Sighting(row.name, "silent")
    if problem is None:
        return Sighting(row.name, _without(key, report))
    return Sighting(
        row.name,
        problem.state,
        problem.since + offset,
        problem.edges,
        problem.of_edges,
        problem.targets_total,
        problem.of_targets,
        problem.unseen,
    )


def _without(key: _Key, report: RegionReport) -> str:
    """What can be said of a region whose report does not name a problem."""
    check, provider, _, _ = key
    states = {
        one.state
        for one in report.providers
        if one.check == check and provider in ("", one.provider)
    }
    if report.providers_total > len(report.providers):
        return "unknown"  # the list was cut
    if not states:
        return "absent"
    if states == {"passing"}:
        return "passing"
    judged = states <= {"passing", "failing", "flapping", "suspect"}
    return "other" if judged and report.problems_total == len(report.problems) else "unknown"


_GRAVITY = {"failing": 0, "flapping": 1, "suspect": 2, "inconclusive": 3}


def _weight(problem: SharedProblem) -> tuple[int, int, float]:
    """Confirmed first, then by how many see it, then by age."""
    gravest = min(_GRAVITY.get(one.state, 9) for one in problem.sightings)
    return (gravest, -problem.seen_by, problem.since)


def _level(rows: Sequence[AgentRow]) -> Level:
    states = {row.state for row in rows}
    if Level.TROUBLE in states:
        return Level.TROUBLE
    return Level.OK if states == {Level.OK} else Level.UNSURE


def _sentence(rows: Sequence[AgentRow], now: float) -> str:
    """Who sees failures, who is silent, who is unsure; what passes only if it is said of all."""
    by_state = {
        state: [row.name for row in rows if row.state == state]
        for state in (Level.TROUBLE, "silent", Level.UNSURE, Level.OK)
    }
    said = []
    if trouble := by_state[Level.TROUBLE]:
        said.append(f"{_listed(trouble)} {'sees' if len(trouble) == 1 else 'see'} failures")
    if silent := by_state["silent"]:
        since = [row.silent_since for row in rows if row.silent_since is not None]
        when = f" since {clock(min(since), now)}" if since and len(silent) == 1 else ""
        said.append(f"{_listed(silent)} {'is' if len(silent) == 1 else 'are'} silent{when}")
    if unsure := by_state[Level.UNSURE]:
        said.append(f"{_listed(unsure)} cannot judge everything")
    if fine := by_state[Level.OK]:
        whole = len(fine) == len(rows)
        said.append(f"all {len(rows)} agents pass" if whole and len(rows) > 1 else _pass(fine))
    text = "; ".join(said)
    return text if text.startswith(tuple(row.name for row in rows)) else text[:1].upper() + text[1:]


def _pass(names: Sequence[str]) -> str:
    return f"everything passes in {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    """``a, b and c``; the first few of many."""
    if len(names) > _SPOKEN:
        return f"{', '.join(names[:_SPOKEN])} and {len(names) - _SPOKEN} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
