"""One login, as a step result of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import trio

from probe.auth import kinds
from probe.auth.rotation import Kept
from probe.auth.store import Slot, TokenStore
from probe.auth.token import Token
from probe.flow import call, evidence
from probe.flow.context import Context
from probe.flow.values import Unsafe
from probe.http.answers import too_slow
from probe.http.response import Answered, Broken
from probe.http.url import BadUrl, parsed
from probe.model.auth import OAuth2
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Evidence, StepResult, Timings, outcome_of
from probe.model.secret import Secret, SecretError
from probe.net.times import retry_after

LAYER = "login"
"""The layer that every login proves."""

_ON_THE_WAY = frozenset({Phase.RESOLVE, Phase.CONNECT, Phase.TLS, Phase.CERTIFICATE})
_LONGEST_HOLD = 3600.0
_TRIES = 3
"""Refusals in a row of credentials that had worked until they are held back: as many as confirm
a failure, and fewer than lock an account."""


@dataclass(slots=True)
class Entrance:
    """Logs in for one run."""

    run: Context
    kept: Kept
    store: TokenStore

    async def enter(self, name: str, spec: kinds.Login, slot: Slot, mark: str) -> None:
        """Log in; the token, if any, goes into the slot, and a result into the run.

        A token that still serves stays when a login on its own clock fails.
        """
        run = self.run
        run.phase = Phase.AUTH
        try:
            secrets = kinds.credentials(spec, run.material.read)
            if slot.hold is not None and self._held(slot, secrets):
                self.repeat(name, slot)
                return
            refresh, configured = await self._refresh_token(spec, mark)
            draft = kinds.draft(spec, run.material, refresh)
            if draft.header("host") is None:  # the check's own stands for what its steps call
                draft = draft.adding(("Host", parsed(draft.url).netloc.decode()))
        except SecretError as error:
            failure = Failure(Phase.AUTH, Reason.SECRET_MISSING, str(error))
            run.results.append(self._result(name, failure, Timings()))
            return
        except (Unsafe, BadUrl) as error:
            run.results.append(self._result(name, call.unsafe(str(error)), Timings()))
            return
        slot.tried_at = trio.current_time()
        options = call.Options(deadline=run.step_deadline(None))
        made = await call.make(run, draft, None, options)
        run.phase = Phase.AUTH
        found = self._read(spec, made)
        if isinstance(found, Token):
            run.redactor.add(found.value.reveal(), "TOKEN")
            slot.token = found
            slot.accepted(secrets, trio.current_time())
            slot.rejected.clear()
        else:
            slot.failed, slot.failed_at = found, trio.current_time()
            self._hold(slot, found, made, secrets)
        lost = await self._keep(mark, configured, found)
        notes: tuple[Failure, ...] = () if lost is None else (lost,)
        notes += too_slow(spec.slower_than, made.call.facts.timings.total)
        result = self._from(name, made, self.store.judged(slot, trio.current_time()), notes)
        slot.evidence = result.evidence
        run.results.append(result)

    def repeat(self, name: str, slot: Slot) -> None:
        """Say again why there is no login, without asking again."""
        failure = self.store.judged(slot, trio.current_time())
        again = self._result(name, failure, Timings())
        self.run.results.append(replace(again, evidence=slot.evidence))

    def _read(self, spec: kinds.Login, made: call.Made) -> Token | Failure:
        match made.call:
            case Answered(answer):
                return kinds.token(spec, answer, self.run.material.wall(), made.draft)
            case Broken(failure):
                if failure.phase in _ON_THE_WAY or failure.ours:
                    return failure
                detail = f"{failure.phase}: {failure.detail}"
                return Failure(Phase.AUTH, failure.reason, detail)

    async def _refresh_token(self, spec: kinds.Login, mark: str) -> tuple[Secret | None, str]:
        if not isinstance(spec, OAuth2) or spec.refresh_token is None:
            return None, ""
        configured = self.run.material.read(spec.refresh_token)
        kept = await self.kept.load(mark, configured)
        if kept is not None:
            self.run.redactor.add(kept.reveal(), "REFRESH_TOKEN")
        return kept, configured

    async def _keep(self, mark: str, configured: str, found: Token | Failure) -> Failure | None:
        """Keep a rotated refresh token; a warning when only memory holds it."""
        if isinstance(found, Failure) or found.refresh is None:
            return None
        self.run.redactor.add(found.refresh.reveal(), "REFRESH_TOKEN")
        if not configured:
            return None
        with trio.CancelScope(shield=True):  # the old one is void: losing the new one locks us out
            error = await self.kept.keep(mark, configured, found.refresh)
        if error is None:
            return None
        detail = f"the rotated refresh token is kept in memory only: {error.strerror}"
        return Failure(Phase.AUTH, Reason.LOCAL_RESOURCE, detail)

    def _held(self, slot: Slot, secrets: str) -> bool:
        if trio.current_time() >= slot.hold_until:
            return False
        return not slot.held_for or slot.held_for == secrets

    def _hold(self, slot: Slot, failure: Failure, made: call.Made, secrets: str) -> None:
        """Decide how long not to ask again."""
        now = trio.current_time()
        if failure.reason is Reason.CREDENTIALS_REFUSED:
            slot.refused(secrets, now)
            again = slot.had_worked and slot.refusals < _TRIES
            slot.hold = None if again else failure
            slot.hold_until = now + self.run.check.login_interval
        elif failure.reason is Reason.RATE_LIMITED and isinstance(made.call, Answered):
            after = made.call.response.header("retry-after")
            slot.hold, slot.held_for = failure, ""
            seconds = retry_after(after, self.run.material.wall())
            slot.hold_until = now + min(seconds, _LONGEST_HOLD)
        else:
            slot.hold = None

    def _from(
        self, name: str, made: call.Made, failure: Failure | None, notes: tuple[Failure, ...]
    ) -> StepResult:
        trip = made.call.facts
        timings = Timings(
            auth=trip.timings.total,
            total=trip.timings.total,
            lag=max(trip.timings.lag, self.run.lag()),
            clock=trip.timings.clock,
        )
        result = self._result(name, failure, timings, (*trip.warnings, *notes))
        return StepResult(
            step=result.step,
            layer=LAYER,
            outcome=result.outcome,
            timings=timings,
            attempts=trip.requests,
            edge=trip.edge,
            handshake=trip.handshake,
            evidence=self._evidence(made, failure),
        )

    def _evidence(self, made: call.Made, failure: Failure | None) -> Evidence:
        run = self.run
        command = ""
        if failure is not None:
            command = evidence.curl(
                made.draft,
                made.call.facts.edge,
                terms=run.curl_terms(),
                redactor=run.redactor,
                seconds=run.check.timeout,
            )
        answer = made.call.response if isinstance(made.call, Answered) else made.call.partial
        found = evidence.of_call(
            made.draft,
            answer,
            listed=run.check.evidence_headers,
            redactor=run.redactor,
            trace_id=run.run_id,
            command=command,
            body=failure is not None,
        )
        if found.body and answer is not None and answer.ok:
            return replace(found, body=evidence.WITHHELD)
        return found

    def _result(
        self,
        name: str,
        failure: Failure | None,
        timings: Timings,
        warnings: tuple[Failure, ...] = (),
    ) -> StepResult:
        clean = () if failure is None else (self.run.clean(failure),)
        return StepResult(name, LAYER, outcome_of(clean, warnings), timings)
