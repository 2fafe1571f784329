"""Commands that pages show parse: the shell reads them, our commands know their options."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator

import click
import pytest

from probe.cli.main import main
from tests.docs.blocks import Block, blocks, written_in
from tests.support.programs import ROOT

SHELL = written_in("sh", "bash", "shell")


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command, without redirections; of pipes and lists each part."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if set(word) <= set("|&;()"):
                yield words
                words = []
            else:
                words.append(word)
        yield words


def ours(words: list[str]) -> list[str] | None:
    """What stands behind our program's name, redirections left out; None for other programs."""
    while words and re.match(r"\w+=", words[0]):
        words = words[1:]
    if words[:1] == ["sudo"]:
        words = words[1:]
    if not words or words[0].rpartition("/")[2] != "probe":
        return None
    ends = [at for at, word in enumerate(words) if set(word) <= set("<>")]
    return words[1 : ends[0]] if ends else words[1:]


def parse(arguments: list[str]) -> None:
    """Let click read them; it raises where an option or a command is unknown."""
    if arguments and arguments[0] in ("--help", "--version"):
        return
    name, *rest = arguments
    if name not in main.commands:
        raise click.UsageError(f"no such command: {name}")
    command = main.commands[name]
    if "--help" not in rest:
        command.make_parser(click.Context(command, info_name=name)).parse_args(list(rest))


OURS = [
    pytest.param(arguments, id=f"{block.place}: {' '.join(arguments)}"[:80])
    for block in SHELL
    for words in commands(block.text)
    if (arguments := ours(words))
]


def test_blocks_are_found_with_what_they_need() -> None:
    text = "a\n<!-- needs: a cluster -->\n```sh\nprobe run\n```\n```yaml\na: 1\n```\n"
    assert list(blocks("p.md", text)) == [
        Block("p.md:4", "sh", "probe run\n", "a cluster"),
        Block("p.md:7", "yaml", "a: 1\n"),
    ]
    assert len(OURS) > 25


def test_words_are_parted_as_the_shell_does() -> None:
    text = "A=1 .venv/bin/probe check -o json >x | probe health && sudo probe run  # why\n"
    assert [found for words in commands(text) if (found := ours(words))] == [
        ["check", "-o", "json"],
        ["health"],
        ["run"],
    ]


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.place)
def test_the_shell_reads_every_block(block: Block) -> None:
    done = subprocess.run(
        ["sh", "-n"], input=block.text, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", OURS)
def test_our_commands_know_what_is_asked_of_them(arguments: list[str]) -> None:
    parse(arguments)


@pytest.mark.parametrize("wrong", [["chek"], ["check", "--fast"], ["validate", "--region", "x"]])
def test_what_does_not_exist_is_found(wrong: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(wrong)


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.place)
def test_files_of_the_source_tree_that_are_named_exist(block: Block) -> None:
    for words in commands(block.text):
        for word in words:
            if re.fullmatch(r"(deploy|config|docs)/[\w./-]+\.\w+", word):
                assert (ROOT / word).exists(), word
