"""Experiments on a failing flow: which calls can be made, and one that changes one thing.

Every experiment is a call that the flow makes anyway, for a target, provider and persona of its
check, with the credentials that it sends there anyway or with none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from probe.agent.jobs import persona_of
from probe.auth.store import TokenStore
from probe.auth.values import NoValue, Unsafe, Values, names_in, tokens_named
from probe.flow.run import plan_of
from probe.http.session import Resolve
from probe.model.auth import BearerAuth, OAuth2
from probe.model.cause import Observed
from probe.model.failure import Failure, Reason
from probe.model.flow import ApiCheck, Expect, Step
from probe.model.flow_cause import FlowChange, FlowExperiment
from probe.model.result import FlowResult, StepResult
from probe.model.target import FlowKey, Resolution, Target
from probe.probers.flow import FlowProber
from probe.state.causes.calls import (
    FIXED,
    KEPT,
    LOGINS,
    NEW,
    NONE,
    SAFE,
    Call,
    CallTrial,
    SeenCall,
    entries_of,
    entry_of,
    observed,
    repeatable,
    seen_of,
)
from probe.state.causes.flow_planner import FlowSetting
from probe.state.diagnosis import must_be_refused
from probe.state.diagnosis.evidence import Mark, mark

PATIENCE = 5.0
"""Most seconds of one call; a check with a shorter time-out keeps that."""

HANG = 2.0
"""Seconds without an answer after which a call fails in the same way as one that hangs, unless
calls that pass take long themselves."""

_TIMES_SLOWER = 3.0
MOST_OTHERS = 4
"""Other personas, targets, providers and addresses that may be asked, of each kind."""

ResolverOf = Callable[[FlowKey], Resolve]


@dataclass(slots=True)
class FlowScene:
    """A failing flow with everything that experiments on it may ask.

    Attributes:
        targets: of every flow of the check that runs.
        failing: the call that fails; ``result`` is all that is known of it.
        known: calls of regular runs, by flow and step.
        addresses: others of the failing call's host.
        slowest: seconds of the slowest call that passed.
    """

    key: FlowKey
    check: ApiCheck
    targets: Mapping[FlowKey, Target]
    failing: SeenCall
    result: StepResult
    known: Mapping[tuple[FlowKey, str], Call]
    resolver_of: ResolverOf
    addresses: tuple[str, ...] = ()
    slowest: float = 0.0
    _stores: dict[tuple[FlowKey, bool], TokenStore] = field(default_factory=dict)

    @property
    def failure(self) -> Failure:
        """How the call fails."""
        assert self.failing.failure is not None  # noqa: S101 - a call that fails has a failure
        return self.failing.failure

    @property
    def patience(self) -> float:
        """Seconds that one call of an experiment may take."""
        most = min(self.check.timeout, PATIENCE)
        hangs = self.failure.reason is Reason.TIMEOUT
        return min(most, max(HANG, _TIMES_SLOWER * self.slowest)) if hangs else most

    def setting(self) -> FlowSetting:
        """Describe it to the planner."""
        return FlowSetting(self.failing.call, self.failing.mark, tuple(self._trials()))

    def step(self, name: str) -> Step | None:
        """Return a step that may be called by itself; None for one that may not."""
        step = next((one for one in self.check.steps if one.name == name), None)
        if not isinstance(step, Step) or not repeatable(step):
            return None
        captured = {
            c.name for one in self.check.steps if isinstance(one, Step) for c in one.captures
        }
        if captured.intersection(names_in(step.request, step.expect.contains)):
            return None  # what earlier calls gave is not known any more
        return step

    def login(self, persona: str, name: str) -> bool:
        """Whether a login may be made by itself. One that uses up its secret may not."""
        entry = entries_of(self.check, persona_of(self.check, persona)).get(name)
        return isinstance(entry, LOGINS) and not _rotates(entry)

    def _token(self, key: FlowKey, step: Step) -> str | None:
        """Return what a call of a step shows by now; None where it cannot be made."""
        entries = entries_of(self.check, persona_of(self.check, key.persona))
        name = entry_of(step, self.check)
        needed = {name, *tokens_named(step.request, self.check.headers)}
        if any(_rotates(entries.get(one)) for one in needed if one):
            return None  # a login would use up its secret, and what came of it could be lost
        entry = entries.get(name) if name else None
        if entry is None:
            return NONE
        if isinstance(entry, BearerAuth) and entry.capture is not None:
            return None
        if not isinstance(entry, LOGINS):
            return FIXED
        if any(self._carried(key, call) == name for call in self._calls_of(key)):
            return KEPT
        return NEW

    def _calls_of(self, key: FlowKey) -> Iterator[Call]:
        return (call for (flow, _), call in self.known.items() if flow == key)

    def _carried(self, key: FlowKey, call: Call) -> str | None:
        """Name the login whose token a call of a run carried; None where it carried none."""
        step = next((one for one in self.check.steps if one.name == call.step), None)
        if call.token not in (KEPT, NEW) or not isinstance(step, Step):
            return None
        return entry_of(step, self.check)

    def _trials(self) -> Iterator[CallTrial]:
        own = self.failing.call
        if (step := self.step(own.step)) is not None:
            token = self._token(self.key, step)
            if token is not None:
                call = own._replace(token=token)
                yield CallTrial(FlowChange.NOTHING, call, logs_in=token == NEW)
                yield from self._changed(step, call)
        elif own.login and self.login(self.key.persona, own.step):
            yield CallTrial(FlowChange.NOTHING, own, logs_in=True)
            for address in self.addresses:
                at = own._replace(address=address)
                yield CallTrial(FlowChange.ADDRESS, at, logs_in=True)
            for other in self._others(lambda key: key._replace(persona="") == self._bare()):
                if self.login(other.persona, own.step):
                    login = own._replace(persona=other.persona)
                    yield CallTrial(FlowChange.PERSONA, login, logs_in=True)
        yield from self._other_calls()

    def _bare(self) -> FlowKey:
        return self.key._replace(persona="")

    def _changed(self, step: Step, call: Call) -> Iterator[CallTrial]:
        """Yield the failing call with one thing changed."""
        name, written = entry_of(step, self.check), tokens_named(step.request, self.check.headers)
        if call.token != NONE and name not in written:
            bare = call._replace(token=NONE, authorized=False)
            yield CallTrial(FlowChange.NO_TOKEN, bare, bare=True)
        if call.token == KEPT and self.login(self.key.persona, name or ""):
            yield CallTrial(FlowChange.NEW_TOKEN, call._replace(token=NEW), logs_in=True)
        for address in self.addresses:
            yield CallTrial(FlowChange.ADDRESS, call._replace(address=address))
        for key in self._others(lambda key: key._replace(persona="") == self._bare()):
            persona = persona_of(self.check, key.persona)
            token = self._token(key, step)
            if token in (None, NONE) or must_be_refused(step.name, self.check, persona):
                continue
            other = call._replace(persona=key.persona, token=token)
            yield CallTrial(FlowChange.PERSONA, other, logs_in=token == NEW)
        elsewhere: tuple[tuple[FlowChange, Callable[[FlowKey], bool]], ...] = (
            (FlowChange.TARGET, lambda key: key._replace(target=self.key.target) == self.key),
            (FlowChange.PROVIDER, lambda key: key._replace(provider=self.key.provider) == self.key),
        )
        for change, fits in elsewhere:
            for key in self._others(fits):
                token = self._token(key, step)
                if token is None:
                    continue
                there = call._replace(
                    host=self._host_of(key, call), address="", token=token, target=key.target,
                    provider=key.provider,
                )  # fmt: skip
                yield CallTrial(change, there, logs_in=token == NEW)

    def _host_of(self, key: FlowKey, call: Call) -> str:
        """Guess where a call for another target goes."""
        seen, step = self.known.get((key, call.step)), self.step(call.step)
        if seen is not None or step is None:
            return call.host if seen is None else seen.host
        return self._written(key, step) or call.host

    def _written(self, key: FlowKey, step: Step) -> str:
        """Return the host of a call as the configuration has it; empty where runs decide."""
        if step.backend is not None:
            return step.backend
        given = plan_of(self.check, persona_of(self.check, key.persona)).given(self.targets[key])
        try:
            return urlsplit(Values(given).fill_url(step.request.url)).netloc
        except (NoValue, Unsafe, ValueError):
            return ""

    def _others(self, fits: Callable[[FlowKey], bool]) -> list[FlowKey]:
        """Return other flows of the check that run, those with known calls first."""
        named = {key for key, _ in self.known}
        found = sorted(key for key in self.targets if key != self.key and fits(key))
        return sorted(found, key=lambda key: key not in named)[:MOST_OTHERS]

    def _other_calls(self) -> Iterator[CallTrial]:
        for name, call in (*self._own_calls().items(), *self._never_reached().items()):
            if name == self.failing.call.step:
                continue
            step = self.step(name)
            if step is None:
                if call.login and self.login(self.key.persona, name):
                    yield CallTrial(FlowChange.CALL, call, logs_in=True)
                continue
            token = self._token(self.key, step)
            if token is None:
                continue
            change = FlowChange.CONTROL if token == NONE else FlowChange.CALL
            yield CallTrial(change, call._replace(token=token), logs_in=token == NEW)

    def _own_calls(self) -> dict[str, Call]:
        return {name: call for (key, name), call in self.known.items() if key == self.key}

    def _never_reached(self) -> dict[str, Call]:
        """Return calls that no run since the failure began has made: others took its time."""
        own, found = self.failing.call, dict[str, Call]()
        persona = persona_of(self.check, self.key.persona)
        for name in (one.name for one in self.check.steps):
            step = self.step(name)
            if step is None or (self.key, name) in self.known:
                continue
            if step.request.method.upper() not in SAFE:
                continue
            if must_be_refused(name, self.check, persona):
                continue
            host, token = self._written(self.key, step), self._token(self.key, step)
            if host and token is not None:
                bare = own._replace(step=name, host=host, address="", gives=False)
                found[name] = bare._replace(
                    token=token, authorized=token != NONE, login=step.layer == "token"
                )
        return found

    def store(self, key: FlowKey, *, new: bool, prober: FlowProber) -> TokenStore:
        """Return the logins that experiments on a flow share: kept tokens, or new ones alone."""
        if (key, new) not in self._stores:
            self._stores[key, new] = prober.borrowed(tokens=not new)
        return self._stores[key, new]


def _rotates(entry: object) -> bool:
    """Whether each login uses up the secret that the next one would need."""
    return isinstance(entry, OAuth2) and entry.grant == "refresh_token"


def known_calls(seen: Iterable[tuple[FlowKey, SeenCall]]) -> dict[tuple[FlowKey, str], Call]:
    """Return the latest call of each flow and step."""
    return {(key, one.call.step): one.call for key, one in seen}


def slowest_of(seen: Iterable[SeenCall]) -> float:
    """Return the seconds of the slowest call that passed."""
    return max((one.seconds for one in seen if one.mark is Mark.PASSED), default=0.0)


def failing_call(
    run: FlowResult, seen: Iterable[SeenCall], wanted: tuple[str, ...]
) -> tuple[SeenCall, StepResult] | None:
    """Choose the failing call to investigate: the first of those that the diagnosis names."""
    bad = [one for one in seen if one.mark.bad and one.failure is not None]
    bad = [one for one in bad if one.call.step in wanted] or bad
    for one in bad:
        for result in run.steps:
            if result.step == one.call.step and getattr(result.outcome, "failure", None) == (
                one.failure
            ):
                return one, result
    return None


async def addresses_of(resolve: Resolve, url: str, but: str) -> tuple[str, ...]:
    """Return other addresses of the host of a URL, a few."""
    try:
        parts = urlsplit(url.partition(" ")[2])
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return ()
    if not parts.hostname:
        return ()
    found = await resolve(parts.hostname, port)
    return tuple(edge.label for edge in found.edges if edge.label != but)[:MOST_OTHERS]


async def flow_experiment(
    prober: FlowProber, scene: FlowScene, trial: CallTrial
) -> list[tuple[FlowExperiment, Call, Observed | None]]:
    """Make one experiment: what each of its calls showed, logins first."""
    key = scene.key._replace(
        target=trial.call.target, provider=trial.call.provider, persona=trial.call.persona
    )
    check = replace(scene.check, timeout=scene.patience)
    persona = persona_of(check, key.persona)
    step = scene.step(trial.call.step)
    alone = step is None  # a login
    asked: Step | str = trial.call.step
    if step is not None:
        limit = None if step.timeout is None else min(step.timeout, scene.patience)
        asked = replace(step, timeout=limit, captures=(), attempts=1)
        if trial.bare:
            asked = replace(asked, auth=None, deny=True, expect=Expect())
    fresh = trial.change is FlowChange.NEW_TOKEN
    store = prober.borrowed(tokens=False) if alone else scene.store(key, new=fresh, prober=prober)
    results = await prober.ask(
        key,
        check,
        scene.targets[key],
        persona,
        asked,
        resolve=_pinned(scene.resolver_of(key), trial.call.address),
        store=store,
    )
    return list(_told(scene, trial, key, results))


def _pinned(resolve: Resolve, address: str) -> Resolve:
    """Resolve to one address where a host has it, so that one thing is changed at a time."""

    async def find(host: str, port: int) -> Resolution:
        found = await resolve(host, port)
        chosen = tuple(edge for edge in found.edges if edge.label == address)
        return replace(found, edges=chosen) if chosen else found

    return find


def _told(
    scene: FlowScene, trial: CallTrial, key: FlowKey, results: Iterable[StepResult]
) -> Iterator[tuple[FlowExperiment, Call, Observed | None]]:
    """Say what the calls of an experiment showed. A login among them is a call of its own."""
    check, logged_in = scene.check, False
    persona = persona_of(check, key.persona)
    for result in results:
        own = result.step == trial.call.step
        token = trial.call.token if own else NONE
        if own and token == KEPT and logged_in:
            token = NEW  # nothing was kept
        logged_in = logged_in or not own
        denied = must_be_refused(result.step, check, persona) or (own and trial.bare)
        found = mark(result, denied=denied, router_codes=check.router_codes)
        seen = seen_of(key, check, persona, result, token, found)
        call = seen.call
        if own and not call.host.strip():
            call = call._replace(host=trial.call.host)
        outcome = observed(found, scene.failing.mark)
        yield written(trial.change, call, outcome, seen.failure), call, outcome


def written(
    change: FlowChange,
    call: Call,
    outcome: Observed | None,
    failure: Failure | None,
    *,
    regular: bool = False,
    times: int = 1,
) -> FlowExperiment:
    """Write a call for people."""
    return FlowExperiment(
        change,
        call.step,
        call.host,
        call.address,
        call.token,
        call.target,
        call.provider,
        call.persona,
        outcome or Observed.UNCLEAR,
        "" if failure is None else f"{failure.phase}/{failure.reason}",
        regular,
        times,
    )


Ask = Callable[[CallTrial], Awaitable[list[tuple[FlowExperiment, Call, Observed | None]]]]


def change_of(call: Call, own: Call) -> FlowChange:
    """Name what a regular call differs in from the failing one."""
    if call.target != own.target:
        return FlowChange.TARGET
    if call.provider != own.provider:
        return FlowChange.PROVIDER
    if call.persona != own.persona and call.token != NONE:
        return FlowChange.PERSONA
    if call.step != own.step:
        plain = call.token == NONE and not call.login
        return FlowChange.CONTROL if plain else FlowChange.CALL
    if call.address != own.address:
        return FlowChange.ADDRESS
    return FlowChange.NEW_TOKEN if call.token == NEW != own.token else FlowChange.NOTHING
