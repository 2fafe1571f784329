"""``probe targets`` and ``probe edges``: what would be probed, without a probe."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from probe.cli.options import BAD_CONFIGURATION, FAIL, config_option, die, load_spec, region_option

if TYPE_CHECKING:
    from probe.agent.inventory import Inventory, ListedTarget, NamedEdge

form_option = click.option(
    "--output",
    "-o",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
)
check_option = click.option(
    "--check", "checks", multiple=True, help="Only of this check; may be repeated."
)
target_option = click.option(
    "--target", "names", multiple=True, help="Only this target; may be repeated."
)


@click.command(short_help="List the targets that lists give.")
@config_option
@region_option
@check_option
@target_option
@form_option
def targets(
    config: Path,
    region: str | None,
    checks: tuple[str, ...],
    names: tuple[str, ...],
    form: str,
) -> None:
    r"""List the targets that files, URLs and the configuration give.

    Each with its labels and its source. Sources that cannot be read are named on standard error.

    \b
      probe targets
      probe targets --check stores -o json

    Exit status: 0 all sources were read, 1 not, 2 bad configuration.
    """
    from probe.agent.inventory import find_targets

    found = _found(find_targets, config, region, {"checks": checks, "targets": names})
    rows = [_target_row(one) for one in found.targets]
    _print(found, form, ("list", "target", "labels", "source", "note"), rows, found.targets)


@click.command(short_help="List the addresses that DNS names for the targets.")
@config_option
@region_option
@check_option
@target_option
@click.option(
    "--provider", "providers", multiple=True, help="Only through this provider; may be repeated."
)
@form_option
def edges(
    config: Path,
    region: str | None,
    checks: tuple[str, ...],
    names: tuple[str, ...],
    providers: tuple[str, ...],
    form: str,
) -> None:
    r"""List the addresses that DNS names for the targets of TLS checks.

    Nothing is probed. Each address has its provider, where it comes from, the seconds until DNS
    is asked again, and why it is refused, if it is.

    \b
      probe edges
      probe edges --target shop.example --provider live -o json

    Exit status: 0 every target has an address that may be probed, 1 not, 2 bad configuration.
    """
    from probe.agent.inventory import find_edges

    chosen = {"checks": checks, "targets": names, "providers": providers}
    found = _found(find_edges, config, region, chosen)
    columns = ("check", "target", "provider", "address", "source", "TTL", "refused", "notes")
    rows = [_edge_row(one) for one in found.edges]
    _print(found, form, columns, rows, found.edges)


def _found(find: Any, config: Path, region: str | None, chosen: dict[str, Any]) -> Inventory:
    from probe.agent.gate import CheckRequest, SelectionError

    spec = load_spec(config, region)
    try:
        found: Inventory = find(spec, CheckRequest.parse(**chosen), dict(os.environ))
    except SelectionError as error:
        die(str(error), BAD_CONFIGURATION)
    return found


def _target_row(one: ListedTarget) -> tuple[str, ...]:
    labels = ",".join(f"{name}={value}" for name, value in one.labels.items())
    return (one.list_name, one.target, labels, one.source, one.note)


def _edge_row(one: NamedEdge) -> tuple[str, ...]:
    ttl = "" if one.ttl is None else f"{one.ttl:.0f} s"
    where = (one.check, one.target, one.provider, one.address, one.source)
    return (*where, ttl, one.refused, "; ".join(one.notes))


def _print(
    found: Inventory,
    form: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    values: Sequence[Any],
) -> None:
    """Print what was found, then what is wrong on standard error, and end the command."""
    from probe.model.failure import printable
    from probe.report.lines import aligned

    if form == "json":
        plain = [_plain(one) for one in values]
        click.echo(json.dumps(plain, indent=2, ensure_ascii=False))
    elif rows:
        shown = [tuple(printable(cell) or "-" for cell in row) for row in rows]
        for line in aligned([columns, *shown]):
            click.echo(line)
    else:
        click.echo("nothing was found: no list of the checks holds such a target", err=True)
    for problem in found.problems:
        click.echo(f"probe: {printable(problem)}", err=True)
    without = {one[:3] for one in _through(found)} - {one[:3] for one in _through(found) if one[3]}
    sys.exit(FAIL if found.problems or without or not values else 0)


def _through(found: Inventory) -> list[tuple[str, str, str, bool]]:
    """Target and provider of each address, and whether it may be probed."""
    return [
        (one.check, one.target, one.provider, bool(one.address and not one.refused))
        for one in found.edges
    ]


def _plain(one: ListedTarget | NamedEdge) -> dict[str, Any]:
    """The fields that say something; labels may be none, which says something too."""
    values = {each.name: getattr(one, each.name) for each in fields(one)}
    if "labels" in values:
        values["labels"] = dict(values["labels"])
    return {name: value for name, value in values.items() if value not in ("", None, ())}
