"""docs/troubleshooting.md quotes what the program prints for each mistake."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from probe.cli.main import main
from tests.docs.blocks import blocks
from tests.support.programs import ROOT

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
MISTAKES = [part.partition("\n") for part in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]]


def test_twenty_mistakes_are_there() -> None:
    assert len(MISTAKES) >= 20


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake[0])
def test_the_message_is_the_one_that_is_printed(
    mistake: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {block.language: block.text for block in blocks("", mistake[2])}
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROBE_REGION", raising=False)
    if "yaml" in found:
        Path("probe.yaml").write_text(found["yaml"])
    (command,) = found.get("sh", "probe validate probe.yaml\n").splitlines()
    program, *arguments = shlex.split(command)
    done = CliRunner().invoke(main, arguments)
    assert program == "probe"
    assert done.exit_code != 0 or "note: " in found["text"]
    printed = " ".join(done.output.split())
    assert " ".join(found["text"].split()) in printed, done.output
