"""What Alertmanager does with alerts as the rules make them: groups, silences, words.

The alerts are those of ``tests/rules/cases``, so that what is received here is what the committed
rules say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import yaml

from probe.demo.engines import open_alertmanager

from .receiver import Received, Receiver, receiving

pytestmark = pytest.mark.real

CASES = Path(__file__).parents[1] / "rules" / "cases"
_PATIENCE = 60.0
_LOOK_EVERY = 0.2


def case(alert: str, **labels: str) -> dict[str, Any]:
    """The first firing alert of a case, with some labels changed."""
    document = yaml.safe_load((CASES / f"{alert}.yaml").read_text())
    found = next(
        expected
        for test in document["tests"]
        for one in test["alert_rule_test"]
        for expected in one["exp_alerts"]
    )
    made = {"alertname": alert, **found["exp_labels"], **labels}
    return {"labels": made, "annotations": found["exp_annotations"]}


class Manager:
    """A running Alertmanager, and what it delivered."""

    def __init__(self, url: str, receiver: Receiver) -> None:
        self._url = url
        self.receiver = receiver

    async def post(self, *alerts: dict[str, Any]) -> None:
        """Hand alerts over, as Prometheus does."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{self._url}/api/v2/alerts", json=alerts)
        answer.raise_for_status()

    async def silences(self, *names: str) -> bool:
        """Whether others silence these alerts and no more: as soon as it is so, and lastingly."""
        for _ in range(round(_PATIENCE / _LOOK_EVERY)):
            if await self._silenced() == set(names):
                await trio.sleep(_LOOK_EVERY)  # what is to come has come by now
                return await self._silenced() == set(names)
            await trio.sleep(_LOOK_EVERY)
        return False

    async def _silenced(self) -> set[str]:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self._url}/api/v2/alerts")
        return {
            alert["labels"]["alertname"]
            for alert in answer.json()
            if alert["status"]["inhibitedBy"]
        }

    async def delivered(self, to: str, nth: int = 0) -> Received:
        """The first delivery to a place, or a later one, as soon as it is there."""
        with trio.fail_after(_PATIENCE):
            while True:
                found = [one for one in list(self.receiver.arrived) if one.to == to]
                if len(found) > nth:
                    return found[nth]
                await trio.sleep(0.05)


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    with receiving() as receiver:
        async with open_alertmanager(tmp_path, receiver.url, mail=receiver.mail) as url:
            yield Manager(url, receiver)


async def test_three_hundred_domains_are_one_notification_that_lists_them(
    manager: Manager,
) -> None:
    domains = [f"store-{number:03}.example" for number in range(300)]
    alerts = []
    for domain in domains:
        alert = case("ProbeTargetDown", target=domain)
        alert["annotations"] = alert["annotations"] | {"summary": f"{domain} is down everywhere"}
        alerts.append(alert)
    await manager.post(*alerts)
    page, chat = await manager.delivered("page"), await manager.delivered("chat")
    assert {one["labels"]["target"] for one in page.alerts("firing")} == set(domains)
    said = chat.body["attachments"][0]
    assert said["title"] == "store-000.example is down everywhere (and 299 more like it)"
    assert said["text"].count("is down everywhere") >= 20
    assert "and 280 more" in said["text"]
    assert [one.to for one in manager.receiver.arrived].count("page") == 1


async def test_of_the_numbers_that_were_passed_the_highest_is_told(manager: Manager) -> None:
    steps = [case("ProbeProviderWorse", step=step) for step in ("1", "2", "3")]
    await manager.post(*steps, case("ProbeProviderWorse", step="1", provider="cdn-a"))
    first, second = [await manager.delivered("page", nth) for nth in (0, 1)]
    told = [
        (one["labels"]["provider"], one["labels"]["step"])
        for page in (first, second)
        for one in page.alerts("firing")
    ]
    assert sorted(told) == [("cdn-a", "1"), ("cdn-b", "3")]


@pytest.mark.parametrize(
    ("source", "silenced"),
    [
        (case("ProbeAgentDown", alone="yes"), {"ProbeProviderFailing", "ProbeFlowFailing"}),
        (case("ProbeAgentDown", alone="no"), set()),
        (case("ProbeVantageIll"), {"ProbeProviderFailing", "ProbeFlowFailing"}),
        (case("ProbeVantageIll", alone="no"), set()),
        (case("ProbeVantageIll", cause="clock"), set()),
        (case("ProbeVantageIll", region="eu-west"), set()),
        (case("ProbeRegionBlind"), {"ProbeProviderFailing", "ProbeFlowFailing"}),
        (case("ProbeAuthorizationFailsOpen"), set()),
        (
            case("ProbeAuthorizationFailsOpen", persona="developer"),
            {"ProbeFlowFailing"},
        ),
    ],
    ids=lambda value: value["labels"]["alertname"] if isinstance(value, dict) else "",
)
async def test_what_is_silenced(
    manager: Manager, source: dict[str, Any], silenced: set[str]
) -> None:
    targets = [case("ProbeProviderFailing"), case("ProbeFlowFailing", persona="developer")]
    await manager.post(source)
    await manager.post(*targets)
    assert await manager.silences(*silenced)


async def test_a_provider_silences_its_domains_but_not_for_their_owners(manager: Manager) -> None:
    await manager.post(case("ProbeProviderFailing"))
    await manager.post(case("ProbeTargetFailing", team="storefront"))
    assert await manager.silences()
    await manager.post(case("ProbeTargetFailing", team="edge"))
    assert await manager.silences("ProbeTargetFailing")


async def test_what_is_said_of_an_agent_that_is_down_but_not_of_its_neighbour(
    manager: Manager,
) -> None:
    await manager.post(case("ProbeAgentDown"))
    await manager.post(case("ProbeReloadFailed", instance="c:9469"))
    assert await manager.silences()
    await manager.post(case("ProbeReloadFailed"))
    assert await manager.silences("ProbeReloadFailed")


@pytest.mark.parametrize(
    ("reason", "silenced"),
    [("vantage_ill", {"ProbeInconclusive"}), ("secret_missing", set())],
)
async def test_an_illness_explains_only_what_is_inconclusive_because_of_it(
    manager: Manager, reason: str, silenced: set[str]
) -> None:
    await manager.post(case("ProbeVantageIll", cause="lag"))
    await manager.post(case("ProbeInconclusive", reason=reason))
    assert await manager.silences(*silenced)


@pytest.mark.parametrize(("everywhere", "silenced"), [("yes", {"ProbeTargetDown"}), ("no", set())])
async def test_an_expired_certificate_explains_an_outage_only_when_no_edge_has_a_valid_one(
    manager: Manager, everywhere: str, silenced: set[str]
) -> None:
    await manager.post(case("ProbeCertificateExpired", everywhere=everywhere))
    await manager.post(case("ProbeTargetDown"))
    assert await manager.silences(*silenced)


async def test_the_watchdog_has_a_way_of_its_own(manager: Manager) -> None:
    await manager.post(case("ProbeWatchdog"))
    found = await manager.delivered("watchdog")
    assert found.alerts("firing")[0]["labels"]["alertname"] == "ProbeWatchdog"
