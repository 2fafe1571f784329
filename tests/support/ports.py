"""Ports for programs that cannot be told to choose one themselves, and leave to connect to them."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

from probe.model.target import AddressRules

HERE: Final = AddressRules(allow=("127.0.0.0/8", "::1/128"))
"""Tests play all servers on the loopback, which is refused by default."""


def free_port() -> int:
    """A port of the loopback that is free now, for TCP and for UDP."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many ports. Another process may take one before the program that is told does."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            tcp = stack.enter_context(socket.socket())
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):  # taken for UDP: the next one
                udp.bind(("127.0.0.1", port))
                found.append(port)
    return found
