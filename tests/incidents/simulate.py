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
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path

import yaml

from .bursts import bursts
from .expiry import LIFETIMES, renewals, stuck
from .region import REGIONS, Fault, region_day
from .revoked import stories
from .series import LABEL, STEP, Series
from .virtual import TARGETS, Span

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"
SHARED = 5
"""Bursts a day that all regions see at once."""

EACH_REVOKED = 3
"""Edges that serve a revoked certificate, and certificates that are revoked while served."""

_FRUGAL = {"GOGC": "1000", "GOMAXPROCS": "1"}
"""Each day has a processor, and memory enough to collect seldom: a quarter less CPU."""

_TRIES = 3
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_GOT = re.compile(r"\{([^}]*)\} ([0-9.E+e-]+)")


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
    """Both incidents, 20 smaller faults, 2 silences, certificates that end and revoked ones.

    Never two in one hour of a day.
    """
    dice = random.Random(f"faults {seed}")
    hours = [(day, hour) for day in range(days) for hour in range(2, 22, 2)]
    places = iter(dice.sample(hours, 24 + len(LIFETIMES) + 2 * EACH_REVOKED))

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
    for n in range(2):
        day, span = when(dice.uniform(900, 1800))
        found.append(Fault(f"silence-{n}", "silence", (dice.choice(REGIONS),), day, span, 1.0, 0))
    for lifetime in LIFETIMES:
        day, span = when(1800)
        found.append(Fault(f"expiry-{lifetime}d", "expiry", REGIONS, day, span, 1.0, lifetime))
    for n in range(2 * EACH_REVOKED):
        kind = ("revoked", "listed")[n % 2]
        day, span = when(dice.uniform(900, 1800))
        found.append(Fault(f"{kind}-{n}", kind, REGIONS, day, span, 1.0))
    return found


def day(
    number: int,
    seed: int,
    faults: list[Fault],
    regions: tuple[str, ...] = REGIONS,
    *,
    hours: int = 24,
) -> Found:
    """Simulate a day and let Prometheus judge its first ``hours``."""
    mine = [fault for fault in faults if fault.day == number]
    series = Series()
    shared = tuple(bursts(random.Random(f"{seed} {number} bursts"), SHARED))
    for region in regions:
        dice = random.Random(f"{seed} {number} {region}")
        here = [fault for fault in mine if region in fault.regions]
        expires = [stuck(fault.targets, fault.span) for fault in here if fault.kind == "expiry"]
        lists = stories(number, seed, dice)
        region_day(series, region, dice, here, shared, (*renewals(number, seed), *expires), lists)
    return judged(series, mine, hours)


def judged(series: Series, faults: list[Fault], hours: int = 24) -> Found:
    """Run the rules over the series with promtool, and read what fired."""
    asked = [
        (hour, 'count_over_time(ALERTS{alertstate="firing",severity!="none"}[1h])')
        for hour in range(1, hours + 1)
    ]
    for fault in faults:
        region = "|".join(fault.regions) + ("|" if fault.kind == "expiry" else "")
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
                "input_series": series.written(hours),
                "promql_expr_test": [
                    {"expr": expr, "eval_time": f"{at}h" if at <= 24 else f"{at}s"}
                    for at, expr in asked
                ],
            }
        ],
    }
    return _read(_evaluated(yaml.dump(document, Dumper=_DUMPER)), faults)


def _evaluated(document: str) -> str:
    """What promtool says; it gives up on a query after 100 s, which a busy machine may need."""
    with tempfile.TemporaryDirectory(prefix="probe-day-") as folder:
        path = Path(folder) / "day.yaml"
        path.write_text(document)
        for _ in range(_TRIES):
            done = subprocess.run(
                ["promtool", "test", "rules", str(path)],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, **_FRUGAL},
            )
            said = done.stdout + done.stderr
            if "query timed out" not in said and ("got:" in said or "SUCCESS" in said):
                return said
    raise RuntimeError(said[:2000])


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
            _take(found, faults, at, dict(LABEL.findall(labels)), float(value), head)
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
        fault.explains(labels["alertname"])
        and labels.get("region", fault.regions[0]) in fault.regions
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
