"""Ports for programs that cannot be told to choose one themselves, and leave to connect to them.

A port that was free a moment ago may be taken when the program asks for it: by a test beside this
one, or by the kernel, for a connection or for a server that lets it choose. So ports come from
below the kernel's own range, and each process of tests reserves a block of them until it ends.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from probe.model.target import AddressRules

HERE: Final = AddressRules(allow=("127.0.0.0/8", "::1/128"))
"""Tests play all servers on the loopback, which is refused by default."""

_LOWEST: Final = 10_000
"""Below are the ports of services that may run here."""

_BLOCK: Final = 100
"""Ports a process; it gives each away again only after all others."""

_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


class NoPortsError(Exception):
    """Every block is reserved, or every port of ours is in use."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free now, for TCP and for UDP, and that nobody else is given."""
    return free_ports(1, host)[0]


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """So many ports, all different."""
    ours = _ours(os.getpid())
    return [_next(ours, host) for _ in range(count)]


def _next(ours: Iterator[int], host: str) -> int:
    for port in itertools.islice(ours, _BLOCK):
        if _free(host, port):
            return port
    raise NoPortsError(f"none of {_BLOCK} ports is free at {host}")


def _free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.socket(family) as tcp,
        socket.socket(family, socket.SOCK_DGRAM) as udp,
        contextlib.suppress(OSError),
    ):
        # As servers do: connections of one that has ended may still be in the kernel's table.
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((host, port))
        udp.bind((host, port))
        return True
    return False


@cache
def _ours(process: int) -> Iterator[int]:
    """The ports of this process, round and round; a child that was forked reserves its own."""
    end = int(_RANGE.read_text().split()[0])
    starts = range(_LOWEST, end - _BLOCK + 1, _BLOCK)
    for n in range(len(starts)):
        start = starts[(process + n) % len(starts)]
        if _reserved(start):
            return itertools.cycle(range(start, start + _BLOCK))
    raise NoPortsError(f"no block of ports is left from {_LOWEST} to {end}, see {_RANGE}")


def _reserved(start: int) -> bool:
    """Whether a block is ours now, by a name that the kernel frees with this process.

    Such names belong to a network namespace, as ports do.
    """
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0tests-ports-{start}")
    except OSError:
        held.close()
        return False
    held.detach()  # stays open until the process ends
    return True
