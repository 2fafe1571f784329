"""OpenSSL's reasons for giving up a handshake, in our words: one table.

The names are those of OpenSSL's ssl_err.c. Alerts carry a prefix that changed between versions
(``sslv3 alert …``, ``ssl/tls alert …``, ``tls alert …``, ``tlsv1 …``), so it is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence

from probe.model.failure import Phase, Reason

_ALERT_PREFIXES = ("ssl/tls ", "sslv3 ", "tlsv13 ", "tlsv1 ", "tls ")

# RFC 8446 section 6, RFC 6066, RFC 7301; by OpenSSL's name without prefix and "alert".
_ALERTS = {
    "unexpected message": Reason.ALERT_UNEXPECTED_MESSAGE,
    "bad record mac": Reason.ALERT_BAD_RECORD_MAC,
    "record overflow": Reason.ALERT_RECORD_OVERFLOW,
    "handshake failure": Reason.ALERT_HANDSHAKE_FAILURE,
    "bad certificate": Reason.ALERT_BAD_CERTIFICATE,
    "unsupported certificate": Reason.ALERT_UNSUPPORTED_CERTIFICATE,
    "certificate revoked": Reason.ALERT_CERTIFICATE_REVOKED,
    "certificate expired": Reason.ALERT_CERTIFICATE_EXPIRED,
    "certificate unknown": Reason.ALERT_CERTIFICATE_UNKNOWN,
    "illegal parameter": Reason.ALERT_ILLEGAL_PARAMETER,
    "unknown ca": Reason.ALERT_UNKNOWN_CA,
    "access denied": Reason.ALERT_ACCESS_DENIED,
    "decode error": Reason.ALERT_DECODE_ERROR,
    "decrypt error": Reason.ALERT_DECRYPT_ERROR,
    "protocol version": Reason.ALERT_PROTOCOL_VERSION,
    "insufficient security": Reason.ALERT_INSUFFICIENT_SECURITY,
    "internal error": Reason.ALERT_INTERNAL_ERROR,
    "inappropriate fallback": Reason.ALERT_INAPPROPRIATE_FALLBACK,
    "user cancelled": Reason.ALERT_USER_CANCELED,
    "missing extension": Reason.ALERT_MISSING_EXTENSION,
    "unsupported extension": Reason.ALERT_UNSUPPORTED_EXTENSION,
    "unrecognized name": Reason.ALERT_UNRECOGNIZED_NAME,
    "bad certificate status response": Reason.ALERT_BAD_CERTIFICATE_STATUS_RESPONSE,
    "unknown psk identity": Reason.ALERT_UNKNOWN_PSK_IDENTITY,
    "certificate required": Reason.ALERT_CERTIFICATE_REQUIRED,
    "no application protocol": Reason.ALERT_NO_APPLICATION_PROTOCOL,
}
# Alerts of older versions that RFC 8446 no longer names.
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
_RECORD_ALERT = 21
_ALERT_NUMBER_AT = 6


def judge(errors: Sequence[tuple[str, str, str]], head: bytes) -> tuple[Phase, Reason]:
    """Phase and reason for OpenSSL's error queue; ``head`` is the start of what was received."""
    names = [reason for _, _, reason in errors]
    for name in names:
        alert = _alert(name)
        if alert is not None:
            return Phase.TLS, alert
    for name in names:
        known = _OWN.get(name)
        if known is not None:
            return known
    libraries = [library for library, _, _ in errors]
    if any(library in _PARSERS for library in libraries):
        return Phase.CERTIFICATE, Reason.UNPARSABLE
    if "SSL routines" in libraries and not any(names):
        # An alert whose number has no name: its reason code has no string either.
        return Phase.TLS, Reason.ALERT_OTHER
    if "SSL routines" in libraries or plain_alert(head) is not None:
        return Phase.TLS, Reason.HANDSHAKE_INVALID
    return Phase.TLS, Reason.HANDSHAKE_INVALID if any(names) else Reason.UNKNOWN


def plain_alert(head: bytes) -> int | None:
    """The number of an unencrypted alert at the very start of the answer, if it is one."""
    if len(head) > _ALERT_NUMBER_AT and head[0] == _RECORD_ALERT:
        return head[_ALERT_NUMBER_AT]
    return None


def _alert(name: str) -> Reason | None:
    for prefix in _ALERT_PREFIXES:
        if name.startswith(prefix):
            bare = name.removeprefix(prefix).removeprefix("alert ")
            if bare in _RETIRED_ALERTS:
                return Reason.ALERT_OTHER
            return _ALERTS.get(bare)
    return None


_INVALID = (Phase.TLS, Reason.HANDSHAKE_INVALID)
_PROTOCOL = (Phase.TLS, Reason.PROTOCOL_REFUSED)
_CIPHER = (Phase.TLS, Reason.CIPHER_REFUSED)
_OWN: dict[str, tuple[Phase, Reason]] = {
    "unsupported protocol": _PROTOCOL,
    "wrong ssl version": _PROTOCOL,
    "version too low": _PROTOCOL,
    "version too high": _PROTOCOL,
    "unknown protocol": _PROTOCOL,
    "unknown ssl version": _PROTOCOL,
    "wrong version number": _PROTOCOL,  # a TLS record, of a version that nobody offered
    "unknown cipher returned": _CIPHER,
    "wrong cipher returned": _CIPHER,
    "no ciphers available": (Phase.TLS, Reason.LOCAL_RESOURCE),
    "bad signature": (Phase.TLS, Reason.BAD_SIGNATURE),
    "excessive message size": (Phase.TLS, Reason.HANDSHAKE_TOO_LARGE),
    "malloc failure": (Phase.TLS, Reason.LOCAL_RESOURCE),
}
_PARSERS = frozenset({"asn1 encoding routines", "x509 certificate routines"})
