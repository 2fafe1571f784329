"""Connect and handshake, shared by the TLS prober and the API prober.

Use::

    with trio.move_on_after(timeout):                      # all of it is bounded by the caller
        wire = await connect(edge, Timeline(trio.current_time()))
        stream = await handshake(wire, context, server_name=sni("www.example"))
        ...judge stream.presented here, before the first byte of a request...
        await stream.send_all(b"…"); await stream.receive_some(65536); await stream.aclose()

Resource handling: the caller owns what it is given and closes it; both functions close what they
were working on when they fail or are cancelled. Error handling: everything the peer can do is
raised as `AttemptFailed`, classified. The timeline says what failures are filed under.
"""

from __future__ import annotations

import ipaddress

from probe.connection.handshake import Incomplete, handshake
from probe.connection.presented import Presented, facts_of
from probe.connection.tcp import Wire, connect
from probe.connection.tls_stream import TlsStream

__all__ = [
    "Incomplete",
    "Presented",
    "TlsStream",
    "Wire",
    "connect",
    "facts_of",
    "handshake",
    "sni",
]


def sni(name: str) -> bytes | None:
    """The server name to send: none for IP addresses (RFC 6066, section 3)."""
    if name[-1:].isalpha() and ":" not in name:
        return name.encode("ascii")  # no address ends in a letter; this saves the exception
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.encode("ascii")
    return None
