"""``probe run`` as its user runs it: a process, signals, files that change, a lab that breaks."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio

from probe.lab.board import Where
from probe.lab.process import RemoteLab
from tests.support.agents import StartAgent
from tests.support.programs import probe, program, run


async def test_every_edge_passes_and_promtool_accepts_the_metrics(
    config: Path, agents: StartAgent
) -> None:
    async with agents(config) as agent:

        async def all_pass() -> bool:
            text = (await agent.get("/metrics")).text
            # 4 stores, through 4 edges of cdn-a (live) and 4 of cdn-b
            up = [line for line in text.splitlines() if line.startswith("probe_edge_up{")]
            return len(up) == 32 and all(line.endswith(" 1.0") for line in up)

        await agent.until(all_pass)
        assert (await agent.get("/readyz")).status_code == 200
        text = (await agent.get("/metrics")).text
        run(program("promtool"), "check", "metrics", stdin=text)


async def test_an_edge_without_the_certificate_is_named_with_evidence_and_recovers(
    config: Path, lab: RemoteLab, agents: StartAgent
) -> None:
    gru = lab.info.place("cdn-b/gru")
    async with agents(config) as agent:
        await agent.until(lambda: _is(agent, 1.0, "store-001.example"))
        where = Where(frozenset({"store-001.example"}), frozenset({gru.name}))
        await lab.inject("alert_unrecognized_name", where)
        line = await agent.said("state", after="failing")
        assert line["target"] == "store-001.example"
        assert (line["provider"], line["edge"]) == ("cdn-b", gru.label)
        assert (line["phase"], line["reason"]) == ("tls", "alert_unrecognized_name")
        assert f"openssl s_client -connect {gru.label}" in line["command"]
        assert await agent.metric("probe_success", target="store-001.example") == 0
        assert await agent.metric("probe_success", target="store-002.example") == 1
        await lab.clear()
        back = await agent.said("state", after="passing", edge=gru.label)
        assert back["before"] == "failing"
        await agent.until(lambda: _is(agent, 1.0, "store-001.example"))
        named = {line["edge"] for line in agent.log if line.get("after") in ("failing", "flapping")}
        assert named == {gru.label}


async def _is(agent: Any, value: float, target: str) -> bool:
    found: float | None = await agent.metric("probe_success", target=target)
    return found == value


async def test_domains_that_move_in_dns_are_probed_at_their_new_edges(
    config: Path, lab: RemoteLab, agents: StartAgent
) -> None:
    scl = lab.info.place("cdn-b/scl")
    series = {"target": "store-002.example", "provider": "live", "edge": scl.label}
    async with agents(config) as agent:
        await agent.until(lambda: _is(agent, 1.0, "store-002.example"))
        assert await agent.metric("probe_edge_up", **series) is None
        await lab.move(["store-002.example"], "stores.cdn-b.example")

        async def found() -> bool:
            up: float | None = await agent.metric("probe_edge_up", **series)
            return up == 1

        await agent.until(found)


async def test_dns_failure_is_its_own_signal_and_the_known_edges_stay(
    config: Path, lab: RemoteLab, agents: StartAgent
) -> None:
    async with agents(config) as agent:
        await agent.until(lambda: _is(agent, 1.0, "store-003.example"))
        await lab.inject("dns_servfail", Where(domains=frozenset({"store-003.example"})))
        line = await agent.said("state", note="dns", after="failing", target="store-003.example")
        assert (line["phase"], line["reason"]) == ("resolve", "servfail")
        assert await agent.metric("probe_success", target="store-003.example") == 1
        await lab.clear()
        await agent.said("state", note="dns", after="ok", target="store-003.example")


async def test_an_unreadable_target_file_leaves_the_last_good_list(
    config: Path, agents: StartAgent
) -> None:
    stores = config.with_name("stores.json")
    async with agents(config) as agent:
        await agent.until(lambda: _is(agent, 1.0, "store-001.example"))
        stores.write_text("[{")
        await agent.said("target source", list="stores")
        await agent.until(lambda: _source_is(agent, 0.0))
        assert await agent.metric("probe_success", target="store-001.example") == 1
        stores.write_text(json.dumps([{"targets": ["store-003.example", "store-004.example"]}]))
        await agent.until(lambda: _source_is(agent, 1.0))

        async def only_the_new() -> bool:
            gone: bool = await agent.metric("probe_success", target="store-001.example") is None
            return gone and await agent.metric("probe_success", target="store-004.example") == 1

        await agent.until(only_the_new)


async def _source_is(agent: Any, up: float) -> bool:
    found: float | None = await agent.metric("probe_agent_discovery_up", list="stores")
    return found == up


async def test_a_bad_configuration_is_refused_at_reload_and_a_good_one_taken(
    config: Path, lab: RemoteLab, agents: StartAgent
) -> None:
    gru = lab.info.place("cdn-b/gru").label
    good = config.read_text()
    success = "probe_agent_config_last_reload_success"
    async with agents(config) as agent:
        await agent.until(lambda: _is(agent, 1.0, "store-001.example"))
        config.write_text(good.replace("kind: tls", "kind: tlss"))
        agent.process.send_signal(signal.SIGHUP)
        problem = await agent.said("configuration problem")
        assert "probe.yaml:12:" in problem["problem"]
        await agent.said("reload refused")
        assert await agent.metric(success) == 0
        assert await agent.metric("probe_success", target="store-001.example") == 1

        attempts = {"target": "store-001.example", "provider": "cdn-b", "edge": gru}

        async def attempted() -> bool:
            found: float | None = await agent.metric("probe_edge_attempts_total", **attempts)
            return found is not None

        await agent.until(attempted)
        before = await agent.metric("probe_edge_attempts_total", **attempts)
        config.write_text(good.replace("providers: [live, cdn-b]", "providers: [cdn-b]"))
        agent.process.send_signal(signal.SIGHUP)
        await agent.said("reloaded")
        assert await agent.metric(success) == 1
        text = (await agent.get("/metrics")).text
        edges = [line for line in text.splitlines() if line.startswith("probe_edge_")]
        assert edges
        assert not [line for line in edges if 'provider="live"' in line]
        after = await agent.metric("probe_edge_attempts_total", **attempts)
        assert before is not None
        assert after is not None
        assert after >= before  # counters survive


async def test_a_reload_that_changes_a_provider_is_followed_at_once(
    config: Path, lab: RemoteLab, agents: StartAgent
) -> None:
    gru, iad = lab.info.place("cdn-b/gru"), lab.info.place("cdn-b/iad")
    text = config.read_text().replace("providers: [live, cdn-b]", "providers: [fixed]")
    few = text.replace("providers:\n", f"providers:\n  fixed: {{addresses: [{gru.ip}]}}\n", 1)
    config.write_text(few)
    async with agents(config) as agent:

        async def seen(edge: str) -> bool:
            found = {"target": "store-001.example", "provider": "fixed", "edge": edge}
            up: float | None = await agent.metric("probe_edge_up", **found)
            return up == 1

        await agent.until(lambda: seen(gru.label))
        config.write_text(few.replace(f"[{gru.ip}]", f"[{gru.ip}, {iad.ip}]"))
        agent.process.send_signal(signal.SIGHUP)
        await agent.until(lambda: seen(iad.label))  # not at the next turn, minutes later


async def test_a_reload_says_what_only_a_restart_changes(
    plain: Path, tmp_path: Path, agents: StartAgent
) -> None:
    text = plain.read_text()
    plain.write_text(f"listen: 127.0.0.1:0\n{text}")
    async with agents(plain) as agent:
        await agent.said("started")
        assert "region: sa-east" in text
        elsewhere = text.replace("region: sa-east", "region: elsewhere")
        plain.write_text(f"listen: 127.0.0.1:1\nstate_dir: {tmp_path}\n{elsewhere}")
        agent.process.send_signal(signal.SIGHUP)
        line = await agent.said("needs a restart")
        assert line["what"] == "region and state_dir and listen changed"
        assert line["region"] == "sa-east"
        await agent.said("reloaded")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_cleanly_when_told_to(
    number: signal.Signals, config: Path, agents: StartAgent
) -> None:
    async with agents(config) as agent:
        await agent.until(lambda: _is(agent, 1.0, "store-001.example"))
        agent.process.send_signal(number)
        with trio.fail_after(20):  # less than the time-out of an edge
            assert await agent.process.wait() == 0
        await agent.said("stopped")
        assert not [line for line in agent.log if line["level"] == "error"]


async def test_ending_does_not_wait_for_an_edge_that_hangs(
    config: Path, lab: RemoteLab, agents: StartAgent
) -> None:
    config.write_text(config.read_text().replace("timeout: 1500ms", "timeout: 30s"))
    config.write_text(config.read_text().replace("interval: 2s", "interval: 30s"))
    await lab.inject("silence")
    async with agents(config) as agent:

        async def hanging() -> bool:
            return bool((await agent.metric("probe_agent_in_flight", check="stores") or 0) > 0)

        await agent.until(hanging)
        agent.process.send_signal(signal.SIGTERM)
        with trio.fail_after(20):  # less than the time-out of an edge
            assert await agent.process.wait() == 0


def test_a_port_in_use_is_said_plainly(plain: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = _run(plain, "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
    assert done.stderr.endswith("choose another with --listen or listen:\n")
    assert "Traceback" not in done.stderr


def test_a_port_of_the_page_in_use_names_page(plain: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        page = f"127.0.0.1:{taken.getsockname()[1]}"
        plain.write_text(f"{plain.read_text()}page: {page}\n")
        done = _run(plain)
    assert done.returncode == 1
    said = f"cannot listen on {page}: Address already in use; choose another with page:\n"
    assert done.stderr.endswith(said)


def test_no_region_is_said_plainly(plain: Path) -> None:
    plain.write_text(plain.read_text().replace("region: sa-east", "region: auto"))
    done = _run(plain)
    assert done.returncode == 2
    assert "--region NAME" in done.stderr
    assert "PROBE_REGION" in done.stderr


def test_a_bad_configuration_ends_with_2_and_every_problem(plain: Path) -> None:
    text = plain.read_text()
    plain.write_text(text.replace("kind: tls", "kind: tlss").replace("interval: 2s", "interval: 2"))
    done = _run(plain)
    assert done.returncode == 2
    assert len([line for line in done.stderr.splitlines() if "probe.yaml:" in line]) == 2


def _run(config: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return probe("run", "--config", config, *more)
