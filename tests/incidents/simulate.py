"""False alarms and detections over simulated days, judged by Prometheus's own rule engine.

As a command::

    python -m tests.incidents.simulate --days 30

Three regions, 1,000 targets with two edges each, every 30 s. `virtual` turns seeded noise and
faults into what agents believe, here it becomes series, one sample every 15 s, and ``promtool test
rules`` evaluates the committed rules on them, a day at a time. What holds for less than a sample is
rounded up to one, so that nothing short escapes the rules.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path

import yaml

from probe.model.failure import Failure, Phase, Reason
from probe.model.spec import Confirmation

from .virtual import (
    ADDRESSES,
    DAY,
    INTERVAL,
    PER_TARGET,
    TARGETS,
    Course,
    Span,
    Window,
    cut_off,
    flow_day,
    losses,
    renewal,
    walk,
)

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"
REGIONS = ("sa-east", "us-east", "eu-west")
STEP = 15
SLOTS = int(DAY) // STEP
_GOT = re.compile(r"\{([^}]*)\} ([0-9.E+e-]+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is really broken.

    Attributes:
        kind: ``tls``, ``refused``, ``dns`` or ``flow``.
        share: of attempts or runs that it breaks.
        targets: how many domains.
    """

    name: str
    kind: str
    regions: tuple[str, ...]
    day: int
    span: Span
    share: float
    targets: int = 1

    @property
    def alert(self) -> str:
        """What must page."""
        kinds = {"dns": "ProbeDnsFailing", "flow": "ProbeFlowFailing"}
        return kinds.get(self.kind, "ProbeProviderFailing")


@dataclass(slots=True)
class Found:
    """What came of one day.

    Attributes:
        pages: hours with a page that no fault explains, by alert.
        tickets: alerts that page nobody, by alert, in hours.
        seconds: from each fault to its page; None when it was missed.
    """

    pages: Counter[str] = field(default_factory=Counter)
    tickets: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float | None] = field(default_factory=dict)


def faults_of(days: int, seed: int) -> list[Fault]:
    """Both incidents and 20 smaller faults, never two in one hour of a day."""
    dice = random.Random(f"faults {seed}")
    hours = [(day, hour) for day in range(days) for hour in range(2, 22, 2)]
    places = iter(dice.sample(hours, 22))

    def when(seconds: float) -> tuple[int, Span]:
        day, hour = next(places)
        start = hour * 3600.0 + dice.uniform(300, 600)
        return day, Span(start, start + seconds)

    found = []
    for name, kind, regions, share, targets in (
        ("tls-propagation", "tls", ("sa-east",), 0.4, 30),
        ("cli-authorization", "flow", REGIONS, 1 - 0.4**3, 1),
    ):
        day, span = when(1800)
        found.append(Fault(name, kind, regions, day, span, share, targets))
    for n in range(20):
        kind = ("tls", "refused", "dns", "flow")[n % 4]
        day, span = when(dice.uniform(150, 1800))
        share = 1.0 if kind in ("dns", "refused") else dice.uniform(0.4, 1.0)
        region = (dice.choice(REGIONS),)
        found.append(Fault(f"{kind}-{n}", kind, region, day, span, share, dice.randint(1, 5)))
    return found


class Series:
    """The series of one day, as samples; a region that is not scraped has none."""

    def __init__(self) -> None:
        self._rows: dict[str, list[float | None]] = {}
        self.unseen: dict[str, set[int]] = defaultdict(set)

    def hold(self, name: str, value: float | None) -> None:
        """A value for the whole day; None is no series."""
        self._rows.setdefault(name, [value] * (SLOTS + 1))

    def span(self, name: str, span: Span, value: float, usually: float | None) -> None:
        """Another value for a while, at least for one sample."""
        self.hold(name, usually)
        row = self._rows[name]
        for slot in _samples(span):
            row[slot] = value

    def add(self, name: str, at: float, value: float) -> None:
        """Count at a moment of the day: more in every later sample."""
        self.hold(name, 0.0)
        slot = min(SLOTS, ceil(at / STEP))
        self._rows[name][slot] = (self._rows[name][slot] or 0.0) + value

    def sum_up(self, name: str) -> None:
        """Turn what `add` counted into a counter."""
        total, row = 0.0, self._rows[name]
        for slot, value in enumerate(row):
            total += value or 0.0
            row[slot] = total

    def level(self, name: str, spans: Iterable[Span], usually: float | None) -> None:
        """How many of the spans hold at each sample."""
        self.hold(name, usually)
        row = self._rows[name]
        counts = Counter(slot for span in spans for slot in _samples(span))
        for slot, count in counts.items():
            row[slot] = float(count)

    def written(self) -> list[dict[str, str]]:
        """In promtool's notation."""
        return [
            {"series": name, "values": " ".join(_runs(self._seen(name, row)))}
            for name, row in self._rows.items()
        ]

    def _seen(self, name: str, row: list[float | None]) -> list[float | None]:
        region = dict(_LABEL.findall(name)).get("region", "")
        gone = self.unseen[region]
        if name.startswith("up{"):
            return [0.0 if slot in gone else value for slot, value in enumerate(row)]
        return [None if slot in gone else value for slot, value in enumerate(row)]


def _runs(row: list[float | None]) -> Iterator[str]:
    """Equal samples in one word; a series that ends is marked as Prometheus marks it."""
    at = 0
    while at < len(row):
        end = at
        while end < len(row) and row[end] == row[at]:
            end += 1
        value, count = row[at], end - at
        if value is not None:
            yield f"{value:g}+0x{count - 1}" if count > 1 else f"{value:.10g}"
        elif at:
            yield "stale"
            if count > 1:
                yield f"_x{count - 1}"
        else:
            yield f"_x{count}"
        at = end


def region_day(series: Series, region: str, dice: random.Random, faults: list[Fault]) -> None:
    """One region's day: noise of every kind, and its faults."""
    at = f'region="{region}"'
    where = f'{at},check="stores",provider="live"'
    cut = Span(start := dice.uniform(3600, DAY - 3600), start + 120)
    refused = dice.random() < 0.5
    step = None
    if dice.random() < 1 / 7:
        step = Span(start := dice.uniform(3600, DAY - 3600), start + 300)
    _steady(series, region, dice)
    window = Window(cut, refused=refused, step=step)
    courses = [*losses(dice), *cut_off(dice, window, cut)]
    window.advance(DAY)
    for span in window.ill:
        series.span(f'probe_vantage_healthy{{{at},instance="{region}"}}', span, 0, 1)
        ill = f'probe_vantage_illness{{{at},instance="{region}",cause="{span.what}"}}'
        series.span(ill, span, 1, None)
    if refused:  # then Prometheus does not reach the agent either
        series.unseen[region] |= set(_samples(cut))
    named = [(span, "") for course in courses for span in course.named]
    for fault in faults:
        if fault.kind in ("tls", "refused"):
            broken = list(_broken(fault, dice))
            courses += broken
            named += [(span, fault.name) for course in broken for span in course.named]
    _providers(series, where, [span for span, _ in named])
    _counters(series, where, courses, dice)
    _dns(series, where, dice, [fault for fault in faults if fault.kind == "dns"])
    shares = [(fault.span, fault.share) for fault in faults if fault.kind == "flow"]
    again = Window(cut, refused=refused, step=step)
    _flow(series, at, flow_day(dice, shares, again), [span for span, _ in shares])
    for _ in range(17):
        for span in renewal(dice, dice.uniform(0, DAY)):
            split = f'probe_certificates_split{{{where},target="x",key_type="ecdsa"}}'
            series.span(split, span, 1, 0)


def _steady(series: Series, region: str, dice: random.Random) -> None:
    """What an agent always says; scrapes that are lost now and then, and restarts."""
    at = f'region="{region}"'
    series.hold(f'up{{job="probe",{at},instance="{region}"}}', 1)
    series.hold(f'probe_vantage_healthy{{{at},instance="{region}"}}', 1)
    series.hold(f'probe_check_info{{{at},check="stores",kind="tls",team="edge"}}', 1)
    series.hold(f'probe_check_info{{{at},check="cli",kind="api",team="identity"}}', 1)
    reload = f'probe_agent_config_last_reload_success{{{at},instance="{region}"}}'
    series.hold(reload, 1)
    if dice.random() < 0.2:  # a bad file, corrected half a minute later
        start = dice.random() * DAY
        series.span(reload, Span(start, start + 30), 0, 1)
    gone = series.unseen[region]
    for _ in range(20):
        slot = dice.randrange(SLOTS)
        gone.update((slot, slot + 1) if dice.random() < 0.1 else (slot,))
    if dice.random() < 0.3:  # a restart of up to half a minute
        start = dice.random() * DAY
        gone |= set(_samples(Span(start, start + dice.uniform(5, 30))))


def _samples(span: Span) -> range:
    """The samples taken while something holds; one at least."""
    first = min(SLOTS, ceil(span.start / STEP))
    return range(first, min(SLOTS + 1, max(first + 1, ceil(span.end / STEP))))


def _broken(fault: Fault, dice: random.Random) -> Iterator[Course]:
    """Every edge that a fault breaks."""
    failure = Failure(Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME)
    if fault.kind == "refused":
        failure = Failure(Phase.CONNECT, Reason.REFUSED)
    for _ in range(fault.targets):

        def meets(now: float) -> Failure | None:
            within = fault.span.start <= now < fault.span.end
            return failure if within and dice.random() < fault.share else None

        start = fault.span.start + dice.random() * INTERVAL
        yield walk(meets, start, fault.span.end, Confirmation())


def _providers(series: Series, where: str, named: list[Span]) -> None:
    series.hold(f"probe_provider_targets{{{where}}}", TARGETS)
    series.level(f"probe_provider_targets_failing{{{where}}}", named, 0)
    why = 'phase="connect",reason="timeout"'
    series.level(f"probe_provider_targets_failing_by_reason{{{where},{why}}}", named, None)


def _counters(series: Series, where: str, courses: list[Course], dice: random.Random) -> None:
    """Attempts by address, over all targets: the rules only ever look at that sum."""
    regular = TARGETS * PER_TARGET / ADDRESSES * STEP / INTERVAL
    for n in range(ADDRESSES):
        labels = f'{where},target="all",edge="198.51.100.{n}:443",client="default"'
        attempts, failed = (
            f"probe_edge_{name}_total{{{labels}}}" for name in ("attempts", "failed_attempts")
        )
        for slot in range(SLOTS + 1):
            series.add(attempts, slot * STEP, regular)
        series.hold(failed, 0)
        for course in courses:
            if dice.randrange(ADDRESSES) == n and course.failed:
                series.add(attempts, course.failed[0], course.attempts)
                for moment in course.failed:
                    series.add(failed, moment, 1)
        series.sum_up(attempts)
        series.sum_up(failed)


def _dns(series: Series, where: str, dice: random.Random, faults: list[Fault]) -> None:
    """Bursts of SERVFAIL, an hour of slow DNS that loses questions, and names that are gone."""
    missed: dict[int, list[Span]] = defaultdict(list)
    for _ in range(4):
        start = dice.random() * DAY
        length = dice.uniform(20, 60)
        for target in range(50):  # of 1,000: the alert counts any
            asked = start + dice.random() * INTERVAL
            if asked < start + length:
                missed[target].append(Span(asked, asked + INTERVAL * ceil(length / INTERVAL)))
    if dice.random() < 0.1:
        start = dice.uniform(0, DAY - 3600)
        for asked in range(120):
            for target in range(TARGETS):
                if dice.random() < 0.01:
                    moment = start + asked * INTERVAL
                    missed[target].append(Span(moment, moment + INTERVAL))
    for fault in faults:
        for target in range(fault.targets):
            asked = fault.span.start + dice.random() * INTERVAL
            missed[target].append(Span(asked, fault.span.end + dice.random() * INTERVAL))
    for target, spans in missed.items():
        for span in spans:
            name = f'probe_resolve_success{{{where},target="t{target}"}}'
            series.span(name, span, 0, 1)


def _flow(series: Series, at: str, course: Course, faults: list[Span]) -> None:
    labels = f'{at},check="cli",target="cli",persona=""'
    for span in course.named:
        series.span(f'probe_flow_state{{{labels},state="failing"}}', span, 1, None)
        real = any(fault.start < span.end and span.start < fault.end + 60 for fault in faults)
        layer = "authorization" if real else "edge"
        series.span(f'probe_flow_diagnosis{{{labels},layer="{layer}"}}', span, 1, None)
    series.hold(f"probe_flow_fails_open{{{labels}}}", 0)


def day(number: int, seed: int, faults: list[Fault], regions: tuple[str, ...] = REGIONS) -> Found:
    """Simulate a day and let Prometheus judge it."""
    mine = [fault for fault in faults if fault.day == number]
    series = Series()
    for region in regions:
        dice = random.Random(f"{seed} {number} {region}")
        region_day(series, region, dice, [fault for fault in mine if region in fault.regions])
    return judged(series, mine)


def judged(series: Series, faults: list[Fault]) -> Found:
    """Run the rules over the series with promtool, and read what fired."""
    asked = [
        (hour, 'count_over_time(ALERTS{alertstate="firing",severity!="none"}[1h])')
        for hour in range(1, 25)
    ]
    for fault in faults:
        region = "|".join(fault.regions)
        within = ceil(fault.span.end + 30)
        asked.append(
            (
                within,
                f'min_over_time(timestamp(ALERTS{{alertstate="firing",alertname="{fault.alert}",'
                f'region=~"{region}"}})[{within - int(fault.span.start)}s:{STEP}s])',
            )
        )
    document = {
        "rule_files": [str(RULES / "*.yaml")],
        "evaluation_interval": f"{STEP}s",
        "tests": [
            {
                "interval": f"{STEP}s",
                "input_series": series.written(),
                "promql_expr_test": [
                    {"expr": expr, "eval_time": f"{at}h" if at <= 24 else f"{at}s"}
                    for at, expr in asked
                ],
            }
        ],
    }
    with tempfile.TemporaryDirectory(prefix="probe-day-") as folder:
        path = Path(folder) / "day.yaml"
        path.write_text(yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
        done = subprocess.run(
            ["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False
        )
    said = done.stdout + done.stderr
    if "got:" not in said and "SUCCESS" not in said:
        raise RuntimeError(said[:2000])
    return _read(said, faults)


def _read(said: str, faults: list[Fault]) -> Found:
    found = Found(seconds=dict.fromkeys((fault.name for fault in faults), None))
    for block in said.split("expr: ")[1:]:
        head, _, rest = block.partition("got:")
        time = re.search(r"time: (?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?,", head)
        assert time is not None
        at = sum(
            float(part or 0) * unit for part, unit in zip(time.groups(), (3600, 60, 1), strict=True)
        )
        for labels, value in _GOT.findall(rest.split("\n")[0]):
            _take(found, faults, at, dict(_LABEL.findall(labels)), float(value), head)
    return found


def _take(
    found: Found, faults: list[Fault], at: float, labels: dict[str, str], value: float, head: str
) -> None:
    if "min_over_time(timestamp" in head:
        for fault in faults:
            if ceil(fault.span.end + 30) == round(at):
                seconds = value - fault.span.start
                known = found.seconds[fault.name]
                found.seconds[fault.name] = seconds if known is None else min(known, seconds)
        return
    if labels["severity"] != "page":
        found.tickets[labels["alertname"]] += 1
    elif not any(
        fault.alert == labels["alertname"]
        and labels["region"] in fault.regions
        and fault.span.start < at
        and at - 3600 < fault.span.end + 300
        for fault in faults
    ):
        found.pages[
            f"{labels['alertname']} {labels.get('region', '')} before {at / 3600:.0f}h"
        ] += 1


def simulate(days: int, faults: list[Fault], seed: int = 1) -> Iterator[Found]:
    """Day after day, on every processor."""
    with ProcessPoolExecutor() as pool:
        yield from pool.map(partial(day, seed=seed, faults=faults), range(days))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write = sys.stdout.write
    faults = faults_of(options.days, options.seed) if options.days > 2 else []
    days = []
    for number, found in enumerate(simulate(options.days, faults, options.seed)):
        days.append(found)
        sys.stderr.write(f"day {number + 1}: pages {dict(found.pages)}, faults {found.seconds}\n")
        sys.stderr.flush()
    pages: Counter[str] = sum((found.pages for found in days), Counter())
    tickets: Counter[str] = sum((found.tickets for found in days), Counter())
    write(f"{options.days} days, {len(REGIONS)} regions, {TARGETS} targets, seed {options.seed}\n")
    write(f"false pages: {sum(pages.values())}\n")
    for name, count in pages.items():
        write(f"  {name}: {count}\n")
    write("tickets, in hours with one: ")
    write(", ".join(f"{name} {count}" for name, count in sorted(tickets.items())) + "\n")
    seconds = {name: value for found in days for name, value in found.seconds.items()}
    for fault in faults:
        value = seconds[fault.name]
        lasted = fault.span.end - fault.span.start
        told = "MISSED" if value is None else f"{value:6.1f} s"
        write(
            f"  {fault.name:18} {','.join(fault.regions):26} {lasted:6.0f} s "
            f"share {fault.share:4.2f} targets {fault.targets:2} {fault.alert:22} {told}\n"
        )
    known = sorted(value for value in seconds.values() if value is not None)
    if known:
        write(
            f"found {len(known)} of {len(faults)}; seconds: median {statistics.median(known):.1f}, "
            f"p95 {known[ceil(0.95 * len(known)) - 1]:.1f}, worst {known[-1]:.1f}\n"
        )


if __name__ == "__main__":
    main()
