"""Answers as browsers and ``curl | jq`` read them: charsets, odd bytes, odd statuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from probe.model.failure import Phase, Reason
from probe.model.flow import ApiCheck, Capture, Expect, RequestTemplate, Step
from probe.model.result import Failed, Inconclusive, Passed
from probe.model.target import Target
from tests.support.http2_server import Http2
from tests.support.http_server import Ca, Http, Reply, at, serve

from .conftest import Bench

URL = "http://api.example/"
ASK = Step("ask", "backend", RequestTemplate("GET", URL), Expect(json=("ok",)),
           captures=(Capture("name", "json", "name"),))  # fmt: skip
USE = Step("use", "backend", RequestTemplate("POST", URL + "use", body="{name}"))


def document(name: str, charset: str, errors: str = "strict") -> bytes:
    return f'{{"ok": true, "name": "{name}"}}'.encode(charset, errors)


BODIES = [
    (document("Zürich", "utf-8"), "application/json", "Zürich"),
    (b"\xef\xbb\xbf" + document("Zürich", "utf-8"), "application/json; charset=utf-8", "Zürich"),
    (document("Zürich", "utf-8"), "application/json; charset=ISO-8859-1", "Zürich"),
    (document("Zürich", "latin-1"), 'application/json; Charset="ISO-8859-1"', "Zürich"),
    (document("„Zürich“", "cp1252"), "text/json;charset=windows-1252", "„Zürich“"),
    (document("東京", "shift_jis"), "application/json; charset=shift_jis", "東京"),
    (document("東京", "utf-16"), "application/json; charset=utf-16", "東京"),
    (document("東京", "utf-16-le"), "application/json", "東京"),
    (document("Zürich", "latin-1"), "application/json", "Z\ufffdrich"),
    (document("Zürich", "latin-1"), "application/json; charset=utf-8", "Z\ufffdrich"),
    (document("Zürich", "latin-1"), "application/json; charset=rot13", "Z\ufffdrich"),
    (b"\xef\xbb\xbf" + document("Zürich", "latin-1"), "application/json", "Z\ufffdrich"),
]


@pytest.mark.parametrize(("body", "content_type", "name"), BODIES)
async def test_json_is_read_whatever_its_charset(
    bench: Bench, body: bytes, content_type: str, name: str
) -> None:
    http = Http({"/": Reply(200, body, (("Content-Type", content_type),)), "/use": Reply(200)})
    async with serve(None, http) as server:
        result = await bench.run(ApiCheck("flow", (ASK, USE), timeout=2.0), at(server.port))
    assert result.outcome == Passed()
    assert http.seen[1].body.decode() == name


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"\xef\xbb\xbf", b"\x00\x00\x00\x7b", b'{"a": \xff}']
)
async def test_what_is_no_json_in_any_charset_is_none(bench: Bench, body: bytes) -> None:
    async with serve(None, Http({"/": Reply(200, body)})) as server:
        result = await bench.run(ApiCheck("flow", (ASK,), timeout=2.0), at(server.port))
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.reason is Reason.JSON


# ------------------------------------------------------------------ halves of characters

HALVES: list[bytes] = [b'"\\ud800"', b'"\xed\xa0\x80"', b'["\\udfff"]', b'{"\\ud800": "\\ud800"}']


@pytest.mark.parametrize("half", HALVES)
async def test_half_a_character_in_json_costs_its_step_at_most(bench: Bench, half: bytes) -> None:
    body = b'{"ok": ' + half + b', "name": ' + half + b', "code": ' + half + b"}"
    again = replace(USE, name="again", request=RequestTemplate("GET", URL + "again"))
    http = Http({"/": Reply(200, body), "/again": Reply(200), "/use": Reply(200)})
    flow = ApiCheck("flow", (ASK, USE, again), timeout=2.0, evidence_headers=("x",))
    async with serve(None, http) as server:
        result = await bench.run(flow, at(server.port))
    first, _, last = result.steps
    assert not isinstance(first.outcome, Inconclusive)
    assert last.outcome == Passed()
    repr(result).encode()


@pytest.mark.parametrize("place", ["url", "query", "header", "body", "form", "json", "contains"])
async def test_half_a_character_of_a_label_is_never_sent(bench: Bench, place: str) -> None:
    text = "{labels.half}"
    request = {
        "url": RequestTemplate("GET", URL + text),
        "query": RequestTemplate("GET", URL, query={"a": text}),
        "header": RequestTemplate("GET", URL, headers={"X-A": text}),
        "body": RequestTemplate("POST", URL, body=text),
        "form": RequestTemplate("POST", URL, form={"a": text}),
        "json": RequestTemplate("POST", URL, json={"a": [text]}),
        "contains": RequestTemplate("GET", URL),
    }[place]
    expect = Expect(contains=(text,) if place == "contains" else ())
    flow = ApiCheck("flow", (Step("a", "backend", request, expect),), timeout=2.0)
    http = Http({"/": Reply(200)})
    async with serve(None, http) as server:
        target = Target("shop.example", labels={"half": "\ud800"})
        result = await bench.run(flow, at(server.port), target=target)
    assert isinstance(result.outcome, Inconclusive)
    assert result.outcome.failure.reason is Reason.UNSAFE_VALUE
    assert http.seen == []


# ------------------------------------------------------------------ statuses


def raw(status: bytes) -> Any:
    async def handler(stream: Any) -> None:
        await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 " + status + b" X\r\nContent-Length: 0\r\n\r\n")

    return handler


@pytest.mark.parametrize("status", ["600", "799", "999"])
@pytest.mark.parametrize("http2", [False, True])
async def test_statuses_beyond_599_are_statuses(
    ca: Ca, bench: Bench, status: str, http2: bool
) -> None:
    """Some services answer 999 to strangers; RFC 9110 section 15 takes them for a 5xx."""
    handler = Http2(Reply(int(status))) if http2 else raw(status.encode())
    context = ca.context("api.example", alpn=("h2",) if http2 else ("http/1.1",))
    step = Step("a", "backend", RequestTemplate("GET", "https://api.example/"))
    async with serve(context, handler) as server:
        plain = await bench.run(ApiCheck("flow", (step,), timeout=2.0), at(server.port))
        step = replace(step, expect=Expect(status=(status,)))
        wanted = await bench.run(ApiCheck("flow", (step,), timeout=2.0), at(server.port))
        step = replace(step, expect=Expect(status=(f"{status[0]}xx",)))
        kind = await bench.run(ApiCheck("flow", (step,), timeout=2.0), at(server.port))
    assert isinstance(plain.outcome, Failed)
    failure = plain.outcome.failure
    assert (failure.phase, failure.reason) == (Phase.EXPECT, Reason.STATUS)
    assert plain.steps[0].evidence.status == int(status)
    assert wanted.outcome == kind.outcome == Passed()
