"""Credentials for the steps of one run; logs in where there is no good token.

A login is a result of its own: its time counts as ``auth`` in that result and nowhere else, and
the run's deadline holds for it too. It runs when no token serves, when a call said 401 to a
token that was kept, and on its own slower clock, so that a broken login is seen while kept
tokens still work.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import trio

from probe.auth import kinds
from probe.auth.sign import Signer, SigV4Signer, api_keys, basic, digest, token_header
from probe.auth.store import Slot, TokenStore
from probe.flow.context import Context
from probe.flow.login import Entrance
from probe.flow.values import Missing
from probe.model.auth import (
    Auth,
    BasicAuth,
    BearerAuth,
    CookieAuth,
    DigestAuth,
    EarlyRefusal,
    HeaderAuth,
    JsonLogin,
    OAuth2,
    SigV4,
)
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Inconclusive, Skipped
from probe.model.secret import SecretError


@dataclass(frozen=True, slots=True)
class Ticket:
    """Credentials for a step.

    Attributes:
        kept: they hang on a token from an earlier run, which may have ended since.
        token: for templates that carry it elsewhere than in its header; None for kinds
            without one.
    """

    signer: Signer | None
    kept: bool = False
    token: str | None = None


@dataclass(slots=True)
class Access:
    """Gives tickets; one for each run."""

    run: Context
    store: TokenStore
    entrance: Entrance
    _found: dict[str, Ticket | Skipped | Inconclusive] = field(default_factory=dict)
    _renewed: set[str] = field(default_factory=set)
    _slots: dict[str, Slot] = field(default_factory=dict)

    async def ticket(self, name: str | None) -> Ticket | Skipped | Inconclusive:
        """Credentials of an auth entry, or why there are none."""
        spec = self.run.auth(name)
        if name is None or spec is None:
            return Ticket(None)
        if name in self._found:
            return self._found[name]
        found = await self._find(name, spec, renew=False)
        if kinds.is_login(spec):
            self._found[name] = found  # one login a run, whatever comes of it
        return found

    async def lend(self, names: Iterable[str]) -> Skipped | Inconclusive | None:
        """Give templates the tokens that they name as ``{auth.NAME}``; why not, if not."""
        for name in names:
            found = await self.ticket(name)
            if not isinstance(found, Ticket):
                return found
            if found.token is None:
                return Skipped(f"auth.{name}")
            self.run.values.learn({f"auth.{name}": found.token})
        return None

    def kept(self, name: str) -> bool:
        """Whether an entry's token is from an earlier run."""
        found = self._found.get(name)
        return isinstance(found, Ticket) and found.kept

    async def renewed(self, name: str | None, step: str) -> Ticket | None:
        """Credentials after a kept token was refused; None when nothing newer is to be had."""
        spec = self.run.auth(name)
        if name is None or spec is None or not kinds.is_login(spec):
            return None
        if step in self._slots[name].rejected or name in self._renewed:
            return None  # a new token was refused just so: the next login is on its clock
        self._renewed.add(name)
        found = await self._find(name, spec, renew=True)
        if not isinstance(found, Ticket):
            return None
        self._found[name] = found
        return found

    def early_refusal(self, name: str) -> EarlyRefusal:
        """What a run counts as in which the entry's kept token is refused."""
        spec = self.run.auth(name)
        assert spec is not None  # noqa: S101 - its token was refused
        return spec.early_refusal if kinds.is_login(spec) else "counted"

    def latest(self, name: str | None, ticket: Ticket) -> Ticket:
        """The ticket, or the newer one that took its place."""
        newest = ticket if name is None else self._found.get(name, ticket)
        return newest if isinstance(newest, Ticket) else ticket

    def judged(self, name: str, step: str, *, accepted: bool) -> None:
        """Remember whether a step's call took a token that was new in this run."""
        if name in self._slots and not self.kept(name):
            rejected = self._slots[name].rejected
            rejected.discard(step) if accepted else rejected.add(step)

    def expires_at(self) -> float | None:
        """When the first of the run's tokens ends; wall time."""
        tokens = [slot.token for slot in self._slots.values()]
        ends = [t.expires_at for t in tokens if t is not None and t.expires_at is not None]
        return min(ends) if ends else None

    async def _find(self, name: str, spec: Auth, *, renew: bool) -> Ticket | Skipped | Inconclusive:
        material = self.run.material
        try:
            match spec:
                case BearerAuth():
                    return self._bearer(spec)
                case BasicAuth():
                    return Ticket(basic(spec, material))
                case DigestAuth():
                    return Ticket(digest(spec, material))
                case HeaderAuth():
                    return Ticket(api_keys(spec, material))
                case SigV4():
                    return Ticket(SigV4Signer(spec, material))
                case JsonLogin() | OAuth2() | CookieAuth():
                    return await self._login(name, spec, renew=renew)
        except Missing as error:
            return Skipped(error.name)
        except SecretError as error:
            failure = Failure(Phase.AUTH, Reason.SECRET_MISSING, str(error))
            return Inconclusive(self.run.clean(failure))

    def _bearer(self, spec: BearerAuth) -> Ticket:
        if spec.token is not None:
            value = self.run.material.read(spec.token)
        else:
            captured = self.run.values.get(spec.capture or "")
            if captured is None:
                raise Missing(spec.capture or "token")
            value = captured
            self.run.redactor.add(value, "TOKEN")
        return Ticket(token_header(spec.header, spec.scheme, value), token=value)

    async def _login(self, name: str, spec: kinds.Login, *, renew: bool) -> Ticket | Skipped:
        mark = self._mark(name, spec)
        check, url = self.run.check, self.run.values.fill_url(kinds.login_url(spec))
        every = 2 * check.interval + check.flow_timeout
        slot = self.store.slot(mark, trio.current_time(), service=url, every=every)
        self._slots[name] = slot
        before, asked = slot.token, trio.current_time()
        with trio.CancelScope(deadline=self.run.deadline) as waiting:
            async with slot.lock:
                waiting.deadline = float("inf")  # the login keeps the deadline itself
                if slot.failed is not None and slot.failed_at > asked:
                    self.entrance.repeat(name, slot)  # of a run that we waited for
                elif self._wanted(slot, renew=renew and slot.token is before):
                    await self.entrance.enter(name, spec, slot, mark)
        return self._ticket(name, spec, slot, before_run=before is slot.token)

    def _mark(self, name: str, spec: kinds.Login) -> str:
        """What the login is remembered under.

        A refresh token that rotates has one successor: whoever uses it must share what came of it,
        or the first of two providers or personas locks the other out (RFC 6749 section 6).
        """
        identity = kinds.identity(spec, self.run.values)
        if isinstance(spec, OAuth2) and spec.grant == "refresh_token":
            return identity
        key = self.run.key
        return f"{key.check}\0{key.provider}\0{key.persona}\0{name}\0{identity}"

    def _wanted(self, slot: Slot, *, renew: bool) -> bool:
        token = slot.token
        if renew or token is None or slot.failed is not None:
            return True
        if not token.serves(self.run.material.wall(), self.run.check.flow_timeout):
            return True
        return trio.current_time() - slot.tried_at >= self.run.check.login_interval

    def _ticket(
        self, name: str, spec: kinds.Login, slot: Slot, *, before_run: bool
    ) -> Ticket | Skipped:
        token = slot.token
        if token is None or not token.serves(self.run.material.wall(), 0.0):
            return Skipped(name)
        value = token.value.reveal()
        self.run.redactor.add(value, "TOKEN")
        return Ticket(kinds.signer(spec, value), kept=before_run, token=value)
