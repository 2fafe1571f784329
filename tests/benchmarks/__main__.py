"""The one command: ``python -m tests.benchmarks [--quick] [--json FILE] [--svg DIR] [CASE…]``."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
from OpenSSL import SSL

from probe import __version__

from . import (
    compare,
    curves,
    flood,
    footprint,
    gate,
    hostile,
    peer,
    redaction,
    scale,
    server,
    timings,
)
from .case import Bench, Report
from .pki import write_pki
from .process import BenchmarkError, cores

CASES: dict[str, Callable[[Bench], Report]] = {
    "tls": partial(compare.duel, name="tls"),
    "browser": partial(compare.duel, name="browser"),
    "https": partial(compare.duel, name="https"),
    "flow": partial(compare.duel, name="flow"),
    "facts": compare.facts,
    "memory": footprint.memory,
    "startup": footprint.startup,
    "saturation": footprint.saturation,
    "growth": scale.growth,
    "lists": scale.lists,
    "check": gate.gate,
    "timings": timings.timings,
    "redaction": redaction.redaction,
    "hostile": hostile.hostile,
    "flood": flood.flood,
}


QUICK = [name for name in CASES if name not in ("browser", "flow", "hostile", "flood")]
"""What is measured quickly when no case is named: each kind of measurement once."""


def machine() -> dict[str, str]:
    """What the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")
    loaded = " ".join(f"{one:.1f}" for one in os.getloadavg())
    return {
        "cpu": f"{model}, {os.cpu_count()} cores",
        "load": loaded,
        "system": f"{platform.system()} {platform.release()}",
        "agent": f"{__version__}, Python {platform.python_version()}, "
        + SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode(),
        "peer": peer.version(),
        "server": server.version(),
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def show(report: Report) -> None:
    """The table of one case."""
    click.echo(f"\n{report.title}")
    rows = [report.columns, *report.rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(report.columns))]
    for row in rows:
        click.echo(
            "  "
            + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    for note in report.notes:
        click.echo(f"  {note}")
    for words, held in report.bars:
        click.echo(f"  {'held' if held else 'NOT held'}: {words}")


@click.command()
@click.argument("names", nargs=-1, metavar="[CASE]…")
@click.option("--quick", is_flag=True, help="Under 90 s: shows that it works; not for quoting.")
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write all values here.")
@click.option("--svg", type=click.Path(path_type=Path), help="Draw curves into this folder.")
def main(names: tuple[str, ...], quick: bool, output: Path | None, svg: Path | None) -> None:
    """Measure the cases: tls browser https flow facts memory startup saturation growth lists
    check timings hostile flood.
    """
    if unknown := [name for name in names if name not in CASES]:
        raise click.UsageError(f"no case {unknown[0]}; there are: {' '.join(CASES)}")
    ours, theirs = cores()
    facts = machine()
    for name, value in facts.items():
        click.echo(f"{name + ':':8} {value}")
    values: dict[str, Any] = {"machine": facts, "quick": quick, "cases": {}}
    failed = False
    with tempfile.TemporaryDirectory(prefix="probe-bench-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        pki = write_pki(folder)
        for name in names or (QUICK if quick else CASES):
            place = folder / name
            place.mkdir()
            began = time.monotonic()
            try:
                report = CASES[name](Bench(place, pki, quick, ours, theirs))
            except BenchmarkError as error:
                click.echo(f"\n{name}: {error}")
                failed = True
                continue
            show(report)
            click.echo(f"  ({time.monotonic() - began:.0f} s)")
            values["cases"][name] = {
                **report.data,
                "bars": [{"bar": words, "held": held} for words, held in report.bars],
            }
    if svg is not None:
        for path in curves.draw(values["cases"], svg):
            click.echo(f"drawn: {path}")
    if output is not None:
        output.write_text(json.dumps(values, indent=1) + "\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(prog_name="python -m tests.benchmarks")
