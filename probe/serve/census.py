"""Counts per provider, kept as things change, so that nothing walks 10,000 edges to count.

Pure: it is told of every edge, flow and name resolution that appears, changes or goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from probe.model.failure import Failure, Phase, Reason
from probe.model.state import CONFIRMED, EdgeStatus
from probe.model.target import EdgeKey
from probe.serve.records import TROUBLED, OutcomeCounts, ResultKey, Why

T = TypeVar("T")

UNEXPLAINED: Why = (Phase.EXPECT, Reason.UNKNOWN)
"""Of what is known to fail without a failure seen since it is counted: alerts count by reason, so
without one it would be missing from them."""

NOT_KNOWN = frozenset({EdgeStatus.UNKNOWN, EdgeStatus.UNSEEN})
"""States in which nothing is known: neither counted as passing nor as failing."""


_NEW = (EdgeStatus.UNKNOWN, False)


class Through(NamedTuple):
    """A provider as one check uses it."""

    check: str
    provider: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that does not pass now.

    Attributes:
        edge: address, empty for a flow or a name resolution.
        since: wall time.
    """

    target: str
    edge: str
    status: EdgeStatus
    why: Why
    since: float


@dataclass(slots=True)
class ProviderCensus:
    """What one provider of one check holds, and what of it fails.

    Attributes:
        members: everything that is to be judged: what is believed of it now, and whether its
            latest result was inconclusive.
        states: how many members of each kind are in each such state.
        edges: addresses of which something is known now, with how many members each has.
        targets: likewise.
        unseen: members that nobody has judged for too long, with the wall time since when;
            what failed before is also among ``troubles``.
        unnamed: members whose address DNS no longer names.
        planned: targets that a maintenance window covers now, whatever is known of them.
        version: counts the changes of who is a member.
        sessions: what became of other edges' session tickets; None where none is to be offered.
        alike: what ``groups`` said last; None once it holds no longer.
    """

    members: dict[ResultKey, tuple[EdgeStatus, bool]] = field(default_factory=dict)
    states: Counter[tuple[type[ResultKey], tuple[EdgeStatus, bool]]] = field(
        default_factory=Counter
    )
    edges: Counter[str] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    troubles: dict[ResultKey, Trouble] = field(default_factory=dict)
    unseen: dict[ResultKey, float] = field(default_factory=dict)
    unnamed: set[ResultKey] = field(default_factory=set)
    planned: frozenset[str] = frozenset()
    version: int = 0
    tally: OutcomeCounts = field(default_factory=OutcomeCounts)
    sessions: Counter[str] | None = None
    alike: list[TroubleGroup] | None = field(default=None, repr=False)

    @property
    def empty(self) -> bool:
        """Nothing is probed through it any more."""
        return not self.members

    @property
    def probed(self) -> int:
        """Edges as they are probed: one per target, address and client profile."""
        return sum(self.edges.values())

    def groups(self) -> list[TroubleGroup]:
        """What does not pass, alike things together: by reason, confirmed or not.

        Kept until something of it changes: page and scrape ask far more often than that.
        """
        if self.alike is not None:
            return self.alike
        groups: dict[tuple[Why, bool], TroubleGroup] = {}
        for key, trouble in self.troubles.items():
            kind = (trouble.why, trouble.status in CONFIRMED)
            group = groups.get(kind)
            if group is None:
                group = groups[kind] = TroubleGroup(*kind, key, trouble.since)
            unseen = self.unseen.get(key) if self.unseen else None  # the hash of a key costs
            group.add(key, trouble, unseen, unnamed=bool(self.unnamed) and key in self.unnamed)
        self.alike = list(groups.values())
        return self.alike


@dataclass(slots=True)
class TroubleGroup:
    """Things that fail alike.

    Attributes:
        confirmed: failing or flapping; suspicion alone accuses nobody.
        first: the one that fails for longest, an example.
        edges: distinct addresses.
        clients: the profiles as which edges fail.
        unseen: members that failed when last seen, and that nobody looks at any more.
        unnamed: addresses that DNS no longer names for one of the targets.
        flapping: every one of them passes now and then.
    """

    why: Why
    confirmed: bool
    first: ResultKey
    since: float
    edges: set[str] = field(default_factory=set)
    targets: set[str] = field(default_factory=set)
    clients: set[str] = field(default_factory=set)
    probed: int = 0
    unseen: int = 0
    unseen_since: float | None = None
    unnamed: set[str] = field(default_factory=set)
    flapping: bool = True

    def add(self, key: ResultKey, trouble: Trouble, unseen: float | None, *, unnamed: bool) -> None:
        """Count one more; ``unseen``: since when nobody looks at it."""
        if unnamed:
            self.unnamed.add(trouble.edge)
        if unseen is not None:
            self.unseen += 1
            self.unseen_since = min(unseen, self.unseen_since or unseen)
        if trouble.since < self.since:
            self.first, self.since = key, trouble.since
        self.targets.add(trouble.target)
        if isinstance(key, EdgeKey):
            self.edges.add(trouble.edge)
            self.clients.add(key.client)
            self.probed += 1
        if trouble.status is EdgeStatus.FAILING:
            self.flapping = False

    @property
    def state(self) -> EdgeStatus:
        """The gravest state among them."""
        if not self.confirmed:
            return EdgeStatus.SUSPECT
        return EdgeStatus.FLAPPING if self.flapping else EdgeStatus.FAILING


@dataclass(frozen=True, slots=True)
class Failing:
    """What of a provider fails, confirmed, over all reasons; how many targets are planned."""

    edges: int
    targets: int
    since: float | None
    planned: int = 0


def failing(groups: Iterable[TroubleGroup], planned: frozenset[str] = frozenset()) -> Failing:
    """The confirmed groups taken together: an edge that fails for two reasons counts once."""
    confirmed = [group for group in groups if group.confirmed]
    edges: set[str] = set().union(*(group.edges for group in confirmed))
    targets: set[str] = set().union(*(group.targets for group in confirmed))
    since = min((group.since for group in confirmed), default=None)
    return Failing(len(edges), len(targets), since, len(targets & planned))


class Census:
    """Every provider of every check."""

    def __init__(self) -> None:
        self.providers: dict[Through, ProviderCensus] = {}

    def of(self, key: ResultKey) -> ProviderCensus:
        """The census of the key's provider, made when it is new."""
        through = Through(key.check, key.provider)
        provider = self.providers.get(through)
        if provider is None:
            provider = self.providers[through] = ProviderCensus()
        return provider

    def add(self, key: ResultKey) -> None:
        """Something is probed from now on; it counts once it was judged."""
        provider = self.of(key)
        if key not in provider.members:
            provider.members[key] = _NEW
            provider.version += 1
            provider.states[type(key), _NEW] += 1

    def remove(self, key: ResultKey) -> None:
        """It is not probed any more; nothing happens when it was not."""
        through = Through(key.check, key.provider)
        provider = self.providers.get(through)
        if provider is None or key not in provider.members:
            return
        self._believe(provider, key, _NEW)
        del provider.members[key]
        provider.version += 1
        _count(provider.states, (type(key), _NEW), -1)
        provider.troubles.pop(key, None)
        provider.unseen.pop(key, None)
        provider.unnamed.discard(key)
        provider.alike = None
        if provider.empty:
            del self.providers[through]

    @staticmethod
    def _believe(provider: ProviderCensus, key: ResultKey, after: tuple[EdgeStatus, bool]) -> None:
        """Count a member under its state; among edges and targets while something is known."""
        before = provider.members[key]
        if before == after:
            return
        provider.members[key] = after
        _count(provider.states, (type(key), before), -1)
        _count(provider.states, (type(key), after), 1)
        change = (after[0] not in NOT_KNOWN) - (before[0] not in NOT_KNOWN)
        if change:
            _count(provider.targets, key.target, change)
            if isinstance(key, EdgeKey):
                _count(provider.edges, key.edge, change)

    def blind(self, key: ResultKey, inconclusive: bool) -> None:
        """Whether the latest result of a member was inconclusive."""
        provider = self.of(key)
        self._believe(provider, key, (provider.members[key][0], inconclusive))

    def judge(
        self, key: ResultKey, status: EdgeStatus, since: float, failure: Failure | None
    ) -> None:
        """What is believed of it now.

        Args:
            key: an edge, flow or resolution that was added.
            status: the state that the latest result led to.
            since: wall time at which that state began.
            failure: the latest one; without it the reason known before stays.
        """
        provider = self.of(key)
        troubles = provider.troubles
        self._believe(provider, key, (status, provider.members[key][1]))
        if status not in TROUBLED:
            if troubles.pop(key, None) is not None:
                provider.alike = None
            return
        known = troubles.get(key)
        if failure is not None:
            why = (failure.phase, failure.reason)
        else:
            why = known.why if known else UNEXPLAINED
        if known is None or (known.status, known.why, known.since) != (status, why, since):
            edge = key.edge if isinstance(key, EdgeKey) else ""
            troubles[key] = Trouble(key.target, edge, status, why, since)
            provider.alike = None

    def unsee(self, key: ResultKey, since: float) -> bool:
        """Nobody has judged a member since; whether it is the first of its provider."""
        provider = self.of(key)
        first = not provider.unseen
        provider.unseen[key] = since
        provider.alike = None
        return first

    def see(self, key: ResultKey) -> bool:
        """A member was judged; whether it was the last of its provider that was unseen."""
        provider = self.of(key)
        if provider.unseen.pop(key, None) is None:
            return False
        provider.alike = None
        return not provider.unseen

    def name(self, key: EdgeKey, *, named: bool) -> None:
        """Whether DNS names an edge."""
        provider = self.of(key)
        (provider.unnamed.discard if named else provider.unnamed.add)(key)
        provider.alike = None


def _count(counter: Counter[T], name: T, change: int) -> None:
    counter[name] += change
    if counter[name] <= 0:
        del counter[name]
