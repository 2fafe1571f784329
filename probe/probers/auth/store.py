"""What is remembered of logins between runs: tokens, and what must not be tried again yet."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import trio

from probe.model.failure import Failure
from probe.probers.auth.token import Token


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


class TokenStore:
    """Slots by login. One is shared by all flows of an agent and outlives their runs."""

    def __init__(self, *, keep: float = 24 * 3600.0) -> None:
        self._keep = keep
        self._slots: dict[str, Slot] = {}

    def slot(self, login: str, now: float) -> Slot:
        """The memory of a login; ``now`` is trio time."""
        slot = self._slots.get(login)
        if slot is None:
            self._forget(now)
            slot = self._slots[login] = Slot()
        slot.used_at = now
        return slot

    def _forget(self, now: float) -> None:
        """Drop what nobody used for long: targets and checks come and go."""
        old = [key for key, slot in self._slots.items() if now - slot.used_at > self._keep]
        for key in old:
            del self._slots[key]
