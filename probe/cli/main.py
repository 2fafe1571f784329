"""The command line: the only file that prints or exits.

Everything beyond click is imported inside the command that needs it, so that ``--help`` and
shell completion answer at once.
"""

from __future__ import annotations

import io
import os
import signal
import sys

if sys.argv[1:2] == ["run"]:
    # SIGHUP would kill an agent that does not listen yet. It waits from here on, before anything
    # that takes time to import, and is delivered once the agent follows signals.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

import click

from probe import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probe.model.spec import RegionSource, Spec
    from probe.report import Row

FAIL, BAD_CONFIGURATION = 1, 2
INTERRUPTED = 130
"""128 + SIGINT: nothing was found out, so neither 0 nor 1."""

_CONFIG = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path),
    default=Path("config/probe.yaml"),
    show_default=True,
    help="Configuration file (YAML).",
)
_REGION = click.option(
    "--region", help="Where this runs; else PROBE_REGION, else the configuration's region."
)


class _Commands(click.Group):
    """Ctrl-C ends every command with 130, whatever it was doing.

    click's own answer is 1, which a pipeline would read as "something fails".
    """

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="probe")
def main() -> None:
    """Find the domain, the edge and the layer that fail, as seen from this region.

    Start with `probe demo`: three agents catch two incidents in a small world of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without ✓ must not end a command
            stream.reconfigure(errors="replace")


@main.command()
@_CONFIG
@_REGION
@click.option("--listen", help="ADDRESS:PORT to serve metrics and status page on.")
@click.option(
    "--log",
    "style",
    type=click.Choice(["auto", "json", "text"]),
    default="auto",
    show_default=True,
    help="Log lines as JSON or readable; auto is readable on a terminal.",
)
@click.option(
    "--region-from",
    "sources",
    multiple=True,
    type=click.Choice(["kubernetes", "aws", "gce", "azure"]),
    help="Ask the node's label or a cloud's metadata service for the region, where nothing "
    "names it; may be repeated.",
)
@click.option(
    "--handover",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Share the address with another agent of this user that was started with this too: "
    "probe first, and serve once everything is known, after so many seconds at the latest.",
)
@click.option(
    "--shard",
    metavar="I/N",
    default="1/1",
    help="Probe only the I-th of N shares of the targets: one agent on each of N cores.",
)
def run(
    config: Path,
    region: str | None,
    listen: str | None,
    style: str,
    sources: tuple[RegionSource, ...],
    handover: float | None,
    shard: str,
) -> None:
    """Probe until stopped; serve /metrics, /healthz, /readyz and a status page.

    SIGHUP reads the configuration again; a bad one is refused and the running one stays.
    SIGTERM ends within a second or two. Exit status: 0 stopped, 1 cannot serve,
    2 bad configuration.
    """
    # Until the agent follows signals. The default action does not end the first process of a
    # container, and would leave behind the process that reads the configuration.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from probe.agent import AgentError, NoRegionError, Options, run_agent
    from probe.agent.log import configure
    from probe.schedule import Shard, ShardError

    try:
        share = Shard.parse(shard)
    except ShardError as error:
        raise click.BadParameter(str(error), param_hint="--shard") from error
    chosen: Literal["json", "text"] = "json"
    if style == "text" or (style == "auto" and sys.stderr.isatty()):
        chosen = "text"
    configure(sys.stderr, chosen)
    spec = _load(config, region, apart=True)
    options = Options(
        config=config,
        region=region,
        listen=listen,
        environ=dict(os.environ),
        region_from=sources,
        handover=handover,
        shard=share,
    )
    try:
        run_agent(spec, options)
    except NoRegionError as error:
        _die(str(error), BAD_CONFIGURATION)
    except AgentError as error:
        _die(str(error), FAIL)


@main.command()
@click.option(
    "--listen",
    default="127.0.0.1:9469",
    show_default=True,
    help="ADDRESS:PORT where the agent serves.",
)
@click.option("--ready", is_flag=True, help="Ask whether it is ready, not only alive.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.01),
    default=2.0,
    show_default=True,
    help="Seconds that it has to answer.",
)
def health(listen: str, ready: bool, timeout: float) -> None:
    """Ask a running agent whether it is well; for containers, which have no curl.

    Exit status: 0 well, 1 not.
    """
    from probe.report.health import ask

    problem = ask(listen, "/readyz" if ready else "/healthz", timeout)
    if problem is not None:
        _die(problem, FAIL)


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
def validate(files: tuple[Path, ...]) -> None:
    """Check configuration files and the files of targets and roots they name.

    Prints every problem as file:line:column: message. Notes are no problems. Exit status:
    0 good, 1 problems.
    """
    from probe.config import ConfigError
    from probe.config import validate as read

    bad = False
    for file in files:
        try:
            spec, notes = read(file, environ=os.environ)
        except ConfigError as error:
            bad = True
            for problem in error.problems:
                click.echo(str(problem), err=True)
            count = len(error.problems)
            click.echo(f"{file}: {count} problem{'s' if count != 1 else ''}", err=True)
        else:
            click.echo(f"{file}: good: {_inventory(spec)}")
            for note in notes:
                click.echo(f"{note.at}: note: {note.message}")
    sys.exit(FAIL if bad else 0)


@main.command()
@_CONFIG
@_REGION
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
    output: str,
    all_rows: bool,
) -> None:
    """Probe everything once (or until it is right) and print what was found.

    With --provider, --targets and --wait this is the gate of a migration: it ends with 0 only
    when every edge serves the right certificate for every domain of the batch.

    Exit status: 0 all pass, 1 something fails, 2 bad configuration or names,
    3 nothing fails but something is inconclusive.
    """
    from rich.console import Console

    from probe.agent.gate.check import CheckRequest, run_check
    from probe.agent.gate.selection import SelectionError
    from probe.agent.proxies import Proxies
    from probe.report.progress import progress_on

    spec = _load(config, region)
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
        )
        with progress_on(Console(stderr=True)) as told:
            rows = run_check(spec, request, environ=dict(os.environ), on_progress=told)
    except SelectionError as error:
        _die(str(error), BAD_CONFIGURATION)
    _print_rows(rows, output, region=spec.region or "", all_rows=all_rows)
    from probe.report import exit_code

    sys.exit(exit_code(rows))


@main.command()
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
    """Replay two incidents against three real agents in a small world on this machine.

    Nothing leaves the loopback interface. Exit status: 0 both incidents were found and named
    rightly, 1 not.
    """
    from probe.demo import DemoError, run_demo

    try:
        found = run_demo(
            seconds=seconds, report=report, stdout=sys.stdout, with_prometheus=with_prometheus
        )
    except DemoError as error:
        _die(str(error), FAIL)
    sys.exit(0 if found else FAIL)


def _load(config: Path, region: str | None, *, apart: bool = False) -> Spec:
    """The configuration; with ``apart`` this process stays free of what reading it needs."""
    from probe.config import ConfigError
    from probe.config.apart import LoaderError, load_apart

    try:
        if apart:
            return load_apart(config, region=region, environ=os.environ)
        from probe.config import load

        return load(config, region=region, environ=os.environ)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(BAD_CONFIGURATION)
    except LoaderError as error:
        _die(str(error), FAIL)


def _die(message: str, code: int) -> NoReturn:
    click.echo(f"probe: {message}", err=True)
    sys.exit(code)


def _inventory(spec: Spec) -> str:
    """``2 checks, 3 providers, 1 target list``."""
    counts = [
        (len(spec.checks), "check"),
        (len(spec.providers), "provider"),
        (len(spec.targets), "target list"),
    ]
    return ", ".join(f"{count} {word}{'s' if count != 1 else ''}" for count, word in counts)


def _print_rows(rows: Sequence[Row], output: str, *, region: str, all_rows: bool) -> None:
    if output == "json":
        from probe.report.machine import to_json

        click.echo(to_json(rows, region=region), nl=False)
    elif output == "junit":
        from probe.report.machine import to_junit

        click.echo(to_junit(rows, region=region), nl=False)
    else:
        from rich.console import Console

        from probe.report.table import matrix, table

        console = Console()
        console.print(table(rows, all_rows=all_rows), crop=False)
        split = matrix(rows)
        if split is not None:
            console.print()
            console.print(split)
