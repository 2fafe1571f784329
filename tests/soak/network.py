"""The network between agent and edges: two TUN devices, and a process that carries packets.

netem is not in every kernel; this needs nothing but ``/dev/net/tun``. A connection has the fault
that its edge had when its first SYN came, and keeps it to its end: so each is either under a fault
or not, and can be counted. What became of it is noted by its packets alone.

``python -m tests.soak.network`` obeys JSON lines on its input, one answer a line.
"""

from __future__ import annotations

import fcntl
import heapq
import json
import os
import random
import re
import select
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

DEVICES = ("wan0", "wan1")
"""At the edges, and at the agent."""

EDGES = b"\x0a\x14"
"""Beginning of the edges' addresses: 10.20.0.0/16."""

_SET_INTERFACE, _TUN, _NO_INFORMATION = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
_FIN, _SYN, _RST = 0x01, 0x02, 0x04
_TCP, _ALERT = 6, 0x15
_NAME = re.compile(rb"store-[0-9]+\.example")
_LATE_SHARE = 0.3  # of the packets, when they are put out of order


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to connections that begin while it is there.

    Attributes:
        kind: of ``plan.NETWORK``, or ``blackout``.
        edge: address of the edge; empty for all, and for everything else too.
        amount: as in the plan.
    """

    number: int
    kind: str
    edge: str
    amount: float


@dataclass(slots=True)
class Flow:
    """One connection to an edge, by its packets.

    Attributes:
        at: when the first SYN came, by the machine's monotonic clock.
        ended: when the client ended it; 0 when it never did.
        name: that it asked for; empty when no hello came.
        rule: number of the fault that it is under; 0 for none.
        answered: the client acknowledged a SYN-ACK. One that comes when it has given up is none.
        reset: the edge sent RST.
        shook: the client sent on after its hello, and no alert: it had the whole answer.
    """

    at: float
    edge: str
    rule: int
    isn: int
    ended: float = 0.0
    name: str = ""
    hello: int = 0
    answered: bool = False
    reset: bool = False
    shook: bool = False

    def to_json(self) -> list[Any]:
        """What the accounts need."""
        return [
            *(round(self.at, 3), round(self.ended, 3), self.edge, self.name, self.rule),
            *(self.answered, self.reset, self.shook),
        ]


Verdict = tuple[float, ...]
"""Seconds until a packet is delivered, once for each copy; empty when it is dropped."""

_AT_ONCE: Verdict = (0.0,)


class Network:
    """Decides about packets, and keeps the connections. Does no I/O and has no clock.

    Args:
        seed: of chance.
    """

    def __init__(self, seed: int = 1) -> None:
        self._dice = random.Random(seed)
        self._rules: dict[int, Rule] = {}
        self._kept: dict[int, Rule] = {}
        self._live: dict[bytes, Flow] = {}
        self.flows: list[Flow] = []
        self.packets: dict[int, int] = {}
        """Dropped, late or doubled packets by the number of the fault."""

    def add(self, rule: Rule) -> None:
        """Begin a fault."""
        self._rules[rule.number] = self._kept[rule.number] = rule

    def remove(self, number: int) -> None:
        """End it, for connections that begin from now on."""
        del self._rules[number]

    def carry(self, packet: bytes, now: float, *, up: bool) -> Verdict:
        """Say what becomes of a packet; ``up`` is from the agent to an edge."""
        if len(packet) < 20 or packet[0] >> 4 != 4:
            return ()
        edge = packet[16:20] if up else packet[12:16]
        if packet[9] != _TCP or not edge.startswith(EDGES):
            dark = any(rule.kind == "blackout" for rule in self._rules.values())
            return () if dark else _AT_ONCE
        flow = self._flow(packet, edge, now, up=up)
        if flow is None:
            return _AT_ONCE
        rule = self._kept.get(flow.rule)
        verdict = _AT_ONCE if rule is None else self._verdict(rule, packet, up=up)
        if rule is not None and verdict != _AT_ONCE:
            self.packets[rule.number] = self.packets.get(rule.number, 0) + 1
        if up or verdict:
            _note(flow, packet, now, up=up)
        return verdict

    def _flow(self, packet: bytes, edge: bytes, now: float, *, up: bool) -> Flow | None:
        """The connection of a packet; a new one with its first SYN."""
        head = (packet[0] & 15) * 4
        port = packet[head : head + 2] if up else packet[head + 2 : head + 4]
        flow = self._live.get(edge + port)
        if up and packet[head + 13] & _SYN:
            isn = int.from_bytes(packet[head + 4 : head + 8])
            if flow is None or flow.isn != isn:
                address = ".".join(str(octet) for octet in edge)
                flow = Flow(now, address, self._ruling(address), isn)
                self._live[edge + port] = flow
                self.flows.append(flow)
        return flow

    def _ruling(self, edge: str) -> int:
        for rule in self._rules.values():
            if rule.edge in {edge, ""}:
                return rule.number
        return 0

    def _verdict(self, rule: Rule, packet: bytes, *, up: bool) -> Verdict:
        match rule.kind:
            case "partition" | "blackout":
                return ()
            case "cut":
                return () if not up and payload(packet) else _AT_ONCE
            case "loss":
                return () if self._dice.random() * 100 < rule.amount else _AT_ONCE
            case "delay":
                return (rule.amount / 1000,)
            case "reorder" if self._dice.random() < _LATE_SHARE:
                return (rule.amount / 1000 * (0.5 + self._dice.random()),)
            case "duplicate" if self._dice.random() * 100 < rule.amount:
                return (0.0, 0.001)
            case _:
                return _AT_ONCE


def payload(packet: bytes) -> bytes:
    """What a TCP segment carries."""
    head = (packet[0] & 15) * 4
    return packet[head + (packet[head + 12] >> 4) * 4 :]


def _note(flow: Flow, packet: bytes, now: float, *, up: bool) -> None:
    """Learn from a packet that came from the agent, or that it is handed."""
    head = (packet[0] & 15) * 4
    flags = packet[head + 13]
    if not up:
        flow.reset = flow.reset or bool(flags & _RST)
        return
    flow.answered = flow.answered or not flags & (_SYN | _RST)
    if flags & (_FIN | _RST) and not flow.ended:
        flow.ended = now
    data = payload(packet)
    if not data:
        return
    at = (int.from_bytes(packet[head + 4 : head + 8]) - flow.isn - 1) & 0xFFFFFFFF
    if at == 0 and len(data) >= 5:
        flow.hello = 5 + int.from_bytes(data[3:5])  # RFC 8446, section 5.1
    if not flow.name and (found := _NAME.search(data)):
        flow.name = found[0].decode()
    after = flow.hello - at
    if flow.hello and 0 <= after < len(data):
        flow.shook = flow.shook or data[after] != _ALERT
    elif flow.hello and after < 0:
        flow.shook = True


# ---------------------------------------------------------------- carrying


@dataclass(slots=True)
class Carrier:
    """Two devices and what is under way between them."""

    network: Network
    sides: tuple[int, int]
    _late: list[tuple[float, int, int, bytes]] = field(default_factory=list)
    _count: int = 0

    def run(self) -> None:
        """Carry packets and obey commands until the input ends."""
        poll = select.poll()
        for fd in (*self.sides, sys.stdin.fileno()):
            poll.register(fd, select.POLLIN)
        rest = b""
        while True:
            wait = None if not self._late else max(0.0, self._late[0][0] - time.monotonic()) * 1000
            for fd, _ in poll.poll(wait):
                if fd in self.sides:
                    self._drain(fd)
                    continue
                data = os.read(fd, 65536)
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    answer = obey(self.network, json.loads(line))
                    sys.stdout.write(json.dumps(answer) + "\n")
                    sys.stdout.flush()
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, fd, packet = heapq.heappop(self._late)
                os.write(fd, packet)

    def _drain(self, fd: int) -> None:
        below, above = self.sides
        other = above if fd == below else below
        for packet in _packets(fd):
            now = time.monotonic()
            for seconds in self.network.carry(packet, now, up=fd == above):
                if seconds:
                    self._count += 1
                    heapq.heappush(self._late, (now + seconds, self._count, other, packet))
                else:
                    os.write(other, packet)


def _packets(fd: int) -> Iterator[bytes]:
    for _ in range(64):
        try:
            yield os.read(fd, 65536)
        except BlockingIOError:
            return


def obey(network: Network, command: Mapping[str, Any]) -> Any:
    """Carry out one command."""
    match command["do"]:
        case "add":
            network.add(Rule(**command["rule"]))
        case "remove":
            network.remove(command["number"])
        case "report":
            return {
                "flows": [flow.to_json() for flow in network.flows],
                "packets": network.packets,
            }
        case unknown:
            raise ValueError(f"no command is called {unknown!r}")
    return {}


def device(name: str) -> int:
    """Make a TUN device and return its descriptor. OSError says why not."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    wanted = struct.pack("16sH", name.encode(), _TUN | _NO_INFORMATION)
    fcntl.ioctl(fd, _SET_INTERFACE, wanted)
    return fd


if __name__ == "__main__":
    below, above = (device(name) for name in DEVICES)
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    Carrier(Network(int(sys.argv[1])), (below, above)).run()
