"""Answers that no standard allows: what curl and browsers take is taken, in the same meaning."""

from __future__ import annotations

import gzip

import pytest

from probe.http.http1 import rendered
from probe.http.messages import Answered, Broken, Request
from probe.model.failure import Phase, Reason
from tests.support.http_server import serve

from .conftest import Make, hangs_up, says

OK = b"HTTP/1.1 200 OK\r\n"
BODY = b"Content-Length: 2\r\n\r\nok"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def coded(coding: bytes, body: bytes) -> bytes:
    head = b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding, len(body))
    return OK + head + body


TAKEN: list[tuple[str, bytes]] = [
    ("a slash in a name", OK + b"Cache/Control: x\r\n" + BODY),
    ("a space before the colon", OK + b"Server : y\r\n" + BODY),
    ("a space before the colon of the length", OK + b"Content-Length : 2\r\n\r\nok"),
    ("a space within a name", OK + b"A b: c\r\n" + BODY),
    ("no name", OK + b": x\r\n" + BODY),
    ("no colon", OK + b"Trying config.yaml\r\n" + BODY),
    ("one length twice", OK + b"Content-Length: 2\r\n" + BODY),
    ("one length twice in a line", OK + b"Content-Length: 2, 2\r\n\r\nok"),
    ("zeros before the length", OK + b"Content-Length: %030d\r\n\r\nok" % 2),
    ("an empty line first", b"\r\n\n" + OK + BODY),
    ("bare line feeds", b"HTTP/1.1 200 OK\nServer: tiny\nContent-Length: 2\n\nok"),
    ("a folded line", OK + b"X-A: one\r\n\ttwo\r\n" + BODY),
    ("a first line that is folded", OK + b" two\r\n" + BODY),
    ("a bare carriage return", OK + b"X-A: one\rtwo\r\n" + BODY),
    ("a control character", OK + b"Set-Cookie: id=kUd\x01UpAt; path=/\r\n" + BODY),
    ("bytes of UTF-8", OK + "X-Name: Größe €\r\n".encode() + BODY),
    ("bytes that are no text", OK + b"X-Name: \xff\xfe\r\n" + BODY),
    ("empty values", OK + b"Server:\r\nX-A: \r\n" + BODY),
    ("no reason", b"HTTP/1.1 200\r\n" + BODY),
    ("two spaces", b"HTTP/1.1  200 OK\r\n" + BODY),
    ("a reason that sticks", b"HTTP/1.1 200OK\r\n" + BODY),
    ("a version in small letters", b"http/1.1 200 OK\r\n" + BODY),
    ("the wrong version", b"HTTP/2 200 OK\r\n" + BODY),
    ("an interim answer", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + BODY),
    ("identity", OK + b"Transfer-Encoding: identity\r\n" + BODY),
    ("chunks of HTTP/1.0", CHUNKED.replace(b"1.1", b"1.0") + b"2\r\nok\r\n0\r\n\r\n"),
    ("chunked twice", OK + b"Transfer-Encoding: chunked\r\n" + CHUNKED[17:]
        + b"2\r\nok\r\n0\r\n\r\n"),
    ("chunked in large letters", CHUNKED.replace(b"chunked", b"Chunked") + b"2\r\nok\r\n0\r\n\r\n"),
    ("spaces after the size", CHUNKED + b"2  \r\nok\r\n0\r\n\r\n"),
    ("a tab after the size", CHUNKED + b"2\t\r\nok\r\n0\r\n\r\n"),
    ("zeros before the size", CHUNKED + b"0002\r\nok\r\n000\r\n\r\n"),
    ("an extension", CHUNKED + b'2;a="b;c"\r\nok\r\n0\r\n\r\n'),
    ("a bare line feed after a chunk", CHUNKED + b"2\r\nok\n0\r\n\r\n"),
    ("a trailer", CHUNKED + b"2\r\nok\r\n0\r\nX-T: a\r\n\r\n"),
    ("a trailer that is none", CHUNKED + b"2\r\nok\r\n0\r\nX/Y: a\r\nBad Trailer\r\n\r\n"),
    ("more than the length", OK + BODY + b"more"),
    ("two members of gzip", coded(b"gzip", gzip.compress(b"o") + gzip.compress(b"k"))),
    ("bytes after gzip", coded(b"gzip", gzip.compress(b"ok") + b"junk")),
]  # fmt: skip

CLOSED: list[tuple[str, bytes]] = [
    ("no length", OK + b"\r\nok"),
    ("an end by closing", OK + b"Connection: close\r\n\r\nok"),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nok"),
]


@pytest.mark.parametrize("answer", [row[1] for row in TAKEN], ids=[row[0] for row in TAKEN])
async def test_what_curl_and_browsers_take_is_taken(caller: Make, answer: bytes) -> None:
    async with serve(None, says(answer)) as server:
        result = await caller(server.port)()
    assert isinstance(result, Answered), result
    assert (result.response.status, result.response.body) == (200, b"ok")
    assert result.response.body_fault is None


@pytest.mark.parametrize("answer", [row[1] for row in CLOSED], ids=[row[0] for row in CLOSED])
async def test_a_body_may_last_until_the_end_of_the_connection(caller: Make, answer: bytes) -> None:
    async with serve(None, says(answer, then=hangs_up)) as server:
        result = await caller(server.port)()
    assert isinstance(result, Answered), result
    assert (result.response.status, result.response.body) == (200, b"ok")


REFUSED: list[tuple[str, bytes, str]] = [
    ("a NUL in a value", OK + b"X-A: a\0b\r\n" + BODY, "NUL"),
    ("a NUL in a name", OK + b"X\0A: a\r\n" + BODY, "NUL"),
    ("two lengths", OK + b"Content-Length: 3\r\n" + BODY, "Content-Length '2 and 3'"),
    ("two lengths in a line", OK + b"Content-Length: 2, 3\r\n\r\nok", "Content-Length"),
    ("a length that is no number", OK + b"Content-Length: two\r\n\r\nok", "Content-Length"),
    ("a length below zero", OK + b"Content-Length: -2\r\n\r\nok", "Content-Length"),
    ("an empty length", OK + b"Content-Length:\r\n\r\nok", "Content-Length"),
    ("digits of another alphabet", OK + "Content-Length: ²\r\n\r\nok".encode("latin-1"),
        "Content-Length"),
    ("length and chunks", OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nok\r\n0\r\n\r\n", "both Content-Length and Transfer-Encoding"),
    ("chunks and length", OK + b"Transfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n"
        b"2\r\nok\r\n0\r\n\r\n", "both Content-Length and Transfer-Encoding"),
    ("gzip under chunks", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding"),
    ("an unknown transfer coding", OK + b"Transfer-Encoding: foo\r\n" + BODY, "Transfer-Encoding"),
    ("a status of two digits", b"HTTP/1.1 99 X\r\n" + BODY, "HTTP/1.1 99 X"),
    ("a status of four digits", b"HTTP/1.1 1000 X\r\n" + BODY, "status line"),
    ("a status of zeros", b"HTTP/1.1 000 X\r\n" + BODY, "status line"),
    ("another version", b"HTTP/1.2 200 OK\r\n" + BODY, "status line"),
    ("another protocol", b"ICY 200 OK\r\n" + BODY, "no HTTP"),
    ("a size below zero", CHUNKED + b"-2\r\nok\r\n0\r\n\r\n", "chunk"),
    ("no size", CHUNKED + b"\r\nok\r\n0\r\n\r\n", "chunk"),
    ("a size beyond all bounds", CHUNKED + b"f" * 17 + b"\r\nok\r\n0\r\n\r\n", "chunk"),
    # RFC 9112 section 7.1. Proxies disagree about it, and so about where a message ends.
    ("a bare line feed after a size", CHUNKED + b"2\nok\r\n0\r\n\r\n", "chunk"),
    ("a chunk longer than its size", CHUNKED + b"1\r\nok\r\n0\r\n\r\n", "chunk"),
    ("endless small headers", OK + b"a:b\n" * 3000 + BODY, "more than 500 lines"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_what_is_refused_is_refused_in_words(caller: Make, answer: bytes, words: str) -> None:
    async with serve(None, says(answer, then=hangs_up)) as server:
        result = await caller(server.port)()
    assert isinstance(result, Broken), result
    failure = result.failure
    assert (failure.phase, failure.reason) == (Phase.RECEIVE, Reason.HTTP_INVALID), failure
    assert words in failure.detail
    assert "bytearray" not in failure.detail


async def test_headers_are_read_as_they_were_meant(caller: Make) -> None:
    head = (
        b"X-A: one\r\n  two\r\nX-B : x\ry\r\nSet-Cookie: a=1\r\nSET-COOKIE: b=2\r\nX-C:\r\n"
        b"nothing\r\nX-D: \xe9\r\nX-E: voil\xc3\xa0\r\n"
    )
    async with serve(None, says(OK + head + BODY)) as server:
        result = await caller(server.port)()
    assert isinstance(result, Answered)
    response = result.response
    assert response.header("x-a") == "one two"
    assert response.header("X-B") == "x y"
    assert response.all("set-cookie") == ("a=1", "b=2")
    assert response.header("x-c") == ""
    assert response.header("x-d") == "é"
    assert response.header("nothing") is None
    assert response.header("x-e") == "voil\xc3\xa0", "a blank of Unicode is no blank here"


SMUGGLED: list[tuple[str, Request]] = [
    ("a line in a value", Request("GET", "http://a.example/", (("X-A", "b\r\nX-B: c"),))),
    ("a line feed in a value", Request("GET", "http://a.example/", (("X-A", "b\nX-B: c"),))),
    ("a NUL in a value", Request("GET", "http://a.example/", (("X-A", "b\0"),))),
    ("a space in a name", Request("GET", "http://a.example/", (("X A", "b"),))),
    ("a colon in a name", Request("GET", "http://a.example/", (("X:A", "b"),))),
    ("a line in a host", Request("GET", "http://a.example/", (("Host", "a\r\nX-B: c"),))),
    ("a space in a method", Request("GET /x", "http://a.example/")),
]


@pytest.mark.parametrize("request_", [r[1] for r in SMUGGLED], ids=[r[0] for r in SMUGGLED])
def test_no_request_becomes_two(request_: Request) -> None:
    with pytest.raises(ValueError, match="is none") as caught:
        rendered(request_)
    assert "X-B" not in str(caught.value)
    with pytest.raises(ValueError, match="is none"):
        request_.encoded()


def test_a_request_is_rendered_as_curl_sends_it() -> None:
    request = Request("POST", "http://a.example:81/x?y=%20", (("X-Name", "Größe"),), b"ab")
    assert rendered(request).decode() == (
        "POST /x?y=%20 HTTP/1.1\r\nHost: a.example:81\r\nX-Name: Größe\r\n"
        "Content-Length: 2\r\n\r\nab"
    )
    own = Request("PUT", "http://a.example/", (("host", "other.example"),))
    assert rendered(own) == (b"PUT / HTTP/1.1\r\nHost: other.example\r\nContent-Length: 0\r\n\r\n")
