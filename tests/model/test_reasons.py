"""What reasons mean: each has its text, the texts are plain, and the page is made from them."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from probe.lab.faults.table import TABLE
from probe.model.failure import OURS, Phase, Reason
from probe.model.reasons import explanations, phase_texts, title_of

from .reasons_page import PAGE, TEMPLATE, alert_template, page

ROOT = Path(__file__).parents[2]
MOST_WORDS = 30


def test_every_reason_and_phase_has_an_entry_and_nothing_else_has() -> None:
    assert set(explanations()) == set(Reason)
    assert set(phase_texts()) == set(Phase)


def test_titles_are_short_and_tell_reasons_apart() -> None:
    titles = [explanation.title for explanation in explanations().values()]
    assert len(set(titles)) == len(titles)
    for title in titles:
        assert len(title) <= 65, title
        assert title[0].isupper(), title
        assert not title.endswith("."), title


@pytest.mark.parametrize("reason", Reason)
def test_an_entry_is_whole_and_its_sentences_are_short(reason: Reason) -> None:
    entry = explanations()[reason]
    assert entry.phases
    assert entry.causes
    assert set(entry.browser) <= set(entry.phases)
    assert re.match(r"curl: \(\d+\) |HTTP/2 |$", entry.curl)
    for text in (entry.explanation, *entry.causes):
        assert text.endswith("."), text
        for sentence in re.split(r"(?<=\.) ", text):
            assert len(sentence.split()) <= MOST_WORDS, sentence


def test_commands_are_what_a_shell_reads() -> None:
    checks = [entry.check for entry in explanations().values()]
    checks += [text.check for text in phase_texts().values()]
    said = subprocess.run(
        ["/bin/sh", "-n"], input="\n".join(checks), capture_output=True, text=True, check=False
    )
    assert said.stderr == ""


def test_reasons_occur_in_the_phases_that_their_entries_name() -> None:
    """Every fault of the lab is a proof of one."""
    for row in TABLE:
        if row.reason is None:
            continue
        assert row.phase in explanations()[row.reason].phases, row


def test_a_title_is_found_by_name_and_other_texts_stay() -> None:
    assert title_of("expired") == title_of(Reason.EXPIRED) == "The certificate has expired"
    assert title_of("dns") == "dns"


@pytest.mark.parametrize(("file", "made"), [(PAGE, page), (TEMPLATE, alert_template)])
def test_what_is_made_of_the_entries_is_current(file: Path, made: Callable[[], str]) -> None:
    assert file.read_text() == made(), "run python -m tests.regenerate"


def test_the_page_explains_what_is_the_agents_own_at_its_end() -> None:
    own = page().partition("## The agent's own")[2]
    assert {Reason(name) for name in re.findall(r"^### `(\w+)`", own, re.M)} == OURS


def test_the_texts_are_part_of_the_release() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "reasons.toml" in project["tool"]["setuptools"]["package-data"]["probe.model"]


def test_every_runbook_that_speaks_of_reasons_links_to_the_page() -> None:
    for runbook in (ROOT / "docs/runbooks").glob("*.md"):
        text = runbook.read_text()
        if re.search(r"\breasons?\b", text, re.I):
            assert "](../reasons.md" in text, runbook.name
