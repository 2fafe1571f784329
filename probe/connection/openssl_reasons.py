"""OpenSSL's reasons for giving up a handshake, in our words: one table.

The names are those of OpenSSL's ssl_err.c. Alerts carry a prefix that changed between versions
(``sslv3 alert …``, ``ssl/tls alert …``, ``tls alert …``, ``tlsv1 …``), so it is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence

from probe.model.failure import Phase, Reason

_ALERT_PREFIXES = ("ssl/tls ", "sslv3 ", "tlsv13 ", "tlsv1 ", "tls ")

# RFC 8446 section 6, RFC 6066, RFC 7301: number, OpenSSL's name without prefix and "alert".
_ALERTS: tuple[tuple[int, str, Reason], ...] = (
    (10, "unexpected message", Reason.ALERT_UNEXPECTED_MESSAGE),
    (20, "bad record mac", Reason.ALERT_BAD_RECORD_MAC),
    (22, "record overflow", Reason.ALERT_RECORD_OVERFLOW),
    (40, "handshake failure", Reason.ALERT_HANDSHAKE_FAILURE),
    (42, "bad certificate", Reason.ALERT_BAD_CERTIFICATE),
    (43, "unsupported certificate", Reason.ALERT_UNSUPPORTED_CERTIFICATE),
    (44, "certificate revoked", Reason.ALERT_CERTIFICATE_REVOKED),
    (45, "certificate expired", Reason.ALERT_CERTIFICATE_EXPIRED),
    (46, "certificate unknown", Reason.ALERT_CERTIFICATE_UNKNOWN),
    (47, "illegal parameter", Reason.ALERT_ILLEGAL_PARAMETER),
    (48, "unknown ca", Reason.ALERT_UNKNOWN_CA),
    (49, "access denied", Reason.ALERT_ACCESS_DENIED),
    (50, "decode error", Reason.ALERT_DECODE_ERROR),
    (51, "decrypt error", Reason.ALERT_DECRYPT_ERROR),
    (70, "protocol version", Reason.ALERT_PROTOCOL_VERSION),
    (71, "insufficient security", Reason.ALERT_INSUFFICIENT_SECURITY),
    (80, "internal error", Reason.ALERT_INTERNAL_ERROR),
    (86, "inappropriate fallback", Reason.ALERT_INAPPROPRIATE_FALLBACK),
    (90, "user cancelled", Reason.ALERT_USER_CANCELED),
    (109, "missing extension", Reason.ALERT_MISSING_EXTENSION),
    (110, "unsupported extension", Reason.ALERT_UNSUPPORTED_EXTENSION),
    (112, "unrecognized name", Reason.ALERT_UNRECOGNIZED_NAME),
    (113, "bad certificate status response", Reason.ALERT_BAD_CERTIFICATE_STATUS_RESPONSE),
    (115, "unknown psk identity", Reason.ALERT_UNKNOWN_PSK_IDENTITY),
    (116, "certificate required", Reason.ALERT_CERTIFICATE_REQUIRED),
    (120, "no application protocol", Reason.ALERT_NO_APPLICATION_PROTOCOL),
)
_BY_NUMBER = {number: reason for number, _, reason in _ALERTS}
_BY_NAME = {name: reason for _, name, reason in _ALERTS}

CLOSE_NOTIFY = 0
ALERT_RECORD_SIZE = 7  # header, level, description (RFC 8446 sections 5.1 and 6)
_RECORD_ALERT = 21
_FATAL = 2


def judge(errors: Sequence[tuple[str, str, str]], alert: int | None) -> tuple[Phase, Reason]:
    """Find the phase and reason for OpenSSL's error queue.

    Args:
        errors: library, function, reason; the oldest first.
        alert: the number of an unencrypted alert that the answer began with, if it did.
    """
    if alert is not None:
        return Phase.TLS, of_alert(alert) or Reason.HANDSHAKE_INVALID
    names = [reason for _, _, reason in errors]
    libraries = {library for library, _, _ in errors}
    if _BAD_STAPLE in names and libraries & _PARSERS:
        # The same name stands for the server's alert; beside a parser's complaint it is our own.
        return Phase.CERTIFICATE, Reason.OCSP_INVALID
    for name in names:
        found = _named_alert(name)
        if found is not None:
            return Phase.TLS, found
    for name in names:
        known = _OWN.get(name)
        if known is not None:
            return known
    if libraries & _PARSERS:
        return Phase.CERTIFICATE, Reason.UNPARSABLE
    if _SSL in libraries and not any(names):
        # An alert whose number has no name: its reason code has no string either.
        return Phase.TLS, Reason.ALERT_OTHER
    return Phase.TLS, Reason.HANDSHAKE_INVALID if any(names) else Reason.UNKNOWN


def plain_alert(head: bytes) -> int | None:
    """Read the number of an unencrypted alert that the answer began, and ended, with.

    A warning counts only when nothing followed it: some servers send one for a name that they
    do not know, and go on with their default certificate.
    """
    if len(head) < ALERT_RECORD_SIZE or head[0] != _RECORD_ALERT or head[3:5] != b"\0\2":
        return None
    return head[6] if head[5] == _FATAL or len(head) == ALERT_RECORD_SIZE else None


def of_alert(number: int) -> Reason | None:
    """Look up the reason for an alert's number; None for close_notify, which gives none."""
    if number == CLOSE_NOTIFY:
        return None
    return _BY_NUMBER.get(number, Reason.ALERT_OTHER)


# Alerts of older versions and extensions that get no reason of their own.
_RETIRED_ALERTS = frozenset(
    {
        "no certificate",
        "decompression failure",
        "decryption failed",
        "export restriction",
        "no renegotiation",
        "certificate unobtainable",
        "bad certificate hash value",
        "ech required",
        "general error",
    }
)


def _named_alert(name: str) -> Reason | None:
    for prefix in _ALERT_PREFIXES:
        if name.startswith(prefix):
            bare = name.removeprefix(prefix).removeprefix("alert ")
            if bare in _RETIRED_ALERTS:
                return Reason.ALERT_OTHER
            return _BY_NAME.get(bare)
    return None


_PROTOCOL = (Phase.TLS, Reason.PROTOCOL_REFUSED)
_CIPHER = (Phase.TLS, Reason.CIPHER_REFUSED)
_OWN: dict[str, tuple[Phase, Reason]] = {
    "unsupported protocol": _PROTOCOL,
    "wrong ssl version": _PROTOCOL,
    "version too low": _PROTOCOL,
    "version too high": _PROTOCOL,
    "unknown protocol": _PROTOCOL,
    "unknown ssl version": _PROTOCOL,
    "unknown cipher returned": _CIPHER,
    "wrong cipher returned": _CIPHER,
    "no ciphers available": (Phase.TLS, Reason.LOCAL_RESOURCE),
    # Of the chosen groups none can be offered with the versions offered: nothing was sent yet.
    "no suitable groups": (Phase.TLS, Reason.LOCAL_RESOURCE),
    "bad signature": (Phase.TLS, Reason.BAD_SIGNATURE),
    "excessive message size": (Phase.TLS, Reason.HANDSHAKE_TOO_LARGE),
    # OpenSSL looks at the leaf's key and its usage before it verifies the handshake's signature.
    "ecc cert not for signing": (Phase.CERTIFICATE, Reason.WRONG_KEY_USAGE),
    "unable to find public key parameters": (Phase.CERTIFICATE, Reason.UNPARSABLE),
    "malloc failure": (Phase.TLS, Reason.LOCAL_RESOURCE),
}
_BAD_STAPLE = "tlsv1 bad certificate status response"
_SSL = "SSL routines"
_PARSERS = frozenset({"asn1 encoding routines", "x509 certificate routines"})
