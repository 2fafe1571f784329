"""What becomes of a run of a flow: diagnosis, confirmation, store, log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import trio

from probe.agent.filing import Excuse, RequestRun
from probe.agent.jobs import checks_of, persona_of
from probe.agent.log import EventLog, key_fields, planned_because
from probe.model.failure import Failure, Reason
from probe.model.flow import ApiCheck, Persona
from probe.model.result import Failed, FlowResult, Inconclusive, Passed, Skipped, StepResult
from probe.model.spec import Spec
from probe.model.state import CONFIRMED, FLOW_CONFIRMATION, Diagnosis, EdgeStatus, Transition
from probe.model.target import FlowKey
from probe.serve import Store
from probe.state.confirmation import advance
from probe.state.diagnosis import WINDOW, denials, diagnose, must_be_refused
from probe.state.history import Attempt, History

HEALTHY = "healthy"
SUSPECT = "suspect"
UNNAMED = "unnamed"  # runs fail, because time runs out for example, and no layer is to blame
FAILS_OPEN = "fails_open"  # waits for no confirmation

_UNCLEAR_EVERY = 10.0
"""Most seconds between two runs while a refusal stays unclear."""


@dataclass(slots=True)
class _Known:
    """What is known of one flow.

    Attributes:
        runs: the latest ones, which the diagnosis looks at.
        blamed: the diagnosis as the log said it last.
        open: calls that must be refused, and succeeded when they were last answered.
        began: when the latest run began, or the one that was asked for; trio's clock.
        unclear: since when every run met a refusal whose cause is unclear; trio's clock.
    """

    runs: deque[FlowResult] = field(default_factory=lambda: deque(maxlen=WINDOW))
    history: History = field(default_factory=History)
    blamed: str = HEALTHY
    open: frozenset[str] = frozenset()
    began: float = 0.0
    unclear: float | None = None


class FlowFiling:
    """Takes runs in, one at a time, on the event loop.

    Args:
        store: what metrics and page are read from.
        log: one line for each change of the diagnosis.
        excuse: whether a failure is the vantage's own.
        ask: asks the runner for further runs.
        saw: told each run, with what is believed after it.
    """

    def __init__(
        self,
        store: Store,
        log: EventLog,
        excuse: Excuse,
        ask: RequestRun,
        saw: Callable[[FlowResult, History, Diagnosis], None] = lambda *_: None,
    ) -> None:
        self._store = store
        self._log = log
        self._excuse = excuse
        self._ask = ask
        self._saw = saw
        self._checks: dict[str, ApiCheck] = {}
        self._flows: dict[FlowKey, _Known] = {}
        self._kin: dict[tuple[str, str], set[FlowKey]] = {}  # flows of one check and target

    def configure(self, spec: Spec) -> None:
        """Follow a configuration; a check whose steps changed starts with a fresh window."""
        before = self._checks
        self._checks = checks_of(spec, ApiCheck)
        for key, known in self._flows.items():
            if before.get(key.check) != self._checks.get(key.check):
                known.runs.clear()

    def forget(self, key: FlowKey) -> None:
        """Forget a flow that runs no more."""
        self._flows.pop(key, None)
        kin = self._kin.get(key[:2], set())
        kin.discard(key)
        if not kin:
            self._kin.pop(key[:2], None)
        self._store.forget([key])

    def doubt(self, key: FlowKey) -> None:
        """Forget that a flow passed, because it is another now; alerts stay until it has run."""
        known = self._flows.get(key)
        if known is None or (known.history.status not in CONFIRMED and not known.open):
            self.forget(key)

    def file(self, result: FlowResult) -> None:
        """File one run: diagnose it, confirm what it says, tell store and log."""
        key = result.key
        check = self._checks.get(key.check)
        if check is None:
            return
        now = trio.current_time()
        began = now - result.seconds
        result = self._excused(result, began)
        known = self._flows.get(key)
        if known is None:
            known = self._flows[key] = _Known()
            self._kin.setdefault(key[:2], set()).add(key)
        self._tell_refusal(result, known.runs)
        known.runs.append(result)
        persona = persona_of(check, key.persona)
        found = diagnose(check, persona, tuple(known.runs))
        diagnosis = _with_denials(known, check, persona, result, found)
        attempt = Attempt(key, result.outcome, result.at, result.seconds)
        history, decision = advance(known.history, attempt, FLOW_CONFIRMATION, now)
        known.history, known.began = history, began
        self._store.record_flow(result, diagnosis, history.status, history.since)
        self._saw(result, history, diagnosis)
        self._tell(result, diagnosis, known)
        if any(map(_unclear, result.steps)):
            self._ask_others(key, known, now)
        else:
            known.unclear = None
        again = decision.again
        rare = check.interval > FLOW_CONFIRMATION.sample_for
        if rare and not again and history.status is EdgeStatus.FLAPPING and history.passes:
            again = (FLOW_CONFIRMATION.sample_interval,)  # else six passes would take half an hour
        for after in again:
            self._ask(key, after, decision.beside)

    def _excused(self, result: FlowResult, began: float) -> FlowResult:
        """Make every failure of a run inconclusive that the vantage explains."""
        outcomes = (result.outcome, *[step.outcome for step in result.steps])
        if not any(isinstance(outcome, Failed | Inconclusive) for outcome in outcomes):
            return result
        for step in result.steps:
            leaf = step.handshake.leaf if step.handshake is not None else None
            if leaf is not None and not isinstance(step.outcome, Skipped):
                self._excuse.certificate(leaf, step.outcome, result.at)
        steps = tuple(
            replace(step, outcome=self._excuse(step.outcome, began)) for step in result.steps
        )
        outcome = self._excuse(result.outcome, began)
        for found in {outcome, *(step.outcome for step in steps)}:
            if isinstance(found, Inconclusive):
                self._log.defect_in(result.key, found.failure)
        return replace(result, outcome=outcome, steps=steps)

    def _ask_others(self, refused: FlowKey, known: _Known, now: float) -> None:
        """Ask for a run of each other persona, to see whether its credentials are refused too.

        Each needs one run that began since. Those that are unclear themselves run again without
        this. The refused one runs again at growing distances, because it may wait for a login that
        no run here makes.
        """
        known.unclear = since = now if known.unclear is None else known.unclear
        for key in self._kin[refused[:2]]:
            other = self._flows[key]
            if other.unclear is None and other.began < since:
                other.began = due = max(now, other.began + FLOW_CONFIRMATION.spacing)
                self._ask(key, due - now, False)
        again = min(max(FLOW_CONFIRMATION.spacing, now - since), _UNCLEAR_EVERY)
        self._ask(refused, again, False)

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

    def _tell(self, result: FlowResult, diagnosis: Diagnosis, known: _Known) -> None:
        """Log when the blame changes; until it is confirmed it is a suspicion."""
        after, before, history = blame_of(diagnosis), known.blamed, known.history
        if after not in (HEALTHY, FAILS_OPEN) and history.status is EdgeStatus.SUSPECT:
            after = SUSPECT
        if after == HEALTHY and history.status in CONFIRMED:
            passed = isinstance(result.outcome, Passed)  # recovery is not confirmed yet
            after = before if passed and before not in (HEALTHY, SUSPECT) else UNNAMED
        if before == after:
            return
        known.blamed = after
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
        planned = planned_because(self._store.planned.of(result.key))
        trace_id = step.evidence.trace_id if step else ""
        self._log.transition(change, planned=planned, trace_id=trace_id)


def _with_denials(
    known: _Known, check: ApiCheck, persona: Persona | None, run: FlowResult, found: Diagnosis
) -> Diagnosis:
    """Add whether calls that must be refused are. Without an answer to one nothing changes."""
    told = denials(run, check, persona)
    if not told and not known.open:
        return found
    left = {s for s in known.open - told.keys() if must_be_refused(s, check, persona)}
    known.open = frozenset(left | {step for step, succeeded in told.items() if succeeded})
    return replace(found, fails_open=bool(known.open), refused=bool(told) and not known.open)


def _unclear(step: StepResult) -> bool:
    outcome = step.outcome
    unclear = Reason.REFUSAL_UNCLEAR
    return isinstance(outcome, Inconclusive) and outcome.failure.reason is unclear


def _what(result: FlowResult, history: History) -> Failure | None:
    """Choose the failure to log. Our own one names the secret or file; the flow's names neither."""
    match result.outcome:
        case Inconclusive(ours):
            return ours
        case _:
            return history.failure


def blame_of(diagnosis: Diagnosis) -> str:
    """Put a diagnosis in one word: ``healthy``, ``fails_open``, or the layer to blame."""
    if diagnosis.fails_open:
        return FAILS_OPEN
    return diagnosis.layer or HEALTHY
