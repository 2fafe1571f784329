"""The story, told to a lab that only remembers, in virtual time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
import trio.testing
import yaml

from probe.config.loading import load
from probe.demo.configuration import write_files
from probe.demo.story import API_FAULT, TLS_FAULT, Pace, Story, incidents, pace_for, plan_for
from probe.demo.verdict import Watch
from probe.lab.board import Where
from probe.lab.info import Broken, Layout, Strikes, WorldInfo, store_names
from probe.lab.places import lay_out
from probe.lab.world import MULTI_CDN, cdn_host
from probe.model.flow import ApiCheck
from probe.model.spec import TlsCheck


def world_info(stores: int = 100, *, distinct: bool = True) -> WorldInfo:
    layout = Layout(domains=store_names(stores))
    places = lay_out(layout.regions, distinct=distinct)
    resolvers = dict.fromkeys(layout.regions, ("127.0.0.1", 5300))
    return WorldInfo(layout, places, resolvers, "roots.pem", distinct)


@dataclass
class RememberingLab:
    info: WorldInfo
    events: list[tuple[float, str, object]] = field(default_factory=list)

    def note(self, what: str, detail: object) -> None:
        self.events.append((trio.current_time(), what, detail))

    async def inject(
        self, fault: str, where: Where | None = None, *, probability: float = 1.0
    ) -> int:
        self.note("inject", (fault, where, probability))
        return len(self.events)

    async def remove(self, number: int) -> None:
        self.note("remove", self.events[number - 1][2])

    async def clear(self) -> None:
        self.note("clear", None)

    async def move(self, domains: Iterable[str], canonical: str) -> None:
        self.note("move", (tuple(domains), canonical))

    async def truth(self) -> tuple[Broken, ...]:
        return ()

    async def struck(self) -> tuple[Strikes, ...]:
        return ()


@pytest.mark.parametrize("stores", [5, 20, 100, 120, 300])
def test_three_in_a_hundred_stores_are_hit_and_all_of_them_move(stores: int) -> None:
    plan = plan_for(world_info(stores))
    assert len(plan.victims) == max(1, round(stores * 0.03))
    assert plan.victims <= set(plan.moving)
    assert not plan.victims & set(plan.batches[0])
    assert len(set(plan.moving)) == len(plan.moving)


def test_half_of_the_edges_that_one_region_sees_are_hit() -> None:
    info = world_info()
    plan = plan_for(info)
    places = [info.place(name) for name in plan.edges]
    assert len(places) == len(info.seen("sa-east", "cdn-b")) // 2
    assert {(place.provider, place.region) for place in places} == {("cdn-b", "sa-east")}


async def test_the_story_breaks_and_repairs_what_the_incidents_say(
    autojump_clock: trio.testing.MockClock,
) -> None:
    info = world_info()
    lab, plan = RememberingLab(info), plan_for(info)
    first, second = map(Watch, incidents(info, plan))

    async def named(_watch: Watch) -> None:
        await trio.sleep(7)

    async def whole(watch: Watch) -> None:
        await trio.sleep(25 if watch is first else 3)

    pace = Pace(between_batches=2, detection=60, whole=60, hold=10)
    lines: list[str] = []
    start = trio.current_time()
    story = Story(lab, plan, pace, (first, second), named, whole, lines.append, trio.current_time)
    await story.tell()
    orders = [(what, detail) for _, what, detail in lab.events]
    tls = (TLS_FAULT, Where(domains=plan.victims, edges=plan.edges), 0.4)
    api = (API_FAULT, None, 0.6)
    moves = [("move", (batch, MULTI_CDN)) for batch in plan.batches]
    assert orders == [
        *moves[:2],
        ("inject", tls),
        *moves[2:],
        ("move", (tuple(plan.victims), cdn_host("cdn-a"))),
        ("remove", tls),
        ("inject", api),
        ("remove", api),
    ]
    # The first waits until all of it is named, the second until people had a look.
    assert (first.fault_at, first.repaired_at) == (start + 2, start + 10 + 7 + 25)
    assert (second.fault_at, second.repaired_at) == (start + 42, start + 42 + 7 + 10)


async def test_an_incident_that_nobody_names_is_repaired_after_a_while(
    autojump_clock: trio.testing.MockClock,
) -> None:
    info = world_info()
    plan = plan_for(info)
    first, second = map(Watch, incidents(info, plan))

    async def named(_watch: Watch) -> None:
        await trio.sleep_forever()

    pace = Pace(between_batches=0, detection=30, hold=10)
    begun = trio.current_time()
    waits = (named, named)
    story = Story(
        RememberingLab(info), plan, pace, (first, second), *waits, lambda _: None, trio.current_time
    )
    await story.tell()
    assert trio.current_time() - begun == 60


async def test_an_incident_of_which_a_part_is_never_named_is_repaired_after_a_while(
    autojump_clock: trio.testing.MockClock,
) -> None:
    info = world_info()
    plan = plan_for(info)
    first, second = map(Watch, incidents(info, plan))

    async def named(_watch: Watch) -> None:
        await trio.sleep(1)

    async def whole(_watch: Watch) -> None:
        await trio.sleep_forever()

    pace = Pace(between_batches=0, detection=30, whole=40, hold=10)
    waits, begun = (named, whole), trio.current_time()
    story = Story(
        RememberingLab(info), plan, pace, (first, second), *waits, lambda _: None, trio.current_time
    )
    await story.tell()
    assert trio.current_time() - begun == 2 * (1 + 40)


@pytest.mark.parametrize("seconds", [20.0, 60.0, 150.0])
def test_a_short_demo_waits_less(seconds: float) -> None:
    pace, longest = pace_for(seconds), pace_for(None)
    assert pace.hold <= longest.hold
    assert pace.detection <= longest.detection
    assert pace.between_batches <= longest.between_batches


@pytest.mark.parametrize("distinct", [True, False], ids=["own addresses", "one address"])
def test_what_the_agents_are_given_is_a_good_configuration(tmp_path: Path, distinct: bool) -> None:
    info = world_info(20, distinct=distinct)
    (tmp_path / "roots.pem").write_bytes(b"")
    moving = plan_for(info).moving
    if not distinct:  # each edge has its own port then
        places = tuple(
            type(place)(place.name, place.provider, place.region, place.ip, 40000 + number)
            for number, place in enumerate(info.places)
        )
        info = WorldInfo(info.layout, places, info.resolvers, info.roots, distinct)
    else:
        places = tuple(
            type(place)(place.name, place.provider, place.region, place.ip, 40000)
            for place in info.places
        )
        info = WorldInfo(info.layout, places, info.resolvers, info.roots, distinct)
    file = write_files(tmp_path, info, "us-east", moving)
    spec = load(file, environ={})
    assert spec.region == "us-east"
    kinds = {check.name: type(check) for check in spec.checks}
    assert kinds == {"stores": TlsCheck, "next-batch": TlsCheck, "developer-cli": ApiCheck}
    (group,) = yaml.safe_load((tmp_path / "next-batch.yaml").read_text())
    assert group["targets"] == list(moving)
    assert (tmp_path / "apptoken").stat().st_mode & 0o777 == 0o600
    assert "lab-apptoken" not in file.read_text()
