"""Maintenance windows: times for which failures of some targets or providers are planned."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST = 7 * 86400.0
"""Seconds that a window may last: a forgotten one must not hide an outage for months."""


@dataclass(frozen=True, slots=True)
class Window:
    """One entry of ``maintenance``. What is left empty restricts nothing.

    Attributes:
        start: seconds since the epoch; the window begins with this moment.
        end: seconds since the epoch; the window does not include it.
        reason: a sentence for the people who read page and log.
        checks: names of checks.
        providers: names of providers.
        targets: names of targets, or patterns with ``*``.
        regions: names of regions.
    """

    start: float
    end: float
    reason: str
    checks: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
