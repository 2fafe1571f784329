"""What each reason means to a person; the texts are in ``reasons.toml``, read when first needed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from probe.model.failure import Phase, Reason


@dataclass(frozen=True, slots=True)
class PhaseText:
    """What a phase is.

    Attributes:
        about: what the attempt does in it, in a sentence.
        check: a shell command to try by hand; placeholders are in capitals.
        browser: the error that Chromium names for a failure in it; empty where it shows the page.
    """

    title: str
    about: str
    check: str
    browser: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a reason means.

    Attributes:
        title: what happened, in a few words that need no knowledge of TLS.
        explanation: the same in one to three sentences.
        phases: where it occurs, the usual one first.
        causes: usual ones, in sentences.
        browser: the error that Chromium names, by phase, where it is not the phase's own.
        curl: what curl prints; empty where it prints no error.
        check: a shell command to try by hand; empty for that of the first phase.
    """

    title: str
    explanation: str
    phases: tuple[Phase, ...]
    causes: tuple[str, ...]
    browser: Mapping[Phase, str] = field(default_factory=dict)
    curl: str = ""
    check: str = ""


@cache
def phase_texts() -> Mapping[Phase, PhaseText]:
    """Read what each phase is."""
    return {Phase(name): PhaseText(**text) for name, text in _texts()["phase"].items()}


@cache
def explanations() -> Mapping[Reason, Explanation]:
    """Read what each reason means. A test holds that none is missing."""
    return {Reason(name): _explanation(**text) for name, text in _texts()["reason"].items()}


def _explanation(
    *, phases: list[str], causes: list[str], browser: Mapping[str, str] | None = None, **text: str
) -> Explanation:
    errors = {Phase(at): error for at, error in (browser or {}).items()}
    at = tuple(map(Phase, phases))
    return Explanation(phases=at, causes=tuple(causes), browser=errors, **text)


def read_reasons() -> None:
    """Read every text now.

    A process that runs for long calls this first. Its release may be replaced or removed while it
    runs, and then the first failure would find no text, or the texts of other reasons.
    """
    phase_texts()
    explanations()


def title_of(reason: Reason | str) -> str:
    """Say what happened in a few words; a text that is no reason stays as it is."""
    try:
        return explanations()[Reason(reason)].title
    except ValueError:
        return reason


def error_in_browser(phase: Phase, reason: Reason) -> str:
    """Name the error that Chromium shows; empty where it shows the page."""
    return explanations()[reason].browser.get(phase, phase_texts()[phase].browser)


def _texts() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("reasons.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
