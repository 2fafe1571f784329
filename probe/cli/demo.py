"""``probe demo``: two incidents in a small world; runs from a source tree only."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import click

from probe.cli.options import BAD_CONFIGURATION, FAIL, die


@click.command(short_help="Replay two incidents against three real agents.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=20),
    help="End after this long. Default: stay until Ctrl-C on a terminal, else 120.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write what was found, and how fast, as JSON.",
)
@click.option(
    "--with-prometheus",
    is_flag=True,
    help="Say what would page, by a real Prometheus and Alertmanager, if they are installed.",
)
def demo(seconds: float | None, report: Path | None, with_prometheus: bool) -> None:
    r"""Replay two incidents against three real agents in a small world on this machine.

    \b
      probe demo
      probe demo --seconds 150 --report found.json
      probe demo --with-prometheus

    Nothing leaves the loopback interface. Exit status: 0 both incidents were found and named
    rightly, also when Ctrl-C ends it after that; 1 not; 2 this is no source tree; 130 Ctrl-C
    before both were found.
    """
    # A release holds neither; without the extra the lab lacks what it is built from.
    if any(find_spec(name) is None for name in ("probe.demo", "probe.lab", "dns")):
        die(
            "the demo runs from a source tree, with what it needs: pip install -e '.[demo]'",
            BAD_CONFIGURATION,
        )
    from probe.demo import DemoError, run_demo

    try:
        found = run_demo(
            seconds=seconds, report=report, stdout=sys.stdout, with_prometheus=with_prometheus
        )
    except DemoError as error:
        die(str(error), FAIL)
    sys.exit(0 if found else FAIL)
