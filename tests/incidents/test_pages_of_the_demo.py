"""The demo says each page once, and that it is over once."""

from __future__ import annotations

from typing import Any

from probe.demo.pages import news


def alert(fingerprint: str, summary: str) -> dict[str, Any]:
    return {"fingerprint": fingerprint, "annotations": {"summary": summary}}


def test_a_page_is_told_once_and_its_end_once() -> None:
    known: dict[str, str] = {}
    one, two = alert("a", "cdn-b fails"), alert("b", "cli fails")
    assert news(known, [one]) == ["PAGE: cdn-b fails"]
    assert news(known, [one, two]) == ["PAGE: cli fails"]
    assert news(known, [alert("a", "cdn-b fails for more"), two]) == []
    assert news(known, [two]) == ["PAGE OVER: cdn-b fails for more"]
    assert news(known, []) == ["PAGE OVER: cli fails"]
