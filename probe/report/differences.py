"""Certificates that differ between the edges of a target, gathered by pattern. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from string import ascii_uppercase

from probe.report.findings import named
from probe.report.rows import ReportRow

MOST_PATTERNS = 10
"""Patterns that are shown; how many more there are is said."""


@dataclass(frozen=True, slots=True)
class Served:
    """Edges of one pattern that serve one certificate for each of its targets.

    Attributes:
        letter: A for what most edges serve.
        certificates: fingerprints of all targets together.
        expires: when the first and the last of them expire; seconds since the epoch.
    """

    letter: str
    edges: tuple[str, ...]
    key_type: str
    certificates: frozenset[str]
    expires: tuple[float, float]

    @property
    def words(self) -> str:
        """``192.0.2.1:443 serves A (ecdsa aaaaaaaaaaaa until 2030-03-17)``."""
        first, last = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in self.expires)
        until = first if first == last else f"{first} to {last}"
        one = len(self.certificates) == 1
        what = next(iter(self.certificates))[:12] if one else f"{len(self.certificates)} ones"
        verb = "serves" if len(self.edges) == 1 else "serve"
        return (
            f"{', '.join(self.edges)} {verb} {self.letter} ({self.key_type} {what} until {until})"
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """Targets whose edges differ in the same way."""

    provider: str
    client: str
    targets: tuple[str, ...]
    served: tuple[Served, ...]

    def words(self, most: int | None) -> list[str]:
        """What is served where, and for which targets: a text each."""
        where = f"{self.provider} {self.client}"
        return [where, *(one.words for one in self.served), named(self.targets, most)]


def patterns(rows: Iterable[ReportRow]) -> list[Difference]:
    """Gather the targets whose edges show different certificates of one key type to one client.

    Within a target, certificates are lettered by how many edges show them. An edge that shows
    none fails, and is a finding of its own.
    """
    split: dict[tuple[str, str, str, str], list[ReportRow]] = defaultdict(list)
    for row in rows:
        if row.certificate and not row.flow:
            split[row.check, row.target, row.provider, row.what].append(row)
    alike: dict[tuple[object, ...], list[list[list[ReportRow]]]] = defaultdict(list)
    for (check, _, provider, client), mine in split.items():
        if _differ(mine):
            groups = _groups(mine)
            shape = tuple((_edges(group), group[0].key_type) for group in groups)
            alike[check, provider, client, shape].append(groups)
    found = [_pattern(members) for members in alike.values()]
    return sorted(found, key=lambda one: (-len(one.targets), one.provider, one.client))


def _differ(rows: Sequence[ReportRow]) -> bool:
    by_type: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        by_type[row.key_type].add(row.certificate)
    return any(len(certificates) > 1 for certificates in by_type.values())


def _groups(rows: Sequence[ReportRow]) -> list[list[ReportRow]]:
    """Rows by certificate, first what most edges show."""
    groups: dict[str, list[ReportRow]] = defaultdict(list)
    for row in rows:
        groups[row.certificate].append(row)
    return sorted(groups.values(), key=lambda group: (-len(group), _edges(group)))


def _edges(group: Sequence[ReportRow]) -> tuple[str, ...]:
    return tuple(sorted({row.edge for row in group}))


def _pattern(members: Sequence[Sequence[Sequence[ReportRow]]]) -> Difference:
    """Make the pattern of targets that are alike; each is its groups of rows."""
    first = members[0][0][0]
    targets = tuple(groups[0][0].target for groups in members)
    return Difference(first.provider, first.what, targets, tuple(_served(members)))


def _served(members: Sequence[Sequence[Sequence[ReportRow]]]) -> Iterator[Served]:
    for place, group in enumerate(members[0]):
        all_of_it = [groups[place][0] for groups in members]
        expires = [row.expires or 0.0 for row in all_of_it]
        letter = ascii_uppercase[place % len(ascii_uppercase)]
        certificates = frozenset(row.certificate for row in all_of_it)
        yield Served(
            letter,
            _edges(group),
            group[0].key_type,
            certificates,
            (min(expires), max(expires)),
        )
