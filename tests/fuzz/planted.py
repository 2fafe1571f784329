"""Defects planted in a copy of the product are found; the run ends as soon as one is.

Not part of the ordinary suite, since it takes a minute and atheris: ``tests/long`` runs it.
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
    """    if len(data) != (4 if record.kind == A else 16):
        raise Damaged("an address of wrong length")
    return inet_ntop(AF_INET, data) if record.kind == A else str(IPv6Address(data))
""",
    """    if record.kind == A:
        return f"{data[0]}.{data[1]}.{data[2]}.{data[3]}"
    if len(data) != 16:
        raise Damaged("an address of wrong length")
    return str(IPv6Address(data))
""",
)
"""A record whose data is shorter than an address; no input that the fuzzer begins with has one."""

OPEN_BRACKET = (
    """    except ValueError:  # of urljoin: brackets that are not closed
        return refused("a redirect to what is no http or https URL")
""",
    "",
)
"""A redirect that cannot be joined with the URL that it answers."""


@pytest.mark.parametrize(
    ("target", "seconds", "place", "change", "said"),
    [
        ("dns", 60, "edges/answers.py", SHORT_ADDRESS, "IndexError at probe/edges/answers.py"),
        # Within seconds on a machine at rest; a flow takes longer than a look into DNS.
        ("http", 240, "http/url.py", OPEN_BRACKET, "defect: ValueError at "),
    ],
)
def test_a_planted_defect_is_found(
    target: str, seconds: int, place: str, change: tuple[str, str], said: str, tmp_path: Path
) -> None:
    for name in ("probe", "tests", "config"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    module = tmp_path / "probe" / place
    text = module.read_text()
    assert text.count(change[0]) == 1
    module.write_text(text.replace(*change))
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target, "--seconds", str(seconds)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert said in done.stdout
    assert f"{place.rpartition('/')[2]}:" in done.stdout
    assert f"replay with: python -m tests.fuzz {target} " in done.stdout
    (found,) = (tmp_path / "build" / "fuzz-found" / target).iterdir()
    good_again = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target, str(found)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert good_again.returncode == 0, "without the defect the same input is no finding"
