"""HTTP/2 (RFC 9113) for the lab's servers, by h2: one request after the other is enough here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import trio

from probe.lab.http import Exchange, Request, Responder, Response, full_headers, make_request
from probe.lab.terminator import TlsStream


@dataclass(slots=True)
class _Incoming:
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)

    def request(self) -> Request:
        own = {name: value for name, value in self.headers.items() if not name.startswith(":")}
        host = self.headers.get(":authority", own.get("host", ""))
        target, method = self.headers[":path"], self.headers[":method"]
        return make_request(method, target, host, own, bytes(self.body))


@dataclass(slots=True)
class _StreamFrames:
    """What a fault may do to one request."""

    server: Http2Server
    stream: int

    async def goaway(self) -> None:
        """Refuse the connection as an overloaded server does."""
        self.server.wire.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
        await self.server.flush()

    async def reset_stream(self) -> None:
        """Refuse this request."""
        self.server.wire.reset_stream(self.stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
        await self.server.flush()


class Http2Server:
    """One connection.

    Args:
        tls: a connection on which ALPN chose ``h2``.
        now: wall time in seconds, for the ``Date`` header.
    """

    def __init__(
        self, tls: TlsStream, edge: str, respond: Responder, now: Callable[[], float]
    ) -> None:
        self.wire = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        self._tls = tls
        self._edge = edge
        self._respond = respond
        self._now = now
        self._incoming: dict[int, _Incoming] = {}
        self._complete: list[int] = []
        self._open = True

    async def flush(self) -> None:
        """Send what the protocol machine has ready."""
        if data := self.wire.data_to_send():
            await self._tls.send_all(data)

    async def serve(self, first: bytes) -> None:
        """Answer until either side ends the connection; ``first`` has been received already."""
        self.wire.initiate_connection()
        more = await self._take_in(first)
        while more:
            while self._complete:
                try:
                    if not await self._answer(self._complete.pop(0)):
                        return
                except h2.exceptions.ProtocolError:
                    return  # the client reset the stream while it was being answered
            more = await self._feed()

    async def _feed(self) -> bool:
        """Take in what arrives; False when the connection is over."""
        try:
            data = await self._tls.receive_some()
        except trio.BrokenResourceError:
            return False
        return await self._take_in(data) if data else False

    async def _take_in(self, data: bytes) -> bool:
        try:
            events = self.wire.receive_data(data)
        except h2.exceptions.ProtocolError:
            await self.flush()  # h2 has queued the GOAWAY that says why
            return False
        for event in events:
            self._take(event)
        await self.flush()
        return self._open

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=int(stream), headers=headers):
                named = {_text(name): _text(value) for name, value in headers or ()}
                self._incoming[stream] = _Incoming(named)
            case h2.events.DataReceived(stream_id=int(stream), data=data):
                if stream in self._incoming and data is not None:
                    self._incoming[stream].body += data
                    self.wire.acknowledge_received_data(event.flow_controlled_length or 0, stream)
            case h2.events.StreamEnded(stream_id=int(stream)):
                self._complete.append(stream)
            case h2.events.StreamReset(stream_id=int(stream)):
                self._incoming.pop(stream, None)
            case h2.events.ConnectionTerminated():
                self._open = False
            case _:
                pass  # settings, pings and the like: h2 answers them itself

    async def _answer(self, stream: int) -> bool:
        incoming = self._incoming.pop(stream, None)
        if incoming is None:
            return True  # the client took its request back
        frames = _StreamFrames(self, stream)
        exchange = Exchange(incoming.request(), self._tls, self._edge, frames)
        response = await self._respond(exchange)
        if not isinstance(response, Response):
            return False
        headers = [(":status", str(response.status))]
        headers += [(name.lower(), value) for name, value in full_headers(response, self._now())]
        bare = incoming.headers[":method"] == "HEAD" or not response.body
        self.wire.send_headers(stream, headers, end_stream=bare)
        await self.flush()
        return bare or await self._send_body(stream, response.body)

    async def _send_body(self, stream: int, body: bytes) -> bool:
        rest = memoryview(body)
        while rest:
            window = self.wire.local_flow_control_window(stream)
            size = min(window, self.wire.max_outbound_frame_size, len(rest))
            if size <= 0:
                if not await self._feed():
                    return False
                continue
            self.wire.send_data(stream, bytes(rest[:size]), end_stream=size == len(rest))
            rest = rest[size:]
            await self.flush()
        return True


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")
