"""What the project says of itself agrees with what it is."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from probe import __version__
from probe.cli.main import main
from tests.lowest import lowest
from tests.support.programs import ROOT, probe

README = (ROOT / "README.md").read_text()


def test_ci_runs_the_test_command_of_the_readme_and_then_the_long_tests() -> None:
    commands = re.findall(r"^(python3 -m venv .*)$", README, re.MULTILINE)
    assert len(commands) == 2, "one line runs the demo, one the tests"
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    assert ci[-2:] == [commands[1], "sh tests/run long"]


@pytest.mark.parametrize(
    ("allowed", "pinned"),
    [("trio>=0.26", "trio==0.26"), ("example>=0.18,<0.19", "example==0.18")],
)
def test_the_lowest_version_of_a_dependency_is_its_lower_bound(allowed: str, pinned: str) -> None:
    assert lowest(allowed) == pinned
    with pytest.raises(ValueError, match="write trio>=VERSION"):
        lowest("trio<1")


PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("**/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target, _, anchor in linked(page.read_text()):
        there = (page.parent / target) if target else page
        assert there.exists(), f"{page.name} names {target}"
        if anchor:
            assert anchor in anchors(there.read_text()), f"{page.name} names {target}#{anchor}"


def linked(text: str) -> list[tuple[str, str, str]]:
    """Links that stay in the source tree, parted at the number sign."""
    return [link.partition("#") for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text)]


def anchors(text: str) -> set[str]:
    """What links lead to: each heading in lower case, words joined by hyphens, as GitHub does."""
    found: set[str] = set()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ +(.+?) *$", prose, re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        again = (f"{name}-{number}" for number in itertools.count(1))
        found.add(name if name not in found else next(one for one in again if one not in found))
    return found


def test_links_are_found_and_headings_have_the_names_that_links_use() -> None:
    text = (
        "# A\n```sh\n# not this\n```\n## `probe run`, and 2 × [more](x.md#y)\n## A\n![p](i/p.png)\n"
    )
    assert linked(text) == [("x.md", "#", "y"), ("i/p.png", "", "")]
    assert anchors(text) == {"a", "probe-run-and-2--more", "a-1"}


def test_every_command_has_help_that_names_its_exit_status() -> None:
    assert main.commands
    for command in main.commands:
        done = probe(command, "--help")
        assert done.returncode == 0
        assert "Exit status" in done.stdout, command


def test_the_version_is_told() -> None:
    assert __version__ in probe("--version").stdout


def test_help_loads_no_part_that_it_does_not_need() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from probe.cli.main import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "print([m for m in ('trio', 'rich', 'pydantic', 'httpx', 'OpenSSL') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "[]"


def test_the_readme_configuration_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(# probe\.yaml.*?)```", README, re.DOTALL)
    (tmp_path / "probe.yaml").write_text(block)
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "stores.yaml").write_text("- targets: [shop.example]\n")
    done = probe("validate", tmp_path / "probe.yaml")
    assert done.returncode == 0, done.stderr
