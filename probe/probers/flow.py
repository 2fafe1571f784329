"""Runs a flow: its steps in order, its cleanup always, its deadline whatever happens."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import trio

from probe.auth.material import Material
from probe.auth.rotation import Kept
from probe.auth.store import TokenStore
from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.flow.access import Access
from probe.flow.command_step import command_step
from probe.flow.context import Context, NewId, new_id
from probe.flow.login import Entrance
from probe.flow.redact import Redactor
from probe.flow.step import http_step, out_of_time
from probe.flow.values import Values
from probe.http.dial import Dialler
from probe.http.session import Resolve, Session, SessionOptions
from probe.model.defect import defect
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, CommandStep, Persona, Step
from probe.model.result import (
    Failed,
    FlowResult,
    Inconclusive,
    Outcome,
    Passed,
    Skipped,
    StepResult,
)
from probe.model.secret import ReadSecret, SecretRef
from probe.model.target import FlowKey, Target
from probe.model.tls import ClientCertificate, ClientProfile

_CLEANUP_SHARE = 0.25
"""Most of the flow's time that is held back for cleanup steps."""

_CLEANUP_AT_SHUTDOWN = 1.0
"""Seconds that cleanup may still take when the agent is being stopped."""


def _no_lag() -> float:
    return 0.0


def _no_names(_provider: str) -> tuple[str, ...]:
    return ()


@dataclass(slots=True)
class FlowProber:
    """Runs flows; one serves all API checks of an agent and keeps their tokens.

    Attributes:
        contexts: TLS contexts, shared with the TLS prober.
        judge: judge of chains, shared with the TLS prober.
        secrets: reads a secret; raises `probe.model.secret.SecretError`.
        wall: wall time, seconds since the epoch.
        lag: the event loop's lag now, in seconds.
        state_dir: where rotated refresh tokens are kept; None keeps them in memory.
        ids: gives random bytes as hex.
        own_names: a provider's own name patterns, by provider name.
        proxy: the environment's variable that names a proxy for a scheme and host, if any.
    """

    contexts: TlsContexts
    judge: Judge
    secrets: ReadSecret
    wall: Callable[[], float]
    lag: Callable[[], float] = _no_lag
    state_dir: Path | None = None
    ids: NewId = new_id
    own_names: Callable[[str], tuple[str, ...]] = _no_names
    proxy: Callable[[str, str], str | None] = lambda _scheme, _host: None
    _store: TokenStore = field(init=False, default_factory=TokenStore)
    _kept: Kept = field(init=False)
    _dialler: Dialler = field(init=False)

    def __post_init__(self) -> None:
        self._kept = Kept(self.state_dir)
        self._dialler = Dialler(self.contexts, self.judge, self.wall)

    async def run(
        self,
        key: FlowKey,
        check: ApiCheck,
        target: Target,
        persona: Persona | None,
        *,
        resolve: Resolve,
    ) -> FlowResult:
        """Run a flow once. Never raises: a defect of ours is inconclusive. Cancellation passes.

        Args:
            key: what the result is filed under.
            check: the flow.
            target: fills ``{target}``, ``{target.name}`` and ``{labels.NAME}``.
            persona: whose credentials and values; None for the check's own.
            resolve: finds addresses of a host and port, as the provider wants.
        """
        at, start = self.wall(), trio.current_time()
        try:
            return await self._run(key, check, target, persona, resolve, at, start)
        except Exception as error:  # whatever we did wrong costs one run
            outcome = Inconclusive(defect(error, Phase.SEND))
            return FlowResult(key, at, outcome, (), trio.current_time() - start)

    async def _run(
        self,
        key: FlowKey,
        check: ApiCheck,
        target: Target,
        persona: Persona | None,
        resolve: Resolve,
        at: float,
        start: float,
    ) -> FlowResult:
        run = self._context(key, check, target, persona, resolve, at, start)
        access = Access(run, self._store, Entrance(run, self._kept, self._store))
        ordinary = [step for step in check.steps if not step.cleanup]
        cleanup = [step for step in check.steps if step.cleanup]
        end = run.deadline
        run.deadline = end - _reserve(check, cleanup)
        try:
            await _steps(run, access, ordinary)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                run.deadline = trio.current_time() + _CLEANUP_AT_SHUTDOWN
                await _steps(run, access, cleanup)
            raise
        else:
            run.deadline = end
            await _steps(run, access, cleanup)
        finally:
            run.session.close()
        steps = tuple(run.results)
        return FlowResult(
            key=key,
            at=at,
            outcome=flow_outcome(steps),
            steps=steps,
            seconds=trio.current_time() - start,
            lag=max((step.timings.lag for step in steps), default=0.0),
            run_id=run.run_id,
            token_expires_at=access.expires_at(),
        )

    def _context(
        self,
        key: FlowKey,
        check: ApiCheck,
        target: Target,
        persona: Persona | None,
        resolve: Resolve,
        at: float,
        start: float,
    ) -> Context:
        values = Values(_given(check, target, persona))
        redactor = Redactor()

        def read(ref: SecretRef) -> str:
            value = self.secrets(ref).reveal()
            redactor.add(value, ref.name)
            return value

        terms = SessionOptions(
            resolve=resolve,
            profile=_profile(check.http2, check.client_certificate, check.groups),
            trust=check.trust,
            max_body=check.max_body,
            turn=int(at // check.interval),
            own_names=self.own_names(key.provider),
        )
        return Context(
            key=key,
            check=check,
            target=target,
            persona=persona,
            session=Session(self._dialler, terms),
            values=values,
            redactor=redactor,
            material=Material(values, read, redactor.add, self.wall),
            run_id=self.ids(16),
            deadline=start + check.flow_timeout,
            lag=self.lag,
            ids=self.ids,
            proxy=self.proxy,
        )


@functools.lru_cache(maxsize=256)
def _profile(
    http2: bool, certificate: ClientCertificate | None, groups: tuple[str, ...]
) -> ClientProfile:
    """How a check's handshakes look; equal checks share one, and with it one TLS context."""
    alpn = ("h2", "http/1.1") if http2 else ("http/1.1",)
    return ClientProfile(alpn=alpn, client_certificate=certificate, groups=groups)


async def _steps(run: Context, access: Access, steps: Iterable[Step | CommandStep]) -> None:
    """Run steps in order. A defect of ours costs one step: what was seen before it stays."""
    for step in steps:
        run.phase = Phase.SEND
        try:
            if not run.time_for(step):
                run.results.append(StepResult(step.name, step.layer, Skipped(None)))
            elif isinstance(step, CommandStep):
                await command_step(run, access, step)
            else:
                await http_step(run, access, step)
        except Exception as error:
            outcome = Inconclusive(defect(error, run.phase))
            run.results.append(StepResult(step.name, step.layer, outcome))


def _reserve(check: ApiCheck, cleanup: list[Step | CommandStep]) -> float:
    wanted = sum(check.timeout if s.timeout is None else s.timeout for s in cleanup)
    return min(wanted, check.flow_timeout * _CLEANUP_SHARE)


def _given(check: ApiCheck, target: Target, persona: Persona | None) -> dict[str, str]:
    given = dict(check.vars)
    if persona is not None:
        given.update(persona.vars)
    given.update({"target": target.label, "target.name": target.name})
    given.update({f"labels.{name}": value for name, value in target.labels.items()})
    return given


def flow_outcome(steps: tuple[StepResult, ...]) -> Outcome:
    """What the steps say together: pure.

    A failed step is the target's whatever else was ours: what *that* step needed was there.
    Without one, anything of ours makes the run inconclusive, and a run that ran out of time
    has failed.
    """
    failures = [step.outcome for step in steps if isinstance(step.outcome, Failed)]
    if failures:
        first, *rest = failures
        others = tuple(one.failure for one in rest)
        return Failed(first.failure, (*first.others, *others))
    for step in steps:
        if isinstance(step.outcome, Inconclusive):
            return step.outcome
    lacking = {s.step: s.outcome.missing for s in steps if isinstance(s.outcome, Skipped)}
    if None in lacking.values():
        return Failed(out_of_time(sum(step.timings.total for step in steps)))
    # A persona without these credentials skips what carries their token, and that is as meant.
    unmeant = [step for step, name in lacking.items() if name and not name.startswith("auth.")]
    if unmeant:
        names = ", ".join(sorted(unmeant))
        detail = f"never run for want of a value: {names}"
        return Inconclusive(Failure(Phase.EXPECT, Reason.CAPTURE_MISSING, detail))
    warnings = [w for s in steps if isinstance(s.outcome, Passed) for w in s.outcome.warnings]
    return Passed(tuple(dict.fromkeys(warnings)))
