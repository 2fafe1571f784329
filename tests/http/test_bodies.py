"""Bodies that are too long, in a coding, or in one that nobody knows: what of them matters."""

from __future__ import annotations

import gzip
import random
import sys
import threading
import zlib
from collections.abc import Callable
from functools import partial

import brotli
import pytest

from probe.http import body
from probe.http.answers import capture, judge
from probe.http.body import decoded
from probe.http.messages import Answered, Broken, Response
from probe.model.failure import Reason
from probe.model.flow import Capture, Expect
from tests.support.http_server import serve

from .conftest import CAP, Make, hangs_up, says
from .test_odd_answers import coded

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": partial(brotli.compress, quality=1),
    "zstd": zstd.compress,
}


def of(coding: str, data: bytes, *, cut: bool = False) -> Response:
    return decoded(Response(200, (("content-encoding", coding),)), data, CAP, cut=cut)


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_coding_is_undone_within_its_cap(coding: str) -> None:
    encode = CODINGS[coding]
    whole = of(coding, encode(b"x" * CAP))
    assert (whole.body, whole.body_fault) == (b"x" * CAP, None)
    for size in (CAP + 1, 50_000_000):
        found = of(coding, encode(bytes(size)))
        assert found.body == bytes(CAP)
        assert found.body_fault is not None
        assert found.body_fault.reason is Reason.TOO_LARGE
        assert "max_body" in found.body_fault.detail
    nothing = of(coding, b"")
    assert (nothing.body, nothing.body_fault) == (b"", None)


@pytest.mark.parametrize("coding", CODINGS)
async def test_what_is_no_such_coding_is_no_body(coding: str) -> None:
    half = CODINGS[coding](b"hello" * 50)[:-3]
    for data in (half, b"plain text"):
        found = of(coding, data)
        assert found.body == b""
        assert found.body_fault is not None
        assert found.body_fault.reason is Reason.UNDECODABLE
    beginning = of(coding, half, cut=True)
    assert b"hello hello".startswith(beginning.body[:5])
    assert beginning.body_fault is None, "that it was cut is said elsewhere"


@pytest.mark.parametrize("coding", CODINGS)
async def test_what_was_left_because_it_is_too_long_is_never_whole(coding: str) -> None:
    """Even where what was read unfolds to less than the cap."""
    noise = random.Random(7).randbytes(CAP * 2)
    found = of(coding, CODINGS[coding](noise)[: CAP + 1], cut=True)
    assert found.body_fault is not None
    assert found.body_fault.reason is Reason.TOO_LARGE


async def test_codings_on_top_of_each_other() -> None:
    twice = gzip.compress(gzip.compress(b"ok"))
    assert (of("gzip, gzip", twice)).body == b"ok"
    bomb = of("gzip, gzip", gzip.compress(gzip.compress(bytes(50_000_000))))
    assert bomb.body_fault is not None
    assert bomb.body_fault.reason is Reason.TOO_LARGE
    many = of("gzip, gzip, gzip", twice)
    assert many.body_fault is not None
    assert many.body_fault.reason is Reason.UNDECODABLE


@pytest.mark.parametrize("outer", CODINGS)
@pytest.mark.parametrize("inner", CODINGS)
async def test_nothing_in_two_codings_is_an_empty_body(
    caller: Make, inner: str, outer: str
) -> None:
    """Whole, and cut off, when what can be had of it is shown beside the failure."""
    nothing = CODINGS[outer](b"")
    answer = coded(f"{inner}, {outer}".encode(), nothing)
    async with serve(None, says(answer)) as server:
        found = await caller(server.port)()
    assert isinstance(found, Answered)
    assert (found.response.body, found.response.body_fault) == (b"", None)
    half = answer.replace(b"Content-Length: ", b"Content-Length: 9")
    async with serve(None, says(half, then=hangs_up)) as server:
        found = await caller(server.port)()
    assert isinstance(found, Broken)
    assert found.failure.reason is Reason.CLOSED


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_members_and_frames_are_read_wherever_they_begin(coding: str) -> None:
    """Else a page would be judged by its beginning."""
    noise = random.Random(5).randbytes(100_000)
    sizes = (0, 1, 16_384, 40_000, 16_361, 5)
    parts = [noise[:size] for size in sizes]
    data = b"".join(map(CODINGS[coding], parts)) + b"\x1f"
    found = decoded(Response(200, (("content-encoding", coding),)), data, 200_000, cut=False)
    assert (found.body, found.body_fault) == (b"".join(parts), None)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_flood_of_empty_members_is_no_body(coding: str) -> None:
    found = of(coding, CODINGS[coding](b"") * 20_000)
    assert found.body_fault is not None
    assert found.body_fault.reason is Reason.UNDECODABLE


async def test_a_frame_to_be_skipped_is_skipped() -> None:
    skipped = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    data = zstd.compress(b"o") + skipped + zstd.compress(b"k")
    assert of("zstd", data).body == of("zstd", skipped + data).body == b"ok"


async def test_a_small_bomb_is_not_unfolded_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred bytes of Brotli unfold to any cap; what unfolds to little is decoded there."""
    on_loop: list[int] = []
    decoded = body.decoded

    def seen(head: Response, data: bytes, cap: int, *, cut: bool) -> Response:
        response = decoded(head, data, cap, cut=cut)
        if threading.get_ident() == here:
            on_loop.append(len(response.body))
        return response

    here = threading.get_ident()
    monkeypatch.setattr(body, "decoded", seen)
    for size, most in ((1_000, 1_000), (1_000_000, 128 * 1024)):
        incoming = body.Incoming(4_000_000)
        incoming.head = Response(200, (("content-encoding", "br"),))
        incoming.take(brotli.compress(bytes(size)))
        incoming.ended = True
        response = await incoming.response()
        assert response is not None
        assert response.body == bytes(size)
        assert response.body_fault is None
        assert on_loop.pop() <= most


BARE = Expect(status=("200",))


@pytest.mark.parametrize("coding", ["UTF-8", "none", "binary", "aws-chunked", "aws-chunked, gzip"])
async def test_an_unknown_coding_matters_only_to_who_needs_the_body(
    caller: Make, coding: str
) -> None:
    async with serve(None, says(coded(coding.encode(), gzip.compress(b"ok")))) as server:
        found = await caller(server.port)()
    assert isinstance(found, Answered)
    assert judge(BARE, found.response, seconds=0).failures == ()
    [failure] = judge(Expect(contains=("ok",)), found.response, seconds=0).failures
    assert failure.reason is Reason.UNDECODABLE


LONG = b"begin " + b"x" * 2000 + b" end"

READ_SO_FAR = [
    (BARE, True),
    (Expect(contains=("begin",)), True),
    (Expect(matches=("beg.n",)), True),
    (Expect(contains=("begin", "end")), False),
    (Expect(matches=("e.d",)), False),
    (Expect(not_matches=("nothing",)), False),
    (Expect(max_size=10_000), False),
    (Expect(json=("a",)), False),
]


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize(("expect", "enough"), READ_SO_FAR)
async def test_a_long_page_is_read_as_far_as_it_is_needed(
    caller: Make, coding: str, expect: Expect, enough: bool
) -> None:
    sent = LONG if coding == "identity" else gzip.compress(LONG)
    async with serve(None, says(coded(coding.encode(), sent))) as server:
        found = await caller(server.port)()
    assert isinstance(found, Answered), found
    failures = judge(expect, found.response, seconds=0).failures
    if enough:
        assert failures == ()
    else:
        [failure] = failures
        assert failure.reason is Reason.TOO_LARGE
        assert failure.detail == "more than 1000 bytes of body; raise max_body to read on"


async def test_a_page_longer_than_expected_is_just_that(caller: Make) -> None:
    async with serve(None, says(coded(b"identity", LONG))) as server:
        found = await caller(server.port)()
    assert isinstance(found, Answered), found
    [failure] = judge(Expect(max_size=10, json=("a",)), found.response, seconds=0).failures
    assert failure.reason is Reason.SIZE


async def test_a_page_that_is_left_half_read_ends_its_connection(caller: Make) -> None:
    async with serve(None, says(coded(b"identity", bytes(200_000)))) as server:
        call = caller(server.port)
        for count in (1, 2):
            found = await call()
            assert isinstance(found, Answered), found
            assert server.connections == count


async def test_a_capture_of_half_a_page_says_why_it_is_missing(caller: Make) -> None:
    wanted = (Capture("a", "json", "a"), Capture("b", "header", "x-b"))
    async with serve(None, says(coded(b"identity", LONG))) as server:
        found = await caller(server.port)()
    assert isinstance(found, Answered)
    reasons = [one.reason for one in capture(wanted, found.response).failures]
    assert reasons == [Reason.TOO_LARGE, Reason.CAPTURE_MISSING]


@pytest.mark.parametrize(("size", "count"), [(1, 3000), (5, 1500), (9, 1500)])
async def test_small_chunks_are_no_fault(caller: Make, size: int, count: int) -> None:
    chunk = b"%x\r\n%b\r\n" % (size, b"x" * size)
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * count + b"0\r\n\r\n"
    async with serve(None, says(answer)) as server:
        found = await caller(server.port, cap=20_000)()
    assert isinstance(found, Answered), found
    assert len(found.response.body) == size * count
