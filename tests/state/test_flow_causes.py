"""The planner of flows, over faults that are known: it names them, or says that it cannot tell."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from probe.model.cause import Observed
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow_cause import FlowCause, FlowChange
from probe.state.causes.calls import FIXED, KEPT, NEW, NONE, Call, CallTrial
from probe.state.causes.flow_planner import (
    BUDGET,
    LOGINS,
    FlowPlanner,
    FlowSetting,
    FlowSettled,
    FlowTally,
)
from probe.state.causes.flow_words import sentence
from probe.state.diagnosis.evidence import Mark

FIRST, SECOND = "192.0.2.1:443", "192.0.2.2:443"
STEPS = (
    ("control", "c.example", False),
    ("deny", "p.example", False),
    ("whoami", "p.example", True),
    ("workspaces", "p.example", True),
    ("apps", "i.example", True),
    ("runtime", "a.example", True),
)
Hit = Callable[[Call], bool]


def call(step: str, host: str, signed: bool, address: str = FIRST, persona: str = "dev") -> Call:
    token = KEPT if signed else NONE
    return Call(step, host, address, token, signed, False, "cli", "api", persona)


def login(address: str = FIRST, persona: str = "dev") -> Call:
    return Call("cli", "id.example", address, NONE, False, True, "cli", "api", persona, gives=True)


class World:
    """A platform with one fault.

    Args:
        hit: tells whether the fault reaches a call.
        share: of the calls that it reaches, those that fail.
        mark: how they fail.
    """

    def __init__(self, hit: Hit, share: float, mark: Mark, seed: int) -> None:
        self.hit, self.share, self.mark = hit, share, mark
        self.dice = random.Random(seed)
        self.regular: dict[Call, FlowTally] = {}
        self.turn = 0

    def ask(self, one: Call) -> Observed:
        broken = self.hit(one) and self.dice.random() < self.share
        return Observed.SAME if broken else Observed.PASSED

    def run(self) -> list[Call]:
        """Make a regular run; returns the calls that failed."""
        bad: list[Call] = []
        self.turn += 1
        asked = [login((FIRST, SECOND)[self.turn % 2])] if self.turn % 3 == 1 else []
        for step, host, signed in STEPS:
            for attempt in range(3 if signed else 1):
                address = (FIRST, SECOND)[(self.turn + attempt) % 2]
                asked.append(call(step, host, signed, address))
        for one in asked:
            seen = self.ask(one)
            self.regular.setdefault(one, FlowTally()).add(seen)
            if seen is Observed.SAME:
                bad.append(one)
        return bad

    def confirmed(self) -> Call:
        """Let runs come until three have failed; returns the call to investigate."""
        bad = self.run()
        while not bad:  # what passed before does not count
            self.regular.clear()
            bad = self.run()
        failed = 1
        while failed < 3:
            more = self.run()
            bad, failed = more or bad, failed + bool(more)
        return bad[0]

    def settle(self, planner: FlowPlanner) -> FlowSettled:
        later = 0
        while True:
            planner.regular(self.regular)
            found = planner.settled()
            if found is not None and (not found.left or not planner.random or later == 2):
                return found
            if found is not None:
                later += 1
                self.run()
            for trial in planner.ask():
                if trial.change is FlowChange.NEW_TOKEN:
                    planner.observe(login(), self.ask(login()))
                planner.observe(trial.call, self.ask(trial.call))


def setting(own: Call, mark: Mark) -> FlowSetting:
    other = SECOND if own.address == FIRST else FIRST
    trials = [
        CallTrial(FlowChange.NOTHING, own, logs_in=own.login),
        CallTrial(FlowChange.ADDRESS, own._replace(address=other), logs_in=own.login),
    ]
    if own.authorized:
        bare = own._replace(token=NONE, authorized=False)
        trials.append(CallTrial(FlowChange.NO_TOKEN, bare, bare=True))
        trials.append(CallTrial(FlowChange.NEW_TOKEN, own._replace(token=NEW), logs_in=True))
    if own.authorized or own.login:
        trials.append(
            CallTrial(FlowChange.PERSONA, own._replace(persona="other"), logs_in=own.login)
        )
    for step, host, signed in STEPS:
        if step != own.step:
            change = FlowChange.CALL if signed else FlowChange.CONTROL
            trials.append(CallTrial(change, call(step, host, signed, own.address)))
    if not own.login:
        trials.append(CallTrial(FlowChange.CALL, login(own.address), logs_in=True))
    return FlowSetting(own, mark, tuple(trials))


C = FlowCause
FAULTS: list[tuple[FlowCause, Mark, Hit]] = [
    (C.AUTHORIZATION, Mark.ERROR, lambda one: one.authorized),
    (C.AUTHORIZATION, Mark.SILENT, lambda one: one.authorized),
    (C.TOKEN, Mark.UNAUTHORIZED, lambda one: one.authorized),
    (C.KEPT_TOKEN, Mark.ERROR, lambda one: one.token == KEPT),
    (C.LOGIN, Mark.ERROR, lambda one: one.login),
    (C.FRONT, Mark.GATEWAY, lambda one: True),
    (C.FRONT, Mark.GATEWAY, lambda one: not one.login),
    (C.HOST, Mark.WAY, lambda one: one.host == "p.example"),
    (C.HOST, Mark.ERROR, lambda one: one.host == "p.example"),
    (C.BACKEND, Mark.ERROR, lambda one: one.host == "i.example" and one.authorized),
    (C.BACKEND, Mark.ERROR, lambda one: one.host == "p.example" and one.authorized),
    (C.ENDPOINT, Mark.ERROR, lambda one: one.step == "whoami" and one.authorized),
    (C.ONE_PERSONA, Mark.ERROR, lambda one: one.persona == "dev" and one.authorized),
    (C.ONE_ADDRESS, Mark.GATEWAY, lambda one: one.address == FIRST),
    (C.ONE_ADDRESS, Mark.WAY, lambda one: one.address == FIRST),
    (C.NO_HOST, Mark.WAY, lambda one: True),
]


@pytest.mark.parametrize(("cause", "mark", "hit"), FAULTS)
def test_each_fault_of_every_call_is_named_within_a_few(cause: C, mark: Mark, hit: Hit) -> None:
    world = World(hit, 1.0, mark, seed=1)
    planner = FlowPlanner(setting(world.confirmed(), mark))
    found = world.settle(planner)
    assert (found.cause, found.share, found.left) == (cause, None, ())
    assert planner.spent <= 6


@pytest.mark.parametrize("share", [0.6, 0.3])
@pytest.mark.parametrize(("cause", "mark", "hit"), FAULTS)
def test_a_fault_of_some_calls_gets_no_wrong_name(
    cause: C, mark: Mark, hit: Hit, share: float
) -> None:
    told: Counter[FlowCause] = Counter()
    for seed in range(6):
        world = World(hit, share, mark, seed)
        planner = FlowPlanner(setting(world.confirmed(), mark))
        found = world.settle(planner)
        told[found.cause] += 1
        assert planner.spent <= BUDGET
        assert planner.logins <= LOGINS
        if found.cause is C.UNDETERMINED:
            assert cause in found.left, found.left
    assert set(told) <= {cause, C.UNDETERMINED}, told
    assert told[cause] >= (4 if share == 0.6 else 0), told


def test_a_login_fails_although_tokens_are_still_found_good() -> None:
    check = login()._replace(step="valid", gives=False)
    asked = setting(login(), Mark.ERROR)
    planner = FlowPlanner(asked)
    planner.regular(
        {
            check: FlowTally(passed=9),
            login(): FlowTally(failed=9),
            login(SECOND): FlowTally(failed=3),
        }
    )
    for trial in asked.trials:
        planner.observe(trial.call, Observed.SAME if trial.call.gives else Observed.PASSED)
    found = planner.settled()
    assert found is not None
    assert found.cause is C.LOGIN


def test_one_backend_alone_cannot_be_told_from_authorization() -> None:
    own = call("whoami", "p.example", signed=True)._replace(token=FIXED)
    planner = FlowPlanner(FlowSetting(own, Mark.ERROR, (CallTrial(FlowChange.NOTHING, own),)))
    more = own._replace(step="workspaces")
    bare = call("deny", "p.example", signed=False)
    planner.regular(
        {own: FlowTally(failed=9), more: FlowTally(failed=9), bare: FlowTally(passed=3)}
    )
    found = planner.settled()
    assert found is not None
    assert found.cause is C.UNDETERMINED
    assert set(found.left) == {C.AUTHORIZATION, C.BACKEND}


def test_a_sentence_claims_only_what_was_seen() -> None:
    own = call("whoami", "p.example", signed=True)
    asked = FlowSetting(own, Mark.ERROR, ())
    failure = Failure(Phase.EXPECT, Reason.STATUS, "answered 500")
    seen = {
        own: FlowTally(failed=9),
        call("control", "c.example", signed=False): FlowTally(passed=3),
    }
    found = FlowSettled(C.AUTHORIZATION)
    said = "the authorization layer answers 500 to every authenticated call"
    assert sentence(found, asked, {own: FlowTally(failed=9)}, failure, 500) == said
    assert sentence(found, asked, seen, failure, 500) == f"{said}: calls without a token pass"
    whole = seen | {login(): FlowTally(passed=1)}
    more = f"{said}: calls without a token and the login itself pass"
    assert sentence(found, asked, whole, failure, 500) == more
    part = sentence(FlowSettled(C.AUTHORIZATION, 0.6), asked, whole, failure, 500)
    assert "answers 500 to authenticated calls:" in part
    assert "It fails in 60% of calls" in part


ELSEWHERE: list[tuple[FlowCause, FlowChange, str]] = [
    (C.ONE_TARGET, FlowChange.TARGET, "target"),
    (C.ONE_PROVIDER, FlowChange.PROVIDER, "provider"),
]


def elsewhere(change: FlowChange, part: str) -> FlowSetting:
    """A call of a list's target; others are known, with hosts of their own or without."""
    own = call("whoami", "cli.example", signed=True)
    control = call("control", "c.example", signed=False)
    trials = [CallTrial(FlowChange.NOTHING, own), CallTrial(FlowChange.CONTROL, control)]
    for name in ("one", "two", "three"):
        host = f"{name}.example" if part == "target" else own.host
        there = own._replace(target=name) if part == "target" else own._replace(provider=name)
        trials.append(CallTrial(change, there._replace(host=host)))
    return FlowSetting(own, Mark.ERROR, tuple(trials))


def worked_out(asked: FlowSetting, hit: Hit) -> FlowSettled:
    planner = FlowPlanner(asked)
    planner.regular({asked.call: FlowTally(failed=3)})
    while (found := planner.settled()) is None:
        for trial in planner.ask():
            planner.observe(trial.call, Observed.SAME if hit(trial.call) else Observed.PASSED)
    return found


@pytest.mark.parametrize(("cause", "change", "part"), ELSEWHERE)
def test_a_fault_of_one_target_or_one_provider_is_named(
    cause: C, change: FlowChange, part: str
) -> None:
    asked = elsewhere(change, part)
    own = getattr(asked.call, part)
    found = worked_out(asked, lambda one: one.authorized and getattr(one, part) == own)
    assert (found.cause, found.members) == (cause, (own,))
    both = worked_out(asked, lambda one: one.authorized and getattr(one, part) in (own, "two"))
    assert both.cause is cause
    assert set(both.members) >= {own}


@pytest.mark.parametrize(("cause", "change", "part"), ELSEWHERE)
def test_a_fault_of_every_target_or_provider_is_not_of_one(
    cause: C, change: FlowChange, part: str
) -> None:
    found = worked_out(elsewhere(change, part), lambda one: one.authorized)
    assert found.cause is not cause
    assert cause not in found.left
