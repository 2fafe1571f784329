"""Paths from the presented certificate to trust anchors, by name and signature alone.

What stands on a path may be expired or otherwise unfit: that is judged per path. Looking for
all of them, and not for the first that verifies, tells *why* none verifies, and lets an
expired cross-signed root that no verified path uses pass without alarm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from probe.certificates.certificate import Certificate
from probe.certificates.signatures import signed_by

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
    """Every path from ``leaf`` over ``others`` to one of ``roots``, within fixed bounds."""
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
            if any(_same_authority(issuer, below) for below in path):
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


def _same_authority(one: Certificate, other: Certificate) -> bool:
    return one.subject_key == other.subject_key and one.facts.spki_sha256 == other.facts.spki_sha256


def _unlikely(certificate: Certificate, issuer: Certificate) -> int:
    """Sort key: matching key identifiers first, contradicting ones last (RFC 4158 3.5.12)."""
    if certificate.issuer_key_id is None or issuer.key_id is None:
        return 1
    return 0 if certificate.issuer_key_id == issuer.key_id else 2
