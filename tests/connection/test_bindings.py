"""What is read below pyOpenSSL is what pyOpenSSL reads, in either version of TLS."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from OpenSSL import SSL, crypto

from probe.connection import openssl
from probe.connection.contexts import TlsContexts, offer
from probe.lab.ca import Pki
from probe.model.secret import SecretRef
from probe.model.tls import ClientCertificate, ClientProfile
from tests.support.record_layer import Server

from .conftest import NAME

VERSIONS = [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION]


def client(contexts: TlsContexts) -> SSL.Connection:
    tls = SSL.Connection(contexts.get(ClientProfile()))
    tls.set_connect_state()
    tls.request_ocsp()
    step(tls)
    return tls


def step(tls: SSL.Connection) -> None:
    with contextlib.suppress(SSL.WantReadError):
        tls.do_handshake()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_chain_is_the_one_that_pyopenssl_reads(
    version: int, pki: Pki, contexts: TlsContexts
) -> None:
    tls = client(contexts)
    assert openssl.presented_chain(tls) == ()
    tls.bio_write(Server(pki.credential(NAME), version).take(tls.bio_read(65536)))
    step(tls)
    read = tls.get_peer_cert_chain() or []
    ders = [crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate) for certificate in read]
    assert len(ders) == 2
    assert openssl.presented_chain(tls) == tuple(ders)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("answer", [b"", bytes.fromhex("30030a0101")])  # malformedRequest
def test_the_staple_is_what_the_server_sent(
    version: int, answer: bytes, pki: Pki, contexts: TlsContexts
) -> None:
    tls = client(contexts)
    server = Server(replace(pki.credential(NAME), ocsp=answer), version)
    tls.bio_write(server.take(tls.bio_read(65536)))
    step(tls)
    assert openssl.staple(tls) == (answer or None)


def test_all_that_is_ready_is_taken_however_much(pki: Pki, contexts: TlsContexts) -> None:
    tls, server = client(contexts), Server(pki.credential(NAME))
    tls.bio_write(server.take(openssl.outgoing(tls)))
    step(tls)
    sent, body = openssl.outgoing(tls), b"x" * 300_000
    while body:
        body = body[tls.send(body) :]
    sent += openssl.outgoing(tls)
    assert len(sent) > 300_000
    assert openssl.outgoing(tls) == b""


def test_what_openssl_does_not_know_is_refused_and_leaves_nothing_behind() -> None:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    assert not openssl.offer_signatures(context, ("rsa_pkcs1_sha256", "no_such_algorithm"))
    assert not openssl.offer_groups(context, ("X25519", "NO-SUCH-GROUP"))
    assert openssl.offer_groups(context, ("X25519",))
    context.set_cipher_list(b"AES128-GCM-SHA256")  # raises if an error lay in OpenSSL's queue


def test_a_client_certificate_may_have_a_key_that_browsers_do_not_offer() -> None:
    reference = SecretRef("file", "client.pem")
    certified = ClientProfile(client_certificate=ClientCertificate(reference, reference))
    assert offer(ClientProfile()).signatures
    assert not offer(certified).signatures
