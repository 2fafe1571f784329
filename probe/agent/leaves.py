"""Tells that a provider serves another certificate for a target: log, page, series, state."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from probe.agent.leaf_book import LeafBook
from probe.agent.log import EventLog, timestamp
from probe.model.failure import Reason
from probe.model.result import CertificateFacts, Failed, TlsResult
from probe.model.spec import TlsCheck
from probe.model.state import LeafChange, ServedLeaf, Transition
from probe.model.target import ProviderKey
from probe.serve import CertificatesKey, LeafRecord, Store
from probe.state.consensus import Consensus, Subject
from probe.state.leaves import LeafWatch, WatchedLeaf

_NOT_ITS_OWN = frozenset({Reason.NAME_MISMATCH, Reason.DEFAULT_CERTIFICATE})


class LeafEvents:
    """Watches what is served, of every check.

    Args:
        store: keeps counts and the latest change for series and page.
        log: one line for each change.
        book: keeps it across restarts; None keeps nothing.
    """

    def __init__(self, store: Store, log: EventLog, book: LeafBook | None = None) -> None:
        self._store = store
        self._log = log
        self._book = book
        self._watches: dict[str, LeafWatch] = {}

    def configure(self, checks: Mapping[str, TlsCheck]) -> None:
        """Follow a configuration. What is known of checks that stay is kept."""
        for name in self._watches.keys() - checks.keys():
            del self._watches[name]
        for name, check in checks.items():
            if name in self._watches:
                self._watches[name].grace = check.consensus.grace
            else:
                recall = partial(self._recall, name)
                self._watches[name] = LeafWatch(check.consensus.grace, recall)

    def forget(self, key: ProviderKey) -> None:
        """Forget a target that is not reached through this provider any more."""
        if key.check in self._watches:
            self._watches[key.check].forget(key)

    def observe(self, result: TlsResult, leaf: CertificateFacts, consensus: Consensus) -> None:
        """Take in what an edge serves; to be called before its consensus is.

        A certificate for other names is not the target's: that edge fails, and is told as such.
        """
        key, outcome = result.key, result.outcome
        before = consensus.served(key)
        if before is not None and before.fingerprint_sha256 == leaf.fingerprint_sha256:
            return
        if isinstance(outcome, Failed):
            found = (outcome.failure, *outcome.others)
            if any(one.reason in _NOT_ITS_OWN for one in found):
                return
        watch = self._watches[key.check]
        seen = watch.observe(key, before, leaf, result.at, consensus.serving)
        if seen is None:
            return
        subject, known, told = seen
        place = CertificatesKey(key.check, *subject)
        self._store.record_leaf(place, LeafRecord(known.changes, known.last))
        if self._book is not None:
            self._book.note(place, known)
        if told and known.last is not None:
            self._tell(place, known.last)

    def _recall(self, check: str, subject: Subject) -> WatchedLeaf | None:
        return None if self._book is None else self._book.recall(CertificatesKey(check, *subject))

    def _tell(self, key: CertificatesKey, change: LeafChange) -> None:
        self._log.info(
            "certificate changed",
            **key._asdict(),
            what=change.kind,
            **_fields("old", change.before),
            **_fields("new", change.after),
        )
        if change.kind == "renewed":
            return  # the domain's page shows it; thousands must not push failures off the first
        through = ProviderKey(key.check, key.target, key.provider)
        note = f"{words(change.before)} gave way to {words(change.after)}"
        self._store.note(
            Transition(through, "certificate", change.kind, change.at, change.at, note=note)
        )


def _fields(which: str, leaf: ServedLeaf) -> dict[str, str]:
    return {
        f"{which}_fingerprint": leaf.fingerprint,
        f"{which}_issuer": leaf.issuer,
        f"{which}_key_type": leaf.key_type,
        f"{which}_not_before": timestamp(leaf.not_before),
        f"{which}_not_after": timestamp(leaf.not_after),
    }


def words(leaf: ServedLeaf) -> str:
    """Name a certificate: its fingerprint's beginning, key, issuer and end."""
    until = timestamp(leaf.not_after)[:10]
    return f"{leaf.fingerprint[:12]} ({leaf.key_type}, by {leaf.issuer}, until {until})"
