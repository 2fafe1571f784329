"""The committed files are what the generator writes, and what Grafana can read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from .dashboards import FILES, GRAFANA, ROOT, generator, panels, variables

PROMETHEUS = ROOT / "deploy" / "prometheus"
NAMES = ("overview", "provider", "target", "flow", "agents", "migration")
IDS = [path.stem for path in FILES]


def _board(path: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(path.read_text())
    return board


every_board = pytest.mark.parametrize("board", [_board(path) for path in FILES], ids=IDS)


def test_committed_files_are_current() -> None:
    done = generator("--check")
    assert done.returncode == 0, f"run python -m tests.regenerate: {done.stdout}{done.stderr}"


def test_every_dashboard_is_there_under_the_name_that_links_use() -> None:
    assert sorted(f"probe-{name}" for name in NAMES) == IDS
    assert [_board(path)["uid"] for path in FILES] == IDS


@every_board
def test_the_models_of_grafana_read_a_dashboard_and_say_the_same(board: dict[str, Any]) -> None:
    """The SDK's models come from Grafana's schemas; a key that they do not know is lost."""
    register_default_plugins()
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    lost = sorted(set(_paths(board)) - set(_paths(again)))
    # What a Prometheus source reads beside the common schema of annotations.
    own = ("step", "titleFormat", "tagKeys", "useValueForTime")
    assert [path for path in lost if not path.partition("=")[0].endswith(own)] == []


def _paths(value: Any, at: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _paths(inner, f"{at}.{number}")
    else:
        yield f"{at}={value!r}"


@every_board
def test_panels_are_named_described_and_apart(board: dict[str, Any]) -> None:
    shown = list(panels(board))
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len({panel["title"] for panel in shown}) == len(shown)
    for panel in shown:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
        refs = [query["refId"] for query in panel["targets"]]
        assert len(set(refs)) == len(refs)
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
    for one, other in combinations(board["panels"], 2):
        assert _apart(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def _apart(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] + one["w"] <= other["x"]
        or other["x"] + other["w"] <= one["x"]
        or one["y"] + one["h"] <= other["y"]
        or other["y"] + other["h"] <= one["y"]
    )


@every_board
def test_alerts_and_changes_of_state_are_marked_across_the_panels(board: dict[str, Any]) -> None:
    marks = {mark["name"]: mark["expr"] for mark in board["annotations"]["list"]}
    assert "ALERTS" in marks["Alerts"]
    assert "probe_agent_config_last_reload" in marks["Configuration loaded"]
    states = [name for name, expr in marks.items() if "_state" in expr or "_failing" in expr]
    assert bool(states) == (board["uid"] != "probe-agents"), marks


def test_durations_of_flows_bear_the_trace_ids_of_their_runs() -> None:
    """That these queries have such ids in a real Prometheus, the test of every query holds."""
    asked = [
        (path.stem, panel["title"], query["expr"])
        for path in FILES
        for panel in panels(_board(path))
        for query in panel["targets"]
        if query.get("exemplar")
    ]
    assert len(asked) >= 2
    assert {uid for uid, _, _ in asked} == {"probe-flow"}
    assert all("_latency_seconds_bucket" in expr for _, _, expr in asked)


@every_board
def test_runbooks_are_one_click_away(board: dict[str, Any]) -> None:
    docs = yaml.safe_load((PROMETHEUS / "parameters.yaml").read_text())["docs"]
    (link,) = [link for link in board["links"] if link["title"] == "Runbooks"]
    assert link["url"].startswith(docs)


@every_board
def test_every_variable_is_used(board: dict[str, Any]) -> None:
    asked = " ".join(
        query["expr"] for panel in panels(board) for query in panel["targets"]
    ) + " ".join(str(one["query"]) for one in variables(board))
    for variable in variables(board):
        assert f"${variable['name']}" in asked, variable["name"]


@every_board
def test_links_lead_to_dashboards_and_variables_that_exist(board: dict[str, Any]) -> None:
    known = {_board(path)["uid"]: _names(_board(path)) for path in FILES}
    for uid, names in _links(json.dumps(board)):
        assert uid in known
        assert names <= known[uid], f"{board['uid']} links to {uid} with {names - known[uid]}"


def _names(board: dict[str, Any]) -> set[str]:
    return {variable["name"] for variable in variables(board)}


def _links(text: str) -> Iterator[tuple[str, set[str]]]:
    """The uid and the variables of every link to a dashboard within a text."""
    for part in text.split("/d/")[1:]:
        uid, _, rest = part.partition("?")
        chosen = rest.split('"', 1)[0].split("&")
        yield (
            uid.split('"', 1)[0].strip(),
            {
                one.partition("=")[0].removeprefix("var-")
                for one in chosen
                if one.startswith("var-")
            },
        )


def test_alerts_lead_to_dashboards_and_variables_that_exist() -> None:
    known = {_board(path)["uid"]: _names(_board(path)) for path in FILES}
    leading = 0
    for path in sorted((PROMETHEUS / "rules").glob("*.yaml")):
        for uid, names in _links(json.dumps(yaml.safe_load(path.read_text()))):
            assert uid in known, f"{path.name} leads to {uid}"
            assert names <= known[uid], f"{path.name}: {uid} has no {names - known[uid]}"
            leading += 1
    assert leading


def test_alerts_on_the_overview_lead_to_their_runbooks() -> None:
    docs = yaml.safe_load((PROMETHEUS / "parameters.yaml").read_text())["docs"]
    text = (GRAFANA / "dashboards" / "probe-overview.json").read_text()
    assert f"{docs}/runbooks/${{__value.text}}.md" in text


def test_the_source_of_data_is_the_one_that_alerts_name() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/probe.yaml").read_text())
    by_uid = {one["uid"]: one for one in sources["datasources"]}
    prometheus = by_uid["probe-prometheus"]["jsonData"]
    shipped = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert prometheus["timeInterval"] == shipped["global"]["scrape_interval"]
    (traces,) = prometheus["exemplarTraceIdDestinations"]
    assert traces["name"] == "trace_id"
    assert by_uid[traces["datasourceUid"]]["type"] == "tempo"
