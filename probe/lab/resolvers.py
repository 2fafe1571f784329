"""The lab's DNS servers, UDP and TCP: one per region, as each region's resolver would answer."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import dns.exception
import dns.flags
import dns.message
import trio

from probe.lab.board import Board, Situation
from probe.lab.faults.kinds import Dns
from probe.lab.question import Question
from probe.lab.zone import Zone, healthy_answer, reply_to, view

_PORT_TRIES = 20
_PATIENCE = 30.0
_ID = 2  # bytes of a message's number, the only part of a question that an answer depends on not
_MOST_KNOWN = 20_000


@dataclass(slots=True)
class Resolver:
    """One region's DNS server.

    Attributes:
        region: whose view it gives by itself.
        heeds_subnets: whether a client subnet changes the view (RFC 7871); off, it is ignored.
        questions: how many were received.
    """

    region: str
    zone: Zone
    board: Board
    heeds_subnets: bool = True
    port: int = 0
    questions: int = 0
    _known: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    _known_of: int = -1

    async def run(
        self, ip: str, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve on one address; reports the port, the same for UDP and TCP."""
        udp, listener = await _open_pair(ip)
        self.port = udp.getsockname()[1]
        with udp:
            async with trio.open_nursery() as nursery:
                await nursery.start(partial(trio.serve_listeners, self._serve_tcp, [listener]))
                task_status.started(self.port)
                await self._serve_udp(udp, nursery)

    async def _serve_udp(self, udp: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        while True:
            try:
                wire, sender = await udp.recvfrom(4096)
            except ConnectionError:
                continue  # an earlier answer met a closed port; only some systems say so here
            nursery.start_soon(self._answer_udp, udp, wire, sender)

    async def _answer_udp(
        self, udp: trio.socket.SocketType, wire: bytes, sender: tuple[object, ...]
    ) -> None:
        answer = await self._respond(wire, "udp")
        if answer is not None:
            try:
                await udp.sendto(answer, sender)
            except OSError:
                return  # whoever asked is gone

    async def _serve_tcp(self, stream: trio.SocketStream) -> None:
        with trio.move_on_after(_PATIENCE):
            try:
                while (size := await _exactly(stream, 2)) is not None:
                    wire = await _exactly(stream, struct.unpack("!H", size)[0])
                    answer = None if wire is None else await self._respond(wire, "tcp")
                    if answer is None:
                        break
                    await stream.send_all(struct.pack("!H", len(answer)) + answer)
            except trio.BrokenResourceError:
                pass  # whoever asked is gone
        await trio.aclose_forcefully(stream)

    async def _respond(self, wire: bytes, transport: Literal["udp", "tcp"]) -> bytes | None:
        """What goes back; answers of a healthy server over UDP are packed once."""
        if transport == "tcp" or next(self.board.of_kind(Dns), None) is not None:
            return await self._make(wire, transport)
        if self._known_of != self.zone.version:
            self._known.clear()
            self._known_of = self.zone.version
        known = self._known.get(wire[_ID:])
        if known is None:
            made = await self._make(wire, transport)
            if made is not None and len(self._known) < _MOST_KNOWN:
                self._known[wire[_ID:]] = made[_ID:]
            return made
        self.questions += 1
        return wire[:_ID] + known

    async def _make(self, wire: bytes, transport: Literal["udp", "tcp"]) -> bytes | None:
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if not query.question or query.flags & dns.flags.QR:
            return None
        self.questions += 1
        region = view(self.zone, query, self.region, heeds_subnets=self.heeds_subnets)
        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        healthy = partial(
            healthy_answer, self.zone, query, self.region, heeds_subnets=self.heeds_subnets
        )
        kind = query.question[0].rdtype
        fault = self.board.strike(Dns, Situation(domain=name, region=region))
        if fault is None:
            answer: dns.message.Message | bytes | None = healthy()
        else:
            answer = await fault.act(Question(query, name, kind, region, transport, healthy))
        if not isinstance(answer, dns.message.Message):
            return answer
        return _to_wire(query, answer, transport)


def _to_wire(
    query: dns.message.Message, answer: dns.message.Message, transport: Literal["udp", "tcp"]
) -> bytes:
    """Packed; over UDP cut to what the client can take, with TC set (RFC 2181 section 9)."""
    if transport == "tcp":
        return answer.to_wire()
    try:
        return answer.to_wire(max_size=max(query.payload, 512))
    except dns.exception.TooBig:
        cut = reply_to(query)
        cut.flags |= dns.flags.TC
        return cut.to_wire()


async def _exactly(stream: trio.SocketStream, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        if not more:
            return None
        data += more
    return data


async def _open_pair(ip: str) -> tuple[trio.socket.SocketType, trio.SocketListener]:
    """A UDP socket and a TCP listener with the same port, chosen by the OS."""
    for _ in range(_PORT_TRIES):
        udp = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        await udp.bind((ip, 0))
        try:
            listeners = await trio.open_tcp_listeners(udp.getsockname()[1], host=ip)
        except OSError:
            udp.close()  # somebody has that port for TCP
            continue
        return udp, listeners[0]
    raise OSError(f"no port of {ip} was free for both UDP and TCP")
