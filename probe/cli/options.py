"""What several commands share: options, exit statuses, reading the configuration."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from probe.model.spec import Spec

FAIL, BAD_CONFIGURATION = 1, 2

CONFIGURATIONS = Path("probe.yaml"), Path("config/probe.yaml")
"""Where the configuration is looked for when no option names it, first to last."""


def _found() -> Path:
    """The first configuration that is there; the last of all when none is."""
    return next((path for path in CONFIGURATIONS if path.exists()), CONFIGURATIONS[-1])


config_option = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path),
    default=_found,
    show_default="probe.yaml, else config/probe.yaml",
    help="Configuration file (YAML).",
)
region_option = click.option(
    "--region", help="Where this runs; else PROBE_REGION, else the configuration's region."
)

web_config_option = click.option(
    "--web.config.file",
    "web_config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TLS, client certificates and logins of the port, in the format of the Prometheus "
    "exporter toolkit; goes before web_config: of the configuration.",
)


def load_spec(config: Path, region: str | None, *, apart: bool = False) -> Spec:
    """Read the configuration. With ``apart`` another process does, so that this one stays small."""
    from probe.config.apart import load_apart
    from probe.documents.problem import DocumentError
    from probe.net.child import Unanswered

    try:
        if apart:
            return load_apart(config, region=region, environ=os.environ)
        from probe.config.loading import load

        return load(config, region=region, environ=os.environ)
    except DocumentError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(BAD_CONFIGURATION)
    except Unanswered as error:
        die(f"the process that reads {config} {error}", FAIL)


def die(message: str, code: int) -> NoReturn:
    """Say why the command ends, in one line, and end it with this status."""
    from probe.model.failure import printable

    click.echo(f"probe: {printable(message, chr(10))}", err=True)
    sys.exit(code)
