"""The command line: the only file that prints or exits."""

from __future__ import annotations

import click


@click.group()
def main() -> None:
    """Probe TLS edges and API flows from a region, and export Prometheus metrics."""
