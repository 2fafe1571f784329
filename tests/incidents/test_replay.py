"""Both incidents page, with the real engines and the shipped configuration.

Smaller and quicker than the command in ``replay.py``, to fit beside the other tests: 34 domains
instead of 300, both incidents at once, a shorter watch after recovery. How soon they page is
measured by that command, on a quiet machine, and held in virtual time by ``tests/state``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from probe.lab.info import Layout, store_names

from .replay import CHECK, REGION, Measured, authorization, propagation, stage

pytestmark = [pytest.mark.real, pytest.mark.slow]


def _quicker(document: dict[str, Any]) -> None:
    stores = next(check for check in document["checks"] if check["name"] == CHECK)
    stores |= {"interval": "10s", "confirm": {"clear_after": 5}}


async def test_both_incidents_page_and_name_what_is_broken(tmp_path: Path) -> None:
    found: dict[str, Measured] = {}

    async with stage(tmp_path, Layout(domains=store_names(34)), _quicker) as running:

        async def measure(incident: Any) -> None:
            one = await incident(running)
            found[one.name] = one

        async with trio.open_nursery() as nursery:
            nursery.start_soon(measure, propagation)
            nursery.start_soon(measure, authorization)
        arrived = list(running.receiver.arrived)

    tls, flow = found["tls-propagation"], found["cli-authorization"]
    _names_the_edges(tls)
    _names_the_layer(flow)
    kinds = {alert["labels"]["alertname"] for one in arrived for alert in one.alerts("firing")}
    assert kinds <= {
        "ProbeProviderFailing",
        "ProbeProviderWorse",  # the first page may have named one domain only
        "ProbeFlowFailing",
        "ProbeWatchdog",
    }
    blamed = {
        (alert["labels"]["region"], alert["labels"]["provider"])
        for one in arrived
        for alert in one.alerts("firing", alertname="ProbeProviderFailing")
    }
    assert blamed == {(REGION, "cdn-b")}
    assert any(one.to == "watchdog" for one in arrived)
    assert any("cdn-b fails in sa-east" in str(one.body) for one in arrived if one.to == "chat")


def _names_the_edges(one: Measured) -> None:
    alert = one.page
    assert alert["labels"]["severity"] == "page"
    assert alert["labels"]["team"] == "edge"
    said = alert["annotations"]["description"]
    assert "Region sa-east, provider cdn-b" in said
    assert "of 34 domains" in said
    assert "tls/alert_unrecognized_name" in said
    assert ": 127.20.2." in said
    assert "store-0" in said
    assert "eu-west 0, us-east 0" in said
    assert alert["annotations"]["runbook_url"].endswith("/ProbeProviderFailing.md")


def _names_the_layer(one: Measured) -> None:
    alert = one.page
    assert alert["labels"]["severity"] == "page"
    assert alert["labels"]["team"] == "identity"
    said = alert["annotations"]["description"]
    assert "layer authorization is to blame" in said
    assert "whoami (authorization" in said  # its status is held by tests/rules/cases
