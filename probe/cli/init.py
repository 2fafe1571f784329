"""``probe init``: a first configuration, from a few words."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from probe.cli.options import BAD_CONFIGURATION, FAIL, die


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a first configuration is made of.

    Attributes:
        names: domains, with a port where it is not 443.
        urls: of calls.
        cdns: name and host name of providers beside what DNS gives now.
        targets_file: a list that others write, instead of names.
    """

    names: Sequence[str]
    urls: Sequence[str]
    region: str
    cdns: Sequence[tuple[str, str]]
    interval: str
    targets_file: str


@click.command(short_help="Write a first configuration, with comments.")
@click.argument("words", nargs=-1, metavar="[NAME|URL]...")
@click.option("--region", help="Where the agent runs. Default: local.")
@click.option(
    "--cdn",
    "cdns",
    multiple=True,
    metavar="NAME=HOSTNAME",
    help="Probe every name through this host name too, before its DNS moves; may be repeated.",
)
@click.option(
    "--targets-file",
    metavar="FILE",
    help="A target file (Prometheus file_sd) that others write, instead of names.",
)
@click.option(
    "--interval", default="30s", show_default=True, help="Time between two looks at an edge."
)
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("probe.yaml"),
    show_default=True,
    help="Where it is written.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init(
    words: tuple[str, ...],
    region: str | None,
    cdns: tuple[str, ...],
    targets_file: str | None,
    interval: str,
    path: Path,
    force: bool,
) -> None:
    r"""Write a first configuration, with comments, that `probe validate` accepts.

    On a terminal it asks for what is missing. With names, a URL or --targets-file it asks nothing.

    \b
      probe init shop.example www.shop.example
      probe init shop.example --cdn cdn-b=stores.cdn-b.example --region sa-east
      probe init https://api.example/health --file api.yaml
      probe init --targets-file targets/stores.yaml

    Exit status: 0 written, 1 it cannot be written, 2 a word cannot be used or the file is there.
    """
    if path.exists() and not force:
        die(f"{path} is there already; choose another --file, or --force", BAD_CONFIGURATION)
    if not words and targets_file is None:
        if not _at_a_terminal():
            die("name what to probe, for example: probe init shop.example", BAD_CONFIGURATION)
        words, region, cdns = _asked(region, cdns)
    if any("@" in word.partition("://")[2].partition("/")[0] for word in words):
        die("a URL with a login in it is not written down; see docs/flows.md", BAD_CONFIGURATION)
    wanted = _Wanted(
        [word for word in words if "://" not in word],
        [word for word in words if "://" in word],
        region or "local",
        [_cdn(text) for text in cdns],
        interval,
        targets_file or "",
    )
    text = "\n".join(_lines(wanted, path)) + "\n"
    _must_be_good(text, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        die(f"{path}: {error.strerror or error}", FAIL)
    click.echo(f"{path} is written. Next: probe check --config {path}")


def _at_a_terminal() -> bool:
    return sys.stdin.isatty()


def _asked(
    region: str | None, cdns: tuple[str, ...]
) -> tuple[tuple[str, ...], str | None, tuple[str, ...]]:
    """Ask a person at a terminal."""
    said = click.prompt("Domains or URLs to probe, with spaces between them")
    region = region or click.prompt("Region where the agent runs", default="local")
    if not cdns:
        host = click.prompt(
            "Host name of a CDN that they move to, or nothing", default="", show_default=False
        )
        cdns = (f"cdn-next={host}",) if host else ()
    return tuple(said.replace(",", " ").split()), region, cdns


def _cdn(text: str) -> tuple[str, str]:
    name, found, host = text.partition("=")
    if not (found and name and host):
        die(f"--cdn {text}: write NAME=HOSTNAME: cdn-b=stores.cdn-b.example", BAD_CONFIGURATION)
    return name, host


def _must_be_good(text: str, path: Path) -> None:
    """Validate a configuration where it will stand, so that its paths mean the same."""
    from probe.config.loading import validate
    from probe.documents.problem import DocumentError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".yaml") as trial:
            trial.write(text)
            trial.flush()
            validate(Path(trial.name), environ=os.environ)
    except DocumentError as error:
        die("\n".join(dict.fromkeys(one.message for one in error.problems)), BAD_CONFIGURATION)
    except OSError as error:
        die(f"{path}: {error.strerror or error}", FAIL)


def _lines(wanted: _Wanted, path: Path) -> Iterator[str]:
    yield from (
        "# yaml-language-server: $schema=probe.schema.json",
        "#",
        "# Editors complete and check every key: probe schema >probe.schema.json",
        "#",
        f"#   probe validate {path}          every mistake, with file, line and column",
        f"#   probe check --config {path}    each probe once",
        f"#   probe run --config {path}      the agent; http://127.0.0.1:9469/ and /metrics",
        "",
        "# Where this agent runs: a label of every series. --region and PROBE_REGION go before it.",
        f"region: {_quoted(wanted.region)}",
        "listen: 127.0.0.1:9469",
        "",
        "# What checks use where they say nothing themselves.",
        "defaults:",
        f"  interval: {_quoted(wanted.interval)}",
        "  timeout: 10s",
        "",
        "# Ways to reach a target. Every address of every provider is an edge, and is probed.",
        "providers:",
        "  live: {dns: {}} # what DNS gives customers now",
    )
    for name, host in wanted.cdns:
        yield f"  {_quoted(name)}: {{hostname: {_quoted(host)}}} # before DNS moves there"
    if not wanted.cdns:
        yield "  # Where targets will move, probed before their DNS moves:"
        yield "  # cdn-b: {hostname: stores.cdn-b.example}"
    if wanted.names or wanted.targets_file:
        yield from _tls(wanted)
    else:
        yield from ("", "checks:")
    yield from _calls(wanted)


def _tls(wanted: _Wanted) -> Iterator[str]:
    yield from ("", "targets:", "  names:")
    if wanted.targets_file:
        yield "    # Prometheus file_sd format; read again while the agent runs."
        yield f"    files: [{_quoted(wanted.targets_file)}]"
    if wanted.names:
        yield "    # Or files: [targets.yaml], a list that others write (Prometheus file_sd)."
        yield "    static:"
        yield from (f"      - {_quoted(name)}" for name in wanted.names)
    through = ", ".join(["live", *(_quoted(name) for name, _ in wanted.cdns)])
    yield from (
        "",
        "checks:",
        "  # A full handshake with every edge of every name. `probe explain` explains reasons.",
        "  - name: names",
        "    kind: tls",
        "    targets: names",
        f"    providers: [{through}]",
        "    # As clients that your users have, each a handshake of its own (docs/clients.md):",
        "    # profiles: [chrome, safari, android, java]",
    )


def _calls(wanted: _Wanted) -> Iterator[str]:
    for number, url in enumerate(wanted.urls, start=1):
        name = "call" if len(wanted.urls) == 1 else f"call-{number}"
        yield from (
            "",
            "  # A call over a fresh connection. Steps, logins and expectations: docs/flows.md",
            f"  - name: {name}",
            "    kind: api",
            "    steps:",
            "      - name: get",
            "        layer: edge",
            f"        get: {_quoted(url.replace('{', '{{').replace('}', '}}'))}",
            "        expect: {status: 200}",
        )


def _quoted(text: str) -> str:
    """Write a text for YAML, which reads JSON's strings."""
    return json.dumps(text, ensure_ascii=False)
