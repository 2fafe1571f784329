"""What OpenSSL can do and pyOpenSSL has no public call for: groups, signatures, staples, chains.

The calls are in the bindings that pyOpenSSL is built on, but not among pyOpenSSL's own methods,
or cost there several times what OpenSSL itself takes. This module is the only one that reaches
below pyOpenSSL. Tests hold that what is chosen here shows in the ClientHello, and that what is
read here is what pyOpenSSL reads. The buffers are shared, so only one thread, the event loop's,
may call what reads.
"""

from __future__ import annotations

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

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


def _taken(bio: object) -> bytes:
    """Empty a memory BIO."""
    data, size = b"", _SIZE
    while size == _SIZE:  # a full buffer may not be all
        size = lib.BIO_read(bio, _BUFFER, _SIZE)
        if size > 0:
            data += ffi.buffer(_BUFFER, size)[:]
    return data
