"""Runs a demo: the lab, three agents, the story, and an eye on what the agents say."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import httpx
import trio

from probe.demo.agents import Agent, open_agents
from probe.demo.configuration import write_files
from probe.demo.display import Display, open_display
from probe.demo.engines import programs
from probe.demo.errors import DemoError
from probe.demo.eyes import look
from probe.demo.pages import open_pages
from probe.demo.picture import (
    Picture,
    RegionPicture,
    alarm_lines,
    because_line,
    found_line,
    summary_line,
    whole_line,
)
from probe.demo.report import report as report_of
from probe.demo.story import Story, incidents, pace_for, plan_for
from probe.demo.verdict import Seen, Watch, false_alarms
from probe.lab.control import Lab
from probe.lab.info import Layout, store_names
from probe.lab.process import LabDied, open_lab_process

STORES = 120
"""Stores in the demo's lab: lab and agents together take about a sixth of two cores then."""

WITHOUT_A_TERMINAL = 120.0
"""Seconds that a demo lasts where nobody can end it."""

_LOOK_EVERY = 0.5
_SETTLE_SECONDS = 60.0
_PER_STORE = 4  # edges of one CDN that a region sees


def play(
    *,
    seconds: float | None,
    report: Path | None,
    stdout: TextIO,
    with_prometheus: bool = False,
    layout: Layout | None = None,
) -> bool:
    """See ``probe.demo.run_demo``; ``layout`` is the lab's."""
    if with_prometheus:
        programs()
    if seconds is None and not stdout.isatty():
        seconds = WITHOUT_A_TERMINAL
    layout = layout or Layout(domains=store_names(STORES))
    demo = _Demo(seconds, open_display(stdout), layout, with_prometheus)
    try:
        trio.run(demo.run)
    except BaseExceptionGroup as group:
        known = group.subgroup((DemoError, LabDied))
        if known is None or group.split((DemoError, LabDied))[1] is not None:
            raise
        raise DemoError(str(_innermost(known))) from group
    finally:
        if report is not None:
            report.write_text(json.dumps(report_of(demo.watches), indent=2) + "\n")
    demo.conclude(stdout)
    if demo.interrupted and not demo.good:
        raise KeyboardInterrupt
    return demo.good


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@dataclass(slots=True)
class _Demo:
    seconds: float | None
    display: Display
    layout: Layout
    with_prometheus: bool = False
    links: list[tuple[str, str]] = field(default_factory=list)
    watches: tuple[Watch, ...] = ()
    alarms: set[Seen] = field(default_factory=set)
    interrupted: bool = False
    _begun: float = 0.0
    _named: dict[str, trio.Event] = field(default_factory=dict)
    _whole: dict[str, trio.Event] = field(default_factory=dict)
    _settled: trio.Event = field(default_factory=trio.Event)
    _to_see: int = 1
    _started: bool = False

    @property
    def good(self) -> bool:
        """Both incidents were found and named rightly."""
        return bool(self.watches) and all(watch.seconds is not None for watch in self.watches)

    def say(self, text: str) -> None:
        """A line for people."""
        self.display.say(trio.current_time() - self._begun, text)

    def conclude(self, stdout: TextIO) -> None:
        """The last lines, where they stay."""
        for watch in self.watches:
            stdout.write(f"{summary_line(watch)}\n")
            if watch.because:
                stdout.write(f"{because_line(watch)}\n")
        stdout.write(f"false alarms: {len(self.alarms)}\n")
        stdout.flush()

    async def run(self) -> None:
        """Until the time is over or a signal ends it."""
        self._begun = trio.current_time()
        with tempfile.TemporaryDirectory(prefix="probe-demo-") as name, self.display:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_on_signals, nursery.cancel_scope)
                if self.seconds is not None:
                    nursery.cancel_scope.deadline = self._begun + self.seconds
                await self._play(Path(name))
                nursery.cancel_scope.cancel()

    async def _end_on_signals(self, scope: trio.CancelScope) -> None:
        ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        with trio.open_signal_receiver(*ends) as signals:
            async for _ in signals:
                self.interrupted = True
                scope.cancel()

    async def _play(self, folder: Path) -> None:
        self.say(f"starting a lab with {len(self.layout.domains)} stores, two CDNs and a platform")
        async with open_lab_process(folder, self.layout) as lab:
            plan = plan_for(lab.info)
            self.watches = tuple(map(Watch, incidents(lab.info, plan)))
            self._named = {watch.incident.name: trio.Event() for watch in self.watches}
            self._whole = {watch.incident.name: trio.Event() for watch in self.watches}
            files = {
                region: write_files(folder, lab.info, region, plan.moving)
                for region in lab.info.layout.regions
            }
            self._to_see = _PER_STORE * (len(lab.info.layout.domains) + len(plan.moving))
            async with AsyncExitStack() as stack:
                agents = await stack.enter_async_context(open_agents(folder, files))
                for agent in agents:
                    self.say(f"agent {agent.region}: status page {agent.url}/")
                if self.with_prometheus:
                    urls = {agent.region: agent.url for agent in agents}
                    pages = open_pages(folder, urls, self.say)
                    self.links = [*await stack.enter_async_context(pages)]
                    for name, url in self.links:
                        self.say(f"{name}: {url}")
                nursery = await stack.enter_async_context(trio.open_nursery())
                nursery.start_soon(self._watch, agents)
                await self._settle(lab)
                first, second = self.watches
                story = Story(
                    lab,
                    plan,
                    pace_for(self.seconds),
                    (first, second),
                    lambda watch: self._named[watch.incident.name].wait(),
                    lambda watch: self._whole[watch.incident.name].wait(),
                    self.say,
                    time.time,
                )
                await story.tell()
                self.say("both incidents are over; the status pages stay up until the end")
                await trio.sleep_forever()

    async def _settle(self, lab: Lab) -> None:
        """Wait until every agent has looked at every edge once, and nothing fails."""
        with trio.move_on_after(_SETTLE_SECONDS):
            await self._settled.wait()
        self._started = True
        state = "nothing fails" if self._settled.is_set() else "and it does not get calm"
        self.say(f"every edge of {len(lab.info.layout.domains)} stores was looked at, {state}")

    # ------------------------------------------------------------ watching the agents

    async def _watch(self, agents: tuple[Agent, ...]) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                await self._look_at_all(client, agents)
                await trio.sleep(_LOOK_EVERY)

    async def _look_at_all(self, client: httpx.AsyncClient, agents: tuple[Agent, ...]) -> None:
        pictures: dict[str, RegionPicture] = {}

        async def look_at(agent: Agent) -> None:
            if agent.process.poll() is not None:
                raise DemoError(f"the agent of {agent.region} has ended")
            pictures[agent.region] = await look(client, agent.region, agent.url)

        async with trio.open_nursery() as nursery:
            for agent in agents:
                nursery.start_soon(look_at, agent)
        self._take(tuple(pictures[agent.region] for agent in agents), time.time())

    def _take(self, regions: tuple[RegionPicture, ...], now: float) -> None:
        """Judge what the agents say, and show it."""
        seen = tuple(one for region in regions for one in region.seen)
        for watch in self.watches:
            before, known = (watch.detected_at, watch.recovered_at), watch.because
            watch.look(seen, now)
            self._tell_progress(watch, before, now)
            if watch.because and not known:
                self.say(because_line(watch))
        calm = not seen and all((r.edges or 0) >= self._to_see and r.flows for r in regions)
        if calm:
            self._settled.set()
        alarms = false_alarms(seen, self.watches) if self._started else ()
        for line in alarm_lines(set(alarms) - self.alarms):
            self.say(line)
        self.alarms.update(alarms)
        elapsed = trio.current_time() - self._begun
        links = tuple(self.links)
        self.display.show(Picture(now, elapsed, regions, self.watches, alarms, links))

    def _tell_progress(
        self, watch: Watch, before: tuple[float | None, float | None], now: float
    ) -> None:
        whole = self._whole[watch.incident.name]
        if before[0] is None and watch.detected_at is not None:
            self.say(found_line(watch))
            self._named[watch.incident.name].set()
        if watch.whole and watch.repaired_at is None and not whole.is_set():
            self.say(whole_line(watch, now))
            whole.set()
        if before[1] is None and watch.recovered_at is not None and watch.repaired_at is not None:
            after = watch.recovered_at - watch.repaired_at
            self.say(f"RECOVERED {watch.incident.name}: seen {after:.1f} s after the repair")
