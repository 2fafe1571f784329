"""The image's own steps in a folder, and the agent from it as nobody, with nothing to write to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.agents import StartAgent
from tests.support.programs import DEPLOY, ROOT, program, run

pytestmark = [pytest.mark.real]

DOCKERFILE = (DEPLOY / "image" / "Dockerfile").read_text()
PINS = [DEPLOY / "release" / name for name in ("requirements.txt", "requirements-build.txt")]
NOBODY = "65532"
PYTHON = "/usr/bin/python3" if os.geteuid() == 0 else sys.executable  # one that nobody may run


# ------------------------------------------------------------------------ what is written


def pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


@pytest.mark.parametrize("path", PINS, ids=lambda path: path.stem)
def test_pins_are_versions_and_hashes_and_name_no_host(path: Path) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", path.read_text(), flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        first, *rest = entry.replace("\\\n", "").split()
        assert "==" in first
        hashes = [word for word in rest if word.startswith("--hash=sha256:")]
        assert hashes, first
    assert "://" not in path.read_text()


def test_every_dependency_is_pinned_to_a_version_that_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = pins(PINS[0])
    for text in project["dependencies"]:
        wanted = Requirement(text)
        assert Version(pinned[canonicalize_name(wanted.name)]) in wanted.specifier, text


def test_the_image_runs_as_nobody_and_checks_its_health() -> None:
    stages = DOCKERFILE.split("\nFROM ")[1:]
    assert len(stages) == 2, "what builds is not what runs"
    assert "USER 65532:65532" in stages[1]
    assert 'CMD ["probe", "health"]' in stages[1]
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)
    assert not re.search(r"apt-get install|gcc|build-essential|amd64$", stages[1])


def test_it_copies_what_is_there() -> None:
    ignored = (DEPLOY / "image" / "Dockerfile.dockerignore").read_text()
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists()
            assert f"!{source.rstrip('/')}\n" in ignored


# ------------------------------------------------------------------------ what it does


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
            timeout=300,
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
