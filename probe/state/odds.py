"""How sure is it? The sequential tests behind `confirmation`, and what they get wrong. Pure.

*Naming an edge that fails now and then.* A streak begins with a failure and counts failures
``bad`` and passes ``good``. Its score is ``bad - good / forgive_after``; from ``flapping_score``
on the edge is flapping, at -1 the streak is forgotten. This is Wald's sequential probability
ratio test between "one in 100 is lost" (``p0``) and "one in 20 fails" (``p1``), in units of a
failure: a failure speaks for the fault by ``ln(p1 / p0)`` = 1.61, a pass against it by
``ln((1 - p0) / (1 - p1))`` = 0.041, a fortieth. By Wald's bounds ``exp(-2 * 1.61)`` = 4 % of the
streaks of such a fault are forgotten, since the first failure takes 80 passes to be; and the
score at which it is named keeps the false names rare. A second test beside it is for edges that
fail more often, and with fewer attempts: there a pass weighs two and a half times as much, and
70 % of the score suffice, but never fewer than six failures.

*Failing.* ``attempts`` further failures in a row.

*Clearing.* A run of ``n`` passes ends flapping when it is improbable for an edge that still
fails as it did. How often that is, is known by ``bad`` and ``good`` alone: by the
Beta posterior of the rate the odds are about ``(1 + n * bad / (k * good)) ** -k`` with ``k`` =
``bad``, which for many failures is ``(1 - p) ** n``. Each failure in mid-fault begins another
run, hundreds an hour, so the odds must be longer than those of one guess: 1 in 10,000. Where the
flapping edges of a provider pass together with such odds (`Lull`), 1 in 33 of its own suffice.

False names of a healthy edge at an interval of 15 s, losses independent, per edge and day:

=========== ================ =================
random loss falsely failing  falsely flapping
=========== ================ =================
0.1 %       6e-12            1.1e-11
0.3 %       1.4e-9           1.6e-8
1 %         6e-7             9e-4
=========== ================ =================

Names of an edge that fails now and then, within so many attempts after its first failure (two a
second under suspicion; the rest is forgotten in between and needs another failure):

======== ===== ===== ===== ===== =====
failures 12    30    60    120   240
======== ===== ===== ===== ===== =====
1 in 20  0 %   0 %   1 %   9 %   48 %
1 in 10  0 %   7 %   28 %  79 %  99 %
2 in 10  7 %   57 %  94 %  100 % 100 %
4 in 10  56 %  99 %  100 % 100 % 100 %
======== ===== ===== ===== ===== =====

The first failure itself takes ``interval / p`` on average where one edge alone is affected;
neighbours shorten that, because the first edge in doubt has all others tried. At an interval of
15 s, one in 20 on one edge alone is named within 15 minutes with 91.6 %. The tests
``confirmation_odds`` compute these figures by walking this very code.
"""

from __future__ import annotations

from math import log, log1p

from probe.model.state import Confirmation, EdgeStatus
from probe.model.target import EdgeKey
from probe.state.history import History

SURE = -log(1e-4)
"""Evidence that flapping is over."""

EASED = -log(0.03)
"""Evidence of an edge's own, when all that flap at its provider give `SURE` together."""

_FORGET = 1  # the score below zero at which a streak is forgotten
_SUDDEN_WEIGHT = 2.5  # of a pass in the test for edges that fail often
_SUDDEN_SHARE = 0.7  # of the score in it
_SUDDEN_LEAST = 5.5  # five failures are chance once in a while where there are many edges
_PRIOR_BAD, _PRIOR_GOOD = 1, 4  # the failures that name an edge overstate how often it fails
_KNOWN = 8  # failures that a rate is taken to rest on at least


def score(history: History, policy: Confirmation) -> float:
    """Count the failures of the streak, net of forgiven ones."""
    return history.bad - history.good / policy.forgive_after


def forgotten(bad: int, good: int, policy: Confirmation) -> bool:
    """Tell whether a streak's passes outweigh its failures, and one more."""
    return good >= (bad + _FORGET) * policy.forgive_after


def flaps(history: History, policy: Confirmation) -> bool:
    """Tell whether either test says that the edge fails now and then."""
    sudden = history.bad - _SUDDEN_WEIGHT * history.good / policy.forgive_after
    return score(history, policy) >= policy.flapping_score or (
        sudden >= max(_SUDDEN_SHARE * policy.flapping_score, _SUDDEN_LEAST)
    )


def further_failures(history: History, policy: Confirmation) -> int:
    """Compute how many failures in a row after the first one make an edge failing.

    One more where the streak had failures before the row: an edge under suspicion is attempted
    more often, and would else be called failing by chance more often as well.
    """
    return policy.attempts + (policy.attempts > 0 and history.bad > history.failures)


def is_over(history: History, policy: Confirmation, *, lull: bool) -> bool:
    """Tell whether the passes in a row end flapping; ``lull``: all of its provider pass too."""
    if history.passes >= policy.clear_after:
        return True
    return history.passes > policy.attempts and evidence(history) >= (EASED if lull else SURE)


def evidence(history: History) -> float:
    """Compute how improbable the passes in a row are for an edge that still fails as it did.

    Returns:
        ``-log`` of the probability; 0 when the last attempt failed.
    """
    if not history.passes or not history.bad:
        return 0.0
    bad = history.bad + _PRIOR_BAD
    good = history.good - history.passes + _PRIOR_GOOD
    known = max(bad, _KNOWN)
    return known * log1p(history.passes * bad / (known * good))


class Lull:
    """Flapping edges that pass at present, and what their passes say together.

    One edge that fails one time in four passes 40 times in a row once in 100,000. To see each of
    500 do that takes more attempts than a minute's budget has. But they seldom fail each for a
    reason of its own: when none of them fails any more, each needs to show little by itself.

    Attributes:
        passing: the edges; each waits for the end of its fault.
    """

    def __init__(self) -> None:
        self.passing: set[EdgeKey] = set()
        self._evidence: dict[str, float] = {}

    def follow(self, key: EdgeKey, before: History, after: History) -> None:
        """Take note of an attempt on an edge that is or was flapping."""
        if after.failures:
            self._evidence.pop(key.provider, None)
            self.forget(key)
        elif after.status is EdgeStatus.FLAPPING:
            more = evidence(after) - evidence(before)
            self._evidence[key.provider] = self._evidence.get(key.provider, 0.0) + more
            self.passing.add(key)
        else:
            self.forget(key)

    def forget(self, key: EdgeKey) -> None:
        """Drop an edge that is not flapping or not passing, or is gone."""
        self.passing.discard(key)
        if not self.passing:
            self._evidence.clear()

    def at(self, provider: str) -> bool:
        """Tell whether passes since a flapping edge of this provider last failed are evidence."""
        return self._evidence.get(provider, 0.0) >= SURE

    def anywhere(self) -> bool:
        """Tell whether there is a lull at any provider."""
        return any(sum_ >= SURE for sum_ in self._evidence.values())
