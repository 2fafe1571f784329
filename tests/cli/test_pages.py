"""The command tree as people read it: help, page, manual, and examples that hold."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from probe.cli.main import main
from tests.cli import pages

COMMANDS = sorted(main.commands)


def examples(text: str) -> Iterator[str]:
    """Commands of ours in a text, without what a shell does with their output."""
    for line in text.splitlines():
        if found := re.match(r"^ *(probe [a-z].*?)(\s+[<>#].*| \|.*)?$", line):
            yield found[1].strip("`")


def parsed(example: str) -> None:
    """Parse a command as click does, without running it."""
    _, name, *words = shlex.split(example)
    context = click.Context(main, info_name="probe")
    main.commands[name].make_context(name, words, parent=context)


HELPS = {
    name: CliRunner().invoke(main, [name, "--help"], terminal_width=100).output for name in COMMANDS
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_examples_that_parse(name: str) -> None:
    found = list(examples(HELPS[name]))
    assert any(one.startswith(f"probe {name}") for one in found)
    for one in found:
        parsed(one)


def test_examples_of_the_page_parse() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", pages.PAGE.read_text(), re.DOTALL)
    found = [one for block in blocks for one in examples(block)]
    assert len(found) > 20
    for one in found:
        parsed(one)


def test_an_example_with_a_mistake_does_not_parse() -> None:
    with pytest.raises(click.UsageError):
        parsed("probe check --adress 198.51.100.7 shop.example")


@pytest.mark.parametrize("width", [80, 100])
def test_no_summary_is_cut(width: int) -> None:
    said = CliRunner().invoke(main, ["--help"], terminal_width=width).output
    listed = said.partition("Commands:")[2].strip().splitlines()
    assert len(listed) == len(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


def test_the_help_says_how_to_complete() -> None:
    said = CliRunner().invoke(main, ["--help"]).output
    for shell in ("bash", "zsh", "fish"):
        assert f"_PROBE_COMPLETE={shell}_source probe" in said
        assert f"_PROBE_COMPLETE={shell}_source probe" in pages.PAGE.read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_of_completion_is_made(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.shell_completion.BashComplete._check_version", lambda *_: None)
    done = CliRunner().invoke(
        main, [], env={"_PROBE_COMPLETE": f"{shell}_source"}, prog_name="probe"
    )
    assert done.exit_code == 0, done.output
    assert f"_PROBE_COMPLETE={shell}_complete" in done.output


def test_page_and_manual_hold_every_option() -> None:
    for command, context in pages.commands():
        for names, _ in pages.options(command, context):
            option = names.split(",")[-1].split()[0]
            assert option in pages.page()
            assert option.replace("-", "\\-") in pages.man()


@pytest.mark.real
def test_groff_reads_the_manual_without_a_warning() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", str(pages.MAN)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    plain = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    assert '--address "[2001:db8::1]:8443"' in plain  # quotes and dashes that can be pasted
    assert 'eval "$(_PROBE_COMPLETE=bash_source probe)"' in plain
