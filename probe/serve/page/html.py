"""The status page: Jinja templates over the views, every value escaped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from probe.model.cause import CHANGES, Change
from probe.model.failure import printable
from probe.model.flow_cause import FLOW_CHANGES, FlowChange
from probe.model.reasons import title_of
from probe.serve.page.card_view import CardView
from probe.serve.page.flow_view import StepView
from probe.serve.page.regions_view import RegionsView
from probe.serve.page.sentence import clock, where
from probe.serve.page.spark import spark_of
from probe.serve.page.target_view import TargetView
from probe.serve.page.targets_view import TargetQuery, TargetsView
from probe.serve.page.views import ChangeView, StatusView

_SIGNS = {
    "ok": "✓",
    "trouble": "✕",
    "unsure": "?",
    "passing": "✓",
    "passed": "✓",
    "suspect": "?",
    "failing": "✕",
    "failed": "✕",
    "flapping": "≈",
    "unknown": "–",
    "unseen": "∅",
    "awaited": "…",
    "degraded": "◔",
    "inconclusive": "⊘",
    "skipped": "→",
    "same": "✕",
    "other": "✕",
    "unclear": "?",
}

_CAME_OUT = {
    "passed": "passed",
    "same": "failed in the same way",
    "other": "failed in another way",
    "unclear": "could not be judged",
}


def status_page(status: StatusView) -> str:
    """The page at ``/``."""
    return _environment().get_template("index.html").render(status=status)


def target_page(view: TargetView) -> str:
    """The page of one target."""
    return _environment().get_template("target.html").render(view=view)


def targets_page(view: TargetsView) -> str:
    """The list of targets."""
    return _environment().get_template("targets.html").render(view=view)


def asked(wanted: TargetQuery, page: int = 1) -> str:
    """The query of a URL that asks for these targets; empty for all of them."""
    fields = {name: text for name, text in asdict(wanted).items() if text}
    if page > 1:
        fields["page"] = str(page)
    return f"?{urlencode(fields, errors='backslashreplace')}" if fields else ""


def listed(card: CardView) -> str:
    """The query of a URL that lists the targets of a card."""
    provider = card.providers[0] if len(card.providers) == 1 else ""
    return asked(TargetQuery(check=card.check, provider=provider, reason=card.reason))


def regions_page(view: RegionsView) -> str:
    """The page of all regions."""
    return _environment().get_template("regions.html").render(view=view)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("probe.serve.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_shown,
    )
    environment.filters.update(
        asked=asked,
        came_out=lambda seen: _CAME_OUT[seen],
        changed=_changed,
        clock=clock,
        date=date,
        days=days,
        lasting=lasting,
        layers=layers,
        listed=listed,
        milliseconds=milliseconds,
        spark=spark_of,
        sign=lambda name: _SIGNS.get(str(name), ""),
        together=together,
        title_of=title_of,
        where=where,
        urlencode=lambda name: quote(name, errors="backslashreplace"),
        thousands=lambda number: f"{number:,}",
    )
    return environment


def _shown(value: object) -> object:
    """A value as the page shows it; what is markup already is ours."""
    return printable(value, "\n\t") if type(value) is str else value


def layers(steps: Iterable[StepView]) -> list[tuple[str, list[StepView]]]:
    """Steps that follow each other in one layer, together."""
    return [(layer, list(alike)) for layer, alike in groupby(steps, key=lambda one: one.layer)]


@dataclass(slots=True)
class Changes:
    """Changes alike that follow each other closely, shown as one row."""

    first: ChangeView
    targets: list[str]
    edges: list[str]
    count: int = 1


_CLOSE = 60.0


def together(changes: Iterable[ChangeView]) -> list[Changes]:
    """Rows for the table of changes: 300 domains that fail at once are one row."""
    rows: list[Changes] = []
    for change in changes:
        row = rows[-1] if rows else None
        if row is None or not _alike(row.first, change):
            rows.append(Changes(change, [change.target], [change.edge] if change.edge else []))
            continue
        row.count += 1
        if change.target not in row.targets:
            row.targets.append(change.target)
        if change.edge and change.edge not in row.edges:
            row.edges.append(change.edge)
    return rows


def _alike(one: ChangeView, other: ChangeView) -> bool:
    return abs(one.at - other.at) <= _CLOSE and all(
        getattr(one, name) == getattr(other, name)
        for name in ("check", "provider", "persona", "before", "after", "reason", "note")
    )


def lasting(seconds: float) -> str:
    """A duration in the two greatest units: ``3 h 5 min``."""
    whole = max(0, round(seconds))
    for unit, size, finer, fine in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if whole >= size:
            rest = whole % size // fine
            return f"{whole // size} {unit}" + (f" {rest} {finer}" if rest else "")
    if whole >= 60:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole} s"


def milliseconds(seconds: float | None) -> str:
    """``42 ms``; nothing for what was not measured."""
    return "" if seconds is None else f"{seconds * 1000:,.0f} ms"


def date(at: float) -> str:
    """A day in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def days(seconds: float) -> str:
    """How long from now: ``in 59 days``, ``3 days ago``."""
    count = int(abs(seconds) // 86400)
    unit = "day" if count == 1 else "days"
    return f"in {count} {unit}" if seconds >= 0 else f"{count} {unit} ago"


def _changed(change: str) -> str:
    """Say what an experiment changed, of a handshake or of a call."""
    known = change in FLOW_CHANGES
    return FLOW_CHANGES[FlowChange(change)] if known else CHANGES[Change(change)]
