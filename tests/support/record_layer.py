"""TLS 1.3 records made by hand, so that a server can say what no library would say."""

from __future__ import annotations

import contextlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from OpenSSL import SSL

from probe.lab.ca import Credential

ALERT, HANDSHAKE, APPLICATION_DATA = 21, 22, 23


def plain_alert(number: int, level: int = 2) -> bytes:
    return bytes([ALERT, 3, 3, 0, 2, level, number])


def _expand(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446, section 7.1) with an empty context, for SHA-256."""
    full = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(full)]) + full + b"\0"
    return HKDFExpand(hashes.SHA256(), length, info).derive(secret)


def updated(secret: bytes) -> bytes:
    """Give the secret that follows a KeyUpdate (RFC 8446, section 7.2)."""
    return _expand(secret, b"traffic upd", 32)


def seal(secret: bytes, sequence: int, kind: int, content: bytes) -> bytes:
    """Encrypt one record under a traffic secret (RFC 8446, section 5.2), AES-128-GCM."""
    key, iv = _expand(secret, b"key", 16), _expand(secret, b"iv", 12)
    nonce = bytes(a ^ b for a, b in zip(iv, sequence.to_bytes(12, "big"), strict=True))
    inner = content + bytes([kind])
    header = bytes([APPLICATION_DATA, 3, 3]) + (len(inner) + 16).to_bytes(2, "big")
    return header + AESGCM(key).encrypt(nonce, inner, header)


def records(flight: bytes) -> list[bytes]:
    """Split a flight into records."""
    found, at = [], 0
    while at < len(flight):
        end = at + 5 + int.from_bytes(flight[at + 3 : at + 5], "big")
        found.append(flight[at:end])
        at = end
    return found


class Server:
    """A TLS 1.3 server in memory whose traffic secrets are known."""

    def __init__(self, credential: Credential, version: int = SSL.TLS1_3_VERSION) -> None:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_max_proto_version(version)
        context.use_certificate(credential.chain[0])
        for issuer in credential.chain[1:]:
            context.add_extra_chain_cert(issuer)
        assert not isinstance(credential.key, bytes)
        context.use_privatekey(credential.key)
        context.set_tls13_ciphersuites(b"TLS_AES_128_GCM_SHA256")
        context.set_options(SSL.OP_NO_TICKET)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        staple = credential.ocsp or b""
        context.set_ocsp_server_callback(lambda _connection, _data: staple)
        context.set_keylog_callback(self._keep)
        self.secrets: dict[str, bytes] = {}
        self.tls = SSL.Connection(context)
        self.tls.set_accept_state()

    def _keep(self, _connection: SSL.Connection, line: bytes) -> None:
        label, _random, secret = line.decode().split()
        self.secrets[label] = bytes.fromhex(secret)

    def take(self, data: bytes) -> bytes:
        """Feed what the client sent; what the server answers."""
        self.tls.bio_write(data)
        with contextlib.suppress(SSL.WantReadError):
            self.tls.do_handshake()
        flight = b""
        with contextlib.suppress(SSL.WantReadError):
            while True:
                flight += self.tls.bio_read(65536)
        return flight
