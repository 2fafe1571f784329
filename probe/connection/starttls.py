"""The plain-text dialogue before TLS: smtp, imap, pop3, ldap, postgres.

Each dialogue is a few exchanges of bounded lines and ends when the server says go ahead. Bytes
behind the go-ahead would be read as if they had come through TLS; an honest server sends none
(the response injection of CVE-2011-0411 works that way), so they are refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from probe.connection import failures
from probe.connection.failures import AttemptFailed
from probe.connection.tcp import Wire
from probe.model.failure import Failure, Phase, Reason
from probe.model.tls import Starttls

_MOST_BYTES = 16 * 1024  # of the whole dialogue; RFC 5321 allows 512 a line
_MOST_LINES = 100
_MOST_READS = 200  # of the whole dialogue
_SHOWN = 80


async def upgrade(wire: Wire, protocol: Starttls) -> None:
    """Talk the server into TLS; the timeline keeps the seconds from connecting to the go-ahead.

    Args:
        wire: just connected; the caller closes it when the dialogue fails.
        protocol: what the server speaks.

    Raises:
        AttemptFailed: phase ``starttls``.
    """
    wire.timeline.enter(Phase.STARTTLS)
    talk = _Talk(wire)
    await _DIALOGUES[protocol](talk)
    talk.done()
    timeline = wire.timeline
    timeline.starttls = max(timeline.arrived - timeline.entered, 0.0)


class _Talk:
    """Reads bounded lines and byte counts from the wire."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._buffer = bytearray()
        self._budget = _MOST_BYTES
        self._reads = 0

    async def say(self, data: bytes) -> None:
        await self.wire.send_all(data)

    async def line(self) -> bytes:
        """Read one line, without its end."""
        while (end := self._buffer.find(b"\n")) < 0:
            await self._more()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.rstrip(b"\r")

    async def exactly(self, count: int) -> bytes:
        """Read this many bytes."""
        while len(self._buffer) < count:
            await self._more()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def _more(self) -> None:
        if self._budget <= 0 or self._reads >= _MOST_READS:
            said = _MOST_BYTES - self._budget
            raise malformed(f"{said} bytes in {self._reads} reads and no end of it")
        self._reads += 1
        data = await self.wire.receive_some(min(self._budget, 4096))
        if not data:
            raise AttemptFailed(failures.closed(self.wire.timeline))
        self._budget -= len(data)
        self._buffer += data

    def done(self) -> None:
        """Check that nothing followed the go-ahead, which our ClientHello must follow."""
        if self._buffer:
            raise malformed(f"sent more after the go-ahead: {_show(bytes(self._buffer))}")


def malformed(detail: str) -> AttemptFailed:
    """Make the failure of a server that does not speak the protocol."""
    return AttemptFailed(Failure(Phase.STARTTLS, Reason.MALFORMED, detail))


def refused(detail: str) -> AttemptFailed:
    """Make the failure of a server that understood and declined."""
    return AttemptFailed(Failure(Phase.STARTTLS, Reason.STARTTLS_REFUSED, detail))


def _show(line: bytes) -> str:
    return ascii(line[:_SHOWN].decode("ascii", "backslashreplace"))


# ---------------------------------------------------------------- smtp (RFC 5321, RFC 3207)


async def _smtp(talk: _Talk) -> None:
    code, lines = await _smtp_reply(talk)
    if code != b"220":
        raise refused(f"greeted with {_show(lines[-1])}")
    ip = talk.wire.local_ip
    literal = f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"
    await talk.say(f"EHLO {literal}\r\n".encode())
    code, lines = await _smtp_reply(talk)
    if code != b"250":
        raise refused(f"EHLO answered {_show(lines[-1])}")
    if not any(line[4:].strip().upper() == b"STARTTLS" for line in lines):
        raise refused("EHLO offers no STARTTLS")
    await talk.say(b"STARTTLS\r\n")
    code, lines = await _smtp_reply(talk)
    if code != b"220":
        raise refused(f"STARTTLS answered {_show(lines[-1])}")


async def _smtp_reply(talk: _Talk) -> tuple[bytes, list[bytes]]:
    """Read a reply of one or more lines: its code and its lines."""
    lines: list[bytes] = []
    while len(lines) < _MOST_LINES:
        line = await talk.line()
        lines.append(line)
        if not line[:3].isdigit() or line[3:4] not in (b"", b" ", b"-"):
            raise malformed(f"no SMTP reply: {_show(line)}")
        if line[3:4] != b"-":
            return line[:3], lines
    raise malformed(f"a reply of more than {_MOST_LINES} lines")


# ---------------------------------------------------------------- imap, pop3 (RFC 9051, RFC 2595)


async def _imap(talk: _Talk) -> None:
    greeting = await talk.line()
    if not greeting.startswith(b"* "):
        raise malformed(f"no IMAP greeting: {_show(greeting)}")
    if not greeting[2:].upper().startswith(b"OK"):
        raise refused(f"greeted with {_show(greeting)}")
    await talk.say(b"a1 STARTTLS\r\n")
    for _ in range(_MOST_LINES):
        line = await talk.line()
        if line.startswith(b"a1 "):
            if not line[3:].upper().startswith(b"OK"):
                raise refused(f"STARTTLS answered {_show(line)}")
            return
        if not line.startswith(b"* "):
            raise malformed(f"no IMAP response: {_show(line)}")
    raise malformed(f"more than {_MOST_LINES} untagged responses")


async def _pop3(talk: _Talk) -> None:
    for said, about in ((b"", "greeted with"), (b"STLS\r\n", "STLS answered")):
        if said:
            await talk.say(said)
        line = await talk.line()
        if line.startswith(b"-ERR"):
            raise refused(f"{about} {_show(line)}")
        if not line.startswith(b"+OK"):
            raise malformed(f"no POP3 reply: {_show(line)}")


# ---------------------------------------------------------------- ldap (RFC 4511, section 4.14)

_LDAP_START_TLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + b"1.3.6.1.4.1.1466.20037"
_SEQUENCE, _INTEGER, _ENUMERATED, _EXTENDED_RESPONSE = 0x30, 0x02, 0x0A, 0x78


async def _ldap(talk: _Talk) -> None:
    await talk.say(_LDAP_START_TLS)
    message = await _ldap_element(talk, _SEQUENCE)
    _, rest = _ber(message, _INTEGER)
    response, _ = _ber(rest, _EXTENDED_RESPONSE)
    code, _ = _ber(response, _ENUMERATED)
    number = int.from_bytes(code, "big")
    if number:
        raise refused(f"LDAP result code {number} (RFC 4511, appendix A)")


async def _ldap_element(talk: _Talk, tag: int) -> bytes:
    """Read one whole element off the wire and return its contents."""
    head = await talk.exactly(2)
    if head[0] != tag:
        raise malformed(f"no LDAP message: starts with {head.hex(' ')}")
    if head[1] < 0x80:
        return await talk.exactly(head[1])
    size = await talk.exactly(head[1] & 0x7F)
    length = int.from_bytes(size, "big")
    if length > _MOST_BYTES:
        raise malformed(f"an LDAP message of {length} bytes")
    return await talk.exactly(length)


def _ber(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Split one element off and return its contents and what follows."""
    if len(data) >= 2 and data[0] == tag:
        start, length = 2, data[1]
        if length >= 0x80:
            start = 2 + (length & 0x7F)
            length = int.from_bytes(data[2:start], "big")
        if start + length <= len(data):
            return data[start : start + length], data[start + length :]
    raise malformed(f"no LDAP extended response: {data[:16].hex(' ')}")


# ---------------------------------------------------------------- postgres (protocol 3.0, 55.7)

_SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


async def _postgres(talk: _Talk) -> None:
    await talk.say(_SSL_REQUEST)
    answer = await talk.exactly(1)
    if answer == b"N":
        raise refused("the server has TLS switched off")
    if answer == b"E":
        raise refused("the server answered with an error")
    if answer != b"S":
        raise malformed(f"neither S nor N: {_show(answer)}")


_DIALOGUES: Mapping[Starttls, Callable[[_Talk], Awaitable[None]]] = MappingProxyType(
    {"smtp": _smtp, "imap": _imap, "pop3": _pop3, "ldap": _ldap, "postgres": _postgres}
)
