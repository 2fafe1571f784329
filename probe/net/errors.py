"""What the errno of a socket call says about a connection or a question: one table.

The same number has two meanings. When the system call itself refuses, no packet left and the
fault is this host's. Afterwards the number reports what the network or the peer answered.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from types import MappingProxyType

from probe.model.failure import Reason

_R = Reason
_REASONS: Mapping[int, tuple[Reason, Reason]] = MappingProxyType(
    {
        # errno: (the call itself refused, the network or the peer answered)
        errno.EMFILE: (_R.LOCAL_RESOURCE, _R.LOCAL_RESOURCE),
        errno.ENFILE: (_R.LOCAL_RESOURCE, _R.LOCAL_RESOURCE),
        errno.ENOBUFS: (_R.LOCAL_RESOURCE, _R.LOCAL_RESOURCE),
        errno.ENOMEM: (_R.LOCAL_RESOURCE, _R.LOCAL_RESOURCE),
        errno.ENOSPC: (_R.LOCAL_RESOURCE, _R.LOCAL_RESOURCE),  # more sockets than epoll(7) takes
        errno.EAGAIN: (_R.LOCAL_RESOURCE, _R.LOCAL_RESOURCE),
        # IPv6 is switched off, so there is no address to send from. IPv4: every port is in use.
        errno.EADDRNOTAVAIL: (_R.NO_ROUTE, _R.LOCAL_RESOURCE),
        errno.EAFNOSUPPORT: (_R.NO_ROUTE, _R.NO_ROUTE),
        errno.ENETDOWN: (_R.NO_ROUTE, _R.NO_ROUTE),
        errno.EPERM: (_R.NO_ROUTE, _R.NO_ROUTE),  # this host's own packet filter
        errno.EINVAL: (_R.NO_ROUTE, _R.UNKNOWN),  # a route of type blackhole
        # At once: a route of type prohibit. Later: ICMP administratively prohibited.
        errno.EACCES: (_R.NO_ROUTE, _R.UNREACHABLE),
        errno.ENETUNREACH: (_R.NO_ROUTE, _R.UNREACHABLE),
        errno.EHOSTUNREACH: (_R.NO_ROUTE, _R.UNREACHABLE),
        errno.EHOSTDOWN: (_R.UNREACHABLE, _R.UNREACHABLE),
        errno.ENONET: (_R.UNREACHABLE, _R.UNREACHABLE),
        errno.ENOPROTOOPT: (_R.UNREACHABLE, _R.UNREACHABLE),  # ICMP protocol unreachable
        errno.EPROTO: (_R.UNREACHABLE, _R.UNREACHABLE),
        errno.ECONNREFUSED: (_R.REFUSED, _R.REFUSED),
        errno.ETIMEDOUT: (_R.TIMEOUT, _R.TIMEOUT),  # the kernel gave up retransmitting
        errno.ECONNRESET: (_R.RESET, _R.RESET),
        errno.ECONNABORTED: (_R.RESET, _R.RESET),
        errno.EPIPE: (_R.RESET, _R.RESET),  # writing after the peer's RST was already reported
        errno.EBADF: (_R.DEFECT, _R.DEFECT),  # closed by ourselves
    }
)


def reason_of(code: int | None, *, at_once: bool) -> Reason:
    """Look up the reason for an errno; ``UNKNOWN`` for one that is not in the table.

    Args:
        code: the errno, or None where there is none.
        at_once: the system call itself refused, before any packet left.
    """
    if code is None:
        return Reason.UNKNOWN
    here, there = _REASONS.get(code, (Reason.UNKNOWN, Reason.UNKNOWN))
    return here if at_once else there


def name_of(code: int | None) -> str:
    """Return the name of an errno, ``ECONNREFUSED``, or its number where it has no name."""
    return errno.errorcode.get(code or 0, str(code or 0))
