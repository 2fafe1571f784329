"""One TCP connection of one attempt: connect, send, receive, all classified and timed.

A plain non-blocking socket and trio's readiness calls: that is what trio's own socket does,
without its per-call checkpoints, which cost as much as the system calls themselves.

Resource handling: the caller of `connect` owns the `Wire` and closes it; `connect` itself
closes its socket when it fails or is cancelled. Error handling: everything the network can do
is raised as `AttemptFailed`. Deadlines are those of the cancel scope that all of this runs in;
reading and writing always wait for readiness first, so that a peer that never stops sending
cannot starve the deadline.

Times of the kernel (Linux): the application's clock, read after a wait, counts the time that this
process waited for its turn on the CPU as time that the server took. The kernel stamps each
received segment as it arrives (SO_TIMESTAMPNS, socket(7)) and measures the round trip of the SYN
itself (TCP_INFO, tcp(7)). A TCP socket hands out the stamp of the last segment that a ``recvmsg``
consumed. The stamps are CLOCK_REALTIME, so only *ages* are used: how long ago the segment arrived,
counted when it is read. An age cannot be trusted when the wall clock was set in between, so the
timeline bounds it by what is possible. Everywhere else than on 64-bit Linux, and wherever the
kernel gives no stamp, the application's clock serves.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio

from probe.connection import failures
from probe.connection.failures import AttemptFailed
from probe.connection.timeline import Timeline
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Clock
from probe.model.target import AddressRules, Edge
from probe.net.addresses import refusal

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

_READ = 65536
_NOT_OURS_ANY_MORE = (OSError, ValueError, trio.ClosedResourceError, trio.BusyResourceError)
"""What trio says of a socket that was closed, or whose number belongs to another by now."""


class Wire:
    """A connected TCP socket.

    Attributes:
        edge: where it is connected to.
        timeline: of the attempt that the connection serves now.
        connect_seconds: from SYN to SYN-ACK.
    """

    __slots__ = ("_opened", "_sock", "_waiting", "connect_seconds", "edge", "timeline")

    def __init__(self, sock: socket.socket, edge: Edge, timeline: Timeline) -> None:
        self._sock = sock
        self._waiting = 0  # tasks that wait for the socket
        self._opened = timeline.entered  # connecting began: nothing can have arrived before
        self.edge = edge
        self.timeline = timeline
        self.connect_seconds = trio.current_time() - self._opened
        round_trip = syn_round_trip(sock)
        if round_trip is not None and round_trip <= self.connect_seconds:
            self.connect_seconds = round_trip
            timeline.clock = Clock.KERNEL
        timeline.connect = self.connect_seconds

    def serve(self, timeline: Timeline) -> None:
        """Serve another attempt from now on."""
        timeline.edge, timeline.clock = self.edge, self.timeline.clock
        self.timeline = timeline

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write everything. Raises AttemptFailed."""
        view = memoryview(data)
        while view:
            try:
                count = self._sock.send(view)
            except BlockingIOError:
                await self._ready(trio.lowlevel.wait_writable)
                continue
            except OSError as error:
                raise AttemptFailed(failures.broken(error, self.timeline)) from error
            self.timeline.sent += count
            view = view[count:]

    async def receive_some(self, max_bytes: int = _READ) -> bytes:
        """Wait for bytes and read them; empty at the peer's end of stream.

        Raises AttemptFailed.
        """
        while True:
            await self._ready(trio.lowlevel.wait_readable)
            try:
                data, ancillary, _, _ = self._sock.recvmsg(max_bytes, ANCILLARY_SPACE)
            except BlockingIOError:
                continue
            except OSError as error:
                raise AttemptFailed(failures.broken(error, self.timeline)) from error
            break
        self.timeline.note(data, age_of(ancillary), self._opened)
        return data

    async def _ready(self, wait: Callable[[socket.socket], Awaitable[None]]) -> None:
        """Wait for the socket. If it is closed here meanwhile, that is a defect of ours.

        Raises AttemptFailed.
        """
        self._waiting += 1
        try:
            await wait(self._sock)
        except _NOT_OURS_ANY_MORE as error:
            fault = error if isinstance(error, OSError) else OSError(errno.EBADF, "closed here")
            raise AttemptFailed(failures.broken(fault, self.timeline)) from error
        finally:
            self._waiting -= 1

    def readable(self) -> bool:
        """Tell, without waiting, whether there are bytes, the end or an error to read."""
        if self.closed:
            return True
        look = select.poll()
        look.register(self._sock, select.POLLIN)
        return bool(look.poll(0))

    def try_send(self, data: bytes) -> None:
        """Write what the socket takes at once. For a last message, which may be lost."""
        if data:
            try:
                self.timeline.sent += self._sock.send(data)
            except OSError:
                # A full buffer, or a peer that is gone.
                return

    def last_words(self) -> bytes:
        """Read what the peer had sent before it went, after a failed write; empty when nothing."""
        try:
            data = self._sock.recv(_READ)
        except OSError:
            return b""  # nothing was left to read: the failed write says it all
        if data:
            self.timeline.note(data, None, self._opened)
        return data

    @property
    def local_ip(self) -> str:
        """Return our own address on this connection."""
        ip: str = self._sock.getsockname()[0]
        return ip

    @property
    def closed(self) -> bool:
        """Tell whether `close` was called."""
        return self._sock.fileno() < 0

    def close(self) -> None:
        """Close at once; harmless when repeated.

        Trio forgets a socket with the last who waits for it. Only who still waits must be told:
        that task would wait for ever, or for another connection with the same number.
        """
        if self._waiting:
            trio.lowlevel.notify_closing(self._sock)
        self._sock.close()


async def connect(edge: Edge, timeline: Timeline, rules: AddressRules) -> Wire:
    """Open a TCP connection to an edge, an IPv4 or IPv6 address and port.

    The one place that decides whether an address may be connected to. No name is looked up after
    it, so no later answer of DNS can replace the address that was judged.

    Args:
        edge: where to.
        timeline: of the attempt; entered here.
        rules: hold for what the configuration itself does not write.

    Raises:
        AttemptFailed: phase ``connect``; inconclusive when this host is to blame.
    """
    timeline.edge, timeline.phase = edge, Phase.CONNECT
    refused = None if edge.written else refusal(edge.ip, rules)
    if refused is not None:
        raise AttemptFailed(Failure(Phase.CONNECT, Reason.ADDRESS_REFUSED, refused))
    try:
        sock = socket.socket(
            socket.AF_INET6 if edge.version == 6 else socket.AF_INET, socket.SOCK_STREAM
        )
    except OSError as error:
        raise AttemptFailed(failures.not_connected(error, edge, at_once=True)) from error
    try:
        sock.setblocking(False)
        # The handshake's second flight must not wait for a delayed acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stamp_arrivals(sock)
        timeline.enter(Phase.CONNECT)  # right before the system call, which is what is timed
        await _connected(sock, edge)
        return Wire(sock, edge, timeline)
    except BaseException:
        sock.close()
        raise


async def _connected(sock: socket.socket, edge: Edge) -> None:
    """Connect the socket. Raises AttemptFailed."""
    try:
        code = sock.connect_ex((edge.ip, edge.port))
    except OSError as error:  # an address that the family cannot hold
        raise AttemptFailed(failures.not_connected(error, edge, at_once=True)) from error
    at_once = code not in (0, errno.EINPROGRESS)
    if code == errno.EINPROGRESS:
        try:
            await trio.lowlevel.wait_writable(sock)
        except OSError as error:  # no room for another socket to wait for
            raise AttemptFailed(failures.not_connected(error, edge, at_once=True)) from error
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == errno.ECONNRESET:
            # While connecting, RST reads as ECONNREFUSED: this one came after the SYN-ACK and
            # before we looked. The next phase meets it, however quick we were.
            code = 0
    if code:
        refusal = OSError(code, errno.errorcode.get(code, str(code)))
        raise AttemptFailed(failures.not_connected(refusal, edge, at_once=at_once))


# ---------------------------------------------------------------- times of the kernel


@contextmanager
def kernel_stamps() -> Iterator[None]:
    """Keep the kernel stamping between attempts.

    The kernel patches its own code when the first socket asks for stamps, and back when the
    last one closes: on every attempt, if attempts do not overlap, at a cost of tens of
    microseconds each time. One idle socket that asks for the agent's whole life avoids that.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as idle:
        stamp_arrivals(idle)
        yield


def stamp_arrivals(sock: socket.socket) -> None:
    """Ask the kernel to stamp what this socket receives; quietly nothing where it cannot."""
    if _ENABLED:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        except OSError:
            # A sandbox that filters socket options: no stamp arrives, and the reader
            # of the ancillary data falls back to the application's clock.
            return


def age_of(ancillary: list[tuple[int, int, bytes]]) -> float | None:
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
