"""What fails now, one card a cause: a target that fails everywhere, or what a provider lacks. Pure.

The same failure is one card however many edges show it. A target whose every edge fails in the same
way is the target's own affair; anything else belongs to the provider that it is seen through. What
is still being confirmed joins the card of what is confirmed, and is counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nsmallest
from itertools import islice

from probe.model.state import CONFIRMED
from probe.model.target import EdgeKey, FlowKey, ProviderKey
from probe.model.tls import clients_in_words
from probe.serve.census import ProviderCensus, Through, TroubleGroup
from probe.serve.memory.store import Store
from probe.serve.page.card_view import CardView
from probe.serve.page.cause_view import CAUSES, CauseView, why_of
from probe.serve.page.problems import evidence_of, passing_clients
from probe.serve.records import TargetKey, Why

FEW = 5
"""Most targets that a card names at once; and, behind one provider alone, most targets that are
said to fail on their own: with more, it is the provider's affair."""

LISTED = 200
"""Most addresses, and most targets, named behind a click; the list of targets has all."""

_MOST_WEIGHED = 500
"""Most targets of one reason and provider of which it is asked whether all their edges fail."""

Groups = list[tuple[Through, ProviderCensus, TroubleGroup]]


def card_views(store: Store) -> list[CardView]:
    """Every card, gravest first: confirmed before suspect, then by breadth, then by age."""
    alike: dict[tuple[str, Why], Groups] = {}
    serving: dict[str, int] = {}
    for through, census in store.census.providers.items():
        serving[through.check] = serving.get(through.check, 0) + 1
        for group in census.groups():
            if not isinstance(group.first, FlowKey):
                place = (through.check, group.why)
                alike.setdefault(place, []).append((through, census, group))
    cards = [
        card
        for (check, _), groups in alike.items()
        for card in _cards(store, groups, serving[check])
    ]
    return sorted(cards, key=lambda one: (not one.confirmed, -one.targets_total, one.since))


def _cards(store: Store, groups: Groups, providers: int) -> Iterator[CardView]:
    """Cards of one check and one reason."""
    everywhere = _everywhere(store, groups, providers)
    if everywhere:
        own = _only(groups, everywhere)
        yield _Card(store, own, providers, everywhere=True).view()
        groups = _without(groups, everywhere)
    for through in dict.fromkeys(through for through, _, _ in groups):
        of_provider = [one for one in groups if one[0] == through]
        yield _Card(store, of_provider, providers, everywhere=False).view()


# ---------------------------------------------------------------- what belongs together


def _everywhere(store: Store, groups: Groups, providers: int) -> set[str]:
    """Targets of which all edges, through all providers, fail for this reason."""
    candidates = {name for _, _, group in groups for name in islice(group.targets, _MOST_WEIGHED)}
    if any(len(group.targets) > _MOST_WEIGHED for _, _, group in groups):
        return set()
    check, why = groups[0][0].check, groups[0][2].why
    found = {name for name in candidates if _fails_wholly(store, TargetKey(check, name), why)}
    served = max(len(census.targets) for _, census, _ in groups)
    alone = len(found) == served > 1  # all that there is fails: nothing tells a target apart
    return set() if alone or (providers == 1 and len(found) > FEW) else found


def _fails_wholly(store: Store, target: TargetKey, why: Why) -> bool:
    """Whether every edge fails so, at least one confirmed; without edges, every name."""
    record = store.targets.get(target)
    if record is None:
        return False
    confirmed = False
    keys: Iterable[EdgeKey | ProviderKey] = record.edges or record.resolutions
    for key in keys:
        census = store.census.providers.get(Through(key.check, key.provider))
        trouble = None if census is None else census.troubles.get(key)
        if trouble is None or trouble.why != why:
            return False
        confirmed = confirmed or trouble.status in CONFIRMED
    return confirmed


def _only(groups: Groups, names: set[str]) -> Groups:
    return list(_parted(groups, names, inside=True))


def _without(groups: Groups, names: set[str]) -> Groups:
    return list(_parted(groups, names, inside=False))


def _parted(
    groups: Groups, names: set[str], *, inside: bool
) -> Iterator[tuple[Through, ProviderCensus, TroubleGroup]]:
    """The groups with those members alone whose target is among these names, or is not."""
    for through, census, group in groups:
        kept = (group.targets & names) if inside else (group.targets - names)
        if kept == group.targets:
            yield through, census, group
        elif kept:
            yield through, census, _part(census, group, kept)


def _part(census: ProviderCensus, group: TroubleGroup, names: set[str]) -> TroubleGroup:
    part: TroubleGroup | None = None
    for key, trouble in census.troubles.items():
        alike = (trouble.why, trouble.status in CONFIRMED) == (group.why, group.confirmed)
        if alike and trouble.target in names:
            if part is None:
                part = TroubleGroup(group.why, group.confirmed, key, trouble.since)
            part.add(key, trouble, census.unseen.get(key), unnamed=key in census.unnamed)
    return group if part is None else part


# ---------------------------------------------------------------- one card


class _Card:
    """Puts the groups of one cause together: what is confirmed speaks, suspicion joins it."""

    def __init__(self, store: Store, groups: Groups, providers: int, *, everywhere: bool) -> None:
        self._store, self._everywhere, self._serving = store, everywhere, providers
        confirmed = [one for one in groups if one[2].confirmed]
        self._said = confirmed or groups
        self._suspect = [one for one in groups if confirmed and not one[2].confirmed]
        self._targets = self._names(self._said)
        self._addresses = {edge for _, _, group in self._said for edge in group.edges}

    def view(self) -> CardView:
        """The card as the page shows it."""
        groups = [group for _, _, group in self._said]
        oldest = min(groups, key=lambda one: one.since)
        suspects = self._names(self._suspect) - self._targets
        example = oldest.first
        assert not isinstance(example, FlowKey)  # noqa: S101 - `card_views` leaves flows out
        detail, browser, command = evidence_of(self._store, example)
        unseen = [one.unseen_since for one in groups if one.unseen_since is not None]
        causes, investigating = self._why()
        return CardView(
            check=self._said[0][0].check,
            providers=tuple(sorted({through.provider for through, _, _ in self._said})),
            of_providers=self._serving,
            everywhere=self._everywhere,
            phase=oldest.why[0].value,
            reason=oldest.why[1].value,
            state=self._state(),
            since=oldest.since,
            addresses=tuple(nsmallest(LISTED, self._addresses)),
            addresses_total=len(self._addresses),
            of_addresses=self._of_addresses(),
            targets=tuple(nsmallest(LISTED, self._targets)),
            targets_total=len(self._targets),
            of_targets=max(len(census.targets) for _, census, _ in self._said),
            suspects=tuple(nsmallest(LISTED, suspects)),
            suspects_total=len(suspects),
            example=example.target,
            detail=detail,
            browser=browser,
            command=command,
            unseen=sum(group.unseen for group in groups),
            unseen_since=min(unseen, default=None),
            planned=len(
                {one for _, census, group in self._said for one in group.targets & census.planned}
            ),
            unnamed=tuple(nsmallest(LISTED, set().union(*(one.unnamed for one in groups)))),
            clients=self._clients(),
            causes=causes,
            investigating=investigating,
        )

    @staticmethod
    def _names(groups: Groups) -> set[str]:
        return set().union(*(group.targets for _, _, group in groups))

    def _state(self) -> str:
        states = {group.state.value for _, _, group in self._said}
        return next(one for one in ("failing", "flapping", "suspect") if one in states)

    def _of_addresses(self) -> int:
        if not self._everywhere:
            return max(len(census.edges) for _, census, _ in self._said)
        check = self._said[0][0].check
        records = (self._store.targets.get(TargetKey(check, name)) for name in self._targets)
        return len({key.edge for record in records if record for key in record.edges})

    def _clients(self) -> str:
        fails: set[str] = set().union(*(group.clients for _, _, group in self._said))
        passes = [passing_clients(self._store, *one[1:]) for one in self._said]
        return clients_in_words(fails, set.intersection(*passes) - fails)

    def _why(self) -> tuple[tuple[CauseView, ...], bool]:
        known = [why_of(self._store, *one) for one in self._said]
        causes = [cause for one in known for cause in one.causes]
        return tuple(causes[:CAUSES]), any(one.investigating for one in known)
