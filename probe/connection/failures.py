"""Why an attempt failed: the one exception of a prober, and one classifier per phase.

A phase that fails raises `AttemptFailed`; the prober's outermost function turns it into a
result, so that it never leaves a prober. The classifiers judge by errno (`probe.net.errors`),
by OpenSSL's reason codes (`openssl`) and by the first bytes received, never by free
message text. `Reason.UNKNOWN` is what is left when all of them say nothing. It counts as a
defect of ours.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from probe.connection import openssl
from probe.connection.timeline import Timeline
from probe.model.failure import Failure, Phase, Reason
from probe.model.target import Edge
from probe.net.errors import name_of, reason_of


class AttemptFailed(Exception):
    """A phase of an attempt failed; ``failure`` says which and why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


def not_connected(error: OSError, edge: Edge, *, at_once: bool) -> Failure:
    """Classify a failed connect.

    Args:
        error: what the system call or SO_ERROR said.
        edge: where to.
        at_once: the system call itself refused, before any packet left: the fault is this
            host's (no route, no port, no descriptor). Afterwards the same errno comes from
            the network.
    """
    code = error.errno
    reason = reason_of(code, at_once=at_once)
    if code == errno.EADDRNOTAVAIL and edge.version == 4:
        reason = Reason.LOCAL_RESOURCE  # every port is in use
    where = " from this host itself" if reason is Reason.NO_ROUTE else ""
    return Failure(Phase.CONNECT, reason, f"{edge.label}: {name_of(code)}{where}")


def broken(error: OSError, timeline: Timeline) -> Failure:
    """Classify a read or write that failed on an established connection."""
    reason = reason_of(error.errno, at_once=False)
    if reason is Reason.REFUSED:
        reason = Reason.RESET  # the connection was there
    return _ended(timeline, reason, f"{name_of(error.errno)} {timeline.moment}")


def closed(timeline: Timeline, *, politely: bool = False) -> Failure:
    """Classify a stream that the peer ended where more was due, perhaps with close_notify."""
    how = "closed with close_notify" if politely else "closed"
    return _ended(timeline, Reason.CLOSED, f"{how} {timeline.moment}")


def timed_out(timeline: Timeline, now: float) -> Failure:
    """Classify a deadline that passed in the present phase."""
    if timeline.phase is Phase.CONNECT and timeline.edge is not None:
        detail = f"{timeline.edge.label}: no answer to our SYN"
        return Failure(Phase.CONNECT, Reason.TIMEOUT, detail)
    detail = f"no end in {now - timeline.entered:.1f} s"
    if timeline.phase is not Phase.RESOLVE:
        detail += f"; {timeline.moment}"
    return _ended(timeline, Reason.TIMEOUT, detail)


def too_large(timeline: Timeline) -> Failure:
    """Classify a peer that sent more than any honest handshake needs."""
    detail = f"{timeline.received} bytes in {timeline.reads} reads and no end of it"
    if timeline.phase is Phase.TLS:
        return _ended(timeline, Reason.HANDSHAKE_TOO_LARGE, detail)
    return Failure(timeline.phase, Reason.TOO_LARGE, f"TLS messages without data: {detail}")


def _ended(timeline: Timeline, reason: Reason, detail: str) -> Failure:
    """Classify the end of a connection. What the peer said before it counts first."""
    if timeline.phase is Phase.TLS and timeline.head:
        if not speaks_tls(timeline.head):
            return _no_tls(timeline.head)
        # An alert of level "warning" and then nothing: OpenSSL waits, the server meant it.
        alert = openssl.plain_alert(timeline.head)
        said = None if alert is None else openssl.of_alert(alert)
        if said is not None:
            return Failure(Phase.TLS, said, f"alert {alert}, then {detail}")
    return Failure(timeline.phase, reason, detail)


_NONE_SENT = frozenset({Reason.ALERT_HANDSHAKE_FAILURE, Reason.ALERT_BAD_CERTIFICATE})


def certificate_asked(failure: Failure, *, sent: bool) -> Failure:
    """Say in a failure that the server had sent a CertificateRequest.

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
    alert = openssl.plain_alert(timeline.head)
    if alert == openssl.CLOSE_NOTIFY:
        return closed(timeline, politely=True)
    phase, reason = openssl.judge(errors, alert)
    words = "; ".join(dict.fromkeys(reason or library for library, _, reason in errors))
    if reason is Reason.ALERT_OTHER and alert is not None:
        words = f"alert {alert}"
    if not words:
        words = "OpenSSL gave no reason"
    return Failure(phase, reason, f"{words}, {timeline.moment}")


# ---------------------------------------------------------------- the first bytes

_RECORD_TYPES = frozenset({20, 21, 22, 23, 24})  # RFC 8446 section 5.1, RFC 6520
_BANNERS: tuple[tuple[bytes, str], ...] = (
    (b"HTTP/", "HTTP"),
    (b"SSH-", "SSH"),
    (b"+OK", "POP3"),
    (b"-ERR", "POP3"),
    (b"* OK", "IMAP"),
    (b"* BYE", "IMAP"),
    (b"RFB ", "VNC"),
    (b"<!DOCTYPE", "HTML"),
    (b"<html", "HTML"),
    (b"<?xml", "XML"),
    (b"@RSYNCD", "rsync"),
)
_SHOWN = 60


def speaks_tls(head: bytes) -> bool:
    """Tell whether bytes can be the start of a TLS record (type, then major version 3)."""
    if not head or head[0] not in _RECORD_TYPES:
        return False
    return len(head) == 1 or head[1] == 3


def looks_like(head: bytes) -> str | None:
    """Describe readable text with its first line; None when it is binary."""
    line = head.splitlines()[0] if head.strip() else head
    printable = sum(32 <= byte < 127 or byte in b"\r\n\t" for byte in head)
    if not head.strip() or printable < len(head) * 0.9:
        return None
    shown = line[:_SHOWN].decode("ascii", "replace").strip()
    return f"looks like {_kind(head)}: {shown!r}"


def _kind(head: bytes) -> str:
    for prefix, name in _BANNERS:
        if head.startswith(prefix):
            return name
    if head[:3].isdigit() and head[3:4] in (b" ", b"-"):
        word = head[4:].upper()
        return "FTP" if b"FTP" in word and b"SMTP" not in word else "SMTP or FTP"
    return "text"
