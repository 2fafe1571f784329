"""From what a library or the kernel reports to a phase and a reason: one function per phase.

Judged by errno, by OpenSSL's reason codes (pyOpenSSL hands them out by name, see `tls_reasons`)
and by the first bytes received; never by free message text. `Reason.UNKNOWN` is what is left
when all of them say nothing, and counts as a defect of ours.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from probe.connection import openssl_reasons as tls_reasons
from probe.connection.looks import looks_like, speaks_tls
from probe.connection.timeline import Timeline
from probe.model.failure import Failure, Phase, Reason
from probe.model.target import Edge

_LOCAL = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.ENOSPC,  # more sockets to wait for than epoll(7) takes
        errno.EADDRNOTAVAIL,
        errno.EAGAIN,
    }
)
_NO_ROUTE = frozenset(
    {
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.EAFNOSUPPORT,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,  # IPv6 switched off: there is no address to send from
        errno.EACCES,  # a route of type prohibit
        errno.EPERM,  # this host's own packet filter
        errno.EINVAL,  # a route of type blackhole
    }
)
_CONNECT = {
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.ETIMEDOUT: Reason.TIMEOUT,
    errno.ECONNRESET: Reason.RESET,
    errno.ECONNABORTED: Reason.RESET,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.EHOSTDOWN: Reason.UNREACHABLE,
    errno.ENONET: Reason.UNREACHABLE,
    errno.ENOPROTOOPT: Reason.UNREACHABLE,  # ICMP protocol unreachable
    errno.EPROTO: Reason.UNREACHABLE,
    errno.EACCES: Reason.UNREACHABLE,  # ICMP administratively prohibited
}


def not_connected(error: OSError, edge: Edge, *, at_once: bool) -> Failure:
    """Classify a failed connect.

    Args:
        error: what the system call or SO_ERROR said.
        edge: where to.
        at_once: the system call itself refused, before any packet left: the fault is this
            host's (no route, no port, no descriptor). Afterwards the same errno comes from
            the network.
    """
    code = error.errno or 0
    detail = f"{edge.label}: {errno.errorcode.get(code, code)}"
    if at_once and code in _NO_ROUTE and (edge.version == 6 or code not in _LOCAL):
        return Failure(Phase.CONNECT, Reason.NO_ROUTE, f"{detail} from this host itself")
    if code in _LOCAL:
        return Failure(Phase.CONNECT, Reason.LOCAL_RESOURCE, detail)
    return Failure(Phase.CONNECT, _CONNECT.get(code, Reason.UNKNOWN), detail)


_BROKEN = {
    errno.ECONNRESET: Reason.RESET,
    errno.EPIPE: Reason.RESET,  # writing after the peer's RST was already reported
    errno.ECONNABORTED: Reason.RESET,
    errno.ECONNREFUSED: Reason.RESET,
    errno.ETIMEDOUT: Reason.TIMEOUT,  # the kernel gave up retransmitting
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENETDOWN: Reason.NO_ROUTE,
    errno.EBADF: Reason.DEFECT,  # closed by ourselves
    errno.ENOBUFS: Reason.LOCAL_RESOURCE,
    errno.ENOMEM: Reason.LOCAL_RESOURCE,
    errno.ENOSPC: Reason.LOCAL_RESOURCE,  # more sockets to wait for than epoll(7) takes
}


def broken(error: OSError, timeline: Timeline) -> Failure:
    """Classify a read or write that failed on an established connection."""
    code = error.errno or 0
    reason = _BROKEN.get(code, Reason.UNKNOWN)
    return _ended(timeline, reason, f"{errno.errorcode.get(code, code)} {timeline.moment}")


def closed(timeline: Timeline, *, politely: bool = False) -> Failure:
    """The peer ended the stream where more was due, perhaps with a close_notify alert."""
    how = "closed with close_notify" if politely else "closed"
    return _ended(timeline, Reason.CLOSED, f"{how} {timeline.moment}")


def timed_out(timeline: Timeline, now: float) -> Failure:
    """The deadline passed in the present phase."""
    if timeline.phase is Phase.CONNECT and timeline.edge is not None:
        detail = f"{timeline.edge.label}: no answer to our SYN"
        return Failure(Phase.CONNECT, Reason.TIMEOUT, detail)
    detail = f"no end in {now - timeline.entered:.1f} s"
    if timeline.phase is not Phase.RESOLVE:
        detail += f"; {timeline.moment}"
    return _ended(timeline, Reason.TIMEOUT, detail)


def too_large(timeline: Timeline) -> Failure:
    """The peer sent more than any honest handshake needs."""
    return _ended(
        timeline, Reason.HANDSHAKE_TOO_LARGE, f"{timeline.received} bytes and no end of it"
    )


def _ended(timeline: Timeline, reason: Reason, detail: str) -> Failure:
    """What the peer said before the end outweighs how the connection ended."""
    if timeline.phase is Phase.TLS and timeline.head:
        if not speaks_tls(timeline.head):
            return _no_tls(timeline.head)
        # An alert of level "warning" and then nothing: OpenSSL waits, the server meant it.
        alert = tls_reasons.plain_alert(timeline.head)
        said = None if alert is None else tls_reasons.of_alert(alert)
        if said is not None:
            return Failure(Phase.TLS, said, f"alert {alert}, then {detail}")
    return Failure(timeline.phase, reason, detail)


_NONE_SENT = frozenset({Reason.ALERT_HANDSHAKE_FAILURE, Reason.ALERT_BAD_CERTIFICATE})


def certificate_asked(failure: Failure, *, sent: bool) -> Failure:
    """The failure of a connection whose server had sent a CertificateRequest.

    TLS 1.2 has no alert of its own for a certificate that was not sent: servers say
    handshake_failure (RFC 5246 section 7.4.6) or bad_certificate.

    Args:
        failure: as it showed.
        sent: the client has a certificate and sent it.
    """
    reason = failure.reason
    if not sent and reason in _NONE_SENT:
        reason = Reason.ALERT_CERTIFICATE_REQUIRED
    answer = "ours was sent" if sent else "none was sent"
    detail = f"the server asked for a client certificate, {answer}: {failure.detail}"
    return Failure(failure.phase, reason, detail)


def _no_tls(head: bytes) -> Failure:
    text = looks_like(head)
    if text is None:
        return Failure(Phase.TLS, Reason.NOT_TLS, f"starts with bytes {head[:16].hex(' ')}")
    return Failure(Phase.TLS, Reason.PLAIN_TEXT, text)


def handshake_failed(errors: Sequence[tuple[str, str, str]], timeline: Timeline) -> Failure:
    """Classify a handshake that OpenSSL gave up.

    Args:
        errors: OpenSSL's error queue as pyOpenSSL raises it: library, function, reason.
        timeline: how far the attempt got; the first bytes decide whether it was TLS at all.
    """
    if timeline.phase is Phase.TLS and timeline.head and not speaks_tls(timeline.head):
        return _no_tls(timeline.head)
    alert = tls_reasons.plain_alert(timeline.head)
    if alert == tls_reasons.CLOSE_NOTIFY:
        return closed(timeline, politely=True)
    phase, reason = tls_reasons.judge(errors, alert)
    words = "; ".join(dict.fromkeys(reason or library for library, _, reason in errors))
    if reason is Reason.ALERT_OTHER and alert is not None:
        words = f"alert {alert}"
    if not words:
        words = "OpenSSL gave no reason"
    return Failure(phase, reason, f"{words}, {timeline.moment}")
