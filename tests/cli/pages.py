"""Writes ``docs/cli.md`` and the man page from the command tree."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from probe.cli.main import main
from tests.support.programs import ROOT

PAGE = ROOT / "docs" / "cli.md"
MAN = ROOT / "docs" / "probe.1"
_MARK = "<!-- From the command tree: python -m tests.regenerate -->\n"


def commands() -> Iterator[tuple[click.Command, click.Context]]:
    """Every command with a context of its own, by name."""
    settings = main.context_settings
    with click.Context(main, info_name="probe", **settings) as above:
        for name in sorted(main.commands):
            yield main.commands[name], click.Context(main.commands[name], above, info_name=name)


def paragraphs(command: click.Command) -> Iterator[tuple[bool, str]]:
    """The help of a command: whether lines stay as they are, and the text."""
    for part in inspect.cleandoc(command.help or "").split("\n\n"):
        kept = part.startswith("\b\n")
        yield kept, part.removeprefix("\b\n") if kept else " ".join(part.split())


def options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Names and help of each option; the help says the default too."""
    for one in command.get_params(context):
        record = one.get_help_record(context)
        if record is not None and record[1]:
            names, said = record
            yield names, " ".join(said.split())


def usage(command: click.Command, context: click.Context) -> str:
    """``probe check [OPTIONS] [NAME|URL]...``."""
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


# ---------------------------------------------------------------- docs/cli.md


def page() -> str:
    """The page: what stands above the mark, then every command."""
    above = PAGE.read_text().partition(_MARK)[0]
    return above + _MARK + "\n" + "\n".join(_sections()).rstrip() + "\n"


def _sections() -> Iterator[str]:
    for command, context in commands():
        yield f"## {context.command_path}\n"
        yield f"```text\n{usage(command, context)}\n```\n"
        for kept, text in paragraphs(command):
            yield f"```sh\n{_flush(text)}\n```\n" if kept else f"{text}\n"
        yield "| option | |\n|---|---|"
        for record in options(command, context):
            names, said = (text.replace("|", r"\|") for text in record)
            yield f"| `{names}` | {said} |"
        yield ""


def _flush(text: str) -> str:
    """Lines without the blanks that all of them begin with."""
    return "\n".join(line.removeprefix("  ") for line in text.splitlines())


# ---------------------------------------------------------------- the man page


def man() -> str:
    """The manual in the language of man(7). It holds no date, so that it changes with its text."""
    return "\n".join(_man()) + "\n"


def _man() -> Iterator[str]:
    first, *rest = paragraphs(main)
    yield '.\\" From the command tree: python -m tests.regenerate'
    yield '.TH PROBE 1 "" "regional\\-probe" "User Commands"'
    yield ".SH NAME"
    yield f"probe \\- {_roff(first[1].rstrip('.'))}"
    yield ".SH SYNOPSIS"
    yield from (f".B probe {_roff(name)}\n.br" for name in sorted(main.commands))
    yield ".SH DESCRIPTION"
    yield from _paragraphs([first, *rest])
    yield ".SH COMMANDS"
    for command, context in commands():
        yield f'.SS "{_roff(usage(command, context))}"'
        yield from _paragraphs(paragraphs(command))
        for names, said in options(command, context):
            yield f".TP\n.B {_roff(names)}\n{_roff(said)}"
    yield ".SH FILES"
    yield ".TP\n.I probe.yaml\nThe configuration, where no option names one."
    yield ".TP\n.I config/probe.yaml\nThe configuration, where that is not there."
    yield ".SH ENVIRONMENT"
    yield ".TP\n.B PROBE_REGION\nThe region, where \\fB\\-\\-region\\fR names none."


def _paragraphs(parts: Iterator[tuple[bool, str]] | list[tuple[bool, str]]) -> Iterator[str]:
    for kept, text in parts:
        if kept:
            lines = "\n".join(map(_roff, text.splitlines()))
            yield f".PP\n.nf\n{lines}\n.fi"
        else:
            yield f".PP\n{_roff(text)}"


def _roff(text: str) -> str:
    """A text in which roff reads nothing as a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    text = text.replace("…", "...").replace("`", "\\(ga").replace("'", "\\(aq")
    return re.sub(r"(?m)^(\.)", r"\\&\1", text)
