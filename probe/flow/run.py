"""What one run of a flow is given and what it learns. What it finds its steps return."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import trio

from probe import __version__
from probe.auth.logins import entry_of
from probe.auth.signers import StaticAuth
from probe.auth.store import Login
from probe.auth.values import NoValue, Unsafe, Values, tokens_named
from probe.flow.bonds import Bond, Spelled, bonds_of, places_of, until_path
from probe.flow.known import COMMON, public_of
from probe.flow.redact import Redactor, clip
from probe.http.body import ACCEPTED
from probe.http.messages import CallResult, Request
from probe.http.session import Session
from probe.http.url import BadUrl
from probe.model.auth import Auth, BearerAuth, carries_credential
from probe.model.expressions import names
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, CommandStep, Persona, Step
from probe.model.result import Inconclusive, Missing, Skipped, StepOutcome, changed
from probe.model.secret import SecretError
from probe.model.spec import ASKED, ASKED_URL
from probe.model.target import FlowKey, Target

_LEAST = 0.1
"""Least share of a step's time-out that must be left for it to begin."""
_DETAIL_SHOWN = 400

T = TypeVar("T")

NewId = Callable[[int], str]
"""Gives that many random bytes as hex."""


def new_id(count: int) -> str:
    """Make random bytes as hex, never all zero (W3C Trace Context forbids that)."""
    while True:
        found = secrets.token_hex(count)
        if found.strip("0"):
            return found


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """What is the same in every run of a check for one persona.

    Attributes:
        entries: auth entries by name; None where the persona has none.
        lent: by step, names of the entries whose token its templates carry.
        common: headers of every request: name in lower case, name, template.
        places: templates of all URLs, up to their path.
        bonds: by step and by login, where the credentials of its calls may go.
        bond: where other secrets of the check may go.
        secret_captures: names of captures that are secret: said so, or used as credentials.
        public: what the configuration spells out, and words that all requests have, folded.
    """

    check: ApiCheck
    persona: Persona | None
    entries: Mapping[str, Login | StaticAuth | None]
    lent: Mapping[str, tuple[str, ...]]
    common: tuple[tuple[str, str, str], ...]
    places: tuple[str, ...]
    bonds: Mapping[str, tuple[Bond, ...]]
    bond: Bond
    secret_captures: frozenset[str]
    public: bytes

    def given(self, target: Target) -> dict[str, str]:
        """Collect the values of a run for one target, but for captures."""
        labels = {f"labels.{name}": value for name, value in target.labels.items()}
        if self.check.targets == ASKED:
            labels[ASKED_URL] = target.labels[ASKED_URL]
        return {**self._vars(), **labels, "target": target.label, "target.name": target.name}

    def spelled(self, target: Target) -> Spelled:
        """Tell what the configuration itself spells out when the flow runs for a target."""
        return Spelled((lambda: self.given(target)) if target.written else self._vars, self.places)

    def _vars(self) -> dict[str, str]:
        return {**self.check.vars, **(self.persona.vars if self.persona is not None else {})}


def plan_of(check: ApiCheck, persona: Persona | None) -> FlowPlan:
    """Work out the plan of a check and persona."""
    entries: dict[str, Auth | None] = dict(check.auth)
    if persona is not None:
        entries.update(persona.auth)
    found = {name: None if one is None else entry_of(one) for name, one in entries.items()}
    lent = {step.name: _lent(step, check) for step in check.steps}
    secret_captures = frozenset(_secret_captures(check, persona))
    calls = [step for step in check.steps if isinstance(step, Step)]
    logins = [entry.url for entry in found.values() if isinstance(entry, Login)]
    places = tuple(dict.fromkeys([*places_of(check, calls), *map(until_path, logins)]))
    own = Bond("", check.hosts, () if check.hosts else places)
    return FlowPlan(
        check=check,
        persona=persona,
        entries=found,
        lent=lent,
        common=tuple(_common(check)),
        places=places,
        bonds=dict(bonds_of(check, found, calls, lent, secret_captures, own)),
        bond=own,
        secret_captures=secret_captures,
        public=public_of(repr(check), repr(persona), COMMON),
    )


@dataclass(slots=True)
class FlowRun:
    """One run of a flow.

    Attributes:
        run_id: 32 hex digits; the trace id of every request of the run.
        deadline: trio time by which the present steps are over.
        lag: the event loop's lag now, in seconds.
        proxy: the environment's variable that names a proxy for a scheme and host, if any.
        spelled: hosts that the configuration itself spells out.
        heard: told each call that was made.
    """

    key: FlowKey
    plan: FlowPlan
    session: Session
    values: Values
    redactor: Redactor
    run_id: str
    deadline: float
    lag: Callable[[], float]
    ids: NewId
    proxy: Callable[[str, str], str | None]
    spelled: Spelled
    heard: Callable[[CallResult], object] = lambda _: None

    @property
    def check(self) -> ApiCheck:
        """Return what is run."""
        return self.plan.check

    def prepare(self, build: Callable[[], T]) -> T | Skipped | Inconclusive:
        """Make something of values and secrets, or say why not: the one place where that may fail.

        Args:
            build: makes it; may raise NoValue, Unsafe, BadUrl and SecretError.
        """
        try:
            return build()
        except NoValue as error:
            return Skipped(Missing(error.name))
        except SecretError as error:
            return Inconclusive(self.clean(error.failure()))
        except (Unsafe, BadUrl) as error:
            return Inconclusive(self.clean(unsafe(str(error))))

    def whole(self, request: Request) -> Request:
        """Add the headers that every request of the check carries; the request's own win.

        Raises:
            NoValue: a header needs a value that is not there.
            Unsafe: a header would not stay one.
        """
        own = {name.lower() for name, _ in request.headers}
        headers = [
            (name, self.values.fill_header(value))
            for key, name, value in self.plan.common
            if key not in own
        ]
        run_id = self.check.run_id_header
        if run_id is not None and run_id.lower() not in own:
            headers.append((run_id, self.run_id))
        if "traceparent" not in own:
            headers.append(("traceparent", self.traceparent()))
        return Request(request.method, request.url, (*headers, *request.headers), request.body)

    def traceparent(self) -> str:
        """Make a W3C Trace Context: this run's trace, a new span, sampled."""
        return f"00-{self.run_id}-{self.ids(8)}-01"

    def step_deadline(self, seconds: float | None) -> float:
        """Return the trio time at which a step that starts now must be over."""
        own = self.check.timeout if seconds is None else seconds
        return min(trio.current_time() + own, self.deadline)

    def time_for(self, step: Step | CommandStep) -> bool:
        """Tell whether enough of the run's time is left for a step to begin.

        A call that is cut off at once would not come through to its host, and that host or its
        edge would be blamed for the time that others took. Cleanup is tried whatever is left.
        """
        own = self.check.timeout if step.timeout is None else step.timeout
        left = self.deadline - trio.current_time()
        return left > 0 if step.cleanup else left >= own * _LEAST

    def clean(self, failure: Failure) -> Failure:
        """Redact and bound the detail of a failure."""
        detail = clip(self.redactor.redact(failure.detail), _DETAIL_SHOWN)
        return Failure(failure.phase, failure.reason, detail)

    def cleaned(self, outcome: StepOutcome) -> StepOutcome:
        """Redact every detail of an outcome."""
        return outcome if isinstance(outcome, Skipped) else changed(outcome, self.clean)


def unsafe(detail: str) -> Failure:
    """Build the failure of a request that was not sent because of what stands in it."""
    return Failure(Phase.SEND, Reason.UNSAFE_VALUE, detail)


def _common(check: ApiCheck) -> Iterator[tuple[str, str, str]]:
    common = {
        "user-agent": ("User-Agent", check.user_agent or f"regional-probe/{__version__}"),
        "accept": ("Accept", "*/*"),
        "accept-encoding": ("Accept-Encoding", ACCEPTED),
        **{name.lower(): (name, value) for name, value in check.headers.items()},
    }
    ours = {"traceparent", (check.run_id_header or "").lower()}
    return ((key, *pair) for key, pair in common.items() if key not in ours)


def _lent(step: Step | CommandStep, check: ApiCheck) -> tuple[str, ...]:
    if isinstance(step, CommandStep):
        spec = step.command
        return tokens_named(spec.arguments, spec.environment, spec.stdin)
    return tokens_named(step.request, step.expect.contains, check.headers) if check.auth else ()


def _secret_captures(check: ApiCheck, persona: Persona | None) -> Iterator[str]:
    entries = [*check.auth.values(), *(persona.auth.values() if persona is not None else ())]
    for entry in entries:
        if isinstance(entry, BearerAuth) and entry.capture is not None:
            yield entry.capture
    headers = list(check.headers.items())
    for step in check.steps:
        if isinstance(step, Step):
            headers += step.request.headers.items()
            yield from (one.name for one in step.captures if one.secret)
    for name, value in headers:
        if carries_credential(name):
            yield from names(value)
