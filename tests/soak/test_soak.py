"""The parts of a soak that decide: its plan, its network, its accounts. They need no namespace."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.soak.accounts import (
    Counts,
    Cycle,
    Seen,
    Witnesses,
    by_kind,
    late_starts,
    read_counts,
    settle,
)
from tests.soak.network import Flow, Network, Rule
from tests.soak.plan import (
    AGENT,
    BLACKOUT,
    CALM,
    CYCLE,
    DNS,
    LAB,
    NETWORK,
    RESTART,
    Fault,
    make_plan,
)

EDGES = [f"cdn-a/{number:02}" for number in range(1, 20)]
DOMAINS = [f"store-{number:03}.example" for number in range(1, 9)]


# ---------------------------------------------------------------- the plan


def test_one_seed_is_one_plan_and_two_minutes_have_every_kind() -> None:
    plan = make_plan(7, 5, EDGES, DOMAINS)
    assert plan == make_plan(7, 5, EDGES, DOMAINS)
    assert plan != make_plan(8, 5, EDGES, DOMAINS)
    assert {fault.kind for fault in plan} == {*NETWORK, *LAB, *AGENT, BLACKOUT, DNS, RESTART}


@pytest.mark.parametrize("seed", range(20))
def test_an_edge_has_one_fault_in_a_cycle_and_each_is_over_when_it_gets_calm(seed: int) -> None:
    plan = make_plan(seed, 30, EDGES, DOMAINS)
    assert [fault.number for fault in plan] == list(range(1, len(plan) + 1))
    for cycle in range(30):
        faults = [one for one in plan if one.cycle == cycle]
        where = [one.place or one.kind for one in faults]
        assert len(where) == len(set(where)), faults
        calm = cycle * CYCLE + CALM
        assert all(one.end <= calm for one in faults if one.kind not in {RESTART, "clock"})
        assert all(one.end < calm + 4 for one in faults if one.kind == "clock")
        dark = any(one.kind == BLACKOUT for one in faults)
        assert not (dark and any(one.kind in (*NETWORK, *LAB, DNS) for one in faults))


# ---------------------------------------------------------------- the network

SYN, ACK, RST, FIN = 2, 16, 4, 1
_BODY = b"..store-001.example.."
HELLO = b"\x16\x03\x01" + struct.pack("!H", len(_BODY)) + _BODY
ISN = 1000


def packet(flags: int, data: bytes = b"", *, up: bool = True, seq: int = ISN + 1) -> bytes:
    agent, edge = bytes([10, 99, 0, 1]), bytes([10, 20, 1, 5])
    ends = (agent, edge) if up else (edge, agent)
    ports = (40000, 443) if up else (443, 40000)
    tcp = struct.pack("!HHIIBBHHH", *ports, seq, 0, 5 << 4, flags, 0, 0, 0) + data
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, *ends) + tcp


def connection(network: Network, *, last: bytes = b"\x14\x03\x03") -> list[int]:
    """A whole one; how many copies of each packet were delivered."""
    sent = [
        (packet(SYN, seq=ISN), True),
        (packet(SYN | ACK, up=False), False),
        (packet(ACK, HELLO), True),
        (packet(ACK, b"answer", up=False), False),
        (packet(ACK, last, seq=ISN + 1 + len(HELLO)), True),
        (packet(FIN | ACK, seq=ISN + 1 + len(HELLO) + len(last)), True),
    ]
    return [len(network.carry(one, float(at), up=up)) for at, (one, up) in enumerate(sent)]


def test_a_connection_is_noted_by_its_packets() -> None:
    network = Network()
    assert connection(network) == [1] * 6
    (flow,) = network.flows
    assert (flow.edge, flow.name, flow.rule) == ("10.20.1.5", "store-001.example", 0)
    assert flow.answered
    assert flow.shook
    assert (flow.at, flow.ended) == (0.0, 5.0)


def test_an_alert_after_the_hello_is_no_handshake() -> None:
    network = Network()
    connection(network, last=b"\x15\x03\x03\x00\x02\x02\x2f")
    assert not network.flows[0].shook


def test_a_connection_keeps_the_fault_it_began_with() -> None:
    network = Network()
    network.add(Rule(3, "partition", "10.20.1.5", 0))
    assert network.carry(packet(SYN, seq=ISN), 0.0, up=True) == ()
    network.remove(3)
    assert network.carry(packet(SYN, seq=ISN), 1.0, up=True) == (), "the same SYN again"
    assert network.carry(packet(SYN, seq=ISN + 9), 2.0, up=True) == (0.0,), "another connection"
    assert [flow.rule for flow in network.flows] == [3, 0]
    assert network.packets == {3: 2}


@pytest.mark.parametrize(
    ("kind", "amount", "copies"),
    [
        ("partition", 0, {0}),
        ("blackout", 0, {0}),
        ("cut", 0, {0, 1}),
        ("loss", 50, {0, 1}),
        ("delay", 100, {1}),
        ("reorder", 40, {1}),
        ("duplicate", 50, {1, 2}),
    ],
)
def test_each_kind_does_what_it_says(kind: str, amount: float, copies: set[int]) -> None:
    network, delivered = Network(seed=5), set()
    network.add(Rule(1, kind, "" if kind == "blackout" else "10.20.1.5", amount))
    for _ in range(20):
        delivered |= set(connection(network))
    assert delivered == copies
    assert network.packets[1] > 0
    assert network.flows[0].rule == 1


# ---------------------------------------------------------------- the accounts

ADDRESSES = {"cdn-a/05": "10.20.1.5", "cdn-a/06": "10.20.1.6"}
RESET = Fault(1, "reset_after_hello", "cdn-a/05", 1.0, 9.0)
CUT = Fault(2, "cut", "cdn-a/06", 1.0, 9.0)


def seen(*flows: Seen, strikes: int = 2) -> Witnesses:
    return Witnesses(flows, {1: strikes}, ADDRESSES, {})


def flow(edge: str, *, rule: int = 0, shook: bool = True, at: float = 5.0) -> Seen:
    noted = Flow(at, edge, rule, 0, at + 1, "store-001.example", 9, True, False, shook)
    return Seen.read([noted.to_json()])[0]


def cycle(failures: Mapping[tuple[str, str, str], int], attempts: dict[str, int]) -> Cycle:
    moved = Counts(attempts=Counter({(edge,): times for edge, times in attempts.items()}))
    moved.failures.update(failures)
    return Cycle(0, (0.0, 0.1), (22.0, 22.1), moved)


FLOWS = (flow("10.20.1.5", shook=False), flow("10.20.1.5", shook=False),
         flow("10.20.1.6", rule=2, shook=False))  # fmt: skip
FAILED = {("10.20.1.5", "tls", "reset"): 2, ("10.20.1.6", "tls", "timeout"): 1}
TRIED = {"10.20.1.5": 2, "10.20.1.6": 1}


def test_what_was_injected_and_seen_is_exact() -> None:
    accounts, loose = settle([RESET, CUT], [cycle(FAILED, TRIED)], seen(*FLOWS))
    assert [(one.injected, one.observed, one.exact) for one in accounts[:2]] == [
        (2, 2, True),
        (1, 1, True),
    ]
    assert loose == []
    assert "reset_after_hello" in by_kind(accounts)[-1]


@pytest.mark.parametrize(
    ("failures", "attempts", "strikes"),
    [
        (FAILED | {("10.20.1.5", "tls", "reset"): 1}, TRIED, 2),  # one is not counted
        (FAILED | {("10.20.1.5", "tls", "reset"): 3}, TRIED, 2),  # one too many
        (FAILED | {("10.20.1.5", "tls", "closed"): 1}, TRIED, 2),  # another reason
        (FAILED | {("10.20.1.6", "connect", "timeout"): 1}, TRIED, 2),
        (FAILED, TRIED | {"10.20.1.6": 2}, 2),  # an attempt without a connection
        (FAILED, TRIED | {"10.20.1.6": 0}, 2),
        (FAILED, TRIED, 3),  # the lab did it more often
    ],
)
def test_whatever_differs_is_found(
    failures: dict[tuple[str, str, str], int], attempts: dict[str, int], strikes: int
) -> None:
    found = settle([RESET, CUT], [cycle(failures, attempts)], seen(*FLOWS, strikes=strikes))
    accounts, loose = found
    assert loose or not all(one.exact for one in accounts)


def test_edges_of_the_list_that_changes_may_fail_in_a_blackout_only() -> None:
    moved = cycle({("10.20.1.9", "connect", "timeout"): 1}, {})
    witnesses = replace(seen(strikes=0), spared=frozenset({"10.20.1.9"}))
    dark = Fault(3, BLACKOUT, "", 1.0, 9.0)
    assert settle([dark], [moved], witnesses)[1] == []
    assert settle([], [moved], witnesses)[1] == ["cycle 0: 1 x failed 10.20.1.9 connect timeout"]


def test_what_the_agent_takes_for_its_own_trouble_is_counted_too() -> None:
    moved = cycle({("10.20.1.5", "tls", "reset"): 2}, TRIED)
    moved.moved.excused["10.20.1.6", "tls", "vantage_ill"] = 1
    accounts, loose = settle([RESET, CUT], [moved], seen(*FLOWS))
    assert accounts[1].exact
    assert accounts[1].excused == 1
    assert loose == []


def test_counters_are_read_from_an_exposition() -> None:
    labels = 'check="c",client="d",edge="10.20.1.5:443",provider="p",target="t"'
    counts = read_counts(
        f'probe_edge_failures_total{{{labels},phase="tls",reason="reset"}} 3.0\n'
        f"probe_edge_attempts_total{{{labels}}} 7.0\n"
        'probe_agent_skipped_runs_total{check="c",reason="cut"} 1.0\n'
        'probe_agent_loop_lag_seconds_bucket{le="1.0"} 5.0\n'
        "probe_agent_loop_lag_seconds_count 6.0\n"
        "probe_agent_in_flight 6.0\n"
    )
    assert counts.failures == {("10.20.1.5", "tls", "reset"): 3}
    assert counts.attempts == {("10.20.1.5",): 7}
    assert sorted(counts.others.values()) == [1, 1]


def test_a_start_that_does_not_come_is_found_outside_of_declared_faults_only() -> None:
    starts = [flow("10.20.1.5", at=at) for at in (10.0, 40.0, 100.0)]
    expected, missed = late_starts(starts, 30.0, [], (0.0, 120.0))
    assert expected == 2
    assert missed == ["store-001.example at 10.20.1.5: none for 60.0 s after 40.0"]
    assert late_starts(starts, 30.0, [("", 50.0, 60.0)], (0.0, 120.0)) == (1, [])
    assert late_starts(starts, 30.0, [("10.20.1.6", 50.0, 60.0)], (0.0, 120.0))[1]
    assert late_starts([replace(starts[0])], 30.0, [], (0.0, 60.0))[1], "none at the end"
