"""Session tickets across edges: resumed, refused in peace, or broken; and who is blamed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trio
from OpenSSL import SSL

from probe.certificates import Judge
from probe.connection import openssl
from probe.connection.contexts import TlsContexts
from probe.connection.failures import AttemptFailed
from probe.connection.resumption import MOST_AGE, SessionTicket, TicketStore, ticket_of
from probe.connection.timeline import Presented, Timeline
from probe.lab.board import Where
from probe.lab.hello import parse
from probe.lab.info import Layout, store_names
from probe.lab.world import World, open_world
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Passed, SessionTrial, TlsResult
from probe.model.secret import Secret, SecretError, SecretRef
from probe.model.spec import TlsCheck
from probe.model.target import Edge, EdgeKey, Target
from probe.model.tls import ClientProfile, Trust
from probe.probers.reproduce import s_client
from probe.probers.sessions import Sessions
from probe.probers.tls import TlsProber

NAME = "store-001.example"
NEW = ClientProfile(resumption="across_edges")
OLD = ClientProfile("old", "tls12-ecdsa", resumption="across_edges")


def key(edge: str, target: str = NAME) -> EdgeKey:
    return EdgeKey("stores", target, "cdn-b", edge, "default")


# ---------------------------------------------------------------- real handshakes


@dataclass
class Edges:
    """Edges of a lab, and one prober for them."""

    world: World
    prober: TlsProber = field(init=False)

    def __post_init__(self) -> None:
        def no_secrets(reference: SecretRef) -> Secret:
            raise SecretError(f"{reference}: none in this test")

        self.prober = TlsProber(TlsContexts(no_secrets), Judge(), time.time)
        self.places = self.world.info.seen("sa-east", "cdn-b")

    async def probe(self, number: int, profile: ClientProfile = NEW) -> TlsResult:
        place = self.places[number]
        edge = Edge(place.ip, place.port, written=True)
        trust = Trust("file", self.world.info.roots)
        check = TlsCheck("stores", "stores", ("cdn-b",), timeout=6.0, trust=trust)
        at = EdgeKey("stores", NAME, "cdn-b", edge.label, profile.name)
        return await self.prober.probe(at, edge, Target(NAME), check, profile)


@pytest.fixture
async def edges(tmp_path: Path) -> AsyncIterator[Edges]:
    async with open_world(tmp_path, Layout(domains=store_names(1))) as world:
        yield Edges(world)


@pytest.mark.parametrize("profile", [NEW, OLD], ids=["tls13", "tls12"])
@pytest.mark.parametrize(
    ("fault", "outcome"), [("tickets", "resumed"), ("tickets_of_own_keys", "refused")]
)
async def test_a_ticket_of_another_edge_is_resumed_or_refused(
    edges: Edges, profile: ClientProfile, fault: str, outcome: str
) -> None:
    await edges.world.inject(fault)
    first = await edges.probe(0, profile)
    second = await edges.probe(1, profile)
    assert (first.outcome, second.outcome) == (Passed(), Passed())
    assert first.session == SessionTrial("untried"), "there was none yet"
    assert second.session == SessionTrial(outcome, edges.places[0].label)  # type: ignore[arg-type]
    assert second.handshake is not None
    assert second.handshake.leaf is not None, "judged by the handshake without a ticket"


@pytest.mark.parametrize("profile", [NEW, OLD], ids=["tls13", "tls12"])
async def test_an_edge_that_a_ticket_breaks_has_a_reason_of_its_own(
    edges: Edges, profile: ClientProfile
) -> None:
    broken = Where(edges=frozenset({edges.places[1].name}))
    await edges.world.inject("tickets")
    await edges.world.inject("tickets_refused_with_alert", broken)
    giver = await edges.probe(0, profile)
    assert giver.outcome == Passed()
    result = await edges.probe(1, profile)
    assert isinstance(result.outcome, Failed)
    failure = result.outcome.failure
    assert (failure.phase, failure.reason) == (Phase.TLS, Reason.RESUMPTION_FAILED)
    assert edges.places[0].label in failure.detail
    assert "alert_decrypt_error" in failure.detail
    assert result.session == SessionTrial("broken", edges.places[0].label)
    assert result.command.count("s_client") == 2
    assert f"-connect {edges.places[0].label}" in result.command
    # The next attempt, seconds later, offers the same again: it confirms.
    await edges.probe(2, profile)
    again = await edges.probe(1, profile)
    assert again.session == result.session
    await edges.world.clear()
    await edges.world.inject("tickets")
    healed = await edges.probe(1, profile)
    assert healed.session == SessionTrial("resumed", edges.places[0].label)


async def test_without_the_option_nothing_is_offered_and_no_ticket_wanted(edges: Edges) -> None:
    await edges.world.inject("tickets_refused_with_alert")
    for number in (0, 1):
        result = await edges.probe(number, ClientProfile())
        assert (result.outcome, result.session) == (Passed(), None)


async def test_servers_without_tickets_leave_it_untried(edges: Edges) -> None:
    for number in (0, 1):
        result = await edges.probe(number, OLD)
        assert (result.outcome, result.session) == (Passed(), SessionTrial("untried"))


# ---------------------------------------------------------------- blame, in virtual time

ALERT = Failure(Phase.TLS, Reason.ALERT_DECRYPT_ERROR)
LOST = Failure(Phase.TLS, Reason.TIMEOUT)
AWAY = Failure(Phase.CONNECT, Reason.REFUSED)
OURS = Failure(Phase.TLS, Reason.LOCAL_RESOURCE)
BROKEN = Failure(Phase.TLS, Reason.RESUMPTION_FAILED)


class Script:
    """Answers each connection in turn: a failure, or whether the session was resumed."""

    def __init__(self, *answers: Failure | bool) -> None:
        self.answers = list(answers)
        self.offered: list[bool] = []

    async def __call__(
        self, timeline: Timeline, seconds: float, session: bytes | None, after: Any
    ) -> Presented:
        self.offered.append(session is not None)
        answer = self.answers.pop(0)
        if isinstance(answer, Failure):
            await trio.sleep(seconds if answer.reason is Reason.TIMEOUT else 0)
            raise AttemptFailed(answer)
        if after is not None:
            stream: Any = type("Stream", (), {"resumed": lambda _: answer})()
            await after(stream, 0.0)
        return Presented("TLS 1.3", "", None, None)


@pytest.mark.parametrize(
    ("answers", "outcome", "failure"),
    [
        ([True], "resumed", None),
        ([False], "refused", None),
        ([ALERT, False, ALERT], "broken", BROKEN),
        ([LOST, False, LOST], "broken", BROKEN),
        ([LOST, False, True], "resumed", None),
        ([ALERT, False, False], "refused", None),
        ([ALERT, ALERT], "untried", ALERT),
        ([LOST, LOST], "untried", LOST),
        ([AWAY], "untried", None),
        ([OURS], "untried", None),
        ([ALERT, False, AWAY], "untried", None),
    ],
)
async def test_only_a_handshake_that_passes_without_the_ticket_is_its_fault(
    autojump_clock: trio.testing.MockClock,
    answers: list[Failure | bool],
    outcome: str,
    failure: Failure | None,
) -> None:
    sessions, script, began = Sessions(), Script(*answers), trio.current_time()
    ticket = SessionTicket(b"secret", began, began + 60)
    sessions.store.keep(key("a"), ticket)
    trial, found = await sessions.across(key("b"), script, began + 9.0)
    assert trial == SessionTrial(outcome, "a")  # type: ignore[arg-type]
    assert (found and replace(found, detail="")) == failure
    assert script.offered == [True, False, True][: len(answers)]
    assert not script.answers
    assert trio.current_time() <= began + 9.0, "within the time-out of the attempt"


async def test_an_attempt_without_time_left_offers_nothing() -> None:
    sessions = Sessions()
    sessions.store.keep(key("a"), SessionTicket(b"", trio.current_time(), 1e18))
    trial, found = await sessions.across(key("b"), Script(), trio.current_time() + 0.01)
    assert (trial, found) == (SessionTrial("untried"), None)


# ---------------------------------------------------------------- what is kept


def ticket(size: int = 100, expires: float = 60.0) -> SessionTicket:
    return SessionTicket(b"x" * size, 0.0, expires)


def given(store: TicketStore, at: str, now: float = 0.0) -> str | None:
    found = store.other(key(at), now)
    return found[0] if found else None


def test_others_take_turns_and_an_edge_is_never_offered_its_own() -> None:
    store = TicketStore()
    for edge in "abc":
        store.keep(key(edge), ticket())
    assert [given(store, "a") for _ in range(4)] == ["b", "c", "b", "c"]
    assert given(store, "d") == "a"
    store.note(key("a"), broken=True)
    assert {given(store, "a") for _ in range(3)} == {"c"}
    store.note(key("a"), broken=False)
    assert given(store, "a") == "b"
    assert store.other(key("a", "elsewhere.example"), 0.0) is None


def test_what_has_expired_is_offered_no_more_and_gone() -> None:
    store = TicketStore()
    store.keep(key("a"), ticket(expires=60.0))
    assert given(store, "b", 59.9) == "a"
    assert given(store, "b", 60.0) is None
    assert store.size == 0


def test_few_are_kept_for_a_target_and_so_many_bytes_in_all() -> None:
    store = TicketStore(most_bytes=1000)
    for edge in "abcdef":
        store.keep(key(edge), ticket())
    assert store.size == 400
    assert [given(store, "z") for _ in range(4)] == ["c", "d", "e", "f"]
    for number in range(50):
        store.keep(key("a", f"shop-{number}.example"), ticket())
        assert store.size <= 1000
    assert given(store, "z") is None, "used longest ago"
    store.keep(key("a"), ticket(2000))
    assert store.size == 0


def session(lifetime: int | None, version: int = 0x0304, more: bytes = b"") -> bytes:
    hint = b"" if lifetime is None else b"\xa9\x04\x02\x02" + lifetime.to_bytes(2, "big")
    head = b"\x02\x01\x01\x02\x02" + version.to_bytes(2, "big") + b"\x04\x01c\x04\x01i\x04\x01k"
    fields = head + b"\xa3\x03\x30\x01\x00" + hint + b"\xaa\x03\x04\x01t" + more
    return b"\x30\x81" + bytes([len(fields)]) + fields


def test_a_lifetime_is_honoured_and_bounded() -> None:
    short = ticket_of(session(300), 10.0)
    assert short is not None
    assert (short.taken, short.expires) == (10.0, 310.0)
    assert b"\xa3\x03" not in short.session, "the server's certificate is not kept"
    long = ticket_of(session(30_000), 10.0)
    assert long is not None
    assert long.expires == 10.0 + MOST_AGE
    assert ticket_of(session(None), 0.0) is None, "TLS 1.3: to be thrown away"
    unsaid = ticket_of(session(None, 0x0303), 0.0)
    assert unsaid is not None
    assert unsaid.expires == MOST_AGE


@pytest.mark.parametrize(
    "bad", [b"", b"\x30", b"\x30\x00", b"\x30\x05\x02\x7f\x00\x00\x00", b"abc"]
)
def test_what_is_no_session_is_no_ticket(bad: bytes) -> None:
    assert ticket_of(bad, 0.0) is None
    assert not openssl.resume(_client(), bad or b"\x00")


def test_a_ticket_shows_nothing_of_its_secret() -> None:
    assert "xxx" not in repr(ticket())


def _client() -> SSL.Connection:
    tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
    tls.set_connect_state()
    return tls


async def test_a_ticket_that_was_taken_is_in_the_next_hello(edges: Edges) -> None:
    await edges.world.inject("tickets")
    for profile in (NEW, OLD):
        await edges.probe(0, profile)
        found = edges.prober.sessions().store.other(key("b")._replace(client=profile.name), 0.0)
        assert found is not None
        _, taken = found
        for written in (taken.session, None):
            tls = _client()
            assert written is None or openssl.resume(tls, written)
            assert not openssl.advance(tls)
            hello = parse(openssl.outgoing(tls))
            assert hello is not None
            assert hello.ticket == (written is not None)


def test_the_first_command_waits_for_the_ticket_whatever_is_said_before_it() -> None:
    """Its input ended at once, and with it the connection, before the ticket had come."""
    failure = Failure(Phase.TLS, Reason.RESUMPTION_FAILED, "")
    edge = Edge("192.0.2.1", 443)
    command = s_client(edge, NAME, ClientProfile(), failure=failure)
    assert command.startswith("echo ")
    pasted = Sessions.reproduction("192.0.2.2:443", edge, command)
    note, _, rest = pasted.partition(" >&2; ")
    assert note.startswith("echo ")
    assert rest.startswith("S=$(mktemp); sleep 3 | openssl s_client -connect 192.0.2.2:443 ")
    assert "; openssl s_client -connect 192.0.2.1:443 " in rest
