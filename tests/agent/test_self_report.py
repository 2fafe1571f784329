"""What the agent counts of itself stands under checks that exist, and survives a reload."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from probe.agent.jobs import resolving
from probe.agent.log import EventLog
from probe.agent.process import LOOPS
from probe.agent.self_report import SelfReport
from probe.config.loading import load
from probe.edges import FinderStats
from probe.model.spec import Spec
from probe.schedule import Counts
from probe.serve import Store
from probe.serve.http.metrics import blocks
from probe.serve.series.family import Format
from probe.state.vantage import Vantage

CONFIGURATION = """
region: lab
providers: {a: {addresses: [192.0.2.1]}}
targets: {stores: {static: [shop.example]}}
checks:
  - {name: stores, kind: tls, targets: stores, providers: [a]}
  - {name: mail, kind: tls, targets: stores, providers: [a]}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    (tmp_path / "probe.yaml").write_text(CONFIGURATION)
    return load(tmp_path / "probe.yaml", region=None, environ={})


def shown(store: Store, name: str) -> list[str]:
    """The series of that name, as scraped."""
    lines = b"".join(blocks(store, Format.TEXT)).decode().splitlines()
    return sorted(line for line in lines if line.startswith(name + "{"))


async def told(store: Store, counts: dict[str, Counts], report: SelfReport | None) -> SelfReport:
    """One look of the report at what the runner counted."""
    if report is None:
        stats = FinderStats({}, {})
        report = SelfReport(store, Vantage(), EventLog(), lambda: counts, lambda: stats)
    with trio.move_on_after(0.5):
        await report.run()
    return report


async def test_questions_to_dns_count_under_their_check_and_outlive_a_reload(
    spec: Spec, autojump_clock: trio.testing.MockClock
) -> None:
    store = Store("lab", started_at=0.0)
    store.configure(spec)
    counts = {
        "stores": Counts(missed=1, in_flight=2),
        resolving("stores"): Counts(missed=2, deferred=1, in_flight=1),
        "mail": Counts(in_flight=4),
    }
    report = await told(store, counts, None)
    missed = [
        'probe_agent_missed_runs_total{check="mail",region="lab"} 0.0',
        'probe_agent_missed_runs_total{check="stores",region="lab"} 3.0',
    ]
    assert shown(store, "probe_agent_missed_runs_total") == missed
    store.configure(spec)
    assert shown(store, "probe_agent_missed_runs_total") == missed
    assert len(shown(store, "probe_agent_skipped_runs_total")) == 1
    assert shown(store, "probe_agent_in_flight") == [
        'probe_agent_in_flight{check="mail",region="lab"} 4.0',
        'probe_agent_in_flight{check="stores",region="lab"} 3.0',
    ]
    # A reload takes a check away while a run of it is still under way.
    store.configure(replace(spec, checks=spec.checks[:1]))
    counts["mail"] = Counts(in_flight=1, missed=1)
    await told(store, counts, report)
    counts["mail"].in_flight = counts[resolving("stores")].in_flight = 0
    await told(store, counts, report)
    assert shown(store, "probe_agent_missed_runs_total") == missed[1:]
    assert shown(store, "probe_agent_in_flight") == [
        'probe_agent_in_flight{check="stores",region="lab"} 2.0'
    ]


def test_every_loop_has_its_counter_before_it_crashes() -> None:
    store = Store("lab", started_at=0.0)
    stats = FinderStats({}, {})
    SelfReport(store, Vantage(), EventLog(), dict, lambda: stats)
    assert shown(store, "probe_agent_loop_crashes_total") == sorted(
        f'probe_agent_loop_crashes_total{{loop="{loop}",region="lab"}} 0.0' for loop in LOOPS
    )
    assert "first look" in LOOPS


async def test_an_illness_is_logged_once_though_its_evidence_changes(
    spec: Spec, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    store, vantage = Store("lab", started_at=0.0), Vantage()
    store.configure(spec)
    report = SelfReport(store, vantage, EventLog(), dict, lambda: FinderStats({}, {}))

    async def off_by_ever_more() -> None:
        for seconds in range(40):
            vantage.clock.date("reference", 100.0 + seconds, trio.current_time())
            await trio.sleep(1)
        vantage.clock.date("reference", 0.0, trio.current_time())

    with caplog.at_level("INFO", logger="probe"), trio.move_on_after(70):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(off_by_ever_more)
            nursery.start_soon(report.run)
    said = [record.getMessage() for record in caplog.records]
    # Whether "vantage cannot judge" comes first depends on which task runs first.
    told = [line for line in said if line in ("vantage ill", "vantage well")]
    assert told == ["vantage ill", "vantage well"]
