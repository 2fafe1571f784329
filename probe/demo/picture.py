"""What the demo knows at one moment, and how it is put into words: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from probe.demo.verdict import Seen, Watch

_NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class RegionPicture:
    """One agent's view.

    Attributes:
        edges: (target, provider, edge) that it has probed; None while it cannot be asked.
        flows: flows that it has run.
    """

    region: str
    url: str
    edges: int | None
    flows: int
    seen: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything at one moment.

    Attributes:
        at: wall time, seconds since the epoch.
        elapsed: seconds since the demo began.
        alarms: what agents say that no fault explains.
        links: name and URL of other pages.
    """

    at: float
    elapsed: float
    regions: tuple[RegionPicture, ...]
    watches: tuple[Watch, ...]
    alarms: tuple[Seen, ...]
    links: tuple[tuple[str, str], ...] = ()


def in_words(seen: Iterable[Seen]) -> list[str]:
    """What a region sees, a line for each provider and reason."""
    groups: dict[tuple[str, str, str], list[Seen]] = {}
    for one in seen:
        groups.setdefault((one.provider, one.layer, one.reason), []).append(one)
    return [_group(*key, found) for key, found in sorted(groups.items())]


def _group(provider: str, layer: str, reason: str, found: list[Seen]) -> str:
    targets = sorted({one.target for one in found})
    edges = sorted({one.edge for one in found if one.edge})
    if not edges:
        blamed = f"{layer} layer" if layer else "no layer named"
        return f"{_some(targets)} through {provider}: {blamed} ({reason})"
    domains = f"{len(targets)} domain{'s' if len(targets) != 1 else ''}"
    return f"{provider}: {domains} on {_some(edges)}: {reason}"


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def found_line(watch: Watch) -> str:
    """The sentence for an incident that has just been named."""
    incident, edges = watch.incident, sorted({one.edge for one in watch.named if one.edge})
    what = f"layer {incident.layer}" if not edges else f"edges {_some(edges)}"
    targets = _some(sorted({one.target for one in watch.named}))
    return (
        f"FOUND {incident.name} after {watch.seconds:.1f} s: region {watch.region}, "
        f"provider {incident.provider}, {what}, {targets}"
    )


def scope(watch: Watch) -> str:
    """How much of what an incident affects has been named: ``2 of 2 edges, 4 of 4 domains``."""
    edges, targets = watch.incident.edges, watch.incident.targets
    if not edges:
        return f"layer {watch.incident.layer}"
    named = {one.edge for one in watch.named if one.edge}
    domains = {one.target for one in watch.named}
    return f"{len(named)} of {len(edges)} edges, {len(domains)} of {len(targets)} domains"


def whole_line(watch: Watch, now: float) -> str:
    """The sentence for an incident of which everything has been named."""
    after = now - (watch.fault_at or now)
    return f"NAMED all of {watch.incident.name} after {after:.1f} s: {scope(watch)}"


def because_line(watch: Watch) -> str:
    """The sentence for why an incident happens, once it is known."""
    return f"BECAUSE {watch.incident.name}: {watch.because}"


def summary_line(watch: Watch) -> str:
    """The sentence for the end."""
    name = watch.incident.name
    if watch.fault_at is None:
        return f"{name}: was not begun"
    if watch.seconds is None:
        return f"{name}: NOT FOUND"
    text = f"{name}: found after {watch.seconds:.1f} s by {watch.region}; named {scope(watch)}"
    if watch.recovered_at is not None and watch.repaired_at is not None:
        text += f"; recovery seen {watch.recovered_at - watch.repaired_at:.1f} s after the repair"
    return text


def alarm_lines(alarms: Iterable[Seen]) -> list[str]:
    """Sentences for what no fault explains, a line for each region, provider and reason."""
    by_region: dict[str, list[Seen]] = {}
    for alarm in alarms:
        by_region.setdefault(alarm.region, []).append(alarm)
    return [
        f"FALSE ALARM: {region}: {words}"
        for region, found in sorted(by_region.items())
        for words in in_words(found)
    ]
