"""Changes of certificates: what log, series and page say of them, and what a restart keeps."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from probe.agent.leaf_book import EVERY, FILE, LeafBook, _append
from probe.agent.leaves import LeafEvents
from probe.agent.log import EventLog, configure
from probe.lab.board import Where
from probe.lab.process import RemoteLab
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import CertificateFacts, Failed, Passed, TlsResult
from probe.model.spec import TlsCheck
from probe.model.state import EdgeStatus
from probe.model.target import ProviderKey
from probe.serve import CertificatesKey, Store
from probe.serve.page.html import target_page
from probe.serve.page.target_view import target_view
from probe.state.consensus import Consensus
from tests.serve.world import START, World, leaf, spec
from tests.support.agents import StartAgent
from tests.support.reading import exposed

SHOP = "shop.example"
DAY = 86_400.0
KEY = CertificatesKey("stores", SHOP, "cdn-a", "ecdsa")
CHECK = spec().checks[0]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    configure(stream, "json")
    yield stream
    logging.getLogger().handlers[:] = before


class Agent:
    """The parts of an agent that a result passes on its way, for one check."""

    def __init__(self, book: LeafBook | None = None) -> None:
        self.store = Store("sa-east", started_at=START)
        self.store.configure(spec())
        self.world = World()
        assert isinstance(CHECK, TlsCheck)
        self.consensus = Consensus(CHECK.consensus)
        self.events = LeafEvents(self.store, EventLog(), book)
        self.events.configure({CHECK.name: CHECK})

    def see(self, number: int, facts: CertificateFacts, at: float, *wrong: Reason) -> None:
        key = self.world.key(SHOP, "cdn-a", number)
        outcome = Failed(Failure(Phase.CERTIFICATE, wrong[0])) if wrong else Passed()
        result: TlsResult = self.world.result(key, outcome)
        assert result.handshake is not None
        handshake = replace(result.handshake, chain=(facts,))
        result = replace(result, at=START + at, handshake=handshake)
        self.store.record_edge(result, *_STATE)
        self.events.observe(result, facts, self.consensus)
        self.consensus.observe(key, facts, result.at)

    def series(self) -> dict[str, float]:
        found = {}
        for line in exposed(self.store).splitlines():
            name = line.partition("{")[0].removeprefix("probe_certificates_")
            if name in {"changes_total", "last_change_timestamp_seconds"}:
                found[name] = float(line.rsplit(" ", 1)[1])
        return found


def certificate(name: str, begins: float, issuer: str = "CN=CA") -> CertificateFacts:
    facts = leaf(SHOP)
    return replace(
        facts,
        fingerprint_sha256=name * 64,
        issuer=issuer,
        not_before=START + begins,
        not_after=START + begins + 90 * DAY,
    )


_STATE = (EdgeStatus.PASSING, START)
OLD, NEW = certificate("a", 0), certificate("b", 30 * DAY)
OTHER = certificate("c", 31 * DAY, "CN=Other CA")


def events(lines: io.StringIO) -> list[dict[str, object]]:
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [one for one in found if one["event"] == "certificate changed"]


async def test_a_renewal_is_a_line_a_counter_and_a_row_of_the_domains_page(
    lines: io.StringIO,
) -> None:
    agent = Agent()
    agent.see(1, OLD, 0)
    assert agent.series() == {"changes_total": 0.0}
    for number in (1, 2):
        agent.see(number, NEW, 30 * DAY + number)
    assert agent.series() == {
        "changes_total": 1.0,
        "last_change_timestamp_seconds": START + 30 * DAY + 1,
    }
    (event,) = events(lines)
    assert (event["what"], event["provider"], event["key_type"]) == ("renewed", "cdn-a", "ecdsa")
    assert (event["old_fingerprint"], event["new_fingerprint"]) == ("a" * 64, "b" * 64)
    assert {"old_not_after", "new_not_before", "new_issuer"} <= event.keys()
    view = target_view(agent.store, SHOP, START + 31 * DAY)
    assert view is not None
    page = target_page(view)
    assert "Latest change of certificate" in page
    assert f"<code>{'a' * 12}</code>" in page
    assert f"<code>{'b' * 12}</code>" in page
    assert not agent.store.journal  # thousands of renewals push no failure off the first page


async def test_another_issuer_is_told_as_such_and_stands_among_the_changes(
    lines: io.StringIO,
) -> None:
    agent = Agent()
    agent.see(1, OLD, 0)
    agent.see(1, OTHER, 31 * DAY)
    (event,) = events(lines)
    assert (event["what"], event["new_issuer"]) == ("other issuer", "CN=Other CA")
    (change,) = agent.store.journal
    assert (change.after, change.key) == ("other issuer", ProviderKey("stores", SHOP, "cdn-a"))
    assert "(ecdsa, by CN=Other CA, until " in change.note


async def test_a_certificate_for_other_names_is_a_failure_and_no_change(
    lines: io.StringIO,
) -> None:
    agent = Agent()
    agent.see(1, OLD, 0)
    for wrong in (Reason.DEFAULT_CERTIFICATE, Reason.NAME_MISMATCH):
        agent.see(1, OTHER, DAY, wrong)
        agent.see(1, OLD, 2 * DAY)
    agent.see(1, NEW, 30 * DAY, Reason.EXPIRED)
    assert [event["new_fingerprint"] for event in events(lines)] == ["b" * 64]


async def test_series_go_with_the_target(lines: io.StringIO) -> None:
    agent = Agent()
    agent.see(1, OLD, 0)
    agent.see(1, NEW, 30 * DAY)
    agent.store.forget_split(KEY)  # no edge has a handshake any more: counts stay
    assert agent.series()["changes_total"] == 1.0
    agent.events.forget(ProviderKey("stores", SHOP, "cdn-a"))
    agent.store.forget([ProviderKey("stores", SHOP, "cdn-a")])
    assert agent.series() == {}


async def restarted(folder: Path, at: float = 0) -> LeafBook:
    book = LeafBook(folder, EventLog())
    await book.load(START + at)
    return book


async def kept(book: LeafBook) -> None:
    """Let the book write what changed."""
    async with trio.open_nursery() as nursery:
        await nursery.start(book.run)
        await trio.sleep(EVERY + 1)
        nursery.cancel_scope.cancel()


async def test_a_restart_keeps_counts_and_notices_what_changed_meanwhile(
    tmp_path: Path, lines: io.StringIO, autojump_clock: MockClock
) -> None:
    book = await restarted(tmp_path / "state")
    agent = Agent(book)
    agent.see(1, OLD, 0)
    agent.see(1, NEW, 30 * DAY)
    await kept(book)
    agent = Agent(await restarted(tmp_path / "state", 31 * DAY))
    agent.see(2, OLD, 30 * DAY + 60)  # still on its way
    assert agent.series()["changes_total"] == 1.0
    agent = Agent(await restarted(tmp_path / "state", 31 * DAY))
    agent.see(1, OTHER, 31 * DAY)
    assert agent.series()["changes_total"] == 2.0
    assert [event["what"] for event in events(lines)] == ["renewed", "other issuer"]


async def test_what_changed_last_is_written_when_the_agent_stops(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    book = await restarted(tmp_path)
    async with trio.open_nursery() as nursery:
        await nursery.start(book.run)
        Agent(book).see(1, OLD, 0)
        nursery.cancel_scope.cancel()
    assert (await restarted(tmp_path)).recall(KEY) is not None


async def test_damaged_and_stale_lines_are_passed_over(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    book = await restarted(tmp_path)
    Agent(book).see(1, OLD, 0)
    await kept(book)
    path = tmp_path / FILE
    whole = path.read_text()
    path.write_text("{}\n[1]\n\x00\xff nonsense\n" + whole + whole[:-9])
    again = await restarted(tmp_path)
    assert again.recall(KEY) is not None
    assert again.recall(KEY) is None  # once
    assert path.read_text() == whole  # written anew, with the good line alone
    assert (await restarted(tmp_path, 200 * DAY)).recall(KEY) is None


@pytest.mark.parametrize("odd", ["fifo", "link", "folder", "holes"])
async def test_what_stands_in_place_of_the_file_holds_nothing_up(
    tmp_path: Path, lines: io.StringIO, autojump_clock: MockClock, odd: str
) -> None:
    """Start and end wait for no pipe, and no file elsewhere grows."""
    path, other = tmp_path / "state" / FILE, tmp_path / "other"
    path.parent.mkdir()
    other.write_text("of somebody else\n")
    match odd:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to(other)
        case "folder":
            path.mkdir()
        case _:
            with path.open("wb") as file:
                file.truncate(20 << 30)
    book = await restarted(path.parent)
    Agent(book).see(1, OLD, 0)
    await kept(book)
    assert other.read_text() == "of somebody else\n"
    told = {json.loads(line)["event"] for line in lines.getvalue().splitlines()}
    # A link is read, and replaced by a file of ours.
    assert told == (set() if odd == "link" else {"certificates cannot be kept"})
    assert (await restarted(path.parent)).recall(KEY) is None or odd == "link"


async def test_a_file_that_grew_long_is_written_anew(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server with another certificate at each handshake must not fill the disk."""
    monkeypatch.setattr("probe.agent.leaf_book.time.time", lambda: START)
    book = await restarted(tmp_path)
    Agent(book).see(1, OLD, 0)
    await kept(book)
    path = tmp_path / FILE
    line = path.read_text()
    monkeypatch.setattr("probe.agent.leaf_book._LONG", 10 * len(line))
    sizes = []
    for _ in range(25):
        _append(path, line)
        sizes.append(path.stat().st_size // len(line))
    assert sizes == [*range(2, 11), *range(1, 11), *range(1, 7)]
    assert (await restarted(tmp_path)).recall(KEY) is not None


async def test_a_folder_that_cannot_be_written_is_told_once_and_loses_nothing(
    tmp_path: Path, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.agent.leaf_book.EVERY", 0.01)
    folder = tmp_path / "state"
    folder.write_text("a file where the folder should be")
    book = LeafBook(folder, EventLog())
    Agent(book).see(1, OLD, 0)

    async def told(*expected: str) -> None:
        while [json.loads(line)["event"] for line in lines.getvalue().splitlines()] != [*expected]:
            await trio.sleep(0.01)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(book.run)
            await told("certificates cannot be kept")
            await trio.sleep(0.1)  # some tries more
            folder.unlink()
            await told("certificates cannot be kept", "certificates can be kept again")
            nursery.cancel_scope.cancel()
    assert (await restarted(folder)).recall(KEY) is not None


@pytest.mark.real
@pytest.mark.usefixtures("lab")
async def test_a_running_agent_tells_a_change_once_and_remembers_it(
    config: Path, agents: StartAgent, lab: RemoteLab
) -> None:
    """One edge of four gets a certificate of another issuer, then a second one does."""
    config.write_text(f"{config.read_text()}\nstate_dir: state\n")
    place = {"provider": "cdn-b", "target": "store-001.example", "key_type": "ecdsa"}
    total = "probe_certificates_changes_total"
    async with agents(config) as agent:
        edges = lab.info.seen("sa-east", "cdn-b")

        async def watched() -> bool:
            """Each edge was seen: what is there at the first look is no change."""
            up = {"provider": "cdn-b", "target": "store-001.example"}
            values = [await agent.metric("probe_edge_up", edge=edge.label, **up) for edge in edges]
            return values == [1.0] * len(edges)

        await agent.until(watched)
        assert await agent.metric(total, **place) == 0.0
        for edge in edges[:2]:
            where = Where(frozenset({"store-001.example"}), frozenset({edge.name}))
            await lab.inject("other_issuer", where)
            event = await agent.said("certificate changed", **place)
            assert event["what"] == "other issuer"
            assert "Lab Issuing CA 2" in event["new_issuer"]
        assert await agent.metric(total, **place) == 1.0
        page = (await agent.get("/target/store-001.example")).text
        assert "Latest change of certificate" in page
        assert "other issuer" in page
    async with agents(config) as agent:

        async def remembered() -> bool:
            return await agent.metric(total, **place) == 1.0

        await agent.until(remembered)
        assert not [line for line in agent.log if line["event"] == "certificate changed"]
