"""No question twice, none beyond the pace, and whose fault silence is: in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
import trio
import trio.testing

from probe.edges.answers import ROOT, DnsAnswer, DnsOutcome, DnsQuestion, NoAnswer
from probe.edges.asker import MUTE_AFTER, MUTE_PATIENCE, SILENT_AFTER, SILENT_FOR, Asker, Pace
from probe.model.failure import Failure, Phase, Reason
from probe.model.spec import DnsOptions, NameServer

SERVERS = (NameServer("192.0.2.53"),)
OTHERS = (NameServer("198.51.100.53"),)
OPTIONS = DnsOptions(ttl_floor=15.0, ttl_cap=300.0)
ANSWER = DnsAnswer(("192.0.2.1",), False, (), 60.0)
TIMEOUT = NoAnswer(Failure(Phase.RESOLVE, Reason.TIMEOUT, "silence"))


def shop(number: int = 0) -> DnsQuestion:
    return DnsQuestion(f"shop-{number}.example", 4)


@dataclass
class World:
    """Answers after ``seconds``; silence lasts as long as the asker allows."""

    answer: Callable[[Sequence[NameServer], DnsQuestion], DnsOutcome] = lambda servers, question: (
        ANSWER
    )
    seconds: float = 0.1
    asked: list[tuple[float, DnsQuestion]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def ask(
        self, servers: Sequence[NameServer], question: DnsQuestion, timeout: float
    ) -> DnsOutcome:
        self.asked.append((trio.current_time(), question))
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        try:
            outcome = self.answer(servers, question)
            await trio.sleep(timeout if outcome is TIMEOUT else self.seconds)
        finally:
            self.under_way -= 1
        return outcome


def silent_but_for(*names: str) -> Callable[[Sequence[NameServer], DnsQuestion], DnsOutcome]:
    return lambda servers, question: ANSWER if question.name in names else TIMEOUT


async def ask_many(
    asker: Asker, questions: Sequence[DnsQuestion], *, ours: bool = False
) -> dict[DnsQuestion, DnsOutcome]:
    outcomes: dict[DnsQuestion, DnsOutcome] = {}

    async def ask(question: DnsQuestion) -> None:
        outcomes[question] = await asker.ask(SERVERS, question, 5.0, ours=ours)

    async with trio.open_nursery() as nursery:
        for question in questions:
            nursery.start_soon(ask, question)
    return outcomes


async def test_what_is_being_asked_is_shared(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    asker = Asker(world.ask, Pace())
    await ask_many(asker, [shop()] * 10)
    assert len(world.asked) == 1


async def test_when_the_first_asker_is_cancelled_another_takes_its_place(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    asker = Asker(world.ask, Pace())
    outcomes = []
    first = trio.CancelScope()

    async def ask_first() -> None:
        with first:
            await asker.ask(SERVERS, shop(), 5.0, ours=False)

    async def ask_second() -> None:
        outcomes.append(await asker.ask(SERVERS, shop(), 5.0, ours=False))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_first)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask_second)
        await trio.testing.wait_all_tasks_blocked()
        first.cancel()
    assert outcomes == [ANSWER]
    assert len(world.asked) == 2


async def test_an_answer_is_known_until_its_ttl_is_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(seconds=0.0)
    asker = Asker(world.ask, Pace())
    assert asker.known(SERVERS, shop(), OPTIONS) is None
    await asker.ask(SERVERS, shop(), 5.0, ours=False)
    await trio.sleep(59.0)
    known = asker.known(SERVERS, shop(), OPTIONS)
    assert known is not None
    assert known[0] == ANSWER
    assert known[1] == pytest.approx(1.0)
    assert asker.known(OTHERS, shop(), OPTIONS) is None, "other servers may say otherwise"
    await trio.sleep(1.0)
    assert asker.known(SERVERS, shop(), OPTIONS) is None


async def test_no_more_questions_are_under_way_than_allowed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    asker = Asker(world.ask, Pace(concurrency=4, rate=1e6))
    await ask_many(asker, [shop(n) for n in range(20)])
    assert world.most_under_way == 4
    assert trio.current_time() == pytest.approx(5 * 0.1, abs=0.05)


async def test_the_rate_holds_after_a_first_burst(autojump_clock: trio.testing.MockClock) -> None:
    world = World(seconds=0.0)
    begin = trio.current_time()
    await ask_many(Asker(world.ask, Pace(concurrency=10, rate=100.0)), [shop(n) for n in range(60)])
    times = [at - begin for at, _ in world.asked]
    assert sum(at == 0.0 for at in times) == 10, "the burst"
    assert times[-1] == pytest.approx(0.5, abs=0.03), "fifty more at a hundred a second"
    for start in times:
        assert sum(start <= at < start + 0.1 for at in times) <= 10 + 10 + 2


async def test_of_silent_servers_not_everything_is_asked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(answer=lambda servers, question: TIMEOUT)
    asker = Asker(world.ask, Pace(concurrency=SILENT_AFTER, rate=1e6))
    begin = trio.current_time()
    outcomes = await ask_many(asker, [shop(n) for n in range(1000)])
    assert trio.current_time() - begin <= 8.0, "not a thousand time-outs, eight at a time"
    failures = [outcome.failure for outcome in outcomes.values() if isinstance(outcome, NoAnswer)]
    assert {failure.reason for failure in failures} == {Reason.TIMEOUT}
    spared = [failure for failure in failures if "not asked" in failure.detail]
    assert len(spared) == 1000 - SILENT_AFTER


async def test_names_that_work_do_not_suffer_for_many_that_do_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The servers drop everything but the zones they hold, the root included."""
    world = World(answer=silent_but_for("shop-1.example", "shop-2.example"))
    asker = Asker(world.ask, Pace(rate=1e6))
    assert await asker.ask(SERVERS, shop(1), 5.0, ours=False) == ANSWER
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_many, asker, [shop(100 + n) for n in range(3 * SILENT_AFTER)])
        await trio.sleep(6.0)
        nursery.start_soon(ask_many, asker, [shop(200 + n) for n in range(3 * SILENT_AFTER)])
        await trio.sleep(1.0)
        assert await asker.ask(SERVERS, shop(2), 5.0, ours=False) == ANSWER


async def test_silent_servers_are_believed_again_after_one_sign_of_life(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(answer=lambda servers, question: TIMEOUT)
    asker = Asker(world.ask, Pace(rate=1e6))
    await ask_many(asker, [shop(n) for n in range(SILENT_AFTER)])
    assert isinstance(await asker.ask(SERVERS, shop(100), 5.0, ours=False), NoAnswer)
    world.answer = lambda servers, question: ANSWER
    await trio.sleep(SILENT_FOR)
    outcomes = await ask_many(asker, [shop(200 + n) for n in range(50)])
    assert set(outcomes.values()) == {ANSWER}


async def test_silent_servers_take_nothing_from_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(answer=lambda servers, q: TIMEOUT if tuple(servers) == SERVERS else ANSWER)
    asker = Asker(world.ask, Pace(concurrency=2, rate=1e6))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_many, asker, [shop(n) for n in range(20)])
        await trio.testing.wait_all_tasks_blocked()
        begin = trio.current_time()
        assert await asker.ask(OTHERS, shop(), 5.0, ours=False) == ANSWER
        assert trio.current_time() - begin == pytest.approx(world.seconds)
        assert world.most_under_way == 3, "two of the twenty, and the other"
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- servers that drop AAAA


def shop6(number: int = 0) -> DnsQuestion:
    return replace(shop(number), family=6)


def mute(servers: Sequence[NameServer], question: DnsQuestion) -> DnsOutcome:
    return TIMEOUT if question.family == 6 else ANSWER


async def seconds_for(asker: Asker, *questions: DnsQuestion) -> float:
    begin = trio.current_time()
    await ask_many(asker, questions, ours=True)
    return trio.current_time() - begin


async def test_a_dropped_aaaa_costs_its_name_the_whole_time_out_only_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asker = Asker(World(mute).ask, Pace())
    assert await seconds_for(asker, shop(), shop6()) == pytest.approx(5.0)
    for _ in range(3):
        await trio.sleep(60.0)
        assert await seconds_for(asker, shop(), shop6()) == pytest.approx(MUTE_PATIENCE)


async def test_a_server_that_drops_every_aaaa_costs_new_names_little(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asker = Asker(World(mute).ask, Pace(rate=1e6))
    await ask_many(asker, [shop6(number) for number in range(MUTE_AFTER)])
    for number in range(100, 110):
        spent = await seconds_for(asker, shop(number), shop6(number))
        assert spent == pytest.approx(MUTE_PATIENCE)


async def test_a_name_that_has_no_a_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    nothing = replace(ANSWER, addresses=())
    world = World(lambda servers, q: TIMEOUT if q.family == 6 else nothing)
    asker = Asker(world.ask, Pace())
    await ask_many(asker, [shop6(number) for number in range(MUTE_AFTER)])
    await ask_many(asker, [shop(9)])
    for _ in range(2):
        assert await seconds_for(asker, shop6(9)) >= 5.0


async def test_one_aaaa_that_is_answered_restores_the_patience(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(mute)
    asker = Asker(world.ask, Pace())
    await ask_many(asker, [shop6(number) for number in range(MUTE_AFTER)])
    world.answer = lambda servers, question: ANSWER
    await ask_many(asker, [shop6(1)])
    world.answer = mute
    assert await seconds_for(asker, shop6(50)) == pytest.approx(5.0)


async def test_a_dropped_a_is_waited_for_every_time(autojump_clock: trio.testing.MockClock) -> None:
    """Clients without IPv6 are cut off: that is no habit of servers but a fault."""
    world = World(lambda servers, q: ANSWER if q.family == 6 else TIMEOUT)
    asker = Asker(world.ask, Pace())
    for _ in range(MUTE_AFTER + 1):
        assert await seconds_for(asker, shop(), shop6()) == pytest.approx(5.0)


# ---------------------------------------------------------------- whose fault is silence


async def reason_of_silence(
    answer: Callable[[Sequence[NameServer], DnsQuestion], DnsOutcome], *, ours: bool
) -> Reason:
    outcome = await Asker(World(answer).ask, Pace()).ask(SERVERS, shop(), 5.0, ours=ours)
    assert isinstance(outcome, NoAnswer)
    return outcome.failure.reason


async def test_our_own_resolver_that_is_silent_about_the_root_too_is_our_trouble(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert await reason_of_silence(silent_but_for(), ours=True) is Reason.VANTAGE_ILL


async def test_silence_about_one_name_alone_is_that_names_trouble(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert await reason_of_silence(silent_but_for("."), ours=True) is Reason.TIMEOUT


async def test_a_named_server_that_is_silent_is_not_our_trouble(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert await reason_of_silence(silent_but_for(), ours=False) is Reason.TIMEOUT


async def test_a_sign_of_life_meanwhile_makes_the_control_question_needless(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(silent_but_for("shop-1.example"))
    outcomes = await ask_many(Asker(world.ask, Pace()), [shop(0), shop(1)], ours=True)
    assert outcomes[shop(0)] is TIMEOUT
    assert ROOT not in [question for _, question in world.asked]
