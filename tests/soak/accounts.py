"""Injected against observed. Pure.

What was injected is told by the witnesses: the network's notes on each connection, and the lab's
count of what it did. What was observed is what the agent's own counters moved by.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from probe.lab.faults.table import TABLE, Given
from tests.soak.plan import BLACKOUT, CYCLE, DNS, LAB, NETWORK, Fault

SLACK = 5.0
"""Seconds by which a start may be late: the agent's own bound (``VantageRule.late_bound``)."""

_BLUR = 0.5
"""Seconds around a reading of the counters in which a connection may count on either side."""

_SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-z_0-9]+)="((?:[^"\\]|\\.)*)"')
NO_FAULT = "no fault, too slow"
"""Connections that hung though nothing was done to them: the machine has too much to do."""

_EXCUSES = ("vantage_ill", "clock_off")
"""Reasons of attempts that the agent blames on itself."""

_HARMLESS = frozenset({"delay", "reorder", "duplicate"})
_HANGS = (("connect", "timeout"), ("tls", "timeout"))
_RULED = {row.name: (row.phase, row.reason) for row in TABLE if row.given is Given.DEFAULT}

_LAG = "probe_agent_loop_lag_seconds"

STOOD = "stood still for over a second"

Moved = Counter[tuple[str, ...]]
"""Counts by what they are of."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One connection, as the network noted it."""

    at: float
    ended: float
    edge: str
    name: str
    rule: int
    answered: bool
    reset: bool
    shook: bool

    @classmethod
    def read(cls, rows: Iterable[Sequence[Any]]) -> list[Seen]:
        """The inverse of ``Flow.to_json``."""
        return [cls(*row) for row in rows]

    @property
    def hung(self) -> tuple[str, str] | None:
        """Phase and reason of a connection that the network let hang."""
        return None if self.shook else _HANGS[self.answered]


@dataclass(slots=True)
class Counts:
    """What the agent's counters say at one time.

    Attributes:
        failures: by edge's address, phase and reason.
        excused: attempts that the agent did not blame on an edge, by the same.
        attempts: by edge's address.
        others: sums of other families that must not move, or that a fault must move.
        series: how many there are of edges and agent.
        in_flight: attempts that are under way.
    """

    failures: Moved = field(default_factory=Counter)
    excused: Moved = field(default_factory=Counter)
    attempts: Moved = field(default_factory=Counter)
    others: Moved = field(default_factory=Counter)
    series: int = 0
    in_flight: int = 0

    def since(self, before: Counts) -> Counts:
        """What moved."""
        return Counts(
            self.failures - before.failures,
            self.excused - before.excused,
            self.attempts - before.attempts,
            self.others - before.others,
        )


_OTHERS = {
    "probe_agent_dns_questions_total": "outcome",
    "probe_agent_missed_runs_total": "",
    "probe_agent_skipped_runs_total": "reason",
    "probe_agent_loop_crashes_total": "",
    "probe_agent_unknown_reasons_total": "",
    "probe_agent_untrusted_timings_total": "",
    "probe_agent_clock_steps_total": "",
}


def read_counts(text: str) -> Counts:
    """The counters in an exposition."""
    found = Counts()
    for line in text.splitlines():
        if not line.startswith(("probe_edge_", "probe_agent_")):
            continue
        found.series += 1
        if line.startswith("probe_agent_in_flight{"):
            found.in_flight += int(float(line.rpartition(" ")[2]))
        if line.startswith(_LAG) and (line.startswith("_count", len(_LAG)) or 'le="1.0"' in line):
            sign = 1 if line.startswith("_count", len(_LAG)) else -1
            found.others[STOOD, ""] += sign * int(float(line.rpartition(" ")[2]))
        if "_total" not in line:
            continue
        if not (sample := _SAMPLE.match(line)):
            continue
        name, labels, value = sample[1], dict(_LABEL.findall(sample[2] or "")), float(sample[3])
        edge = labels.get("edge", "").partition(":")[0]
        why = edge, labels.get("phase", ""), labels.get("reason", "")
        if name == "probe_edge_failures_total":
            found.failures[why] += int(value)
        elif name == "probe_edge_inconclusive_total":
            found.excused[why] += int(value)
        elif name == "probe_edge_attempts_total":
            found.attempts[edge,] += int(value)
        elif name in _OTHERS:
            found.others[name, labels.get(_OTHERS[name], "")] += int(value)
    return found


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one cycle came to.

    Attributes:
        began: when its first counters were asked for, and when they had come; after a restart,
            when the new agent was there.
        ended: the same of its last counters.
    """

    number: int
    began: tuple[float, float]
    ended: tuple[float, float]
    moved: Counts


@dataclass(frozen=True, slots=True)
class Account:
    """One fault.

    Attributes:
        injected: attempts that the witnesses say were struck.
        observed: attempts that the counters say were, for the right reason.
        excused: how many of them the agent took for its own trouble.
        note: what is wrong.
    """

    fault: Fault
    injected: int
    observed: int
    excused: int = 0
    note: str = ""

    @property
    def exact(self) -> bool:
        """Whether both are the same."""
        return self.injected == self.observed and not self.note


@dataclass(slots=True)
class Witnesses:
    """What was noted outside of the agent.

    Attributes:
        strikes: by number of the fault.
        addresses: of edges, by their names.
        told: what the agent's log and sources of targets said, by number of the fault.
        spared: addresses that only list churn concerns; series there come and go.
    """

    flows: Sequence[Seen]
    strikes: Mapping[int, int]
    addresses: Mapping[str, str]
    told: Mapping[int, int]
    spared: frozenset[str] = frozenset()


def settle(
    faults: Iterable[Fault], cycles: Sequence[Cycle], seen: Witnesses
) -> tuple[list[Account], list[str]]:
    """Account for each fault; and whatever else moved, a line each."""
    accounts: list[Account] = []
    loose: list[str] = []
    by_cycle: dict[int, list[Fault]] = defaultdict(list)
    for fault in faults:
        by_cycle[fault.cycle].append(fault)
    for cycle in cycles:
        dark = any(fault.kind == BLACKOUT for fault in by_cycle[cycle.number])
        left_out = seen.spared if dark else frozenset()
        rest = Counts(_kept(cycle.moved.failures, left_out), _kept(cycle.moved.excused, left_out))
        for fault in by_cycle[cycle.number]:
            accounts.append(_account(fault, cycle, rest, seen))
        accounts.append(_unhurt(cycle, by_cycle[cycle.number], rest, seen))
        where = f"cycle {cycle.number}"
        loose += [
            f"{where}: {times} x failed {' '.join(of)}" for of, times in rest.failures.items()
        ]
        loose += [
            f"{where}: {times} x excused {' '.join(of)}" for of, times in rest.excused.items()
        ]
        loose += [f"{where}: {line}" for line in _attempts(cycle, seen)]
    return accounts, loose


def _kept(moved: Moved, left_out: frozenset[str]) -> Moved:
    """Without edges whose counters went with their targets while they failed."""
    return Counter({of: times for of, times in moved.items() if of[0] not in left_out})


def _account(fault: Fault, cycle: Cycle, rest: Counts, seen: Witnesses) -> Account:
    """One fault; what it explains is taken out of ``rest``."""
    if fault.kind == DNS:
        outcome = cycle.moved.others["probe_agent_dns_questions_total", "servfail"]
        return Account(fault, seen.strikes.get(fault.number, 0), outcome)
    if fault.kind == "clock":
        ill = seen.told.get(fault.number, 0)
        steps = cycle.moved.others["probe_agent_clock_steps_total", ""]
        return Account(fault, 2, steps, note="" if ill == 1 else f"{ill} times ill")
    if fault.kind == "stop":
        return Account(fault, 1, min(1, cycle.moved.others[STOOD, ""]))
    if fault.kind not in (*NETWORK, *LAB, BLACKOUT):
        return Account(fault, 1, seen.told.get(fault.number, 0))
    edge = seen.addresses.get(fault.place, "")
    if fault.kind in LAB:
        expected = _by_lab(fault, edge, cycle, seen)
    else:
        flows = [flow for flow in seen.flows if flow.rule == fault.number]
        flows = [flow for flow in flows if flow.edge not in seen.spared]
        expected = Counter((flow.edge, *flow.hung) for flow in flows if flow.hung)
        if fault.kind in _HARMLESS:
            note = f"{expected.total()} did not get through" if expected else ""
            return Account(fault, len(flows), len(flows) - expected.total(), note=note)
        if fault.kind == "loss":
            through = len(flows) - expected.total()
            taken, excused = _take(expected, rest)
            return Account(fault, len(flows), through + taken, excused)
    taken, excused = _take(expected, rest)
    return Account(fault, expected.total(), taken, excused)


def _unhurt(cycle: Cycle, faults: Iterable[Fault], rest: Counts, seen: Witnesses) -> Account:
    """Connections without a fault that hung all the same, as the network saw them."""
    struck = {seen.addresses.get(fault.place, "") for fault in faults if fault.kind in LAB}
    expected: Moved = Counter()
    for flow in seen.flows:
        inside = cycle.began[0] - SLACK <= flow.at < cycle.ended[1]
        left_out = flow.rule or flow.reset or flow.edge in struck | seen.spared
        if inside and flow.hung and not left_out:
            expected[flow.edge, *flow.hung] += 1
    taken, excused = _take(expected, rest)
    begin, end = cycle.number * CYCLE, (cycle.number + 1) * CYCLE
    return Account(Fault(0, NO_FAULT, "", begin, end), taken, taken, excused)


def _by_lab(fault: Fault, edge: str, cycle: Cycle, seen: Witnesses) -> Moved:
    """What a fault of the lab struck; closed ports are seen by the network alone."""
    phase, reason = _RULED[fault.kind]
    if phase is None or reason is None:
        raise ValueError(f"{fault.kind} fails nothing")
    if fault.kind != "refused":
        return Counter({(edge, str(phase), str(reason)): seen.strikes.get(fault.number, 0)})
    found: Moved = Counter()
    for flow in seen.flows:
        if flow.edge == edge and flow.reset and cycle.began[0] <= flow.at < cycle.ended[1]:
            if not flow.answered:
                found[edge, str(phase), str(reason)] += 1
            elif not flow.shook:  # it stood in the queue of the port that was closed
                found[edge, "tls", "reset"] += 1
    return found


def _take(expected: Moved, rest: Counts) -> tuple[int, int]:
    """How many of these moved, and how many of those were excused; they are taken out."""
    taken = excused = 0
    for (edge, phase, reason), times in expected.items():
        blamed = _take_of(rest.failures, (edge, phase, reason), times)
        ours = 0
        for why in _EXCUSES:
            ours += _take_of(rest.excused, (edge, phase, why), times - blamed - ours)
        taken += blamed + ours
        excused += ours
    return taken, excused


def _take_of(source: Moved, of: tuple[str, ...], most: int) -> int:
    """Take out as many as there are, and no more than that."""
    found = min(source[of], most)
    source[of] -= found
    if not source[of]:
        del source[of]
    return found


def _attempts(cycle: Cycle, seen: Witnesses) -> list[str]:
    """Edges whose attempts are not as many as the connections that the network saw begin."""
    least: Moved = Counter()
    most: Moved = Counter()
    for flow in seen.flows:
        if flow.edge in seen.spared:
            continue
        ended = flow.ended or flow.at + SLACK
        if flow.at < cycle.ended[1] + _BLUR and ended > cycle.began[0] - _BLUR:
            most[flow.edge,] += 1
            sure = flow.at > cycle.began[1] + _BLUR and ended < cycle.ended[0] - _BLUR
            least[flow.edge,] += sure
    counted = {of: times for of, times in cycle.moved.attempts.items() if of[0] not in seen.spared}
    return [
        f"{edge[0]}: {counted.get(edge, 0)} attempts, {least[edge]} to {most[edge]} connections"
        for edge in sorted(counted | most)
        if not least[edge] <= counted.get(edge, 0) <= most[edge]
    ]


# ---------------------------------------------------------------- the schedule


def late_starts(
    flows: Iterable[Seen],
    interval: float,
    excused: Sequence[tuple[str, float, float]],
    span: tuple[float, float],
    waits: Sequence[tuple[float, float, float]] = (),
) -> tuple[int, list[str]]:
    """Starts that were expected, and those that did not come in time.

    Args:
        flows: all connections.
        interval: of every job.
        excused: windows of declared faults: an edge's address, or nothing for all; from and to.
        span: what was measured.
        waits: from, to, and seconds for which the agent had no processor meanwhile, though it
            could have run: it cannot start anything in them.
    """
    starts: dict[tuple[str, str], list[float]] = defaultdict(list)
    for flow in flows:
        if flow.name:
            starts[flow.edge, flow.name].append(flow.at)
    expected, missed = 0, []
    for (edge, name), times in sorted(starts.items()):
        inside = sorted(at for at in times if span[0] - interval <= at)
        for before, after in pairwise([*inside, span[1]]):
            gap = after - before
            if any(where in {edge, ""} and begin < after and before < end
                   for where, begin, end in excused):  # fmt: skip
                continue
            expected += int(after < span[1])
            waited = sum(lost for begin, end, lost in waits if begin < after and before < end)
            if gap > interval + SLACK + waited:
                missed.append(f"{name} at {edge}: none for {gap:.1f} s after {before:.1f}")
    return expected, missed


# ---------------------------------------------------------------- the tables


def by_kind(accounts: Iterable[Account]) -> list[str]:
    """The table of injected against observed, a line for each kind."""
    kinds: dict[str, list[Account]] = defaultdict(list)
    for account in accounts:
        kinds[account.fault.kind].append(account)
    head = f"{'kind':<21}{'faults':>7}{'injected':>10}{'observed':>10}{'excused':>9}  exact"
    lines = [head]
    for kind, of in sorted(kinds.items()):
        exact = sum(one.exact for one in of)
        lines.append(
            f"{kind:<21}{len(of):>7}{sum(one.injected for one in of):>10}"
            f"{sum(one.observed for one in of):>10}{sum(one.excused for one in of):>9}"
            f"  {exact} of {len(of)}"
        )
    return lines
