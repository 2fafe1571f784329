"""The image's own steps in a folder, and the agent from it as nobody, with nothing to write to.

It takes a minute: `sh tests/run long image` runs it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import pytest

from tests.deploy.test_image import DOCKERFILE
from tests.support.agents import StartAgent
from tests.support.programs import ROOT, program, run

pytestmark = [pytest.mark.real]

NOBODY = "65532"
PYTHON = "/usr/bin/python3" if os.geteuid() == 0 else sys.executable  # one that nobody may run


@pytest.fixture(scope="module")
def built() -> Iterator[Path]:
    """The image's folder, built by the commands of the Dockerfile.

    Not in pytest's own folder, which is root's alone.
    """
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        earlier = Path(folder) / "release"  # what another build left
        earlier.mkdir()
        for name in ("regional_probe-0.0.1-py3-none-any.whl", "SHA256SUMS"):
            (earlier / name).write_text("old")
        build(Path(folder))
        yield Path(folder)


def build(folder: Path) -> None:
    steps = re.findall(r"^RUN sh (deploy/release/.*)$", DOCKERFILE, re.MULTILINE)
    assert len(steps) == 2
    for step in steps:
        command = step.replace("/release/", f"{folder}/release/").replace(
            f"deploy{folder}/release/", "deploy/release/"
        )
        command = re.sub(r" /release$", f" {folder}/release", command)
        command = command.replace("/opt/probe", f"{folder}/probe")
        done = subprocess.run(
            ["sh", "-c", f"sh {command}"],
            cwd=ROOT,
            env={**os.environ, "PYTHON": PYTHON, "SOURCE_DATE_EPOCH": "315532800"},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def as_nobody(*command: str) -> list[str]:
    """A command as the image's user: no name, no groups, no way to more rights."""
    if os.geteuid() != 0:
        return list(command)
    return [
        program("setpriv"),
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
        *command,
    ]


def written(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.slow
async def test_the_agent_runs_as_nobody_and_writes_nothing(
    built: Path, hasty: Path, agents: StartAgent
) -> None:
    probe = str(built / "probe" / "bin" / "probe")
    config = built / "probe.yaml"
    config.write_text(hasty.read_text())
    config.chmod(0o644)
    before = written(built)
    command = as_nobody(probe)
    start = agents(config, "--listen", "127.0.0.1:0", program=command)
    async with start as agent:
        listen = (await agent.address()).removeprefix("http://")
        await agent.said("state", after="failing")
        run(*as_nobody(probe, "health", "--ready", "--listen", listen))
        status = Path(f"/proc/{agent.process.pid}/status").read_text()
        if os.geteuid() == 0:
            assert re.search(rf"^Uid:\s+{NOBODY}\s+{NOBODY}", status, re.MULTILINE)
            assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert written(built) == before
    done = subprocess.run(
        [probe, "health", "--listen", listen], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "does not answer" in done.stderr


def test_no_installer_no_compiler_and_no_tests_are_inside(built: Path) -> None:
    packages = {path.name.lower() for path in (built / "probe" / "lib").glob("*/site-packages/*")}
    assert "trio" in packages
    assert "probe" in packages
    assert not packages & {"pip", "setuptools", "wheel", "pytest", "mypy", "tests"}
    size = sum(path.stat().st_size for path in (built / "probe").rglob("*") if path.is_file())
    assert size < 100 * 1024 * 1024


def test_the_lab_and_the_demo_stay_in_the_source_tree(built: Path) -> None:
    """Fault servers and fixed secrets have no place beside an agent."""
    (wheel,) = (built / "release").glob("*.whl")
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("probe/")}
    assert {"probe/cli/demo.py", "probe/agent/service.py", "probe/py.typed"} <= names
    assert not [name for name in names if name.startswith(("probe/lab", "probe/demo"))]
    done = subprocess.run(
        [built / "probe" / "bin" / "probe", "demo"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert re.fullmatch(r"probe: the demo runs from a source tree.*\n", done.stderr)


def test_a_release_is_one_wheel_and_right_sums_whatever_was_there_before(built: Path) -> None:
    release = built / "release"
    assert len(list(release.glob("*.whl"))) == 1
    run("sh", "-c", f"cd {release} && sha256sum --strict --check SHA256SUMS")
    summed = (release / "SHA256SUMS").read_text().split()[1::2]
    assert {*summed, "SHA256SUMS"} == {path.name for path in release.iterdir()}


def test_a_release_that_was_changed_is_refused(built: Path, tmp_path: Path) -> None:
    release = tmp_path / "release"
    run("cp", "-R", built / "release", release)
    (release / "requirements.txt").write_text("trio==0.1 --hash=sha256:" + "0" * 64 + "\n")
    done = subprocess.run(
        ["sh", str(release / "regional-probe-release"), "add", str(release)],
        env={**os.environ, "PROBE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "files do not match SHA256SUMS" in done.stderr
    assert not (tmp_path / "home").exists()
