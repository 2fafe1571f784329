"""What servers do wrong, one handler a fault: a bounded reason, and the deadline kept."""

from __future__ import annotations

import gzip
import ssl
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import trio

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.lab.ca import LeafShape
from probe.model.auth import BearerAuth, JsonLoginAuth
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, Expect, Persona, RequestTemplate, Step
from probe.model.result import Failed, FlowResult, Inconclusive, OutOfTime, Passed, Skipped
from probe.model.spec import TlsCheck
from probe.model.target import Edge, EdgeKey, Resolution, Target
from probe.model.tls import ClientProfile
from probe.probers.tls import TlsProber
from probe.state.diagnosis import diagnose
from tests.support.http_server import Ca, Handler, Http, Reply, Stream, at, by_host, serve

from .conftest import Bench

URL = "https://api.example/"
A_STEP = Step("a", "backend", RequestTemplate("GET", URL))
CHECK = ApiCheck(
    "flow",
    (A_STEP,),
    timeout=10.0,
    flow_timeout=20.0,
    max_body=64 * 1024,
    http2=False,
)
SHORT = replace(CHECK, timeout=0.6, flow_timeout=2.0)
"""For servers that make it wait: the others must be found out before any deadline."""


async def _head(stream: Stream) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some(65536)
        if not more:
            return data
        data += more
    return data


def says(*pieces: bytes, then: Callable[[Stream], Awaitable[None]] | None = None) -> Handler:
    """Reads a request, writes these bytes, and closes or goes on."""

    async def handler(stream: Stream) -> None:
        await _head(stream)
        for piece in pieces:
            await stream.send_all(piece)
        if then is not None:
            await then(stream)

    return handler


async def forever(stream: Stream) -> None:
    await trio.sleep_forever()


def endless(piece: bytes, pause: float = 0.0) -> Callable[[Stream], Awaitable[None]]:
    async def go_on(stream: Stream) -> None:
        while True:
            await stream.send_all(piece)
            await trio.sleep(pause)

    return go_on


async def reset(stream: Stream) -> None:
    linger = b"\1\0\0\0\0\0\0\0"  # on, 0 seconds: closing sends RST
    stream.transport_stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, linger)


async def nothing(stream: Stream) -> None:
    await _head(stream)
    await trio.sleep_forever()


def body(data: bytes, coding: str = "") -> bytes:
    extra = f"Content-Encoding: {coding}\r\n" if coding else ""
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n{extra}\r\n".encode() + data


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(b"\0" * 50_000_000)
NESTED = gzip.compress(gzip.compress(b"\0" * 50_000_000))

FAULTS: list[tuple[str, Handler, Phase, Reason]] = [
    ("silence", nothing, Phase.WAIT, Reason.TIMEOUT),
    ("closes at once", says(), Phase.WAIT, Reason.CLOSED),
    ("resets at once", says(then=reset), Phase.WAIT, Reason.RESET),
    ("half a header", says(OK, then=forever), Phase.RECEIVE, Reason.TIMEOUT),
    ("closes in the header", says(OK), Phase.RECEIVE, Reason.CLOSED),
    ("garbage", says(b"\0\1\2\3 garbage\r\n\r\n"), Phase.RECEIVE, Reason.HTTP_INVALID),
    ("a banner", says(b"220 mail.example ESMTP\r\n"), Phase.RECEIVE, Reason.HTTP_INVALID),
    ("endless header", says(OK, then=endless(b"X-A: " + b"b" * 5000 + b"\r\n")),
        Phase.RECEIVE, Reason.TOO_LARGE),
    ("dripping header", says(OK + b"X-A: ", then=endless(b"b", 0.05)),
        Phase.RECEIVE, Reason.TIMEOUT),
    ("endless early hints", says(then=endless(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" * 50)),
        Phase.RECEIVE, Reason.TOO_LARGE),
    ("body cut short", says(OK + b"Content-Length: 10\r\n\r\nabc"), Phase.RECEIVE, Reason.CLOSED),
    ("body reset", says(OK + b"Content-Length: 10\r\n\r\nabc", then=reset),
        Phase.RECEIVE, Reason.RESET),
    ("body stalls", says(OK + b"Content-Length: 10\r\n\r\nabc", then=forever),
        Phase.RECEIVE, Reason.TIMEOUT),
    ("huge body", says(body(b"x" * 100_000)), Phase.RECEIVE, Reason.TOO_LARGE),
    ("endless chunks", says(CHUNKED, then=endless(b"400\r\n" + b"x" * 1024 + b"\r\n")),
        Phase.RECEIVE, Reason.TOO_LARGE),
    ("endless tiny chunks", says(CHUNKED, then=endless(b"1\r\nx\r\n" * 1000)),
        Phase.RECEIVE, Reason.TOO_LARGE),
    ("endless chunk line", says(CHUNKED, then=endless(b"0" * 5000)),
        Phase.RECEIVE, Reason.TOO_LARGE),
    ("dripping chunks", says(CHUNKED, then=endless(b"1\r\nx\r\n", 0.05)),
        Phase.RECEIVE, Reason.TIMEOUT),
    ("broken chunk", says(CHUNKED + b"zz\r\n"), Phase.RECEIVE, Reason.HTTP_INVALID),
    ("endless trailers", says(CHUNKED + b"0\r\n", then=endless(b"A: " + b"b" * 900 + b"\r\n")),
        Phase.RECEIVE, Reason.TOO_LARGE),
    ("gzip bomb", says(body(BOMB, "gzip")), Phase.RECEIVE, Reason.TOO_LARGE),
    ("bomb in a bomb", says(body(NESTED, "gzip, gzip")), Phase.RECEIVE, Reason.TOO_LARGE),
    ("deflate bomb", says(body(zlib.compress(b"\0" * 50_000_000), "deflate")),
        Phase.RECEIVE, Reason.TOO_LARGE),
    ("no gzip", says(body(b"plain text", "gzip")), Phase.RECEIVE, Reason.UNDECODABLE),
    ("gzip cut short", says(body(gzip.compress(b"x" * 999)[:-9], "gzip")),
        Phase.RECEIVE, Reason.UNDECODABLE),
    ("unknown coding", says(body(b"x", "aws-chunked")), Phase.RECEIVE, Reason.UNDECODABLE),
    ("many codings", says(body(b"x", "gzip, gzip, gzip")), Phase.RECEIVE, Reason.UNDECODABLE),
    ("two lengths", says(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        Phase.RECEIVE, Reason.HTTP_INVALID),
]  # fmt: skip


def failure_of(result: FlowResult) -> Failure:
    assert isinstance(result.outcome, Failed), result.outcome
    return result.outcome.failure


@pytest.mark.parametrize(
    ("handler", "phase", "reason"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
async def test_every_fault_has_its_reason_and_keeps_the_deadline(
    ca: Ca, bench: Bench, handler: Handler, phase: Phase, reason: Reason
) -> None:
    step = replace(A_STEP, expect=Expect(contains=("the end",)))
    async with serve(ca.context("api.example"), handler) as server:
        check = replace(SHORT if reason is Reason.TIMEOUT else CHECK, steps=(step,))
        result = await bench.run(check, at(server.port))
    failure = failure_of(result)
    assert (failure.phase, failure.reason) == (phase, reason), failure
    assert result.steps[0].evidence.command.startswith("curl ")


LATIN = b"Content-Type: text/plain; charset=latin-1\r\nContent-Length: 6\r\n\r\nhello\xe9"
GOOD: list[tuple[str, bytes]] = [
    ("gzip", body(gzip.compress(b"hello"), "gzip")),
    ("x-gzip", body(gzip.compress(b"hello"), "x-gzip")),
    ("deflate", body(zlib.compress(b"hello"), "deflate")),
    ("bare deflate", body(zlib.compress(b"hello")[2:-4], "deflate")),
    ("identity", body(b"hello", "identity")),
    ("no length", OK + b"Connection: close\r\n\r\nhello"),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nhello"),
    ("early hints", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + body(b"hello")),
    ("latin-1", OK + LATIN),
    ("unknown charset", OK + b"Content-Type: x; charset=nope\r\nContent-Length: 5\r\n\r\nhello"),
]  # fmt: skip


@pytest.mark.parametrize("answer", [row[1] for row in GOOD], ids=[row[0] for row in GOOD])
async def test_what_is_merely_unusual_passes(ca: Ca, bench: Bench, answer: bytes) -> None:
    step = replace(A_STEP, expect=Expect(contains=("hello",)))
    async with serve(ca.context("api.example"), says(answer)) as server:
        result = await bench.run(replace(CHECK, steps=(step,)), at(server.port))
    assert result.outcome == Passed()


@pytest.mark.parametrize("status", [204, 304])
async def test_no_body_in_a_coding_is_no_fault(ca: Ca, bench: Bench, status: int) -> None:
    answer = f"HTTP/1.1 {status} X\r\nContent-Encoding: gzip\r\n\r\n".encode()
    step = replace(A_STEP, expect=Expect(status=("2xx", "304")))
    async with serve(ca.context("api.example"), says(answer)) as server:
        result = await bench.run(replace(CHECK, steps=(step,)), at(server.port))
    assert result.outcome == Passed()


# ------------------------------------------------------------------ before the request


async def test_nothing_is_sent_over_a_connection_whose_chain_is_rejected(
    ca: Ca, bench: Bench
) -> None:
    """The server sees the handshake and then the end: not one byte of the request."""
    received: list[bytes] = []
    done = trio.Event()

    async def handler(stream: Stream) -> None:
        try:
            received.append(bytes(await stream.receive_some(65536)))
        except trio.BrokenResourceError:
            received.append(b"")
        done.set()

    secret = bench.secret("TOKEN", "very-secret-token")
    check = replace(
        CHECK,
        auth={"cli": BearerAuth(token=secret)},
        steps=(replace(A_STEP, auth="cli"),),
    )
    cases = {
        Reason.NAME_MISMATCH: ca.context("other.example"),
        Reason.EXPIRED: _context(ca, LeafShape(not_after=timedelta(hours=-1))),
    }
    for reason, context in cases.items():
        received.clear()
        done = trio.Event()
        async with serve(context, handler) as server:
            result = await bench.run(check, at(server.port))
            with trio.fail_after(30):
                await done.wait()
        failure = failure_of(result)
        assert (failure.phase, failure.reason) == (Phase.CERTIFICATE, reason)
        assert received == [b""]
        step = result.steps[0]
        assert step.handshake is not None, "facts are kept when the verdict is bad"
        assert step.handshake.leaf is not None
        assert step.timings.tls is not None
        assert step.timings.send is None


def _context(ca: Ca, shape: LeafShape) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca.files(ca.pki.leaf(["api.example"], shape=shape)))
    return context


async def test_a_certificate_of_the_providers_own_is_its_default_certificate(
    ca: Ca, bench: Bench
) -> None:
    http = Http({"/": Reply(200)})
    check = ApiCheck("flow", (Step("a", "edge", RequestTemplate("GET", URL)),))
    bench.prober.own_names = {"cdn-b": ("*.cdn-b.example",)}.__getitem__
    async with serve(ca.context("edge-7.cdn-b.example"), http) as server:
        result = await bench.run(check, at(server.port), provider="cdn-b")
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.reason is Reason.DEFAULT_CERTIFICATE
    assert http.seen == []


async def test_nobody_listens(bench: Bench) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    failure = failure_of(await bench.run(CHECK, at(port)))
    assert (failure.phase, failure.reason) == (Phase.CONNECT, Reason.REFUSED)


async def test_plain_text_on_the_tls_port(bench: Bench) -> None:
    async def handler(stream: Stream) -> None:
        await stream.receive_some(10)
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serve(None, handler) as server:
        failure = failure_of(await bench.run(CHECK, at(server.port)))
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.PLAIN_TEXT)


STALLS: list[tuple[str, bytes | None, Phase, Reason]] = [
    ("nothing", b"", Phase.TLS, Reason.TIMEOUT),
    ("a warning", bytes((21, 3, 3, 0, 2, 1, 112)), Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME),
    ("half a record", bytes((22, 3, 3, 0, 60, 2)), Phase.TLS, Reason.TIMEOUT),
    ("half a banner", b"SSH-2.0", Phase.TLS, Reason.PLAIN_TEXT),
    ("no SYN-ACK", None, Phase.CONNECT, Reason.TIMEOUT),
]


@pytest.mark.parametrize(
    ("said", "phase", "reason"), [row[1:] for row in STALLS], ids=[row[0] for row in STALLS]
)
async def test_silence_gets_the_reason_that_a_tls_check_gives_it(
    bench: Bench, said: bytes | None, phase: Phase, reason: Reason
) -> None:
    async def stalls(stream: Stream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(said or b"")
        await forever(stream)

    async with serve(None, stalls) as server:
        flow, tls = SHORT, TlsCheck("tls", targets="t", providers=("live",), timeout=0.3)
        edge = Edge("127.0.0.1", server.port, written=True)
        if said is None:
            flow, tls = replace(flow, timeout=-1.0), replace(tls, timeout=-1.0)
        ours = failure_of(await bench.run(flow, at(server.port)))
        prober = TlsProber(TlsContexts(bench.read), Judge(), bench.wall)
        key = EdgeKey("tls", "api.example", "live", edge.label, "default")
        theirs = (
            await prober.probe(key, edge, Target("api.example"), tls, ClientProfile())
        ).outcome
    assert isinstance(theirs, Failed)
    assert (ours.phase, ours.reason) == (phase, reason), ours
    assert (theirs.failure.phase, theirs.failure.reason) == (phase, reason)
    assert ours.detail.partition(" in 0.")[0] == theirs.failure.detail.partition(" in 0.")[0]


async def test_dns_failures_are_the_resolvers_word(bench: Bench) -> None:
    said = Failure(Phase.RESOLVE, Reason.SERVFAIL, "all servers")

    async def broken(host: str, port: int) -> Resolution:
        return Resolution((), said, seconds=0.25)

    async def empty(host: str, port: int) -> Resolution:
        return Resolution(())

    async def silent(host: str, port: int) -> Resolution:
        await trio.sleep_forever()
        raise AssertionError

    result = await bench.run(SHORT, broken)
    assert failure_of(result) == said
    assert result.steps[0].timings.resolve == 0.25
    assert failure_of(await bench.run(CHECK, empty)).reason is Reason.NO_ADDRESSES
    failure = failure_of(await bench.run(SHORT, silent))
    assert (failure.phase, failure.reason) == (Phase.RESOLVE, Reason.TIMEOUT)


async def test_edges_known_from_before_serve_while_dns_fails(ca: Ca, bench: Bench) -> None:
    async with serve(ca.context("api.example"), Http({"/": Reply(200)})) as server:

        async def stale(host: str, port: int) -> Resolution:
            edge = Edge("127.0.0.1", server.port, written=True)
            return Resolution((edge,), Failure(Phase.RESOLVE, Reason.SERVFAIL))

        assert (await bench.run(CHECK, stale)).outcome == Passed()


# ------------------------------------------------------------------ kept connections


async def test_a_kept_connection_that_the_server_closed_is_no_failure(ca: Ca, bench: Bench) -> None:
    """Servers close idle connections as they like; clients connect again (RFC 9112, 9.3.1)."""

    async def one_answer(stream: Stream) -> None:
        await _head(stream)
        await stream.send_all(body(b"hello"))

    other = Http({"/": Reply(200, delay=0.05)})  # time for the end to arrive
    meanwhile = Step("meanwhile", "backend", RequestTemplate("GET", "https://other.example/"))
    post = Step("b", "backend", RequestTemplate("POST", URL, body="x"))
    check = replace(CHECK, steps=(A_STEP, meanwhile, post))
    context = ca.context("api.example", "other.example")
    async with serve(context, one_answer) as server, serve(context, other) as another:
        ports = {"api.example": server.port, "other.example": another.port}
        result = await bench.run(check, by_host(ports))
    assert result.outcome == Passed()
    assert server.connections == 2
    assert result.steps[2].attempts == 1


async def test_a_kept_connection_that_dies_under_a_request_is_asked_again_if_that_is_safe(
    ca: Ca, bench: Bench
) -> None:
    async def dies(stream: Stream) -> None:
        await _head(stream)
        await stream.send_all(body(b"hello"))
        await _head(stream)

    check = replace(CHECK, steps=(A_STEP, replace(A_STEP, name="b")))
    async with serve(ca.context("api.example"), dies) as server:
        result = await bench.run(check, at(server.port))
        assert result.outcome == Passed()
        assert result.steps[1].attempts == 2, "both requests are counted"
        post = Step("b", "backend", RequestTemplate("POST", URL, body="x"))
        result = await bench.run(replace(check, steps=(check.steps[0], post)), at(server.port))
    assert failure_of(result).reason is Reason.CLOSED, "a POST is not sent twice"


# ------------------------------------------------------------------ time


async def test_the_flows_deadline_holds_over_all_steps_and_cleanup_still_runs(
    ca: Ca, bench: Bench
) -> None:
    http = Http({"/": Reply(200, delay=0.4), "/tidy": Reply(204)})
    steps = tuple(replace(A_STEP, name=f"s{number}") for number in range(5))
    tidy = Step("tidy", "backend", RequestTemplate("DELETE", URL + "tidy"), cleanup=True)
    check = replace(CHECK, steps=(*steps, tidy), timeout=5.0, flow_timeout=1.2)
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert http.paths().count("/") < 5
    assert http.paths()[-1] == "/tidy"
    assert result.steps[-1].outcome == Passed()
    failure = failure_of(result)
    assert failure.reason is Reason.TIMEOUT


async def test_further_attempts_without_time_do_not_blame_the_edge(ca: Ca, bench: Bench) -> None:
    """A call that is cut off while its name is looked up looks like one that got nowhere."""
    http = Http({"/": Reply(200, delay=5.0)})
    step = Step("a", "backend", RequestTemplate("GET", URL), attempts=3)
    check = ApiCheck("flow", (step,), timeout=0.3, flow_timeout=0.3)
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert len(result.steps) == 1
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.phase is Phase.WAIT


async def test_a_slow_login_beside_a_kept_token_does_not_blame_the_edge(
    ca: Ca, bench: Bench
) -> None:
    http = Http({"POST /login": Reply(200, {"t": "kept-token"}), "/": Reply(200)})
    login = JsonLoginAuth(URL + "login", {"key": bench.secret("KEY", "the-key")}, token="t")
    step = Step("a", "backend", RequestTemplate("GET", URL), auth="cli")
    check = ApiCheck("flow", (step,), auth={"cli": login}, login_interval=0.0)
    async with serve(ca.context("api.example"), http) as server:
        assert (await bench.run(check, at(server.port))).outcome == Passed()
        http.routes["POST /login"] = Reply(200, delay=5.0)
        result = await bench.run(replace(check, timeout=0.3, flow_timeout=0.3), at(server.port))
    login_step, call = result.steps
    assert isinstance(login_step.outcome, Failed)
    assert login_step.layer == "login"
    assert call.outcome == Skipped(OutOfTime())


async def test_cleanup_runs_also_when_the_agent_is_being_stopped(ca: Ca, bench: Bench) -> None:
    http = Http({"/": Reply(200, delay=30), "/tidy": Reply(204)})
    tidy = Step("tidy", "backend", RequestTemplate("DELETE", URL + "tidy"), cleanup=True)
    check = replace(CHECK, steps=(A_STEP, tidy), timeout=20.0, flow_timeout=60.0)
    async with serve(ca.context("api.example"), http) as server:
        with trio.move_on_after(0.3) as stopping:
            await bench.run(check, at(server.port))
    assert stopping.cancelled_caught
    assert "/tidy" in http.paths()


async def test_credentials_never_go_without_tls(bench: Bench) -> None:
    secret = bench.secret("TOKEN", "very-secret-token")
    step = Step("a", "x", RequestTemplate("GET", "http://api.example/"), auth="cli")
    check = replace(CHECK, auth={"cli": BearerAuth(token=secret)}, steps=(step,))
    async with serve(None, nothing) as server:
        result = await bench.run(check, at(server.port))
    assert isinstance(result.outcome, Inconclusive)
    assert result.outcome.failure.reason is Reason.UNSAFE_VALUE
    assert server.connections == 0


async def test_plain_http_without_credentials_works(bench: Bench) -> None:
    step = Step("a", "x", RequestTemplate("GET", "http://api.example/"))
    async with serve(None, Http({"/": Reply(200)})) as server:
        result = await bench.run(replace(CHECK, steps=(step,)), at(server.port))
    assert result.outcome == Passed()
    assert result.steps[0].handshake is None
    assert result.steps[0].timings.tls is None


PAGE = Reply(200, "<!doctype html><title>Log in</title>", (("content-type", "text/html"),))


@pytest.mark.parametrize(
    ("expected", "page", "reason"),
    [
        (Expect(json=("id",)), PAGE, Reason.WEB_PAGE),
        (Expect(json=("id",)), Reply(200, {"id": 1}), Reason.STATUS),
        (Expect(json=("id",)), Reply(200, "<html>untyped"), Reason.WEB_PAGE),
        (Expect(), PAGE, Reason.STATUS),  # the page may be what is asked for
    ],
)
async def test_a_web_page_where_json_is_due_lets_nobody_in(
    ca: Ca, bench: Bench, expected: Expect, page: Reply, reason: Reason
) -> None:
    http = Http({"/health": Reply(200, {"id": 1}), "/me": page})
    check = ApiCheck(
        "flow",
        (
            Step("control", "control", RequestTemplate("GET", URL + "health"), expected),
            Step("deny", "authorization", RequestTemplate("GET", URL + "me"), deny=True),
        ),
    )
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    denied = result.steps[1].outcome
    assert isinstance(denied, Failed)
    assert denied.failure.reason is reason
    found = diagnose(check, None, [result])
    assert found.layer == "authorization"
    assert found.fails_open == (reason is Reason.STATUS)


async def test_a_persona_that_gets_a_web_page_instead_of_json_is_not_let_in(
    ca: Ca, bench: Bench
) -> None:
    step = Step("list", "authorization", RequestTemplate("GET", URL), Expect(json=("id",)))
    check = ApiCheck("flow", (step,))
    stranger = Persona("stranger", expect_denied=("list",))
    async with serve(ca.context("api.example"), Http({"/": PAGE})) as server:
        result = await bench.run(check, at(server.port), persona=stranger)
    found = diagnose(check, stranger, [result])
    assert (found.layer, found.fails_open) == ("authorization", False)
