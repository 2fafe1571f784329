"""A TLS server that answers a ClientHello after an exact delay, and notes the delay it kept.

The answer is computed while it waits, so that only the write is left to do at the moment due.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from functools import partial
from pathlib import Path
from typing import TextIO

import trio

from probe.connection import tcp


async def main(port: int, chain: str, key: str, delay: float, notes: TextIO) -> None:
    """Serve until killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.load_cert_chain(chain, key)
    names: dict[ssl.SSLObject, str] = {}

    def named(tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        names[tls] = name or ""

    context.sni_callback = named
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1", backlog=4096)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await trio.serve_listeners(partial(answer, context, names, delay, notes), listeners)


async def answer(
    context: ssl.SSLContext,
    names: dict[ssl.SSLObject, str],
    delay: float,
    notes: TextIO,
    stream: trio.SocketStream,
) -> None:
    """One connection."""
    sock = stream.socket
    stamped = socket.socket(fileno=socket.dup(sock.fileno()))
    with stream.socket, stamped:
        tcp.stamp_arrivals(stamped)
        stamped.setblocking(False)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        await trio.lowlevel.wait_readable(sock)
        data, ancillary, _, _ = stamped.recvmsg(65536, tcp.ANCILLARY_SPACE)
        arrived = trio.current_time() - (tcp.age_of(ancillary) or 0.0)
        incoming.write(data)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            flight = outgoing.read()
        await trio.sleep_until(arrived + delay)
        stamped.send(flight)
        kept = trio.current_time() - arrived
        notes.write(json.dumps([names.pop(tls, ""), kept]) + "\n")
        try:
            await stream.receive_some(65536)
        except trio.BrokenResourceError:
            return  # the client has what it wanted


if __name__ == "__main__":
    _, _port, _chain, _key, _delay, _noted = sys.argv
    with Path(_noted).open("w", buffering=1) as _notes:
        trio.run(main, int(_port), _chain, _key, float(_delay), _notes)
