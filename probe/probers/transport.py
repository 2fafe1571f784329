"""Connect and handshake, shared by the TLS prober and the API prober.

Use, by either::

    deadline = trio.current_time() + timeout
    wire = await connect(edge, deadline=deadline)          # -> Wire (TCP; see wire.py)
    stream = await handshake(wire, context, server_name=sni("www.example"), deadline=deadline)
    ...judge stream.presented here, before the first byte of a request...
    await stream.send_all(b"…"); await stream.receive_some(65536); await stream.aclose()

Resource handling: the caller owns what it is given and closes it; both functions close what they
were working on when they fail or are cancelled. Error handling: everything the peer can do is
raised as `AttemptFailed`, classified. `TlsStream.phase` says what failures are filed under.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import trio
from OpenSSL import SSL

from probe.model.failure import Phase
from probe.probers.wire import Wire, connect

__all__ = ["Presented", "TlsStream", "Wire", "connect", "handshake", "sni"]


@dataclass(frozen=True, slots=True)
class Presented:
    """What a completed handshake showed, unjudged.

    Attributes:
        version: ``TLS 1.3``.
        cipher: OpenSSL's name.
        group: key exchange group in lower case as OpenSSL names it, or None.
        alpn: protocol chosen, or None.
        certificates: DER, in the order sent; leaf first.
        ocsp: the stapled OCSP response as sent (DER), or None.
    """

    version: str
    cipher: str
    group: str | None
    alpn: str | None
    certificates: tuple[bytes, ...]
    ocsp: bytes | None


class TlsStream:
    """TLS over a `Wire`; send_all, receive_some and aclose as in trio's streams.

    Attributes:
        wire: below; its ``arrived``, ``clock`` and ``lag`` time the last read.
        presented: facts of the handshake.
        seconds: what network and server took from ClientHello to the server's last flight.
    """

    wire: Wire
    presented: Presented
    seconds: float

    @property
    def phase(self) -> Phase:
        """What failures are filed under; starts as ``tls``, the owner sets it as it goes."""
        return self.wire.phase

    @phase.setter
    def phase(self, phase: Phase) -> None:
        self.wire.phase = phase

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write everything. Raises AttemptFailed."""
        raise NotImplementedError

    async def receive_some(self, max_bytes: int = 65536) -> bytes:
        """Wait for data; empty at the end, with or without close_notify.

        Raises AttemptFailed, also for an alert that arrives late (TLS 1.3 servers ask for a
        client certificate only after the handshake, so the refusal shows here).
        """
        raise NotImplementedError

    def close(self) -> None:
        """Say close_notify if the socket takes it at once, and close."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close, with a checkpoint."""
        self.close()
        await trio.lowlevel.checkpoint()


def sni(name: str) -> bytes | None:
    """The server name to send: none for IP addresses (RFC 6066, section 3)."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.encode("ascii")
    return None


async def handshake(
    wire: Wire, context: SSL.Context, *, server_name: bytes | None, deadline: float
) -> TlsStream:
    """Do a full handshake; never a resumed one.

    Args:
        wire: connected; closed here when the handshake fails.
        context: from `contexts.Contexts.get`.
        server_name: from `sni`.
        deadline: trio time.

    Raises:
        AttemptFailed: phase ``tls``.
    """
    raise NotImplementedError
