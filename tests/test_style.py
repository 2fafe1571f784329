"""The words that docs/STYLE.md strikes occur nowhere that a user reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from probe.cli.main import main
from tests.support.programs import ROOT

STYLE = ROOT / "docs" / "STYLE.md"
SHORT = ("README.md", *(f"docs/{name}.md" for name in (
    "SECURITY", "alerting", "certificates", "deploy", "detection", "flows", "limits",
)))  # fmt: skip
"""Pages without a sentence of more than thirty words."""
MESSAGES = ("probe/cli", "probe/config", "probe/documents")
"""Rooms whose texts a user reads as they stand in the code."""


def struck() -> list[str]:
    """Words and phrases of the list, with what is written instead left out."""
    table = STYLE.read_text().partition("| instead of | write |")[2]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", table, re.MULTILINE)
    return [word for row in rows for word in row.strip().split(", ") if word != "---"]


def read() -> Iterator[tuple[str, str]]:
    """What users read: the name of each place, and its text."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    pages += sorted((ROOT / "deploy/prometheus/templates").iterdir())
    pages += sorted((ROOT / "deploy/alertmanager/templates").iterdir())
    pages.append(ROOT / "probe/model/reasons.toml")
    for page in pages:
        if page != STYLE:
            yield str(page.relative_to(ROOT)), page.read_text()
    for command in main.commands:
        yield f"probe {command} --help", CliRunner().invoke(main, [command, "--help"]).output
    for room in MESSAGES:
        for module in sorted((ROOT / room).rglob("*.py")):
            yield str(module.relative_to(ROOT)), "\n".join(texts(module))


def texts(module: Path) -> Iterator[str]:
    """Strings of a module; bare ones are docstrings, for another reader."""
    tree = ast.parse(module.read_text())
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.value


READ = dict(read())


@pytest.mark.parametrize("word", struck())
def test_a_struck_word_occurs_nowhere(word: str) -> None:
    spaces = r"\s+".join(re.escape(part) for part in word.split())
    pattern = re.compile(rf"(?<!\w){spaces}(?!\w)", re.IGNORECASE)
    found = {place: pattern.findall(text) for place, text in READ.items()}
    assert {place for place, hits in found.items() if hits} == set(), "see docs/STYLE.md"


def test_the_list_and_what_it_is_held_over_are_read() -> None:
    assert {"hence", "in order to", "e.g."} <= set(struck())
    assert {"README.md", "docs/flows.md", "probe run --help"} <= READ.keys()


@pytest.mark.parametrize("page", SHORT)
def test_no_sentence_has_more_than_thirty_words(page: str) -> None:
    long = [sentence for sentence in sentences(READ[page]) if len(sentence.split()) > 30]
    assert long == [], "see docs/STYLE.md"


def sentences(page: str) -> Iterator[str]:
    """Sentences of a page's paragraphs and lists; tables, headings and code have none."""
    prose = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "#", "!"))]
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:- |\d+\. ))", "\n".join(lines)):
        yield from re.split(r"(?<=[.!?:])\s+(?=[A-Z`*\[])", " ".join(paragraph.split()))


def test_a_long_sentence_is_found_in_lists_and_paragraphs_and_not_in_tables_or_code() -> None:
    long = " ".join(["word"] * 31)
    page = f"# {long}\n\nOne. Two: {long}.\n\n| {long} |\n\n```sh\n{long}\n```\n- {long}\n  more"
    found = [len(sentence.split()) for sentence in sentences(page)]
    assert [count for count in found if count > 30] == [32, 33]
