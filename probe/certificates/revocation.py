"""What revocation lists say of a verified path (RFC 5280 section 6.3). Pure.

A list that is absent, damaged or out of date is a finding about the list. A certificate that a
list names is revoked, also while that list is out of date: nobody takes a revocation back but by
a newer list.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal
from urllib.parse import urlsplit

from cryptography import x509

from probe.certificates.certificate import Certificate, read
from probe.certificates.crl import RevocationList, Revoked, key_digest, urls_of
from probe.certificates.der import UNREADABLE
from probe.certificates.verdict import Finding, Verdict, called, clip, instant, span, with_more
from probe.model.failure import Reason

_MOST_PLACES = 4
"""Places of one certificate at which its list is looked for."""

_LONGEST_URL = 400


@dataclass(frozen=True, slots=True)
class Place:
    """Where a certificate says that its list is.

    Attributes:
        url: plain http.
        names: all URLs of that distribution point (RFC 5280 section 4.2.1.13): a list that is a
            part of several must bear one of them.
    """

    url: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revocable:
    """A certificate of a verified path that names a list.

    Attributes:
        serial: its serial number.
        authority: it is an issuer itself.
        places: of its list, each instead of the one before.
        deltas: URLs of lists with later changes.
        issuer: DER of its issuer's certificate.
        whose: in words.
        needed: every verified path has it, so that no client gets by without it.
    """

    serial: int
    authority: bool
    places: tuple[Place, ...]
    deltas: tuple[str, ...]
    issuer: bytes
    whose: str
    needed: bool = True


Status = Literal["good", "revoked", "unknown", "pending"]


@dataclass(frozen=True, slots=True)
class Revocation:
    """What is known of a path.

    Attributes:
        status: ``good`` when every list that its certificates name was looked at; ``unknown`` when
            one of them cannot be used; ``pending`` while one was never asked for.
        boundaries: instants at which this may change.
    """

    status: Status
    findings: tuple[Finding, ...] = ()
    boundaries: tuple[float, ...] = ()


class Known:
    """What is known of one URL.

    Attributes:
        issuers: DER certificates of the authorities whose list it may be.
        held: the latest list that could be used.
        trouble: why the latest look gave none; None when it did, or before the first.
        watches: paths whose judgement asked for it.
    """

    __slots__ = ("held", "issuers", "trouble", "watches")

    def __init__(self, trouble: Finding | None = None) -> None:
        self.issuers: dict[bytes, None] = {}
        self.held: RevocationList | None = None
        self.trouble = trouble
        self.watches: set[Watch] = set()


class Watch:
    """One path, and what was found of it last.

    Attributes:
        at: when the path was last served, seconds since the epoch.
        found: None when it must be judged again.
        urls: of the lists that this took.
        valid_from: ``found`` holds from here …
        valid_until: … up to, not including, this instant.
        known: it is among those that are told of changes.
    """

    __slots__ = ("at", "found", "known", "path", "urls", "valid_from", "valid_until")

    def __init__(self, path: tuple[Revocable, ...]) -> None:
        self.path = path
        self.at = -math.inf
        self.found: Revocation | None = None
        self.urls: tuple[str, ...] = ()
        self.valid_from, self.valid_until = -math.inf, math.inf
        self.known = True


Want = Callable[[str, bytes], Known]
"""Says what is known of a URL that an authority (its certificate) names, and has it fetched."""


def revocable(
    path: Sequence[Certificate], others: Sequence[Sequence[Certificate]]
) -> Iterator[Revocable]:
    """Yield what can be looked up of the best verified path; ``others`` are all that verify."""
    for depth, (certificate, issuer) in enumerate(pairwise(path)):
        points = certificate.extensions.get(x509.CRLDistributionPoints) or ()
        places = tuple(_places(points))[:_MOST_PLACES]
        if not places:
            continue
        freshest = certificate.extensions.get(x509.FreshestCRL) or ()
        whose = "the authority " + called(certificate.facts.subject) if depth else "the certificate"
        yield Revocable(
            serial=certificate.serial,
            authority=bool(depth),
            places=places,
            deltas=tuple(place.url for place in _places(freshest)),
            issuer=issuer.der,
            whose=whose,
            needed=all(any(c.digest == certificate.digest for c in one) for one in others),
        )


def _places(
    points: Sequence[x509.DistributionPoint] | x509.CRLDistributionPoints | x509.FreshestCRL,
) -> Iterator[Place]:
    for point in points:
        # A list by somebody else, or about some reasons only, is not judged: see `crl.read_list`.
        if point.crl_issuer or point.reasons:
            continue
        names = tuple(urls_of(point.full_name or ()))
        yield from (_place(url, names) for url in names if fetchable(url))


@functools.lru_cache(maxsize=1024)
def _place(url: str, names: tuple[str, ...]) -> Place:
    return Place(url, names)


def fetchable(url: str) -> bool:
    """Tell whether a URL may be asked for a list: plain http, and nothing odd about it."""
    if len(url) > _LONGEST_URL or not (url.isascii() and url.isprintable()) or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False


def with_lists(verdict: Verdict, found: Revocation, now: float) -> Verdict:
    """Add to a verdict what the lists say."""
    start, end = span(found.boundaries, now)
    return replace(
        verdict,
        failures=with_more(verdict.failures, (f.failure for f in found.findings if f.fatal)),
        warnings=with_more(verdict.warnings, (f.failure for f in found.findings if not f.fatal)),
        crl=found.status,
        valid_from=max(start, verdict.valid_from),
        valid_until=min(end, verdict.valid_until),
    )


def judge_path(path: Sequence[Revocable], want: Want, now: float) -> tuple[Revocation, list[str]]:
    """Judge a path by what is known; also return the URLs that this took."""
    case = _Case(want, now)
    statuses = [case.judged(one) for one in path]
    grave: tuple[Status, ...] = ("revoked", "pending", "unknown", "good")
    status = next(one for one in grave if one in statuses)
    findings, boundaries = tuple(dict.fromkeys(case.findings)), tuple(case.boundaries)
    return Revocation(status, findings, boundaries), list(case.asked)


class _Case:
    def __init__(self, want: Want, now: float) -> None:
        self._want = want
        self._now = now
        self.asked: dict[str, None] = {}
        self.findings: list[Finding] = []
        self.boundaries: list[float] = []

    def judged(self, one: Revocable) -> Status:
        """Look a certificate up at the first of its places that has a list that can be used."""
        troubles: list[Finding] = []
        for place in one.places:
            known = self._wanted(place.url, one.issuer)
            held = known.held
            if held is None:
                if known.trouble is None:
                    return "pending"
                troubles.append(known.trouble)
                continue
            if why := unfit(held, one, place):
                troubles.append(
                    Finding(Reason.CRL_INVALID, f"{_list(place.url)}: {why}", fatal=False)
                )
                continue
            later = self._later(one, held)
            entry, source = self._found(one, held, place.url, later)
            if entry is not None:
                self.findings.append(_revoked(one, entry, source))
                return "revoked" if one.needed else "unknown"
            if (late := self._late(held, place.url)) is not None:
                troubles.append(late)
                continue
            changes = later.values()
            pending = any(known.held is None and known.trouble is None for known in changes)
            return "pending" if pending else "good"
        self.findings += troubles[:1]
        return "unknown"

    def _wanted(self, url: str, issuer: bytes) -> Known:
        self.asked[url] = None
        return self._want(url, issuer)

    def _late(self, held: RevocationList, url: str) -> Finding | None:
        """Report a list that is out of date."""
        if held.next_update is None:
            return None
        self.boundaries.append(held.next_update + 1)
        if math.floor(self._now) <= held.next_update:
            return None
        ended = f"{_list(url)} ended at {instant(held.next_update)}, and no newer one is there"
        return Finding(Reason.CRL_EXPIRED, ended, fatal=False)

    def _later(self, one: Revocable, held: RevocationList) -> dict[str, Known]:
        """Ask for the lists with later changes; report those that cannot be used."""
        urls = dict.fromkeys((*one.deltas, *filter(fetchable, held.deltas)))
        found = {url: self._wanted(url, one.issuer) for url in list(urls)[:_MOST_PLACES]}
        for url, known in found.items():
            if known.held is not None:
                self.findings += filter(None, (self._late(known.held, url),))
            elif known.trouble is not None:
                self.findings.append(known.trouble)
        return found

    def _found(
        self, one: Revocable, held: RevocationList, url: str, later: Mapping[str, Known]
    ) -> tuple[Revoked | None, str]:
        """Return what is said of a certificate, the latest first, and where (section 5.2.4)."""
        for place, known in later.items():
            delta = known.held
            if delta is not None and _builds_on(delta, held):
                entry = delta.find(one.serial)
                if entry is not None:
                    return (None, "") if entry.why == "removeFromCRL" else (entry, place)
        return held.find(one.serial), url


def _builds_on(delta: RevocationList, held: RevocationList) -> bool:
    return (
        delta.base is not None
        and held.number is not None
        and delta.base <= held.number <= (held.number if delta.number is None else delta.number)
        and (delta.issuer_key, delta.signer, delta.names, delta.only)
        == (held.issuer_key, held.signer, held.names, held.only)
    )


@functools.lru_cache(maxsize=256)
def _issuer(der: bytes) -> tuple[bytes, bytes] | None:
    """Return the digests of a certificate's name and key; None when they cannot be read."""
    issuer = read(der)
    if not isinstance(issuer, Certificate):
        return None
    try:
        return issuer.subject_key, key_digest(issuer.parsed)
    except UNREADABLE:
        return None


def unfit(held: RevocationList, one: Revocable, place: Place) -> str:
    """Say why a list says nothing of a certificate; empty when it does (section 6.3.3)."""
    if (held.issuer_key, held.signer) != _issuer(one.issuer):
        return "it is signed by another key than the certificate"
    if held.base is not None:
        return "it holds changes only, where a complete list is due (deltaCRLIndicator)"
    if held.names and not set(held.names) & set(place.names):
        return f"it is another part, that of {clip(held.names[0])} (issuingDistributionPoint)"
    if held.only and (held.only == "authorities") is not one.authority:
        return f"it is about {held.only} only (issuingDistributionPoint)"
    return ""


def _revoked(one: Revocable, entry: Revoked, url: str) -> Finding:
    why = f" ({entry.why})" if entry.why else ""
    words = f"the issuer revoked {one.whose} at {instant(entry.at)}{why}, says {_list(url)}"
    other = "" if one.needed else "; another path does without it"
    return Finding(Reason.CRL_REVOKED, words + other, fatal=one.needed)


def _list(url: str) -> str:
    return f"the revocation list {clip(url)}"
