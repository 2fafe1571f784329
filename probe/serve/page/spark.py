"""Lines that fit into a row: an hour of latencies and failures as the paths of an SVG. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from statistics import median

from probe.serve.trace import Minutes

WIDTH, HEIGHT = 120, 20
_LEAST_SPAN = log(4.0)
"""Latencies fill the height from this ratio on: less is noise, and is drawn as a flat line."""


@dataclass(frozen=True, slots=True)
class Spark:
    """What to draw, and the same in words.

    Attributes:
        line: path of the latencies; empty without any.
        failed: path of a bar for each minute with a failure.
        unclear: likewise for each that could not be judged.
    """

    line: str
    failed: str
    unclear: str
    words: str


def spark_of(minutes: Minutes) -> Spark:
    """The paths of an hour."""
    step = WIDTH / max(1, len(minutes))
    return Spark(
        _line(minutes, step),
        _bars(minutes, "failed", step),
        _bars(minutes, "unclear", step),
        _words(minutes),
    )


def _line(minutes: Minutes, step: float) -> str:
    """One path with gaps where nothing passed."""
    seen = [one for one in minutes if isinstance(one, float)]
    if not seen:
        return ""
    low, high = log(min(seen)), log(max(seen))
    span = max(high - low, _LEAST_SPAN)
    middle = (low + high) / 2
    parts, pen = [], "M"
    for place, one in enumerate(minutes):
        if not isinstance(one, float):
            pen = "M"
            continue
        height = HEIGHT / 2 - (log(one) - middle) / span * (HEIGHT - 4)
        parts.append(f"{pen}{place * step:.0f} {height:.1f}h{step:.0f}")
        pen = "L"
    return "".join(parts)


def _bars(minutes: Minutes, what: str, step: float) -> str:
    return "".join(
        f"M{place * step + step / 2:.0f} 0v{HEIGHT}"
        for place, one in enumerate(minutes)
        if one == what
    )


def _words(minutes: Minutes) -> str:
    seen = [one for one in minutes if isinstance(one, float)]
    failed, unclear = minutes.count("failed"), minutes.count("unclear")
    said = [f"failed in {failed} of the last {len(minutes)} minutes" if failed else "no failure"]
    if unclear:
        said.append(f"not judged in {unclear}")
    if seen:
        slowest = max(seen) * 1000
        said.append(f"usually {median(seen) * 1000:,.0f} ms, at most {slowest:,.0f} ms")
    return ", ".join(said) if seen or failed or unclear else "no attempt in the last hour"
