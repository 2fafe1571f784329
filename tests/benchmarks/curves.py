"""Curves as SVG, from the benchmark's own values; no library, so that anybody can draw them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 120, 40, 44
COLOURS = ("#1b6ca8", "#b5541c", "#3f7d3a")

Points = Sequence[tuple[float, float]]


def draw(cases: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw what the measured cases allow; the files written."""
    sizes = cases.get("growth", {}).get("sizes", [])
    if len(sizes) < 2:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    charts = {
        "growth-cpu.svg": (
            "CPU per probe, µs",
            {"agent": [(s["edges"], 1e6 * s["cost"]) for s in sizes]},
        ),
        "growth-memory.svg": (
            "resident memory, MiB",
            {"agent": [(s["edges"], s["resident"] / 2**20) for s in sizes]},
        ),
        "growth-scrape.svg": (
            "CPU of one scrape, ms",
            {
                form: [(s["edges"], 1e3 * s["scrapes"][form]) for s in sizes]
                for form in ("text", "openmetrics", "gzip")
            },
        ),
    }
    written = []
    for name, (title, lines) in charts.items():
        path = folder / name
        path.write_text(chart(title, lines))
        written.append(path)
    return written


def chart(title: str, lines: Mapping[str, Points]) -> str:
    """A line for each name over the number of edges, which is drawn on a logarithmic scale."""
    xs = sorted({x for points in lines.values() for x, _ in points})
    top = _round_up(max(y for points in lines.values() for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        along = math.log(x / xs[0]) / math.log(xs[-1] / xs[0])
        return LEFT + along * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / top * (
            HEIGHT - TOP - BOTTOM
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>',
    ]
    for step in range(5):
        value = top * step / 4
        _, y = place(xs[0], value)
        parts.append(
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for x in xs:
        across, _ = place(x, 0)
        parts.append(
            f'<text x="{across:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:,}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">'
        "edges (logarithmic)</text>"
    )
    for number, (name, points) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [place(x, y) for x, y in points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        if len(lines) > 1:
            parts.append(
                f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + 16 + 18 * number}" fill="{colour}">'
                f"{escape(name)}</text>"
            )
    return "\n".join([*parts, "</svg>\n"])


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)
