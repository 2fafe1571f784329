"""Do the edges of a target serve the same certificate? Pure; wall times are arguments.

Leaves are compared per target and key type (an RSA certificate beside an ECDSA one is no
difference), and within a provider unless the rule says otherwise (CDNs that each hold their
own certificate are none either). A renewal that rolls over the edges is a difference, and
no alarm until it has lasted longer than the rule's grace.

Which leaf is *expected*: the one that most edges serve; of equally many the newer one, because
a renewal goes forward. The edges that serve another one are the minority.

An edge counts with what it served in its latest attempt. Without a handshake it is absent: it
neither keeps an old certificate alive nor loses a vote to one that nobody saw. An address with
several machines behind it may serve two leaves in turn, so a difference ends only when all
have agreed for ``settle`` seconds; until then it keeps its date.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from probe.model.result import CertificateFacts
from probe.model.state import ConsensusRule
from probe.model.target import EdgeKey


class Subject(NamedTuple):
    """What is compared: one key type of one target; ``provider`` is empty across providers."""

    target: str
    provider: str
    key_type: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """One of the certificates served, and by whom."""

    facts: CertificateFacts
    keys: tuple[EdgeKey, ...]

    @property
    def edges(self) -> int:
        """Number of edges, whatever the number of clients."""
        return len({(key.provider, key.edge) for key in self.keys})


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the edges of one subject serve now.

    Attributes:
        leaves: distinct leaves, the expected one first; empty when no edge is present,
            so that nothing is to be exported.
        differs_since: wall time since when they have differed; None when they agree and
            have settled.
    """

    subject: Subject
    leaves: tuple[Leaf, ...]
    differs_since: float | None = None

    @property
    def minority(self) -> tuple[EdgeKey, ...]:
        """Edges that serve another leaf than the expected one, in order."""
        return tuple(sorted(key for leaf in self.leaves[1:] for key in leaf.keys))

    def overdue(self, rule: ConsensusRule, now: float) -> bool:
        """Tell whether the leaves differ now, and have for longer than a rolling renewal may.

        A renewal that all edges have finished is never overdue, however long it took.
        """
        if len(self.leaves) < 2 or self.differs_since is None:
            return False
        return now - self.differs_since > rule.grace


class _Group:
    """The edges of one subject, and since when they have differed or agreed."""

    __slots__ = ("agreed_since", "differs_since", "served")

    def __init__(self) -> None:
        self.served: dict[EdgeKey, CertificateFacts] = {}
        self.differs_since: float | None = None
        self.agreed_since: float | None = None

    def date(self, at: float, settle: float) -> None:
        """Note when a difference began or ended, after a change."""
        if len({facts.fingerprint_sha256 for facts in self.served.values()}) > 1:
            if self.differs_since is None or self.settled(at, settle):
                self.differs_since = at
            self.agreed_since = None
        elif self.differs_since is not None and self.agreed_since is None:
            self.agreed_since = at

    def settled(self, at: float, settle: float) -> bool:
        """Tell whether a difference that ended has stayed so for long enough."""
        return self.agreed_since is not None and at - self.agreed_since >= settle


class Consensus:
    """What every edge of one check serves.

    Args:
        rule: what is compared with what.
        settle: seconds of agreement after which a difference is over.
    """

    def __init__(self, rule: ConsensusRule, *, settle: float = 600.0) -> None:
        self.rule = rule
        self.settle = settle
        self._groups: dict[Subject, _Group] = {}
        self._subjects: dict[EdgeKey, Subject] = {}

    def observe(
        self, key: EdgeKey, leaf: CertificateFacts | None, at: float
    ) -> tuple[Agreement, ...]:
        """Take the leaf of an attempt into account.

        Args:
            key: the edge and client.
            leaf: None when there was no handshake, or no leaf that could be parsed.
            at: wall time of the attempt.

        Returns:
            The agreements that changed; empty when the edge serves what it served before.
        """
        before = self._subjects.get(key)
        if leaf is None:
            return () if before is None else (self._withdraw(key, before, at),)
        subject = self._subject(key, leaf)
        changed: list[Agreement] = []
        if before == subject:
            served = self._groups[subject].served[key]
            if served.fingerprint_sha256 == leaf.fingerprint_sha256:
                return ()
        elif before is not None:
            changed.append(self._withdraw(key, before, at))
        group = self._groups.setdefault(subject, _Group())
        group.served[key] = leaf
        self._subjects[key] = subject
        group.date(at, self.settle)
        changed.append(self._agreement(subject, group, at))
        return tuple(changed)

    def served(self, key: EdgeKey) -> CertificateFacts | None:
        """Return what an edge served in its latest attempt; None without a handshake."""
        subject = self._subjects.get(key)
        return None if subject is None else self._groups[subject].served[key]

    def serving(self, subject: Subject) -> set[str]:
        """Return the fingerprints that the edges of one provider serve, of one key type."""
        provider = "" if self.rule.across_providers else subject.provider
        group = self._groups.get(subject._replace(provider=provider))
        return {
            leaf.fingerprint_sha256
            for key, leaf in (group.served.items() if group is not None else ())
            if key.provider == subject.provider
        }

    def remove(self, keys: Iterable[EdgeKey], at: float) -> tuple[Agreement, ...]:
        """Forget edges that no longer exist; return the agreements that changed."""
        changed: dict[Subject, Agreement] = {}
        for key in keys:
            subject = self._subjects.get(key)
            if subject is not None:
                changed[subject] = self._withdraw(key, subject, at)
        return tuple(changed.values())

    def agreements(self, at: float) -> tuple[Agreement, ...]:
        """List all agreements, in order."""
        return tuple(
            self._agreement(subject, self._groups[subject], at) for subject in sorted(self._groups)
        )

    def differing(self, at: float) -> tuple[Agreement, ...]:
        """List agreements that differ or have not settled, in order; cheap when there are few."""
        dated = [
            subject for subject, group in self._groups.items() if group.differs_since is not None
        ]
        agreements = (
            self._agreement(subject, self._groups[subject], at) for subject in sorted(dated)
        )
        return tuple(one for one in agreements if one.differs_since is not None)

    def settled(self, at: float) -> tuple[Agreement, ...]:
        """List agreements whose difference is over now because nothing happened since it ended.

        ``observe`` speaks of changes alone; call this now and then to hear of the rest. Each
        is given once.
        """
        over: list[Agreement] = []
        for subject, group in list(self._groups.items()):
            if group.settled(at, self.settle):
                group.differs_since = group.agreed_since = None
                over.append(self._agreement(subject, group, at))
                if not group.served:
                    del self._groups[subject]
        return tuple(over)

    def configure(self, rule: ConsensusRule, at: float) -> None:
        """Change the rule. What is compared anew counts as differing from now on."""
        regroup = rule.across_providers != self.rule.across_providers
        self.rule = rule
        if not regroup:
            return
        served = [
            (key, self._groups[subject].served[key]) for key, subject in self._subjects.items()
        ]
        self._groups.clear()
        self._subjects.clear()
        for key, leaf in served:
            self.observe(key, leaf, at)

    def _subject(self, key: EdgeKey, leaf: CertificateFacts) -> Subject:
        provider = "" if self.rule.across_providers else key.provider
        return Subject(key.target, provider, leaf.key_type)

    def _withdraw(self, key: EdgeKey, subject: Subject, at: float) -> Agreement:
        group = self._groups[subject]
        del group.served[key]
        del self._subjects[key]
        group.date(at, self.settle)
        if not group.served and group.differs_since is None:
            del self._groups[subject]  # a dated difference survives a moment without handshakes
        return self._agreement(subject, group, at)

    def _agreement(self, subject: Subject, group: _Group, at: float) -> Agreement:
        keys: dict[str, list[EdgeKey]] = {}
        facts: dict[str, CertificateFacts] = {}
        for key, leaf in group.served.items():
            keys.setdefault(leaf.fingerprint_sha256, []).append(key)
            facts[leaf.fingerprint_sha256] = leaf
        leaves = [Leaf(facts[name], tuple(sorted(keys[name]))) for name in keys]
        leaves.sort(key=lambda leaf: leaf.facts.fingerprint_sha256)
        leaves.sort(key=lambda leaf: (leaf.edges, leaf.facts.not_before), reverse=True)
        since = None if group.settled(at, self.settle) else group.differs_since
        return Agreement(subject, tuple(leaves), since)
