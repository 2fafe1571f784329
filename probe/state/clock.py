"""How far is this host's clock off, and what tells? Pure; times are monotonic seconds.

Three kinds of evidence, each for what it can tell:

- **The ``Date`` of answers over https** (RFC 9110 section 6.6.1): the middle of several hosts.
  References that the configuration names count alone. The hosts that flows call anyway are
  probed themselves: one of them says nothing of our clock, unless its certificate is valid at
  its own ``Date`` and not by our clock.
- **Signed dates of certificates.** No authority signs for a time to come, and nobody runs all
  of a region on certificates that ended more than a week ago. So three certificates that begin
  two days or more from now put our clock behind; three that ended a week ago, while none was
  seen valid by this clock, put it ahead. They must be unrelated: two issuers, or a week between
  the first and the last. One certificate for all names, or a renewal that broke last night, is
  the target's fault and stays so. Only certificates with an ordinary life count, 400 days.
- **The kernel's word** (adjtimex(2)) on whether something keeps the clock right. It excuses
  nothing: many a right clock is kept by nobody that the kernel knows of.

A clock that steps while the agent runs is seen against the monotonic one. Offsets that are known
move by the step; what the certificates said is forgotten and seen again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from probe.model.failure import Failure, Reason
from probe.model.result import CertificateFacts, Failed, Outcome, Passed

TIMED = frozenset(
    {
        Reason.EXPIRED,
        Reason.NOT_YET_VALID,
        Reason.EXPIRES_SOON,
        Reason.OCSP_EXPIRED,
        Reason.CHAIN_INVALID,  # an intermediate out of its time is found by path validation
    }
)
"""Findings on a chain that a wrong clock can cause."""

_OTHERWISE_TRUSTED = TIMED | {
    Reason.NAME_MISMATCH,
    Reason.DEFAULT_CERTIFICATE,
    Reason.SUPERFLUOUS,
    Reason.WRONG_ORDER,
    Reason.OCSP_MISSING,
    Reason.OCSP_INVALID,
}

_DAY = 86_400.0
_ORDINARY = 400 * _DAY  # CA/Browser Forum baseline requirements, section 6.3.2: 398 days at most
_AHEAD = 7 * _DAY
_BEHIND = 2 * _DAY  # authorities may date a certificate forward by 48 hours (section 7.1.2.7)
_UNRELATED = 3
_SPREAD = 7 * _DAY
_MOST_KEPT = 256

OWN_HOLDS = 600.0
"""Seconds for which the ``Date`` of a host that is probed anyway says something."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What is known of the clock.

    Attributes:
        offset: the seconds by which the right time is ahead of ours; None when unknown. By signed
            dates it is a bound: the clock is off by so much at least.
        why: evidence in words when that is too much; else empty.
        unjudged: why a wrong clock would not be noticed; else empty.
    """

    offset: float | None = None
    why: str = ""
    unjudged: str = ""


@dataclass(frozen=True, slots=True)
class _Offset:
    at: float
    seconds: float
    own: bool
    proof: bool


@dataclass(frozen=True, slots=True)
class _Dated:
    """A certificate that our clock lies outside of.

    Attributes:
        gap: seconds from our clock to the certificate's life; negative when that is past.
        moment: the end of its life that is nearer to us, seconds since the epoch.
    """

    issuer: str
    gap: float
    moment: float


class ClockEvidence:
    """Everything that was seen of the clock.

    Args:
        bound: offset that is too much, in seconds.
        fresh: seconds for which a reference's ``Date`` says something.
    """

    def __init__(self, bound: float, fresh: float) -> None:
        self._bound = bound
        self._fresh = fresh
        self._offsets: dict[str, _Offset] = {}
        self._dated: dict[str, _Dated] = {}
        self._valid_seen = False
        self.synchronized: bool | None = None  # by the kernel; None when it does not say

    def date(
        self, name: str, offset: float, now: float, *, own: bool = False, proof: bool = False
    ) -> None:
        """Take in a host's clock minus ours, in seconds, from its ``Date``.

        Args:
            name: of the host or reference.
            offset: in seconds.
            now: monotonic.
            own: the host is probed by this agent.
            proof: its certificate is valid at that date and not by our clock.
        """
        if not own or proof or name in self._offsets or len(self._offsets) < _MOST_KEPT:
            self._offsets[name] = _Offset(now, offset, own, proof)

    def certificate(self, leaf: CertificateFacts, outcome: Outcome, wall: float) -> None:
        """Take in the certificate of an attempt that ran at this wall time."""
        if self._valid_seen and isinstance(outcome, Passed):
            return  # nothing new: this is where nearly all attempts end
        if leaf.not_after - leaf.not_before > _ORDINARY:
            return
        if leaf.not_before <= wall <= leaf.not_after:
            self._valid_seen = True
            return
        if not isinstance(outcome, Failed) or not _trusted((outcome.failure, *outcome.others)):
            return
        if len(self._dated) < _MOST_KEPT or leaf.fingerprint_sha256 in self._dated:
            moment = leaf.not_before if wall < leaf.not_before else leaf.not_after
            dated = _Dated(leaf.issuer, moment - wall, moment)
            self._dated[leaf.fingerprint_sha256] = dated

    def stepped(self, seconds: float) -> None:
        """Our clock was set forward by so many seconds, or back by a negative number."""
        self._dated.clear()
        self._valid_seen = False
        self._offsets = {
            name: _Offset(one.at, one.seconds - seconds, one.own, one.proof)
            for name, one in self._offsets.items()
        }

    def judge(self, now: float, *, bad: bool) -> ClockReading:
        """Weigh it. A clock that is ``bad`` already must come within half of the bound."""
        for name, one in list(self._offsets.items()):
            if one.at < now - (OWN_HOLDS if one.own else self._fresh):
                del self._offsets[name]
        offsets = self._counting()
        if offsets:
            offset = offsets[(len(offsets) - 1) // 2]  # of two middle ones the smaller
            wrong = abs(offset) > (self._bound / 2 if bad else self._bound)
            dates = f"the Date of {len(offsets)} host{'s' if len(offsets) > 1 else ''}"
            return ClockReading(offset, self._says(offset, "", dates) if wrong else "")
        bound = self._by_signed_dates()
        if bound is not None:
            number = sum((one.gap > 0) is (bound > 0) for one in self._dated.values())
            by = f"the dates of {number} certificates"
            return ClockReading(bound, self._says(bound, " at least", by))
        if self.synchronized:
            return ClockReading()
        return ClockReading(
            unjudged="too few answers with a Date, and the kernel does not say that the clock is "
            "synchronized: certificates alone tell only that it is off by days"
        )

    def _counting(self) -> list[float]:
        """Return the offsets that count, the smallest first."""
        named = [one.seconds for one in self._offsets.values() if not one.own]
        own = [one for one in self._offsets.values() if one.own]
        if not named and (len(own) > 1 or any(one.proof for one in own)):
            named = [one.seconds for one in own]
        return sorted(named, key=abs)

    def _by_signed_dates(self) -> float | None:
        """Return by how much our clock is off at least, in seconds; None when nothing says so."""
        early = [one for one in self._dated.values() if one.gap > _BEHIND]
        if _unrelated(early):
            return sorted(one.gap for one in early)[-2]  # one authority alone may be wrong
        late = list(self._dated.values())
        if not self._valid_seen and _unrelated(late) and all(one.gap < -_AHEAD for one in late):
            return max(one.gap for one in late)
        return None

    def _says(self, offset: float, least: str, evidence: str) -> str:
        kernel = "; the kernel says that nothing keeps it right" * (self.synchronized is False)
        seconds = f"{offset:+.0f} s"
        days = f" ({abs(offset) / _DAY:.1f} days)" if abs(offset) > _DAY else ""
        return f"clock differs by {seconds}{days}{least}, by {evidence}{kernel}"


def _trusted(findings: Iterable[Failure]) -> bool:
    """Whether a chain is one that a trusted authority signed, so that its dates count."""
    return all(one.reason in _OTHERWISE_TRUSTED for one in findings)


def _unrelated(dated: list[_Dated]) -> bool:
    if len(dated) < _UNRELATED:
        return False
    moments = [one.moment for one in dated]
    return len({one.issuer for one in dated}) > 1 or max(moments) - min(moments) >= _SPREAD
