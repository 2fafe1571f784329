"""A defect planted in a copy of the product is found within a minute.

Not part of the ordinary suite, since it takes that minute and atheris: ``tests/long`` runs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SHORT_ADDRESS = (
    """    if len(data) != (4 if record.kind == wire.A else 16):
        raise Damaged("an address of wrong length")
    return inet_ntop(AF_INET, data) if record.kind == wire.A else str(IPv6Address(data))
""",
    """    if record.kind == wire.A:
        return f"{data[0]}.{data[1]}.{data[2]}.{data[3]}"
    if len(data) != 16:
        raise Damaged("an address of wrong length")
    return str(IPv6Address(data))
""",
)
"""A record whose data is shorter than an address; no input that the fuzzer begins with has one."""


@pytest.mark.parametrize(("good", "bad"), [SHORT_ADDRESS])
def test_a_planted_index_error_is_found_within_a_minute(
    good: str, bad: str, tmp_path: Path
) -> None:
    for name in ("probe", "tests", "config"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    message = tmp_path / "probe" / "edges" / "message.py"
    text = message.read_text()
    assert text.count(good) == 1
    message.write_text(text.replace(good, bad))
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "dns", "--seconds", "60"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "IndexError at probe/edges/message.py" in done.stdout
    assert "replay with: python -m tests.fuzz dns " in done.stdout
    (found,) = (tmp_path / "build" / "fuzz-found" / "dns").iterdir()
    good_again = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "dns", str(found)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert good_again.returncode == 0, "without the defect the same input is no finding"
