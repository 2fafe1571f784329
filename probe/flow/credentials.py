"""Credentials for the steps of one run; logs in where there is no good token.

A login is a result of its own: its time counts as ``auth`` in that result and nowhere else, and
the run's deadline holds for it too. It runs when no token serves, when a call said 401 to a
token that was kept, and on its own slower clock, so that a broken login is seen while kept
tokens still work.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import trio

from probe.auth.signers import Signer, StaticAuth, signer
from probe.auth.store import Login, Slot, TokenStore
from probe.auth.tokens import RefreshTokens
from probe.flow.login import LoginMaker
from probe.flow.run import FlowRun
from probe.model.auth import EarlyRefusal
from probe.model.failure import Phase, defect
from probe.model.result import Inconclusive, NoLogin, NotMeant, Skipped, StepResult


@dataclass(frozen=True, slots=True)
class Granted:
    """Credentials for a step.

    Attributes:
        kept: they hang on a token from an earlier run, which may have ended since.
        logins: results of the logins that were made for them just now.
    """

    signer: Signer | None
    kept: bool = False
    logins: tuple[StepResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why a step gets no credentials, with the results of the logins that were made just now."""

    why: Skipped | Inconclusive
    logins: tuple[StepResult, ...] = ()


class Credentials:
    """Grants credentials; one for each run. Never raises for what a server or a secret does."""

    def __init__(self, run: FlowRun, store: TokenStore, refresh_tokens: RefreshTokens) -> None:
        self._run = run
        self._store = store
        self._logins = LoginMaker(run, store, refresh_tokens)
        self._found: dict[str, Granted | Withheld] = {}
        self._renewed: set[str] = set()
        self._slots: dict[str, Slot] = {}

    async def for_step(self, name: str | None, lent: Iterable[str]) -> Granted | Withheld:
        """Grant the credentials of an auth entry, and lend the tokens that a step's templates name.

        Args:
            name: of the entry; None for a step that sends no credentials.
            lent: names of entries whose token becomes the value ``{auth.NAME}``.
        """
        logins: tuple[StepResult, ...] = ()
        for one in lent:
            found = await self._of(one)
            logins += found.logins
            if isinstance(found, Withheld):
                return replace(found, logins=logins)
            if found.signer is None or found.signer.token is None:
                return Withheld(Skipped(NotMeant(one)), logins)
            self._run.values.learn({f"auth.{one}": found.signer.token})
        found = await self._of(name)
        return replace(found, logins=logins + found.logins) if logins else found

    def kept(self, name: str) -> bool:
        """Tell whether an entry's token is from an earlier run."""
        found = self._found.get(name)
        return isinstance(found, Granted) and found.kept

    async def renew(
        self, names: Iterable[str], step: str
    ) -> tuple[list[str], tuple[StepResult, ...]]:
        """Log in again after kept tokens were refused to a step.

        Returns the names of the entries with a newer token, and the logins' results.
        """
        newer: list[str] = []
        logins: tuple[StepResult, ...] = ()
        for name in names:
            login = self._run.plan.entries[name]
            if not isinstance(login, Login) or name in self._renewed:
                continue
            if step in self._slots[name].rejected:
                continue  # a new token was refused too: the next login comes on its own clock
            self._renewed.add(name)
            found = await self._ask(name, login, renew=True)
            logins += found.logins
            if isinstance(found, Granted):
                self._found[name] = replace(found, logins=())
                newer.append(name)
        return newer, logins

    def early_refusal(self, names: Iterable[str]) -> EarlyRefusal:
        """Return what a run counts as in which kept tokens of these entries were refused."""
        entries = map(self._run.plan.entries.get, names)
        kinds = {one.early_refusal for one in entries if isinstance(one, Login)}
        return "degraded" if "degraded" in kinds else "counted"

    def judged(self, name: str, step: str, *, accepted: bool) -> None:
        """Remember whether a step's call took a token that was new in this run."""
        if name in self._slots and not self.kept(name):
            rejected = self._slots[name].rejected
            rejected.discard(step) if accepted else rejected.add(step)

    def expires_at(self) -> float | None:
        """Return the wall time at which the first of the run's tokens ends."""
        tokens = [slot.token for slot in self._slots.values()]
        ends = [t.expires_at for t in tokens if t is not None and t.expires_at is not None]
        return min(ends) if ends else None

    async def _of(self, name: str | None) -> Granted | Withheld:
        entry = None if name is None else self._run.plan.entries[name]
        if name is None or entry is None:
            return Granted(None)
        if name in self._found:
            return self._found[name]
        if not isinstance(entry, Login):
            return self._signed(entry)
        found = await self._ask(name, entry, renew=False)
        self._found[name] = replace(found, logins=())  # one login a run, whatever comes of it
        return found

    def _signed(self, entry: StaticAuth) -> Granted | Withheld:
        try:
            made = self._run.prepare(lambda: signer(entry, self._run.values))
        except Exception as error:  # whatever we did wrong costs one step
            return Withheld(Inconclusive(defect(error, Phase.AUTH)))
        return Granted(made) if isinstance(made, Signer) else Withheld(made)

    async def _ask(self, name: str, login: Login, *, renew: bool) -> Granted | Withheld:
        """Grant the token that is kept, or a new one. A kept one needs no lock."""
        made: tuple[StepResult, ...] = ()
        try:
            found = self._run.prepare(lambda: self._slot(name, login))
            if not isinstance(found, tuple):
                return Withheld(found)
            slot, mark = found
            before = slot.token
            if slot.lock.locked() or self._wanted(slot, renew=renew):
                result = await self._log_in(name, login, slot, mark, renew=renew)
                if isinstance(result, Skipped):
                    return Withheld(result)
                made = () if result is None else (result,)
            return self._grant(name, login, slot, kept=slot.token is before, logins=made)
        except Exception as error:  # whatever we did wrong costs one step, and no result
            return Withheld(Inconclusive(defect(error, Phase.AUTH)), made)

    def _slot(self, name: str, login: Login) -> tuple[Slot, str]:
        """Find the login's memory, and the name it is remembered under."""
        key, check, values = self._run.key, self._run.check, self._run.values
        mark = login.identity(values)
        if not login.shared:
            mark = f"{key.check}\0{key.provider}\0{key.persona}\0{name}\0{mark}"
        every = 2 * check.interval + check.flow_timeout
        url = values.fill_url(login.url)
        slot = self._store.slot(mark, trio.current_time(), service=url, every=every)
        self._slots[name] = slot
        return slot, mark

    async def _log_in(
        self, name: str, login: Login, slot: Slot, mark: str, *, renew: bool
    ) -> StepResult | Skipped | None:
        """Log in, unless another run has just done so or the run's time ends before that."""
        before, asked = slot.token, trio.current_time()
        with trio.CancelScope(deadline=self._run.deadline) as waiting:
            async with slot.lock:
                waiting.deadline = float("inf")  # the login keeps the deadline itself
                if slot.failed is not None and slot.failed_at > asked:
                    return self._logins.repeated(name, slot)  # of a run that we waited for
                if self._wanted(slot, renew=renew and slot.token is before):
                    return await self._logins.log_in(name, login, slot, mark)
        return None

    def _wanted(self, slot: Slot, *, renew: bool) -> bool:
        """Decide whether to log in."""
        token = slot.token
        if renew or token is None or slot.failed is not None:
            return True
        if not token.serves(self._run.values.wall(), self._run.check.flow_timeout):
            return True
        return trio.current_time() - slot.tried_at >= self._run.check.login_interval

    def _grant(
        self, name: str, login: Login, slot: Slot, *, kept: bool, logins: tuple[StepResult, ...]
    ) -> Granted | Withheld:
        token = slot.token
        if token is None or not token.serves(self._run.values.wall(), 0.0):
            return Withheld(Skipped(NoLogin(name)), logins)
        value = token.value.reveal()
        self._run.redactor.add(value, "TOKEN")
        return Granted(login.signer(value), kept, logins)
