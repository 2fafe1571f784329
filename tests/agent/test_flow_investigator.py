"""The investigator of flows: from a confirmed failure to its sentence, over worlds by rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio
from trio.testing import MockClock

from probe.agent.filing import Excuse
from probe.agent.flow_filing import FlowFiling
from probe.agent.flow_investigator import FlowInvestigator
from probe.agent.log import EventLog
from probe.agent.why_flows import explain_flows
from probe.auth.store import Slot, TokenStore
from probe.http.session import Resolve
from probe.model.auth import JsonLoginAuth
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, Expect, Persona, RequestTemplate, Step
from probe.model.result import Evidence, Failed, FlowResult, Outcome, Passed, StepResult
from probe.model.spec import Listen, Spec
from probe.model.target import Edge, FlowKey, Resolution, Target
from probe.probers.flow import flow_outcome
from probe.report import rows_of
from probe.serve import Store
from probe.state.vantage import Vantage

P, INFRA, ID = "p.example", "i.example", "id.example"
LOGIN = JsonLoginAuth(f"https://{ID}/login", {}, token="token")


def step(name: str, host: str, *, auth: bool = True, method: str = "GET") -> Step:
    request = RequestTemplate(method, f"https://{host}/{name}")
    expect = Expect(json=("name",)) if auth else Expect()
    layer = "authorization" if auth else "control"
    return Step(name, layer, request, expect, auth="cli" if auth else None)


CHECK = ApiCheck(
    "cli",
    (
        step("control", "c.example", auth=False),
        step("whoami", P),
        step("order", P, method="POST"),
        step("apps", INFRA),
    ),
    auth={"cli": LOGIN},
    personas=(Persona("dev"), Persona("other")),
    interval=5.0,
)
TARGET = Target("cli")
KEYS = {FlowKey("cli", "cli", "", one.name): TARGET for one in CHECK.personas}
SPEC = Spec("lab", Listen(), {}, {}, (CHECK,))
Broken = Callable[[str, str, str], bool]
"""Whether a call fails: of a step, with this token, as this persona."""


class Agent:
    """The part of an agent that files and investigates flows, and the world that it looks at."""

    def __init__(self, broken: Broken) -> None:
        self.broken = broken
        self.asked: list[tuple[str, str, str]] = []
        self.crashes: list[str] = []
        self.store = Store("lab", started_at=0.0, clock=trio.current_time)
        self.store.configure(SPEC)
        for _ in self.store.retarget("cli", (TARGET,)):
            pass
        self.investigator = FlowInvestigator(
            self,  # type: ignore[arg-type]  # asks this world
            lambda: self,
            self.store,
            EventLog(),
            trio.current_time,
            lambda _, where: self.crashes.append(where),
        )
        saw = self.investigator.saw
        self.filing = FlowFiling(self.store, EventLog(), Excuse(Vantage()), lambda *_: None, saw)
        self.filing.configure(SPEC)

    # -- the flows that run, as `Flows`

    def check(self, _name: str) -> ApiCheck:
        return CHECK

    def targets(self, _check: str) -> Mapping[FlowKey, Target]:
        return KEYS

    def resolver(self, _key: FlowKey) -> Resolve:
        async def find(_host: str, port: int) -> Resolution:
            return Resolution((Edge("192.0.2.1", port), Edge("192.0.2.2", port)))

        return find

    # -- the prober

    def borrowed(self, *, tokens: bool) -> TokenStore:
        store = TokenStore()
        store.slot("kept", 0.0).used_at = float(tokens)
        return store

    async def ask(
        self, key: FlowKey, _check: ApiCheck, _target: Target, _persona: object,
        wanted: Step | str, *, resolve: Resolve, store: TokenStore,
    ) -> tuple[StepResult, ...]:  # fmt: skip
        await trio.sleep(0.05)
        if isinstance(wanted, str):
            self.asked.append((wanted, "none", key.persona))
            return (self.result(wanted, "none", key.persona),)
        if wanted.auth is None and wanted.name != "control":
            # What a call with a token gets is not expected of a refusal.
            assert wanted.deny
            assert wanted.expect == Expect()
        slot = store.peek("kept")
        assert isinstance(slot, Slot)
        token = "none" if wanted.auth is None else "kept" if slot.used_at else "new"
        self.asked.append((wanted.name, token, key.persona))
        login = (self.result("cli", "none", key.persona),) if token == "new" else ()
        (edge, *_) = (await resolve(urlsplit(wanted.request.url).hostname or "", 443)).edges
        return (*login, self.result(wanted.name, token, key.persona, edge.ip))

    def result(self, name: str, token: str, persona: str, ip: str = "192.0.2.1") -> StepResult:
        spec = next((one for one in CHECK.steps if one.name == name), None)
        url = spec.request.url if isinstance(spec, Step) else LOGIN.url
        edge = Edge(ip, 443)
        outcome: Outcome = Passed()
        if self.broken(name, token, persona):
            outcome = Failed(Failure(Phase.EXPECT, Reason.STATUS, "answered 500"))
        bad = isinstance(outcome, Failed)
        evidence = Evidence(f"GET {url}", 500 if bad else 200)
        layer = "login" if spec is None else spec.layer
        return StepResult(name, layer, outcome, attempts=1, edge=edge, evidence=evidence)

    def run_all(self) -> None:
        """Make a regular run of each persona."""
        for key in KEYS:
            names = [(one.name, "kept" if one.name != "control" else "none") for one in CHECK.steps]
            steps = tuple(self.result(name, token, key.persona) for name, token in names)
            at = trio.current_time()
            self.filing.file(FlowResult(key, at, flow_outcome(steps), steps))

    def causes(self) -> dict[str, str]:
        return {key.persona: found.cause.value for found, key in self.store.flow_causes.current()}


async def play(agent: Agent, *, seconds: float = 20.0) -> None:
    broken, agent.broken = agent.broken, lambda *_: False
    async with trio.open_nursery() as nursery:
        await nursery.start(agent.investigator.run)
        agent.run_all()
        await trio.sleep(5)
        agent.broken = broken
        for _ in range(4):
            agent.run_all()
            await trio.sleep(2)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()
    assert not agent.crashes


def signed(_step: str, token: str, _persona: str) -> bool:
    """The authorization answers 500."""
    return token != "none"


RULES: list[tuple[str, Broken]] = [
    ("authorization", signed),
    ("kept_token", lambda _step, token, _persona: token == "kept"),
    ("one_persona", lambda _step, token, persona: token != "none" and persona == "dev"),
    ("backend", lambda name, token, _persona: name == "apps" and token != "none"),
]


@pytest.mark.parametrize(("cause", "broken"), RULES)
async def test_a_failure_is_explained(
    autojump_clock: MockClock, cause: str, broken: Broken
) -> None:
    agent = Agent(broken)
    await play(agent)
    named = agent.causes()
    assert set(named.values()) == {cause}
    assert set(named) == ({"dev"} if cause == "one_persona" else {"dev", "other"})
    assert len(agent.asked) <= 20


async def test_the_incident_reads_as_a_person_would_say_it(autojump_clock: MockClock) -> None:
    agent = Agent(signed)
    await play(agent)
    ((found, _), *_) = agent.store.flow_causes.current()
    assert found.sentence == (
        "the authorization layer answers 500 to every authenticated call: "
        "calls without a token and the login itself pass"
    )


async def test_what_may_create_something_is_never_repeated(autojump_clock: MockClock) -> None:
    agent = Agent(lambda name, *_: name == "order")
    await play(agent)
    assert "order" not in {name for name, *_ in agent.asked}


async def test_nothing_is_asked_while_all_goes_well_or_when_switched_off(
    autojump_clock: MockClock,
) -> None:
    agent = Agent(lambda *_: False)
    await play(agent)
    assert not agent.asked
    agent = Agent(signed)
    agent.investigator.on = False
    await play(agent)
    assert not agent.asked
    assert not agent.causes()


async def test_a_flow_that_recovered_has_no_cause(autojump_clock: MockClock) -> None:
    agent = Agent(signed)
    await play(agent)
    assert agent.causes()
    agent.broken = lambda *_: False
    for _ in range(8):
        agent.run_all()
        await trio.sleep(5)
    assert not agent.causes()


async def test_a_failure_that_moves_to_another_call_is_investigated_anew(
    autojump_clock: MockClock,
) -> None:
    """What was said of one call alone does not speak for the next one."""
    agent = Agent(lambda *_: False)
    async with trio.open_nursery() as nursery:
        await nursery.start(agent.investigator.run)
        for failing in ("", "whoami", "apps"):
            agent.broken = lambda name, *_, failing=failing: name == failing
            for _ in range(4):
                agent.run_all()
                await trio.sleep(2)
            await trio.sleep(20)
            found = [found.step for found, _ in agent.store.flow_causes.current()]
            assert found == ([failing] * 2 if failing else [])
        nursery.cancel_scope.cancel()
    assert not agent.crashes


async def test_a_crash_costs_a_sentence_and_nothing_else(autojump_clock: MockClock) -> None:
    agent = Agent(signed)

    def crash(*_: Any) -> None:
        raise ValueError

    agent.check = crash  # type: ignore[assignment,method-assign]
    agent.run_all()
    assert len(agent.crashes) == len(KEYS)
    assert len(agent.store.flows) == len(KEYS)


async def test_a_person_at_a_terminal_is_told_the_same(autojump_clock: MockClock) -> None:
    agent = Agent(signed)
    runs = []
    for key in KEYS:
        steps = tuple(
            agent.result(one.name, "kept" if one.name != "control" else "none", key.persona)
            for one in CHECK.steps
        )
        runs.append(FlowResult(key, 0.0, flow_outcome(steps), steps))
    found = await explain_flows(
        agent,  # type: ignore[arg-type]
        {"cli": CHECK},
        lambda _: TARGET,
        agent.resolver,
        runs,
    )
    assert {one.cause.value for one in found.values()} == {"authorization"}
    assert all(one.spent <= 20 for one in found.values())
    rows = [row for row in rows_of(runs, flows=found) if row.because]
    assert [row.what for row in rows] == ["dev:whoami", "other:whoami"]
    assert rows[0].because.startswith("the authorization layer answers 500")
    assert any(line.startswith("without a token: whoami") for line in rows[0].experiments)
