"""A login in general: what each kind must say, and what is remembered of it between runs."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import trio

from probe.auth.signers import Signer
from probe.auth.tokens import ENDED_GRANT, Token, login_failed
from probe.auth.values import Values, names_in, walk
from probe.http.messages import Request, Response
from probe.model.auth import CookieAuth, EarlyRefusal, JsonLoginAuth, OAuth2
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Evidence
from probe.model.secret import Secret, SecretRef

_ASKS = frozenset({"token", "success", "refused", "expires_at", "expires_in"})
"""Fields that hold expressions on the response: no templates, though they may hold braces."""

_MOST_IDENTITIES = 4096  # of one login, remembered for as many targets

_TRIES = 3
"""Refusals in a row of credentials that had worked until they are held back: as many as confirm
a failure, and fewer than lock an account."""

_PATIENCE = 30.0
"""Seconds to wait for what other logins of a service say before it is blamed."""


class Login(ABC):
    """A call of its own that gives a token.

    Attributes:
        url: template of where it goes.
        hosts: patterns of names that it and its token may go to.
        slower_than: seconds; a slower login is *degraded*, not failed.
        refresh_token: the configured refresh token, which a response may replace.
        shared: whether all checks that log in alike share what came of it. A refresh token that
            rotates has one successor: whoever uses it must share it, or the first of two providers
            or personas locks the other out (RFC 6749 section 6).
    """

    def __init__(self, url: str, spec: JsonLoginAuth | CookieAuth | OAuth2) -> None:
        self.url = url
        self.hosts = spec.hosts
        self.slower_than: float | None = spec.slower_than
        self.early_refusal: EarlyRefusal = spec.early_refusal
        self.refresh_token: SecretRef | None = None
        self.shared = False
        names = (one.name for one in dataclasses.fields(spec) if one.name != "hosts")
        self._fields = {name: getattr(spec, name) for name in names}
        self._names = names_in([one for name, one in self._fields.items() if name not in _ASKS])
        self._identities: dict[tuple[str | None, ...], str] = {}

    def identity(self, values: Values) -> str:
        """Digest the login's configuration, filled in: what it is remembered under.

        Flows of many targets share one token unless the login itself depends on the target. The
        files of kept refresh tokens are named by it, so it must stay what it is.

        Raises:
            NoValue: it needs a value that is not there.
        """
        named = tuple(map(values.get, self._names))
        known = self._identities.get(named)
        if known is None:
            filled = {
                name: one if name in _ASKS else walk(one, partial(_filled, values), str)
                for name, one in self._fields.items()
            }
            if len(self._identities) >= _MOST_IDENTITIES:
                self._identities.clear()
            known = self._identities[named] = hashlib.sha256(repr(filled).encode()).hexdigest()
        return known

    def secrets(self, read: Callable[[SecretRef], str]) -> str:
        """Digest the secrets behind the login, to notice that they were replaced.

        Raises:
            SecretError: one is missing.
        """
        digest = hashlib.sha256()
        walk(self._fields, str, lambda ref: digest.update(f"{ref}\0{read(ref)}\0".encode()))
        return digest.hexdigest()

    @abstractmethod
    def request(self, values: Values, refresh: Secret | None = None) -> Request:
        """Build the login's request.

        Args:
            values: of the run.
            refresh: a rotated refresh token that replaces the configured one.

        Raises:
            SecretError: a secret is missing.
            NoValue: it needs a value that is not there.
            Unsafe: a value cannot be sent.
            BadUrl: its URL cannot be called.
        """

    def token(self, response: Response, now: float, sent: Request) -> Token | Failure:
        """Read the token that a response gave for the request sent, or why there is none."""
        if response.status == 429:  # what any service may say when it is not well
            return Failure(Phase.AUTH, Reason.RATE_LIMITED, "answered 429")
        if response.status >= 500:
            return login_failed(response)
        return self._token(response, now, sent)

    @abstractmethod
    def _token(self, response: Response, now: float, sent: Request) -> Token | Failure: ...

    @abstractmethod
    def signer(self, token: str) -> Signer:
        """Build what shows the token on a request."""


def _filled(values: Values, text: str) -> str:
    return values.fill(text) if "{" in text else text


@dataclass(frozen=True, slots=True)
class Hold:
    """A login is not asked again: refused credentials would lock the account, a rate limit last.

    Attributes:
        until: trio time.
        credentials: digest of those that were refused, because new ones are tried at once; empty
            for all.
    """

    until: float
    credentials: str = ""


@dataclass(frozen=True, slots=True)
class Refusals:
    """Credentials that are not taken: their digest, since which trio time, how often in a row."""

    credentials: str
    since: float
    count: int = 1


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
        evidence: of the latest failed login, for when it is not asked again.
        service: where it logs in; logins of one service are compared.
        every: seconds within which a run that uses it must come, or nothing uses it any more.
        worked_with: digest of the credentials that were accepted last; empty when none were.
        worked_at: trio time of that.
        refusals: in a row, until now; None when the latest login was not refused.
    """

    lock: trio.Lock = field(default_factory=trio.Lock)
    token: Token | None = None
    tried_at: float = -math.inf
    failed: Failure | None = None
    failed_at: float = -math.inf
    rejected: set[str] = field(default_factory=set)
    hold: Hold | None = None
    used_at: float = -math.inf
    evidence: Evidence = field(default_factory=Evidence)
    service: str = ""
    every: float = math.inf
    worked_with: str = ""
    worked_at: float = -math.inf
    refusals: Refusals | None = None

    def accepted(self, token: Token, credentials: str, now: float) -> None:
        """Remember that the login gave a token for these credentials."""
        self.token, self.hold, self.failed, self.refusals = token, None, None, None
        self.rejected.clear()
        self.worked_with, self.worked_at = credentials, now

    def refused(self, credentials: str, now: float, interval: float) -> None:
        """Remember that the credentials are not taken; hold them back for ``interval`` seconds.

        Credentials that had worked are tried a few times more, which confirms the failure.
        """
        known = self.refusals
        if known is None or known.credentials != credentials:
            self.refusals = Refusals(credentials, now)
        else:
            self.refusals = replace(known, count=known.count + 1)
        if not self.had_worked or self.refusals.count >= _TRIES:
            self.hold = Hold(now + interval, credentials)

    def held(self, credentials: str, now: float) -> bool:
        """Tell whether these credentials must not be tried again yet."""
        if self.hold is None or now >= self.hold.until:
            return False
        return self.hold.credentials in {"", credentials}

    @property
    def had_worked(self) -> bool:
        """Tell whether the credentials that are refused were accepted before, unchanged."""
        return self.refusals is not None and self.refusals.credentials == self.worked_with


class TokenStore:
    """Slots by login. One is shared by all flows of an agent and outlives their runs."""

    def __init__(self, *, keep: float = 24 * 3600.0) -> None:
        self._keep = keep
        self._slots: dict[str, Slot] = {}

    def slot(self, login: str, now: float, *, service: str = "", every: float = math.inf) -> Slot:
        """Find or make a login's memory; ``now`` is trio time, and see `Slot` for the others."""
        slot = self._slots.get(login)
        if slot is None:
            self._forget(now)
            slot = self._slots[login] = Slot()
        slot.used_at, slot.service, slot.every = now, service, every
        return slot

    def peek(self, login: str) -> Slot | None:
        """Return a login's memory as it is; None where there is none."""
        return self._slots.get(login)

    def judged(self, slot: Slot, now: float) -> Failure | None:
        """Judge why a login fails, and whose fault it is; None when it does not fail.

        Refused credentials are ours, unless the service took the very same before and now takes
        nobody's: then it lost its clients, or the secret was revoked. Other logins of the service
        that worked are asked again before it is blamed.
        """
        failure, refusals = slot.failed, slot.refusals
        if failure is None or failure.reason is not Reason.CREDENTIALS_REFUSED:
            return failure
        if refusals is None or not slot.had_worked or failure.detail.endswith(ENDED_GRANT):
            return failure
        others = [
            one
            for one in self._slots.values()
            if one is not slot and one.service == slot.service and one.failed is None
            if one.worked_with and now - one.used_at <= one.every
        ]
        if any(one.worked_at > refusals.since for one in others):
            detail = f"{failure.detail}; the service takes the credentials of others"
            return replace(failure, detail=detail)
        for one in others:
            one.tried_at = -math.inf
        if others and now - refusals.since < _PATIENCE:
            detail = f"{failure.detail}; these credentials had worked, and others are tried now"
            return Failure(failure.phase, Reason.REFUSAL_UNCLEAR, detail)
        ago = f"{refusals.since - slot.worked_at:.0f} s before the first refusal"
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


class Borrowed(TokenStore):
    """Logins of experiments: what comes of them is kept apart, and serves no regular run.

    Credentials that are held back in the agent's own store are held back here too.

    Args:
        own: the agent's own.
        tokens: whether kept tokens of it serve here.
    """

    def __init__(self, own: TokenStore, *, tokens: bool) -> None:
        super().__init__()
        self._own = own
        self._tokens = tokens

    def slot(self, login: str, now: float, *, service: str = "", every: float = math.inf) -> Slot:
        """Find or make a login's memory, as it is in the agent's own store when first asked."""
        new = self.peek(login) is None
        slot = super().slot(login, now, service=service, every=every)
        known = self._own.peek(login) if new else None
        if known is None:
            return slot
        if self._tokens and known.token is not None:
            slot.token, slot.tried_at = known.token, now
        if known.hold is not None:
            slot.hold, slot.failed, slot.failed_at = known.hold, known.failed, known.failed_at
            slot.refusals, slot.evidence = known.refusals, known.evidence
            slot.worked_with, slot.worked_at = known.worked_with, known.worked_at
        return slot
