"""Alertmanager accepts its configuration and sends each kind of alert to the right place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"

Run = Callable[..., str]

pytestmark = pytest.mark.real


def test_amtool_accepts_configuration_and_templates(amtool: Run) -> None:
    said = amtool("check-config", CONFIG)
    assert "1 templates" in said


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=ProbeProviderFailing severity=page team=edge", "page"),
        ("alertname=ProbeFlowFailing severity=page team=identity", "page"),
        ("alertname=ProbeRegionBlind severity=page team=operations", "page"),
        ("alertname=ProbeVantageIll severity=ticket team=operations", "tickets"),
        ("alertname=ProbeTargetFailing severity=ticket team=storefront", "tickets"),
        ("alertname=ProbeProviderFailing severity=page team=edge planned=true", "planned"),
        ("alertname=ProbeTargetFailing severity=ticket team=storefront planned=true", "planned"),
        ("alertname=ProbeProviderFailing severity=page team=edge planned=false", "page"),
        ("alertname=ProbeWatchdog severity=none team=operations", "watchdog"),
        ("alertname=Other severity=other", "chat"),
        ("alertname=Other", "chat"),
    ],
)
def test_each_kind_goes_where_it_should(amtool: Run, labels: str, receiver: str) -> None:
    amtool(
        "config",
        "routes",
        "test",
        f"--config.file={CONFIG}",
        f"--verify.receivers={receiver}",
        *labels.split(),
    )
