"""Flows as the page and the API show them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import assert_never

from probe.model.failure import Failure, failure_fields
from probe.model.flow_cause import FlowExperiment
from probe.model.result import Failed, Inconclusive, Passed, Skipped, StepOutcome, StepResult
from probe.model.state import CONFIRMED
from probe.model.target import FlowKey
from probe.serve.memory.flow_causes import FlowCauseBook
from probe.serve.page.standing import shown_state
from probe.serve.records import TROUBLED, FlowRecord
from probe.serve.series.flow_samples import degraded
from probe.state.diagnosis import INCONCLUSIVE

NAMED = 60
"""Most targets named in one problem."""

EXPERIMENTS = 60
"""Most experiments shown of one flow."""


@dataclass(frozen=True, slots=True)
class StepView:
    """One step of the latest run of a flow.

    Attributes:
        outcome: ``passed``, ``degraded``, ``failed``, ``inconclusive`` or ``skipped``.
    """

    step: str
    layer: str
    outcome: str
    phase: str
    reason: str
    detail: str
    status: int | None
    seconds: float | None
    attempts: int
    edge: str
    request: str
    headers: dict[str, str]
    body: str
    command: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class FlowView:
    """One flow, with the steps of its latest run; of its latest failed run while it fails.

    Attributes:
        layer: the layer to blame; empty when healthy, ``inconclusive`` when the fault is ours.
        why: the rule that named it.
        unseen: since when nobody has judged it, once that is too long.
        cause: what it depends on, by experiment; empty while that is not known.
        because: the cause in a sentence, without a full stop.
        investigating: experiments are under way.
        spent: calls that were made for it.
    """

    check: str
    target: str
    provider: str
    persona: str
    state: str
    since: float
    at: float
    seconds: float
    run_id: str
    layer: str
    why: str
    fails_open: bool
    phase: str
    reason: str
    detail: str
    steps: tuple[StepView, ...]
    unseen: float | None
    cause: str = ""
    because: str = ""
    investigating: bool = False
    spent: int = 0
    experiments: tuple[FlowExperiment, ...] = ()

    @property
    def troubled(self) -> bool:
        """Whether a person should look."""
        return self.state in {"suspect", "failing", "flapping", "unseen"} or bool(self.layer)


@dataclass(frozen=True, slots=True)
class FlowProblem:
    """Flows of one check that fail alike.

    Attributes:
        layer: the layer to blame, empty when none was named; ``inconclusive`` when the fault
            is ours since they were last judged.
        personas: who is affected; empty without personas.
        targets: names, the first ones; ``of_targets`` is how many the check has.
        unseen: as of ``ProblemView``.
    """

    check: str
    layer: str
    reason: str
    fails_open: bool
    since: float
    personas: tuple[str, ...]
    targets: tuple[str, ...]
    targets_total: int
    of_targets: int
    unseen: int
    unseen_since: float | None


def flow_views(
    records: Iterable[FlowRecord], most: int, causes: FlowCauseBook | None = None
) -> list[FlowView]:
    """The flows that need a look first, then the others, in a stable order."""
    views = map(flow_view, nsmallest(most, records, key=_urgency))
    return [view if causes is None else explained(view, causes) for view in views]


def explained(view: FlowView, causes: FlowCauseBook) -> FlowView:
    """Add why a flow fails, as far as it is known and holds."""
    key = FlowKey(view.check, view.target, view.provider, view.persona)
    found = causes.of(key)
    if found is None:
        return replace(view, investigating=causes.under_way(key))
    return replace(
        view,
        cause=found.cause.value,
        because=found.sentence,
        spent=found.spent,
        experiments=found.experiments[:EXPERIMENTS],
    )


def _urgency(record: FlowRecord) -> tuple[object, ...]:
    fine = record.status not in TROUBLED
    return (not record.diagnosis.fails_open, fine, fine and record.unseen is None, record.key)


def flow_problems(records: Iterable[FlowRecord]) -> list[FlowProblem]:
    """Confirmed failures of flows, alike ones together; the gravest and broadest first."""
    known = list(records)
    whole: dict[str, set[str]] = {}
    alike: dict[tuple[str, bool, str, str], list[FlowRecord]] = {}
    for record in known:
        whole.setdefault(record.key.check, set()).add(record.key.target)
        diagnosis = record.diagnosis
        if record.status in CONFIRMED or diagnosis.fails_open:
            failure = _failure((record.evidence or record.last).outcome)
            blamed = diagnosis.layer not in ("", INCONCLUSIVE)
            reason = "" if blamed or failure is None else failure.reason.value
            group = (record.key.check, diagnosis.fails_open, diagnosis.layer, reason)
            alike.setdefault(group, []).append(record)
    problems = [_problem(group, members, len(whole[group[0]])) for group, members in alike.items()]
    return sorted(problems, key=lambda p: (not p.fails_open, -p.targets_total, p.since))


def _problem(
    group: tuple[str, bool, str, str], members: list[FlowRecord], of_targets: int
) -> FlowProblem:
    check, fails_open, layer, reason = group
    targets = {member.key.target for member in members}
    personas = {member.key.persona for member in members} - {""}
    unseen = [member.unseen for member in members if member.unseen is not None]
    return FlowProblem(
        check=check,
        layer=layer,
        reason=reason,
        fails_open=fails_open,
        since=min(member.since for member in members),
        personas=tuple(sorted(personas)),
        targets=tuple(nsmallest(NAMED, targets)),
        targets_total=len(targets),
        of_targets=of_targets,
        unseen=len(unseen),
        unseen_since=min(unseen, default=None),
    )


def flow_view(record: FlowRecord) -> FlowView:
    """A flow: while it does not pass, with the evidence of its latest failed run.

    Why it cannot be judged, while it cannot, is the latest run's to say.
    """
    shown = record.evidence or record.last
    diagnosis, key = record.diagnosis, record.key
    failure = _failure((record.last if diagnosis.layer == INCONCLUSIVE else shown).outcome)
    return FlowView(
        **key._asdict(),
        **failure_fields(failure),
        state=shown_state(record.status, record.last.outcome),
        since=record.since,
        at=shown.at,
        seconds=shown.seconds,
        run_id=shown.run_id,
        layer=diagnosis.layer,
        why=diagnosis.why,
        fails_open=diagnosis.fails_open,
        steps=tuple(map(_step, _with_slow_logins(record, shown.steps))),
        unseen=record.unseen,
    )


def _with_slow_logins(record: FlowRecord, steps: tuple[StepResult, ...]) -> tuple[StepResult, ...]:
    """A run that needs no login shows the latest one as long as it was too slow."""
    made = {step.step for step in steps}
    slow = (step for name, step in record.slow_logins.items() if name not in made)
    return (*slow, *steps)


def _step(result: StepResult) -> StepView:
    evidence = result.evidence
    return StepView(
        **failure_fields(_failure(result.outcome)) | {"detail": _detail(result.outcome)},
        step=result.step,
        layer=result.layer,
        outcome=_outcome(result),
        status=evidence.status,
        seconds=None if isinstance(result.outcome, Skipped) else result.timings.total,
        attempts=result.attempts,
        edge=result.edge.label if result.edge else "",
        request=evidence.request,
        headers=dict(evidence.headers),
        body=evidence.body,
        command=evidence.command,
        trace_id=evidence.trace_id,
    )


def _outcome(result: StepResult) -> str:
    match result.outcome:
        case Passed():
            return "degraded" if degraded(result) else "passed"
        case Failed():
            return "failed"
        case Inconclusive():
            return "inconclusive"
        case Skipped():
            return "skipped"
        case _:
            assert_never(result.outcome)


def _failure(outcome: StepOutcome) -> Failure | None:
    return outcome.failure if isinstance(outcome, Failed | Inconclusive) else None


def _detail(outcome: StepOutcome) -> str:
    match outcome:
        case Skipped():
            return str(outcome)
        case Passed(warnings):
            return "; ".join(str(warning) for warning in warnings)
        case Failed(failure) | Inconclusive(failure):
            return failure.detail
        case _:
            assert_never(outcome)
