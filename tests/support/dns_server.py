"""A DNS server for tests: UDP and TCP on loopback, port by the OS, answers from a function."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import trio

from probe.model.spec import NameServer

Reply = dns.message.Message | bytes | None
"""A message, raw bytes, or silence."""

Responder = Callable[["Asked"], Reply]


@dataclass(frozen=True)
class Asked:
    """One question as the server saw it."""

    message: dns.message.Message
    transport: str
    peer: Any = None

    @property
    def name(self) -> str:
        return self.message.question[0].name.to_text(omit_final_dot=True)

    @property
    def kind(self) -> str:
        return dns.rdatatype.to_text(self.message.question[0].rdtype)

    @property
    def subnet(self) -> str | None:
        for option in self.message.options:
            if isinstance(option, dns.edns.ECSOption):
                return f"{option.address}/{option.srclen}"
        return None

    def answer(
        self,
        *records: str,
        rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
        authority: tuple[str, ...] = (),
        scope: int | None = None,
        flags: int = 0,
    ) -> dns.message.Message:
        """A response; records are written as ``name ttl type data``."""
        reply = dns.message.make_response(self.message, recursion_available=True)
        reply.set_rcode(rcode)
        reply.flags |= flags
        if scope is not None and self.subnet is not None:
            address, length = self.subnet.split("/")
            reply.use_edns(0, options=[dns.edns.ECSOption(address, int(length), scope)])
        for section, texts in ((reply.answer, records), (reply.authority, authority)):
            for text in texts:
                name, ttl, kind, data = text.split(maxsplit=3)
                rrset = dns.rrset.from_text(name + ".", int(ttl), "IN", kind, data)
                section.append(rrset)
        return reply

    def addresses(self, *ips: str, ttl: int = 60, scope: int | None = None) -> dns.message.Message:
        """Those of the addresses that are of the family asked for; SOA when none is."""
        fitting = [ip for ip in ips if (":" in ip) == (self.kind == "AAAA")]
        if not fitting:
            return self.nothing(scope=scope)
        records = [f"{self.name} {ttl} {self.kind} {ip}" for ip in fitting]
        return self.answer(*records, scope=scope)

    def nothing(
        self,
        rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
        minimum: int = 20,
        scope: int | None = None,
    ) -> dns.message.Message:
        """A negative answer with an SOA record (RFC 2308)."""
        soa = f"{self.name} 3600 SOA ns.example. host.example. 1 2 3 4 {minimum}"
        return self.answer(rcode=rcode, authority=(soa,), scope=scope)


@dataclass
class DnsServer:
    """A running server; ``respond`` may be changed while it runs."""

    respond: Responder
    udp: trio.socket.SocketType
    address: NameServer
    asked: list[Asked] = field(default_factory=list)

    @property
    def questions(self) -> list[tuple[str, str]]:
        return [(asked.kind, asked.name) for asked in self.asked]

    def _reply(self, wire: bytes, transport: str, peer: Any = None) -> bytes | None:
        asked = Asked(dns.message.from_wire(wire), transport, peer)
        self.asked.append(asked)
        reply = self.respond(asked)
        return reply.to_wire(max_size=65535) if isinstance(reply, dns.message.Message) else reply

    async def serve_udp(self) -> None:
        while True:
            wire, peer = await self.udp.recvfrom(65535)
            reply = self._reply(wire, "udp", peer)
            if reply is not None:
                await self.udp.sendto(reply, peer)

    async def serve_tcp(self, stream: trio.SocketStream) -> None:
        async with stream:
            try:
                size = int.from_bytes(await _read(stream, 2), "big")
                reply = self._reply(await _read(stream, size), "tcp")
                if reply is not None:
                    await stream.send_all(len(reply).to_bytes(2, "big") + reply)
            except (trio.BrokenResourceError, EOFError):
                return  # the asker gave up


async def _read(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = bytes(await stream.receive_some(size - len(data)))
        if not chunk:
            raise EOFError
        data += chunk
    return data


@asynccontextmanager
async def dns_server(
    respond: Responder, host: str = "127.0.0.1", *, tcp: bool = True
) -> AsyncIterator[DnsServer]:
    """Serve on loopback; UDP and TCP share one port that the OS chose."""
    udp, listener = await _bound(host)
    server = DnsServer(respond, udp, NameServer(host, udp.getsockname()[1]))
    with udp:
        async with listener, trio.open_nursery() as nursery:
            nursery.start_soon(server.serve_udp)
            if tcp:
                nursery.start_soon(trio.serve_listeners, server.serve_tcp, [listener])
            else:
                await listener.aclose()
            yield server
            nursery.cancel_scope.cancel()


async def _bound(host: str) -> tuple[trio.socket.SocketType, trio.SocketListener]:
    family = trio.socket.AF_INET6 if ":" in host else trio.socket.AF_INET
    while True:
        listener = (await trio.open_tcp_listeners(0, host=host))[0]
        udp = trio.socket.socket(family, trio.socket.SOCK_DGRAM)
        try:
            await udp.bind((host, listener.socket.getsockname()[1]))
        except OSError:  # somebody else has the UDP port of this number
            udp.close()
            await listener.aclose()
        else:
            return udp, listener
