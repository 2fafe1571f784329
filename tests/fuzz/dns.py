"""Answers of DNS servers, through ``EdgeFinder.find``, ``RecordFinder.look`` and their sockets.

An input is one byte that chooses how is asked, then the messages that the server sends, in the
order of the packets that reach it. They get the id of the question, without which all would be
strays; what else they say is the fuzzer's.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import trio

from probe.edges import EdgeFinder, RecordFinder
from probe.model.result import CertificateFacts, Handshake, Passed, Timings, TlsResult
from probe.model.spec import DnsOptions, NameServer, Provider
from probe.model.target import Edge, EdgeKey, Resolution
from probe.model.target import Target as ProbeTarget
from probe.state.promises import name_findings, told, with_promises
from tests.fuzz.target import SEPARATOR, Finding, Target, in_virtual_time, judge

_NAME = "shop.example"
_NOWHERE = Path("/nonexistent")
_SERVERS = (NameServer("192.0.2.53", 53), NameServer("2001:db8::53", 53))
_FAMILIES: tuple[Any, ...] = ((4,), (6,), (4, 6), (6, 4))
_LEAF = CertificateFacts(
    "ab" * 32, "cd" * 32, "", "O=Example", "1", 0.0, 9e9, (_NAME,), (), "ec-p256", "ecdsa"
)
_SHOWN = Handshake("TLS 1.3", "TLS_AES_128_GCM_SHA256", (_LEAF,), alpn="http/1.1")
_SUBNETS = MappingProxyType({"eu": "192.0.2.0/24", "sa": "2001:db8::/48"})


class _Server:
    """Gives each packet the next message, the last one twice; then it is gone."""

    def __init__(self, messages: list[bytes], *, repeats_question: bool) -> None:
        self._messages = messages
        self._repeats = repeats_question
        self._next = 0

    def answer(self, asked: bytes) -> bytes:
        message = self._messages[min(self._next, len(self._messages) - 1)]
        self._next += 1
        if self._next > len(self._messages) + 1:
            return b""
        if len(message) < 2:
            return message
        message = asked[:2] + message[2:]
        end = asked.index(b"\0", 12) + 5
        if self._repeats and len(message) >= end:
            message = message[:12] + asked[12:end] + message[end:]
        return message


class _Socket(trio.socket.SocketType):
    """A socket without a network: what is sent is answered, nothing else ever comes."""

    def __init__(self, server: _Server, kind: int) -> None:
        self._server = server
        self._kind = kind
        self._arrived: list[bytes] = []

    @property
    def type(self) -> socket.SocketKind:
        return socket.SocketKind(self._kind)

    @property
    def did_shutdown_SHUT_WR(self) -> bool:
        return False

    def setsockopt(self, *_arguments: object) -> None:
        pass

    def close(self) -> None:
        pass

    def __enter__(self) -> _Socket:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    async def connect(self, _address: object) -> None:
        await trio.lowlevel.checkpoint()

    async def send(self, data: Any, _flags: int = 0) -> int:
        await trio.lowlevel.checkpoint()
        asked = bytes(data)
        if self._kind == socket.SOCK_STREAM:
            message = self._server.answer(asked[2:])
            whole = len(message).to_bytes(2, "big") + message
            self._arrived += [whole[:1], whole[1:], b""]
        elif message := self._server.answer(asked):
            self._arrived.append(message)
        else:
            raise OSError(errno.ECONNREFUSED, "refused")
        return len(asked)

    async def recv(self, size: int, _flags: int = 0) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self._arrived:
            await trio.sleep_forever()
        data = self._arrived.pop(0)
        if self._kind == socket.SOCK_STREAM and len(data) > size:
            self._arrived.insert(0, data[size:])
        return data[:size]


class _Sockets(trio.abc.SocketFactory):
    def __init__(self, server: _Server) -> None:
        self._server = server

    def socket(
        self,
        family: int = socket.AF_INET,
        type: int = socket.SOCK_STREAM,
        proto: int = 0,
    ) -> _Socket:
        return _Socket(self._server, type)


def run(data: bytes) -> None:
    """Look up a name, and perhaps once more when the finder remembers the first time."""
    in_virtual_time(_find, data)


async def _find(data: bytes) -> None:
    how = data[0] if data else 0
    server = _Server(data[1:].split(SEPARATOR), repeats_question=not how & 4)
    trio.socket.set_custom_socket_factory(_Sockets(server))
    options = DnsOptions(
        servers=_SERVERS[: 1 + (how >> 3 & 1)],
        hosts_file=False,
        client_subnets=_SUBNETS if how & 16 else MappingProxyType({}),
        timeout=2.0,
        families=_FAMILIES[how & 3],
    )
    finder = EdgeFinder(route=lambda _ip: True, hosts_file=_NOWHERE, resolv_conf=_NOWHERE)
    provider = Provider("live", dns=options)
    if how & 64:
        await _look(finder, options, https=bool(how & 128))
        return
    for _ in range(1 + (how >> 5 & 1)):
        found = await finder.find(provider, ProbeTarget(_NAME), 443)
        judge(found)
        await trio.sleep((found.ttl or 0.0) + 1.0)


async def _look(finder: EdgeFinder, options: DnsOptions, *, https: bool) -> None:
    """Look up records, and say and judge what came."""
    records = await RecordFinder(finder.inquiry).look(
        ("HTTPS",) if https else ("CAA",), options, name=_NAME, reached=_NAME, port=443
    )
    named = name_findings(records, Resolution((Edge("192.0.2.1", 443),)))
    edge = Edge("192.0.2.1", 443)
    key = EdgeKey("shop", _NAME, "live", edge.label, "default")
    result = TlsResult(key, edge, 0.0, Passed(), Timings(), _SHOWN)
    found = with_promises(result, records, name=_NAME, offered=("h2", "http/1.1"), issuers={})
    judge((named, found))
    if not all(line.isprintable() and len(line) < 4096 for line in (*told(records), *found.notes)):
        raise Finding("a line about records that is long, or acts on a terminal")


def seeds() -> list[bytes]:
    """Every kind of answer that the finder tells apart."""
    a, aaaa = f"{_NAME}. 60 IN A 192.0.2.1", f"{_NAME}. 60 IN AAAA 2001:db8::1"
    alias = f"{_NAME}. 300 IN CNAME shop.cdn.example."
    soa = f"{_NAME}. 3600 IN SOA ns.example. host.example. 1 2 3 4 20"
    several = [f"{_NAME}. 60 IN A 192.0.2.{n}" for n in range(1, 5)]
    answers = [
        _answer(a),
        _answer(*several),
        _answer(aaaa, kind="AAAA"),
        _answer(alias, "shop.cdn.example. 20 IN A 192.0.2.9"),
        _answer(authority=(soa,)),
        _answer(authority=(soa,), rcode=dns.rcode.NXDOMAIN),
        _answer(authority=("example. 60 IN NS ns.example.",)),
        _answer(rcode=dns.rcode.SERVFAIL),
        _answer(rcode=dns.rcode.FORMERR),
        _answer(rcode=dns.rcode.REFUSED),
        _answer(a, f'{_NAME}. 60 IN TXT "text"', f"{_NAME}. 60 IN A 192.0.2.2"),
    ]
    both = [
        *[bytes([how]) + answer for answer in answers for how in (0, 2)],
        # The end of a chain is asked for in a question of its own.
        b"\x04" + SEPARATOR.join([_answer(alias), _answer(a.replace(_NAME, "shop.cdn.example"))]),
        b"\x00" + SEPARATOR.join([_answer(flags=dns.flags.TC), _answer(*several)]),
        b"\x08" + SEPARATOR.join([_answer(rcode=dns.rcode.NOTIMP), _answer(a)]),
        b"\x0a",
        b"\x08" + SEPARATOR.join([b"", _answer(a)]),
    ]
    subnets = [dns.edns.ECSOption("192.0.2.0", 24, 24), dns.edns.ECSOption("2001:db8::", 48, 32)]
    both += [b"\x10" + SEPARATOR.join(_answer(a, option=option) for option in subnets)]
    both += [b"\x20" + SEPARATOR.join([_answer(a), _answer(*several)])]
    both += [b"\x11" + _answer(aaaa, kind="AAAA", option=subnets[0])]
    return both + _records()


def _records() -> list[bytes]:
    """Answers to questions for HTTPS and CAA records."""
    service = "alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.9 ipv6hint=2001:db8::1"
    https = [
        (f"{_NAME}. 60 IN HTTPS 1 . {service}",),
        (f"{_NAME}. 60 IN HTTPS 2 . mandatory=alpn,key667 alpn=h2 no-default-alpn key667=x",),
        (f"{_NAME}. 60 IN HTTPS 0 cdn.example.", f"{_NAME}. 60 IN HTTPS 1 other.example. alpn=h2"),
        (f"{_NAME}. 300 IN CNAME shop.cdn.example.", "shop.cdn.example. 60 IN HTTPS 1 . alpn=h2"),
    ]
    caa = [
        (f'{_NAME}. 60 IN CAA 0 issue "ca.example; validationmethods=dns-01"',),
        (f'{_NAME}. 60 IN CAA 0 issuewild ";"', f'{_NAME}. 60 IN CAA 128 future "x"'),
        (),
    ]
    return [b"\xc0" + _answer(*texts, kind="HTTPS") for texts in https] + [
        b"\x40" + _answer(*texts, kind="CAA") for texts in caa
    ]


def _answer(
    *records: str,
    kind: str = "A",
    authority: tuple[str, ...] = (),
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    flags: int = 0,
    option: dns.edns.Option | None = None,
) -> bytes:
    asked = dns.message.make_query(_NAME, kind)
    reply = dns.message.make_response(asked, recursion_available=True)
    reply.set_rcode(rcode)
    reply.flags |= flags
    if option is not None:
        reply.use_edns(0, options=[option])
    for section, texts in ((reply.answer, records), (reply.authority, authority)):
        for text in texts:
            name, ttl, _, sort, rdata = text.split(maxsplit=4)
            section.append(dns.rrset.from_text(name, int(ttl), "IN", sort, rdata))
    return reply.to_wire()


_WORDS = (b"\0\x41\0\1", b"\1\1\0\1", b"\0\1\0\3\2h2", b"\0\4\0\4", b"\0\5issue", b"\0\0\0\2\0\1")
TARGET = Target(
    run, seeds, lambda: [SEPARATOR, b"\xc0\x0c", b"\0\x01\0\x01", b"\0\x08\0\x07", *_WORDS]
)
