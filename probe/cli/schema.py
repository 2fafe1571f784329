"""``probe schema``: the JSON schema of the configuration."""

from __future__ import annotations

import sys

import click


@click.command(short_help="Print the JSON schema of the configuration.")
def schema() -> None:
    r"""Print the JSON schema of the configuration, for editors.

    \b
      probe schema >probe.schema.json

    Editors with a YAML language server complete and check every key of a configuration whose
    first line names the file:

    \b
      # yaml-language-server: $schema=probe.schema.json

    Visual Studio Code needs the extension YAML of Red Hat for it; in Neovim, Helix and Emacs the
    program yaml-language-server does it. The schema says what one value may be. Whether names
    exist and times fit together is said by `probe validate`. Exit status: 0.
    """
    from probe.config.schema import schema_text

    sys.stdout.write(schema_text())
