"""What results say, reduced to the few kinds that a diagnosis tells apart. Pure.

First one step's result, then the last runs of a flow step by step, as the rules see them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, CommandStep, Persona, Step
from probe.model.result import Failed, FlowResult, Inconclusive, Passed, Skipped, StepResult


class Mark(Enum):
    """How a call ended."""

    PASSED = "passed"
    SKIPPED = "skipped"
    OURS = "ours"
    WAY = "did not get through"  # DNS, TCP, TLS, certificate
    GATEWAY = "got a 502-504"  # or a code of the router: nothing came from behind it
    SILENT = "got no whole answer"  # time-out, cut, no HTTP
    PAGE = "got a web page"  # with a status of success, where JSON is due
    ERROR = "got a 500"
    UNAUTHORIZED = "got a 401"
    FORBIDDEN = "got a 403"
    LIMITED = "got a 429"
    OTHER = "got another answer than expected"
    OPEN = "succeeded although it must be refused"

    @property
    def bad(self) -> bool:
        """Whether the target is at fault."""
        return self not in {Mark.PASSED, Mark.SKIPPED, Mark.OURS}


class Role(Enum):
    """What a step proves."""

    CONTROL = "control"  # no credentials, must work
    DENY = "deny"  # must be refused
    LOGIN = "login"
    TOKEN = "token"  # noqa: S105 - a role, not a password
    AUTHORIZED = "authorized"  # with credentials
    FREE = "free"  # anything else


_WAY = frozenset({Phase.RESOLVE, Phase.CONNECT, Phase.STARTTLS, Phase.TLS, Phase.CERTIFICATE})
_EXCHANGE = frozenset({Phase.SEND, Phase.WAIT, Phase.RECEIVE})
_BROKEN = frozenset(
    {Reason.TIMEOUT, Reason.CLOSED, Reason.RESET, Reason.HTTP_INVALID, Reason.HTTP2_ERROR}
)
_NO_ANSWER = frozenset({Mark.SKIPPED, Mark.OURS, Mark.WAY, Mark.GATEWAY, Mark.SILENT, Mark.LIMITED})
_GATEWAY = frozenset({502, 503, 504})  # RFC 9110 section 15.6
_CODE = re.compile(r'"code"\s*:\s*"([^"]{1,64})"')


def mark(result: StepResult, *, denied: bool, router_codes: tuple[str, ...]) -> Mark:
    """Reduce the result of one call to a mark.

    Args:
        result: of one attempt.
        denied: the call must be refused.
        router_codes: as in `ApiCheck`.
    """
    match result.outcome:
        case Passed():
            return Mark.PASSED
        case Skipped():
            return Mark.SKIPPED
        case Inconclusive():
            return Mark.OURS
        case Failed(failure):
            return _failed(result, failure, denied, router_codes)


def _failed(result: StepResult, failure: Failure, denied: bool, codes: tuple[str, ...]) -> Mark:
    status = result.evidence.status
    if failure.phase in _WAY:
        return Mark.WAY
    if _is_page(result, failure):
        return Mark.PAGE
    if denied and status is not None and 200 <= status < 300:
        return Mark.OPEN
    if failure.reason is Reason.RATE_LIMITED or status == 429:
        return Mark.LIMITED
    if failure.phase in _EXCHANGE or failure.phase is Phase.AUTH:
        if failure.reason in _BROKEN:
            return Mark.SILENT
        if failure.reason is not Reason.LOGIN_FAILED:
            return Mark.OTHER
    elif failure.reason is not Reason.STATUS:
        return Mark.OTHER
    return _status(result, status, codes)


def _is_page(result: StepResult, failure: Failure) -> bool:
    """What is shown to whoever is not let in, or to everybody, by something in front."""
    if failure.reason is Reason.JSON:
        return result.evidence.body.lstrip().startswith("<")
    return failure.reason is Reason.WEB_PAGE


def _status(result: StepResult, status: int | None, codes: tuple[str, ...]) -> Mark:
    said = {*_CODE.findall(result.evidence.body), *result.evidence.headers.values()}
    if status is None:
        return Mark.OTHER
    if status in _GATEWAY or not said.isdisjoint(codes):
        return Mark.GATEWAY
    if status >= 500:
        return Mark.ERROR
    return {401: Mark.UNAUTHORIZED, 403: Mark.FORBIDDEN}.get(status, Mark.OTHER)


def role(result: StepResult, check: ApiCheck, persona: Persona | None) -> Role:
    """Tell what a result's step proves, by its declared layer and its credentials."""
    step = _step_of(result.step, check)
    if isinstance(step, Step) and step.denied_to(persona):
        return Role.DENY
    if result.layer in {"control", "login", "token"}:
        return Role(result.layer)
    if result.layer == "authorization" or _with_credentials(step, persona):
        return Role.AUTHORIZED
    return Role.FREE


def _step_of(name: str, check: ApiCheck) -> Step | CommandStep | None:
    """The step of that name; None for the login of an auth entry."""
    return next((step for step in check.steps if step.name == name), None)


def must_be_refused(name: str, check: ApiCheck, persona: Persona | None) -> bool:
    """Tell whether the step of that name is a call that must be refused to the persona."""
    step = _step_of(name, check)
    return isinstance(step, Step) and step.denied_to(persona)


def denials(run: FlowResult, check: ApiCheck, persona: Persona | None) -> dict[str, bool]:
    """Find calls that must be refused and were answered, and whether each succeeded."""
    told: dict[str, bool] = {}
    for result in run.steps:
        if must_be_refused(result.step, check, persona):
            found = mark(result, denied=True, router_codes=check.router_codes)
            if found not in _NO_ANSWER:
                told[result.step] = told.get(result.step, False) or found is Mark.OPEN
    return told


def _with_credentials(step: Step | CommandStep | None, persona: Persona | None) -> bool:
    if not isinstance(step, Step) or step.auth is None:
        return False
    return persona is None or persona.auth.get(step.auth, step.auth) is not None


def backend(result: StepResult, check: ApiCheck) -> str:
    """Name what served a call: as declared, else the host in its URL, else the step's own name."""
    step = _step_of(result.step, check)
    if isinstance(step, Step) and step.backend is not None:
        return step.backend
    url = result.evidence.request.partition(" ")[2]
    if url.startswith(("http://", "https://")):
        return urlsplit(url).netloc
    return result.step


UNLIKELY = 0.05
"""A run of luck less likely than this is not believed in."""

EXCLUDED = 0.003
"""What is less likely than this is excluded. Stricter, because it is asked about a pattern that
was chosen for looking like the answer."""


@dataclass(frozen=True, slots=True)
class View:
    """One step over the runs since failures began.

    Attributes:
        past: marks of every attempt, oldest first.
        now: those of the latest run.
    """

    step: str
    layer: str
    role: Role
    backend: str
    past: tuple[Mark, ...]
    now: tuple[Mark, ...]

    @property
    def failing(self) -> bool:
        """It failed at least once."""
        return any(mark.bad for mark in self.past)

    @property
    def failing_now(self) -> bool:
        """It failed in the latest run."""
        return any(mark.bad for mark in self.now)

    @property
    def kind(self) -> Mark:
        """How it failed last; PASSED if it did not."""
        return next((mark for mark in reversed(self.past) if mark.bad), Mark.PASSED)

    @property
    def ran(self) -> int:
        """Calls that were made."""
        return sum(mark.bad or mark is Mark.PASSED for mark in self.past)

    @property
    def failures(self) -> int:
        """Calls that failed."""
        return sum(mark.bad for mark in self.past)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Every step's view, and how many runs they span."""

    check: ApiCheck
    views: tuple[View, ...]
    runs: int

    def of(self, role: Role) -> tuple[View, ...]:
        """Select the views of steps that ran, by role."""
        return tuple(view for view in self.views if view.role is role and view.ran)

    @property
    def failing(self) -> tuple[View, ...]:
        """Steps that failed."""
        return tuple(view for view in self.views if view.failing)

    def fails(self, role: Role) -> bool:
        """Tell whether a step of that role failed."""
        return any(view.failing for view in self.of(role))


def observe(
    check: ApiCheck, persona: Persona | None, runs: Sequence[FlowResult]
) -> tuple[Pattern, Pattern]:
    """Collect what the runs show: since failures began, and in the latest run alone.

    Args:
        check: the flow.
        persona: who ran it.
        runs: oldest first, at least one.
    """
    latest = _pattern(check, persona, runs[-1:])
    first = next((i for i, run in enumerate(runs) if _bad(check, persona, run)), len(runs) - 1)
    return _pattern(check, persona, runs[first:]), latest


def failing_runs(check: ApiCheck, persona: Persona | None, runs: Iterable[FlowResult]) -> int:
    """Count the runs that hold a failure."""
    return sum(_bad(check, persona, run) for run in runs)


def _bad(check: ApiCheck, persona: Persona | None, run: FlowResult) -> bool:
    return any(view.failing for view in _pattern(check, persona, (run,)).views)


def _pattern(check: ApiCheck, persona: Persona | None, runs: Sequence[FlowResult]) -> Pattern:
    found: dict[str, View] = {}
    for number, run in enumerate(runs):
        latest = number == len(runs) - 1
        for result in run.steps:
            denied = must_be_refused(result.step, check, persona)
            ended = mark(result, denied=denied, router_codes=check.router_codes)
            before = found.get(result.step)
            found[result.step] = View(
                step=result.step,
                layer=result.layer,
                role=role(result, check, persona),
                backend=_backend(before, backend(result, check), result.step),
                past=(*(before.past if before else ()), ended),
                now=(*(before.now if before else ()), ended) if latest else (),
            )
    return Pattern(check, tuple(found.values()), len(runs))


def _backend(before: View | None, said: str, step: str) -> str:
    """A skipped call says no host; what an earlier run said still holds."""
    return before.backend if before is not None and said == step else said


def lingers(since: Pattern, latest: Pattern) -> bool:
    """Judge whether failures may still be there although the latest run shows none.

    Where only a part of the calls fail, a run without failures is luck that happens; where
    all of them failed, it is recovery.
    """
    suspects = [view for view in since.views if view.failing]
    earlier = sum(view.ran - _ran(view.now) for view in suspects)
    rate = sum(view.failures for view in suspects) / earlier if earlier else 1.0
    tries = sum(_ran(view.now) for view in suspects if view.now)
    return (1.0 - min(rate, 1.0)) ** tries >= UNLIKELY if latest.views else True


def _ran(now: tuple[Mark, ...]) -> int:
    return sum(mark.bad or mark is Mark.PASSED for mark in now)
