"""Paths from the presented certificate to trust anchors, by name and signature alone.

What stands on a path may be expired or otherwise unfit: that is judged per path. Looking for
all of them, and not for the first that verifies, tells *why* none verifies, and lets an
expired cross-signed root that no verified path uses pass without alarm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from probe.certificates.certificate import Certificate
from probe.certificates.opinions import signed_by
from probe.certificates.verdict import Finding, called, from_url
from probe.model.failure import Reason

MAX_DEPTH = 10
MAX_PATHS = 16
MAX_SIGNATURES = 16
"""Verifications of one search; chains of today's authorities need fewer than eight."""

Path = tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """What looking for paths found.

    Attributes:
        complete: paths that end in a trust anchor; leaf first, anchor last.
        partial: the longest path that ends nowhere; meaningful when none is complete.
        ancestors: digests of everything that stands, by signatures, above the leaf.
    """

    complete: tuple[Path, ...]
    partial: Path
    ancestors: frozenset[bytes]


def find_paths(
    leaf: Certificate, others: Iterable[Certificate], roots: Sequence[Certificate]
) -> Search:
    """Find every path from ``leaf`` over ``others`` to one of ``roots``, within fixed bounds."""
    return _Finder(others, roots).search(leaf)


class _Finder:
    """Depth-first search whose cost is bounded whatever a server presents."""

    def __init__(self, others: Iterable[Certificate], roots: Sequence[Certificate]) -> None:
        self._anchors = {root.digest for root in roots}
        self._issuers: dict[bytes, list[Certificate]] = {}
        seen: set[bytes] = set()
        for candidate in (*roots, *others):
            if candidate.digest not in seen:
                seen.add(candidate.digest)
                self._issuers.setdefault(candidate.subject_key, []).append(candidate)
        self._signed: dict[tuple[bytes, bytes], bool] = {}
        self._complete: list[Path] = []
        self._partial: Path = ()
        self._ancestors: set[bytes] = set()

    def search(self, leaf: Certificate) -> Search:
        self._extend((leaf,))
        return Search(tuple(self._complete), self._partial, frozenset(self._ancestors))

    def _extend(self, path: Path) -> None:
        if len(self._complete) >= MAX_PATHS:
            return
        if path[-1].digest in self._anchors:
            self._complete.append(path)
            return
        if len(path) > len(self._partial):
            self._partial = path
        if len(path) > MAX_DEPTH:
            return
        for issuer in self._signers(path):
            self._ancestors.add(issuer.digest)
            self._extend((*path, issuer))

    def _signers(self, path: Path) -> Iterator[Certificate]:
        top = path[-1]
        candidates = self._issuers.get(top.issuer_key, ())
        for issuer in sorted(candidates, key=lambda candidate: _unlikely(top, candidate)):
            # The same key under the same name twice leads in circles (cross-signed pairs).
            same = (issuer.subject_key, issuer.facts.spki_sha256)
            if any((one.subject_key, one.facts.spki_sha256) == same for one in path):
                continue
            if self._signs(top, issuer):
                yield issuer

    def _signs(self, certificate: Certificate, issuer: Certificate) -> bool:
        key = (certificate.digest, issuer.digest)
        if key not in self._signed:
            if len(self._signed) >= MAX_SIGNATURES:
                return False
            self._signed[key] = signed_by(certificate, issuer)
        return self._signed[key]


def _unlikely(certificate: Certificate, issuer: Certificate) -> int:
    """Sort key: matching key identifiers first, contradicting ones last (RFC 4158 3.5.12)."""
    if certificate.issuer_key_id is None or issuer.key_id is None:
        return 1
    return 0 if certificate.issuer_key_id == issuer.key_id else 2


def why_untrusted(
    partial: Path,
    presented: Sequence[Certificate],
    roots: Sequence[Certificate],
    known: Sequence[Certificate],
    organizations: frozenset[str],
) -> Iterator[Finding]:
    """Say why ``partial``, the longest path that can be built, ends nowhere.

    Args:
        partial: leaf first.
        presented: everything that was sent.
        roots: trust roots whose names the chain (or ``known``) mentions.
        known: intermediates that verified elsewhere; they tell with certainty that one is
            missing here.
        organizations: of all trust roots, to guess with when nothing is certain.
    """
    leaf, top = partial[0], partial[-1]
    if leaf.facts.self_signed:
        yield Finding(
            Reason.SELF_SIGNED,
            f"{called(leaf.facts.subject)} is signed by itself and no trust root",
        )
        return
    if missing := _missing(leaf, presented, roots, known):
        yield Finding(Reason.MISSING_INTERMEDIATE, _names_missing(partial, missing))
        return
    if top.facts.self_signed:
        yield Finding(
            Reason.UNKNOWN_ISSUER,
            f"the chain ends in {called(top.facts.subject)}, which is no trust root",
        )
        return
    namesakes = [c for c in (*presented, *roots) if c.subject_key == top.issuer_key]
    if namesakes:
        yield _wrong_namesake(top, namesakes, roots)
    else:
        yield _absent(partial, organizations)


def _missing(
    leaf: Certificate,
    presented: Sequence[Certificate],
    roots: Sequence[Certificate],
    known: Sequence[Certificate],
) -> list[Certificate]:
    """Return the known intermediates that would make the chain whole; empty if none do."""
    if not known:
        return []
    search = find_paths(leaf, [*presented, *known], roots)
    if not search.complete:
        return []
    sent = {c.digest for c in presented}
    path = min(search.complete, key=lambda p: sum(c.digest not in sent for c in p[:-1]))
    return [c for c in path[:-1] if c.digest not in sent]


def _names_missing(partial: Path, missing: Iterable[Certificate]) -> str:
    names = ", ".join(called(c.facts.subject) for c in missing)
    return f"the edge does not send {names}, which completes the chain{from_url(partial[-1].facts)}"


def _wrong_namesake(
    top: Certificate, namesakes: Sequence[Certificate], roots: Sequence[Certificate]
) -> Finding:
    """Report that a certificate of the issuer's name is at hand, whose key did not sign."""
    name = called(top.facts.issuer)
    same_key = [c for c in namesakes if top.issuer_key_id and c.key_id == top.issuer_key_id]
    if same_key:
        return Finding(
            Reason.CHAIN_INVALID,
            f"the signature of {called(top.facts.subject)} does not verify with the key of {name}",
        )
    root_digests = {c.digest for c in roots}
    if all(c.digest in root_digests for c in namesakes):
        return Finding(
            Reason.UNKNOWN_ISSUER,
            f"the issuer calls itself {name} like a trust root, and has another key",
        )
    return Finding(
        Reason.MISSING_INTERMEDIATE,
        f"a certificate of {name} was sent, and it has another key than the one that signed "
        f"{called(top.facts.subject)}{from_url(top.facts)}",
    )


def _absent(partial: Path, organizations: frozenset[str]) -> Finding:
    """Report an issuer that was not sent and is no root: an intermediate is missing, or trust.

    From the chain alone this cannot be told for certain. An edge that sends nothing but the
    leaf has most likely lost its intermediates when the leaf says where its issuer is
    published, as public authorities do (CA/B BR 7.1.2.7.7), or when the issuer belongs to the
    organization of a trust root. When intermediates were sent, the root is what is unknown.
    """
    leaf, top = partial[0], partial[-1]
    issuer = called(top.facts.issuer)
    if len(partial) == 1 and (leaf.facts.issuer_url or leaf.issuer_organizations() & organizations):
        return Finding(
            Reason.MISSING_INTERMEDIATE,
            f"the issuer {issuer} was not sent and is no trust root{from_url(top.facts)}",
        )
    sent = "nothing but the server's certificate was sent, and" if len(partial) == 1 else ""
    return Finding(
        Reason.UNKNOWN_ISSUER,
        f"{sent} the issuer {issuer} is no trust root{from_url(top.facts)}".strip(),
    )
