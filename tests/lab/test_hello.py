from __future__ import annotations

from contextlib import suppress

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from probe.lab.hello import NotAHello, parse, read_hello


def real_hello(name: bytes | None = b"Store-001.Example") -> bytes:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    if name is not None:
        connection.set_tlsext_host_name(name)
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(65536)


HELLO = real_hello()


def test_the_name_of_a_real_hello_is_read() -> None:
    hello = parse(HELLO)
    assert hello is not None
    assert hello.server_name == "store-001.example"
    assert len(hello.session_id) == 32
    assert hello.raw == HELLO


def test_a_hello_without_sni_has_no_name() -> None:
    hello = parse(real_hello(None))
    assert hello is not None
    assert hello.server_name == ""


@given(st.integers(0, len(HELLO) - 1))
def test_a_part_of_a_hello_asks_for_more(size: int) -> None:
    assert parse(HELLO[:size]) is None


@given(st.integers(1, len(HELLO) - 6))
def test_a_hello_split_over_two_records_is_the_same_hello(at: int) -> None:
    body = HELLO[5:]
    records = b"".join(
        b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in (body[:at], body[at:])
    )
    hello = parse(records)
    assert hello is not None
    assert hello.server_name == "store-001.example"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_hello_or_the_start_of_one_or_refused(data: bytes) -> None:
    with suppress(NotAHello):
        hello = parse(data)
        assert hello is None or hello.raw == data


@given(st.integers(9, len(HELLO) - 1), st.integers(0, 255))
def test_a_damaged_hello_is_read_or_refused(at: int, value: int) -> None:
    damaged = HELLO[:at] + bytes([value]) + HELLO[at + 1 :]
    with suppress(NotAHello):
        hello = parse(damaged)
        assert hello is None or hello.raw == damaged


@pytest.mark.parametrize(
    "data", [b"", b"GET / HTTP/1.1\r\n\r\n", HELLO[:50]], ids=["nothing", "http", "half"]
)
async def test_a_client_that_closes_early_or_speaks_http_sent_no_hello(data: bytes) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(data)
    await theirs.send_eof()
    with pytest.raises(NotAHello) as refused:
        await read_hello(ours)
    assert refused.value.data == data
