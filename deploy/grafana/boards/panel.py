"""The kinds of panels that the dashboards are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import common, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as shared
from grafana_foundation_sdk.models import dashboard as model

from boards import look
from boards.query import SOURCE, Query

_Panel = TypeVar("_Panel", stat.Panel, statetimeline.Panel, tables.Panel, timeseries.Panel)
_EMPTY = "Empty while all is well."
_LINES = (look.BLUE, look.VERMILLION, look.GREEN, look.PURPLE)
_DASHES: tuple[dict[str, object], ...] = (
    {"fill": "solid"},
    {"fill": "dash", "dash": [10, 6]},
    {"fill": "dot", "dash": [0, 6]},
    {"fill": "dash", "dash": [20, 4]},
)
"""The queries of a panel differ in colour and in dashes, the series of a query in lightness."""

Steps = Sequence[tuple[float | None, str]]
Words = list[model.ValueMapping]


@dataclass(frozen=True, slots=True)
class Face:
    """How values look.

    Attributes:
        unit: Grafana's name of it.
        steps: colours by value.
        mappings: words for values.
        links: title and URL of where a click on a value leads.
        nothing: what stands there when there is no data.
    """

    unit: str = "short"
    steps: Steps = ((None, look.BLUE),)
    mappings: Words | None = None
    links: Mapping[str, str] | None = None
    nothing: str = "–"


PLAIN = Face()


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel with what it asks."""

    title: str
    queries: tuple[Query, ...]
    builder: Builder[model.Panel]


def _dress(
    panel: _Panel,
    title: str,
    text: str,
    queries: tuple[Query, ...],
    size: tuple[int, int],
    face: Face,
) -> _Panel:
    """What every kind of panel has."""
    quiet = all(query.quiet for query in queries)
    panel = (
        panel.title(title)
        .description(f"{text} {_EMPTY}" if quiet else text)
        .datasource(SOURCE)
        .span(size[0])
        .height(size[1])
        .unit(face.unit)
        .no_value(face.nothing)
        .thresholds(look.thresholds(face.steps))
        .targets([query.build(chr(ord("A") + n)) for n, query in enumerate(queries)])
    )
    if face.mappings:
        panel = panel.mappings(face.mappings)
    if face.links:
        panel = panel.data_links(
            [build.DashboardLink(name).url(url) for name, url in face.links.items()]
        )
    return panel


def number(
    title: str, text: str, query: Query, *, size: tuple[int, int] = (4, 4), face: Face = PLAIN
) -> Shown:
    """One large number or word."""
    panel = _dress(stat.Panel(), title, text, (query,), size, face)
    calculation = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    panel = (
        panel.reduce_options(calculation)
        .color_mode(shared.BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(shared.BigValueGraphMode.NONE)
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    )
    return Shown(title, (query,), panel)


def lines(
    title: str, text: str, *queries: Query, size: tuple[int, int] = (12, 8), face: Face = PLAIN
) -> Shown:
    """Values over time."""
    panel = _dress(timeseries.Panel(), title, text, queries, size, face)
    legend = (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(shared.LegendDisplayMode.TABLE)
        .placement(shared.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
    )
    tooltip = (
        common.VizTooltipOptions()
        .mode(shared.TooltipDisplayMode.MULTI)
        .sort(shared.SortOrder.DESCENDING)
    )
    panel = (
        panel.legend(legend)
        .tooltip(tooltip)
        .line_width(2)
        .fill_opacity(5)
        .min(0)
        .color_scheme(_shades(_LINES[0]))
    )
    for at, colour in enumerate(_LINES[1 : len(queries)], start=1):
        own = [
            model.DynamicConfigValue(id_val="color", value=_shades(colour).build()),
            model.DynamicConfigValue(id_val="custom.lineStyle", value=_DASHES[at]),
        ]
        panel = panel.override_by_query(chr(ord("A") + at), own)
    return Shown(title, queries, panel)


def timeline(
    title: str, text: str, *queries: Query, size: tuple[int, int] = (24, 8), face: Face = PLAIN
) -> Shown:
    """A row for each series, coloured by value: when did what change?"""
    panel = _dress(statetimeline.Panel(), title, text, queries, size, face)
    panel = (
        panel.merge_values(True)
        .show_value(shared.VisibilityMode.AUTO)
        .row_height(0.85)
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    )
    return Shown(title, queries, panel)


def table(
    title: str,
    text: str,
    *queries: Query,
    size: tuple[int, int] = (12, 8),
    columns: Mapping[str, str],
    by: str = "",
    faces: Mapping[str, Face] | None = None,
    face: Face = PLAIN,
) -> Shown:
    """One row for each set of labels, present values of several queries side by side.

    ``columns`` are the fields in order, each with the name that is shown: labels, ``Value`` for a
    single query, ``Value #A`` and so on for several; what is not named there is not shown.
    Rows are in the order of the column ``by``, by default the first.
    ``faces`` says how columns look, by the name that is shown, ``face`` how all others do.
    """
    order = {field: index for index, field in enumerate(columns)}
    organize = {"indexByName": order, "renameByName": dict(columns), "includeByName": {}}
    panel = _dress(tables.Panel(), title, text, queries, size, face)
    transformations = [model.DataTransformerConfig(id_val="merge", options={})]
    hidden = model.DataTransformerConfig(
        id_val="filterFieldsByName", options={"include": {"names": list(columns)}}
    )
    transformations += [hidden, model.DataTransformerConfig(id_val="organize", options=organize)]
    transformations.append(_sorted(by or next(iter(columns.values()))))
    panel = panel.transformations(transformations).cell_height(shared.TableCellHeight.SM)
    for name, own in (faces or {}).items():
        panel = panel.override_by_name(name, _properties(own))
    return Shown(title, queries, panel)


def matrix(
    title: str,
    text: str,
    query: Query,
    *,
    rows: str,
    columns: str,
    size: tuple[int, int] = (12, 8),
    face: Face = PLAIN,
) -> Shown:
    """Two labels as rows and columns, coloured cells with words: where is the hole?"""
    panel = _dress(tables.Panel(), title, text, (query,), size, face)
    grid = {"rowField": rows, "columnField": columns, "valueField": "Value", "emptyValue": "null"}
    corner = rows.capitalize()
    rename = {"renameByName": {f"{rows}\\{columns}": corner}}
    panel = (
        panel.transformations(
            [
                _sorted(columns),  # columns come in the order in which they are met
                model.DataTransformerConfig(id_val="groupingToMatrix", options=grid),
                model.DataTransformerConfig(id_val="organize", options=rename),
                _sorted(corner),
            ]
        )
        .cell_height(shared.TableCellHeight.SM)
        .color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .override_by_field_type("number", [_cells("color-background")])
    )
    return Shown(title, (query,), panel)


def _shades(colour: str) -> build.FieldColor:
    return build.FieldColor().mode(model.FieldColorModeId.SHADES).fixed_color(colour)


def _sorted(field: str) -> model.DataTransformerConfig:
    return model.DataTransformerConfig(id_val="sortBy", options={"sort": [{"field": field}]})


def _cells(kind: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(
        id_val="custom.cellOptions", value={"type": kind, "mode": "basic"}
    )


def _properties(face: Face) -> list[model.DynamicConfigValue]:
    """A face as an override of one column."""
    steps = look.thresholds(face.steps).build()
    found: list[tuple[str, object]] = [("unit", face.unit), ("thresholds", steps)]
    if face.mappings:
        found.append(("mappings", face.mappings))
    if face.links:
        links = [{"title": name, "url": url} for name, url in face.links.items()]
        found.append(("links", links))
    properties = [model.DynamicConfigValue(id_val=name, value=value) for name, value in found]
    coloured = len(face.steps) > 1 or face.mappings
    return [*properties, _cells("color-background")] if coloured else properties
