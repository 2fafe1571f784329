"""The calls of a flow as an investigation sees them: where they went, what they showed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from probe.auth.values import tokens_named
from probe.model.auth import CookieAuth, JsonLoginAuth, OAuth2
from probe.model.cause import Observed
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, Persona, Step
from probe.model.flow_cause import FlowChange
from probe.model.result import Failed, FlowResult, Passed, Skipped, StepResult
from probe.model.target import FlowKey
from probe.state.diagnosis.evidence import Mark, Role, backend, mark, must_be_refused, role

NONE, KEPT, NEW, FIXED = "none", "kept", "new", "fixed"
"""What a call carries: nothing, a token of an earlier run, one of this run, or a fixed secret."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1): only such calls are repeated."""

_WHOLE = 0.9
"""Share of its time that a call must have had, to have failed by itself."""

LOGINS = (JsonLoginAuth, CookieAuth, OAuth2)


class Call(NamedTuple):
    """What a call went to, and with what.

    Attributes:
        step: of the flow; the name of the ``auth`` entry for a login.
        host: that served it, or what ``backend`` says.
        address: that answered; empty where that is not known.
        token: one of the four above; of a call whose body holds a token it is ``none``.
        authorized: it carries credentials as credentials.
        login: it gives a token, or tells whether one is good: what is before the platform does not
            stand before it.
        gives: it gives a token.
    """

    step: str
    host: str
    address: str
    token: str
    authorized: bool
    login: bool
    target: str
    provider: str
    persona: str
    gives: bool = False


class CallTrial(NamedTuple):
    """An experiment that can be made.

    Attributes:
        call: as it is expected to go.
        bare: the call's credentials are left out.
        logs_in: it makes a login first, or is one.
    """

    change: FlowChange
    call: Call
    bare: bool = False
    logs_in: bool = False


@dataclass(frozen=True, slots=True)
class SeenCall:
    """One call that was made, and how it ended, with the seconds that it took."""

    call: Call
    mark: Mark
    failure: Failure | None = None
    seconds: float = 0.0


def calls_of(run: FlowResult, check: ApiCheck, persona: Persona | None) -> Iterator[SeenCall]:
    """Yield the calls of a run that were made. A token is new once its login stands before it.

    A call that was cut off because the run's time was over is not among them: it says nothing about
    its host.
    """
    cut = _cut_off(run, check)
    made: set[str] = set()
    steps = {step.name: step for step in check.steps if isinstance(step, Step)}
    entries = entries_of(check, persona)
    for result in run.steps:
        denied = must_be_refused(result.step, check, persona)
        ended = mark(result, denied=denied, router_codes=check.router_codes)
        step = steps.get(result.step)
        if step is None and result.step in entries and isinstance(result.outcome, Passed):
            made.add(result.step)
        if ended is Mark.SKIPPED or result is cut or (step is None and result.layer != "login"):
            continue
        name = None if step is None else entry_of(step, check)
        entry = entries.get(name) if name else None
        token = NONE
        if entry is not None:
            token = (NEW if name in made else KEPT) if isinstance(entry, LOGINS) else FIXED
        yield seen_of(run.key, check, persona, result, token, ended)


def _cut_off(run: FlowResult, check: ApiCheck) -> StepResult | None:
    """Return the call that a run's end cut off: its last one, where it had less than its time."""
    steps = {step.name: step for step in check.steps}
    made = [
        result
        for result in run.steps
        if not isinstance(result.outcome, Skipped)
        and not (result.step in steps and steps[result.step].cleanup)
    ]
    last = made[-1] if made else None
    if last is None or not isinstance(last.outcome, Failed):
        return None
    failure, step = last.outcome.failure, steps.get(last.step)
    own = check.timeout if step is None or step.timeout is None else step.timeout
    if failure.reason is not Reason.TIMEOUT or failure.phase is Phase.RESOLVE:
        return None  # a resolver has a limit of its own
    # What a login repeats of another run's took no time here.
    return last if 0.0 < last.timings.total < own * _WHOLE else None


def seen_of(
    key: FlowKey,
    check: ApiCheck,
    persona: Persona | None,
    result: StepResult,
    token: str,
    ended: Mark,
) -> SeenCall:
    """Make what is remembered of one call."""
    found = role(result, check, persona)
    call = Call(
        result.step,
        backend(result, check),
        "" if result.edge is None else result.edge.label,
        token,
        token != NONE,
        found in (Role.LOGIN, Role.TOKEN),
        key.target,
        key.provider,
        key.persona,
        found is Role.LOGIN,
    )
    failure = result.outcome.failure if isinstance(result.outcome, Failed) else None
    return SeenCall(call, ended, failure, result.timings.total)


def entries_of(check: ApiCheck, persona: Persona | None) -> dict[str, object]:
    """Return the ways in which a persona shows who it is; None for one that it lacks."""
    return {**check.auth, **({} if persona is None else persona.auth)}


_NO_ANSWER = frozenset({Mark.GATEWAY, Mark.SILENT})


def observed(found: Mark, failing: Mark) -> Observed | None:
    """Tell what a call says about a failure; None for one that was not made.

    A call without credentials that succeeds where the configuration wants a refusal did not meet
    the fault either.
    """
    if found is Mark.SKIPPED:
        return None
    if found is Mark.OURS:
        return Observed.UNCLEAR
    if found in (Mark.PASSED, Mark.OPEN):
        return Observed.PASSED
    same = found is failing or {found, failing} <= _NO_ANSWER
    return Observed.SAME if same else Observed.OTHER


def repeatable(step: object) -> bool:
    """Tell whether a step may be called once more than the flow does.

    One that only reads may. So may a POST that tells whether a token is good (layer ``token``): it
    is asked with every run. Any other request may create something, and programs do as they like.
    """
    if not isinstance(step, Step) or step.cleanup:
        return False
    method = step.request.method.upper()
    return method in SAFE or (method == "POST" and step.layer == "token")


def entry_of(step: Step, check: ApiCheck) -> str | None:
    """Name the ``auth`` entry whose token a call carries as its credentials; None for none.

    A token in the body, or in a call that tells whether one is good, is what the call asks about.
    It proves nothing of who calls.
    """
    if step.auth is not None or step.layer == "token":
        return step.auth
    request = step.request
    named = tokens_named(request.url, request.headers, request.query, check.headers)
    return next(iter(named), None)
