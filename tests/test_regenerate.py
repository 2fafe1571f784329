"""What is generated is what its source gives; the message names the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import regenerate


def test_nothing_that_is_generated_is_stale() -> None:
    stale = list(regenerate.regenerated(check=True))
    assert not stale, f"run {regenerate.COMMAND}: {', '.join(stale)}"


def test_a_stale_file_is_named_and_left_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made.md"
    made.write_text("old")
    monkeypatch.setattr(regenerate, "ROOT", tmp_path)
    monkeypatch.setattr(regenerate, "TEXTS", {made: lambda: "new"})
    monkeypatch.setattr(regenerate, "SCRIPTS", ())
    assert regenerate.main(["--check"]) == 1
    assert capsys.readouterr().out == "made.md is stale: run python -m tests.regenerate\n"
    assert made.read_text() == "old"
    assert regenerate.main([]) == 0
    assert made.read_text() == "new"
    assert regenerate.main(["--check"]) == 0
