"""Colours, and the words that stand beside them.

Okabe and Ito's palette (2008) and a grey, which people with any colour vision tell apart. No
state is said by colour alone: every coloured cell also has a word or a number. Each colour has a
contrast of at least 2 to 1 with the backgrounds of both of Grafana's themes, good and bad 3 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

BLUE: Final = "#0072B2"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
ORANGE: Final = "#E69F00"
VERMILLION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
GREY: Final = "#8C8C8C"

PALETTE: Final = (BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE, GREY)

GOOD, DOUBT, SOMETIMES, BAD, OURS, UNKNOWN = BLUE, SKY, ORANGE, VERMILLION, PURPLE, GREY

STATES: Final = ("passing", "unknown", "unseen", "suspect", "flapping", "failing")
"""States of edges and flows, from good to bad; the place is the number that panels show."""

# Of what is unknown and of what nobody looks at any more the same is known: the word tells which.
_STATE_COLOURS = (GOOD, UNKNOWN, UNKNOWN, DOUBT, SOMETIMES, BAD)


def words(meaning: Mapping[int, tuple[str, str]]) -> list[model.ValueMapping]:
    """A word and a colour for each number."""
    results = {
        str(number): model.ValueMappingResult(text=text, color=colour, index=index)
        for index, (number, (text, colour)) in enumerate(meaning.items())
    }
    return [model.ValueMap(options=results)]


def states() -> list[model.ValueMapping]:
    """The words for ``state_number``'s numbers."""
    return words(dict(enumerate(zip(STATES, _STATE_COLOURS, strict=True))))


def from_zero(good: str, *, bad: str = BAD) -> Sequence[tuple[float | None, str]]:
    """Thresholds: one colour at zero, another for anything above it."""
    return ((None, good), (1e-9, bad))


def thresholds(steps: Sequence[tuple[float | None, str]]) -> build.ThresholdsConfig:
    """Colours by the value from which each holds; None is the lowest."""
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=colour) for value, colour in steps])
    )
