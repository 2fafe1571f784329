"""Lists behind a URL, from a server that behaves and one that does not."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding

from probe.discovery import SourceStatus, TargetWatcher, http
from probe.lab.ca import Pki
from probe.model.secret import Secret, SecretError, SecretRef
from probe.model.spec import HttpSource, TargetList
from probe.model.target import Target
from probe.model.tls import Trust

GOOD = b'[{"targets": ["shop.example:443"], "labels": {"owner": "x"}}]'


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


@dataclass
class Endpoint:
    """A server that answers every request with ``answer``; empty bytes are silence."""

    url: str = ""
    answer: bytes = answer(GOOD)
    answers: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    context: ssl.SSLContext | None = None

    async def serve(self, plain: trio.SocketStream) -> None:
        stream: trio.abc.Stream = plain
        if self.context is not None:
            stream = trio.SSLStream(plain, self.context, server_side=True, https_compatible=True)
        async with stream:
            try:
                while head := await _head(stream):
                    self.requests.append(head)
                    if not self.answer:
                        await trio.sleep_forever()
                    await stream.send_all(self.answers.get(head.split()[1], self.answer))
            except trio.BrokenResourceError:
                return


async def _head(stream: trio.abc.Stream) -> str:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        chunk = bytes(await stream.receive_some(65536))
        if not chunk:
            return ""
        data += chunk
    return data.decode()


@asynccontextmanager
async def endpoint(context: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    server = Endpoint(context=context)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    scheme = "http" if context is None else "https"
    server.url = f"{scheme}://127.0.0.1:{listeners[0].socket.getsockname()[1]}/targets"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, server.serve, listeners)
        yield server
        nursery.cancel_scope.cancel()


def watcher(
    url: str,
    timeout: float = 60.0,
    read_secret: Callable[[SecretRef], Secret] | None = None,
    static: tuple[Target, ...] = (),
    trust: Trust | None = None,
) -> TargetWatcher:
    reference = SecretRef("env", "TOKEN") if read_secret else None
    sources = (HttpSource(url, reference, timeout, trust),)
    spec = TargetList("stores", static, http=sources, refresh=0.01)
    return TargetWatcher(spec, read_secret) if read_secret else TargetWatcher(spec)


async def test_a_json_list_gives_targets_with_labels() -> None:
    async with endpoint() as server:
        watched = watcher(server.url)
        await watched.look()
    (status,) = watched.statuses
    assert watched.targets == (Target("shop.example", 443, {"owner": "x"}),)
    assert (status.up, status.targets, status.problems) == (True, 1, ())
    assert "x-prometheus-refresh-interval-seconds: 0.01" in server.requests[0]


@pytest.mark.parametrize(
    "body",
    [
        answer(gzip.compress(GOOD), headers="Content-Encoding: GZIP\r\n"),
        answer(b"\xef\xbb\xbf" + GOOD),
    ],
)
async def test_a_packed_list_and_one_with_a_byte_order_mark_are_read(body: bytes) -> None:
    async with endpoint() as server:
        server.answer = body
        watched = watcher(server.url)
        await watched.look()
    assert [target.name for target in watched.targets] == ["shop.example"]
    assert "accept-encoding: gzip" in server.requests[0]


async def test_a_redirect_within_the_origin_is_followed_with_the_token() -> None:
    async with endpoint() as server:
        server.answers["/moved"] = answer(GOOD)
        server.answer = answer(b"", "302 Found", "location: /moved\r\n")
        watched = watcher(server.url, read_secret=lambda ref: Secret("tok"))
        await watched.look()
    assert watched.statuses[0].problems == ()
    assert [target.name for target in watched.targets] == ["shop.example"]
    assert all("authorization: Bearer tok\r\n" in request for request in server.requests)


async def test_one_bad_entry_leaves_the_source_up_and_the_others_in_use() -> None:
    async with endpoint() as server:
        server.answer = answer(
            b'[{"targets": ["a.example", "b c", null], "labels": {"k8s.io/app": "x", "n": 5}}]'
        )
        watched = watcher(server.url)
        await watched.look()
        (status,) = watched.statuses
        assert (status.up, status.targets, status.rejected) == (True, 1, 3)
        assert status.problems == (
            f'{server.url}:1:28: "b c" contains a space; write one name per entry',
            f"{server.url}:1:35: expected a name, found nothing",
            f'{server.url}:1:53: "k8s.io/app" is not a valid label name; '
            "use letters, digits and underscores",
        )
        assert watched.targets == (Target("a.example", labels={"n": "5"}),)


async def test_a_server_of_a_private_authority_needs_its_roots_named(tmp_path: Path) -> None:
    pki = Pki(datetime.now(UTC))
    one = pki.credential("127.0.0.1")
    assert not isinstance(one.key, bytes)
    key = one.key.private_bytes(
        Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pair, roots = tmp_path / "server.pem", tmp_path / "roots.pem"
    pair.write_bytes(b"".join(part.public_bytes(Encoding.PEM) for part in one.chain) + key)
    roots.write_bytes(pki.roots_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    async with endpoint(context) as server:
        watched = watcher(server.url)
        await watched.look()
        (problem,) = watched.statuses[0].problems
        assert problem.startswith(f"{server.url}: certificate not trusted (")
        assert problem.endswith("; name its roots with trust:")
        watched = watcher(server.url, trust=Trust("file", str(roots)))
        await watched.look()
        assert watched.statuses[0].problems == ()
        assert [target.name for target in watched.targets] == ["shop.example"]
        watched = watcher(server.url, trust=Trust("file", str(tmp_path / "none.pem")))
        await watched.look()
        assert "none.pem: No such file" in watched.statuses[0].problems[0]


PACKED = "content-encoding: gzip\r\n"
FAULTS: dict[str, tuple[bytes, str]] = {
    "server error": (answer(b"[]", "503 Service Unavailable"), "status 503"),
    "redirect to itself": (answer(b"", "302 Found", "location: /targets\r\n"), "redirects"),
    "redirect elsewhere": (
        answer(b"", "302 Found", "location: https://u:hunter2@sd.example/a?b\r\n"),
        "redirects to another origin, https://sd.example/a",
    ),
    "redirect nowhere": (answer(b"", "302 Found"), "status 302"),
    "no content": (answer(b"", "204 No Content"), "status 204"),
    "no JSON": (answer(b"<html>Sign in</html>"), "not valid JSON"),
    "no list": (answer(b"{}"), "expected a list of groups"),
    "nothing": (answer(b""), "empty"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "RemoteProtocolError"),
    "cut off": (b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n[]", "within 1 s"),
    "packed and cut off": (answer(gzip.compress(GOOD)[:-9], headers=PACKED), "damaged (gzip)"),
    "packed and damaged": (answer(b"\x1f\x8b" + GOOD, headers=PACKED), "damaged (gzip)"),
    "packed otherwise": (answer(GOOD, headers="content-encoding: br\r\n"), "coded (br)"),
    "too large": (answer(GOOD + b" " * 2000), "larger than"),
    "a bomb": (answer(gzip.compress(b" " * 5_000_000), headers=PACKED), "larger than"),
    "silence": (b"", "no whole answer within 1 s"),
}


@pytest.mark.parametrize(("reply", "problem"), FAULTS.values(), ids=FAULTS)
async def test_each_fault_keeps_the_last_good_list_and_says_so(
    reply: bytes, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MOST_BYTES", 1000)
    async with endpoint() as server:
        # Only two of them need a time-out; the others have all the time of a busy machine.
        watched = watcher(server.url, timeout=1 if "within 1 s" in problem else 60)
        await watched.look()
        server.answer = reply
        await watched.look()
        (status,) = watched.statuses
        assert not status.up
        assert problem in status.problems[0]
        assert [target.name for target in watched.targets] == ["shop.example"]
        server.answer = answer(b'[{"targets": ["other.example"]}]')
        await watched.look()
        assert watched.statuses[0].problems == ()
        assert [target.name for target in watched.targets] == ["other.example"]


async def test_a_server_that_is_not_there_is_a_problem() -> None:
    async with endpoint() as server:
        pass
    watched = watcher(server.url)
    await watched.look()
    (problem,) = watched.statuses[0].problems
    assert problem.startswith(f"{server.url}: no answer (")
    assert "Connection refused" in problem


async def test_a_slow_server_does_not_hold_up_the_start_and_its_list_comes_later() -> None:
    told: list[tuple[Target, ...]] = []
    statuses: list[SourceStatus] = []

    changed = trio.Event()

    async def on_change(targets: tuple[Target, ...]) -> None:
        told.append(targets)
        changed.set()

    async with endpoint() as server:
        server.answer = b""
        watched = watcher(server.url, timeout=0.05, static=(Target("s.example"),))
        async with trio.open_nursery() as nursery:
            first = await nursery.start(watched.watch, on_change, statuses.append)
            assert first == (Target("s.example"),)
            with trio.fail_after(30):
                while not statuses:
                    await trio.sleep(0.01)
            server.answer = answer(GOOD)
            with trio.fail_after(30):
                await changed.wait()
            nursery.cancel_scope.cancel()
    assert [target.name for target in told[0]] == ["s.example", "shop.example"]


async def test_the_bearer_token_is_read_for_each_fetch() -> None:
    tokens = iter(("first", "second\n"))
    async with endpoint() as server:
        watched = watcher(server.url, read_secret=lambda ref: Secret(next(tokens)))
        await watched.look()
        await watched.look()
    assert "authorization: Bearer first\r\n" in server.requests[0]
    assert "authorization: Bearer second\r\n" in server.requests[1]


async def test_a_missing_or_unfit_secret_is_a_problem_that_shows_nothing_of_it() -> None:
    def missing(reference: SecretRef) -> Secret:
        raise SecretError(f"{reference} is not set")

    async with endpoint() as server:
        for read in (missing, lambda ref: Secret("tok\r\nx-evil: en")):
            watched = watcher(server.url, read_secret=read)
            await watched.look()
            (status,) = watched.statuses
            assert "env:TOKEN" in status.problems[0]
            assert "evil" not in str(status)
    assert server.requests == []


async def test_user_password_and_query_of_a_url_are_never_shown() -> None:
    watched = watcher("http://user:hunter2@127.0.0.1:1/targets?key=hunter2")
    await watched.look()
    assert "hunter2" not in str(watched.statuses)
    assert watched.statuses[0].source == "http://127.0.0.1:1/targets"


TOKEN = "Zq7vKx93mWtB4nLs"


@pytest.mark.parametrize(
    "reply",
    [
        answer(GOOD, headers=f"Content-Encoding: {TOKEN}\r\n"),
        answer(b"", "302 Found", f"Location: https://{TOKEN}.example/{TOKEN}\r\n"),
        answer(f'[{{"targets": ["{TOKEN} x"]}}]'.encode()),
        answer(f'[{{"targets": [], "{TOKEN}": 1}}]'.encode()),
        answer(f'[{{"targets": ["{TOKEN}.example"]}}]'.encode()),
        answer(f'[{{"targets": ["shop.example"], "labels": {{"a": "-{TOKEN}-"}}}}]'.encode()),
        answer(f'[{{"targets": ["shop.example"], "labels": {{"{TOKEN}": "a"}}}}]'.encode()),
        answer(
            '[{{"targets": ["shop.example"], "labels": {{"a": "{}"}}}}]'.format(
                "".join(f"\\u{ord(c):04x}" for c in TOKEN)
            ).encode()
        ),
    ],
)
async def test_a_list_that_shows_its_token_is_not_taken(reply: bytes) -> None:
    async with endpoint() as server:
        watched = watcher(server.url, read_secret=lambda ref: Secret(TOKEN))
        await watched.look()
        server.answer = reply
        await watched.look()
    (status,) = watched.statuses
    assert status.problems
    assert TOKEN.lower() not in repr(status).lower()
    assert TOKEN.lower() not in repr(watched.targets).lower()
    assert [target.name for target in watched.targets] in (["shop.example"], [])
