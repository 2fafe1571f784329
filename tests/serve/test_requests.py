"""Requests are read alike however their bytes arrive, and nothing that arrives raises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.serve.http.message import CHUNK, HEAD, RequestReader, WebRequest

PARTS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n", b"HEAD /metrics?x=%00 HTTP/1.0\r\n", b"POST /a HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n", b"Host: probe\r\n", b"Host:\r\n", b"Connection: close\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"Content-Length: 4\r\n",
        b"Transfer-Encoding: chunked\r\n", b"4\r\nbody\r\n0\r\n\r\n", b"body", b"\r\n", b"\r\n\r\n",
        b"\n", b"\x00", b"\x16\x03\x01", b" ", b":", b"X: " + b"a" * HEAD,
    ]
)  # fmt: skip
SENT = st.lists(PARTS | st.binary(max_size=6), max_size=14).map(b"".join)


def read(sent: bytes, sizes: list[int]) -> tuple[list[WebRequest], int | None]:
    """The requests in these bytes, arriving in pieces of these sizes, and what ends them."""
    reader, place = RequestReader(), 0
    while place < len(sent) and reader.refused is None:
        size = sizes[place % len(sizes)]
        reader.feed(sent[place : place + size])
        place += size
    return list(reader.requests), reader.refused.status if reader.refused else None


@settings(max_examples=200, deadline=None)
@given(sent=SENT, sizes=st.lists(st.integers(1, CHUNK), min_size=1, max_size=5))
def test_pieces_change_nothing(sent: bytes, sizes: list[int]) -> None:
    requests, status = read(sent, sizes)
    assert status in {None, 400, 413, 431, 505}
    if len(sent) <= HEAD:
        assert (requests, status) == read(sent, [1])
    for request in requests:
        assert request.method.isalpha()
        assert not request.chunks or request.headers["host"]


@pytest.mark.parametrize("piece", [b"X: a\r\n", b"\r\n", b"a"])
def test_what_never_ends_is_refused(piece: bytes) -> None:
    begun = {b"X: a\r\n": b"GET / HTTP/1.1\r\n", b"a": b"GET /"}.get(piece, b"")
    assert read(begun + piece * 2 * HEAD, [CHUNK])[1] == 431
