"""``probe explain``: what a reason, an alert or a metric means, and what to do about it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from textwrap import indent

import click

from probe.cli.options import BAD_CONFIGURATION, die


def _complete(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    return [name for name in _names() if name.startswith(begun)]


@click.command(short_help="Say what a reason, alert or metric means, and what to do.")
@click.argument("name", required=False, shell_complete=_complete)
def explain(name: str | None) -> None:
    r"""Say what a REASON, ALERT or METRIC means, how to check it by hand, and what to do.

    Without a name, list them all with a line each.

    \b
      probe explain alert_unrecognized_name
      probe explain ProbeTargetDown
      probe explain probe_edge_up

    Exit status: 0 known, 2 nothing is called so.
    """
    if name is None:
        click.echo_via_pager("\n".join(_index()) + "\n")
        return
    wanted = name.strip().rpartition("/")[2]  # tls/alert_unrecognized_name is how results show it
    for find in (_reason, _metric, _alert):
        if text := find(wanted):
            click.echo(text)
            return
    near = difflib.get_close_matches(wanted, _names(), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`probe explain` lists all of them"
    die(f"no reason, alert or metric is called {wanted!r}; {hint}", BAD_CONFIGURATION)


def _reason(name: str) -> str:
    from probe.model.reasons import explanations, phase_texts

    explained = next((text for one, text in explanations().items() if one == name), None)
    if explained is None:
        return ""
    phases = [phase_texts()[phase] for phase in explained.phases]
    browser = explained.browser.get(explained.phases[0], phases[0].browser)
    parts = [
        f"{name}: {explained.title}",
        explained.explanation,
        "Phase: "
        + ", ".join(
            f"{at} ({text.title})" for at, text in zip(explained.phases, phases, strict=True)
        ),
        "Usual causes:\n" + "\n".join(f"  - {cause}" for cause in explained.causes),
        f"A browser shows: {browser}" if browser else "A browser shows the page.",
        f"curl prints: {explained.curl}" if explained.curl else "",
        "Check by hand:\n" + indent(explained.check or phases[0].check, "  "),
    ]
    return "\n\n".join(part for part in parts if part)


def _metric(name: str) -> str:
    from probe.serve.series.families import FAMILIES
    from probe.serve.series.family import BASE_LABELS

    for family in FAMILIES:
        if name in [family.name + part for part in ("", "_bucket", "_sum", "_count")]:
            labels = (*BASE_LABELS[family.group], *family.extra)
            lines = [f"{family.name}: {family.help}", "", f"Type: {family.kind}"]
            lines.append(f"Labels: {', '.join(('region', *labels))}")
            if family.when:
                lines.append(f"There is a series: {family.when}")
            return "\n".join(lines)
    return ""


def _alert(name: str) -> str:
    return _runbooks().get(name, "").rstrip()


def _runbooks() -> Mapping[str, str]:
    """Runbooks by alert; made by ``python -m tests.regenerate`` from ``docs/runbooks``."""
    text = resources.files(__package__).joinpath("runbooks.json").read_text(encoding="utf-8")
    runbooks: dict[str, str] = json.loads(text)
    return runbooks


def _index() -> Iterator[str]:
    from probe.model.reasons import explanations
    from probe.serve.series.families import FAMILIES

    yield "Reasons"
    yield from (f"  {one}: {text.title}" for one, text in sorted(explanations().items()))
    yield "\nAlerts"
    for one, text in _runbooks().items():
        yield f"  {one}: {text.splitlines()[0].partition(': ')[2]}"
    yield "\nMetrics"
    yield from (f"  {family.name}: {family.help}" for family in FAMILIES)


def _names() -> list[str]:
    from probe.model.reasons import explanations
    from probe.serve.series.families import FAMILIES

    return [*map(str, explanations()), *_runbooks(), *(family.name for family in FAMILIES)]
