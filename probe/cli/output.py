"""Prints the rows of a check, in the form that was asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli.options import FAIL, die

if TYPE_CHECKING:
    from probe.report import ReportRow

FORMS = ("table", "wide", "json", "junit", "prom", "github")

_FOR_EVERYBODY = 0o644  # node_exporter runs as another user


def print_rows(
    rows: Sequence[ReportRow],
    form: str,
    file: Path | None,
    *,
    region: str,
    all_rows: bool,
    chains: bool,
) -> None:
    """Print rows, or write them to a file and print the table.

    Args:
        rows: of the run.
        form: one of ``FORMS``.
        file: None prints.
        region: where the run was made.
        all_rows: passing rows too, in the table.
        chains: the certificates too, in the table.
    """
    if form != "table" and file is None:
        sys.stdout.write(_text(rows, form, region, all_rows=all_rows, chains=chains))
        return
    _print_table(rows, all_rows=all_rows, chains=chains)
    if file is not None:
        _write(file, _text(rows, form, region, all_rows=all_rows, chains=chains))


def _write(file: Path, text: str) -> None:
    from probe.documents.files import replace_file

    if not file.parent.is_dir():  # a mistyped path must not become a folder
        die(f"--output-file {file}: there is no folder {file.parent}", FAIL)
    try:
        replace_file(file, text.encode("utf-8", "replace"), mode=_FOR_EVERYBODY)
    except OSError as error:
        die(f"--output-file {file}: {error.strerror or error}", FAIL)


def _text(
    rows: Sequence[ReportRow], form: str, region: str, *, all_rows: bool, chains: bool
) -> str:
    from probe.report import exposition, lines, machine
    from probe.report.certificates import certificates
    from probe.report.findings import findings

    match form:
        case "json":
            return machine.to_json(rows, region=region)
        case "junit":
            return machine.to_junit(rows, region=region)
        case "github":
            return machine.to_github(findings(rows), rows)
        case "prom":
            return exposition.to_prometheus(rows, region=region, now=time.time())
        case "wide":
            return "".join(f"{line}\n" for line in lines.wide(rows))
        case _:
            shown = certificates(rows, time.time()).plain if chains else ""
            return shown + "".join(f"{line}\n" for line in lines.lines(rows, all_rows=all_rows))


def _print_table(rows: Sequence[ReportRow], *, all_rows: bool, chains: bool) -> None:
    from rich.console import Console

    from probe.report.certificates import certificates
    from probe.report.console import table

    console = Console()
    if not console.is_terminal:
        sys.stdout.write(_text(rows, "table", "", all_rows=all_rows, chains=chains))
        return
    if chains:
        console.print(certificates(rows, time.time()), crop=False)
    console.print(table(rows, all_rows=all_rows), crop=False)
