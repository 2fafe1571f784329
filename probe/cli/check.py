"""``probe check``: everything once, or until it is right; the gate of a migration."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from probe.cli.options import (
    BAD_CONFIGURATION,
    CONFIGURATIONS,
    config_option,
    die,
    load_spec,
    region_option,
)
from probe.cli.output import FORMS, print_rows

if TYPE_CHECKING:
    from probe.config.command_line import Asked
    from probe.model.spec import Spec
    from probe.report import ReportRow

EXAMPLE = "probe check shop.example"


@click.command(short_help="Probe everything once, or until it is right, and print it.")
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
    "form",
    type=click.Choice(FORMS),
    default="table",
    show_default=True,
    help="table: what is wrong, grouped. wide: every row with every column. json, junit. prom: "
    "series for the textfile collector of node_exporter. github: annotations of a workflow.",
)
@click.option(
    "--output-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the output to this file, whole or not at all; the table is printed besides.",
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
    form: str,
    output_file: Path | None,
    all_rows: bool,
) -> None:
    r"""Probe everything once (or until it is right) and print what was found.

    Names and URLs need no configuration:

    \b
      probe check shop.example
      probe check https://api.example/health
      probe check shop.example --address 198.51.100.7 --address "[2001:db8::1]:8443"

    With a configuration, all that it describes is probed once:

    \b
      probe check
      probe check --config probe.yaml --target shop.example --why
      probe check --provider cdn-b --targets batch.yaml --wait 10m -o junit --output-file gate.xml
      probe check -o prom --output-file /var/lib/prometheus/node-exporter/probe.prom

    With --provider, --targets and
    --wait this is the gate of a migration: it ends with 0 only when every edge serves the right
    certificate for every domain of the batch. If any edge of a provider answers RSA, all must.
    What was not looked at is a row with the verdict skipped.

    Exit status: 0 all pass, 1 something fails, 2 bad configuration or names,
    3 nothing fails but something is inconclusive.
    """
    from probe.config.command_line import Asked
    from probe.net.child import keep_to_itself
    from probe.report import exit_code

    keep_to_itself()
    chosen = context.get_parameter_source("config") is ParameterSource.COMMANDLINE
    asked = Asked(words, addresses, clients, trust_file, sni)
    selected = bool(checks or names or providers)
    meant = _meant(asked, config if chosen or config.exists() else None, batch, selected, region)
    if chosen and meant.alone:
        raise click.UsageError(_NAMES_ALONE)
    rows = _run(
        meant,
        checks=checks,
        targets=names,
        batch=None if meant.read else batch,
        batch_names=meant.batch,
        providers=providers,
        fingerprints=fingerprints,
        not_before=expect_not_before,
        wait=wait,
        attempts=attempts,
        why=why,
        key_types=key_types,
    )
    print_rows(
        rows,
        form,
        output_file,
        region=meant.spec.region or "",
        all_rows=all_rows or meant.alone,
        chains=meant.alone,
    )
    sys.exit(exit_code(rows))


_NAMES_ALONE = (
    "names and URLs are checked without a configuration; leave out --config, --check, "
    "--target, --targets FILE and --provider, or choose names of it with --target"
)


@dataclass(frozen=True, slots=True)
class _Meant:
    """What a command line is about.

    Attributes:
        alone: names and URLs, without a configuration.
        read: names came from standard input.
        batch: those, where they replace the lists of a configuration.
    """

    spec: Spec
    alone: bool
    read: bool
    batch: tuple[str, ...] | None


def _meant(
    asked: Asked, config: Path | None, batch: Path | None, selected: bool, region: str | None
) -> _Meant:
    """Find out which configuration is meant: one made of names, or the file.

    Args:
        asked: names and options that go with names.
        config: the file, if there is one or one was named.
        batch: what ``--targets`` says; ``-`` stands for standard input.
        selected: whether something of a configuration is selected.
        region: what ``--region`` says.
    """
    read = str(batch) == "-"
    typed = (*asked.names, *_names_of(sys.stdin)) if read else tuple(asked.names)
    alone = bool(asked.names) or (read and config is None)
    if alone:
        if selected or (batch and not read):
            raise click.UsageError(_NAMES_ALONE)
        return _Meant(_spec_of(replace(asked, names=typed), region), alone, read, None)
    if asked.addresses or asked.sni or asked.trust_file or asked.profiles:
        raise click.UsageError("--address, --sni, --trust-file and --client need a NAME or URL")
    if config is None:
        die(
            f"there is no {' or '.join(map(str, CONFIGURATIONS))}; write one (`probe init` does), "
            f"or name what to check: {EXAMPLE}",
            BAD_CONFIGURATION,
        )
    return _Meant(load_spec(config, region), alone, read, typed if read else None)


def _run(meant: _Meant, **options: Any) -> Sequence[ReportRow]:
    """Probe what the options select, with the progress on standard error."""
    from rich.console import Console

    from probe.agent.gate import CheckRequest, SelectionError, run_check
    from probe.agent.parts import Proxies
    from probe.report.progress import progress_on

    if proxy := Proxies(os.environ).ignored(meant.spec):
        click.echo(f"{proxy} is set; probes use no proxy", err=True)
    try:
        request = CheckRequest.parse(**options)
        with progress_on(Console(stderr=True)) as told:
            return run_check(meant.spec, request, environ=dict(os.environ), on_progress=told)
    except SelectionError as error:
        die(str(error), BAD_CONFIGURATION)


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
