"""What a catalogue entry says, and the register that the tests walk through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from probe.certificates import Roots, Verdict
from probe.certificates.certificate import Certificate
from probe.certificates.question import Question
from probe.model.failure import Reason
from probe.model.tls import ChainExpectations

from .authority import NOW, Made


@dataclass(frozen=True, kw_only=True)
class Case:
    """One presented chain and what must be said of it.

    Attributes:
        sent: as presented, the server's own first; bytes stand for what is no certificate.
        roots: what is trusted.
        failures: reasons of the fatal findings, in the order in which they must stand.
        warnings: reasons of the others, likewise.
        openssl: whether OpenSSL accepts (path, purpose and name).
        webpki: whether cryptography's verifier accepts (path and name).
        stricter: why we refuse what both accept; empty when we do not.
        says: texts that the detail of the first finding must contain, of the first warning when
            nothing fails.
    """

    sent: Sequence[Made | bytes]
    roots: Sequence[Made]
    name: str = "shop.example"
    now: datetime = NOW
    expect: ChainExpectations = field(default_factory=ChainExpectations)
    staple: bytes | None = None
    own_names: tuple[str, ...] = ()
    known: Sequence[Made] = ()
    failures: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    openssl: bool = True
    webpki: bool = True
    stricter: str = ""
    says: tuple[str, ...] = ()
    verified_not_after: datetime | None = None

    @property
    def ders(self) -> list[bytes]:
        return [entry if isinstance(entry, bytes) else entry.der for entry in self.sent]


CATALOGUE: dict[str, Callable[[], Case]] = {}


def case(make: Callable[[], Case]) -> Callable[[], Case]:
    """Enter a function into the catalogue under its own name."""
    assert make.__name__ not in CATALOGUE
    CATALOGUE[make.__name__] = make
    return make


def judge_chain(
    chain: Sequence[bytes],
    name: str,
    now: float,
    *,
    roots: Roots,
    expect: ChainExpectations,
    staple: bytes | None = None,
    own_names: tuple[str, ...] = (),
    known: Sequence[Certificate] = (),
) -> Verdict:
    """What a judge without any memory says."""
    return Question(chain, name, now, roots, expect, staple, own_names).answer(known)[1]
