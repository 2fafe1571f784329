"""``probe health``: asks a running agent how it is."""

from __future__ import annotations

import click

from probe.cli.options import FAIL, die


@click.command()
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
        die(problem, FAIL)
