"""Licences of what a release carries. tests/test_regenerate.py holds that the page is not stale."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageMetadata, distribution
from pathlib import Path

import pytest

from tests import dependencies
from tests.support.programs import ROOT


def package(folder: Path, fields: str) -> PackageMetadata:
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: example\n{fields}\n")
    return Distribution.at(folder).metadata


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("License-Expression: MIT OR apache-2.0", "MIT OR Apache-2.0"),
        ("License: BSD-3-Clause", "BSD-3-Clause"),
        ("License: Apache License, 2.0\nClassifier: L :: Apache Software License", "Apache-2.0"),
    ],
)
def test_a_licence_is_read_wherever_a_package_states_it(
    tmp_path: Path, fields: str, expected: str
) -> None:
    stated = dependencies.licence(package(tmp_path, fields))
    assert dependencies.allowed("example", stated) == expected


@pytest.mark.parametrize("fields", ["", "License: see LICENSE", "Classifier: License :: Other"])
def test_a_licence_that_is_not_known_is_an_error(tmp_path: Path, fields: str) -> None:
    with pytest.raises(dependencies.LicenceError, match="example states no licence"):
        dependencies.licence(package(tmp_path, fields))


@pytest.mark.parametrize("stated", ["GPL-3.0-only", "MIT AND AGPL-3.0-or-later", "MIT OR GPL-2.0+"])
def test_a_licence_that_is_not_allowed_is_an_error(stated: str) -> None:
    with pytest.raises(dependencies.LicenceError, match="example has the licence"):
        dependencies.allowed("example", stated)


def test_the_page_has_each_package_of_a_release_and_says_what_the_agent_needs_it_for() -> None:
    names = dependencies.pinned(dependencies.PINS.read_text())
    assert [row.split("`")[1] for row in dependencies.rows()] == names
    purposes = dependencies.purposes((ROOT / "pyproject.toml").read_text())
    needed = [one for one in distribution("regional-probe").requires or [] if "extra ==" not in one]
    assert len(purposes) == len(needed) > 10, "a dependency without a comment"
    assert purposes.keys() <= set(names), "write deploy/release/requirements.txt again"
