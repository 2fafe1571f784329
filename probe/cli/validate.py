"""``probe validate``: every problem of configuration files, with its place."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe.cli.options import FAIL, web_config_option

if TYPE_CHECKING:
    from probe.documents.problem import Problem
    from probe.model.spec import Spec


@click.command(short_help="Check configurations and the files that they name.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="FILE…")
@web_config_option
def validate(files: tuple[Path, ...], web_config: Path | None) -> None:
    r"""Check configuration files and the files of targets and roots they name.

    \b
      probe validate probe.yaml
      probe validate --web.config.file web.yaml probe.yaml

    The web configuration and its certificates are checked too, where one is named. Prints every
    problem as file:line:column: message. Notes are no problems. Exit status: 0 good, 1 problems.
    """
    from probe.config.loading import validate as read
    from probe.documents.problem import DocumentError
    from probe.model.failure import printable

    if not files and web_config is None:
        raise click.UsageError("name a configuration file, or --web.config.file FILE")
    bad, webs = False, {} if web_config is None else {web_config: None}
    for file in files:
        try:
            spec, notes = read(file, environ=os.environ)
        except DocumentError as error:
            bad = True
            _say(file, error.problems)
        else:
            click.echo(f"{file}: good: {_inventory(spec)}")
            for note in notes:
                click.echo(f"{note.at}: note: {printable(note.message)}")
            if web_config is None and spec.web_config is not None:
                webs[Path(spec.web_config)] = None
    for file in webs:
        from probe.serve.http.web_config import read_web_config

        try:
            click.echo(f"{file}: good: {read_web_config(file).summary()}")
        except DocumentError as error:
            bad = True
            _say(file, error.problems)
    sys.exit(FAIL if bad else 0)


def _say(file: Path, problems: Sequence[Problem]) -> None:
    for problem in problems:
        click.echo(str(problem), err=True)
    click.echo(f"{file}: {len(problems)} problem{'s' if len(problems) != 1 else ''}", err=True)


def _inventory(spec: Spec) -> str:
    """Count what a configuration holds: ``2 checks, 3 providers, 1 target list``."""
    counts = [
        (len(spec.checks), "check"),
        (len(spec.providers), "provider"),
        (len(spec.targets), "target list"),
    ]
    return ", ".join(f"{count} {word}{'s' if count != 1 else ''}" for count, word in counts)
