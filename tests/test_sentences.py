"""What is read at night is short: sentences of reasons and runbooks have at most thirty words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.model.reasons import explanations
from tests.support.programs import ROOT

MOST_WORDS = 30
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))


def sentences(text: str) -> Iterator[str]:
    """Sentences of prose. A list's item ends one; headings, tables and code are left out."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    prose = re.sub(r"^(\||#).*$", "", prose, flags=re.MULTILINE)
    for part in re.split(r"\n\s*\n|^\s*(?:-|\d+\.)\s", prose, flags=re.MULTILINE):
        yield from re.split(r"(?<=[.:;?!])\s+", part)


def long(text: str) -> list[str]:
    """Sentences that have to be read twice."""
    return [one for one in sentences(text) if len(one.split()) > MOST_WORDS]


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: str(path.stem))
def test_a_runbook_has_no_long_sentence(runbook: Path) -> None:
    assert long(runbook.read_text()) == []


def test_no_reason_has_a_long_sentence() -> None:
    texts = {
        reason: " ".join([f"{it.title}.", it.explanation, *it.causes])
        for reason, it in explanations().items()
    }
    assert {reason: long(text) for reason, text in texts.items() if long(text)} == {}


def test_a_long_sentence_is_found() -> None:
    assert long(f"Short. {'word ' * 31}end. Short again.")
    assert not long(f"{'word ' * 29}end.\n\n- {'item ' * 29}end.\n2. {'item ' * 29}end.")
