"""Everything of one target, for its page: edges, certificates, DNS, flows. Pure, bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice

from probe.model.failure import Failure, failure_fields
from probe.model.result import CertificateFacts, Handshake, Passed, Timestamps, TlsResult
from probe.model.state import EdgeStatus, LeafChange
from probe.model.target import EdgeKey, Resolution
from probe.serve.memory.store import Store
from probe.serve.page.flow_view import FlowView, explained, flow_view
from probe.serve.page.problems import edge_fields
from probe.serve.page.sentence import level_of, sentence_of
from probe.serve.page.standing import Level, shown_state, standing_of_target
from probe.serve.page.status import changes_of
from probe.serve.page.views import ChangeView, EdgeView
from probe.serve.records import TROUBLED, EdgeRecord, ResolveRecord, TargetRecord
from probe.serve.trace import Minutes
from probe.state.promises import told

EDGES, LEAVES, CHANGES, FLOWS = 200, 20, 30, 30
"""Most entries of each list."""


@dataclass(frozen=True, slots=True)
class EdgeDetail(EdgeView):
    """One edge of the target, as last seen.

    Attributes:
        last: the latest attempt; None when there was none.
        letter: which of the leaves it presents.
        warnings: findings that fail nothing.
        minutes: the last hour.
    """

    last: TlsResult | None = None
    letter: str = ""
    minority: bool = False
    warnings: tuple[Failure, ...] = ()
    minutes: Minutes = ()


@dataclass(frozen=True, slots=True)
class LeafDetail:
    """One of the certificates that the edges present, with the chain that one of them sends.

    Attributes:
        revocation: what revocation lists say of it, in words.
    """

    letter: str
    edges: int
    chain: tuple[CertificateFacts, ...]
    revocation: str
    timestamps: Timestamps | None = None


@dataclass(frozen=True, slots=True)
class LeafChangeDetail:
    """The latest change of the certificate that a provider serves.

    Attributes:
        changes: how many there were.
    """

    check: str
    provider: str
    key_type: str
    changes: int
    last: LeafChange


@dataclass(frozen=True, slots=True)
class NameDetail:
    """What a provider's DNS said for the target.

    Attributes:
        unseen: since when nobody has asked, once that is too long.
        records: what it says besides addresses, and what of that is not looked at, in words.
        warnings: what those records contradict.
    """

    provider: str
    resolution: Resolution
    unseen: float | None
    records: tuple[str, ...] = ()
    warnings: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetView:
    """One target over all checks."""

    name: str
    region: str
    now: float
    level: Level
    sentence: str
    edges: tuple[EdgeDetail, ...]
    edges_total: int
    leaves: tuple[LeafDetail, ...]
    leaf_changes: tuple[LeafChangeDetail, ...]
    names: tuple[NameDetail, ...]
    flows: tuple[FlowView, ...]
    changes: tuple[ChangeView, ...]


def target_view(store: Store, name: str, now: float) -> TargetView | None:
    """The target of that name; None when nothing of that name is probed."""
    records = [record for key, record in store.targets.items() if key.target == name]
    if not records:
        return None
    edges = [edge for record in records for edge in record.edges.values()]
    letters = _letters(edges)
    shown = nsmallest(EDGES, edges, key=_gravity)
    standing = standing_of_target(store, records)
    never = [
        _never(store, key)
        for record in records
        for key, late in record.missing.items()
        if late and isinstance(key, EdgeKey) and key not in record.edges
    ]
    return TargetView(
        name=name,
        region=store.region,
        now=now,
        level=level_of(standing),
        sentence=sentence_of(standing, now),
        edges=tuple([*never, *(_edge(store, edge, letters, now) for edge in shown)][:EDGES]),
        edges_total=len(edges) + len(never),
        leaves=tuple(islice(_leaves(edges, letters), LEAVES)),
        leaf_changes=tuple(islice(_leaf_changes(records), LEAVES)),
        names=tuple(_name(one) for record in records for one in record.resolutions.values()),
        flows=tuple(
            explained(flow_view(flow), store.flow_causes)
            for record in records
            for flow in islice(record.flows.values(), FLOWS)
        ),
        changes=changes_of(store.history.of(record.key for record in records), CHANGES),
    )


def _name(record: ResolveRecord) -> NameDetail:
    seen = record.named if record.unseen is None else None
    return NameDetail(
        record.key.provider,
        record.resolution,
        record.unseen,
        () if seen is None else told(seen.records),
        () if seen is None else seen.warnings,
    )


def _leaf_changes(records: Iterable[TargetRecord]) -> Iterator[LeafChangeDetail]:
    """Each provider's latest change, the latest of all first."""
    known = [(key, leaf) for record in records for key, leaf in record.leaves.items()]
    changed = [(leaf.last, key, leaf) for key, leaf in known if leaf.last is not None]
    for last, key, leaf in sorted(changed, key=lambda one: (-one[0].at, one[1])):
        yield LeafChangeDetail(key.check, key.provider, key.key_type, leaf.changes, last)


def _gravity(edge: EdgeRecord) -> tuple[object, ...]:
    return (edge.status not in TROUBLED, edge.unseen is None, edge.key)


def _never(store: Store, key: EdgeKey) -> EdgeDetail:
    """An edge that never had a result, long after it should."""
    since = store.silence.unseen[key].since
    return EdgeDetail(
        **key._asdict(),
        **failure_fields(None),
        state=EdgeStatus.UNSEEN.value,
        since=since,
        browser="",
        command="",
        at=since,
        unseen=since,
        unnamed=None,
    )


def _letters(edges: Iterable[EdgeRecord]) -> dict[str, str]:
    """A letter per leaf, the commonest first."""
    counts: dict[str, int] = {}
    for edge in edges:
        leaf = _leaf(edge)
        if leaf is not None:
            counts[leaf.fingerprint_sha256] = counts.get(leaf.fingerprint_sha256, 0) + 1
    ranked = sorted(counts, key=lambda fingerprint: (-counts[fingerprint], fingerprint))
    return {fingerprint: _letter(place) for place, fingerprint in enumerate(ranked)}


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else f"#{place + 1}"


def _leaf(edge: EdgeRecord) -> CertificateFacts | None:
    return edge.last.handshake.leaf if edge.last.handshake else None


def _edge(store: Store, record: EdgeRecord, letters: dict[str, str], now: float) -> EdgeDetail:
    leaf, outcome = _leaf(record), record.last.outcome
    warnings = outcome.warnings if isinstance(outcome, Passed) else ()
    return EdgeDetail(
        **edge_fields(store, record),
        state=shown_state(record.status, record.last.outcome),
        last=record.last,
        letter=letters.get(leaf.fingerprint_sha256, "") if leaf else "",
        minority=record.minority,
        warnings=warnings if record.unseen is None else (),
        minutes=tuple(record.trace.minutes(now)),
    )


def _leaves(edges: Iterable[EdgeRecord], letters: dict[str, str]) -> Iterator[LeafDetail]:
    shown: dict[str, list[Handshake]] = {}
    for edge in edges:
        handshake = edge.last.handshake
        if handshake is not None and handshake.leaf is not None:
            shown.setdefault(handshake.leaf.fingerprint_sha256, []).append(handshake)
    for fingerprint, letter in letters.items():
        one, every = shown[fingerprint][0], len(shown[fingerprint])
        yield LeafDetail(letter, every, one.chain, one.revocation, one.timestamps)
