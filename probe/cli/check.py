"""``probe check``: everything once, or until it is right; the gate of a migration."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from probe.cli.options import BAD_CONFIGURATION, config_option, die, load_spec, region_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from probe.config.command_line import Asked
    from probe.model.spec import Spec
    from probe.report import ReportRow

EXAMPLE = "probe check shop.example"

WIDE = 4096
"""Characters of a line where no terminal shows it."""


@click.command()
@click.argument("words", nargs=-1, metavar="[NAME|URL]...")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    help="With names: ask the edge at this address, with a port if it is not 443, instead of those "
    "that DNS gives; may be repeated.",
)
@click.option("--sni", default="", help="With names: the name to send and to judge.")
@click.option(
    "--trust-file",
    default="",
    metavar="FILE",
    help="With names: roots to trust (PEM) instead of Mozilla's.",
)
@click.option(
    "--client",
    "clients",
    multiple=True,
    help="With names: a kind of client to be (default, tls13, tls12-ecdsa, …); may be repeated.",
)
@config_option
@region_option
@click.option("--check", "checks", multiple=True, help="Only this check; may be repeated.")
@click.option("--target", "names", multiple=True, help="Only this target; may be repeated.")
@click.option(
    "--targets",
    "batch",
    type=click.Path(path_type=Path),
    help="A target file (Prometheus file_sd) instead of the checks' lists: a batch to migrate. "
    "- reads names from standard input, one a line; without a configuration they are checked like "
    "names on the command line.",
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
@click.pass_context
def check(
    context: click.Context,
    words: tuple[str, ...],
    addresses: tuple[str, ...],
    sni: str,
    trust_file: str,
    clients: tuple[str, ...],
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
    r"""Probe everything once (or until it is right) and print what was found.

    Names and URLs need no configuration:

    \b
      probe check shop.example
      probe check https://api.example/health
      probe check shop.example --address 198.51.100.7 --address "[2001:db8::1]:8443"

    With a configuration, all that it describes is probed once. With --provider, --targets and
    --wait this is the gate of a migration: it ends with 0 only when every edge serves the right
    certificate for every domain of the batch. If any edge of a provider answers RSA, all must.
    What was not looked at is a row with the verdict skipped.

    Exit status: 0 all pass, 1 something fails, 2 bad configuration or names,
    3 nothing fails but something is inconclusive.
    """
    from rich.console import Console

    from probe.agent.gate import CheckRequest, SelectionError, run_check
    from probe.agent.parts import Proxies
    from probe.config.command_line import Asked
    from probe.net.child import keep_to_itself
    from probe.report import exit_code
    from probe.report.console import progress_on

    keep_to_itself()
    chosen = context.get_parameter_source("config") is ParameterSource.COMMANDLINE
    read = str(batch) == "-"
    typed = (*words, *_names_of(sys.stdin)) if read else words
    alone = bool(words) or (read and not (chosen or config.exists()))
    if alone:
        if chosen or checks or names or providers or (batch and not read):
            raise click.UsageError(
                "names and URLs are checked without a configuration; leave out --config, --check, "
                "--target, --targets FILE and --provider, or choose names of it with --target"
            )
        asked = Asked(typed, addresses, clients, trust_file, sni)
        spec = _spec_of(asked, region)
    elif addresses or sni or trust_file or clients:
        raise click.UsageError("--address, --sni, --trust-file and --client need a NAME or URL")
    else:
        if not config.exists() and not chosen:
            die(
                f"there is no {config}; write one, or name what to check: {EXAMPLE}",
                BAD_CONFIGURATION,
            )
        spec = load_spec(config, region)
    if proxy := Proxies(os.environ).ignored(spec):
        click.echo(f"{proxy} is set; probes use no proxy", err=True)
    try:
        request = CheckRequest.parse(
            checks=checks,
            targets=names,
            batch=None if read else batch,
            batch_names=typed if read and not alone else None,
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
    region = spec.region or ""
    _print_rows(rows, output, region=region, all_rows=all_rows or alone, chains=alone)
    sys.exit(exit_code(rows))


def _names_of(lines: Iterable[str]) -> tuple[str, ...]:
    """The names in a text, one a line; ``#`` begins a comment."""
    names = (line.partition("#")[0].strip() for line in lines)
    return tuple(name for name in names if name)


def _spec_of(asked: Asked, region: str | None) -> Spec:
    from probe.config.command_line import CommandLineProblem, spec_of

    if not asked.names:
        die(
            f"standard input names nothing to check; write for example: {EXAMPLE}",
            BAD_CONFIGURATION,
        )
    try:
        return spec_of(asked, region=region, environ=os.environ)
    except CommandLineProblem as problem:
        die(str(problem), BAD_CONFIGURATION)


def _print_rows(
    rows: Sequence[ReportRow], output: str, *, region: str, all_rows: bool, chains: bool
) -> None:
    if output == "json":
        from probe.report.rows import to_json

        click.echo(to_json(rows, region=region), nl=False)
    elif output == "junit":
        from probe.report.rows import to_junit

        click.echo(to_junit(rows, region=region), nl=False)
    else:
        from rich.console import Console

        from probe.report.certificates import certificates
        from probe.report.console import matrix, table

        console = Console()
        if not console.is_terminal:
            console = Console(width=WIDE)  # who reads a pipe searches in lines
        if chains:
            console.print(certificates(rows, time.time()), crop=False)
        split = matrix(rows)
        if split is not None:
            console.print(split)
            console.print()
        console.print(table(rows, all_rows=all_rows), crop=False)
