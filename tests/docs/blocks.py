"""Fenced blocks of the pages for users, each with where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.programs import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(
    r"(?:^<!-- needs: (?P<needs>.+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        place: the page and the line of the text.
        needs: what is missing to try it here, from ``<!-- needs: … -->`` above it.
    """

    place: str
    language: str
    text: str
    needs: str | None = None


def blocks(page: str, text: str) -> Iterator[Block]:
    """The blocks of a page, in order."""
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        yield Block(f"{page}:{line}", found["language"], found["text"], found["needs"])


def written_in(*languages: str) -> list[Block]:
    """All blocks of these languages, of all pages."""
    return [
        block
        for page in PAGES
        for block in blocks(str(page.relative_to(ROOT)), page.read_text())
        if block.language in languages
    ]
