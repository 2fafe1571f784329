"""Classification without sockets: errno tables, OpenSSL's names, hostile bytes."""

from __future__ import annotations

import contextlib
import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from probe.connection import failures, openssl
from probe.connection.contexts import TlsContexts
from probe.connection.failures import looks_like, speaks_tls
from probe.connection.timeline import Timeline
from probe.lab.ca import Pki
from probe.model.failure import Phase, Reason
from probe.model.target import Edge
from probe.model.tls import ClientProfile
from tests.support.record_layer import Server

from .conftest import NAME

V4, V6 = Edge("192.0.2.1", 443), Edge("2001:db8::1", 443)


@pytest.mark.parametrize(
    ("code", "edge", "at_once", "reason"),
    [
        # The system call itself refused: no packet left, nothing may be said of the target.
        (errno.ENETUNREACH, V6, True, Reason.NO_ROUTE),
        (errno.EADDRNOTAVAIL, V6, True, Reason.NO_ROUTE),
        (errno.EAFNOSUPPORT, V6, True, Reason.NO_ROUTE),
        (errno.ENETUNREACH, V4, True, Reason.NO_ROUTE),
        (errno.EHOSTUNREACH, V4, True, Reason.NO_ROUTE),
        (errno.EPERM, V4, True, Reason.NO_ROUTE),
        (errno.EADDRNOTAVAIL, V4, True, Reason.LOCAL_RESOURCE),
        (errno.EMFILE, V4, True, Reason.LOCAL_RESOURCE),
        (errno.EMFILE, V6, True, Reason.LOCAL_RESOURCE),
        (errno.ENFILE, V4, True, Reason.LOCAL_RESOURCE),
        (errno.ENOBUFS, V4, True, Reason.LOCAL_RESOURCE),
        (errno.ENOMEM, V4, False, Reason.LOCAL_RESOURCE),
        # The network answered.
        (errno.ECONNREFUSED, V4, False, Reason.REFUSED),
        (errno.ECONNREFUSED, V6, True, Reason.REFUSED),
        (errno.ETIMEDOUT, V4, False, Reason.TIMEOUT),
        (errno.ECONNRESET, V4, False, Reason.RESET),
        (errno.ENETUNREACH, V4, False, Reason.UNREACHABLE),
        (errno.EHOSTUNREACH, V6, False, Reason.UNREACHABLE),
        (errno.EACCES, V4, False, Reason.UNREACHABLE),
    ],
)
def test_connect(code: int, edge: Edge, at_once: bool, reason: Reason) -> None:
    failure = failures.not_connected(OSError(code, "x"), edge, at_once=at_once)
    assert (failure.phase, failure.reason) == (Phase.CONNECT, reason)
    assert edge.label in failure.detail
    assert errno.errorcode[code] in failure.detail


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ECONNRESET, Reason.RESET),
        (errno.EPIPE, Reason.RESET),
        (errno.ETIMEDOUT, Reason.TIMEOUT),
        (errno.EHOSTUNREACH, Reason.UNREACHABLE),
        (errno.ENETDOWN, Reason.NO_ROUTE),
        (errno.ENOBUFS, Reason.LOCAL_RESOURCE),
        (errno.EXDEV, Reason.UNKNOWN),
    ],
)
@pytest.mark.parametrize("phase", [Phase.STARTTLS, Phase.TLS, Phase.SEND, Phase.RECEIVE])
def test_broken_connection(code: int, reason: Reason, phase: Phase) -> None:
    failure = failures.broken(OSError(code, "x"), Timeline(0.0, phase, sent=10, received=20))
    assert (failure.phase, failure.reason) == (phase, reason)


def test_the_moment_is_told() -> None:
    moments = [
        Timeline(0.0, Phase.TLS).moment,
        Timeline(0.0, Phase.TLS, sent=500).moment,
        Timeline(0.0, Phase.TLS, sent=500, received=42).moment,
        Timeline(0.0, Phase.RECEIVE, sent=900, received=4242).moment,
    ]
    assert moments == [
        "after connect, before anything was sent",
        "after ClientHello, before any byte of an answer",
        "mid-flight, after 42 bytes received",
        "after 4242 bytes received",
    ]


@pytest.mark.parametrize("prefix", ["sslv3 alert", "ssl/tls alert", "tls alert", "tlsv1 alert"])
def test_alerts_are_known_under_the_names_of_every_openssl(prefix: str) -> None:
    """The same alert has been called differently from version to version."""
    errors = [("SSL routines", "", f"{prefix} handshake failure")]
    assert openssl.judge(errors, None) == (Phase.TLS, Reason.ALERT_HANDSHAKE_FAILURE)


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ([("SSL routines", "", "unsupported protocol")], (Phase.TLS, Reason.PROTOCOL_REFUSED)),
        ([("SSL routines", "", "wrong cipher returned")], (Phase.TLS, Reason.CIPHER_REFUSED)),
        (
            [("rsa routines", "", "invalid padding"), ("SSL routines", "", "bad signature")],
            (Phase.TLS, Reason.BAD_SIGNATURE),
        ),
        (
            [("asn1 encoding routines", "", "wrong tag"), ("SSL routines", "", "ASN1 lib")],
            (Phase.CERTIFICATE, Reason.UNPARSABLE),
        ),
        (
            [
                ("SSL routines", "", "ecc cert not for signing"),
                ("SSL routines", "", "bad ecc cert"),
            ],
            (Phase.CERTIFICATE, Reason.WRONG_KEY_USAGE),
        ),
        (
            [
                ("asn1 encoding routines", "", "too long"),
                ("SSL routines", "", "tlsv1 bad certificate status response"),
            ],
            (Phase.CERTIFICATE, Reason.OCSP_INVALID),
        ),
        ([("SSL routines", "", "excessive message size")], (Phase.TLS, Reason.HANDSHAKE_TOO_LARGE)),
        ([("SSL routines", "", "malloc failure")], (Phase.TLS, Reason.LOCAL_RESOURCE)),
        ([("SSL routines", "", "length mismatch")], (Phase.TLS, Reason.HANDSHAKE_INVALID)),
        ([("SSL routines", "", "")], (Phase.TLS, Reason.ALERT_OTHER)),
        ([], (Phase.TLS, Reason.UNKNOWN)),
    ],
)
def test_openssl(errors: list[tuple[str, str, str]], verdict: tuple[Phase, Reason]) -> None:
    assert openssl.judge(errors, None) == verdict


@given(st.binary(max_size=100))
def test_first_bytes_are_tls_or_described_or_binary(head: bytes) -> None:
    text = looks_like(head)
    assert text is None or text.isprintable()
    if speaks_tls(head):
        assert head[0] in (20, 21, 22, 23, 24)


def flight(server: Server, client: SSL.Connection) -> bytes:
    with contextlib.suppress(SSL.WantReadError):
        client.do_handshake()
    return server.take(client.bio_read(65536))


@pytest.fixture(scope="module", params=[SSL.TLS1_3_VERSION, SSL.TLS1_2_VERSION])
def version(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


# Drawn before the flight exists: its length differs from one handshake to the next.
@given(where=st.floats(0, 1), lost=st.integers(0, 8), put=st.binary(max_size=8))
def test_a_damaged_flight_is_never_unknown(
    version: int, pki: Pki, contexts: TlsContexts, where: float, lost: int, put: bytes
) -> None:
    """One changed, lost or inserted run of bytes: OpenSSL refuses, and the reason is found."""
    client = SSL.Connection(contexts.get(ClientProfile()))
    client.set_connect_state()
    good = flight(Server(pki.credential(NAME), version), client)
    at = int(where * (len(good) - 1))
    bad = good[:at] + put + good[at + lost :]
    client.bio_write(bad)
    errors = None
    try:
        client.do_handshake()
    except (SSL.WantReadError, SSL.ZeroReturnError):
        return
    except SSL.Error as error:
        errors = error.args[0]
    if errors is not None:
        failure = failures.handshake_failed(
            errors, Timeline(0.0, Phase.TLS, 1, len(bad), bad[:512])
        )
        assert failure.reason is not Reason.UNKNOWN, errors
        assert failure.phase in (Phase.TLS, Phase.CERTIFICATE)
