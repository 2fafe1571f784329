"""What OpenSSL can do and pyOpenSSL has no public call for, and OpenSSL's reasons in our words.

Groups, signatures, staples, chains and sessions have calls in the bindings that pyOpenSSL is built
on, but not among pyOpenSSL's own methods, or cost there several times what OpenSSL itself takes.
This module is the only one that reaches below pyOpenSSL. Tests hold that what is chosen here shows
in the ClientHello, and that what is read here is what pyOpenSSL reads. The buffers are shared, so
only one thread, the event loop's, may call what reads.

The reasons for giving up a handshake are one table.
The names are those of OpenSSL's ssl_err.c. Alerts carry a prefix that changed between versions
(``sslv3 alert …``, ``ssl/tls alert …``, ``tls alert …``, ``tlsv1 …``), so it is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

from probe.model.failure import Phase, Reason

_SIZE = 64 * 1024
_BUFFER = ffi.new("char[]", _SIZE)
_ENCODED = ffi.gc(lib.BIO_new(lib.BIO_s_mem()), lib.BIO_free)


def offer_groups(context: SSL.Context, groups: tuple[str, ...]) -> bool:
    """Offer these key exchange groups, in this order, and no other.

    Why one would choose: a ClientHello with the hybrid group X25519MLKEM768 fills more than one
    packet, and there are load balancers that wait for the rest of it for ever. Clients that
    cannot send it see another edge. And each key share costs the prober some 40 to 90 µs.

    Args:
        context: not used yet.
        groups: OpenSSL's names: ``X25519MLKEM768``, ``X25519``, ``P-256`` …

    Returns:
        false when this OpenSSL does not know one of them. The context is then as before.
    """
    return _chosen(lib.SSL_CTX_set1_curves_list(context._context, ":".join(groups).encode()))


def offer_signatures(context: SSL.Context, algorithms: tuple[str, ...]) -> bool:
    """Offer these signature algorithms, in this order, and no other (RFC 8446 section 4.2.3).

    Args:
        context: not used yet.
        algorithms: names of the RFC: ``ecdsa_secp256r1_sha256`` …

    Returns:
        false when this OpenSSL does not know one of them. The context is then as before.
    """
    return _chosen(lib.SSL_CTX_set1_sigalgs_list(context._context, ":".join(algorithms).encode()))


def offer_extensions(
    context: SSL.Context, empty: tuple[int, ...], *, later_certificate: bool
) -> None:
    """Offer what other clients offer, and pay no heed to what a server answers to it.

    Args:
        context: not used yet.
        empty: numbers of extensions without content; OpenSSL must not know them better.
        later_certificate: offer a client certificate after the handshake.
    """
    null = ffi.NULL
    for number in empty:
        lib.SSL_CTX_add_client_custom_ext(context._context, number, null, null, null, null, null)
    if later_certificate:
        lib.SSL_CTX_set_post_handshake_auth(context._context, 1)


def _chosen(result: int) -> bool:
    if result != 1:
        lib.ERR_clear_error()  # else the next call that looks finds it
    return result == 1


def advance(tls: SSL.Connection) -> bool:
    """Go on with a handshake as far as it goes, and tell whether it is complete.

    pyOpenSSL says "more bytes are wanted", as happens twice in each, by an exception.

    Raises:
        SSL.Error: the handshake failed.
    """
    result = lib.SSL_do_handshake(tls._ssl)
    if result != 1:
        _wants_more(tls, result)
    return bool(result == 1)


def read(tls: SSL.Connection, most: int) -> bytes | None:
    """Return at most so many bytes that were received; None when more must come in first.

    Raises:
        SSL.Error: the connection ended or broke.
    """
    result = lib.SSL_read(tls._ssl, _BUFFER, min(most, _SIZE))
    if result > 0:
        return bytes(ffi.buffer(_BUFFER, result))
    _wants_more(tls, result)
    return None


def _wants_more(tls: SSL.Connection, result: int) -> None:
    """Raise what pyOpenSSL raises for a call that failed, unless more bytes are all it wants."""
    if lib.SSL_get_error(tls._ssl, result) != lib.SSL_ERROR_WANT_READ:
        tls._raise_ssl_error(tls._ssl, result)


def incoming(tls: SSL.Connection, data: bytes) -> None:
    """Hand OpenSSL the bytes that came in."""
    if lib.BIO_write(tls._into_ssl, data, len(data)) != len(data):
        raise MemoryError


def outgoing(tls: SSL.Connection) -> bytes:
    """Take the bytes that OpenSSL wants on the wire; empty when there are none.

    pyOpenSSL allocates a buffer for each call, and says "none" by an exception.
    """
    return _taken(tls._from_ssl)


def presented_chain(tls: SSL.Connection) -> tuple[bytes, ...]:
    """Return the certificates that the server sent (DER), in the order sent.

    pyOpenSSL makes an object of each certificate and a buffer for each encoding.
    """
    stack = lib.SSL_get_peer_cert_chain(tls._ssl)
    if stack == ffi.NULL:
        return ()
    ders = []
    for at in range(lib.sk_X509_num(stack)):
        lib.i2d_X509_bio(_ENCODED, lib.sk_X509_value(stack, at))
        ders.append(_taken(_ENCODED))
    return tuple(ders)


def staple(tls: SSL.Connection) -> bytes | None:
    """Return the stapled OCSP answer (DER) of a handshake; None when nothing was stapled.

    pyOpenSSL hands it out in a callback only, which costs ten times as much.
    """
    answer = ffi.new("unsigned char **")
    size = lib.SSL_get_tlsext_status_ocsp_resp(tls._ssl, answer)
    return bytes(ffi.buffer(answer[0], size)) if size > 0 else None


def session(tls: SSL.Connection) -> bytes:
    """Return the session of a connection as OpenSSL writes it (DER), secrets included.

    pyOpenSSL hands out an object: OpenSSL marks it as used up when a handshake with it fails.
    """
    size = lib.i2d_SSL_SESSION(lib.SSL_get_session(tls._ssl), ffi.NULL)
    if size <= 0:
        return b""
    place = ffi.new("unsigned char[]", size)
    lib.i2d_SSL_SESSION(lib.SSL_get_session(tls._ssl), ffi.new("unsigned char **", place))
    return bytes(ffi.buffer(place, size))


def resume(tls: SSL.Connection, written: bytes) -> bool:
    """Offer a session in a handshake that has not begun; false when it cannot be read."""
    place = ffi.new("unsigned char[]", written)
    held = ffi.new("unsigned char **", place)
    found = lib.d2i_SSL_SESSION(ffi.NULL, held, len(written))
    if found == ffi.NULL:
        return _chosen(0)
    try:
        return _chosen(lib.SSL_set_session(tls._ssl, found))
    finally:
        lib.SSL_SESSION_free(found)


def resumed(tls: SSL.Connection) -> bool:
    """Whether the server took the session that was offered."""
    return bool(lib.SSL_session_reused(tls._ssl) == 1)


def _taken(bio: object) -> bytes:
    """Empty a memory BIO."""
    data, size = b"", _SIZE
    while size == _SIZE:  # a full buffer may not be all
        size = lib.BIO_read(bio, _BUFFER, _SIZE)
        if size > 0:
            data += ffi.buffer(_BUFFER, size)[:]
    return data


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
