"""Runs a flow: its steps in order, its cleanup always, its deadline whatever happens."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from probe.auth.store import Borrowed, TokenStore
from probe.auth.tokens import RefreshTokens
from probe.auth.values import Values
from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.flow.credentials import Credentials, Granted
from probe.flow.known import KnownSecrets, public_of
from probe.flow.redact import Redactor
from probe.flow.run import FlowPlan, FlowRun, NewId, new_id, plan_of
from probe.flow.screen import Screen
from probe.flow.steps import command_step, http_step, one_call
from probe.http.messages import CallResult
from probe.http.session import Dialler, Resolve, Session, SessionOptions
from probe.model.failure import Failure, Phase, Reason, defect
from probe.model.flow import ApiCheck, CommandStep, Persona, Step
from probe.model.result import (
    Failed,
    FlowResult,
    Inconclusive,
    NotMeant,
    Outcome,
    OutOfTime,
    Passed,
    Skipped,
    StepResult,
)
from probe.model.secret import ReadSecret, SecretRef
from probe.model.target import FlowKey, Target
from probe.model.tls import ClientCertificate, ClientProfile, Trust

_CLEANUP_SHARE = 0.25
"""Most of the flow's time that is held back for cleanup steps."""

_CLEANUP_AT_SHUTDOWN = 1.0
"""Seconds that cleanup may still take when the agent is being stopped."""


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
        heard: told each call, with the flow and the roots that verified it.
        known: the agent's secrets, which no evidence of any check shows.
    """

    contexts: TlsContexts
    judge: Judge
    secrets: ReadSecret
    wall: Callable[[], float]
    lag: Callable[[], float] = lambda: 0.0
    state_dir: Path | None = None
    ids: NewId = new_id
    own_names: Callable[[str], tuple[str, ...]] = lambda _provider: ()
    proxy: Callable[[str, str], str | None] = lambda _scheme, _host: None
    heard: Callable[[FlowKey, Trust, CallResult], object] = lambda _key, _trust, _call: None
    known: KnownSecrets = field(default_factory=KnownSecrets)
    _store: TokenStore = field(init=False, default_factory=TokenStore)
    _plans: dict[tuple[str, str], FlowPlan] = field(init=False, default_factory=dict)
    refresh_tokens: RefreshTokens = field(init=False)
    _dialler: Dialler = field(init=False)
    _screen: Screen = field(init=False)

    def __post_init__(self) -> None:
        self.refresh_tokens = RefreshTokens(self.state_dir)
        self._screen = Screen(self.known)
        self._dialler = Dialler(self.contexts, self.judge, self.wall, self.lag)

    async def run(
        self,
        key: FlowKey,
        check: ApiCheck,
        target: Target,
        persona: Persona | None,
        *,
        resolve: Resolve,
        tells: bool = True,
    ) -> FlowResult:
        """Run a flow once. Never raises: a defect of ours is inconclusive. Cancellation passes.

        Args:
            key: what the result is filed under.
            check: the flow.
            target: fills ``{target}``, ``{target.name}`` and ``{labels.NAME}``.
            persona: whose credentials and values; None for the check's own.
            resolve: finds addresses of a host and port, as the provider wants.
            tells: whether `heard` is told the calls; not those of hosts that anybody may name.
        """
        at, start = self.wall(), trio.current_time()
        try:
            run = self._begin(key, self._plan(check, persona), target, resolve, at)
            if not tells:
                run.heard = lambda _: None
            credentials = Credentials(run, self._store, self.refresh_tokens)
            made = await _all_steps(run, credentials, start + check.flow_timeout)
            steps = tuple(self._screened(step, run.redactor.public) for step in made)
            return FlowResult(
                key=key,
                at=at,
                outcome=flow_outcome(steps),
                steps=steps,
                seconds=trio.current_time() - start,
                lag=max((step.timings.lag for step in steps), default=0.0),
                run_id=run.run_id,
                token_expires_at=credentials.expires_at(),
            )
        except Exception as error:  # whatever we did wrong costs one run
            outcome = Inconclusive(defect(error, Phase.SEND))
            return FlowResult(key, at, outcome, (), trio.current_time() - start)

    def borrowed(self, *, tokens: bool) -> TokenStore:
        """Make a memory of logins for experiments, with the kept tokens or without them."""
        return Borrowed(self._store, tokens=tokens)

    async def ask(
        self,
        key: FlowKey,
        check: ApiCheck,
        target: Target,
        persona: Persona | None,
        step: Step | str,
        *,
        resolve: Resolve,
        store: TokenStore,
    ) -> tuple[StepResult, ...]:
        """Make one call of a flow by itself, for an experiment. Never raises, as `run`.

        Its credentials go where those of this call go in a run, and nowhere else. Results of logins
        that it needs stand before its own.

        Args:
            key: of the flow; kept tokens are found by it.
            check: the flow.
            target: fills ``{target}`` and its kind.
            persona: who calls.
            step: the call, or the name of an entry of ``auth`` whose login is made alone.
            resolve: finds addresses of a host and port.
            store: its logins; a login of the agent's own store is never touched.
        """
        at = self.wall()
        steps = (step,) if isinstance(step, Step) else ()
        try:
            plan = plan_of(replace(check, steps=steps), persona)
            run = self._begin(key, plan, target, resolve, at)
            run.heard = lambda _: None
            run.deadline = trio.current_time() + check.timeout
            try:
                made = await _asked(run, Credentials(run, store, self.refresh_tokens), step)
            finally:
                run.session.close()
            return tuple(self._screened(one, run.redactor.public) for one in made)
        except Exception as error:  # whatever we did wrong costs one experiment
            name = step.name if isinstance(step, Step) else step
            return (StepResult(name, "", Inconclusive(defect(error, Phase.SEND))),)

    def _screened(self, step: StepResult, public: tuple[bytes, ...]) -> StepResult:
        shown = self._screen.handshake(step.handshake, public)
        return step if shown is step.handshake else replace(step, handshake=shown)

    def _plan(self, check: ApiCheck, persona: Persona | None) -> FlowPlan:
        name = (check.name, "" if persona is None else persona.name)
        plan = self._plans.get(name)
        if plan is None or plan.check is not check or plan.persona is not persona:
            plan = self._plans[name] = plan_of(check, persona)
        return plan

    def _begin(
        self, key: FlowKey, plan: FlowPlan, target: Target, resolve: Resolve, at: float
    ) -> FlowRun:
        check = plan.check
        redactor = Redactor(self.known, (plan.public, _public(target.label)))

        def read(ref: SecretRef) -> str:
            value = self.secrets(ref).reveal()
            redactor.add(value, ref.name)
            return value

        spelled = plan.spelled(target)
        options = SessionOptions(
            resolve=resolve,
            profile=_profile(check.http2, check.client_certificate, check.groups),
            trust=check.trust,
            max_body=check.max_body,
            turn=int(at // check.interval),
            own_names=self.own_names(key.provider),
            addresses=check.addresses,
            written=spelled.writes,
        )
        return FlowRun(
            key=key,
            plan=plan,
            session=Session(self._dialler, options),
            values=Values(plan.given(target), read, redactor.add, self.wall),
            redactor=redactor,
            run_id=self.ids(16),
            deadline=0.0,
            lag=self.lag,
            ids=self.ids,
            proxy=self.proxy,
            spelled=spelled,
            heard=functools.partial(self.heard, key, check.trust),
        )


async def _asked(
    run: FlowRun, credentials: Credentials, step: Step | str
) -> tuple[StepResult, ...]:
    if isinstance(step, str):
        return (await credentials.for_step(step, ())).logins
    granted = await credentials.for_step(step.auth, run.plan.lent[step.name])
    if not isinstance(granted, Granted):
        return (*granted.logins, StepResult(step.name, step.layer, granted.why))
    run.deadline = trio.current_time() + run.check.timeout  # a login takes none of its time
    result, _ = await one_call(run, step, granted)
    return (*granted.logins, result)


_public = functools.lru_cache(maxsize=4096)(public_of)


@functools.lru_cache(maxsize=256)
def _profile(
    http2: bool, certificate: ClientCertificate | None, groups: tuple[str, ...]
) -> ClientProfile:
    """Describe how a check's handshakes look; equal checks share one, and with it one context."""
    alpn = ("h2", "http/1.1") if http2 else ("http/1.1",)
    return ClientProfile(alpn=alpn, client_certificate=certificate, groups=groups)


async def _all_steps(run: FlowRun, credentials: Credentials, end: float) -> tuple[StepResult, ...]:
    """Run the steps until the trio time ``end``, and those of cleanup whatever came before."""
    ordinary = [step for step in run.check.steps if not step.cleanup]
    cleanup = [step for step in run.check.steps if step.cleanup]
    try:
        done = await _steps(run, credentials, ordinary, end - _reserve(run.check, cleanup))
    except trio.Cancelled:
        with trio.CancelScope(shield=True):
            await _steps(run, credentials, cleanup, trio.current_time() + _CLEANUP_AT_SHUTDOWN)
        raise
    else:
        return done + await _steps(run, credentials, cleanup, end)
    finally:
        run.session.close()


async def _steps(
    run: FlowRun, credentials: Credentials, steps: Iterable[Step | CommandStep], deadline: float
) -> tuple[StepResult, ...]:
    """Run steps in order. A defect of ours costs one step: what was seen before it stays."""
    run.deadline = deadline
    done: tuple[StepResult, ...] = ()
    for step in steps:
        try:
            if not run.time_for(step):
                done += (StepResult(step.name, step.layer, Skipped(OutOfTime())),)
            elif isinstance(step, CommandStep):
                done += await command_step(run, credentials, step)
            else:
                done += await http_step(run, credentials, step)
        except Exception as error:
            outcome = Inconclusive(defect(error, Phase.SEND))
            done += (StepResult(step.name, step.layer, outcome),)
    return done


def _reserve(check: ApiCheck, cleanup: list[Step | CommandStep]) -> float:
    wanted = sum(check.timeout if s.timeout is None else s.timeout for s in cleanup)
    return min(wanted, check.flow_timeout * _CLEANUP_SHARE)


def flow_outcome(steps: tuple[StepResult, ...]) -> Outcome:
    """Judge what the steps say together. Pure.

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
    skipped = {s.step: s.outcome.why for s in steps if isinstance(s.outcome, Skipped)}
    if any(isinstance(why, OutOfTime) for why in skipped.values()):
        seconds = sum(step.timings.total for step in steps)
        detail = f"the flow ran out of time after {seconds:.1f} s"
        return Failed(Failure(Phase.WAIT, Reason.TIMEOUT, detail))
    unmeant = sorted(step for step, why in skipped.items() if not isinstance(why, NotMeant))
    if unmeant:
        detail = f"never run for lack of a value: {', '.join(unmeant)}"
        return Inconclusive(Failure(Phase.EXPECT, Reason.CAPTURE_MISSING, detail))
    warnings = [w for s in steps if isinstance(s.outcome, Passed) for w in s.outcome.warnings]
    return Passed(tuple(dict.fromkeys(warnings)))
