"""``probe validate``: every problem of configuration files, with its place."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe.cli.options import FAIL

if TYPE_CHECKING:
    from probe.model.spec import Spec


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
def validate(files: tuple[Path, ...]) -> None:
    """Check configuration files and the files of targets and roots they name.

    Prints every problem as file:line:column: message. Notes are no problems. Exit status:
    0 good, 1 problems.
    """
    from probe.config.loading import validate as read
    from probe.documents.problem import DocumentError

    bad = False
    for file in files:
        try:
            spec, notes = read(file, environ=os.environ)
        except DocumentError as error:
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


def _inventory(spec: Spec) -> str:
    """Count what a configuration holds: ``2 checks, 3 providers, 1 target list``."""
    counts = [
        (len(spec.checks), "check"),
        (len(spec.providers), "provider"),
        (len(spec.targets), "target list"),
    ]
    return ", ".join(f"{count} {word}{'s' if count != 1 else ''}" for count, word in counts)
