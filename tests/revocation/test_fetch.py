"""One look at a URL, against a server on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import trio

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.edges import EdgeFinder
from probe.http.session import Dialler
from probe.model.secret import Secret, SecretError, SecretRef
from probe.model.target import AddressRules
from probe.revocation import fetch
from probe.revocation.fetch import Copy, ListFetcher, NoCopy
from tests.support.ports import HERE
from tests.support.tls_server import start

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
LIST = OK + b'ETag: "a"\r\nLast-Modified: then\r\nCache-Control: max-age=600\r\n\r\nabc'


def no_secrets(reference: SecretRef) -> Secret:
    raise SecretError(str(reference))


def fetcher(rules: AddressRules = HERE) -> ListFetcher:
    judge = Judge()
    dialler = Dialler(TlsContexts(no_secrets), judge, time.time)
    return ListFetcher(dialler, EdgeFinder().resolve, lambda: rules)


class Server:
    """Says one thing, and keeps what it was asked."""

    def __init__(self, says: bytes | Callable[[trio.SocketStream], object]) -> None:
        self.says = says
        self.asked: list[str] = []

    async def __call__(self, stream: trio.SocketStream) -> None:
        self.asked.append((await stream.receive_some()).decode())
        assert isinstance(self.says, bytes)
        await stream.send_all(self.says)


async def looked(
    server: Server, before: Copy | None = None, rules: AddressRules = HERE
) -> Copy | str:
    """The copy that came, or why none did."""
    async with trio.open_nursery() as nursery:
        edge = await start(nursery, server)
        try:
            found: Copy | str = await fetcher(rules).fetch(f"http://{edge.label}/a", before, 0)
        except NoCopy as why:
            found = str(why)
        nursery.cancel_scope.cancel()
    return found


async def refused(server: Server, rules: AddressRules = HERE) -> str:
    found = await looked(server, rules=rules)
    assert isinstance(found, str)
    return found


async def test_a_list_comes_with_what_is_asked_next_time() -> None:
    server = Server(LIST)
    assert await looked(server) == Copy(b"abc", '"a"', "then", 600)
    assert server.asked[0].startswith("GET /a HTTP/1.1\r\n")
    assert "Accept-Encoding: identity" in server.asked[0]
    assert "If-" not in server.asked[0]


async def test_what_is_here_is_not_sent_again() -> None:
    server = Server(b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=9\r\n\r\n")
    before = Copy(None, '"a"', "then")
    assert await looked(server, before) == Copy(None, '"a"', "then", 9)
    assert 'If-None-Match: "a"\r\nIf-Modified-Since: then\r\n' in server.asked[0]


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "status 304"),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
            "status 301 to http://169.254.169.254/, which is not followed",
        ),
        (b"SSH-2.0-x\r\n", "http_invalid"),
        (OK + b"\r\na", "closed"),
        (OK + b"Content-Encoding: rot13\r\n\r\nabc", "unknown way"),
    ],
)
async def test_everything_else_is_said_in_words(says: bytes, why: str) -> None:
    assert why in await refused(Server(says))


async def test_a_list_that_is_too_long_is_not_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MOST_BYTES", 1 << 20)
    length = 2 << 20
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
    assert "longer than 1 MiB" in await refused(Server(head + bytes(length)))


async def test_addresses_of_this_host_are_refused_by_default() -> None:
    server = Server(LIST)
    assert "address_refused: 127.0.0.1 is a loopback" in await refused(server, AddressRules())
    assert server.asked == []


async def test_a_server_that_says_nothing_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "DEADLINE", 0.3)

    class Silent(Server):
        async def __call__(self, stream: trio.SocketStream) -> None:
            await trio.sleep_forever()

    assert "timeout" in await refused(Silent(b""))


@pytest.mark.parametrize("url", ["http://[::1", "http://x:99999/", "ftp://x/", "http://u:p@x/"])
async def test_a_url_that_cannot_be_called_is_said(url: str) -> None:
    with pytest.raises(NoCopy):
        await fetcher().fetch(url, None, 0)
