"""The section ``vantage``: references and how often they are looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from probe.config.loading import load
from probe.model.spec import References

Problems = Callable[..., list[str]]

REST = "checks: [{name: a, kind: tls, targets: [shop.example]}]\n"


def references(tmp_path: Path, section: str) -> References:
    path = tmp_path / "probe.yaml"
    path.write_text(f"region: sa-east\n{section}\n{REST}")
    return load(path, environ={}).references


def test_what_is_probed_anyway_is_looked_at_unless_some_are_named_or_none(tmp_path: Path) -> None:
    assert references(tmp_path, "").urls is None
    assert references(tmp_path, "vantage: {interval: 3s}").urls is None
    assert references(tmp_path, "vantage: {references: []}").urls == ()


def test_references_are_kept_in_order(tmp_path: Path) -> None:
    section = "vantage: {references: [https://b.example/, http://a.example/x], interval: 3s}"
    assert references(tmp_path, section) == References(
        ("https://b.example/", "http://a.example/x"), 3.0
    )


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("one.example", "a URL must start with https://; write https://one.example"),
        ("ftp://one.example/", "a URL must start with https:// or http://, not ftp://"),
        ("https://me:secret@one.example/", "a URL must contain no user or password"),
    ],
)
def test_a_wrong_reference_is_named(problems: Problems, written: str, message: str) -> None:
    said = problems(f"vantage: {{references: ['{written}']}}\n{REST}")
    assert len(said) == 1
    assert message in said[0]
    assert "secret" not in said[0]
