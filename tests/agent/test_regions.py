"""Other agents are asked over real sockets: one answers, one is killed, one hangs."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import bcrypt
import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from probe.agent import regions as regions_module
from probe.agent.regions import Peers
from probe.lab.ca import Credential, LeafShape, Pki
from probe.model.secret import Secret, SecretRef
from probe.model.spec import Listen, Regions, RegionsLogin
from probe.model.tls import ClientCertificate, Trust
from probe.serve import Store, application, serve
from probe.serve.http.guard import Guard
from probe.serve.memory.agent import AgentFacts
from probe.serve.page.region_report import MOST_BYTES
from probe.serve.page.regions_view import HeardAgent
from tests.serve.test_regions import FINE
from tests.serve.test_serving import ask
from tests.serve.world import filled
from tests.support.browser import Browser, chromium
from tests.support.tls_server import write_pem


def never(_: SecretRef) -> Secret:
    raise AssertionError("no secret is needed here")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine answers late; who hangs does so for ever."""
    monkeypatch.setattr(regions_module, "PERIOD", 0.0)
    monkeypatch.setattr(regions_module, "WAIT", 60.0)


@asynccontextmanager
async def asking(regions: Regions, password: str = "") -> AsyncIterator[Peers]:
    peers = Peers((lambda _: Secret(password)) if password else never)
    peers.configure(regions)
    async with trio.open_nursery() as nursery:
        await nursery.start(peers.run)
        yield peers
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def agent(region: str, guard: Guard | None = None) -> AsyncIterator[str]:
    stop = trio.Event()
    store = filled(targets=2, store=Store(region, started_at=0.0))
    async with trio.open_nursery() as nursery:
        start = partial(
            serve, application(store), Listen("127.0.0.1", 0), stop=stop.wait, guard=guard
        )
        yield await nursery.start(start)
        stop.set()


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that says the same to everybody; None says nothing, for ever."""
    asked: list[bytes] = []

    async def talk(stream: trio.SocketStream) -> None:
        async with stream:
            asked.append(bytes(await stream.receive_some()))
            if answer is None:
                await trio.sleep_forever()
            with suppress(trio.BrokenResourceError):
                await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, talk, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}", asked
        nursery.cancel_scope.cancel()


def whole(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    head = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), b"Connection: close"]
    return b"\r\n".join([*head, *headers, b"", body])


async def looked(peers: Peers) -> list[HeardAgent]:
    with trio.fail_after(90):
        found = await peers.look()
    assert found is not None
    return list(found)


async def test_three_agents_of_which_one_dies_and_one_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(regions_module, "DEADLINE", 20.0)
    async with agent("eu-west") as lives, answering(None) as (hangs, _):
        async with agent("us-east") as dies:
            pages = (lives, dies)
            async with asking(Regions(pages=pages)) as peers:
                both = await looked(peers)
                assert [one.region for one in both] == ["eu-west", "us-east"]
                assert all(one.report is not None for one in both)
        monkeypatch.setattr(regions_module, "DEADLINE", 3.0)
        async with asking(Regions(pages=(lives, dies, hangs))) as peers:
            alive, dead, hung = await looked(peers)
            assert alive.report is not None
            assert (dead.report, hung.report) == (None, None)
            assert "no answer" in dead.problem
            assert hung.problem == "no whole answer within 3 s"
            since = hung.silent_since
            assert since is not None
            again = (await looked(peers))[2]
            assert again.silent_since == since, "silent since the first time"


async def test_an_agent_that_falls_silent_loses_its_report_and_keeps_its_name() -> None:
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        app = application(filled(targets=2, store=Store("eu-west", started_at=0.0)))
        address = await nursery.start(partial(serve, app, Listen("127.0.0.1", 0), stop=stop.wait))
        async with asking(Regions(pages=(address,))) as peers:
            (before,) = await looked(peers)
            stop.set()
            with trio.fail_after(60):
                while (await looked(peers))[0].report is not None:
                    await trio.sleep(0.05)
            (after,) = await looked(peers)
        assert (after.region, after.report) == ("eu-west", None)
        assert after.at is not None
        assert before.at is not None
        assert after.silent_since is not None


def _hostile() -> Iterator[tuple[str, bytes, str]]:
    report = json.dumps(asdict(FINE)).encode()
    yield "too large", whole(b" " * (MOST_BYTES + 1)), "larger than"
    yield "not JSON", whole(b"<html>"), "not JSON"
    yield "cut off", whole(report)[:-5], "no answer"
    yield "zipped", whole(report, b"Content-Encoding: br"), "coded"
    yield "elsewhere", whole(b"", b"Location: http://127.0.0.2/", status=b"302 Found"), "302"
    yield "no login", whole(b"", status=b"401 Unauthorized"), "refuses the login"
    yield "old", whole(b"", status=b"404 Not Found"), "its version"
    yield "other name", whole(b"", status=b"421 Misdirected Request"), "host_names"
    yield "a day off", whole(report), "its clock"


@pytest.mark.parametrize(("answer", "why"), [one[1:] for one in _hostile()])
async def test_what_is_no_answer_is_silence_with_a_reason(answer: bytes, why: str) -> None:
    async with answering(answer) as (page, _), asking(Regions(pages=(page,))) as peers:
        (one,) = await looked(peers)
    assert one.report is None
    assert why in one.problem


async def test_nobody_is_asked_while_nobody_looks_and_only_for_their_own_region() -> None:
    async with answering(whole(b"{}")) as (page, asked), asking(Regions(pages=(page,))) as peers:
        await trio.testing.wait_all_tasks_blocked()
        assert asked == []
        await looked(peers)
        assert [one.split(b" ")[1] for one in asked] == [b"/api/v1/region"]


async def test_who_was_not_asked_yet_is_there_and_did_not_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(regions_module, "WAIT", 0.0)
    peers = Peers(never)
    peers.configure(Regions(pages=("http://eu.example",), agents="http://all.example"))
    found = await looked(peers)
    assert [(one.page, one.report) for one in found] == [
        ("http://eu.example", None),
        ("http://all.example", None),
    ]
    assert {one.problem for one in found} == {"it was not asked yet"}


async def test_agents_above_the_limit_are_said_to_be_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(regions_module, "MOST_AGENTS", 1)
    async with agent("eu-west") as address:
        pages = (f"http://{address}", "http://127.0.0.1:1")
        async with asking(Regions(pages=pages)) as peers:
            found = {one.page: one for one in await looked(peers)}
    assert found["other agents"].report is None
    assert found["other agents"].problem == "1 more than are asked (at most 1)"


async def test_looks_within_a_period_share_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions_module, "PERIOD", 1000.0)
    async with answering(whole(b"{}")) as (page, asked):
        peers = Peers(never)
        peers.configure(Regions(pages=(page,)))
        async with trio.open_nursery() as nursery:
            await nursery.start(peers.run)
            async with trio.open_nursery() as lookers:
                for _ in range(20):
                    lookers.start_soon(looked, peers)
            await looked(peers)
            nursery.cancel_scope.cancel()
        assert len(asked) == 1


async def test_every_address_behind_the_name_is_asked() -> None:
    async with agent("eu-west") as address:
        port = address.rpartition(":")[2]
        async with asking(Regions(agents=f"http://localhost:{port}")) as peers:
            found = {one.page: one for one in await looked(peers)}
    assert found[f"http://127.0.0.1:{port}"].region == "eu-west"


async def test_a_name_without_addresses_is_silent() -> None:
    async with asking(Regions(agents="http://nobody.invalid:1")) as peers:
        (one,) = await looked(peers)
    assert one.page == "http://nobody.invalid:1"
    assert "nobody.invalid" in one.problem
    assert one.silent_since is not None


@pytest.fixture
def folder(tmp_path: Path, pki: Pki) -> Path:
    """A web configuration that asks for a certificate and a login, and what a client needs."""
    write_pem(tmp_path, pki.credential("localhost"))
    shape = LeafShape(purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    leaf = pki.leaf(["agent.example.com"], shape=shape)
    write_pem(tmp_path, Credential((leaf, pki.issuer.certificate), pki.leaf_key), "client")
    (tmp_path / "ca.pem").write_bytes(pki.roots_pem())
    (tmp_path / "other.pem").write_bytes(
        pki.stranger.certificate.public_bytes(serialization.Encoding.PEM)
    )
    hashed = bcrypt.hashpw(b"right-horse", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(f"""\
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_ca_file: ca.pem
  client_auth_type: RequireAndVerifyClientCert
basic_auth_users:
  page: {hashed}
""")
    return tmp_path


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki(datetime.now(UTC))


async def test_tls_certificate_and_login_as_the_web_configuration_asks(folder: Path) -> None:
    guard = Guard(folder / "web.yml", AgentFacts())
    await guard.start()
    pair = ClientCertificate(
        SecretRef("file", str(folder / "client.pem")), SecretRef("file", str(folder / "client.key"))
    )
    login = RegionsLogin("page", SecretRef("file", "password"))
    async with agent("eu-west", guard) as address:
        port = address.rpartition(":")[2]
        good = Regions(
            agents=f"https://localhost:{port}",
            trust=Trust("file", str(folder / "ca.pem")),
            client_certificate=pair,
            login=login,
        )
        cases = [
            (good, "right-horse", ""),
            (replace(good, client_certificate=None), "right-horse", "client certificate"),
            (good, "wrong-horse", "refuses the login"),
            (
                replace(good, trust=Trust("file", str(folder / "server.pem"))),
                "right-horse",
                "trust",
            ),
            (replace(good, trust=Trust("file", "/nowhere.pem")), "right-horse", "No such file"),
        ]
        for regions, password, why in cases:
            async with asking(regions, password) as peers:
                found = {one.page: one for one in await looked(peers)}
            one = found[f"https://127.0.0.1:{port}"]
            assert bool(one.report) is not bool(why), (one.problem, why)
            assert why in one.problem
            assert password not in one.problem


async def test_an_answer_that_shows_the_password_is_refused() -> None:
    shown = asdict(replace(FINE, now=time.time(), sentence="it is right-horse"))
    login = RegionsLogin("page", SecretRef("file", "password"))
    async with answering(whole(json.dumps(shown).encode())) as (page, asked):
        async with asking(Regions(pages=(page,), login=login), "right-horse") as peers:
            (one,) = await looked(peers)
        assert b"authorization: basic " in asked[0].lower()
        async with asking(Regions(pages=(page,), login=login), "other-horse") as peers:
            (other,) = await looked(peers)
    assert one.report is None
    assert "refused" in one.problem
    assert "right-horse" not in one.problem
    assert other.report is not None


@pytest.mark.slow
async def test_a_browser_shows_who_falls_silent(tmp_path: Path) -> None:
    headline = "document.querySelector('h1')?.innerText ?? ''"

    async def until(browser: Browser, words: str) -> None:
        said = ""
        with trio.move_on_after(90):
            while words not in (said := await browser.asked(headline) or ""):
                await trio.sleep(0.1)
        assert words in said

    store = filled(targets=2, store=Store("sa-east", started_at=0.0))
    async with chromium(tmp_path / "profile") as browser, trio.open_nursery() as nursery:
        async with agent("eu-west") as address:
            peers = Peers(never)
            peers.configure(Regions(pages=(address,)))
            await nursery.start(peers.run)
            app = application(store, peers=peers.look)
            ours = await nursery.start(
                partial(serve, app, Listen("127.0.0.1", 0), stop=trio.sleep_forever)
            )
            await browser.open(f"{ours}/regions")
            await until(browser, "sa-east and eu-west see failures")
        await until(browser, "sa-east sees failures; eu-west is silent since")
        rows = await browser.asked("document.querySelector('tbody').innerText")
        assert "Nothing is known of it." in rows
        nursery.cancel_scope.cancel()


async def test_a_page_of_all_regions_joins_what_two_agents_see() -> None:
    async with agent("eu-west") as address, asking(Regions(pages=(address,))) as peers:
        store = filled(targets=2, store=Store("sa-east", started_at=0.0))
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            app = application(store, peers=peers.look)
            ours = await nursery.start(partial(serve, app, Listen("127.0.0.1", 0), stop=stop.wait))
            head, body = await ask(ours, "/api/v1/regions")
            _, page = await ask(ours, "/regions")
            stop.set()
    assert head.startswith("HTTP/1.1 200 ")
    answer = json.loads(body)
    assert [row["name"] for row in answer["agents"]] == ["sa-east", "eu-west"]
    assert answer["level"] == "trouble"
    assert {one["seen_by"] for one in answer["problems"]} == {2}
    assert b"eu-west" in page
