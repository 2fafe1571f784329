"""Hostile servers, one small function each: what costs a client far more than its sender.

`ZOO` is the table. The clockless test (`tests/probers/test_zoo.py`) counts what each makes the
agent do; the benchmark (``python -m tests.benchmarks hostile``) looks at a healthy check beside
each.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache, partial

import brotli
import hpack
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from probe.lab.ca import Authority, Credential, Pki
from tests.support import record_layer
from tests.support.dns_server import Asked, Reply, dns_server
from tests.support.http_server import Ca, Stream, serve

Kind = str
Part = Callable[..., Awaitable[None]]
NAME = "shop.example"
MIB = 1024 * 1024
_AGES = 100_000  # repetitions that no client waits for


@dataclass(frozen=True)
class Beast:
    """One hostile server.

    Attributes:
        kind: how it is spoken to: ``http1`` and ``http2`` over TLS, ``sealed`` as ``http1`` but
            with records of its own, ``tls`` and ``smtp`` on the bare connection, ``dns``.
        part: what it does.
    """

    name: str
    kind: Kind
    part: Callable[..., object]


ZOO: list[Beast] = []


def beast(kind: Kind) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Put a function into the table, under its own name."""

    def put(part: Callable[..., object]) -> Callable[..., object]:
        ZOO.append(Beast(part.__name__.replace("_", " "), kind, part))
        return part

    return put


async def _request(stream: Stream) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some(65536)
        if not more:
            raise trio.BrokenResourceError
        data += bytes(more)


async def _pour(stream: Stream, *first: bytes, then: Iterable[bytes]) -> None:
    """Answer a request with these bytes and those, until the client leaves."""
    await _request(stream)
    await stream.send_all(b"".join(first))
    for piece in then:
        await stream.send_all(piece)
    await trio.sleep_forever()


# ---------------------------------------------------------------- HTTP/1.1

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def _with_body(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return OK + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _pours(kind: Kind, name: str, first: bytes, then: Callable[[], Iterable[bytes]]) -> None:
    async def part(stream: Stream) -> None:
        await _pour(stream, first, then=then())

    ZOO.append(Beast(name, kind, part))


def _endless(piece: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: itertools.repeat(piece, _AGES)


def _drips(data: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: (bytes([byte]) for byte in data)


@dataclass(frozen=True)
class Says:
    """Gives a response that is costly to look at, again and again."""

    answer: Callable[[], bytes]

    async def __call__(self, stream: Stream) -> None:
        while True:
            await _request(stream)
            await stream.send_all(self.answer())


for _name, _first, _then in (
    ("early hints without end", b"", _endless(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n")),
    ("continue without end, forty at once", b"", _endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 40)),
    ("a header that drips", b"", _drips(OK + b"X-A: " + b"y" * 20_000)),
    ("header lines one by one", OK, lambda: (b"X-%d: y\r\n" % n for n in range(_AGES))),
    ("a header line without end", OK + b"X-A: ", _endless(b"y" * 16_000)),
    ("a folded line without end", OK + b"X-A: y\r\n", _endless(b" y\r\n" * 4000)),
    ("empty lines before the status", b"", _endless(b"\r\n" * 8000)),
    ("chunks of one byte", CHUNKED, _endless(b"1\r\nx\r\n" * 2700)),
    ("chunks of one byte, one by one", CHUNKED, _endless(b"1\r\nx\r\n")),
    ("a size of zeros without end", CHUNKED, _endless(b"0" * 16_000)),
    ("a chunk extension without end", CHUNKED + b"2;a=", _endless(b"b" * 16_000)),
    ("a trailer without end", CHUNKED + b"2\r\nok\r\n0\r\n", _endless(b"x-a: b\r\n" * 1000)),
    ("a body that drips", OK + b"Content-Length: 900000\r\n\r\n", _drips(b"x" * 60_000)),
    ("a body without end", OK + b"\r\n", _endless(b"x" * 65_536)),
    ("silence after the header", OK + b"Content-Length: 9\r\n\r\n", tuple),
):
    _pours("http1", _name, _first, _then)

_GZIP, _BR = b"Content-Encoding: gzip", b"Content-Encoding: br"


def _zeros(mib: int, wbits: int) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return b"".join(engine.compress(bytes(MIB)) for _ in range(mib)) + engine.flush()


def _brotli_zeros(mib: int) -> bytes:
    engine = brotli.Compressor(quality=4)
    data: bytes = b"".join(engine.process(bytes(MIB)) for _ in range(mib)) + engine.finish()
    return data


for _name, _body in (
    ("gzip of 16 MiB", lambda: _with_body(_zeros(16, 31), _GZIP)),
    ("gzip in gzip", lambda: _with_body(
        gzip.compress(_zeros(16, 31)), b"Content-Encoding: gzip, gzip")),
    ("gzip of nothing, 50,000 times", lambda: _with_body(gzip.compress(b"") * 50_000, _GZIP)),
    ("brotli of 16 MiB", lambda: _with_body(_brotli_zeros(16), _BR)),
    ("deflate of 16 MiB", lambda: _with_body(_zeros(16, 15), b"Content-Encoding: deflate")),
    ("JSON of empty lists", lambda: _with_body(b"[" + b"[]," * 340_000 + b"[]]")),
    ("JSON of objects", lambda: _with_body(b"[" + b'{"a":[1]},' * 100_000 + b"{}]")),
    ("JSON nested deeply", lambda: _with_body(b"[" * 1_000_000)),
    ("JSON of long integers", lambda: _with_body(b"[" + b"9" * 4300 + (b"," + b"9" * 4300) * 230
        + b"]")),
    ("JSON of escapes", lambda: _with_body(b'["' + b"\\ud83d\\ude00" * 85_000 + b'"]')),
    ("a text made for patterns", lambda: _with_body(b"ab" * 500_000)),
    ("450 cookies of a redirect", lambda: b"HTTP/1.1 302 Found\r\nLocation: /next\r\n" + b"".join(
        b"Set-Cookie: c%d=%d; Path=/\r\n" % (n, n) for n in range(450))
        + b"Content-Length: 0\r\n\r\n"),
    ("redirects without end", lambda: b"HTTP/1.1 302 Found\r\nLocation: /again\r\n"
        b"Content-Length: 0\r\n\r\n"),
    ("a location of 100 kB", lambda: b"HTTP/1.1 302 Found\r\nLocation: /" + b"a/../" * 20_000
        + b"\r\nContent-Length: 0\r\n\r\n"),
    ("bytes that are no Greek", lambda: _with_body(
        b"\xff" * 1_000_000, b"Content-Type: text/html; charset=iso-8859-7")),
    ("bytes that are no text", lambda: _with_body(b"\xff" * 1_000_000)),
):  # fmt: skip
    ZOO.append(Beast(_name, "http1", Says(cache(_body))))

# ---------------------------------------------------------------- HTTP/2

DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_HEADERS = 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame (RFC 9113 section 4.1)."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def block(fields: Iterable[tuple[str, str]]) -> bytes:
    """A compressed header that leaves the connection's table alone."""
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*pair) for pair in fields])


_START = frame(SETTINGS, 0, 0)
_HEAD = frame(HEADERS, END_HEADERS, 1, block([(":status", "200")]))
_INTERIM = frame(HEADERS, END_HEADERS, 1, block([(":status", "103")]))


async def _floods(first: bytes, piece: bytes, stream: Stream) -> None:
    received = b""
    while len(received) < 60:  # the preface, settings, and most of a request
        received += bytes(await stream.receive_some(65536)) or _ended()
    await stream.send_all(_START + first)
    for _ in range(_AGES):
        await stream.send_all(piece)


def _ended() -> bytes:
    raise trio.BrokenResourceError


_CONTINUED = frame(HEADERS, 0, 1, block([(":status", "200")]))
for _name, _first, _piece in (
    ("settings", b"", frame(SETTINGS, 0, 0) * 100),
    ("settings of 2,700 entries", b"", frame(SETTINGS, 0, 0, b"\0\3\0\0\0\x64" * 2700)),
    ("pings", b"", frame(PING, 0, 0, bytes(8)) * 100),
    ("pings one by one", b"", frame(PING, 0, 0, bytes(8))),
    ("windows", b"", frame(WINDOW, 0, 0, b"\0\0\0\1") * 100),
    ("priorities", b"", frame(PRIORITY, 0, 3, bytes(5)) * 100),
    ("resets of no stream", b"", frame(RESET, 0, 1, bytes(4)) * 100),
    ("unknown frames", b"", frame(0xFA, 0, 0, b"x") * 100),
    ("GOAWAY for later", b"", frame(GOAWAY, 0, 0, b"\x7f\xff\xff\xff" + bytes(4)) * 100),
    ("early hints", b"", _INTERIM * 100),
    ("continuations of nothing", _CONTINUED, frame(CONTINUATION, 0, 1) * 100),
    ("continuations of table sizes", _CONTINUED, frame(CONTINUATION, 0, 1, b"\x20" * 16_000)),
    ("a header that unfolds", b"", frame(HEADERS, 0, 1, b"\x88") + frame(CONTINUATION, 4, 1,
        b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000 + b"\xbe" * 12_000)),
    ("headers of 16 kB without end", _CONTINUED, frame(CONTINUATION, 0, 1,
        block([("x-a", "v" * 15_000)]))),
    ("pushes", b"", frame(PUSH, END_HEADERS, 1, b"\0\0\0\2" + block([(":method", "GET")])) * 50),
    ("data of nothing", _HEAD, frame(DATA, 0, 1) * 200),
    ("data of one byte", _HEAD, frame(DATA, 0, 1, b"x") * 200),
    ("data of padding", _HEAD, frame(DATA, 8, 1, b"\xff" + bytes(255)) * 50),
    ("data one by one", _HEAD, frame(DATA, 0, 1, b"x")),
    ("pings in the body", _HEAD, frame(PING, 0, 0, bytes(8)) * 100),
):  # fmt: skip
    ZOO.append(Beast(f"HTTP/2: {_name}", "http2", partial(_floods, _first, _piece)))

# ---------------------------------------------------------------- TLS, on the bare connection


@beast("tls")
async def silence_after_the_ClientHello(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def _spouts(first: bytes, piece: bytes, stream: trio.SocketStream) -> None:
    await stream.receive_some(65536)
    await stream.send_all(first)
    for _ in range(_AGES):
        await stream.send_all(piece)


for _name, _first, _piece in (
    ("garbage", b"", b"x" * 16_000),
    ("warnings", b"", record_layer.plain_alert(90, level=1) * 100),
    ("records of nothing", b"", b"\x16\x03\x03\0\0" * 200),
    ("cipher changes", b"", b"\x14\x03\x03\0\1\1" * 200),
    ("a handshake message of 16 MB", b"\x16\x03\x03\x40\0\x02\xff\xff\xff" + b"x" * 16_380,
        b"\x16\x03\x03\x40\0" + b"x" * 16_384),
    ("a record that drips", b"\x16\x03\x03\x40\0", b"x"),
):  # fmt: skip
    ZOO.append(Beast(f"TLS: {_name}", "tls", partial(_spouts, _first, _piece)))


@dataclass(frozen=True)
class Presents:
    """Does a handshake with a chain of its own making, and keeps silent."""

    chain: Callable[[Pki], Credential]

    async def __call__(self, pki: Pki, stream: trio.SocketStream) -> None:
        server = record_layer.Server(self.chain(pki))
        await _shaken(server, stream)
        await trio.sleep_forever()


async def _shaken(server: record_layer.Server, stream: trio.SocketStream) -> int:
    """Do a handshake; gives how many records left under the key that comes with its end."""
    while True:
        data = await stream.receive_some(65536)
        if not data:
            raise trio.BrokenResourceError
        flight = server.take(bytes(data))
        await stream.send_all(flight)
        if _done(server):
            return len(record_layer.records(flight))


def _done(server: record_layer.Server) -> bool:
    return server.tls.get_state_string() == b"SSL negotiation finished successfully"


def _leaf(pki: Pki, *more: x509.ExtensionType, names: Iterable[str] = ()) -> Credential:
    issuer = pki.issuer
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.certificate.subject)
        .public_key(pki.leaf_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(pki.now - timedelta(days=1))
        .not_valid_after(pki.now + timedelta(days=30))
    )
    alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in (NAME, *names)])
    for extension in (alternative, *more):
        builder = builder.add_extension(extension, critical=False)
    return Credential((builder.sign(issuer.key, hashes.SHA256()), issuer.certificate), pki.leaf_key)


def _many_issuers(pki: Pki) -> Credential:
    leaf = _leaf(pki)
    return replace(leaf, chain=(*leaf.chain, *[_again(pki.issuer, pki) for _ in range(90)]))


def _again(issuer: Authority, pki: Pki) -> x509.Certificate:
    """The issuer once more, by itself, with another serial number."""
    certificate = issuer.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.subject)
        .public_key(issuer.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(pki.now - timedelta(days=1))
        .not_valid_after(pki.now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return builder.sign(issuer.key, hashes.SHA256())


def _odd(number: int, size: int) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.4.{number}"), bytes(size))


_STAPLE = b"\x30\x83\x01\x38\x80" + bytes(80_000)
for _name, _chain in (
    ("1,000 names", lambda pki: _leaf(pki, names=(f"{n:x}.example" for n in range(1000)))),
    ("5,000 names", lambda pki: _leaf(pki, names=(f"{n:x}.example" for n in range(5000)))),
    ("an extension of 80 kB", lambda pki: _leaf(pki, _odd(1, 80_000))),
    ("1,500 extensions", lambda pki: _leaf(pki, *[_odd(n, 2) for n in range(1500)])),
    ("a chain of 92", _many_issuers),
    (
        "a staple of 80 kB",
        lambda pki: replace(_leaf(pki), ocsp=_STAPLE),
    ),
):
    ZOO.append(Beast(f"TLS: {_name}", "tls", Presents(_chain)))


@dataclass(frozen=True)
class Seals:
    """Does a handshake, reads a request, and sends these sealed messages without end."""

    kind: int
    content: bytes
    at_once: int = 50

    async def __call__(self, pki: Pki, stream: trio.SocketStream) -> None:
        server = record_layer.Server(_leaf(pki))
        sequence = itertools.count(await _shaken(server, stream))
        secret = server.secrets["SERVER_TRAFFIC_SECRET_0"]
        for _ in range(_AGES):
            await stream.send_all(b"".join(
                record_layer.seal(secret, next(sequence), self.kind, self.content)
                for _ in range(self.at_once)
            ))  # fmt: skip


@dataclass(frozen=True)
class UpdatesKeys:
    """Does a handshake, reads a request, and takes a new key for each record (RFC 8446, 4.6.3)."""

    asks: bool
    at_once: int = 50

    async def __call__(self, pki: Pki, stream: trio.SocketStream) -> None:
        server = record_layer.Server(_leaf(pki))
        sequence = await _shaken(server, stream)
        secret = server.secrets["SERVER_TRAFFIC_SECRET_0"]
        for _ in range(_AGES):
            sealed = []
            for _ in range(self.at_once):
                content = b"\x18\0\0\1" + bytes([self.asks])
                sealed.append(record_layer.seal(secret, sequence, record_layer.HANDSHAKE, content))
                secret, sequence = record_layer.updated(secret), 0
            await stream.send_all(b"".join(sealed))


for _name, _asks in (("key updates", False), ("key updates that ask for ours", True)):
    ZOO.append(Beast(f"after the handshake: {_name}", "sealed", UpdatesKeys(_asks)))

_TICKET = b"\x04\0\0\x15" + bytes(8) + b"\0" + b"\0\x08" + b"tickets!" + b"\0\0"
for _name, _kind, _content, _count in (
    ("session tickets", record_layer.HANDSHAKE, _TICKET, 50),
    ("session tickets one by one", record_layer.HANDSHAKE, _TICKET, 1),
    ("data records of nothing", record_layer.APPLICATION_DATA, b"", 50),
    ("data records of one byte", record_layer.APPLICATION_DATA, b"H", 50),
    ("certificate requests", record_layer.HANDSHAKE, b"\x0d\0\0\3\0\0\0", 50),
    ("a user who cancels", record_layer.ALERT, b"\1\x5a", 50),
):
    ZOO.append(Beast(f"after the handshake: {_name}", "sealed", Seals(_kind, _content, _count)))

# ---------------------------------------------------------------- STARTTLS


async def _greets(first: bytes, piece: bytes, stream: trio.SocketStream) -> None:
    await stream.send_all(first)
    for _ in range(_AGES):
        await stream.send_all(piece)


for _name, _first, _piece in (
    ("a greeting without end", b"220 ", b"x" * 4000),
    ("a greeting that drips", b"220 ", b"x"),
    ("a greeting of lines without end", b"", b"220-hello\r\n" * 50),
    ("lines of nothing", b"", b"\r\n" * 50),
):
    ZOO.append(Beast(f"STARTTLS: {_name}", "smtp", partial(_greets, _first, _piece)))

# ---------------------------------------------------------------- DNS


def _dns(name: str, respond: Callable[[Asked], Reply]) -> None:
    ZOO.append(Beast(f"DNS: {name}", "dns", respond))


def _wire(asked: Asked, records: bytes, count: int) -> bytes:
    """The question answered with these records, over TCP where they do not fit."""
    question = asked.message.question[0]
    asks = (question.name.to_wire() or b"") + struct.pack("!HH", question.rdtype, 1)
    cut = asked.transport == "udp" and len(records) > 1000
    flags, said = (0x8380, b"") if cut else (0x8180, records)
    head = struct.pack("!6H", asked.message.id, flags, 1, 0 if cut else count, 0, 0)
    return head + asks + said


_ADDRESS = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xc0\0\2"  # and one byte more
for _name, _records, _count in (
    ("a name that points at itself", b"\xc0\x1e\0\1\0\1\0\0\0\1\0\0", 1),
    ("1,000 addresses", b"".join(_ADDRESS + bytes([n % 256]) for n in range(1000)), 1000),
    ("4,000 records", (_ADDRESS + b"\1") * 4000, 4000),
    ("counts that are a lie", bytes(900), 65535),
    ("names of pointers", (_ADDRESS + b"\1") + b"".join(
        (0xC000 | 30 + 2 * n).to_bytes(2, "big") for n in range(400)), 900),
    ("garbage", b"\xff" * 900, 3),
):  # fmt: skip
    _dns(_name, partial(_wire, records=_records, count=_count))
_dns("an alias of itself", lambda asked: asked.answer(f"{asked.name} 1 CNAME {asked.name}."))
_dns("another question's answer", lambda asked: bytes(12))


# ---------------------------------------------------------------- one of them, running


@asynccontextmanager
async def running(one: Beast, ca: Ca) -> AsyncIterator[int]:
    """Run a hostile server until the block ends; gives its port on loopback."""
    if one.kind == "dns":
        async with dns_server(one.part) as dns:  # type: ignore[arg-type]
            yield dns.address.port
        return
    context: ssl.SSLContext | None = None
    if one.kind in {"http1", "http2"}:
        context = ca.context(NAME, alpn=("http/1.1",) if one.kind == "http1" else ("h2",))
    part = partial(one.part, ca.pki) if isinstance(one.part, Presents | Seals) else one.part

    if isinstance(one.part, Says):
        one.part.answer()  # not while the client waits for it

    async def handler(stream: Stream) -> None:
        with contextlib.suppress(ssl.SSLError):
            await part(stream)  # type: ignore[misc]

    async with serve(context, handler) as server:
        yield server.port
