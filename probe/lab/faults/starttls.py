"""Servers that speak in the clear before TLS, and what can go wrong with that.

A dialogue is a script: what must have been received, and what is said then. ``None`` is said at
once. References: smtp RFC 3207, imap and pop3 RFC 2595, ldap RFC 4511 section 4.14, postgres its
frontend/backend protocol, section 55.2.12.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from probe.lab.faults.kinds import Talk
from probe.lab.faults.wire import close, linger
from probe.model.tls import Starttls

Script = tuple[tuple[bytes | None, bytes], ...]

_START_TLS_OID = b"1.3.6.1.4.1.1466.20037"
_SSL_REQUEST = (80877103).to_bytes(4, "big")
_SMTP_GREETING = (None, b"220 mail.example ESMTP ready\r\n")

HEALTHY: Mapping[Starttls, Script] = MappingProxyType(
    {
        "smtp": (
            _SMTP_GREETING,
            (b"EHLO", b"250-mail.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n"),
            (b"STARTTLS", b"220 go ahead\r\n"),
        ),
        "imap": ((None, b"* OK ready\r\n"), (b"STARTTLS", b"a1 OK begin TLS now\r\n")),
        "pop3": ((None, b"+OK ready\r\n"), (b"STLS", b"+OK begin TLS now\r\n")),
        "ldap": ((_START_TLS_OID, bytes.fromhex("300c02010178070a010004000400")),),
        "postgres": ((_SSL_REQUEST, b"S"),),
    }
)
REFUSING: Mapping[Starttls, Script] = MappingProxyType(
    {
        "smtp": (_SMTP_GREETING, (b"EHLO", b"250-mail.example\r\n250 PIPELINING\r\n")),
        "imap": ((None, b"* OK ready\r\n"), (b"STARTTLS", b"a1 NO not here\r\n")),
        "pop3": ((None, b"+OK ready\r\n"), (b"STLS", b"-ERR not here\r\n")),
        "ldap": ((_START_TLS_OID, bytes.fromhex("300c02010178070a010204000400")),),
        "postgres": ((_SSL_REQUEST, b"N"),),
    }
)
GARBLED: Script = ((None, b"\x07\x07 what is this\r\n"),)
INJECTING: Script = (
    *HEALTHY["smtp"][:-1],
    (b"STARTTLS", b"220 go ahead\r\n250 said in the clear, read as if it were not\r\n"),
)


def following(script: Script) -> Callable[[Talk], Awaitable[bool]]:
    """Talks by the script; TLS follows."""

    async def talk_by_script(talk: Talk) -> bool:
        for cue, line in script:
            if cue is not None and not await _heard(talk, cue):
                return False
            await talk.stream.send_all(line)
        return True

    return talk_by_script


def ending(script: Script) -> Callable[[Talk], Awaitable[bool]]:
    """Talks by the script, and then not at all."""

    async def talk_and_linger(talk: Talk) -> bool:
        if await following(script)(talk):
            await linger(talk)
        return False

    return talk_and_linger


async def closing(talk: Talk) -> bool:
    """Greets and leaves."""
    await talk.stream.send_all(_SMTP_GREETING[1])
    await close(talk)
    return False


async def _heard(talk: Talk, cue: bytes) -> bool:
    """Wait until the cue was received; False when the client left first."""
    data = b""
    while cue not in data:
        more = await talk.stream.receive_some(4096)
        if not more:
            return False
        data += more
    return True
