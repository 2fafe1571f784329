"""UDP without a network: datagrams between the asker and functions, in virtual time.

A test of lost and late packets needs time-outs. Over real sockets a busy machine makes an answer
later than a short time-out, and a long one makes the test slow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.message
import trio

from probe.model.spec import NameServer
from tests.support.dns_server import Asked, Reply

Responder = Callable[[Asked], "Reply | OSError | Late"]
"""What a server does with a question; an error is what the asker's next ``recv`` raises."""


@dataclass(frozen=True)
class Late:
    """An answer that arrives some seconds after the question."""

    reply: Reply
    seconds: float


@dataclass
class Network(trio.abc.SocketFactory):
    """Servers by address, and every question that reached one.

    Attributes:
        asked: the questions in order.
        sent: server and virtual time of each of them.
    """

    servers: Mapping[str, Responder]
    asked: list[Asked] = field(default_factory=list)
    sent: list[tuple[str, float]] = field(default_factory=list)

    @property
    def addresses(self) -> list[NameServer]:
        return [NameServer(ip) for ip in self.servers]

    def socket(self, *_: object) -> trio.socket.SocketType:
        return cast("trio.socket.SocketType", _Socket(self))


class _Socket:
    def __init__(self, network: Network) -> None:
        self._network = network
        self._server = ""
        self._to_asker, self._inbox = trio.open_memory_channel[tuple[bytes | OSError, float]](64)

    async def connect(self, address: tuple[str, int]) -> None:
        await trio.lowlevel.checkpoint()
        self._server = address[0]

    async def send(self, packet: bytes) -> None:
        await trio.lowlevel.checkpoint()
        asked = Asked(dns.message.from_wire(packet), "udp")
        self._network.asked.append(asked)
        self._network.sent.append((self._server, trio.current_time()))
        reply = self._network.servers[self._server](asked)
        arrives = trio.current_time()
        if isinstance(reply, Late):
            arrives += reply.seconds
            reply = reply.reply
        if isinstance(reply, dns.message.Message):
            reply = reply.to_wire()
        if reply is not None:
            self._to_asker.send_nowait((reply, arrives))

    async def recv(self, _: int) -> bytes:
        packet, arrives = await self._inbox.receive()
        try:
            await trio.sleep_until(arrives)
        except trio.Cancelled:
            self._to_asker.send_nowait((packet, arrives))
            raise
        if isinstance(packet, OSError):
            raise packet
        return packet

    def close(self) -> None:
        self._to_asker.close()
        self._inbox.close()


@asynccontextmanager
async def network(*respond: Responder) -> AsyncIterator[Network]:
    """Let every new socket lead to servers 192.0.2.1, 192.0.2.2, ..., one for each function."""
    made = Network({f"192.0.2.{place}": one for place, one in enumerate(respond, 1)})
    trio.socket.set_custom_socket_factory(made)
    try:
        yield made
    finally:
        trio.socket.set_custom_socket_factory(None)
