"""What every dashboard has: variables, links to its siblings and to the runbooks, annotations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from boards import look
from boards.panel import Shown
from boards.query import SOURCE, Query

_TAG = "regional-probe"
_FOREVER = ".*"
_DEFAULT_SOURCE = model.VariableOption(text="Regional probe", value="probe-prometheus")
"""The one that is provisioned; another is chosen where it does not exist."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard.

    Attributes:
        metric: the series, with a selector, whose values of ``of`` can be chosen.
        one: exactly one can be chosen; otherwise any number, or all.
        of: the label, where it is not called like the variable.
    """

    name: str
    label: str
    metric: str
    one: bool = False
    of: str = ""

    def build(self) -> build.QueryVariable:
        """For Grafana."""
        query = f"label_values({self.metric}, {self.of or self.name})"
        variable = (
            build.QueryVariable(self.name)
            .label(self.label)
            .datasource(SOURCE)
            .query({"query": query, "refId": f"{self.name}-variable", "qryType": 5})
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(model.VariableSort.ALPHABETICAL_ASC)
            .multi(not self.one)
            .include_all(not self.one)
        )
        if self.one:
            return variable
        everything = model.VariableOption(text="All", value="$__all", selected=True)
        return variable.all_value(_FOREVER).current(everything)


REGIONS = Variable("region", "Region", "probe_agent_build_info")
CHECKS = Variable("check", "Check", 'probe_check_info{region=~"$region"}')
PROVIDERS = Variable(
    "provider", "Provider", 'probe_provider_targets{region=~"$region",check=~"$check"}'
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that is drawn across all panels while it lasts."""

    name: str
    expr: str
    title: str
    colour: str
    tags: tuple[str, ...]
    quiet: bool = True

    def document(self) -> dict[str, Any]:
        """For Grafana, whose Prometheus source has keys of its own here."""
        annotation = (
            build.AnnotationQuery()
            .name(self.name)
            .datasource(SOURCE)
            .enable(True)
            .icon_color(self.colour)
            .expr(self.expr)
        )
        return {
            **_plain(annotation.build()),
            "step": "10s",
            "titleFormat": self.title,
            "tagKeys": ",".join(self.tags),
            "useValueForTime": False,
        }


ALERTS = Mark(
    "Alerts",
    'ALERTS{alertname=~"Probe.+",alertstate="firing",severity!="none"}',
    "{{alertname}} {{region}} {{provider}} {{check}}",
    look.BAD,
    ("alertname", "region", "provider", "target", "severity"),
)
_LOADED = "probe_agent_config_last_reload_success_timestamp_seconds"
RELOADS = Mark(
    "Configuration loaded",
    f'max by (region) (changes({_LOADED}{{region=~"$region"}}[1m])) > 0',
    "{{region}} loaded its configuration",
    look.GREY,
    ("region",),
)


@dataclass(slots=True)
class Board:
    """A dashboard.

    Attributes:
        uid: the last part of its address; alerts lead there.
        rows: a title, and the panels below it.
    """

    uid: str
    title: str
    text: str
    variables: Sequence[Variable]
    marks: Sequence[Mark] = (ALERTS, RELOADS)
    rows: list[tuple[str, tuple[Shown, ...]]] = field(default_factory=list)

    def row(self, title: str, *panels: Shown) -> None:
        """Add a row."""
        self.rows.append((title, panels))

    def questions(self) -> list[tuple[str, Query]]:
        """Every query by the title of its panel."""
        return [
            (panel.title, query)
            for _, panels in self.rows
            for panel in panels
            for query in panel.queries
        ]

    def document(self, docs: str) -> dict[str, Any]:
        """The dashboard as Grafana reads it; ``docs`` is where the runbooks are found."""
        board = (
            build.Dashboard(self.title)
            .uid(self.uid)
            .description(self.text)
            .tags([_TAG])
            .timezone("browser")
            .time("now-1h", "now")
            .refresh("10s")
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .readonly()
            .links(_links(docs))
            .with_variable(
                build.DatasourceVariable("datasource")
                .label("Data")
                .type("prometheus")
                .current(_DEFAULT_SOURCE)
            )
        )
        for variable in self.variables:
            board = board.with_variable(variable.build())
        for title, panels in self.rows:
            board = board.with_row(build.Row(title))
            for panel in panels:
                board = board.with_panel(panel.builder)
        whole: dict[str, Any] = _plain(board.build())
        for number, panel in enumerate(whole["panels"], start=1):
            panel["id"] = number
        whole["annotations"] = {"list": [mark.document() for mark in self.marks]}
        return whole


def _links(docs: str) -> list[Builder[model.DashboardLink]]:
    siblings = (
        build.DashboardLink("Regional probe")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([_TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )
    runbooks = (
        build.DashboardLink("Runbooks")
        .type(model.DashboardLinkType.LINK)
        .icon("doc")
        .tooltip("What each alert means, how to check by hand, what to do")
        .url(f"{docs}/runbooks/")
        .target_blank(True)
    )
    return [siblings, runbooks]


def _plain(resource: object) -> Any:
    return json.loads(json.dumps(resource, cls=JSONEncoder))


def to(uid: str, **variables: str) -> str:
    """A link to another dashboard, at the same time range."""
    chosen = "&".join(f"var-{name}={value}" for name, value in variables.items())
    return f"/d/{uid}?{chosen}&${{__url_time_range}}"
