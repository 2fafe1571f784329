"""The report: what was found, where, and how fast, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from probe.demo.verdict import Watch


def report(watches: Iterable[Watch]) -> dict[str, Any]:
    """The document that ``--report`` writes; nulls and empty lists where nothing was found."""
    return {"incidents": [_incident(watch) for watch in watches]}


def _incident(watch: Watch) -> dict[str, Any]:
    found = watch.detected_at is not None
    reasons = sorted({one.reason for one in watch.named})
    return {
        "name": watch.incident.name,
        "fault_at": _moment(watch.fault_at),
        "detected_at": _moment(watch.detected_at),
        "seconds_to_detect": None if watch.seconds is None else round(watch.seconds, 1),
        "region": watch.region,
        "provider": watch.incident.provider if found else None,
        "edges": sorted({one.edge for one in watch.named if one.edge}),
        "targets": sorted({one.target for one in watch.named}),
        "layer": watch.incident.layer if found else None,
        "reason": reasons[0] if reasons else None,
        "because": watch.because or None,
    }


def _moment(seconds: float | None) -> str | None:
    """Wall time as RFC 3339 writes it, in UTC, to the millisecond."""
    if seconds is None:
        return None
    stamp = datetime.fromtimestamp(seconds, UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
