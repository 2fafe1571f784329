"""One login, as a step result of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import trio

from probe.auth.store import Hold, Login, Slot, TokenStore
from probe.auth.tokens import RefreshTokens, Token
from probe.flow import call, evidence
from probe.flow.run import FlowRun
from probe.http.answers import too_slow
from probe.http.messages import Answered, Broken, Request
from probe.http.url import parsed
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Inconclusive, Skipped, StepResult, Timings, outcome_of
from probe.model.secret import Secret
from probe.net.http import retry_after

_LAYER = "login"
"""The layer that every login proves."""

_ON_THE_WAY = frozenset({Phase.RESOLVE, Phase.CONNECT, Phase.TLS, Phase.CERTIFICATE})
_LONGEST_HOLD = 3600.0
_LONGEST = 128 * 1024
"""Bytes of an answer to a login that are read: some milliseconds of JSON, and thirty times the
largest token that servers take in a header."""


@dataclass(frozen=True, slots=True)
class LoginMaker:
    """Makes the logins of one run."""

    run: FlowRun
    store: TokenStore
    refresh_tokens: RefreshTokens

    async def log_in(self, name: str, login: Login, slot: Slot, mark: str) -> StepResult | Skipped:
        """Log in; the token, if any, goes into the slot.

        A token that still serves stays when a login on its own clock fails.
        """
        run = self.run
        secrets = run.prepare(lambda: login.secrets(run.values.read))
        if not isinstance(secrets, str):
            return _not_made(name, secrets)
        if slot.held(secrets, trio.current_time()):
            return self.repeated(name, slot)
        configured, refresh = await self._refresh_token(login, mark)
        request = run.prepare(lambda: _request(run, login, refresh))
        if not isinstance(request, Request):
            return _not_made(name, request)
        slot.tried_at = trio.current_time()
        bonds, deadline = run.plan.bonds[name], run.step_deadline(None)
        made = await call.make(run, request, None, deadline=deadline, bonds=bonds)
        found = self._read(login, made)
        if isinstance(found, Token):
            run.redactor.add(found.value.reveal(), "TOKEN")
            slot.accepted(found, secrets, trio.current_time())
        else:
            self._failed(slot, found, made, secrets)
        notes = await self._keep(mark, configured, found)
        notes += too_slow(login.slower_than, made.call.facts.timings.total)
        result = self._result(name, made, self.store.judged(slot, trio.current_time()), notes)
        slot.evidence = result.evidence
        return result

    def repeated(self, name: str, slot: Slot) -> StepResult:
        """Repeat why there is no login, without asking again."""
        failure = self.store.judged(slot, trio.current_time())
        outcome = self.run.cleaned(outcome_of(() if failure is None else (failure,)))
        return StepResult(name, _LAYER, outcome, evidence=slot.evidence)

    def _read(self, login: Login, made: call.Exchange) -> Token | Failure:
        match made.call:
            case Answered(response) if len(response.body) > _LONGEST:
                detail = f"the answer to the login has {len(response.body)} bytes"
                return Failure(
                    Phase.AUTH, Reason.TOO_LARGE, f"{detail}, at most {_LONGEST} are read"
                )
            case Answered(response):
                return login.token(response, self.run.values.wall(), made.request)
            case Broken(failure):
                if failure.phase in _ON_THE_WAY or failure.ours:
                    return failure
                detail = f"{failure.phase}: {failure.detail}"
                return Failure(Phase.AUTH, failure.reason, detail)

    async def _refresh_token(self, login: Login, mark: str) -> tuple[str, Secret | None]:
        """Read the configured refresh token, and the one that took its place."""
        if login.refresh_token is None:
            return "", None
        found = self.run.prepare(partial(self.run.values.read, login.refresh_token))
        if not isinstance(found, str):
            return "", None  # the request will say so
        kept = await self.refresh_tokens.load(mark, found)
        if kept is not None:
            self.run.redactor.add(kept.reveal(), "REFRESH_TOKEN")
        return found, kept

    async def _keep(
        self, mark: str, configured: str, found: Token | Failure
    ) -> tuple[Failure, ...]:
        """Keep a rotated refresh token; return a warning when only memory holds it."""
        if isinstance(found, Failure) or found.refresh is None:
            return ()
        self.run.redactor.add(found.refresh.reveal(), "REFRESH_TOKEN")
        if not configured:
            return ()
        with trio.CancelScope(shield=True):  # the old one is void: losing the new one locks us out
            error = await self.refresh_tokens.keep(mark, configured, found.refresh)
        if error is None:
            return ()
        detail = f"the rotated refresh token is kept in memory only: {error.strerror}"
        return (Failure(Phase.AUTH, Reason.LOCAL_RESOURCE, detail),)

    def _failed(self, slot: Slot, failure: Failure, made: call.Exchange, secrets: str) -> None:
        """Remember a failed login, and decide how long not to ask again."""
        now = trio.current_time()
        slot.failed, slot.failed_at, slot.hold = failure, now, None
        if failure.reason is Reason.CREDENTIALS_REFUSED:
            slot.refused(secrets, now, self.run.check.login_interval)
        elif failure.reason is Reason.RATE_LIMITED and isinstance(made.call, Answered):
            after = made.call.response.header("retry-after")
            seconds = retry_after(after, self.run.values.wall())
            slot.refusals, slot.hold = None, Hold(now + min(seconds, _LONGEST_HOLD))

    def _result(
        self, name: str, made: call.Exchange, failure: Failure | None, notes: tuple[Failure, ...]
    ) -> StepResult:
        run, facts = self.run, made.call.facts
        response, failures = made.response, () if failure is None else (failure,)
        return StepResult(
            step=name,
            layer=_LAYER,
            outcome=run.cleaned(outcome_of(failures, (*facts.warnings, *notes))),
            timings=Timings(
                auth=facts.timings.total,
                total=facts.timings.total,
                lag=facts.timings.lag,
                clock=facts.timings.clock,
            ),
            attempts=facts.requests,
            edge=facts.edge,
            handshake=facts.handshake,
            evidence=evidence.of_exchange(
                run,
                made,
                listed=run.check.evidence_headers,
                bad=failure is not None,
                withheld=response is not None and response.ok,
            ),
        )


def _request(run: FlowRun, login: Login, refresh: Secret | None) -> Request:
    request = login.request(run.values, refresh)
    if request.header("host") is None:  # the check's own stands for what its steps call
        request = request.adding(("Host", parsed(request.url).netloc.decode()))
    return run.whole(request)


def _not_made(name: str, why: Skipped | Inconclusive) -> StepResult | Skipped:
    """Say why a login could not be made. A missing value is said by the step that needs it."""
    return why if isinstance(why, Skipped) else StepResult(name, _LAYER, why)
