"""An HTTP/2 server on h2: healthy, or ill in one way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events

from .http_server import Reply, Stream

Misdeed = Callable[["Talk", int], None]
"""Does something to the connection once a request is complete."""


@dataclass
class Talk:
    """One connection."""

    machine: h2.connection.H2Connection
    raw: bytes = b""
    over: bool = False


@dataclass
class Http2:
    """Answers every path alike, or misbehaves when request ``at`` is complete."""

    reply: Reply = field(default_factory=Reply)
    misdeed: Misdeed | None = None
    at: int = 1
    seen: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, stream: Stream) -> None:
        config = h2.config.H2Configuration(client_side=False, validate_outbound_headers=False)
        talk = Talk(h2.connection.H2Connection(config))
        talk.machine.initiate_connection()
        await stream.send_all(talk.machine.data_to_send())
        body = b""
        while not talk.over:
            data = await stream.receive_some(65536)
            if not data:
                return
            for event in talk.machine.receive_data(bytes(data)):
                if isinstance(event, h2.events.RequestReceived):
                    self.seen.append({k.decode(): v.decode() for k, v in event.headers or ()})
                    body = b""
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data or b""
                    size = event.flow_controlled_length or 0
                    talk.machine.acknowledge_received_data(size, event.stream_id or 0)
                elif isinstance(event, h2.events.StreamEnded):
                    self.bodies.append(body)
                    self._answer(talk, event.stream_id or 0)
            await stream.send_all(talk.machine.data_to_send() + talk.raw)
            talk.raw = b""

    def _answer(self, talk: Talk, stream_id: int) -> None:
        if self.misdeed is not None and len(self.seen) >= self.at:
            self.misdeed(talk, stream_id)
            return
        data = self.reply.body
        data = json.dumps(data) if isinstance(data, (dict, list)) else data
        raw = data.encode() if isinstance(data, str) else data
        talk.machine.send_headers(
            stream_id, [(":status", str(self.reply.status)), *self.reply.headers]
        )
        talk.machine.send_data(stream_id, raw, end_stream=True)


def resets(talk: Talk, stream_id: int) -> None:
    talk.machine.reset_stream(stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)


def resets_in_the_body(talk: Talk, stream_id: int) -> None:
    talk.machine.send_headers(stream_id, [(":status", "200")])
    talk.machine.send_data(stream_id, b"half")
    talk.machine.reset_stream(stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)


def goes_away(talk: Talk, stream_id: int) -> None:
    talk.machine.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM, last_stream_id=0)
    talk.over = True


def goes_away_politely(talk: Talk, stream_id: int) -> None:
    """GOAWAY for what it has not looked at: such requests may be repeated elsewhere."""
    talk.machine.close_connection(last_stream_id=max(stream_id - 2, 0))
    talk.over = True


def talks_garbage(talk: Talk, stream_id: int) -> None:
    talk.raw = b"\0\0\x01" + b"\0" * 6 + b"x"  # DATA on stream 0 (RFC 9113 section 6.1)


def shuts(talk: Talk, stream_id: int) -> None:
    talk.over = True


def says_nothing(talk: Talk, stream_id: int) -> None:
    return None


def odd_status(talk: Talk, stream_id: int) -> None:
    talk.machine.send_headers(stream_id, [(":status", "fine")], end_stream=True)


def endless_body(talk: Talk, stream_id: int) -> None:
    talk.machine.send_headers(stream_id, [(":status", "200")])
    for _ in range(64):
        room = talk.machine.local_flow_control_window(stream_id)
        talk.machine.send_data(stream_id, b"x" * min(room, 16000))


def endless_headers(talk: Talk, stream_id: int) -> None:
    headers = [(":status", "200"), *((f"x-{n}", "y" * 1000) for n in range(200))]
    talk.machine.send_headers(stream_id, headers, end_stream=True)


def endless_pings(talk: Talk, stream_id: int) -> None:
    ping = b"\0\0\x08\x06\0\0\0\0\0" + b"12345678"
    talk.raw = ping * 40_000
