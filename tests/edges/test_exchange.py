"""Questions to servers that lose, garble, refuse, hurry and dawdle.

What waits for a time-out has a virtual network; TCP and the kernel's own errors have real sockets
and time enough.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable
from typing import NoReturn

import dns.flags
import dns.rcode
import pytest
import trio
from trio.testing import MockClock

from probe.edges.answers import DnsAnswer, DnsOutcome, DnsQuestion, NoAnswer
from probe.edges.client import PLAIN_FOR, Manners, ask
from probe.model.failure import Reason
from probe.model.spec import NameServer
from tests.support.dns_server import Asked, DnsServer, Reply, dns_server

from .virtual_network import Late, Responder, network

SHOP = DnsQuestion("shop.example", 4)


def good(asked: Asked) -> Reply:
    return asked.addresses("192.0.2.1")


def silent(asked: Asked) -> Reply:
    return None


def failure(outcome: DnsOutcome) -> tuple[Reason, bool]:
    assert isinstance(outcome, NoAnswer)
    return outcome.failure.reason, outcome.alive


def once_then(first: Responder, later: Responder = good) -> Responder:
    """Another answer to the first packet only."""
    answers = iter((first,))

    def respond(asked: Asked) -> Reply | OSError | Late:
        return next(answers, later)(asked)

    return respond


async def ask_one(server: DnsServer, timeout: float = 5.0) -> DnsOutcome:
    return await ask([server.address], SHOP, timeout)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_answer_comes_with_the_time_it_took_and_who_gave_it(host: str) -> None:
    async with dns_server(good, host) as server:
        outcome = await ask_one(server)
    assert isinstance(outcome, DnsAnswer)
    assert outcome.addresses == ("192.0.2.1",)
    assert outcome.server == (f"[{host}]" if ":" in host else host) + f":{server.address.port}"
    assert outcome.seconds > 0


async def test_a_lost_packet_is_sent_again(autojump_clock: MockClock) -> None:
    async with network(once_then(silent)) as net:
        outcome = await ask(net.addresses, SHOP, 0.5)
    assert isinstance(outcome, DnsAnswer)
    assert len(net.asked) == 2
    assert len({asked.message.id for asked in net.asked}) == 1


async def test_a_late_answer_to_the_first_packet_counts(autojump_clock: MockClock) -> None:
    """The server needs longer than the first round; its answer to the second packet is lost."""
    late = once_then(lambda asked: Late(asked.addresses("192.0.2.7"), 0.15), silent)
    async with network(late) as net:
        outcome = await ask(net.addresses, SHOP, 0.5)
    assert isinstance(outcome, DnsAnswer)
    assert outcome.addresses == ("192.0.2.7",)
    assert outcome.seconds == pytest.approx(0.15)
    assert len(net.asked) == 2


async def test_strays_are_left_aside_until_the_answer_comes(autojump_clock: MockClock) -> None:
    def wrong_id(asked: Asked) -> Reply:
        wire = asked.addresses("203.0.113.66").to_wire(max_size=65535)
        return bytes((wire[0] ^ 1, wire[1])) + wire[2:]

    async with network(once_then(wrong_id)) as net:
        outcome = await ask(net.addresses, SHOP, 0.5)
    assert isinstance(outcome, DnsAnswer)
    assert outcome.addresses == ("192.0.2.1",)


async def test_a_flood_of_strays_makes_the_question_go_over_tcp() -> None:
    def respond(asked: Asked) -> Reply:
        return good(asked) if asked.transport == "tcp" else None

    async with dns_server(respond) as server, trio.open_nursery() as nursery:

        async def flood() -> None:
            while True:
                await trio.lowlevel.checkpoint()
                if server.asked:
                    await server.udp.sendto(b"\0" * 12, server.asked[0].peer)

        nursery.start_soon(flood)
        outcome = await ask_one(server, timeout=10.0)
        nursery.cancel_scope.cancel()
    assert isinstance(outcome, DnsAnswer)
    assert [asked.transport for asked in server.asked] == ["udp", "tcp"]


@pytest.mark.parametrize("size", [1, 700])
async def test_a_message_that_drips_over_tcp_is_given_up(size: int) -> None:
    """One byte after the other costs us far more than the server; small segments are fine."""
    sent = 0

    def whole(asked: Asked) -> bytes:
        return asked.addresses(*(f"192.0.2.{n}" for n in range(1, 200))).to_wire(max_size=65535)

    async def drips(stream: trio.SocketStream) -> None:
        nonlocal sent
        async with stream:
            asked = Asked(dns.message.from_wire((await stream.receive_some(600))[2:]), "tcp")
            message = whole(asked)
            message = len(message).to_bytes(2, "big") + message
            stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
            for start in range(0, len(message), size):
                await stream.send_all(message[start : start + size])
                sent += 1
                await trio.sleep(0.001)

    async def udp(sock: trio.socket.SocketType) -> None:
        wire, peer = await sock.recvfrom(600)
        reply = dns.message.make_response(dns.message.from_wire(wire))
        reply.flags |= dns.flags.TC
        await sock.sendto(reply.to_wire(), peer)

    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        await sock.bind(("127.0.0.1", port))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(udp, sock)
            nursery.start_soon(trio.serve_listeners, drips, listeners)
            outcome = await ask([NameServer("127.0.0.1", port)], SHOP, 20.0)
            nursery.cancel_scope.cancel()
    if size == 1:
        assert failure(outcome) == (Reason.CLOSED, True)
        assert sent < 1500, "of 3,200"
    else:
        assert isinstance(outcome, DnsAnswer)
        assert len(outcome.addresses) == 199


async def test_the_next_server_is_asked_when_one_fails_or_is_silent(
    autojump_clock: MockClock,
) -> None:
    for respond in (silent, lambda asked: asked.nothing(dns.rcode.SERVFAIL), lambda asked: b"\0"):
        async with network(respond, good) as net:
            outcome = await ask(net.addresses, SHOP, 0.5)
        assert isinstance(outcome, DnsAnswer)
        assert outcome.server == "192.0.2.2:53"


async def test_a_server_that_gave_its_verdict_is_not_asked_again() -> None:
    async with dns_server(lambda asked: asked.nothing(dns.rcode.SERVFAIL)) as server:
        assert failure(await ask_one(server)) == (Reason.SERVFAIL, True)
    assert len(server.asked) == 1


async def test_a_name_that_does_not_exist_is_not_asked_of_the_next_server(
    autojump_clock: MockClock,
) -> None:
    async with network(lambda asked: asked.nothing(dns.rcode.NXDOMAIN), good) as net:
        outcome = await ask(net.addresses, SHOP, 0.5)
    assert isinstance(outcome, DnsAnswer)
    assert outcome.nxdomain
    assert [server for server, _ in net.sent] == ["192.0.2.1"]


async def test_a_verdict_says_more_than_the_silence_of_another_server(
    autojump_clock: MockClock,
) -> None:
    async with network(lambda asked: asked.nothing(dns.rcode.REFUSED), silent) as net:
        outcome = await ask(net.addresses, SHOP, 0.3)
    assert failure(outcome) == (Reason.REFUSED, True)


async def test_a_server_that_dislikes_edns_is_asked_without() -> None:
    def old(asked: Asked) -> Reply:
        if asked.message.edns >= 0:
            return asked.answer(rcode=dns.rcode.FORMERR)
        return asked.addresses("192.0.2.1")

    async with dns_server(old) as server:
        outcome = await ask_one(server)
    assert isinstance(outcome, DnsAnswer)
    assert [asked.message.edns for asked in server.asked] == [0, -1]


def plain_only(asked: Asked) -> Reply:
    """A server, or a firewall before it, that drops questions with EDNS."""
    return None if asked.message.edns >= 0 else asked.addresses("192.0.2.1")


async def test_a_server_that_drops_edns_is_asked_once_more_without(
    autojump_clock: MockClock,
) -> None:
    async with network(plain_only) as net:
        outcome = await ask(net.addresses, SHOP, 0.5)
    assert isinstance(outcome, DnsAnswer)
    assert [asked.message.edns for asked in net.asked] == [0, 0, 0, -1]


async def test_a_server_that_drops_edns_is_remembered_after_the_second_time(
    autojump_clock: MockClock,
) -> None:
    manners = Manners()
    async with network(plain_only) as net:
        for _ in range(3):
            assert isinstance(await ask(net.addresses, SHOP, 0.5, manners), DnsAnswer)
    assert [asked.message.edns for asked in net.asked] == [0, 0, 0, -1] * 2 + [-1]


async def test_a_server_that_refuses_edns_is_remembered_at_once() -> None:
    def old(asked: Asked) -> Reply:
        if asked.message.edns >= 0:
            return asked.answer(rcode=dns.rcode.FORMERR)
        return asked.addresses("192.0.2.1")

    manners = Manners()
    async with dns_server(old) as server:
        for _ in range(2):
            assert isinstance(await ask([server.address], SHOP, 5.0, manners), DnsAnswer)
    assert [asked.message.edns for asked in server.asked] == [0, -1, -1]


async def test_what_is_truncated_for_want_of_edns_is_asked_for_over_tcp_without() -> None:
    def respond(asked: Asked) -> Reply:
        if asked.message.edns >= 0:
            return None
        return asked.answer(flags=dns.flags.TC) if asked.transport == "udp" else good(asked)

    async with dns_server(respond) as server:
        assert isinstance(await ask_one(server, timeout=2.5), DnsAnswer)


async def test_lost_packets_are_no_bad_manners(autojump_clock: MockClock) -> None:
    """Each question gets its answer, with EDNS, to the last packet."""
    packets = itertools.count()

    def lossy(asked: Asked) -> Reply:
        return asked.addresses("192.0.2.1") if next(packets) % 4 == 2 else None

    manners = Manners()
    async with network(lossy) as net:
        for _ in range(3):
            assert isinstance(await ask(net.addresses, SHOP, 0.5, manners), DnsAnswer)
        assert manners.takes_edns(net.addresses[0], trio.current_time())


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
    with trio.fail_after(30):
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


def refuses(_: Asked) -> OSError:
    return OSError(errno.ECONNREFUSED, "as told")


async def test_a_quick_refusal_leaves_each_other_server_its_fair_time(
    autojump_clock: MockClock,
) -> None:
    async with network(refuses, silent, good) as net:
        outcome = await ask(net.addresses, SHOP, 5.0)
    assert isinstance(outcome, DnsAnswer)
    assert outcome.server == "192.0.2.3:53"
    # A round of one second; the second server has half of what the first one left.
    assert net.sent == [("192.0.2.1", 0.0), ("192.0.2.2", 0.0), ("192.0.2.3", pytest.approx(0.5))]


@pytest.mark.parametrize("timeout", [2.0, 0.4])
async def test_a_pause_of_the_process_that_outlasts_the_rounds_is_a_time_out(
    autojump_clock: MockClock, timeout: float
) -> None:
    def pause(_: Asked) -> None:
        autojump_clock.jump(1.5)

    async with network(pause) as net:
        outcome = await ask(net.addresses, SHOP, timeout)
    assert failure(outcome) == (Reason.TIMEOUT, False)


@pytest.mark.parametrize("name", ["a..example", "x" * 64 + ".example", "läden.example"])
async def test_a_name_that_cannot_be_asked_is_a_failure_and_no_exception(name: str) -> None:
    outcome = await ask([NameServer("127.0.0.1", 9)], DnsQuestion(name, 4), 1.0)
    assert isinstance(outcome, NoAnswer)
    assert outcome.failure.reason is Reason.MALFORMED


# ---------------------------------------------------------------- TCP


def truncated_then(over_tcp: Reply) -> Callable[[Asked], Reply]:
    return lambda asked: asked.answer(flags=dns.flags.TC) if asked.transport == "udp" else over_tcp


async def test_over_tcp_an_early_end_and_garbage_are_told() -> None:
    async with dns_server(truncated_then(None)) as server:
        assert failure(await ask_one(server))[0] is Reason.CLOSED
    async with dns_server(truncated_then(b"\0" * 5)) as server:
        assert failure(await ask_one(server))[0] is Reason.MALFORMED


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
