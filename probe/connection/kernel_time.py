"""When the kernel saw what the application only noticed later (Linux).

Why: the application's clock, read after a wait, counts the time that this process waited for
its turn on the CPU as time that the server took. The kernel stamps each received segment as it
arrives (SO_TIMESTAMPNS, socket(7)) and measures the round trip of the SYN itself (TCP_INFO,
tcp(7)). Both are independent of how busy this process is.

A TCP socket hands out the stamp of the last segment that a ``recvmsg`` consumed. The stamps are
CLOCK_REALTIME, so only *ages* leave this module: how long ago the segment arrived, counted when
it is read. An age cannot be trusted when the wall clock was set in between; callers bound it by
what is possible and fall back to the application's clock.

Everywhere else than on 64-bit Linux, and wherever the kernel gives no stamp, the functions here
answer None and the application's clock serves.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

# asm-generic/socket.h; the same number on x86-64, arm64, riscv64, s390x and ppc64. Python
# names it only in some versions.
_SO_TIMESTAMPNS: int = getattr(socket, "SO_TIMESTAMPNS", 35)
_TIMESPEC = struct.Struct("@qq")
_ENABLED = sys.platform == "linux" and struct.calcsize("@l") == 8

ANCILLARY_SPACE: int = socket.CMSG_SPACE(_TIMESPEC.size) if _ENABLED else 0
"""Room for the stamp in ``recvmsg``'s ancillary buffer; 0 where there is none."""

# struct tcp_info, linux/tcp.h: tcpi_rtt (microseconds) and tcpi_total_retrans.
_TCP_INFO_SIZE = 104
_RTT = struct.Struct("@I")
_RTT_OFFSET = 68
_RETRANSMITS_OFFSET = 100


@contextmanager
def kept_on() -> Iterator[None]:
    """Keep the kernel stamping between attempts.

    The kernel patches its own code when the first socket asks for stamps, and back when the
    last one closes: on every attempt, if attempts do not overlap, at a cost of tens of
    microseconds each time. One idle socket that asks for the agent's whole life avoids that.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as idle:
        enable(idle)
        yield


def enable(sock: socket.socket) -> None:
    """Ask the kernel to stamp what this socket receives; quietly nothing where it cannot."""
    if _ENABLED:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        except OSError:
            # A sandbox that filters socket options: no stamp arrives, and the reader
            # of the ancillary data falls back to the application's clock.
            return


def age(ancillary: list[tuple[int, int, bytes]]) -> float | None:
    """Return the seconds since the last segment of a read arrived; None without a stamp."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            stamp: tuple[int, int] = _TIMESPEC.unpack(data)
            return (time.time_ns() - stamp[0] * 1_000_000_000 - stamp[1]) / 1e9
    return None


def syn_round_trip(sock: socket.socket) -> float | None:
    """Return the seconds from our SYN to the SYN-ACK, right after connecting.

    None where the kernel does not say, or when the SYN was sent more than once: its first
    sample then spans only the last SYN (RFC 6298, section 3), not the time that connecting took.
    """
    if not _ENABLED:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    except OSError:
        return None
    if len(info) < _TCP_INFO_SIZE or _RTT.unpack_from(info, _RETRANSMITS_OFFSET)[0]:
        return None
    rtt: int = _RTT.unpack_from(info, _RTT_OFFSET)[0]
    return rtt / 1e6 if rtt else None
