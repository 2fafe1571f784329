"""HTTP/2: one request at a time on one connection, by h2's public interface (RFC 9113)."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import trio
from h2.settings import SettingCodes, Settings

from probe.connection.failures import AttemptFailed
from probe.http.body import Incoming
from probe.http.channel import Channel, NotTaken
from probe.http.messages import Request, Response
from probe.http.url import parsed
from probe.model.failure import Failure, Reason

_SETTINGS = {
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.MAX_CONCURRENT_STREAMS: 100,
    SettingCodes.MAX_HEADER_LIST_SIZE: 65536,
}
_WINDOW = 2**24
"""Bytes that connection and stream may receive above the 64 KiB that they begin with."""

_DATA_COST, _OTHER_COST = 512, 2000
"""Bytes that each frame takes from an exchange's room beside those on the wire: one of a single
byte costs the agent 60 µs, far more than the server. A body may come in frames of half a kB."""

_WINDOWS = 4
"""Frames with which a server may answer each frame of a request's body: two windows, in parts."""

_MOST_BLOCK = 32 * 1024
"""Bytes of a compressed header. h2 decodes it at once; 120 KiB of changes to the size of its table
(RFC 7541 section 6.3), a byte each, took 0.14 s."""

_SLICE = 1024
"""Bytes handed to h2 at once: a few milliseconds even when it is all frames without content."""

_MANY = 16
"""Frames in a slice after which the next one is shorter."""

_TURN = 0.002
"""Seconds of parsing after which the event loop gets its turn."""

_DATA, _GOAWAY, _CONTINUATION = 0, 7, 9
_HEADER = 9  # bytes of a frame's header (RFC 9113 section 4.1)
_LONGEST = 16384  # bytes of a frame's payload, as we never allowed more (section 4.2)

_HOPS = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
"""Headers that have no place in HTTP/2 (section 8.2.2); curl leaves them out too."""


class Http2:
    """One connection that speaks HTTP/2.

    Attributes:
        reusable: whether another request may go over it.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.reusable = True
        # What we send is checked in `Request.encoded`, for HTTP/1.1 alike.
        config = h2.config.H2Configuration(validate_outbound_headers=False, header_encoding=None)
        self._h2 = h2.connection.H2Connection(config)
        self._h2.local_settings = Settings(client=True, initial_values=_SETTINGS)
        self._frames = _Frames()
        self._begun = False
        self._stream = 0  # of the present request
        self._unsent = memoryview(b"")  # of its body

    async def still_open(self) -> bool:
        """Whether a kept connection is open; what arrived on it meanwhile is taken in."""
        data = await self.channel.unasked() if self.reusable else None
        self.reusable = data is not None
        if data:
            try:
                self._taken(data)
            except AttemptFailed:
                self.reusable = False
        self.reusable = self.reusable and not self._frames.leaving
        return self.reusable

    async def exchange(self, request: Request, incoming: Incoming) -> None:
        """Send a request and read the response.

        Args:
            request: with every header but Content-Length; a Host of its own replaces the URL's.
            incoming: takes the response. Its body is whole or longer than its cap.

        Raises:
            AttemptFailed: anything that keeps the response from being whole.
            NotTaken: the request may be repeated on another connection, whatever it is.
        """
        self.channel.begin()
        self.reusable = False  # until the exchange has ended well
        if not self._begun:
            self._begun = True
            self._h2.initiate_connection()
            self._h2.increment_flow_control_window(_WINDOW)
        try:
            self._stream = self._h2.get_next_available_stream_id()
            self._h2.send_headers(self._stream, _fields(request), end_stream=not request.body)
            self._h2.increment_flow_control_window(_WINDOW, self._stream)
        except h2.exceptions.ProtocolError as error:
            raise self._failed(_words(error)) from error
        self._unsent = memoryview(request.body)
        while not (incoming.ended or incoming.too_long):
            await self._turn(incoming)
        self.reusable = incoming.ended and not self._unsent and not self._frames.leaving

    async def _turn(self, incoming: Incoming) -> None:
        """Send what may be sent, and take in what arrives. Raises AttemptFailed or NotTaken."""
        channel, frames = self.channel, self._frames
        unsent = await self._send()
        try:
            data = await channel.receive()
        except AttemptFailed as error:
            raise unsent or error from None
        if not data:
            raise unsent or (self._failed(frames.said) if frames.said else channel.closed())
        began = trio.current_time()
        start, size = 0, _SLICE
        while start < len(data):
            if trio.current_time() - began > _TURN:
                await trio.lowlevel.checkpoint()
                began = trio.current_time()
            count, others = frames.count, frames.others
            events = self._taken(data[start : start + size])
            count, others = frames.count - count, frames.others - others
            start, size = start + size, _SLICE if count <= _MANY else _SLICE // 8
            channel.charge(_DATA_COST * (count - others) + _OTHER_COST * others, others)
            for event in events:
                self._note(event, incoming)
        if frames.refuses(self._stream) and not incoming.ended:
            failed = self._failed(frames.said)
            if incoming.head is None:  # else it did look, whatever it says
                raise NotTaken(failed.failure)
            raise failed

    async def _send(self) -> AttemptFailed | None:
        """Write what may be written now. Why that failed: the server may have answered before."""
        try:
            while self._unsent:
                window = self._h2.local_flow_control_window(self._stream)
                size = min(window, self._h2.max_outbound_frame_size, len(self._unsent))
                if size <= 0:
                    break
                part, self._unsent = self._unsent[:size], self._unsent[size:]
                self._h2.send_data(self._stream, bytes(part), end_stream=not self._unsent)
                self.channel.allow(_WINDOWS * _OTHER_COST, _WINDOWS)
        except h2.exceptions.ProtocolError as error:
            return self._failed(_words(error))
        # Once the request is out, acknowledgements can wait while an answer lies there.
        sent = self.channel.timeline.written is not None
        if sent and self.channel.wire.readable():
            return None
        data = self._h2.data_to_send()
        if data:
            try:
                await self.channel.send(data, last=not self._unsent)
            except AttemptFailed as error:
                return error
        return None

    def _taken(self, data: bytes) -> list[h2.events.Event]:
        """What the server's bytes say. Raises AttemptFailed."""
        try:
            return self._h2.receive_data(self._frames.without_goaway(data))
        except h2.exceptions.DenialOfServiceError as error:
            raise self.channel.endless(f"HTTP/2 headers without end: {error}") from error
        except h2.exceptions.ProtocolError as error:
            raise self._failed(_words(error)) from error

    def _note(self, event: h2.events.Event, incoming: Incoming) -> None:
        """Take in one event. Raises AttemptFailed."""
        match event:
            case h2.events.ResponseReceived(stream_id=self._stream, headers=fields):
                incoming.head = self._head(fields)
                self.channel.answered()
                self.channel.headed(incoming.cap)
            case h2.events.InformationalResponseReceived(headers=fields):
                if (b":status", b"101") in fields:
                    raise self._failed("not HTTP/2: status 101 (section 8.6)")
            case h2.events.DataReceived(stream_id=self._stream, data=data):
                incoming.take(data)
                self._h2.acknowledge_received_data(event.flow_controlled_length, self._stream)
            case h2.events.StreamEnded(stream_id=self._stream):
                incoming.ended = True
            case h2.events.StreamReset(stream_id=self._stream) if not incoming.ended:
                failed = self._failed(f"RST_STREAM {_name(event.error_code)}")
                refused = event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
                if refused and incoming.head is None:
                    raise NotTaken(failed.failure)
                raise failed

    def _head(self, fields: list[tuple[bytes, bytes]]) -> Response:
        """Status and headers. Raises AttemptFailed."""
        headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in fields)
        status = dict(headers).get(":status", "")
        if not (len(status) == 3 and status.isascii() and status.isdecimal() and status >= "100"):
            raise self.channel.invalid(f"an HTTP/2 answer with the status {status[:20]!r}")
        rest = tuple(header for header in headers if not header[0].startswith(":"))
        return Response(int(status), rest, b"", "HTTP/2")

    def _failed(self, detail: str) -> AttemptFailed:
        return AttemptFailed(Failure(self.channel.timeline.phase, Reason.HTTP2_ERROR, detail))


class _Frames:
    """Cuts GOAWAY frames out of what the server sends, and judges them.

    h2 refuses all that follows a GOAWAY, and with it the answers to requests that the server
    says it will still give (RFC 9113 section 6.8).

    Attributes:
        count: frames that began.
        others: those of them that are not DATA.
        leaving: the server takes no further request on this connection.
        said: what it said, in words; empty before it did.
    """

    def __init__(self) -> None:
        self.count = self.others = 0
        self.leaving = False
        self.said = ""
        self._last = 0
        self._held = b""
        self._block = 0  # bytes of the present header
        self._passing = 0  # bytes of the present frame that are still to pass

    def refuses(self, stream: int) -> bool:
        """Whether the server said that it did not look at this request."""
        return self.leaving and stream > self._last

    def without_goaway(self, data: bytes) -> bytes:
        """What of the server's bytes is for h2.

        Raises h2's FrameTooLargeError and DenialOfServiceError.
        """
        data, self._held = self._held + data, b""
        passed = []
        at = 0
        while at < len(data):
            if not self._passing:
                if len(data) - at < _HEADER:
                    break
                length = int.from_bytes(data[at : at + 3], "big")
                if length > _LONGEST:
                    spoken = "HTTP/1" if data[at:].startswith(b"HTTP/1") else "a frame too large"
                    raise h2.exceptions.FrameTooLargeError(spoken)
                kind = data[at + 3]
                if kind == _GOAWAY and length >= 8:
                    if len(data) - at < _HEADER + length:
                        break
                    self.count, self.others = self.count + 1, self.others + 1
                    self._judge(data[at + _HEADER : at + _HEADER + length])
                    at += _HEADER + length
                    continue
                self.count, self.others = self.count + 1, self.others + (kind != _DATA)
                self._block = length + (self._block if kind == _CONTINUATION else 0)
                if self._block > _MOST_BLOCK and kind == _CONTINUATION:
                    raise h2.exceptions.DenialOfServiceError(f"more than {_MOST_BLOCK} bytes")
                self._passing = _HEADER + length
            part = data[at : at + self._passing]
            passed.append(part)
            self._passing -= len(part)
            at += len(part)
        self._held = data[at:]
        return b"".join(passed)

    def _judge(self, payload: bytes) -> None:
        self._last = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        code = int.from_bytes(payload[4:8], "big")
        self.leaving = True
        self.said = f"GOAWAY {_name(code)}"
        if payload[8:]:
            self.said += f" {payload[8:108].decode('ascii', 'backslashreplace')}"


def _fields(request: Request) -> list[tuple[bytes, bytes]]:
    """A request's pseudo-headers and headers (section 8.3.1).

    Raises:
        ValueError: one of them is none.
    """
    url = parsed(request.url)
    own = request.header("host")
    fields = [
        (b":method", request.method.encode()),
        (b":authority", url.netloc if own is None else own.encode()),
        (b":scheme", url.raw_scheme),
        (b":path", url.raw_path),
    ]
    rest = [(name.lower(), value) for name, value in request.encoded()]
    return fields + [pair for pair in rest if pair[0] not in _HOPS]


def _name(code: int) -> str:
    """The name of an error code (section 7), or its number."""
    try:
        return h2.errors.ErrorCodes(code).name
    except ValueError:
        return str(code)


def _words(error: h2.exceptions.ProtocolError) -> str:
    """What h2 says, without the value that it may quote."""
    return "not HTTP/2: " + str(error).partition(": b'")[0]
