"""The rules are what promtool accepts, every alert is held by cases, and says what to do."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from probe.serve.series.families import FAMILIES
from probe.serve.series.family import MetricType

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
_METRIC = re.compile(r"(?<![\w:<{])probe_[a-z0-9_]+\b(?!:)")
_PARTS = {"What it means", "How to check by hand", "What to do", "What it is not"}

Run = Callable[..., str]


def _rules() -> list[dict[str, Any]]:
    return [
        rule
        for file in sorted((PROMETHEUS / "rules").glob("*.yaml"))
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
    ]


RULES = _rules()
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


@pytest.mark.real
def test_promtool_accepts_configuration_and_rules(promtool: Run) -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")
    promtool("check", "rules", *(PROMETHEUS / "rules").glob("*.yaml"))


@pytest.mark.real
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.stem))
def test_alerts_fire_when_they_should_and_only_then(case: Path, promtool: Run) -> None:
    promtool("test", "rules", case)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_case_that_fires_and_one_that_does_not(alert: str) -> None:
    document = yaml.safe_load((Path(__file__).parent / "cases" / f"{alert}.yaml").read_text())
    asked = [
        (test["name"].split(":")[0], bool(one["exp_alerts"]))
        for test in document["tests"]
        for one in test["alert_rule_test"]
        if one["alertname"] == alert
    ]
    assert ("firing", True) in asked
    always = alert == "ProbeWatchdog"
    assert always or ("quiet", False) in asked
    assert ("quiet", True) not in asked


def test_committed_rules_are_what_the_parameters_give() -> None:
    render = runpy.run_path(str(PROMETHEUS / "render.py"))
    for path, text in render["rendered"]().items():
        assert path.read_text() == text, f"run python -m tests.regenerate: {path.name} differs"
    assert {p.name for p in render["rendered"]()} == {
        p.name for p in (PROMETHEUS / "rules").iterdir()
    }


def test_every_parameter_is_used() -> None:
    render = runpy.run_path(str(PROMETHEUS / "render.py"))
    used = "".join(p.read_text() for p in (PROMETHEUS / "templates").iterdir())
    used += (PROMETHEUS / "parameters.yaml").read_text()
    assert [name for name in render["parameters"]() if f"<<{name}>>" not in used] == []


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_who_how_loudly_and_what_to_do(alert: str) -> None:
    labels, annotations = ALERTS[alert]["labels"], ALERTS[alert]["annotations"]
    assert labels.keys() - {"alone", "everywhere"} == {"severity", "scope", "team"}
    assert labels["severity"] in {"page", "ticket", "none"}
    assert labels["scope"] in {"target", "certificate", "vantage", "agent", "watchdog"}
    assert annotations.keys() == {"summary", "description", "runbook_url", "dashboard"}
    assert annotations["runbook_url"].endswith(f"/runbooks/{alert}.md")
    runbook = (ROOT / "docs" / "runbooks" / f"{alert}.md").read_text()
    assert runbook.startswith(f"# {alert}: ")
    assert set(re.findall(r"^## (.+)$", runbook, re.M)) == _PARTS


def test_there_is_no_runbook_without_an_alert() -> None:
    assert {p.stem for p in (ROOT / "docs" / "runbooks").glob("*.md")} == set(ALERTS)


def test_every_address_of_an_agent_that_a_runbook_asks_exists() -> None:
    served = "".join(p.read_text() for p in (ROOT / "probe" / "serve" / "http").glob("*.py"))
    runbooks = "".join(p.read_text() for p in (ROOT / "docs" / "runbooks").glob("*.md"))
    asked = set(re.findall(r"http://AGENT(/[\w/-]+)", runbooks))
    assert asked
    assert [path for path in asked if f'"{path}"' not in served] == []


def _series() -> set[str]:
    names = {family.name for family in FAMILIES}
    for family in FAMILIES:
        if family.kind is MetricType.HISTOGRAM:
            names |= {f"{family.name}{part}" for part in ("_bucket", "_count", "_sum")}
    return names


_FILES = [
    *sorted((PROMETHEUS / "rules").glob("*.yaml")),
    *sorted((ROOT / "docs" / "runbooks").glob("*.md")),
    *CASES,
]


@pytest.mark.parametrize("file", _FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_metric_that_is_named_exists(file: Path) -> None:
    named = set(_METRIC.findall(file.read_text()))
    assert named - _series() == set()


def test_recorded_series_stand_in_the_group_that_pages_on_them() -> None:
    """Groups are evaluated in no order: from another group, news would be one interval late."""
    for file in (PROMETHEUS / "rules").glob("*.yaml"):
        for group in yaml.safe_load(file.read_text())["groups"]:
            recorded = {rule["record"] for rule in group["rules"] if "record" in rule}
            for rule in group["rules"]:
                used = set(re.findall(r"[a-z_]+:probe_\w+:\w+", rule["expr"]))
                steady = {
                    "region_check:probe_check:info",
                    "region:probe_vantage_healthy:max",
                    "region_check_provider:probe_names_unanswered:count",  # it waits minutes itself
                }
                assert used - recorded <= steady, rule
