"""Plays a plan against a real agent, and settles the accounts."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import trio

from probe.lab.board import Where
from tests.soak.accounts import (
    NO_FAULT,
    Account,
    Counts,
    Cycle,
    Seen,
    Witnesses,
    by_kind,
    late_starts,
    read_counts,
    settle,
)
from tests.soak.network import Rule
from tests.soak.plan import BLACKOUT, CYCLE, DNS, LAB, NETWORK, RESTART, Fault, make_plan
from tests.soak.stage import CHURN, TIMEOUT, Size, Stage, faked_time, measure, open_stage
from tests.support.agents import RunningAgent, start_agent

MIB = 1024 * 1024
ALLOWED = Size(memory=8 * MIB, files=4, threads=2, tasks=8)
"""By how much an agent may be larger at its end than in its third cycle, besides what follows."""

SERIES = 1000
"""Bytes for each series that came since: counters of an edge's failures stay for good."""

SETTLED = 2
"""Cycles until every edge had its turn."""

_READ = CYCLE - 2  # second of a cycle at which the counters are read
_AFTER = 2 * TIMEOUT + 2
"""Seconds after a fault in which an edge's schedule may still show it: slow edges take turns."""

_SLOWEST = 20.0
_WARM = 300.0

TOO_SLOW = 0.005
"""Share of all attempts that may hang though nothing was done to them."""

NEVER = (
    "probe_agent_missed_runs_total",
    "probe_agent_loop_crashes_total",
    "probe_agent_unknown_reasons_total",
)
"""Counters that no fault here may move."""


Hears = Callable[[Sequence[Mapping[str, Any]]], int]
"""Counts in a part of the agent's log how often it said what is to be heard."""


def hears(event: str, **fields: object) -> Hears:
    """Count lines with this event and these fields."""
    return lambda log: sum(
        line["event"] == event and fields.items() <= line.items() for line in log
    )


def hears_clock(log: Sequence[Mapping[str, Any]]) -> int:
    """Count how often the clock became ill."""
    states = ["clock" in line for line in log if line["event"].startswith("vantage ")]
    return sum(ill and not before for before, ill in pairwise([False, *states]))


@dataclass(slots=True)
class Soak:
    """One run, as it goes."""

    stage: Stage
    interval: float
    say: Callable[[str], None]
    agent: RunningAgent = field(init=False)
    living: AsyncExitStack = field(init=False)
    numbers: dict[int, int] = field(default_factory=dict)
    """The lab's numbers of faults, by ours."""

    told: dict[int, int] = field(default_factory=dict)
    heard: dict[int, tuple[int, Hears]] = field(default_factory=dict)
    """Where the log was when something happened to the agent, and what it has to say."""

    windows: list[tuple[str, float, float]] = field(default_factory=list)
    begun: dict[int, float] = field(default_factory=dict)
    cycles: list[Cycle] = field(default_factory=list)
    sizes: list[list[tuple[Size, Counts]]] = field(default_factory=lambda: [[]])
    """What the agent held and counted at the end of each cycle, for each process."""

    waits: list[tuple[float, float, float]] = field(default_factory=list)
    edition: int = 0
    _counts: Counts = field(default_factory=Counts)
    _since: tuple[float, float] = (0.0, 0.0)
    _waited: int = 0

    # ------------------------------------------------------------ the agent

    async def start(self) -> None:
        """Start an agent in its namespace, its clock in a file."""
        environ = faked_time(self.stage.folder) | {"SOAK_TASKS": str(self.stage.folder / "tasks")}
        words = [f"{name}={value}" for name, value in environ.items()]
        program = (*self.stage.enter, "env", *words, sys.executable, "-m", "tests.soak.observed")
        self.living = AsyncExitStack()
        starting = start_agent(self.stage.config, program=program)
        self.agent = await self.living.enter_async_context(starting)
        await self.agent.address()

    async def warm(self, edges: int) -> None:
        """Wait until every edge was seen."""
        with trio.fail_after(_WARM):
            while True:
                text = (await self.agent.get("/metrics")).text
                seen = text.count("\nprobe_edge_up{")
                if seen >= edges:
                    break
                await trio.sleep(2)
        await trio.sleep(TIMEOUT)
        self._counts, self._since = await self._read()
        self._waited = (await self._size()).waited

    async def _size(self) -> Size:
        return await measure(self.agent.process.pid, self.stage.folder / "tasks")

    async def _read(self) -> tuple[Counts, tuple[float, float]]:
        """The counters, when they were asked for, and when they had come."""
        asked = time.monotonic()
        text = (await self.agent.get("/metrics")).text
        return read_counts(text), (asked, time.monotonic())

    async def close_cycle(self, number: int) -> None:
        """Read the counters and what the agent holds."""
        counts, at = await self._read()
        moved = counts.since(self._counts)
        self.cycles.append(Cycle(number, self._since, at, moved))
        self._counts, self._since = counts, at
        for which, (position, counts_in) in self.heard.items():
            self.told[which] = counts_in(self.agent.log[position:])
        self.heard.clear()
        size = await self._size()
        waited, self._waited = size.waited - self._waited, size.waited
        self.waits.append((self.cycles[-1].began[0], time.monotonic(), waited / 1e9))
        self.sizes[-1].append((size, counts))
        self.say(
            f"cycle {number}: {moved.attempts.total()} attempts, {moved.failures.total()} failed, "
            f"{moved.excused.total()} excused; {size.memory / MIB:.1f} MiB, {size.files} files, "
            f"{size.threads} threads, {size.tasks} tasks, {counts.series} series; "
            f"without a processor for {waited / 1e9:.1f} s"
        )

    async def _restart(self, fault: Fault) -> None:
        began, old = self._since, self.agent
        await self.living.aclose()
        stopped = any(line["event"] == "stopped" for line in old.log)
        await self.start()
        self.told[fault.number] = int(stopped)
        now = time.monotonic()
        self.windows.append(("", began[0], now + self.interval + 10))
        self._counts, self._since, self._waited = Counts(), (now, now), 0
        self.sizes.append([])

    # ------------------------------------------------------------ faults

    async def begin(self, fault: Fault) -> None:
        """Do it."""
        self.say(str(fault))
        self.begun[fault.number] = time.monotonic()
        address = self.stage.addresses().get(fault.place, "")
        if fault.kind in (*NETWORK, BLACKOUT):
            rule = Rule(fault.number, fault.kind, address, fault.amount)
            await self.stage.link.add(rule)
        elif fault.kind in LAB:
            where = Where(edges=frozenset({fault.place}))
            self.numbers[fault.number] = await self.stage.lab.inject(fault.kind, where)
        elif fault.kind == DNS:
            where = Where(domains=frozenset(fault.place.split()))
            self.numbers[fault.number] = await self.stage.lab.inject(fault.kind, where)
        elif fault.kind == RESTART:
            await self._restart(fault)
        else:
            self._befall(fault)

    async def end(self, fault: Fault) -> None:
        """Undo it."""
        if fault.kind in (*NETWORK, BLACKOUT):
            await self.stage.link.ask(do="remove", number=fault.number)
        elif fault.number in self.numbers:
            await self.stage.lab.remove(self.numbers[fault.number])
        else:
            await self._until_heard(fault)
            self._undo(fault)
        now = time.monotonic()
        if fault.kind in (*NETWORK, *LAB, BLACKOUT, "stop"):
            address = self.stage.addresses().get(fault.place, "")
            self.windows.append((address, self.begun[fault.number], now + _AFTER))

    async def _until_heard(self, fault: Fault) -> None:
        """Undo nothing that the agent has not looked at, on a machine with other work."""
        if fault.number in self.heard and fault.kind != "clock":
            position, counts_in = self.heard[fault.number]
            with trio.move_on_after(_SLOWEST):
                while not counts_in(self.agent.log[position:]):
                    await trio.sleep(0.1)

    def _befall(self, fault: Fault) -> None:
        """What happens to the agent and its files, and by which words its log shows it."""
        position, shown = len(self.agent.log), None
        match fault.kind:
            case "reload":
                self.edition += 1
                self.stage.configure(self.interval, self.edition)
                shown = hears("reloaded")
                self.agent.process.send_signal(signal.SIGHUP)
            case "bad_config":
                text = self.stage.config.read_text()
                self.stage.config.write_text(text.replace("timeout: 4s", "timeout: soon"))
                shown = hears("reload refused")
                self.agent.process.send_signal(signal.SIGHUP)
            case "stop":
                self.agent.process.send_signal(signal.SIGSTOP)
            case "clock":
                shown = hears_clock
                self.stage.clock(fault.amount)
            case "grow":
                self.stage.list_stores(min(self.stage.listed + 5, len(self.stage.churning)))
                shown = hears("targets changed", list=CHURN, targets=self.stage.listed)
            case "shrink":
                self.stage.list_stores(max(self.stage.listed - 4, 8))
                shown = hears("targets changed", list=CHURN, targets=self.stage.listed)
            case "half_written":
                shown = hears("target source", list=CHURN)
                self.stage.write_half()
            case unknown:
                raise ValueError(f"nobody knows how to do {unknown}")
        if shown is not None:
            self.heard[fault.number] = position, shown

    def _undo(self, fault: Fault) -> None:
        match fault.kind:
            case "bad_config":
                self.stage.configure(self.interval, self.edition)
            case "stop":
                self.agent.process.send_signal(signal.SIGCONT)
            case "clock":
                self.stage.clock(0)
            case "half_written":
                self.stage.list_stores(self.stage.listed)
            case _:
                pass

    # ------------------------------------------------------------ the whole

    async def play(self, plan: tuple[Fault, ...], cycles: int) -> None:
        """Everything in its time."""
        moments: list[tuple[float, int, Callable[[], Awaitable[None]]]] = []
        for fault in plan:
            moments.append((fault.start, 1, partial(self.begin, fault)))
            moments.append((fault.end, 0, partial(self.end, fault)))
        for number in range(cycles):
            at = number * CYCLE + _READ
            moments.append((at, 2, partial(self.close_cycle, number)))
        began = time.monotonic()
        for at, _, do in sorted(moments, key=lambda moment: moment[:2]):
            await trio.sleep(max(0.0, began + at - time.monotonic()))
            assert self.agent.process.returncode is None, "the agent has died"
            await do()
            # What took long moves all that follows, so that each fault keeps its length.
            began = max(began, time.monotonic() - at)


def verdict(soak: Soak, flows: list[Seen], accounts: list[Account], loose: list[str],
            span: tuple[float, float]) -> Iterator[str]:  # fmt: skip
    """Everything that is not as it must be, a line each."""
    for account in accounts:
        if not account.exact:
            yield (
                f"fault {account.fault}: injected {account.injected}, "
                f"observed {account.observed} {account.note}"
            )
    yield from loose
    slow = sum(one.injected for one in accounts if one.fault.kind == NO_FAULT)
    attempts = sum(cycle.moved.attempts.total() for cycle in soak.cycles)
    if slow > attempts * TOO_SLOW:
        yield f"{slow} of {attempts} attempts hung without a fault: the machine is too busy"
    for cycle in soak.cycles:
        for (name, label), moved in cycle.moved.others.items():
            if name in NEVER or label in {"crashed", "cut", "stuck"}:
                yield f"cycle {cycle.number}: {name} {label} moved by {moved}"
    for sizes in soak.sizes:
        if len(sizes) > SETTLED + 1:
            yield from _grown(*sizes[SETTLED], *sizes[-1])
    stores = [flow for flow in flows if flow.name in soak.stage.stores]
    expected, missed = late_starts(stores, soak.interval, soak.windows, span, soak.waits)
    soak.say(f"schedule: {expected} starts expected outside faults, {len(missed)} missed")
    if not expected:
        yield "no start was expected: nothing was judged"
    yield from missed


def _grown(first: Size, then: Counts, last: Size, now: Counts) -> Iterator[str]:
    """What an agent holds more than it may."""
    more = max(0, now.in_flight - then.in_flight)
    allowed = Size(
        ALLOWED.memory + SERIES * max(0, now.series - then.series),
        ALLOWED.files + more,
        ALLOWED.threads,
        ALLOWED.tasks + 2 * more,
    )
    for name in ("memory", "files", "threads", "tasks"):
        before, after = getattr(first, name), getattr(last, name)
        if after - before > getattr(allowed, name):
            yield f"{name}: {before} in its third cycle, {after} at its end"


async def run(
    seed: int, minutes: float, edges: int, interval: float, say: Callable[[str], None]
) -> int:
    """Run it; how many things were wrong.

    Args:
        seed: of the plan, of the network's chance and of the lab's.
        minutes: of measuring; it warms up before.
        edges: about so many.
        interval: seconds between attempts on one edge.
        say: prints a line.
    """
    cycles = max(2, round(minutes * 60 / CYCLE))
    with tempfile.TemporaryDirectory(prefix="probe-soak-") as name:
        async with open_stage(Path(name), seed, edges) as stage:
            plan = make_plan(seed, cycles, stage.edges(), stage.stores)
            soak = Soak(stage, interval, say)
            stage.configure(interval)
            count = (len(stage.edges()) + len(stage.spared)) * len(stage.stores)
            say(f"seed {seed}: {len(plan)} faults in {cycles} cycles, {count} edges")
            try:
                await soak.start()
                await soak.warm(count + len(stage.spared) * stage.listed)
                began = time.monotonic()
                await soak.play(plan, cycles)
                span = began, time.monotonic()
                report = await stage.link.ask(do="report")
                struck = await stage.lab.struck()
            finally:
                if soak.agent.process.returncode is None:
                    soak.agent.process.send_signal(signal.SIGCONT)
                await soak.living.aclose()
                if kept := os.environ.get("SOAK_KEEP"):
                    log = "\n".join(str(line) for line in soak.agent.log)
                    Path(kept).write_text(log)
    flows = Seen.read(report["flows"])
    strikes = {
        ours: sum(one.times for one in struck if one.number == theirs)
        for ours, theirs in soak.numbers.items()
    }
    spared = frozenset(stage.addresses()[name] for name in stage.spared)
    seen = Witnesses(flows, strikes, stage.addresses(), soak.told, spared)
    accounts, loose = settle(plan, soak.cycles, seen)
    wrong = list(verdict(soak, flows, accounts, loose, span))
    for line in by_kind(accounts):
        say(line)
    exact = sum(account.exact for account in accounts)
    say(f"{exact} of {len(accounts)} accounts are exact; {len(wrong)} findings")
    for line in wrong[:60]:
        say(f"WRONG {line}")
    return len(wrong)
