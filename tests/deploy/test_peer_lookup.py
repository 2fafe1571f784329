"""Finding peers in DNS, and an agent that shares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import dns.flags
import dns.rcode
import pytest

from probe.agent.sharing import NoAddressError, peer_lookup
from tests.support.agents import StartAgent
from tests.support.dns_server import dns_server


async def test_500_peers_are_found_and_those_of_the_other_family_are_not() -> None:
    """More addresses than a datagram holds: the answer comes over TCP."""
    pods = [f"10.0.{number // 250}.{number % 250}" for number in range(500)]

    def respond(asked: Any) -> Any:
        if asked.transport == "udp":
            return asked.answer(flags=dns.flags.TC)
        return asked.addresses(*pods, "2001:db8::7")

    async with dns_server(respond) as running:
        assert await peer_lookup(pods[0], (running.address,))("peers.example") == frozenset(pods)
        found = await peer_lookup("2001:db8::7", (running.address,))("peers.example")
        assert found == frozenset({"2001:db8::7"})


async def test_a_peer_that_dns_drops_is_gone_at_once() -> None:
    pods = ["10.0.0.1", "10.0.0.2"]
    async with dns_server(lambda asked: asked.addresses(*pods)) as running:
        lookup = peer_lookup("10.0.0.1", (running.address,))
        assert await lookup("peers.example") == frozenset({"10.0.0.1", "10.0.0.2"})
        pods.pop()
        assert await lookup("peers.example") == frozenset({"10.0.0.1"})


async def test_no_answer_and_no_address_are_no_peers_but_words() -> None:
    async with dns_server(lambda asked: asked.nothing()) as running:
        found = await peer_lookup("10.0.0.1", (running.address,))("peers.example")
        assert found == "peers.example has no addresses"
        running.respond = lambda asked: asked.answer(rcode=dns.rcode.SERVFAIL)
        failed = await peer_lookup("10.0.0.1", (running.address,))("peers.example")
        assert isinstance(failed, str)
        assert "SERVFAIL" in failed


@pytest.mark.parametrize("me", ["", "pod-7", "10.0.0"])
def test_what_is_no_address_is_refused(me: str) -> None:
    with pytest.raises(NoAddressError):
        peer_lookup(me)


async def test_an_agent_that_sees_no_peers_probes_everything(
    hasty: Path, agents: StartAgent
) -> None:
    hasty.write_text(hasty.read_text() + "share: {peers: localhost.invalid, refresh: 1s}\n")
    environ = {"PROBE_ADDRESS": "127.0.0.1"}
    async with agents(hasty, "--listen", "127.0.0.1:0", environ=environ) as agent:
        await agent.said("peers cannot be seen")
        await agent.said("state", target="shop.example")
        assert await agent.metric("probe_agent_share_peers_up") == 0
        assert await agent.metric("probe_agent_share_targets", list="stores") == 1


def test_an_agent_without_its_own_address_says_what_it_needs(plain: Path) -> None:
    plain.write_text(plain.read_text() + "share: {peers: peers.example}\n")
    done = subprocess.run(
        [sys.executable, "-m", "probe", "run", "--config", str(plain), "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={},
    )
    assert done.returncode == 1
    assert "share: each agent needs its own address in PROBE_ADDRESS" in done.stderr
