"""The dialogues before TLS: each protocol's good path, refusals, nonsense and deadlines."""

from __future__ import annotations

from contextlib import closing

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.connection import failures
from probe.connection.failures import AttemptFailed
from probe.connection.starttls import upgrade
from probe.connection.tcp import connect
from probe.connection.timeline import Timeline
from probe.model.failure import Failure, Phase, Reason
from probe.model.tls import Starttls
from tests.support.ports import HERE
from tests.support.tls_server import Script, start

LDAP_OK = bytes.fromhex("300c02010178070a010004000400")
LDAP_OK_LONG_FORM = bytes.fromhex("308400000010020101788400000007 0a010004000400".replace(" ", ""))
LDAP_UNAVAILABLE = bytes.fromhex("300c02010178070a013404000400")

# What the server says first, then after each thing the client says.
Dialogue = list[tuple[bytes, bytes]]
GOOD: dict[Starttls, Dialogue] = {
    "smtp": [
        (b"", b"220-mail.example\r\n220 ready\r\n"),
        (b"EHLO [127.0.0.1]\r\n", b"250-mail.example\r\n250-SIZE\r\n250 STARTTLS\r\n"),
        (b"STARTTLS\r\n", b"220 go ahead\r\n"),
    ],
    "imap": [
        (b"", b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"),
        (b"a1 STARTTLS\r\n", b"* CAPABILITY x\r\na1 OK begin\r\n"),
    ],
    "pop3": [(b"", b"+OK ready\r\n"), (b"STLS\r\n", b"+OK begin\r\n")],
    "ldap": [(b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037", LDAP_OK)],
    "postgres": [(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"S")],
}


def speaking(dialogue: Dialogue, *, pieces: bool = False, then: str = "wait") -> Script:
    async def script(stream: trio.SocketStream) -> None:
        for heard, answer in dialogue:
            received = b""
            while len(received) < len(heard):
                received += await stream.receive_some(1024)
            assert received == heard
            for at in range(0, len(answer), 1 if pieces else len(answer)):
                await stream.send_all(answer[at : at + 1] if pieces else answer)
        if then == "wait":
            await trio.sleep_forever()

    return script


async def attempt(
    nursery: trio.Nursery, script: Script, protocol: Starttls, timeout: float = 5.0
) -> float:
    edge = await start(nursery, script)
    with closing(await connect(edge, Timeline(trio.current_time()), HERE)) as wire:
        with trio.move_on_after(timeout):
            await upgrade(wire, protocol)
            return wire.timeline.starttls or 0.0
        raise AttemptFailed(failures.timed_out(wire.timeline, trio.current_time()))


async def failure_of(
    nursery: trio.Nursery, script: Script, protocol: Starttls, timeout: float = 5.0
) -> Failure:
    with pytest.raises(AttemptFailed) as caught:
        await attempt(nursery, script, protocol, timeout)
    failure = caught.value.failure
    assert failure.phase is Phase.STARTTLS
    return failure


@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize("protocol", GOOD)
async def test_go_ahead(protocol: Starttls, pieces: bool, nursery: trio.Nursery) -> None:
    seconds = await attempt(nursery, speaking(GOOD[protocol], pieces=pieces), protocol)
    assert seconds > 0


async def test_ldap_with_long_form_lengths(nursery: trio.Nursery) -> None:
    dialogue = [(GOOD["ldap"][0][0], LDAP_OK_LONG_FORM)]
    await attempt(nursery, speaking(dialogue), "ldap")


@pytest.mark.parametrize(
    ("protocol", "answers"),
    [
        ("smtp", [b"554 no\r\n"]),
        ("smtp", [b"220 x\r\n", b"502 no\r\n"]),
        ("smtp", [b"220 x\r\n", b"250-x\r\n250 SIZE\r\n"]),
        ("smtp", [b"220 x\r\n", b"250 STARTTLS\r\n", b"454 not now\r\n"]),
        ("imap", [b"* BYE busy\r\n"]),
        ("imap", [b"* PREAUTH x\r\n"]),
        ("imap", [b"* OK x\r\n", b"a1 NO\r\n"]),
        ("imap", [b"* OK x\r\n", b"a1 BAD\r\n"]),
        ("pop3", [b"-ERR no\r\n"]),
        ("pop3", [b"+OK x\r\n", b"-ERR no\r\n"]),
        ("ldap", [LDAP_UNAVAILABLE]),
        ("postgres", [b"N"]),
        ("postgres", [b"E"]),
    ],
)
async def test_refused(protocol: Starttls, answers: list[bytes], nursery: trio.Nursery) -> None:
    dialogue = [
        (heard, answer) for (heard, _), answer in zip(GOOD[protocol], answers, strict=False)
    ]
    failure = await failure_of(nursery, speaking(dialogue), protocol)
    assert failure.reason is Reason.STARTTLS_REFUSED


@pytest.mark.parametrize(
    ("protocol", "first"),
    [
        ("smtp", b"SSH-2.0-x\r\n"),
        ("smtp", b"220-and\r\n" * 200),
        ("imap", b"+OK pop\r\n"),
        ("pop3", b"* OK imap\r\n"),
        ("smtp", b"2" * 40000),
        ("imap", bytes(range(256)) + b"\n"),
    ],
)
async def test_another_protocol_or_nonsense(
    protocol: Starttls, first: bytes, nursery: trio.Nursery
) -> None:
    failure = await failure_of(nursery, speaking([(b"", first)]), protocol)
    assert failure.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400\r\n\r\n",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x03\x02\x01\x01",
        b"\x30\x05\x02\x01\x01\x61\x50",
    ],
)
async def test_ldap_nonsense(answer: bytes, nursery: trio.Nursery) -> None:
    script = speaking([(GOOD["ldap"][0][0], answer)])
    assert (await failure_of(nursery, script, "ldap")).reason is Reason.MALFORMED


@pytest.mark.parametrize("protocol", GOOD)
async def test_bytes_behind_the_go_ahead_are_refused(
    protocol: Starttls, nursery: trio.Nursery
) -> None:
    """They came in the clear and would be read as if they had come through TLS."""
    *before, (heard, answer) = GOOD[protocol]
    script = speaking([*before, (heard, answer + b"injected\r\n")])
    failure = await failure_of(nursery, script, protocol)
    assert failure.reason is Reason.MALFORMED
    assert "go-ahead" in failure.detail


@pytest.mark.parametrize("protocol", GOOD)
async def test_closed_in_the_middle(protocol: Starttls, nursery: trio.Nursery) -> None:
    script = speaking(GOOD[protocol][:-1], then="close")
    failure = await failure_of(nursery, script, protocol)
    assert failure.reason in (Reason.CLOSED, Reason.RESET)


@pytest.mark.parametrize("protocol", GOOD)
async def test_silence(protocol: Starttls, nursery: trio.Nursery) -> None:
    """A server that starts TLS at once waits for us as well."""
    failure = await failure_of(nursery, speaking([]), protocol, timeout=0.1)
    assert failure.reason is Reason.TIMEOUT


@settings(max_examples=60, deadline=None)
@given(noise=st.binary(min_size=1, max_size=300), protocol=st.sampled_from(sorted(GOOD)))
async def test_noise_is_always_a_reason_and_never_in_time_is_too_late(
    noise: bytes, protocol: Starttls
) -> None:
    async def script(stream: trio.SocketStream) -> None:
        await stream.send_all(noise)

    async with trio.open_nursery() as nursery:
        try:
            await attempt(nursery, script, protocol, timeout=2.0)
        except AttemptFailed as failed:
            reason: Reason | None = failed.failure.reason
        else:
            reason = None
        nursery.cancel_scope.cancel()
    assert reason is not Reason.UNKNOWN
