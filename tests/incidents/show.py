"""Prints a notification of each kind as a real Alertmanager delivers it, for docs/alerting.md::

    python -m tests.incidents.show

The alerts are those of ``tests/rules/cases``; their words come from the committed rules, and what
is printed from the committed routes and templates.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import trio

from probe.demo.engines import open_alertmanager

from .receiver import Received, receiving
from .test_notifications import CASES, Manager, case

_TICKETS_WAIT = 40.0


async def _collect(folder: Path) -> list[Received]:
    with receiving() as receiver:
        async with open_alertmanager(folder, receiver.url, mail=receiver.mail) as url:
            manager = Manager(url, receiver)
            for number, file in enumerate(sorted(CASES.glob("*.yaml"))):
                # Places of their own, so that none silences another.
                own = {"region": f"sa-east-{number}", "check": f"check-{number}"}
                alert = case(file.stem)
                known = {name: value for name, value in own.items() if name in alert["labels"]}
                await manager.post(case(file.stem, **known))
            await trio.sleep(_TICKETS_WAIT)
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
    return None


def main() -> None:
    """Print them as Markdown."""
    with tempfile.TemporaryDirectory(prefix="probe-show-") as folder:
        arrived = trio.run(_collect, Path(folder))
    for title, text in sorted({shown for one in arrived if (shown := _shown(one))}):
        sys.stdout.write(f"**{title}**\n\n```text\n{text}\n```\n\n")


if __name__ == "__main__":
    main()
