"""The reference of metrics in ``docs/metrics.md``, written from the table of families. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from probe.serve.series.definitions import of_group
from probe.serve.series.family import Family, Group

BEGIN = "<!-- from the table in probe/serve/series/definitions.py -->"
END = "<!-- end of the table -->"

_TITLES = {
    Group.TARGET: "Targets, under the names of blackbox_exporter",
    Group.TARGET_INFO: "Targets: labels of their own",
    Group.CHECK_INFO: "Checks",
    Group.EDGE: "Edges",
    Group.CERTIFICATES: "Certificates across edges",
    Group.PROVIDER: "Providers",
    Group.RESOLVE: "DNS",
    Group.FLOW: "Flows",
    Group.PERSONAS: "Personas",
    Group.STEP: "Steps",
    Group.INSTANCE: "Server-side parts that answered",
    Group.LATENCY: "Latency histograms",
    Group.AGENT: "The agent",
}


def reference() -> str:
    """The tables, one per group, between the two markers."""
    lines = [BEGIN, ""]
    for group in Group:
        lines += [f"### {_TITLES[group]}", ""]
        lines += _table(group)
        lines.append("")
    return "\n".join([*lines, END])


def _table(group: Group) -> Iterator[str]:
    yield "| metric | type | labels besides `region` | meaning | present |"
    yield "|---|---|---|---|---|"
    for family in of_group(group):
        name, labels, when = f"`{family.name}`", _labels(family), family.when or "always"
        yield f"| {name} | {family.kind} | {labels} | {family.help} | {when} |"


def _labels(family: Family) -> str:
    names = [f"`{name}`" if name != "*" else "those it was given" for name in family.labels]
    return ", ".join(sorted(names, key=lambda name: not name.startswith("`"))) or "–"
