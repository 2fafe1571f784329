"""What DNS says about a name besides addresses: HTTPS (RFC 9460) and CAA (RFC 8659) records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from probe.model.failure import Failure

RecordType = Literal["HTTPS", "CAA"]
"""Records that can be looked up beside A and AAAA."""


@dataclass(frozen=True, slots=True)
class HttpsRecord:
    """One HTTPS record.

    Attributes:
        priority: 0 is an alias (AliasMode).
        target: name of the endpoint, in lower case; empty is the record's own name.
        alpn: protocols that the endpoint promises.
        default_alpn: it promises http/1.1 too.
        port: instead of the one asked for.
        hints: addresses of ipv4hint and ipv6hint.
        foreign: keys that a client must know and that we do not: clients skip such a record.
    """

    priority: int
    target: str
    alpn: tuple[str, ...] = ()
    default_alpn: bool = True
    port: int | None = None
    hints: tuple[str, ...] = ()
    foreign: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CaaRecord:
    """One CAA record: whether it is critical, its tag in lower case, and its value."""

    critical: bool
    tag: str
    value: str


@dataclass(frozen=True, slots=True)
class HttpsSet:
    """The HTTPS records that hold for a name.

    Attributes:
        name: where they were found, aliases followed; its own name when there are none.
        records: those of services, aliases left out.
    """

    name: str
    records: tuple[HttpsRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class CaaSet:
    """The CAA records that hold for a name.

    Attributes:
        name: where they were found: the name, or the nearest one above; empty without any.
    """

    name: str = ""
    records: tuple[CaaRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class NotLookedAt:
    """Nothing is known: nobody answered, or what came cannot be read. Says why."""

    why: str


@dataclass(frozen=True, slots=True)
class NameRecords:
    """The records of a target's name. None was not asked for.

    Attributes:
        caa: what holds for the name itself.
        wildcard_caa: what holds for a wildcard that covers the name, as asked of its parent.
    """

    https: HttpsSet | NotLookedAt | None = None
    caa: CaaSet | NotLookedAt | None = None
    wildcard_caa: CaaSet | NotLookedAt | None = None

    def looked_at(self) -> dict[RecordType, bool]:
        """Tell of each type that was asked for whether it was answered."""
        asked: dict[RecordType, bool] = {}
        if self.https is not None:
            asked["HTTPS"] = not isinstance(self.https, NotLookedAt)
        if self.caa is not None:
            caa = (self.caa, self.wildcard_caa)
            asked["CAA"] = not any(isinstance(one, NotLookedAt) for one in caa)
        return asked


@dataclass(frozen=True, slots=True)
class NameFindings:
    """The records of a target's name through one provider, and what they contradict.

    Attributes:
        warnings: findings about the name itself; those about an edge stand with its results.
    """

    records: NameRecords
    warnings: tuple[Failure, ...] = ()
