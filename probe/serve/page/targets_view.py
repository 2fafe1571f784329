"""The list of targets: found by name, provider, state, label or reason; failing ones first. Pure.

Thousands of targets are walked in short steps.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import chain, islice

from probe.serve.census import Through
from probe.serve.memory.store import Store
from probe.serve.page.standing import state_of
from probe.serve.records import ResultKey, TargetKey, TargetRecord
from probe.serve.trace import Minutes

PAGE = 50
"""Targets on one page."""

STATES = (
    "failing", "flapping", "suspect", "unseen", "inconclusive", "awaited", "passing",
)  # fmt: skip
"""What a target can be, gravest first."""

_GRAVITY = {state: place for place, state in enumerate(STATES)}
_ADDRESSES = 8  # of one provider, in a row
_STEP = 500


@dataclass(frozen=True, slots=True)
class TargetQuery:
    """Which targets are asked for; an empty text asks for any.

    Attributes:
        q: part of the name.
        label: ``owner=team-1``, or ``owner`` for any value of it.
    """

    q: str = ""
    check: str = ""
    provider: str = ""
    state: str = ""
    label: str = ""
    reason: str = ""

    def fits(self, key: TargetKey, labels: Mapping[str, str]) -> bool:
        """Whether name, check and labels are those asked for."""
        if self.q.lower() not in key.target.lower() or self.check not in ("", key.check):
            return False
        name, equals, value = self.label.partition("=")
        return not name or (name in labels and (not equals or labels[name] == value))


@dataclass(frozen=True, slots=True)
class AddressCell:
    """One edge in the row of its target."""

    address: str
    client: str
    state: str
    minutes: Minutes


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target of one check.

    Attributes:
        state: the gravest of everything of it (through the provider asked for).
        since: since when, where it does not pass.
        reason: why it fails; empty when it does not.
        cells: edges by provider, the first ones; ``more`` counts the others.
    """

    check: str
    target: str
    state: str
    since: float | None
    reason: str
    labels: Mapping[str, str]
    cells: Mapping[str, tuple[AddressCell, ...]] = field(default_factory=dict)
    more: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TargetsView:
    """One page of the list.

    Attributes:
        total: how many fit; ``of`` is how many there are.
        providers: of the rows' checks: columns of the table.
        choices: what can be asked for.
    """

    region: str
    now: float
    wanted: TargetQuery
    rows: tuple[TargetRow, ...]
    total: int
    of: int
    page: int
    pages: int
    providers: tuple[str, ...]
    choices: Mapping[str, tuple[str, ...]]


Found = list[tuple[int, str, str]]
"""Gravity, name and check of each target that fits, in the order of the list."""


def found_targets(store: Store, wanted: TargetQuery) -> Generator[None, None, Found]:
    """Find every target that fits, in short steps."""
    grave = yield from _grave(store, wanted)
    found: Found = []
    for place, key in enumerate(_all(store)):
        if place % _STEP == _STEP - 1:
            yield
        labels = _labels(store, key)
        if not wanted.fits(key, labels):
            continue
        gravity = grave.get(key)
        if gravity is None:
            gravity = _quiet(store.targets.get(key), wanted)
        if gravity is not None and wanted.state in ("", STATES[gravity]):
            found.append((gravity, key.target, key.check))
    found.sort()
    return found


def targets_view(
    store: Store, wanted: TargetQuery, page: int, now: float
) -> Generator[None, None, TargetsView]:
    """One page of what fits, in short steps."""
    found = yield from found_targets(store, wanted)
    pages = max(1, -(-len(found) // PAGE))
    page = min(max(page, 1), pages)
    rows = []
    for gravity, target, check in found[(page - 1) * PAGE : page * PAGE]:
        rows.append(_row(store, TargetKey(check, target), STATES[gravity], wanted, now))
        yield
    through = sorted({one.provider for one in store.census.providers if one.provider})
    shown = {provider for row in rows for provider in row.cells}
    return TargetsView(
        region=store.region,
        now=now,
        wanted=wanted,
        rows=tuple(rows),
        total=len(found),
        of=sum(1 for _ in _all(store)),
        page=page,
        pages=pages,
        providers=tuple(one for one in through if one in shown),
        choices={
            "check": tuple(sorted(store.checks)),
            "provider": tuple(through),
            "state": STATES,
            "label": tuple(nsmallest(200, _known_labels(store))),
        },
    )


def _all(store: Store) -> list[TargetKey]:
    """Every target: of which something is known, and listed ones beyond."""
    listed = (TargetKey(check, name) for check, names in store.listed.items() for name in names)
    return list(dict.fromkeys(chain(store.targets, listed)))


def _labels(store: Store, key: TargetKey) -> Mapping[str, str]:
    target = store.listed.get(key.check, {}).get(key.target)
    return {} if target is None else target.labels


def _known_labels(store: Store) -> set[str]:
    known: set[str] = set()
    for names in store.listed.values():
        for target in islice(names.values(), 2000):
            known.update(f"{name}={value}" for name, value in target.labels.items())
    return known


def _asked(key: ResultKey, wanted: TargetQuery) -> bool:
    return wanted.provider in ("", key.provider) and wanted.check in ("", key.check)


def _grave(store: Store, wanted: TargetQuery) -> Generator[None, None, dict[TargetKey, int]]:
    """The gravest of what does not pass, by target; only for the reason, where one is asked for."""
    grave: dict[TargetKey, int] = {}
    for place, key in enumerate(list(_not_passing(store, wanted))):
        if place % _STEP == _STEP - 1:
            yield
        census = store.census.providers.get(Through(key.check, key.provider))
        if census is None or key not in census.members:
            continue  # it went between two steps
        target, gravity = TargetKey(key.check, key.target), _GRAVITY[state_of(store, key)]
        grave[target] = min(gravity, grave.get(target, gravity))
    return grave


def _not_passing(store: Store, wanted: TargetQuery) -> Iterator[ResultKey]:
    for census in store.census.providers.values():
        for key, trouble in census.troubles.items():
            if _asked(key, wanted) and wanted.reason in ("", trouble.why[1].value):
                yield key
        if not wanted.reason:
            yield from (key for key in census.unseen if _asked(key, wanted))
    if not wanted.reason:
        open_now = (key for key, flow in store.flows.items() if flow.diagnosis.fails_open)
        others = chain(store.blind, store.unresolved, open_now)
        yield from (key for key in others if _asked(key, wanted))


def _quiet(record: TargetRecord | None, wanted: TargetQuery) -> int | None:
    """What a target is of which nothing is known to be amiss; None: not what is asked for."""
    if wanted.reason:
        return None
    if wanted.provider and all(one.provider != wanted.provider for one in _members(record)):
        return None
    if record is None or record.awaiting or not (record.edges or record.flows):
        return _GRAVITY["awaited"]
    return _GRAVITY["passing"]


def _row(store: Store, key: TargetKey, state: str, wanted: TargetQuery, now: float) -> TargetRow:
    record = store.targets.get(key)
    cells: dict[str, list[AddressCell]] = {}
    since, reason = None, ""
    edges = sorted(record.edges.items()) if record is not None else []
    for edge, known in edges:
        minutes = tuple(known.trace.minutes(now))
        cell = AddressCell(edge.edge, edge.client, state_of(store, edge), minutes)
        cells.setdefault(edge.provider, []).append(cell)
    for one in _members(record):
        trouble = store.census.of(one).troubles.get(one)
        if trouble is None or not _asked(one, wanted):
            continue
        fits = wanted.reason in ("", trouble.why[1].value)
        if fits and (since is None or trouble.since < since):
            since, reason = trouble.since, trouble.why[1].value
    ranked = {
        provider: sorted(every, key=lambda cell: _GRAVITY.get(cell.state, 0))
        for provider, every in cells.items()
    }
    return TargetRow(
        check=key.check,
        target=key.target,
        state=state,
        since=since,
        reason=reason,
        labels=dict(_labels(store, key)),
        cells={provider: tuple(every[:_ADDRESSES]) for provider, every in ranked.items()},
        more={provider: max(0, len(every) - _ADDRESSES) for provider, every in ranked.items()},
    )


def _members(record: TargetRecord | None) -> Iterator[ResultKey]:
    if record is not None:
        yield from chain(record.edges, record.flows, record.resolutions)
