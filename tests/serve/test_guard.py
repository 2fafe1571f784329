"""Who the port lets in: TLS, client certificates, logins and rate, over real sockets."""

from __future__ import annotations

import base64
import logging
import shutil
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import bcrypt
import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from probe.cli.health import ask as ask_health
from probe.lab.ca import Credential, LeafShape, Pki
from probe.model.spec import Listen
from probe.serve import Store, application, serve
from probe.serve.http import guard as guarding
from probe.serve.http import server as server_module
from probe.serve.http.guard import Guard, Logins
from probe.serve.http.message import Refused
from tests.support.tls_server import write_pem

from .world import filled

RIGHT = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
PAIR = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
CLIENTS = PAIR + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
LOGIN = f"basic_auth_users:\n  prometheus: {RIGHT}\n"


@pytest.fixture
def folder(tmp_path: Path, pki: Pki) -> Path:
    write_pem(tmp_path, pki.credential("localhost"))
    (tmp_path / "ca.pem").write_bytes(pki.roots_pem())
    shape = LeafShape(purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    for stem, name, issuer in (
        ("client", "prometheus.example.com", pki.issuer),
        ("other", "other.example.com", pki.issuer),
        ("stranger", "prometheus.example.com", pki.stranger),
    ):
        leaf = pki.leaf([name], issuer=issuer, shape=shape)
        write_pem(tmp_path, Credential((leaf, issuer.certificate), pki.leaf_key), stem)
    return tmp_path


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "LOOK", 0.05)
    monkeypatch.setattr(guarding, "SLOWED", 0.05)


class Port:
    """A guarded port, and questions to it."""

    def __init__(self, folder: Path, store: Store, number: int) -> None:
        self.folder = folder
        self.store = store
        self.number = number

    async def ask(
        self, path: str, *headers: str, client: str | None = None, tls: bool = True
    ) -> tuple[int, str]:
        """Status and whole text of an answer."""
        stream: trio.abc.Stream = await trio.open_tcp_stream("127.0.0.1", self.number)
        if tls:
            context = ssl.create_default_context(cafile=self.folder / "ca.pem")
            if client is not None:
                context.load_cert_chain(
                    self.folder / f"{client}.pem", self.folder / f"{client}.key"
                )
            stream = trio.SSLStream(
                stream, context, server_hostname="localhost", https_compatible=True
            )
        async with stream:
            lines = (f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers)
            await stream.send_all("\r\n".join((*lines, "", "")).encode())
            answer = b"".join([data async for data in stream]).decode("latin-1")
        return int(answer.split(" ")[1]), answer

    async def status(self, path: str, *headers: str, **how: str | bool | None) -> int:
        return (await self.ask(path, *headers, **how))[0]  # type: ignore[arg-type]

    def counted(self, name: str) -> float:
        """The value of one of the agent's series."""
        return next(v for family, v, _ in self.store.agent.samples() if family.name == name)


@asynccontextmanager
async def guarded(folder: Path, text: str) -> AsyncIterator[Port]:
    path = folder / "web.yml"
    path.write_text(text)
    store = filled(targets=1)
    guard = Guard(path, store.agent)
    await guard.start()
    stop = trio.Event()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(guard.follow)
            start = partial(
                serve, application(store), Listen("127.0.0.1", 0), guard=guard, stop=stop.wait
            )
            address = await nursery.start(start)
            yield Port(folder, store, int(address.rpartition(":")[2]))
            stop.set()
            nursery.cancel_scope.cancel()


def login(name: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


async def test_a_crowd_of_handshakes_from_another_address_keeps_nobody_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who did its handshake before the crowd came asks after it, and is answered."""
    monkeypatch.setattr(server_module, "IDLE", 60.0)
    monkeypatch.setattr(server_module, "CONNECTIONS", 16)
    async with guarded(folder, PAIR) as port, AsyncExitStack() as each:
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        waits = trio.SSLStream(
            await trio.open_tcp_stream("127.0.0.1", port.number),
            context,
            server_hostname="localhost",
            https_compatible=True,
        )
        await waits.do_handshake()
        said = hello()
        for _ in range(30):
            crowd = await trio.open_tcp_stream("127.0.0.1", port.number, local_address="127.0.0.2")
            await each.enter_async_context(crowd)
            with suppress(trio.BrokenResourceError):
                await crowd.send_all(said)
        async with waits:
            await waits.send_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = b"".join([data async for data in waits])
    assert answer.startswith(b"HTTP/1.1 200 ")


def hello() -> bytes:
    """A ClientHello."""
    outgoing = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), outgoing, server_hostname="localhost"
    )
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


async def test_over_tls_every_path_is_as_it_was(folder: Path) -> None:
    async with guarded(folder, PAIR) as port:
        for path in ("/metrics", "/healthz", "/", "/api/v1/status?edges=10000"):
            status, answer = await port.ask(path)
            assert status == 200, path
        assert answer.endswith('"edges_next": null}\n\r\n0\r\n\r\n')


async def test_plain_http_is_told_that_the_port_speaks_https(folder: Path) -> None:
    async with guarded(folder, PAIR) as port:
        status, answer = await port.ask("/metrics", tls=False)
        assert (status, "https://" in answer) == (400, True)
        for junk in (b"\x16\x03\x01\x00\x05junk!", b"\x00" * 100, b"\x16\x03\x01\xff\xff" * 9):
            async with await trio.open_tcp_stream("127.0.0.1", port.number) as stream:
                await stream.send_all(junk)
                await stream.send_eof()
                with suppress(trio.BrokenResourceError):  # an alert, or nothing, and the end
                    while await stream.receive_some(100):
                        pass
        assert await port.status("/healthz") == 200


async def test_health_asks_over_tls_by_itself_and_needs_no_login(folder: Path) -> None:
    async with guarded(folder, CLIENTS + LOGIN) as port:
        for path in ("/healthz", "/readyz"):
            asked = partial(ask_health, f"127.0.0.1:{port.number}", path, 5.0)
            assert await trio.to_thread.run_sync(asked) is None


async def test_a_client_certificate_is_required_and_its_name_is_looked_at(folder: Path) -> None:
    names = CLIENTS + "  client_allowed_sans: [prometheus.example.com]\n"
    async with guarded(folder, names) as port:
        assert await port.status("/metrics", client="client") == 200
        for client in (None, "other"):
            for path in ("/metrics", "/", "/api/v1/status", "/healthz/../metrics", "//healthz"):
                assert await port.status(path, client=client) == 403, path
            assert await port.status("/healthz", client=client) == 200
        with pytest.raises((trio.BrokenResourceError, IndexError)):
            await port.ask("/metrics", client="stranger")


async def test_only_the_right_password_lets_in(folder: Path) -> None:
    async with guarded(folder, LOGIN) as port:
        ask = partial(port.ask, tls=False)
        assert (await ask("/metrics", login("prometheus", "right")))[0] == 200
        wrong = [
            login("prometheus", "wrong"),
            login("prometheus", ""),
            login("prometheus", "right\0"),
            login("Prometheus", "right"),
            login("nobody", "right"),
            login("nobody", "." * 100),
            "Authorization: Basic",
            "Authorization: Basic !!!",
            "Authorization: Bearer right",
            "Authorization: Basic " + base64.b64encode(b"prometheus").decode(),
            "X: y",
        ]
        for header in wrong:
            status, answer = await ask("/metrics", header)
            assert (status, "WWW-Authenticate: Basic" in answer) == (401, True), header
            assert "probe_success" not in answer
        assert port.counted("probe_agent_web_logins_failed_total") == 6
        for path in ("/", "/target/store-00000.example", "/static/style.css", "/nowhere"):
            assert (await ask(path))[0] == 401, path
        assert (await ask("/healthz"))[0] == 200


async def test_what_changes_holds_at_once_and_what_is_broken_changes_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture, pki: Pki
) -> None:
    caplog.set_level(logging.INFO)
    async with guarded(folder, PAIR) as port:

        async def until(status: int) -> None:
            while await port.status("/metrics") != status:
                await trio.sleep(0.02)

        (folder / "web.yml").write_text(PAIR + LOGIN)
        await until(401)
        (folder / "web.yml").write_text(PAIR)
        await until(200)
        write_pem(folder, pki.credential("localhost", "rsa"), "next")
        shutil.copy(folder / "next.pem", folder / "server.pem")  # no pair with the old key
        while not port.counted("probe_agent_web_config_failures_total"):
            await trio.sleep(0.02)
        assert port.counted("probe_agent_web_config_last_reload_success") == 0
        assert await port.status("/metrics") == 200
        assert "the one before stays in use" in caplog.text
        shutil.copy(folder / "next.key", folder / "server.key")
        while not port.counted("probe_agent_web_config_last_reload_success"):
            await trio.sleep(0.02)
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        stream = trio.SSLStream(
            await trio.open_tcp_stream("127.0.0.1", port.number),
            context,
            server_hostname="localhost",
        )
        await stream.do_handshake()
        presented = stream.getpeercert(binary_form=True)
        leaf = pki.credential("localhost", "rsa").chain[0]
        assert presented == leaf.public_bytes(Encoding.DER)
        await stream.transport_stream.aclose()


async def test_headers_of_the_file_come_with_every_answer(folder: Path) -> None:
    text = "http_server_config: {headers: {X-Frame-Options: sameorigin}}\n"
    async with guarded(folder, text) as port:
        for path in ("/", "/healthz", "/nowhere"):
            _, answer = await port.ask(path, tls=False)
            assert answer.count("X-Frame-Options: sameorigin") == 1
            assert "X-Frame-Options: deny" not in answer


async def test_more_requests_than_allowed_are_refused_but_health_is_not(folder: Path) -> None:
    async with guarded(folder, "rate_limit: {interval: 1h, burst: 2}\n") as port:
        statuses = [await port.status("/metrics", tls=False) for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert await port.status("/healthz", tls=False) == 200


# ---------------------------------------------------------------- logins without sockets


@pytest.fixture
def failures() -> list[int]:
    return []


@pytest.fixture
def logins(failures: list[int]) -> Iterator[Logins]:
    return Logins(lambda: failures.append(1))  # type: ignore[return-value]


USERS = {"prometheus": RIGHT.encode()}


async def test_a_good_login_is_checked_once(
    logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bytes] = []
    real = bcrypt.checkpw

    def checkpw(password: bytes, stored: bytes) -> bool:
        checked.append(stored)
        return real(password, stored)

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    header = login("prometheus", "right").partition(": ")[2]
    for _ in range(5):
        await logins.check(header, USERS, "192.0.2.1")
    assert len(checked) == 1
    changed = {"prometheus": bcrypt.hashpw(b"new", bcrypt.gensalt(4))}
    with pytest.raises(Refused):
        await logins.check(header, changed, "192.0.2.1")
    assert len(checked) == 2


async def test_unknown_names_cost_as_much_as_known_ones(
    logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[bytes] = []

    def checkpw(_: bytes, stored: bytes) -> bool:
        costs.append(stored.split(b"$")[2])
        return False

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    for name in ("prometheus", "nobody"):
        with pytest.raises(Refused):
            await logins.check(login(name, "x").partition(": ")[2], USERS, "192.0.2.1")
    assert costs == [b"04", b"04"]


async def test_clients_of_ipv4_do_not_wait_for_each_other_at_a_port_of_both_families(
    logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "SLOWED", 30.0)
    wrong, good = (login("prometheus", word).partition(": ")[2] for word in ("x", "right"))
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(logins.check, wrong, USERS, "::ffff:192.0.2.9")
            await trio.testing.wait_all_tasks_blocked(0.05)
            await logins.check(good, USERS, "::ffff:192.0.2.1")
            nursery.cancel_scope.cancel()


async def test_who_guesses_waits_for_his_own_guesses_only(
    logins: Logins, failures: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred guesses at once: five are checked or wait, the others are refused; a good login
    from elsewhere, and one that was good before, do not wait for them."""
    monkeypatch.setattr(guarding, "SLOWED", 30.0)
    good = login("prometheus", "right").partition(": ")[2]
    statuses: list[int] = []

    async def guess(number: int) -> None:
        try:
            await logins.check(
                login("prometheus", str(number)).partition(": ")[2], USERS, f"2001:db8::{number:x}"
            )
        except Refused as refused:
            statuses.append(refused.status)

    with trio.fail_after(10):
        await logins.check(good, USERS, "192.0.2.1")
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(guess, number)
            while len(statuses) < 95:
                await trio.sleep(0.01)
            assert set(statuses) == {429}
            await logins.check(good, USERS, "2001:db8::1")
            fresh = Logins(lambda: None)
            await fresh.check(good, USERS, "198.51.100.1")
            nursery.cancel_scope.cancel()
    assert len(failures) >= 95


async def test_handshake_starters_hold_no_more_than_idle_clients(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "CONNECTIONS", 8)
    async with guarded(folder, PAIR) as port:
        waiting = []
        for number in range(40):
            stream = await trio.open_tcp_stream("127.0.0.1", port.number)
            await stream.send_all(b"\x16\x03\x01\x02\x00"[: number % 6])
            waiting.append(stream)
        assert await port.status("/metrics") == 200
        for stream in waiting:
            await stream.aclose()
