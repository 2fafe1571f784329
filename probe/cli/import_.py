"""``probe import``: writes our configuration from those of blackbox_exporter and Prometheus."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe.cli.options import FAIL, die

if TYPE_CHECKING:
    from probe.blackbox.written import Imported

_FILE = click.Path(path_type=Path)


@click.command(name="import", short_help="Write a configuration from blackbox_exporter's.")
@click.argument("blackbox", type=_FILE, metavar="BLACKBOX.YML")
@click.argument("prometheus", type=_FILE, required=False, metavar="[PROMETHEUS.YML]")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder to write into (here).",
)
@click.option("--force", is_flag=True, help="Overwrite what is there.")
def import_(blackbox: Path, prometheus: Path | None, into: Path, force: bool) -> None:
    r"""Write a configuration from a blackbox_exporter's modules and Prometheus's scrape jobs.

    \b
      probe import blackbox.yml
      probe import blackbox.yml prometheus.yml --into config

    It writes probe.yaml, lists of targets under targets, and secrets that stand in the modules
    under secrets, for nobody but you. What has no counterpart is listed as file:line:column with
    the reason. Exit status: 0 written, 1 nothing was written.
    """
    from probe.blackbox.written import imported
    from probe.documents.problem import DocumentError
    from probe.model.failure import printable

    try:
        made = imported(blackbox, prometheus)
    except DocumentError as error:
        die("\n".join(map(str, error.problems)), FAIL)
    there = sorted(name for name in (*made.files, *made.secrets) if (into / name).exists())
    if there and not force:
        die(
            f"{', '.join(there)}: there already in {into}; write --force to overwrite, or --into",
            FAIL,
        )
    _write(made, into)
    for name in (*made.files, *made.secrets):
        click.echo(f"wrote {into / name}")
    for loss in made.losses.found:
        click.echo(f"{loss.at}: {printable(loss.message)}")
    count = len(made.losses.found)
    click.echo(f"{count} option{'s' if count != 1 else ''} not carried over in full")


def _write(made: Imported, into: Path) -> None:
    """Write all files or none: to a folder beside them first, whose content is checked."""
    from probe.blackbox.written import CONFIGURATION
    from probe.config.loading import validate
    from probe.documents.problem import DocumentError

    try:
        into.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".probe-import-", dir=into))
    except OSError as error:
        die(f"{into}: cannot write there: {error.strerror}", FAIL)
    try:
        for files, mode in ((made.files, 0o640), (made.secrets, 0o600)):
            for name, content in files.items():
                _create(staging / name, content, mode)
        validate(staging / CONFIGURATION, environ=os.environ)
        # The configuration comes last: it is there once all that it names is.
        for name in (*made.secrets, *sorted(made.files, key=CONFIGURATION.__eq__)):
            (into / name).parent.mkdir(mode=0o700, exist_ok=True)
            os.replace(staging / name, into / name)  # noqa: PTH105 - over what is there
    except DocumentError as error:
        for problem in error.problems:
            click.echo(str(problem).replace(f"{staging}{os.sep}", ""), err=True)
        click.echo("nothing was written: the result would not pass probe validate", err=True)
        sys.exit(FAIL)
    except OSError as error:
        die(f"{into}: cannot write there: {error.strerror}", FAIL)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _create(path: Path, content: str, mode: int) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(content)
