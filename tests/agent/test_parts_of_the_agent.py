"""The agent's own pieces: log lines, lag, excuses, selection, reading configurations apart."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import pytest
import trio
from trio.testing import MockClock

from probe.agent import Options, log, run_agent, service
from probe.agent.filing import Excuse, Filing
from probe.agent.gate import CheckRequest, SelectionError, narrow, wanted
from probe.agent.parts import learn_secrets
from probe.agent.self_report import LagMeter
from probe.config.loading import load
from probe.model import reasons
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, RequestTemplate, Step
from probe.model.result import Failed, Inconclusive, Outcome, Passed, ResolveResult
from probe.model.secret import Secret, SecretError, SecretRef
from probe.model.spec import Listen, Spec
from probe.model.state import Transition
from probe.model.target import Edge, EdgeKey, ProviderKey, Resolution, Target
from probe.probers.tls import browser_error
from probe.serve import Store
from probe.state.vantage import Vantage, VantageRule

KEY = EdgeKey("stores", "shop.example", "cdn-b", "192.0.2.1:443", "default")
TIMEOUT = Failure(Phase.TLS, Reason.TIMEOUT, "no answer in 10 s")


# ------------------------------------------------------------ log


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is written to the log; the loggers are put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


def change(detail: str) -> Transition:
    failure = Failure(Phase.TLS, Reason.PLAIN_TEXT, detail)
    return Transition(KEY, "suspect", "failing", 1.0, 2.5, failure, "openssl s_client …")


def test_a_change_is_one_json_line_with_all_that_a_person_needs(written: io.StringIO) -> None:
    log.configure(written, "json")
    log.EventLog(region="sa-east").transition(change("HTTP/1.1 400\nBad"))
    (line,) = written.getvalue().splitlines()
    found = json.loads(line)
    assert found | {"ts": ""} == {
        "ts": "",
        "level": "warning",
        "event": "state",
        "region": "sa-east",
        "check": "stores",
        "target": "shop.example",
        "provider": "cdn-b",
        "edge": "192.0.2.1:443",
        "client": "default",
        "before": "suspect",
        "after": "failing",
        "since": "1970-01-01T00:00:01.000Z",
        "phase": "tls",
        "reason": "plain_text",
        "title": "The port answers in plain text",
        "detail": "HTTP/1.1 400\nBad",
        "command": "openssl s_client …",
    }


def test_a_banner_cannot_forge_a_line_or_move_the_cursor(written: io.StringIO) -> None:
    log.configure(written, "text")
    log.EventLog(region="sa-east").transition(change("x\n2026-01-01 INFO all is well\x1b[2J"))
    text = written.getvalue()
    assert len(text.splitlines()) == 2  # the event and its command
    assert "\x1b" not in text
    assert "\\n2026" in text


# ------------------------------------------------------------ lag


async def test_lag_is_what_a_blocked_loop_costs(mock_clock: MockClock) -> None:
    """Time that passes within a turn of the loop is what blocking it looks like."""
    meter = LagMeter(period=0.25)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(meter.run)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(0.5)
        await trio.testing.wait_all_tasks_blocked()
        assert meter.current() >= 0.25
        nursery.cancel_scope.cancel()


async def test_a_stall_between_two_samples_is_seen(mock_clock: MockClock) -> None:
    samples: list[float] = []
    meter = LagMeter(lambda late, _: samples.append(late), period=60.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(meter.run)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(0.15)
        assert meter.current() >= 0.15  # in the turn itself
        await trio.testing.wait_all_tasks_blocked()
        assert meter.current() >= 0.15  # and after it
        nursery.cancel_scope.cancel()
    assert not samples


async def test_lag_is_zero_where_nothing_blocks(mock_clock: MockClock) -> None:
    samples: list[float] = []
    meter = LagMeter(lambda late, _: samples.append(late), period=0.05)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(meter.run)
        for _ in range(40):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(0.05)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert len(samples) == 40
    assert max(samples) < 1e-9


async def test_a_sample_brings_the_worst_turn_along_that_it_missed(mock_clock: MockClock) -> None:
    samples: list[tuple[float, float]] = []
    meter = LagMeter(lambda late, worst: samples.append((late, worst)), period=1.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(meter.run)
        await trio.testing.wait_all_tasks_blocked()
        for turn in (0.75, 0.25, 0.25, 0.5, 0.25):
            mock_clock.jump(turn)  # within a turn, as a task does that blocks
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert samples == [(0.0, 0.75), (0.0, 0.5)]


# ------------------------------------------------------------ excuse


def test_only_failures_are_excused_and_only_those_that_the_vantage_explains() -> None:
    vantage = Vantage(VantageRule(least=1))
    excuse = Excuse(vantage)
    refused: Outcome = Failed(Failure(Phase.CONNECT, Reason.REFUSED))
    assert excuse(Failed(TIMEOUT), 10.0) == Failed(TIMEOUT)
    vantage.lag(3.0, 11.0)
    vantage.judge(11.0)
    ours = excuse(Failed(TIMEOUT), 10.0)
    assert isinstance(ours, Inconclusive)
    assert ours.failure.reason is Reason.VANTAGE_ILL
    assert excuse(refused, 10.0) is refused  # lag refuses no connection
    assert excuse(Passed(), 10.0) == Passed()


async def test_what_times_out_in_a_stall_blames_nobody(autojump_clock: MockClock) -> None:
    """The deadline passes in the turn that is too long, before anybody has noted the stall."""
    vantage = Vantage()
    meter = LagMeter(lambda _, worst: vantage.lag(worst, trio.current_time()))
    excuse = Excuse(vantage, lag=meter.current)
    outcomes = []

    async def attempt() -> None:
        began = trio.current_time()
        with trio.move_on_after(2.0):
            await trio.sleep_forever()
        outcomes.append(excuse(Failed(TIMEOUT), began))

    async with trio.open_nursery() as nursery:
        await nursery.start(meter.run)
        nursery.start_soon(attempt)
        await trio.sleep(0.1)
        autojump_clock.jump(3.0)  # within a turn, as a process does that gets no CPU
        await trio.sleep(5.0)
        nursery.cancel_scope.cancel()
    (outcome,) = outcomes
    assert isinstance(outcome, Inconclusive)
    assert "stood still for 3" in outcome.failure.detail


async def test_names_that_our_own_dns_does_not_answer_are_not_blamed(
    mock_clock: MockClock,
) -> None:
    store, vantage = Store("sa-east", started_at=0.0), Vantage()
    filing = Filing(store, log.EventLog(), Excuse(vantage), lambda *_: None)
    key = ProviderKey("stores", "shop.example", "live")

    def asked(failure: Failure | None) -> Failure | None:
        edges = () if failure else (Edge("192.0.2.1", 443),)
        filing.resolution(ResolveResult(key, 0.0, Resolution(edges, failure, seconds=1.0)))
        (target,) = store.targets.values()
        return target.resolutions[key].resolution.failure

    silent = Failure(Phase.RESOLVE, Reason.TIMEOUT)
    mock_clock.jump(10)
    now = trio.current_time()
    for name in ("one", "two", "three"):
        vantage.dns(name, silent, now)
    vantage.judge(now)
    ours = asked(silent)
    assert ours is not None
    assert ours.reason is Reason.VANTAGE_ILL
    assert not list(store.journal)
    mock_clock.jump(100)  # the references are answered again
    vantage.judge(trio.current_time())
    assert asked(silent) == silent
    assert [change.after for change in store.journal] == ["failing"]
    assert asked(None) is None


# ------------------------------------------------------------ selection

CONFIGURATION = """\
region: sa-east
providers:
  live: {dns: {}}
  cdn-b: {hostname: stores.cdn-b.example}
targets:
  stores: {static: [a.example, "b.example:8443"]}
checks:
  - {name: stores, kind: tls, targets: stores, providers: [live]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "probe.yaml"
    path.write_text(CONFIGURATION)
    return path


def test_a_provider_that_no_check_lists_can_be_tried(file: Path) -> None:
    spec = narrow(load(file, environ={}), CheckRequest(providers=("cdn-b",)))
    assert [check.providers for check in spec.checks] == [("cdn-b",)]


def test_a_batch_replaces_every_list(file: Path) -> None:
    batch = (Target("new.example"),)
    spec = narrow(load(file, environ={}), CheckRequest(batch=batch))
    assert spec.targets["stores"].static == batch


def test_targets_are_selected_by_name_or_by_name_and_port(file: Path) -> None:
    targets = load(file, environ={}).targets["stores"].static
    for name in ("b.example", "b.example:8443"):
        assert [t.name for t in wanted(targets, CheckRequest(targets=(name,)))] == ["b.example"]


def test_an_unknown_name_is_answered_with_the_nearest(file: Path) -> None:
    with pytest.raises(SelectionError, match="did you mean cdn-b"):
        narrow(load(file, environ={}), CheckRequest(providers=("cdn_b",)))


# ------------------------------------------------------------ a release that is replaced


def test_a_release_that_is_replaced_under_an_agent_takes_no_reason_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Failures of edges turned into defects of ours, because their texts could not be read."""
    monkeypatch.setattr(service, "hold_signals", lambda: None)
    monkeypatch.setattr(trio, "run", lambda _: None)
    for kept in (reasons.explanations, reasons.phase_texts):
        kept.cache_clear()
    run_agent(Spec("sa-east", Listen(), {}, {}, ()), Options(Path("probe.yaml"), {}))

    def gone(_: str | None) -> NoReturn:
        raise FileNotFoundError

    monkeypatch.setattr(resources, "files", gone)
    refused = Failure(Phase.CONNECT, Reason.REFUSED, "")
    assert browser_error(refused) == "ERR_CONNECTION_REFUSED"
    assert reasons.title_of(Reason.REFUSED) == "The connection was refused"


# ------------------------------------------------------------ secrets


async def test_every_secret_is_learned_once_and_others_run_in_between() -> None:
    form = {f"f{n}": SecretRef("env", f"S{n % 50}") for n in range(100)}
    step = Step("login", "api", RequestTemplate("POST", "https://api.example/", form=form))
    learned: list[str] = []
    seen: list[int] = []

    def read(reference: SecretRef) -> Secret:
        learned.append(reference.name)
        if reference.name == "S7":
            raise SecretError("missing")
        return Secret("x")

    async def watch() -> None:
        while len(learned) < 50:
            seen.append(len(learned))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await learn_secrets(Spec("sa-east", Listen(), {}, {}, (ApiCheck("a", (step,)),)), read)
    assert learned == [f"S{n}" for n in range(50)]
    assert max(after - before for before, after in pairwise(seen)) <= 2  # turns come in any order
