"""What hostile servers make the agent do, counted: bytes, events, calls, connections, memory.

No clock decides here. The benchmark (``python -m tests.benchmarks hostile``) measures the same
servers beside a healthy check.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import pytest
import trio

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.connection.tcp import Wire
from probe.connection.timeline import Timeline
from probe.edges.answers import DnsQuestion, NoAnswer
from probe.edges.client import ask
from probe.http import body
from probe.http.channel import MOST_EVENTS, Channel
from probe.http.messages import Response
from probe.model.failure import Reason
from probe.model.flow import ApiCheck, Expect, RequestTemplate, Step
from probe.model.result import Failed, Inconclusive, Outcome, Passed
from probe.model.secret import Secret, SecretRef
from probe.model.spec import NameServer, TlsCheck
from probe.model.target import Edge, EdgeKey, FlowKey, Target
from probe.model.tls import ClientProfile, Trust
from probe.probers.flow import FlowProber
from probe.probers.tls import TlsProber
from tests.support.http_server import Ca, at
from tests.support.zoo import NAME, ZOO, Beast, Says, running

MIB = 1024 * 1024
LATE = 20.0
"""Seconds: no deadline ends what a bound ends."""

BY_THE_DEADLINE = {
    "silence after the header": 0.3,
    "silence after the ClientHello": 0.3,
    "DNS: another question's answer": 0.3,
}
"""Servers that cost next to nothing while they last, and for how many seconds."""

SMALL = 16 * 1024

MOST_CALLS = 25_000
"""Calls of functions from one checkpoint to the next: a few milliseconds without the counting."""

MOST_HELD = 6 * MIB
"""Memory, with that of the server: a body of 1 MiB on its way and its decoded form."""


@dataclass(eq=False)
class Ledger(trio.abc.Instrument):
    """Counts what happens between checkpoints, and what the whole attempt costs."""

    task: object = None
    calls: int = 0
    most_calls: int = 0
    bytes_in_step: int = 0
    most_bytes: int = 0
    reads: int = 0
    before_head: int = 0
    most_before_head: int = 0
    headed: bool = True
    on_loop: list[int] = field(default_factory=list)
    unfolded: list[int] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.calls = self.bytes_in_step = 0
            sys.setprofile(self.called)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            sys.setprofile(None)
            self.most_calls = max(self.most_calls, self.calls)
            self.most_bytes = max(self.most_bytes, self.bytes_in_step)

    def called(self, frame: FrameType, event: str, _: Any) -> None:
        self.calls += event in {"call", "c_call"}


def watch(monkeypatch: pytest.MonkeyPatch, ledger: Ledger) -> None:
    """Count at the seams between socket, parser and judgement."""
    note, begin, headed = Timeline.note, Channel.begin, Channel.headed
    made, loads, decoded = Wire.__init__, json.loads, body.decoded

    def noted(self: Timeline, data: bytes, age: float | None, opened: float) -> None:
        ledger.reads += 1
        ledger.bytes_in_step += len(data)
        ledger.before_head += not ledger.headed
        ledger.most_before_head = max(ledger.most_before_head, ledger.before_head)
        note(self, data, age, opened)

    def began(self: Channel) -> None:
        ledger.headed, ledger.before_head = False, 0
        begin(self)

    def head(self: Channel, cap: int) -> None:
        ledger.headed = True
        headed(self, cap)

    def opened(self: Wire, *arguments: Any) -> None:
        ledger.wires.append(self)
        made(self, *arguments)

    def loaded(text: bytes | str, **more: Any) -> Any:
        ledger.on_loop.append(len(text))
        return loads(text, **more)

    def unfolded(head: Any, data: bytes, cap: int, *, cut: bool) -> Any:
        response = decoded(head, data, cap, cut=cut)
        if head.header("content-encoding") and threading.current_thread() is MAIN:
            ledger.on_loop.append(len(data))
            ledger.unfolded.append(len(response.body))
        return response

    def read(self: Response) -> str:
        ledger.on_loop.append(len(self.body))
        return self.body.decode(self.charset, "replace")

    monkeypatch.setattr(Response, "text", property(read))
    monkeypatch.setattr(Timeline, "note", noted)
    monkeypatch.setattr(Channel, "begin", began)
    monkeypatch.setattr(Channel, "headed", head)
    monkeypatch.setattr(Wire, "__init__", opened)
    monkeypatch.setattr("probe.http.messages._loads", loaded)
    monkeypatch.setattr(body, "decoded", unfolded)


MAIN = threading.main_thread()


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Ca:
    return Ca(tmp_path_factory.mktemp("ca"))


def no_secret(ref: SecretRef) -> Secret:
    raise AssertionError(ref)


def flow(one: Beast, trust: Trust, seconds: float) -> ApiCheck:
    wanted = Expect(
        json=("sort_by(@, &to_string(@))[0]",),
        contains=("welcome",),
        matches=("([ab]*a[ab]{30})z",),
    )
    step = Step("a", "edge", RequestTemplate("GET", f"https://{NAME}/", follow_redirects=3), wanted)
    cap = MIB if isinstance(one.part, Says) else SMALL
    return ApiCheck(
        "flow", (step,), http2=one.kind == "http2", trust=trust, timeout=seconds, max_body=cap
    )


async def visited(one: Beast, port: int, trust: Trust) -> Outcome:
    """One attempt of the prober that such a server meets."""
    contexts, judge = TlsContexts(no_secret), Judge()
    edge, target = Edge("127.0.0.1", port, written=True), Target(NAME)
    seconds = BY_THE_DEADLINE.get(one.name, LATE)
    if one.kind == "dns":
        found = await ask([NameServer("127.0.0.1", port)], DnsQuestion(NAME, 4), seconds)
        return Failed(found.failure) if isinstance(found, NoAnswer) else Passed()
    if one.kind in {"tls", "smtp"}:
        check = TlsCheck(
            "tls",
            "stores",
            ("cdn",),
            trust=trust,
            timeout=seconds,
            starttls="smtp" if one.kind == "smtp" else None,
        )
        key = EdgeKey("tls", NAME, "cdn", edge.label, "default")
        prober = TlsProber(contexts, judge, time.time)
        return (await prober.probe(key, edge, target, check, ClientProfile())).outcome
    flows = FlowProber(contexts, judge, no_secret, time.time)
    key_of_flow = FlowKey("flow", NAME, "cdn", "")
    check_of_flow = flow(one, trust, seconds)
    result = await flows.run(key_of_flow, check_of_flow, target, None, resolve=at(port))
    return result.outcome


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("one", ZOO, ids=[one.name for one in ZOO])
async def test_what_a_hostile_server_costs(
    one: Beast, ca: Ca, monkeypatch: pytest.MonkeyPatch, traced: None
) -> None:
    monkeypatch.setattr("probe.net.apart.LONGEST", 0.3)
    ledger = Ledger(task=trio.lowlevel.current_task())
    trust = Trust("file", str(ca.roots))
    async with running(one, ca) as port:
        watch(monkeypatch, ledger)
        trio.lowlevel.add_instrument(ledger)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        try:
            outcome = await visited(one, port, trust)
        finally:
            trio.lowlevel.remove_instrument(ledger)
            sys.setprofile(None)
        held = tracemalloc.get_traced_memory()[1] - before
    assert all(wire.closed for wire in ledger.wires)
    assert len(ledger.wires) <= 4, "one for each redirect"
    assert ledger.most_before_head <= MOST_EVENTS + 1
    assert ledger.most_bytes <= 64 * 1024
    assert ledger.most_calls <= MOST_CALLS
    assert max(ledger.on_loop, default=0) <= 16 * 1024
    assert max(ledger.unfolded, default=0) <= 128 * 1024
    assert held <= MOST_HELD
    failure = outcome.failure if isinstance(outcome, Failed | Inconclusive) else None
    if failure is not None:
        assert failure.reason not in {Reason.UNKNOWN, Reason.DEFECT}, failure
        assert failure.reason is not Reason.TIMEOUT or one.name in BY_THE_DEADLINE, failure
