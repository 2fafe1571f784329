"""The reference of metrics in ``docs/metrics.md``, written from the table of families."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from probe.serve.series.families import of_group
from probe.serve.series.family import Family, SeriesGroup

BEGIN = "<!-- from the table in probe/serve/series/families.py -->"
END = "<!-- end of the table -->"

_TITLES = {
    SeriesGroup.TARGET: "Targets, under the names of blackbox_exporter",
    SeriesGroup.TARGET_INFO: "Targets: labels of their own",
    SeriesGroup.CHECK_INFO: "Checks",
    SeriesGroup.EDGE: "Edges",
    SeriesGroup.CERTIFICATES: "Certificates across edges",
    SeriesGroup.PROVIDER: "Providers",
    SeriesGroup.PLANNED: "Maintenance windows",
    SeriesGroup.TARGET_PLANNED: "Maintenance windows that cover every provider of a target",
    SeriesGroup.RESOLVE: "DNS",
    SeriesGroup.FLOW: "Flows",
    SeriesGroup.PERSONAS: "Personas",
    SeriesGroup.STEP: "Steps",
    SeriesGroup.INSTANCE: "Server-side parts that answered",
    SeriesGroup.LATENCY: "Latency histograms",
    SeriesGroup.AGENT: "The agent",
}


DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def page() -> str:
    """The whole page: its prose as it is, the tables anew, one per group."""
    prose = DOCS.read_text().partition(BEGIN.partition(" from")[0])[0].rstrip()
    lines = [prose, "", BEGIN, ""]
    for group in SeriesGroup:
        lines += [f"### {_TITLES[group]}", ""]
        lines += _table(group)
        lines.append("")
    return "\n".join([*lines, END, ""])


def _table(group: SeriesGroup) -> Iterator[str]:
    yield "| metric | type | labels beyond `region` | meaning | present |"
    yield "|---|---|---|---|---|"
    for family in of_group(group):
        name, labels, when = f"`{family.name}`", _labels(family), family.when or "always"
        yield f"| {name} | {family.kind} | {labels} | {family.help} | {when} |"


def _labels(family: Family) -> str:
    names = [f"`{name}`" if name != "*" else "those it was given" for name in family.labels]
    return ", ".join(sorted(names, key=lambda name: not name.startswith("`"))) or "–"
