"""Whoever looks, in either theme: states are told apart, and by words too."""

from __future__ import annotations

import json
import math
import re
from itertools import combinations
from typing import Any

import pytest

from .dashboards import FILES, load, panels

_COLOUR = re.compile(r'"(?:color|fixedColor|iconColor)": "([^"]+)"')
OKABE_ITO = {"#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"}
GREY = "#8C8C8C"
STATES = ("#0072B2", "#8C8C8C", "#56B4E9", "#E69F00", "#D55E00")
GOOD, BAD = "#0072B2", "#D55E00"
THEMES = {"light": "#FFFFFF", "dark": "#181B1F"}

Rgb = tuple[float, float, float]

# Linear RGB as people without one kind of cone see it (Machado, Oliveira, Fernandes 2009).
BLINDNESS: dict[str, tuple[Rgb, Rgb, Rgb]] = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def _linear(colour: str) -> Rgb:
    def one(at: int) -> float:
        value = int(colour[at : at + 2], 16) / 255
        return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)

    return one(1), one(3), one(5)


def _luminance(rgb: Rgb) -> float:
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def _contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""
    low, high = sorted((_luminance(_linear(one)), _luminance(_linear(other))))
    return (high + 0.05) / (low + 0.05)


def _seen(colour: str, blindness: str) -> Rgb:
    linear = _linear(colour)

    def one(row: Rgb) -> float:
        return min(1.0, max(0.0, sum(a * b for a, b in zip(row, linear, strict=True))))

    red, green, blue = BLINDNESS[blindness]
    return one(red), one(green), one(blue)


def _lab(rgb: Rgb) -> Rgb:
    """CIE L*a*b* under D65."""
    r, g, b = rgb
    xyz = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
    )
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _distance(one: Rgb, other: Rgb) -> float:
    return math.dist(_lab(one), _lab(other))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_colour_is_of_the_palette(path: Any) -> None:
    used = set(_COLOUR.findall(path.read_text()))
    assert used
    assert used <= OKABE_ITO | {GREY}


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_states_are_told_apart_without_one_kind_of_cone(blindness: str) -> None:
    """A distance of 2 is just noticeable, 10 is plain at a glance."""
    for one, other in combinations(STATES, 2):
        distance = _distance(_seen(one, blindness), _seen(other, blindness))
        assert distance >= 10, f"{one} and {other}: {distance:.1f}"
    assert _distance(_seen(GOOD, blindness), _seen(BAD, blindness)) >= 40


@pytest.mark.parametrize("theme", THEMES)
def test_good_and_bad_stand_out_in_both_themes(theme: str) -> None:
    for colour in (GOOD, BAD):
        assert _contrast(colour, THEMES[theme]) >= 3, (colour, theme)
    for colour in OKABE_ITO | {GREY}:
        assert _contrast(colour, THEMES[theme]) >= 2, (colour, theme)


def test_no_line_takes_its_colour_from_a_palette_with_red_and_green() -> None:
    for board in load().values():
        for panel in panels(board):
            mode = panel["fieldConfig"]["defaults"].get("color", {}).get("mode", "thresholds")
            assert mode in {"shades", "thresholds"}, panel["title"]


def test_no_state_is_said_by_colour_alone() -> None:
    """Coloured cells have words for their values, or show numbers with a unit."""
    for board in load().values():
        for panel in panels(board):
            defaults = panel["fieldConfig"]["defaults"]
            steps = defaults["thresholds"]["steps"]
            if len(steps) > 1:
                assert defaults.get("mappings"), panel["title"]
                for mapping in defaults["mappings"]:
                    assert all(one["text"] for one in mapping["options"].values())


def test_words_for_states_are_those_of_the_metrics() -> None:
    text = json.dumps(load()["probe-target"])
    for word in ("passing", "unknown", "unseen", "suspect", "flapping", "failing"):
        assert f'"text": "{word}"' in text
