"""The command group and its entry point. Each command has a file of its own beside this one.

Everything beyond click is imported inside the command that needs it, so that ``--help`` and
shell completion answer at once.
"""

from __future__ import annotations

import io
import signal
import sys

if sys.argv[1:2] == ["run"]:
    # SIGHUP would kill an agent that does not listen yet. It waits from here on, before anything
    # that takes time to import, and is delivered once the agent follows signals.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})

import click

from probe import __version__
from probe.cli.check import check
from probe.cli.demo import demo
from probe.cli.explain import explain
from probe.cli.found import edges, targets
from probe.cli.health import health
from probe.cli.import_ import import_
from probe.cli.init import init
from probe.cli.run import run
from probe.cli.schema import schema
from probe.cli.validate import validate

INTERRUPTED = 130
"""128 + SIGINT: nothing was found out, so neither 0 nor 1."""


class _Commands(click.Group):
    """Ctrl-C ends every command with 130, whatever it was doing.

    click's own answer is 1, which a pipeline would read as "something fails".
    """

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="probe")
def main() -> None:
    r"""Find the domain, the edge and the layer that fail, as seen from this region.

    Start with `probe check shop.example`, or with `probe demo`: three agents catch two incidents
    in a small world of its own. `probe init` writes a first configuration.

    \b
    Completion of commands, options and names, for the shell that is running:
      bash   eval "$(_PROBE_COMPLETE=bash_source probe)"     in ~/.bashrc
      zsh    eval "$(_PROBE_COMPLETE=zsh_source probe)"      in ~/.zshrc
      fish   _PROBE_COMPLETE=fish_source probe | source      in ~/.config/fish/config.fish
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without ✓ must not end a command
            stream.reconfigure(errors="replace")


def _unescaped(command: click.Command) -> click.Command:
    """Let blocks keep their lines: docstrings write click's mark as two characters."""
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    return command


_unescaped(main)
_COMMANDS = (
    *(init, import_, check, targets, edges, validate),
    *(run, health, explain, schema, demo),
)
for command in _COMMANDS:
    main.add_command(_unescaped(command))
