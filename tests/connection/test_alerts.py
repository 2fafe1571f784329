"""Every alert has its own reason, whether it comes in the clear or encrypted."""

from __future__ import annotations

from contextlib import closing

import pytest
import trio

from probe.connection.failures import AttemptFailed
from probe.lab.ca import Pki
from probe.model.failure import Failure, Phase, Reason
from tests.support.record_layer import ALERT, Server, plain_alert, records, seal
from tests.support.tls_server import Script, reset, says, start

from .conftest import NAME, Client

# RFC 8446, section 6: AlertDescription, without close_notify.
NAMED = {
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
# Alerts of older versions (RFC 5246, RFC 6066), and numbers that nobody assigned.
# TLS 1.3 hides this one: it is no error (RFC 8446, section 6.1), OpenSSL reads on, and the end
# of the connection is what shows.
HIDDEN = 90
UNNAMED = (1, 21, 30, 41, 60, 99, 100, 111, 114, 121, 200, 255)


def expected(number: int) -> Reason:
    return Reason(f"alert_{NAMED[number]}") if number in NAMED else Reason.ALERT_OTHER


def test_the_model_has_a_reason_for_each_name() -> None:
    ours = {reason.value for reason in Reason if reason.value.startswith("alert_")}
    assert ours == {f"alert_{name}" for name in NAMED.values()} | {"alert_other"}


@pytest.mark.parametrize("number", [*NAMED, *UNNAMED])
async def test_in_the_clear_instead_of_a_server_hello(
    number: int, client: Client, nursery: trio.Nursery
) -> None:
    edge = await start(nursery, says(plain_alert(number)))
    failure = await client.failure(edge)
    assert (failure.phase, failure.reason) == (Phase.TLS, expected(number))
    if number not in NAMED:
        assert f"alert {number}" in failure.detail


@pytest.mark.parametrize("number", [40, 112, 120])
@pytest.mark.parametrize("then", ["close", "reset"])
async def test_as_a_warning_before_the_end_of_the_connection(
    number: int, then: str, client: Client, nursery: trio.Nursery
) -> None:
    """OpenSSL waits for more after a warning; the server meant it."""
    edge = await start(nursery, says(plain_alert(number, level=1), then=then))
    failure = await client.failure(edge)
    assert failure.reason is expected(number)


async def test_a_close_notify_is_a_closed_connection(client: Client, nursery: trio.Nursery) -> None:
    for level in (1, 2):
        edge = await start(nursery, says(plain_alert(0, level=level)))
        failure = await client.failure(edge)
        assert failure.reason is Reason.CLOSED
        assert "close_notify" in failure.detail


async def test_from_a_server_that_is_gone_before_our_hello(
    client: Client, nursery: trio.Nursery
) -> None:
    """Whether our ClientHello finds the reset or the alert first, the alert is the reason."""

    async def script(stream: trio.SocketStream) -> None:
        await stream.send_all(plain_alert(80))
        reset(stream)

    edge = await start(nursery, script)
    for _ in range(10):
        assert (await client.failure(edge)).reason is Reason.ALERT_INTERNAL_ERROR


def encrypted(pki: Pki, number: int, *, late: bool) -> Script:
    """A TLS 1.3 server that sends an alert under its keys.

    Right after the ServerHello under handshake keys, or ``late``, when the handshake is
    complete, under application keys.
    """

    async def script(stream: trio.SocketStream) -> None:
        server = Server(pki.credential(NAME))
        flight = server.take(await stream.receive_some(65536))
        alert = bytes([2, number])
        if not late:
            hello_and_ccs = b"".join(records(flight)[:2])
            secret = server.secrets["SERVER_HANDSHAKE_TRAFFIC_SECRET"]
            await stream.send_all(hello_and_ccs + seal(secret, 0, ALERT, alert))
            return
        await stream.send_all(flight)
        await stream.receive_some(65536)
        secret = server.secrets["SERVER_TRAFFIC_SECRET_0"]
        await stream.send_all(seal(secret, 0, ALERT, alert))

    return script


@pytest.mark.parametrize("number", sorted({*NAMED, *UNNAMED} - {HIDDEN}))
async def test_under_handshake_keys(
    number: int, client: Client, pki: Pki, nursery: trio.Nursery
) -> None:
    edge = await start(nursery, encrypted(pki, number, late=False))
    failure = await client.failure(edge)
    assert (failure.phase, failure.reason) == (Phase.TLS, expected(number))


@pytest.mark.parametrize("number", sorted({*NAMED, *UNNAMED} - {HIDDEN}))
async def test_after_the_handshake_at_the_first_read(
    number: int, client: Client, pki: Pki, nursery: trio.Nursery
) -> None:
    edge = await start(nursery, encrypted(pki, number, late=True))
    stream = await client.stream(edge)
    with closing(stream.wire), pytest.raises(AttemptFailed) as caught:
        await stream.receive_some()
    failure: Failure = caught.value.failure
    assert (failure.phase, failure.reason) == (Phase.TLS, expected(number))


async def test_that_was_there_before_we_wrote_to_a_peer_that_is_gone(
    client: Client, pki: Pki, nursery: trio.Nursery
) -> None:
    """The write fails with a reset; why it was reset lies unread in the socket."""
    gone = trio.Event()

    async def script(stream: trio.SocketStream) -> None:
        await encrypted(pki, 116, late=True)(stream)
        reset(stream)
        gone.set()

    stream = await client.stream(await start(nursery, script))
    with closing(stream.wire):
        await stream.flush()
        await gone.wait()
        with pytest.raises(AttemptFailed) as caught:
            await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
    assert caught.value.failure.reason is Reason.ALERT_CERTIFICATE_REQUIRED
