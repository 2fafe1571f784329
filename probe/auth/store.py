"""What is remembered of logins between runs: tokens, and what must not be tried again yet."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import trio

from probe.auth.token import ENDED_GRANT, Token
from probe.model.failure import Failure, Reason
from probe.model.result import Evidence

_PATIENCE = 30.0
"""Seconds to wait for what other logins of a service say before it is blamed."""


@dataclass(slots=True)
class Slot:
    """One login's memory. Whoever logs in holds the lock, so that runs do not log in twice.

    Attributes:
        token: the latest, possibly no longer good.
        tried_at: trio time of the latest login, successful or not.
        failed: why the latest login failed; None when it did not. While it does, every run
            tries again: a failure that shows once in an interval looks like a recovery.
        failed_at: trio time at which that was known.
        rejected: steps that refused the latest token right after it was issued: another login
            would not help them until its clock strikes.
        hold: what to answer instead of asking again: refused credentials would lock the
            account, and a rate limit would only last longer.
        hold_until: trio time.
        held_for: digest of the credentials that were refused; new ones are tried at once.
        evidence: of the latest failed login, for when it is not asked again.
        service: where it logs in; logins of one service are compared.
        every: seconds within which a run that uses it must come, or nothing uses it any more.
        worked_with: digest of the credentials that were accepted last; empty when none were.
        worked_at: trio time of that.
        refused_at: trio time since when they are refused; infinite when they are not.
        refusals: how often in a row.
    """

    lock: trio.Lock = field(default_factory=trio.Lock)
    token: Token | None = None
    tried_at: float = -math.inf
    failed: Failure | None = None
    failed_at: float = -math.inf
    rejected: set[str] = field(default_factory=set)
    hold: Failure | None = None
    hold_until: float = -math.inf
    held_for: str = ""
    used_at: float = -math.inf
    evidence: Evidence = field(default_factory=Evidence)
    service: str = ""
    every: float = math.inf
    worked_with: str = ""
    worked_at: float = -math.inf
    refused_at: float = math.inf
    refusals: int = 0

    def accepted(self, credentials: str, now: float) -> None:
        """The login worked with these credentials."""
        self.hold = self.failed = None
        self.worked_with, self.worked_at = credentials, now
        self.refused_at, self.refusals = math.inf, 0

    def refused(self, credentials: str, now: float) -> None:
        """The service does not take these credentials."""
        if self.refusals == 0 or self.held_for != credentials:
            self.refused_at, self.refusals = now, 0
        self.refusals += 1
        self.held_for = credentials

    @property
    def had_worked(self) -> bool:
        """Whether the credentials that are refused were accepted before, unchanged."""
        return self.refusals > 0 and self.held_for == self.worked_with


class TokenStore:
    """Slots by login. One is shared by all flows of an agent and outlives their runs."""

    def __init__(self, *, keep: float = 24 * 3600.0) -> None:
        self._keep = keep
        self._slots: dict[str, Slot] = {}

    def slot(self, login: str, now: float, *, service: str = "", every: float = math.inf) -> Slot:
        """The memory of a login; ``now`` is trio time, and see `Slot` for the others."""
        slot = self._slots.get(login)
        if slot is None:
            self._forget(now)
            slot = self._slots[login] = Slot()
        slot.used_at, slot.service, slot.every = now, service, every
        return slot

    def judged(self, slot: Slot, now: float) -> Failure | None:
        """Why a login fails, and whose fault it is; None when it does not fail.

        Refused credentials are ours, unless the service took the very same before and now takes
        nobody's: then it lost its clients, or the secret was revoked. Other logins of the service
        that worked are asked again before it is blamed.
        """
        failure = slot.failed
        if failure is None or failure.reason is not Reason.CREDENTIALS_REFUSED:
            return failure
        if not slot.had_worked or failure.detail.endswith(ENDED_GRANT):
            return failure
        others = [
            one
            for one in self._slots.values()
            if one is not slot and one.service == slot.service and one.failed is None
            if one.worked_with and now - one.used_at <= one.every
        ]
        if any(one.worked_at > slot.refused_at for one in others):
            detail = f"{failure.detail}; the service takes the credentials of others"
            return replace(failure, detail=detail)
        for one in others:
            one.tried_at = -math.inf
        if others and now - slot.refused_at < _PATIENCE:
            detail = f"{failure.detail}; these credentials had worked, and others are tried now"
            return Failure(failure.phase, Reason.REFUSAL_UNCLEAR, detail)
        ago = f"{slot.refused_at - slot.worked_at:.0f} s before the first refusal"
        detail = (
            f"{failure.detail} to credentials that worked {ago}: "
            "the service lost its clients, or the secret was revoked"
        )
        return Failure(failure.phase, Reason.LOGIN_FAILED, detail)

    def _forget(self, now: float) -> None:
        """Drop what nobody used for long: targets and checks come and go."""
        old = [key for key, slot in self._slots.items() if now - slot.used_at > self._keep]
        for key in old:
            del self._slots[key]
