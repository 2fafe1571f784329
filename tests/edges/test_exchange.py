"""Questions over real sockets to servers that lose, garble, refuse, hurry and dawdle."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable
from typing import NoReturn, cast

import dns.flags
import dns.message
import dns.rcode
import pytest
import trio
import trio.testing

from probe.edges.dns import ask
from probe.edges.manners import PLAIN_FOR, Manners
from probe.edges.question import Answer, NoAnswer, Outcome, Question
from probe.model.failure import Reason
from probe.model.spec import NameServer

from .dns_server import Asked, DnsServer, Reply, dns_server

SHOP = Question("shop.example", 4)


def good(asked: Asked) -> Reply:
    return asked.addresses("192.0.2.1")


def silent(asked: Asked) -> Reply:
    return None


def failure(outcome: Outcome) -> tuple[Reason, bool]:
    assert isinstance(outcome, NoAnswer)
    return outcome.failure.reason, outcome.alive


def once_then(first: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
    """Another answer to the first packet only."""
    answers = iter((first,))

    def respond(asked: Asked) -> Reply:
        return next(answers, good)(asked)

    return respond


async def ask_one(server: DnsServer, timeout: float = 2.0) -> Outcome:
    return await ask([server.address], SHOP, timeout)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_answer_comes_with_the_time_it_took_and_who_gave_it(host: str) -> None:
    async with dns_server(good, host) as server:
        outcome = await ask_one(server)
    assert isinstance(outcome, Answer)
    assert outcome.addresses == ("192.0.2.1",)
    assert outcome.server == (f"[{host}]" if ":" in host else host) + f":{server.address.port}"
    assert 0 < outcome.seconds < 2


async def test_a_lost_packet_is_sent_again() -> None:
    async with dns_server(once_then(silent)) as server:
        outcome = await ask_one(server, timeout=0.5)
    assert isinstance(outcome, Answer)
    assert len(server.asked) == 2
    assert len({asked.message.id for asked in server.asked}) == 1


async def test_a_late_answer_to_the_first_packet_counts() -> None:
    """The server needs longer than the first round; nothing is sent to it in vain."""
    async with dns_server(silent) as server, trio.open_nursery() as nursery:

        async def answer_late() -> None:
            async with trio.open_nursery() as waiting:
                waiting.cancel_scope.deadline = trio.current_time() + 2
                while not server.asked:
                    await trio.sleep(0.01)
                first = server.asked[0]
                await trio.sleep(0.15)
                answer = first.addresses("192.0.2.7").to_wire()
                await server.udp.sendto(answer, first.peer)

        nursery.start_soon(answer_late)
        outcome = await ask_one(server, timeout=0.5)
    assert isinstance(outcome, Answer)
    assert outcome.addresses == ("192.0.2.7",)


async def test_strays_are_left_aside_until_the_answer_comes() -> None:
    def wrong_id(asked: Asked) -> Reply:
        wire = asked.addresses("203.0.113.66").to_wire()
        return bytes((wire[0] ^ 1, wire[1])) + wire[2:]

    async with dns_server(once_then(wrong_id)) as server:
        outcome = await ask_one(server, timeout=0.5)
    assert isinstance(outcome, Answer)
    assert outcome.addresses == ("192.0.2.1",)


async def test_a_flood_of_strays_does_not_outlive_the_deadline() -> None:
    async with dns_server(silent) as server, trio.open_nursery() as nursery:

        async def flood() -> None:
            while True:
                await trio.lowlevel.checkpoint()
                if server.asked:
                    await server.udp.sendto(b"\0" * 12, server.asked[0].peer)

        nursery.start_soon(flood)
        with trio.fail_after(5):
            assert failure(await ask_one(server, timeout=0.2)) == (Reason.TIMEOUT, False)
        nursery.cancel_scope.cancel()


async def test_the_next_server_is_asked_when_one_fails_or_is_silent() -> None:
    for respond in (silent, lambda asked: asked.nothing(dns.rcode.SERVFAIL), lambda asked: b"\0"):
        async with dns_server(respond) as first, dns_server(good) as second:
            outcome = await ask([first.address, second.address], SHOP, 0.5)
        assert isinstance(outcome, Answer)
        assert outcome.server.endswith(str(second.address.port))


async def test_a_server_that_gave_its_verdict_is_not_asked_again() -> None:
    async with dns_server(lambda asked: asked.nothing(dns.rcode.SERVFAIL)) as server:
        assert failure(await ask_one(server)) == (Reason.SERVFAIL, True)
    assert len(server.asked) == 1


async def test_a_name_that_does_not_exist_is_not_asked_of_the_next_server() -> None:
    async with (
        dns_server(lambda asked: asked.nothing(dns.rcode.NXDOMAIN)) as first,
        dns_server(good) as second,
    ):
        outcome = await ask([first.address, second.address], SHOP, 0.5)
    assert isinstance(outcome, Answer)
    assert outcome.nxdomain
    assert second.asked == []


async def test_a_verdict_says_more_than_the_silence_of_another_server() -> None:
    async with (
        dns_server(lambda asked: asked.nothing(dns.rcode.REFUSED)) as first,
        dns_server(silent) as second,
    ):
        outcome = await ask([first.address, second.address], SHOP, 0.3)
    assert failure(outcome) == (Reason.REFUSED, True)


async def test_a_server_that_dislikes_edns_is_asked_without() -> None:
    def old(asked: Asked) -> Reply:
        if asked.message.edns >= 0:
            return asked.answer(rcode=dns.rcode.FORMERR)
        return asked.addresses("192.0.2.1")

    async with dns_server(old) as server:
        outcome = await ask_one(server)
    assert isinstance(outcome, Answer)
    assert [asked.message.edns for asked in server.asked] == [0, -1]


def plain_only(asked: Asked) -> Reply:
    """A server, or a firewall before it, that drops what carries EDNS."""
    return None if asked.message.edns >= 0 else asked.addresses("192.0.2.1")


async def test_a_server_that_drops_edns_is_asked_once_more_without() -> None:
    async with dns_server(plain_only) as server:
        outcome = await ask_one(server, timeout=0.5)
    assert isinstance(outcome, Answer)
    assert [asked.message.edns for asked in server.asked] == [0, 0, 0, -1]


async def test_a_server_that_drops_edns_is_remembered_after_the_second_time() -> None:
    manners = Manners()
    async with dns_server(plain_only) as server:
        for _ in range(3):
            assert isinstance(await ask([server.address], SHOP, 0.5, manners), Answer)
    assert [asked.message.edns for asked in server.asked] == [0, 0, 0, -1] * 2 + [-1]


async def test_a_server_that_refuses_edns_is_remembered_at_once() -> None:
    def old(asked: Asked) -> Reply:
        if asked.message.edns >= 0:
            return asked.answer(rcode=dns.rcode.FORMERR)
        return asked.addresses("192.0.2.1")

    manners = Manners()
    async with dns_server(old) as server:
        for _ in range(2):
            assert isinstance(await ask([server.address], SHOP, 2.0, manners), Answer)
    assert [asked.message.edns for asked in server.asked] == [0, -1, -1]


async def test_what_is_truncated_for_want_of_edns_is_asked_for_over_tcp_without() -> None:
    def respond(asked: Asked) -> Reply:
        if asked.message.edns >= 0:
            return None
        return asked.answer(flags=dns.flags.TC) if asked.transport == "udp" else good(asked)

    async with dns_server(respond) as server:
        assert isinstance(await ask_one(server, timeout=0.5), Answer)


async def test_lost_packets_are_no_bad_manners() -> None:
    """Each question gets its answer, with EDNS, to the last packet."""
    packets = itertools.count()

    def lossy(asked: Asked) -> Reply:
        return asked.addresses("192.0.2.1") if next(packets) % 4 == 2 else None

    manners = Manners()
    async with dns_server(lossy) as server:
        for _ in range(3):
            assert isinstance(await ask([server.address], SHOP, 0.5, manners), Answer)
        assert manners.takes_edns(server.address, trio.current_time())


def test_servers_without_edns_are_tried_with_it_again_after_a_while() -> None:
    manners, server = Manners(), NameServer("192.0.2.53")
    manners.dropped(server, 0.0)
    assert manners.takes_edns(server, 0.0)
    manners.dropped(server, 0.0)
    assert not manners.takes_edns(server, PLAIN_FOR - 0.1)
    assert manners.takes_edns(server, PLAIN_FOR)
    manners.dropped(server, PLAIN_FOR)
    assert not manners.takes_edns(server, PLAIN_FOR), "it needs no second proof then"
    manners.spoke_edns(server)
    assert manners.takes_edns(server, PLAIN_FOR)
    manners.dropped(server, PLAIN_FOR)
    assert manners.takes_edns(server, PLAIN_FOR)


async def test_nobody_at_the_port_is_told_at_once_and_not_by_a_time_out() -> None:
    async with dns_server(good) as server:
        pass
    with trio.fail_after(2):
        assert failure(await ask_one(server, timeout=60.0)) == (Reason.UNREACHABLE, False)


OS_ERRORS = [
    (errno.ENETUNREACH, Reason.NO_ROUTE),
    (errno.EAFNOSUPPORT, Reason.NO_ROUTE),
    (errno.EPERM, Reason.NO_ROUTE),
    (errno.EMFILE, Reason.LOCAL_RESOURCE),
    (errno.ENOBUFS, Reason.LOCAL_RESOURCE),
    (errno.EHOSTUNREACH, Reason.UNREACHABLE),
    (errno.ECONNRESET, Reason.RESET),
    (errno.EXDEV, Reason.UNKNOWN),
]


@pytest.mark.parametrize(("number", "reason"), OS_ERRORS)
async def test_errors_of_the_operating_system_have_a_reason(number: int, reason: Reason) -> None:
    class NoSockets(trio.abc.SocketFactory):
        def socket(self, *args: object) -> NoReturn:
            raise OSError(number, "as told")

    trio.socket.set_custom_socket_factory(NoSockets())
    outcome = await ask([NameServer("192.0.2.53")], SHOP, 1.0)
    assert failure(outcome) == (reason, reason is Reason.RESET)
    assert isinstance(outcome, NoAnswer)
    assert outcome.failure.ours == (reason in {Reason.NO_ROUTE, Reason.LOCAL_RESOURCE})


class Sockets(trio.abc.SocketFactory):
    """UDP sockets whose servers refuse, answer, stay silent, or stop this process for a while."""

    def __init__(self, clock: trio.testing.MockClock, roles: dict[str, str]) -> None:
        self.clock = clock
        self.roles = roles
        self.sent: list[tuple[str, float]] = []

    def socket(self, *_: object) -> trio.socket.SocketType:
        return cast("trio.socket.SocketType", _Socket(self))


class _Socket:
    def __init__(self, sockets: Sockets) -> None:
        self.sockets = sockets
        self.server, self.packet = "", b""

    async def connect(self, address: tuple[str, int]) -> None:
        await trio.lowlevel.checkpoint()
        self.server = address[0]

    async def send(self, packet: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.packet = packet
        self.sockets.sent.append((self.server, trio.current_time()))
        if self.sockets.roles[self.server] == "pause":
            self.sockets.clock.jump(1.5)

    async def recv(self, _: int) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.sockets.roles[self.server] == "refuses":
            raise OSError(errno.ECONNREFUSED, "as told")
        if self.sockets.roles[self.server] != "answers":
            await trio.sleep_forever()
        return Asked(dns.message.from_wire(self.packet), "udp").addresses("192.0.2.1").to_wire()

    def close(self) -> None:
        pass


async def asked_of(
    clock: trio.testing.MockClock, timeout: float, **roles: str
) -> tuple[Outcome, Sockets]:
    sockets = Sockets(clock, roles)
    trio.socket.set_custom_socket_factory(sockets)
    return await ask([NameServer(ip) for ip in roles], SHOP, timeout), sockets


async def test_a_quick_refusal_leaves_each_other_server_its_fair_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    roles = {"192.0.2.1": "refuses", "192.0.2.2": "silent", "192.0.2.3": "answers"}
    outcome, sockets = await asked_of(autojump_clock, 5.0, **roles)
    assert isinstance(outcome, Answer)
    assert outcome.server == "192.0.2.3:53"
    # A round of one second; the second server has half of what the first one left.
    assert sockets.sent == [
        ("192.0.2.1", 0.0),
        ("192.0.2.2", 0.0),
        ("192.0.2.3", pytest.approx(0.5)),
    ]


@pytest.mark.parametrize("timeout", [2.0, 0.4])
async def test_a_pause_of_the_process_that_outlasts_the_rounds_is_a_time_out(
    autojump_clock: trio.testing.MockClock, timeout: float
) -> None:
    outcome, _ = await asked_of(autojump_clock, timeout, **{"192.0.2.1": "pause"})
    assert failure(outcome) == (Reason.TIMEOUT, False)


@pytest.mark.parametrize("name", ["a..example", "x" * 64 + ".example", "läden.example"])
async def test_a_name_that_cannot_be_asked_is_a_failure_and_no_exception(name: str) -> None:
    outcome = await ask([NameServer("127.0.0.1", 9)], Question(name, 4), 1.0)
    assert isinstance(outcome, NoAnswer)
    assert outcome.failure.reason is Reason.MALFORMED


# ---------------------------------------------------------------- TCP


def truncated_then(over_tcp: Reply) -> Callable[[Asked], Reply]:
    return lambda asked: asked.answer(flags=dns.flags.TC) if asked.transport == "udp" else over_tcp


async def test_over_tcp_silence_is_a_time_out_and_an_early_end_is_told() -> None:
    async with dns_server(truncated_then(None)) as server:
        assert failure(await ask_one(server, timeout=0.3))[0] is Reason.CLOSED
    async with dns_server(truncated_then(b"\0" * 5)) as server:
        assert failure(await ask_one(server, timeout=0.3))[0] is Reason.MALFORMED


async def test_truncated_over_tcp_too_is_malformed() -> None:
    async with dns_server(lambda asked: asked.answer(flags=dns.flags.TC)) as server:
        assert failure(await ask_one(server))[0] is Reason.MALFORMED
    assert [asked.transport for asked in server.asked] == ["udp", "tcp"]


async def test_truncated_and_nobody_listens_on_tcp() -> None:
    truncated = truncated_then(None)
    async with dns_server(truncated, tcp=False) as server:
        assert failure(await ask_one(server))[0] is Reason.UNREACHABLE


async def test_cancellation_leaves_no_socket_open() -> None:
    """A socket left to the garbage collector would be a warning, and warnings are errors."""
    async with dns_server(truncated_then(None)) as server:
        for deadline in (0.0, 0.001, 0.02):
            with trio.move_on_after(deadline):
                await ask_one(server, timeout=5.0)
