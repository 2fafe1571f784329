"""``probe check``: everything once, or until it is right; the gate of a migration."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe.cli.options import BAD_CONFIGURATION, config_option, die, load_spec, region_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probe.report import ReportRow


@click.command()
@config_option
@region_option
@click.option("--check", "checks", multiple=True, help="Only this check; may be repeated.")
@click.option("--target", "names", multiple=True, help="Only this target; may be repeated.")
@click.option(
    "--targets",
    "batch",
    type=click.Path(path_type=Path),
    help="A target file (Prometheus file_sd) instead of the checks' lists: a batch to migrate.",
)
@click.option(
    "--provider",
    "providers",
    multiple=True,
    help="Only through this provider, also when a check does not list it; may be repeated.",
)
@click.option(
    "--expect-fingerprint",
    "fingerprints",
    multiple=True,
    help="SHA-256 of the leaf certificate that is right; may be repeated.",
)
@click.option("--expect-not-before", help="Leaf certificates older than this date are wrong.")
@click.option(
    "--wait",
    help="Repeat what is not right until everything is, at most this long (10m); one round over "
    "everything is always finished. At the end all of it is proved once more. What that does not "
    "finish in time is inconclusive.",
)
@click.option(
    "--attempts",
    type=click.IntRange(1, 100),
    help="Tries for each edge, all of which must pass. Default: 1, with --wait 5, because an "
    "edge that fails sometimes passes once.",
)
@click.option(
    "--key-types",
    type=click.Choice(["every", "configured"]),
    help="every: ask each edge once for its RSA certificate besides (tls12-rsa). configured: only "
    "as the checks' profiles do. Default: every with --wait, --targets or an --expect option.",
)
@click.option(
    "--why",
    is_flag=True,
    help="Find out by a few further handshakes what each failure depends on, and say it.",
)
@click.option(
    "--output",
    "-o",
    type=click.Choice(["table", "json", "junit"]),
    default="table",
    show_default=True,
)
@click.option("--all", "all_rows", is_flag=True, help="Show passing rows too.")
def check(
    config: Path,
    region: str | None,
    checks: tuple[str, ...],
    names: tuple[str, ...],
    batch: Path | None,
    providers: tuple[str, ...],
    fingerprints: tuple[str, ...],
    expect_not_before: str | None,
    wait: str | None,
    attempts: int | None,
    key_types: str | None,
    why: bool,
    output: str,
    all_rows: bool,
) -> None:
    """Probe everything once (or until it is right) and print what was found.

    With --provider, --targets and --wait this is the gate of a migration: it ends with 0 only
    when every edge serves the right certificate for every domain of the batch. If any edge of a
    provider answers RSA, all must. What was not looked at is a row with the verdict skipped.

    Exit status: 0 all pass, 1 something fails, 2 bad configuration or names,
    3 nothing fails but something is inconclusive.
    """
    from rich.console import Console

    from probe.agent.gate import CheckRequest, SelectionError, run_check
    from probe.agent.parts import Proxies
    from probe.net.child import keep_to_itself
    from probe.report import exit_code
    from probe.report.console import progress_on

    keep_to_itself()
    spec = load_spec(config, region)
    if proxy := Proxies(os.environ).ignored(spec):
        click.echo(f"{proxy} is set; probes use no proxy", err=True)
    try:
        request = CheckRequest.parse(
            checks=checks,
            targets=names,
            batch=batch,
            providers=providers,
            fingerprints=fingerprints,
            not_before=expect_not_before,
            wait=wait,
            attempts=attempts,
            why=why,
            key_types=key_types,
        )
        with progress_on(Console(stderr=True)) as told:
            rows = run_check(spec, request, environ=dict(os.environ), on_progress=told)
    except SelectionError as error:
        die(str(error), BAD_CONFIGURATION)
    _print_rows(rows, output, region=spec.region or "", all_rows=all_rows)
    sys.exit(exit_code(rows))


def _print_rows(rows: Sequence[ReportRow], output: str, *, region: str, all_rows: bool) -> None:
    if output == "json":
        from probe.report.rows import to_json

        click.echo(to_json(rows, region=region), nl=False)
    elif output == "junit":
        from probe.report.rows import to_junit

        click.echo(to_junit(rows, region=region), nl=False)
    else:
        from rich.console import Console

        from probe.report.console import matrix, table

        console = Console()
        console.print(table(rows, all_rows=all_rows), crop=False)
        split = matrix(rows)
        if split is not None:
            console.print()
            console.print(split)
