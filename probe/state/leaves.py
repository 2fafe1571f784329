"""Which certificate a provider serves for a target, and when that changed. Pure.

A change is one event, however many edges it reaches one after the other: a renewal rolls over the
edges for hours, and addresses with several machines behind them serve the old and the new one in
turn. So the event is told when the first edge serves a certificate that was not out there, and an
edge that still serves one that was is no change back. Only a certificate that no edge has served
for longer than the rule's grace may return as an event.

What an edge serves when it is first seen tells nothing of a change: it may have been there before
anybody looked. It is one only when its certificate is newer than the present one, and the group
has been watched for a while, or when nothing else is served any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from probe.model.result import CertificateFacts
from probe.model.state import LeafChange, ServedLeaf
from probe.model.target import EdgeKey, ProviderKey
from probe.state.consensus import Subject

MOST_LEAVES = 16
"""Certificates that are known of one subject. A provider that serves more of them at once has one
for each edge, and no change of it is told."""

_LEARN = 600.0
_LEAST_GRACE = 600.0
_KEY_TYPES = ("ecdsa", "rsa", "ed25519", "other")


class WatchedLeaf:
    """One subject: the present certificate, those that were out there too, and what changed.

    Attributes:
        others: when each was last known to be served, by fingerprint; wall time.
        begun: wall time of the first look.
        looked: the same, since the agent started.
        changes: how many were told.
        last: the latest of them.
    """

    __slots__ = ("begun", "changes", "current", "last", "looked", "others")

    def __init__(self, current: ServedLeaf, begun: float) -> None:
        self.current = current
        self.begun = self.looked = begun
        self.others: dict[str, float] = {}
        self.changes = 0
        self.last: LeafChange | None = None

    def plain(self) -> dict[str, Any]:
        """Write it as JSON can hold it."""
        last = self.last
        return {
            "current": [*self.current],
            "begun": self.begun,
            "others": self.others,
            "changes": self.changes,
            "last": last and [last.at, [*last.before], [*last.after], last.returned],
        }

    @classmethod
    def of(cls, plain: dict[str, Any]) -> WatchedLeaf:
        """Read what ``plain`` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        one = cls(_served(plain["current"]), float(plain["begun"]))
        others = dict(plain["others"])
        one.others = {str(name): float(others[name]) for name in [*others][-MOST_LEAVES:]}
        one.changes = int(plain["changes"])
        if plain["last"]:
            at, before, after, returned = plain["last"]
            one.last = LeafChange(float(at), _served(before), _served(after), bool(returned))
        return one


def _served(values: list[Any]) -> ServedLeaf:
    fingerprint, issuer, key_type, begins, ends = values
    return ServedLeaf(str(fingerprint), str(issuer), str(key_type), float(begins), float(ends))


def served_leaf(facts: CertificateFacts) -> ServedLeaf:
    """What is remembered of a certificate."""
    return ServedLeaf(
        facts.fingerprint_sha256, facts.issuer, facts.key_type, facts.not_before, facts.not_after
    )


class LeafWatch:
    """The certificates of one check, by target, provider and key type.

    Args:
        grace: seconds within which one that was served may show again without being a change.
        recall: gives what was known of a subject before a restart, once; None for nothing.
    """

    def __init__(
        self,
        grace: float,
        recall: Callable[[Subject], WatchedLeaf | None] = lambda _: None,
    ) -> None:
        self.grace = grace
        self._recall = recall
        self._groups: dict[Subject, WatchedLeaf] = {}

    def of(self, subject: Subject) -> WatchedLeaf | None:
        """Return what is known of a subject."""
        return self._groups.get(subject)

    def observe(
        self,
        key: EdgeKey,
        before: CertificateFacts | None,
        leaf: CertificateFacts,
        at: float,
        serving: Callable[[Subject], Collection[str]],
    ) -> tuple[Subject, WatchedLeaf, bool] | None:
        """Take in that an edge serves another certificate than it did, or its first.

        Args:
            key: the edge and client.
            before: what it served until now; None when it is new, or had no handshake.
            leaf: what it serves.
            at: wall time.
            serving: fingerprints that the other edges of a subject serve now.

        Returns:
            The subject, what is known of it now, and whether this is a change to be told; None
            when nothing is new.
        """
        subject = Subject(key.target, key.provider, leaf.key_type)
        name, group = leaf.fingerprint_sha256, self._groups.get(subject)
        if before is not None:
            self._left(key, before, at)
        if group is None:
            group = self._groups[subject] = self._recall(subject) or WatchedLeaf(
                served_leaf(leaf), at
            )
            group.looked = at
            if name == group.current.fingerprint:
                new = group.begun == at
                return subject, group, new and self._other_key(key, group, before, at)
        elif name == group.current.fingerprint:
            return None
        served, known = serving(subject), group.others.get(name)
        if name in served or (known is not None and at - known <= max(self.grace, _LEAST_GRACE)):
            self._keep(group, name, served, at)
            return (subject, group, False) if group.looked == at else None
        newer = leaf.not_before > group.current.not_before
        there = group.current.fingerprint in served or at - group.looked < _LEARN
        if before is None and there and (not newer or at - group.begun < _LEARN):
            old = served_leaf(leaf)
            if newer:  # it was on its way before anybody looked
                old, group.current = group.current, old
            self._keep(group, old.fingerprint, served, at)
            return subject, group, False
        told = self._keep(group, group.current.fingerprint, served, at)
        self._change(group, group.current, served_leaf(leaf), at, told=told)
        return subject, group, told

    def _other_key(
        self, key: EdgeKey, group: WatchedLeaf, before: CertificateFacts | None, at: float
    ) -> bool:
        """Tell the first certificate of a key type as a change, where an edge had another type."""
        if before is None:
            return False
        old = self._groups.get(Subject(key.target, key.provider, before.key_type))
        if old is None or old.current.fingerprint != before.fingerprint_sha256:
            return False
        self._change(group, old.current, group.current, at, told=True)
        return True

    def _left(self, key: EdgeKey, before: CertificateFacts, at: float) -> None:
        """Note until when an edge served what it no longer does."""
        group = self._groups.get(Subject(key.target, key.provider, before.key_type))
        if group is not None and before.fingerprint_sha256 in group.others:
            group.others[before.fingerprint_sha256] = at

    @staticmethod
    def _keep(group: WatchedLeaf, name: str, served: Collection[str], at: float) -> bool:
        """Remember a certificate that is out there; false when there are too many of them."""
        group.others.pop(name, None)
        group.others[name] = at
        if len(group.others) <= MOST_LEAVES:
            return True
        gone = [one for one in group.others if one not in served]
        del group.others[min(gone or group.others, key=group.others.__getitem__)]
        return bool(gone)

    @staticmethod
    def _change(
        group: WatchedLeaf, before: ServedLeaf, after: ServedLeaf, at: float, *, told: bool
    ) -> None:
        returned = group.others.pop(after.fingerprint, None) is not None
        group.current = after
        if told:
            group.changes += 1
            group.last = LeafChange(at, before, after, returned)

    def forget(self, key: ProviderKey) -> None:
        """Forget a target that is not reached through this provider any more."""
        for key_type in _KEY_TYPES:
            self._groups.pop(Subject(key.target, key.provider, key_type), None)
