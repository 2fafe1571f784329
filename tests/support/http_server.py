"""Small servers on loopback for the flow prober: TLS with a CA of the test's own.

A server runs one handler per connection; a handler is one short function that plays one part,
healthy or not. `Http` is the healthy part: routes, with every request kept for assertions.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h11
import trio
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from probe.lab.ca import Pki
from probe.model.target import Edge, Resolution

Stream = trio.SSLStream[trio.SocketStream]
Handler = Callable[[Stream], Awaitable[None]]
PEM = serialization.Encoding.PEM


class Ca:
    """A CA in a folder; server contexts for names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki = Pki(datetime.now(UTC))
        self.roots = folder / "roots.pem"
        self.roots.write_bytes(self.pki.roots_pem())
        self._number = 0

    def files(self, certificate: x509.Certificate) -> Path:
        """A PEM file with a leaf, its issuer and the key."""
        self._number += 1
        path = self.folder / f"leaf{self._number}.pem"
        key = self.pki.leaf_key.private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        issuer = self.pki.issuer.certificate.public_bytes(PEM)
        path.write_bytes(certificate.public_bytes(PEM) + issuer + key)
        return path

    def context(self, *names: str, alpn: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.files(self.pki.leaf(list(names))))
        context.set_alpn_protocols(list(alpn))
        return context


@dataclass
class Server:
    """A running server."""

    port: int
    connections: int = 0
    received: bytearray = field(default_factory=bytearray)


@asynccontextmanager
async def serve(context: ssl.SSLContext | None, handler: Handler) -> AsyncIterator[Server]:
    """Serve on a port of the OS's choice until the block ends."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = Server(listeners[0].socket.getsockname()[1])

    async def one(plain: trio.SocketStream) -> None:
        server.connections += 1
        stream: Any = plain
        if context is not None:
            stream = trio.SSLStream(plain, context, server_side=True, https_compatible=True)
        try:
            await handler(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client hung up, as it should with most of these
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, one, listeners)
        yield server
        nursery.cancel_scope.cancel()


@dataclass(frozen=True)
class Seen:
    """A request as a server got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What a route answers."""

    status: int = 200
    body: bytes | str | dict[str, Any] | list[Any] = b""
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False
    delay: float = 0.0


Route = Reply | Callable[[Seen], Reply]


class Http:
    """A healthy HTTP/1.1 server with routes; the rest answers 404."""

    def __init__(self, routes: dict[str, Route] | None = None) -> None:
        self.routes: dict[str, Route] = routes or {}
        self.seen: list[Seen] = []
        self._connections = 0

    def paths(self) -> list[str]:
        return [one.path for one in self.seen]

    async def __call__(self, stream: Stream) -> None:
        self._connections += 1
        number = self._connections
        machine = h11.Connection(h11.SERVER)
        while True:
            seen = await self._request(stream, machine, number)
            if seen is None:
                return
            self.seen.append(seen)
            reply = self._reply(seen)
            await trio.sleep(reply.delay)
            await self._answer(stream, machine, seen, reply)
            if reply.close or machine.our_state is h11.MUST_CLOSE:
                return
            machine.start_next_cycle()

    async def _request(self, stream: Stream, machine: h11.Connection, number: int) -> Seen | None:
        head: h11.Request | None = None
        body = b""
        while True:
            event = machine.next_event()
            if event is h11.NEED_DATA:
                machine.receive_data(bytes(await stream.receive_some(65536)))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                headers = {k.decode().lower(): v.decode() for k, v in head.headers}
                method, target = head.method.decode(), head.target.decode()
                return Seen(method, target, headers, body, number)
            else:
                return None

    def _reply(self, seen: Seen) -> Reply:
        route = self.routes.get(f"{seen.method} {seen.path}") or self.routes.get(seen.path)
        if route is None:
            return Reply(404, {"code": "not_found"})
        return route if isinstance(route, Reply) else route(seen)

    async def _answer(
        self, stream: Stream, machine: h11.Connection, seen: Seen, reply: Reply
    ) -> None:
        body = reply.body
        kind = "text/plain"
        if isinstance(body, (dict, list)):
            body, kind = json.dumps(body), "application/json"
        data = body.encode() if isinstance(body, str) else body
        headers = [("content-length", str(len(data))), ("content-type", kind), *reply.headers]
        if reply.close:
            headers.append(("connection", "close"))
        own = dict.fromkeys(name.lower() for name, _ in reply.headers)
        headers = [h for i, h in enumerate(headers) if i > 1 or h[0] not in own]
        out = machine.send(h11.Response(status_code=reply.status, headers=headers)) or b""
        if seen.method != "HEAD" and reply.status not in {204, 304}:
            out += machine.send(h11.Data(data=data)) or b""
        out += machine.send(h11.EndOfMessage()) or b""
        await stream.send_all(out)


def at(*ports: int) -> Callable[[str, int], Awaitable[Resolution]]:
    """Resolves every name to these ports of loopback."""
    edges = tuple(Edge("127.0.0.1", port, written=True) for port in ports)

    async def resolve(host: str, port: int) -> Resolution:
        return Resolution(edges)

    return resolve


def by_host(ports: dict[str, int]) -> Callable[[str, int], Awaitable[Resolution]]:
    """Resolves names to ports of loopback."""

    async def resolve(host: str, port: int) -> Resolution:
        return Resolution((Edge("127.0.0.1", ports[host], written=True),) if host in ports else ())

    return resolve
