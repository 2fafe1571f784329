"""What becomes of a run of a flow: diagnosis, confirmation, store, log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

import trio

from probe.agent.filing import Excuse
from probe.agent.log import EventLog, key_fields
from probe.model.failure import Failure, Reason
from probe.model.flow import ApiCheck, Persona
from probe.model.result import FlowResult, Inconclusive, Passed, StepResult
from probe.model.spec import Confirmation, Spec
from probe.model.state import Diagnosis, EdgeStatus, Transition
from probe.model.target import FlowKey
from probe.serve import Store
from probe.state.confirmation import advance
from probe.state.diagnosis import WINDOW, denials, diagnose, is_denied, step_of
from probe.state.history import Attempt, History

CONFIRM = Confirmation(
    attempts=2,
    spacing=2.0,
    sample_interval=5.0,
    sample_for=60.0,
    flapping_score=3.0,
    forgive_after=10,
    clear_after=6,
)
"""A run costs several calls, so it is confirmed with fewer and slower ones than a handshake. They
may run beside each other, so that a layer is confirmed ``attempts * spacing`` and one run after the
first failed run, however long a run takes.
Three runs that fail out of some ten are a partial outage: no healthy platform does that."""

HEALTHY = "healthy"
SUSPECT = "suspect"
UNNAMED = "unnamed"  # runs fail, for want of time for example, and no layer is to blame
CONFIRMED = (EdgeStatus.FAILING, EdgeStatus.FLAPPING)
FAILS_OPEN = "fails_open"  # waits for no confirmation

_UNCLEAR_EVERY = 10.0
"""Most seconds between two runs while a refusal stays unclear."""

Ask = Callable[[FlowKey, float, bool], object]
"""Ask for an extra run: key, seconds from now, whether it may start beside another."""


class FlowFiling:
    """Takes runs in, one at a time, on the event loop.

    Args:
        store: what metrics and page are read from.
        log: one line for each change of the diagnosis.
        excuse: whether a failure is the vantage's own.
        ask: asks the runner for further runs.
    """

    def __init__(self, store: Store, log: EventLog, excuse: Excuse, ask: Ask) -> None:
        self._store = store
        self._log = log
        self._excuse = excuse
        self._ask = ask
        self._checks: dict[str, ApiCheck] = {}
        self._runs: dict[FlowKey, deque[FlowResult]] = {}
        self._histories: dict[FlowKey, History] = {}
        self._blamed: dict[FlowKey, str] = {}
        self._open: dict[FlowKey, set[str]] = {}  # calls that succeeded when last answered
        self._kin: dict[tuple[str, str], set[FlowKey]] = {}  # flows of one check and target
        self._unclear: dict[FlowKey, float] = {}  # since when every run met an unclear refusal
        self._began: dict[FlowKey, float] = {}  # the latest run, or the one asked for

    def configure(self, spec: Spec) -> None:
        """Follow a configuration; a check whose steps changed starts with a fresh window."""
        before = self._checks
        self._checks = {c.name: c for c in spec.checks if isinstance(c, ApiCheck)}
        for key in list(self._runs):
            if before.get(key.check) != self._checks.get(key.check):
                del self._runs[key]

    def forget(self, key: FlowKey) -> None:
        """A flow that runs no more."""
        for known in (self._runs, self._histories, self._blamed, self._open):
            known.pop(key, None)
        self._unclear.pop(key, None)
        self._began.pop(key, None)
        kin = self._kin.get(key[:2], set())
        kin.discard(key)
        if not kin:
            self._kin.pop(key[:2], None)
        self._store.forget([key])

    def doubt(self, key: FlowKey) -> None:
        """The flow is another now: that the old one passed says nothing; alerts stay until then."""
        status = self._histories.get(key, History()).status
        if status not in CONFIRMED and key not in self._open:
            self.forget(key)

    def file(self, result: FlowResult) -> None:
        """One run."""
        key = result.key
        check = self._checks.get(key.check)
        if check is None:
            return
        now = trio.current_time()
        began = now - result.seconds
        result = replace(
            result,
            outcome=self._excuse(result.outcome, began),
            steps=tuple(self._excused(step, began) for step in result.steps),
        )
        for found in {result.outcome, *(step.outcome for step in result.steps)}:
            if isinstance(found, Inconclusive):
                self._log.defect_in(key, found.failure)
        runs = self._runs.setdefault(key, deque(maxlen=WINDOW))
        self._tell_refusal(result, runs)
        runs.append(result)
        persona = next((p for p in check.personas if p.name == key.persona), None)
        diagnosis = self._denied(check, persona, result, diagnose(check, persona, tuple(runs)))
        attempt = Attempt(key, result.outcome, result.at, result.seconds)
        history, decision = advance(self._histories.get(key, History()), attempt, CONFIRM, now)
        self._histories[key] = history
        self._began[key] = began
        self._kin.setdefault(key[:2], set()).add(key)
        self._store.record_flow(result, diagnosis, history.status, history.since)
        self._tell(result, diagnosis, history)
        if any(map(_unclear, result.steps)):
            self._ask_others(key, now)
        else:
            self._unclear.pop(key, None)
        again = decision.again
        rare = check.interval > CONFIRM.sample_for
        if rare and not again and history.status is EdgeStatus.FLAPPING and history.passes:
            again = (CONFIRM.sample_interval,)  # else six passes would take half an hour
        for after in again:
            self._ask(key, after, decision.beside)

    def _denied(
        self, check: ApiCheck, persona: Persona | None, run: FlowResult, found: Diagnosis
    ) -> Diagnosis:
        """Whether calls that must be refused are: a run without an answer to one says nothing."""
        told = denials(run, check, persona)
        known = self._open.pop(run.key, set())
        left = {s for s in known - told.keys() if is_denied(step_of(s, check), persona)}
        still = left | {step for step, succeeded in told.items() if succeeded}
        if still:
            self._open[run.key] = still
        return replace(found, fails_open=bool(still), refused=bool(told) and not still)

    def _ask_others(self, refused: FlowKey, now: float) -> None:
        """Are the credentials of the flow's other personas refused too? Then this one again.

        Each other needs one run that began since. Those that are unclear themselves run again
        anyhow. This one runs again ever later: it may wait for a login that no run here makes.
        """
        since = self._unclear.setdefault(refused, now)
        for key in self._kin[refused[:2]] - self._unclear.keys():
            if self._began[key] < since:
                self._began[key] = due = max(now, self._began[key] + CONFIRM.spacing)
                self._ask(key, due - now, False)
        self._ask(refused, min(max(CONFIRM.spacing, now - since), _UNCLEAR_EVERY), False)

    def _excused(self, step: StepResult, began: float) -> StepResult:
        return replace(step, outcome=self._excuse(step.outcome, began))

    def _tell_refusal(self, result: FlowResult, before: Iterable[FlowResult]) -> None:
        """Log the first of early refusals in a row: the metric counts them all."""
        early = [step for step in result.steps if step.early_refusal]
        if not early or any(step.early_refusal for run in before for step in run.steps):
            return
        self._log.warning(
            "kept token refused",
            **key_fields(result.key),
            step=early[0].step,
            trace_id=early[0].evidence.trace_id,
            note="it was renewed and the step passed; tokens that die early lead to failures",
        )

    def _tell(self, result: FlowResult, diagnosis: Diagnosis, history: History) -> None:
        """Log when the blame changes; until it is confirmed it is a suspicion."""
        after, before = blame_of(diagnosis), self._blamed.get(result.key, HEALTHY)
        if after not in (HEALTHY, FAILS_OPEN) and history.status is EdgeStatus.SUSPECT:
            after = SUSPECT
        if after == HEALTHY and history.status in CONFIRMED:
            passed = isinstance(result.outcome, Passed)  # recovery is not confirmed yet
            after = before if passed and before not in (HEALTHY, SUSPECT) else UNNAMED
        if before == after:
            return
        self._blamed[result.key] = after
        failed = [step for step in result.steps if step.step in diagnosis.steps]
        step = next((step for step in failed if step.evidence.command), None)
        change = Transition(
            result.key,
            before,
            after,
            since=result.at if history.status is EdgeStatus.UNKNOWN else history.since,
            at=result.at + result.seconds,
            failure=_what(result, history) if after != HEALTHY else None,
            command=step.evidence.command if step else "",
            note=diagnosis.why,
        )
        self._store.note(change)
        self._log.transition(change, trace_id=step.evidence.trace_id if step else "")


def _unclear(step: StepResult) -> bool:
    outcome = step.outcome
    unclear = Reason.REFUSAL_UNCLEAR
    return isinstance(outcome, Inconclusive) and outcome.failure.reason is unclear


def _what(result: FlowResult, history: History) -> Failure | None:
    """What to say of it: our own fault names the secret or file, where the flow's names neither."""
    match result.outcome:
        case Inconclusive(ours):
            return ours
        case _:
            return history.failure


def blame_of(diagnosis: Diagnosis) -> str:
    """The diagnosis as one word: ``healthy``, ``fails_open``, or the layer to blame."""
    if diagnosis.fails_open:
        return FAILS_OPEN
    return diagnosis.layer or HEALTHY
