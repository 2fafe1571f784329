"""The raw states of everything that is to be judged, counted by kind. Reads the store only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from probe.model.failure import Failure, Reason
from probe.model.result import Inconclusive, StepOutcome
from probe.model.state import CONFIRMED, EdgeStatus
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.serve.census import Through
from probe.serve.memory.store import Store
from probe.serve.records import TROUBLED, ResultKey, TargetRecord

States = Counter[tuple[type[ResultKey], str]]
"""How many of each kind are in each state, by its name in ``StateCounts``."""


class Level(StrEnum):
    """How it stands, in one word."""

    OK = "ok"  # everything was judged lately, and passes
    TROUBLE = "trouble"
    UNSURE = "unsure"  # nothing fails, and not everything can be seen


@dataclass(frozen=True, slots=True)
class StateCounts:
    """How many edges, flows or names are in each state; each one is in one state only.

    Attributes:
        passing: judged lately, the latest attempt included.
        suspect: failed, being confirmed; a name whose last known addresses are still probed.
        failing: confirmed; a name without any address.
        inconclusive: the latest attempt says nothing, by our own fault.
        unseen: not judged for three intervals.
        awaited: never judged, and not overdue.
    """

    passing: int = 0
    suspect: int = 0
    failing: int = 0
    flapping: int = 0
    inconclusive: int = 0
    unseen: int = 0
    awaited: int = 0

    @property
    def total(self) -> int:
        """All that are to be judged."""
        return self.looked_at + self.unseen + self.awaited

    @property
    def looked_at(self) -> int:
        """Those with a recent attempt, whatever came of it."""
        return self.passing + self.suspect + self.confirmed + self.inconclusive

    @property
    def confirmed(self) -> int:
        """Failing or flapping."""
        return self.failing + self.flapping


@dataclass(frozen=True, slots=True)
class Overview:
    """The raw states behind a sentence.

    Attributes:
        unread: target sources that cannot be read: what they name now is not counted.
        unseen_since: since when nobody looks at the first of the unseen; wall time.
        unclear: a refusal among the inconclusive of which nobody knows yet whose fault it is.
    """

    edges: StateCounts = field(default_factory=StateCounts)
    flows: StateCounts = field(default_factory=StateCounts)
    names: StateCounts = field(default_factory=StateCounts)
    unread: int = 0
    unseen_since: float | None = None
    unclear: bool = False

    @property
    def kinds(self) -> tuple[tuple[str, StateCounts], ...]:
        """The counts by noun."""
        return ("edge", self.edges), ("flow", self.flows), ("name", self.names)


def shown_state(status: EdgeStatus, latest: StepOutcome) -> str:
    """A state as a person reads it: what the latest attempt could not judge does not pass."""
    quiet = status in (EdgeStatus.PASSING, EdgeStatus.UNKNOWN)
    return "inconclusive" if quiet and isinstance(latest, Inconclusive) else status.value


def states_of(store: Store) -> dict[Through, States]:
    """The states of every provider, as ``state_of`` says of each member.

    From the counts of the census: it walks only what is not as the census says.
    """
    states: dict[Through, States] = {}
    for through, census in store.census.providers.items():
        counts = states[through] = Counter()
        for (kind, (status, blind)), number in census.states.items():
            counts[kind, _name(status, blind=blind)] += number
    open_now = (key for key, flow in store.flows.items() if flow.diagnosis.fails_open)
    others: set[ResultKey] = {*store.unresolved, *open_now}
    for key in others:
        through = Through(key.check, key.provider)
        status, blind = store.census.providers[through].members[key]
        before, after = _name(status, blind=blind), _state(store, key, status, blind=blind)
        if before != after:
            states[through][type(key), before] -= 1
            states[through][type(key), after] += 1
    return states


def standing_of(store: Store, states: Mapping[Through, States]) -> Overview:
    """Everything, over all providers."""
    counts: States = Counter()
    for of_provider in states.values():
        counts.update(of_provider)
    standing = _standing(store, counts, store.silence.unseen, store.blind.values())
    return replace(standing, unread=sum(not one.up for one in store.agent.sources()))


def standing_of_target(store: Store, records: Iterable[TargetRecord]) -> Overview:
    """One target, over all its checks."""
    keys: set[ResultKey] = set()
    for record in records:
        keys.update(record.edges, record.flows, record.resolutions, record.missing)
    counts = Counter((type(key), state_of(store, key)) for key in keys)
    unseen = keys & store.silence.unseen.keys()
    blind = (store.blind[key] for key in keys & store.blind.keys())
    return _standing(store, counts, unseen, blind)


def state_of(store: Store, key: ResultKey) -> str:
    """The gravest state of an edge, flow or name that holds, by its name in ``StateCounts``."""
    status, blind = store.census.providers[Through(key.check, key.provider)].members[key]
    return _state(store, key, status, blind=blind)


def _state(store: Store, key: ResultKey, status: EdgeStatus, *, blind: bool) -> str:
    flow = store.flows.get(key) if isinstance(key, FlowKey) else None
    if flow is not None and flow.diagnosis.fails_open and status not in CONFIRMED:
        return EdgeStatus.FAILING.value  # waits for no confirmation
    if key in store.unresolved and status is EdgeStatus.PASSING and not blind:
        return EdgeStatus.SUSPECT.value  # DNS fails, and known addresses are still probed
    return _name(status, blind=blind)


def _name(status: EdgeStatus, *, blind: bool) -> str:
    if blind and status not in TROUBLED:
        return "inconclusive"
    return "awaited" if status is EdgeStatus.UNKNOWN else status.value


def _standing(
    store: Store,
    counts: States,
    unseen: Iterable[ResultKey],
    blind: Iterable[Failure],
) -> Overview:
    def of(kind: type[ResultKey]) -> StateCounts:
        return StateCounts(
            **{name: number for (one, name), number in counts.items() if one is kind}
        )

    silent = [store.silence.unseen[key].since for key in unseen if key not in store.blind]
    return Overview(
        edges=of(EdgeKey),
        flows=of(FlowKey),
        names=of(ProviderKey),
        unseen_since=min(silent, default=None),
        unclear=any(failure.reason is Reason.REFUSAL_UNCLEAR for failure in blind),
    )
