"""What the image's Dockerfile and its pins say. tests/deploy/built_image.py builds it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.programs import DEPLOY, ROOT

DOCKERFILE = (DEPLOY / "image" / "Dockerfile").read_text()
PINS = [DEPLOY / "release" / name for name in ("requirements.txt", "requirements-build.txt")]


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
