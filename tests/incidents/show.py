"""Prints a notification of each kind as a real Alertmanager delivers it, for docs/alerting.md::

    python -m tests.incidents.show

The alerts are those of ``tests/rules/cases``; their words come from the committed rules, and what
is printed from the committed routes and templates. It takes six minutes: that is how long tickets
wait before they say that they are over.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trio

from probe.demo.engines import open_alertmanager

from .receiver import Received, receiving
from .test_notifications import CASES, Manager, case

_TICKETS_WAIT = 40.0
_TICKETS_FOLLOW = 320.0
_OVER = ("ProbeProviderFailing", "ProbeFlowFailing", "ProbeTargetFailing")
_MANY = 300
_SOURCE = "https://prometheus.example/graph?g0.expr=…"


def _each() -> list[dict[str, Any]]:
    """One alert of each kind, in places of their own, so that none silences another."""
    alerts = []
    for number, file in enumerate(sorted(CASES.glob("Probe*.yaml"))):
        own = {"region": f"sa-east-{number}", "check": f"check-{number}"}
        alert = case(file.stem)
        known = {name: value for name, value in own.items() if name in alert["labels"]}
        alerts.append(case(file.stem, **known))
    return alerts


def _grouped() -> list[dict[str, Any]]:
    """What arrives together: many domains, and two regions that see the same."""
    alerts = []
    for number in range(_MANY):
        domain = f"store-{number:03}.example"
        text = json.dumps(case("ProbeTargetDown", check="check-many", target="DOMAIN"))
        alerts.append(json.loads(text.replace("DOMAIN", domain).replace("shop.example", domain)))
    for region in ("sa-east", "us-east"):
        text = json.dumps(case("ProbeFlowFailing", check="check-two"))
        alerts.append(json.loads(text.replace("sa-east", region)))
    return alerts


async def _collect(folder: Path) -> list[Received]:
    with receiving() as receiver:
        async with open_alertmanager(folder, receiver.url, mail=receiver.mail) as url:
            manager = Manager(url, receiver)
            now = datetime.now(UTC)
            lasting = {
                "generatorURL": _SOURCE,
                "startsAt": now.isoformat(),
                "endsAt": (now + timedelta(hours=1)).isoformat(),
            }
            alerts = [alert | lasting for alert in (*_each(), *_grouped())]
            await manager.post(*alerts)
            await trio.sleep(_TICKETS_WAIT)
            ended = {"endsAt": datetime.now(UTC).isoformat()}
            over = [alert for alert in alerts if alert["labels"]["alertname"] in _OVER]
            await manager.post(*(alert | ended for alert in over))
            await trio.sleep(_TICKETS_FOLLOW)
        return list(receiver.arrived)


def _shown(one: Received) -> tuple[str, str] | None:
    if one.to == "mail":
        return f"e-mail: {one.body['subject']}", one.body["text"].strip()
    if one.to == "chat":
        said = one.body["attachments"][0]
        return f"chat: {said['title']}", said["text"].strip()
    if one.to == "watchdog":
        alert = one.body["alerts"][0]
        return f"watchdog: {alert['annotations']['summary']}", f"status: {alert['status']}"
    if one.body["groupLabels"]["alertname"] == "ProbeRegionBlind":
        one.body.pop("externalURL")  # where it ran
        return "webhook, as a pager takes it", json.dumps(one.body, indent=1, ensure_ascii=False)
    return None


def main() -> None:
    """Print them as Markdown."""
    with tempfile.TemporaryDirectory(prefix="probe-show-") as folder:
        arrived = trio.run(_collect, Path(folder))
    for title, text in sorted({shown for one in arrived if (shown := _shown(one))}):
        sys.stdout.write(f"**{title}**\n\n```text\n{text}\n```\n\n")


if __name__ == "__main__":
    main()
