"""Connecting and shaking hands with servers that misbehave: reasons, deadlines, closed sockets."""

from __future__ import annotations

import gc
import itertools
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.serialization import Encoding

from probe.connection.failures import AttemptFailed
from probe.connection.tcp import Wire, connect
from probe.connection.timeline import Timeline
from probe.connection.tls import sni
from probe.lab import chains
from probe.lab.ca import Pki
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Clock
from probe.model.target import Edge
from probe.model.tls import ClientProfile, ProfileName
from tests.support.ports import HERE
from tests.support.record_layer import ALERT, HANDSHAKE, Server, records
from tests.support.tls_server import Script, Secure, reset, says, server_context, start, tls

from .conftest import NAME, Client


def open_sockets() -> int:
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += entry.readlink().name.startswith("socket:")
        except FileNotFoundError:
            continue  # the descriptor that listed the folder
    return count


@pytest.fixture(autouse=True)
def no_socket_is_left() -> Iterator[None]:
    gc.collect()
    before = open_sockets()
    yield
    assert open_sockets() <= before


# ---------------------------------------------------------------- connect


def unused_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


async def connect_failure(edge: Edge) -> Failure:
    with pytest.raises(AttemptFailed) as caught, trio.fail_after(30):
        await connect(edge, Timeline(trio.current_time()), HERE)
    return caught.value.failure


async def test_nobody_listens() -> None:
    failure = await connect_failure(Edge("127.0.0.1", unused_port()))
    assert (failure.phase, failure.reason) == (Phase.CONNECT, Reason.REFUSED)
    assert not failure.ours


async def test_no_route_to_that_family_is_ours() -> None:
    """Documentation prefixes are routed nowhere on a host without an IPv6 default route."""
    edge = Edge("2001:db8::1", 443)
    if _has_ipv6_route():
        with trio.move_on_after(0.2):  # nothing to be seen here: it is routed, and lost
            assert (await connect_failure(edge)).reason is Reason.UNREACHABLE
    else:
        failure = await connect_failure(edge)
        assert failure.reason is Reason.NO_ROUTE
        assert failure.ours


def _has_ipv6_route() -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(("2001:db8::1", 443)) == 0


async def test_out_of_file_descriptors_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_args: object, **_kwargs: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socket", none_left)
    failure = await connect_failure(Edge("127.0.0.1", 443))
    assert failure.reason is Reason.LOCAL_RESOURCE
    assert failure.ours


async def test_ipv6(client: Client, pki: Pki, tmp_path: Path, nursery: trio.Nursery) -> None:
    edge = await start(nursery, tls(server_context(tmp_path, pki.credential(NAME))), host="::1")
    (await client.stream(edge)).close()


# ---------------------------------------------------------------- the end of the connection


async def hang_up(_stream: trio.SocketStream) -> None:
    """Close at once."""


async def reset_at_once(stream: trio.SocketStream) -> None:
    reset(stream)


async def reset_after_hello(stream: trio.SocketStream) -> None:
    await stream.receive_some(65536)
    reset(stream)


def half_a_flight(pki: Pki, then: str) -> Script:
    async def script(stream: trio.SocketStream) -> None:
        flight = Server(pki.credential(NAME)).take(await stream.receive_some(65536))
        await stream.send_all(flight[: len(flight) // 2])
        if then == "reset":
            reset(stream)
        if then == "silence":
            await trio.sleep_forever()

    return script


async def test_closed_after_client_hello(client: Client, nursery: trio.Nursery) -> None:
    failure = await client.failure(await start(nursery, says(b"")))
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.CLOSED)
    assert "after ClientHello, before any byte" in failure.detail


async def test_closed_at_once(client: Client, nursery: trio.Nursery) -> None:
    failure = await client.failure(await start(nursery, hang_up))
    assert failure.phase is Phase.TLS
    assert failure.reason in (Reason.CLOSED, Reason.RESET)  # depends on who was faster


@pytest.mark.parametrize("script", [reset_at_once, reset_after_hello])
async def test_reset(script: Script, client: Client, nursery: trio.Nursery) -> None:
    failure = await client.failure(await start(nursery, script))
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.RESET)


@pytest.mark.parametrize(
    ("then", "reason"),
    [("close", Reason.CLOSED), ("reset", Reason.RESET), ("silence", Reason.TIMEOUT)],
)
async def test_mid_flight(
    then: str, reason: Reason, client: Client, pki: Pki, nursery: trio.Nursery
) -> None:
    failure = await client.failure(await start(nursery, half_a_flight(pki, then)), timeout=0.3)
    assert (failure.phase, failure.reason) == (Phase.TLS, reason)
    assert "mid-flight" in failure.detail


# ---------------------------------------------------------------- deadlines


async def accept_and_wait(_stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


def drip(pki: Pki) -> Script:
    async def script(stream: trio.SocketStream) -> None:
        flight = Server(pki.credential(NAME)).take(await stream.receive_some(65536))
        for byte in flight:
            await stream.send_all(bytes([byte]))
            await trio.sleep(0.01)

    return script


async def empty_records(stream: trio.SocketStream) -> None:
    await stream.receive_some(65536)
    while True:
        await stream.send_all(bytes([HANDSHAKE, 3, 3, 0, 0]) * 100)


async def warnings_without_end(stream: trio.SocketStream) -> None:
    await stream.receive_some(65536)
    while True:
        await stream.send_all(bytes([ALERT, 3, 3, 0, 2, 1, 112]) * 100)


async def hello_requests(stream: trio.SocketStream) -> None:
    """A client in a handshake ignores them (RFC 5246, section 7.4.1.1): all of them."""
    await stream.receive_some(65536)
    while True:
        await stream.send_all(bytes([HANDSHAKE, 3, 3, 0, 4, 0, 0, 0, 0]) * 100)


async def one_endless_message(stream: trio.SocketStream) -> None:
    """A handshake message that claims 16 MiB, in records of full size."""
    await stream.receive_some(65536)
    header = bytes([HANDSHAKE, 3, 3]) + (16384).to_bytes(2, "big")
    await stream.send_all(header + bytes([2]) + (2**24 - 1).to_bytes(3, "big") + bytes(16380))
    while True:
        await stream.send_all(header + bytes(16384))


async def test_silent_server(client: Client, nursery: trio.Nursery) -> None:
    failure = await client.failure(await start(nursery, accept_and_wait), timeout=0.2)
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.TIMEOUT)
    assert "after ClientHello, before any byte" in failure.detail


async def test_drip(client: Client, pki: Pki, nursery: trio.Nursery) -> None:
    edge = await start(nursery, drip(pki))
    with trio.fail_after(30):
        failure = await client.failure(edge, timeout=0.3)
    assert failure.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    "script", [empty_records, warnings_without_end, hello_requests, one_endless_message]
)
async def test_never_stops_sending(script: Script, client: Client, nursery: trio.Nursery) -> None:
    failure = await client.failure(await start(nursery, script), timeout=5.0)
    assert failure.phase is Phase.TLS
    assert failure.reason in (Reason.HANDSHAKE_INVALID, Reason.HANDSHAKE_TOO_LARGE)


async def test_absurd_chain(
    client: Client, pki: Pki, nursery: trio.Nursery, tmp_path: Path
) -> None:
    credential = chains.absurd_chain(pki, NAME)
    edge = await start(nursery, tls(server_context(tmp_path, credential)))
    failure = await client.failure(edge)
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.HANDSHAKE_TOO_LARGE)


async def test_cancelled_from_outside(client: Client, nursery: trio.Nursery) -> None:
    """The cancellation passes through; the fixture sees that the socket was closed."""
    edge = await start(nursery, accept_and_wait)
    with trio.move_on_after(0.1) as scope:
        await client.stream(edge)
    assert scope.cancelled_caught


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"220 mail.example ESMTP\r\n", "SMTP"),
        (b"220 files.example FTP server\r\n", "FTP"),
        (b"-ERR no\r\n", "POP3"),
        (b"* BYE busy\r\n", "IMAP"),
        (b"<html><body>no</body></html>", "HTML"),
        (b"no\n", "text"),
    ],
)
async def test_plain_text(answer: bytes, kind: str, client: Client, nursery: trio.Nursery) -> None:
    failure = await client.failure(await start(nursery, says(answer)))
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.PLAIN_TEXT)
    assert f"looks like {kind}" in failure.detail


async def test_banner_of_a_server_that_hangs_up_at_once(
    client: Client, nursery: trio.Nursery
) -> None:
    async def script(stream: trio.SocketStream) -> None:
        await stream.send_all(b"421 too many connections\r\n")

    failure = await client.failure(await start(nursery, script))
    assert failure.reason is Reason.PLAIN_TEXT


async def test_binary_garbage(client: Client, nursery: trio.Nursery) -> None:
    failure = await client.failure(await start(nursery, says(bytes(range(128, 200)))))
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.NOT_TLS)


def server_hello(version: tuple[int, int], cipher: tuple[int, int]) -> bytes:
    """A ServerHello of TLS 1.2 and below with nothing else in it."""
    body = bytes(version) + bytes(32) + b"\0" + bytes(cipher) + b"\0"
    message = bytes([2]) + len(body).to_bytes(3, "big") + body
    return bytes([HANDSHAKE, *version]) + len(message).to_bytes(2, "big") + message


@pytest.mark.parametrize("version", [(3, 0), (3, 1), (3, 2)])
async def test_server_answers_with_an_old_version(
    version: tuple[int, int], client: Client, nursery: trio.Nursery
) -> None:
    edge = await start(nursery, says(server_hello(version, (0xC0, 0x2F))))
    failure = await client.failure(edge)
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.PROTOCOL_REFUSED)


async def test_server_answers_with_a_newer_version_than_offered(
    client: Client, nursery: trio.Nursery
) -> None:
    edge = await start(nursery, says(server_hello((3, 3), (0xC0, 0x2F))))
    failure = await client.failure(edge, profile=ClientProfile(kind="tls13"))
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.PROTOCOL_REFUSED)


@pytest.mark.parametrize("cipher", [(0x00, 0x04), (0xC0, 0x99)])
async def test_server_chooses_a_cipher_that_was_not_offered(
    cipher: tuple[int, int], client: Client, nursery: trio.Nursery
) -> None:
    edge = await start(nursery, says(server_hello((3, 3), cipher)))
    failure = await client.failure(edge)
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.CIPHER_REFUSED)


@pytest.mark.parametrize("kind", ["tls13", "tls12-ecdsa"])
async def test_edge_does_not_hold_the_key_of_its_certificate(
    kind: ProfileName, client: Client, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    edge = await start(nursery, tls(server_context(tmp_path, chains.wrong_key(pki, NAME))))
    failure = await client.failure(edge, profile=ClientProfile(kind=kind))
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.BAD_SIGNATURE)


# ---------------------------------------------------------------- what a good handshake shows


async def test_facts(client: Client, pki: Pki, tmp_path: Path, nursery: trio.Nursery) -> None:
    credential = pki.credential(NAME)
    edge = await start(nursery, tls(server_context(tmp_path, credential)))
    stream = await client.stream(edge)
    presented = stream.presented
    stream.close()
    assert presented.version == "TLS 1.3"
    assert presented.cipher.startswith("TLS_AES_")
    assert presented.group in ("x25519", "X25519MLKEM768")
    assert presented.alpn is None
    assert presented.ocsp is None
    assert not presented.client_certificate_asked
    assert presented.certificates == tuple(
        one.public_bytes(Encoding.DER) for one in credential.chain
    )
    assert stream.wire.connect_seconds > 0
    assert (stream.wire.timeline.tls or 0.0) > 0
    if os.uname().sysname == "Linux":
        assert stream.wire.timeline.clock is Clock.KERNEL


async def test_each_attempt_has_its_own_name_and_a_full_handshake(
    client: Client, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """Peers kept the first target's name on the probe, or resumed sessions."""
    names: list[str | None] = []
    context = server_context(tmp_path, pki.credential(NAME))
    context.sni_callback = lambda _tls, name, _context: names.append(name)
    seen, sessions = trio.open_memory_channel[ssl.SSLObject](5)
    edge = await start(nursery, tls(context, seen))
    for name in ("one.example", "two.example", "127.0.0.1", "::1", "xn--bcher-kva.example"):
        stream = await client.stream(edge, name=name)
        await stream.flush()
        stream.close()
    assert names == ["one.example", "two.example", None, None, "xn--bcher-kva.example"]
    for _ in names:
        assert not (await sessions.receive()).session_reused


def test_server_names() -> None:
    assert sni("www.example") == b"www.example"
    assert sni("a.xn--p1acf1") == b"a.xn--p1acf1"
    assert [sni(ip) for ip in ("192.0.2.1", "2001:db8::a", "::1")] == [None] * 3


async def test_data_flows_both_ways_in_pieces(
    client: Client, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    context = server_context(tmp_path, pki.credential(NAME))
    sent = os.urandom(1_000_000)

    async def echo(stream: trio.SocketStream) -> None:
        secure = Secure(stream, context)
        received = bytearray()
        while len(received) < len(sent):
            received += await secure.receive()
        await secure.send(bytes(received))
        await secure.say_goodbye()

    stream = await client.stream(await start(nursery, echo))
    with closing(stream.wire):
        stream.wire.timeline.phase = Phase.SEND
        await stream.send_all(sent)
        stream.wire.timeline.phase = Phase.RECEIVE
        pieces = []
        while piece := await stream.receive_some(7000):
            pieces.append(piece)
    assert b"".join(pieces) == sent
    assert max(map(len, pieces)) <= 7000


async def test_reset_while_reading_is_filed_under_the_phase_of_the_owner(
    client: Client, pki: Pki, tmp_path: Path, nursery: trio.Nursery
) -> None:
    context = server_context(tmp_path, pki.credential(NAME))

    async def script(stream: trio.SocketStream) -> None:
        await Secure(stream, context).receive(10)
        reset(stream)

    stream = await client.stream(await start(nursery, script))
    with closing(stream.wire):
        await stream.send_all(b"hello")
        stream.wire.timeline.phase = Phase.WAIT
        with pytest.raises(AttemptFailed) as caught:
            await stream.receive_some()
    failure = caught.value.failure
    assert (failure.phase, failure.reason) == (Phase.WAIT, Reason.RESET)


# ---------------------------------------------------------------- our own mistakes


Use = Callable[[Wire], Awaitable[object]]
USES: dict[str, Use] = {
    "reading": lambda wire: wire.receive_some(),
    "writing": lambda wire: wire.send_all(b"x" * 50_000_000),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_closed_by_another_task_while_one_waits_is_our_defect_and_told_at_once(
    use: Use, nursery: trio.Nursery
) -> None:
    """Unless told, trio would let that task wait for whatever gets the socket's number next."""
    edge = await start(nursery, silent)
    wire = await connect(edge, Timeline(trio.current_time()), HERE)
    wire.timeline.enter(Phase.WAIT)
    nursery.start_soon(_close_soon, wire)
    with trio.fail_after(30), pytest.raises(AttemptFailed) as caught:
        await use(wire)
    failure = caught.value.failure
    assert (failure.phase, failure.reason, failure.ours) == (Phase.WAIT, Reason.DEFECT, True)
    with closing(
        await connect(edge, Timeline(trio.current_time()), HERE)
    ):  # takes the number of the closed one
        await trio.testing.wait_all_tasks_blocked()


async def silent(_stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def _close_soon(wire: Wire) -> None:
    await trio.testing.wait_all_tasks_blocked()
    wire.close()


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_used_after_it_was_closed_is_our_defect(use: Use, nursery: trio.Nursery) -> None:
    wire = await connect(await start(nursery, silent), Timeline(trio.current_time()), HERE)
    wire.close()
    assert wire.readable()
    with pytest.raises(AttemptFailed) as caught:
        await use(wire)
    assert caught.value.failure.reason is Reason.DEFECT


async def test_two_tasks_that_wait_for_one_connection_are_our_defect(
    nursery: trio.Nursery,
) -> None:
    with closing(
        await connect(await start(nursery, silent), Timeline(trio.current_time()), HERE)
    ) as wire:
        nursery.start_soon(wire.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(AttemptFailed) as caught:
            await wire.receive_some()
        assert caught.value.failure.reason is Reason.DEFECT
        nursery.cancel_scope.cancel()


def test_records_split() -> None:
    one, two = bytes([22, 3, 3, 0, 1, 9]), bytes([23, 3, 3, 0, 0])
    assert records(one + two) == [one, two]
    assert list(itertools.chain.from_iterable(records(b""))) == []
