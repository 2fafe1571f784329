"""Everything of one target, for its page: edges, certificates, DNS, flows. Pure, bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice

from probe.model.failure import failure_fields
from probe.model.result import CertificateFacts, Handshake
from probe.model.state import EdgeStatus
from probe.model.target import EdgeKey
from probe.serve.memory.store import Store
from probe.serve.page.flow_view import FlowView, flow_view
from probe.serve.page.problems import edge_fields
from probe.serve.page.sentence import level_of, sentence_of
from probe.serve.page.standing import Level, shown_state, standing_of_target
from probe.serve.page.status import changes_of
from probe.serve.page.views import ChangeView, EdgeView
from probe.serve.records import TROUBLED, EdgeRecord, ResolveRecord

EDGES, LEAVES, NAMES, CHANGES, FLOWS = 200, 20, 30, 30, 30
"""Most entries of each list."""


@dataclass(frozen=True, slots=True)
class EdgeDetail(EdgeView):
    """One edge of the target, as last seen.

    Attributes:
        agreed: what the handshake agreed on, in words.
        letter: which of the leaves it presents.
    """

    connect: float | None = None
    handshake: float | None = None
    agreed: str = ""
    letter: str = ""
    minority: bool = False
    not_after: float | None = None


@dataclass(frozen=True, slots=True)
class LeafDetail:
    """One of the certificates that the edges present."""

    letter: str
    edges: int
    subject: str
    issuer: str
    key: str
    fingerprint_sha256: str
    not_before: float
    not_after: float
    names: tuple[str, ...]
    names_total: int
    chain: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameDetail:
    """What a provider's DNS said for the target.

    Attributes:
        unseen: since when nobody has asked, once that is too long.
    """

    provider: str
    reason: str
    edges: tuple[str, ...]
    edges_total: int
    seconds: float | None
    path: tuple[str, ...]
    notes: tuple[str, ...]
    unseen: float | None


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
        edges=tuple([*never, *(_edge(edge, letters) for edge in shown)][:EDGES]),
        edges_total=len(edges) + len(never),
        leaves=tuple(islice(_leaves(edges, letters), LEAVES)),
        names=tuple(_name(r) for record in records for r in record.resolutions.values()),
        flows=tuple(
            flow_view(flow) for record in records for flow in islice(record.flows.values(), FLOWS)
        ),
        changes=changes_of((c for c in store.journal if c.key.target == name), CHANGES),
    )


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


def _edge(record: EdgeRecord, letters: dict[str, str]) -> EdgeDetail:
    last, leaf, seen = record.last, _leaf(record), record.unseen is None
    return EdgeDetail(
        **edge_fields(record),
        state=shown_state(record.status, last.outcome),
        connect=last.timings.connect if seen else None,
        handshake=last.timings.tls if seen else None,
        agreed=_agreed(last.handshake) if last.handshake and seen else "",
        letter=letters.get(leaf.fingerprint_sha256, "") if leaf else "",
        minority=record.minority,
        not_after=leaf.not_after if leaf else None,
    )


def _agreed(handshake: Handshake) -> str:
    parts = (handshake.version, handshake.alpn, handshake.group)
    return ", ".join(part for part in parts if part)


def _leaves(edges: list[EdgeRecord], letters: dict[str, str]) -> Iterator[LeafDetail]:
    presented: dict[str, list[Handshake]] = {}
    for edge in edges:
        handshake = edge.last.handshake
        if handshake is not None and handshake.leaf is not None:
            presented.setdefault(handshake.leaf.fingerprint_sha256, []).append(handshake)
    for fingerprint, letter in letters.items():
        handshakes = presented[fingerprint]
        facts, chain = handshakes[0].chain[0], handshakes[0].chain
        names = facts.dns_names + facts.ip_names
        yield LeafDetail(
            letter=letter,
            edges=len(handshakes),
            subject=facts.subject or "(no subject)",
            issuer=facts.issuer,
            key=facts.key,
            fingerprint_sha256=fingerprint,
            not_before=facts.not_before,
            not_after=facts.not_after,
            names=names[:NAMES],
            names_total=len(names),
            chain=tuple(certificate.subject for certificate in chain[:10]),
        )


def _name(record: ResolveRecord) -> NameDetail:
    resolution = record.resolution
    path = resolution.edges[0].cnames if resolution.edges else ()
    return NameDetail(
        provider=record.key.provider,
        reason=resolution.failure.reason.value if resolution.failure else "",
        edges=tuple(edge.label for edge in resolution.edges[:NAMES]),
        edges_total=len(resolution.edges),
        seconds=resolution.seconds,
        path=path[:NAMES],
        notes=resolution.notes[:NAMES],
        unseen=record.unseen,
    )
