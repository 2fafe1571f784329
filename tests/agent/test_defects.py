"""A running agent whose own code raises: nothing of what it showed before stays green."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from probe.lab.process import RemoteLab
from tests.support.agents import StartAgent

PROGRAM = """
import importlib, os
from pathlib import Path
for place in os.environ["PLANTED"].split():
    module, _, name = place.partition(":")
    holder = importlib.import_module(module)
    *parents, last = name.split(".")
    for parent in parents:
        holder = getattr(holder, parent)
    def planted(*values, _original=getattr(holder, last), **named):
        if Path(os.environ["TRIGGER"]).exists():
            raise IndexError("s3cr3t")
        return _original(*values, **named)
    setattr(holder, last, planted)
from probe.cli.main import main
main(prog_name="probe")
"""
"""``probe`` with functions that raise for as long as a file exists."""

STORE = "store-001.example"

SEAMS = [
    # Planted in the prober, before it, behind it, and in what files results.
    ("probe.probers.tls:connect", "connect", "result"),
    ("probe.agent.coverage:Coverage._attempt", "connect", "crashed"),
    ("probe.certificates:Judge.judge", "certificate", "result"),
    ("probe.state.consensus:Consensus.observe", "connect", "crashed"),
]


@pytest.mark.parametrize(("place", "phase", "kind"), SEAMS)
async def test_a_crash_costs_one_result_and_is_seen(
    place: str,
    phase: str,
    kind: str,
    config: Path,
    tmp_path: Path,
    lab: RemoteLab,
    agents: StartAgent,
) -> None:
    trigger = tmp_path / "trigger"
    environ = {"PLANTED": place, "TRIGGER": str(trigger)}
    edge = {"target": STORE, "provider": "cdn-b", "edge": lab.info.place("cdn-b/gru").label}
    async with agents(config, environ=environ, program=(sys.executable, "-c", PROGRAM)) as agent:

        async def up() -> bool:
            found: float | None = await agent.metric("probe_edge_up", **edge)
            return found == 1

        async def unclear() -> bool:
            reason = {"reason": "defect", "phase": phase, "check": "stores"}
            count: float | None = await agent.metric("probe_agent_inconclusive_total", **reason)
            shown: float | None = await agent.metric("probe_edge_up", **edge)
            return count is not None and shown is None

        await agent.until(up)
        trigger.touch()
        await agent.until(unclear)
        assert await agent.metric("probe_success", target=STORE) is None
        line = await agent.said("defect", kind=kind)
        assert line["trace"].startswith("IndexError at ")
        assert ".py:" in line["trace"]
        assert "s3cr3t" not in line["trace"]
        assert "defect" in (await agent.get("/")).text
        trigger.unlink()
        await agent.until(up)
        assert agent.process.returncode is None


async def test_dns_that_our_own_code_cannot_read_is_ours_and_the_edges_stay(
    config: Path, tmp_path: Path, lab: RemoteLab, agents: StartAgent
) -> None:
    trigger = tmp_path / "trigger"
    environ = {"PLANTED": "probe.edges.inquiry:Inquiry.about", "TRIGGER": str(trigger)}
    edge = {"target": STORE, "provider": "cdn-b", "edge": lab.info.place("cdn-b/gru").label}
    async with agents(config, environ=environ, program=(sys.executable, "-c", PROGRAM)) as agent:

        async def up() -> bool:
            found: float | None = await agent.metric("probe_edge_up", **edge)
            return found == 1

        async def unclear() -> bool:
            through = {"target": STORE, "provider": "cdn-b"}
            found: float | None = await agent.metric("probe_resolve_success", **through)
            return found is None

        await agent.until(up)
        trigger.touch()
        await agent.until(unclear)
        assert await agent.metric("probe_edge_up", **edge) == 1
        line = await agent.said("defect", kind="result", phase="resolve")
        assert line["trace"].startswith("IndexError at ")


LOOPS = {
    "references": "probe.agent.references:ReferenceWatch._look",
    "discovery": "probe.discovery.files:FileTargets.look",
    "sources": "probe.agent.sources:Sources._give_carried",
    "lag": "probe.agent.self_report:SelfReport.lagged",
    "report": "probe.agent.self_report:SelfReport._judge",
    "tick": "probe.agent.filing:Filing.tick",
    "watchdog": "probe.agent.process:Notifier._tell",
    "reload": "probe.agent.service:reload_apart",
}


@pytest.mark.slow
async def test_every_loop_may_crash_and_goes_on(
    config: Path, tmp_path: Path, agents: StartAgent
) -> None:
    trigger = tmp_path / "trigger"
    references = "vantage: {references: [http://127.0.0.1:1/], interval: 1s}\n"
    config.write_text(config.read_text().replace("providers:\n", references + "providers:\n", 1))
    environ = {
        "PLANTED": " ".join(LOOPS.values()),
        "TRIGGER": str(trigger),
        "WATCHDOG_USEC": "600000",
    }
    async with agents(config, environ=environ, program=(sys.executable, "-c", PROGRAM)) as agent:

        async def well() -> bool:
            found: float | None = await agent.metric("probe_success", target=STORE)
            return found == 1

        async def crashed() -> bool:
            counts = [
                await agent.metric("probe_agent_loop_crashes_total", loop=loop) for loop in LOOPS
            ]
            return all(counts)

        await agent.until(well)
        assert await agent.metric("probe_agent_loop_crashes_total", loop="tick") == 0
        trigger.touch()
        agent.process.send_signal(signal.SIGHUP)
        await agent.until(crashed, patience=60)
        assert await agent.metric("probe_success", target=STORE) == 1, "no target is lost"
        for loop in LOOPS:
            line = await agent.said("defect", kind="loop", loop=loop)
            assert line["trace"].startswith("IndexError at ")
        assert await agent.metric("probe_agent_discovery_up", list="stores") == 0
        trigger.unlink()
        agent.process.send_signal(signal.SIGHUP)
        await agent.said("reloaded")

        async def read_again() -> bool:
            found: float | None = await agent.metric("probe_agent_discovery_up", list="stores")
            return found == 1

        await agent.until(read_again, patience=90)
        assert await agent.metric("probe_agent_config_last_reload_success") == 1


@pytest.mark.parametrize(
    "place", ["probe.schedule.plan:Plan.pop", "probe.agent.coverage:Coverage.configure"]
)
async def test_a_crash_in_what_cannot_begin_again_ends_the_agent(
    place: str, plain: Path, tmp_path: Path
) -> None:
    """A port that goes on answering without a runner would call everything healthy."""
    trigger = tmp_path / "trigger"
    trigger.touch()
    plain.write_text(plain.read_text().replace("defaults:", "listen: 127.0.0.1:0\ndefaults:"))
    command = [sys.executable, "-c", PROGRAM, "run", "--config", str(plain), "--log", "json"]
    environ = {**os.environ, "PLANTED": place, "TRIGGER": str(trigger)}
    with trio.fail_after(90):
        done = await trio.run_process(command, capture_stderr=True, check=False, env=environ)
    said = done.stderr.decode()
    assert done.returncode == 1
    assert '"event": "crashed"' in said
    assert "probe: our own code crashed: IndexError" in said
    assert "s3cr3t" not in said
    assert "Traceback" not in said
