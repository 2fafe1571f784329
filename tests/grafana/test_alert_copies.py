"""Grafana's copies of the alert rules ask what the shipped ones ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from .dashboards import GRAFANA, ROOT, load

RULES = ROOT / "deploy" / "prometheus" / "rules"
COPIES = GRAFANA / "provisioning" / "alerting" / "probe-rules.yaml"
_UNITS = {"s": 1, "m": 60}


def _shipped() -> Iterator[tuple[str, dict[str, Any]]]:
    """Alerts with the names of their groups."""
    for path in sorted(RULES.glob("*.yaml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from ((group["name"], rule) for rule in group["rules"] if "alert" in rule)


def _copied() -> Iterator[tuple[str, dict[str, Any]]]:
    for group in yaml.safe_load(COPIES.read_text())["groups"]:
        yield from ((group["name"], rule) for rule in group["rules"])


def test_there_is_a_copy_of_each_alert_in_the_same_group() -> None:
    shipped = [(group, rule["alert"]) for group, rule in _shipped()]
    assert shipped
    assert shipped == [(group, rule["title"]) for group, rule in _copied()]


@pytest.mark.parametrize(
    ("shipped", "copy"),
    [
        pytest.param(rule, copy, id=rule["alert"])
        for (_, rule), (_, copy) in zip(_shipped(), _copied(), strict=True)
    ],
)
def test_a_copy_says_the_same(shipped: dict[str, Any], copy: dict[str, Any]) -> None:
    query, any_series = copy["data"]
    assert query["model"]["expr"] == shipped["expr"]
    assert query["model"]["instant"] is True
    for key, text in shipped["labels"].items():
        assert copy["labels"][key] == text.replace("$labels.", ".Labels.")
    assert copy["labels"].keys() == shipped["labels"].keys()
    assert copy["for"] == shipped.get("for", "0s")
    assert copy.get("keepFiringFor") == shipped.get("keep_firing_for")
    assert copy["annotations"]["runbook_url"] == shipped["annotations"]["runbook_url"]
    assert copy["condition"] == any_series["refId"] == "any"


def test_a_series_fires_whatever_its_value_as_prometheus_does() -> None:
    """`probe_vantage_healthy == 0` gives 0, which by itself is no alarm to Grafana."""
    for _, copy in _copied():
        (_, any_series) = copy["data"]
        assert any_series["datasourceUid"] == "__expr__"
        expression = any_series["model"]["expression"]
        assert expression == "is_number($query) || is_nan($query) || is_inf($query)"
        assert copy["noDataState"] == "OK"  # no series, nothing wrong: as Prometheus reads it


def test_no_text_of_a_copy_queries_which_grafana_cannot() -> None:
    for _, copy in _copied():
        assert not any("| query" in text for text in copy["annotations"].values()), copy["title"]


def test_no_text_of_a_copy_has_what_provisioning_takes_for_an_environment_variable() -> None:
    for _, copy in _copied():
        assert "$" not in str([copy["labels"], copy["annotations"]]), copy["title"]


def test_a_copy_leads_to_a_panel_that_exists() -> None:
    boards = load()
    for _, copy in _copied():
        uid = copy["annotations"]["__dashboardUid__"]
        assert copy["dashboardUid"] == uid
        assert str(copy["panelId"]) == copy["annotations"]["__panelId__"]
        panels = {str(panel["id"]): panel["type"] for panel in boards[uid]["panels"]}
        assert panels[copy["annotations"]["__panelId__"]] != "row", copy["title"]


def test_groups_are_evaluated_at_intervals_that_grafana_takes() -> None:
    for group in yaml.safe_load(COPIES.read_text())["groups"]:
        every = group["interval"]
        assert int(every[:-1]) * _UNITS[every[-1]] % 10 == 0


def test_names_of_copies_are_unique_and_short_enough() -> None:
    uids = [copy["uid"] for _, copy in _copied()]
    assert len(set(uids)) == len(uids)
    assert all(len(uid) <= 40 for uid in uids)
