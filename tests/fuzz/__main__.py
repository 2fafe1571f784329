"""Runs the fuzzers: ``python -m tests.fuzz TARGET… --seconds 60``, or TARGET FILE to replay."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click

from tests.fuzz.child import NAMES
from tests.fuzz.target import Target

CORPUS = Path(__file__).parent / "corpus"
"""Inputs that earlier runs found worth keeping: one file for each target, one input a line."""

FOUND = "build/fuzz-found"

_SLOWEST = 25
"""Seconds after which an input is a finding: nothing in a prober takes a tenth of that."""

_SHOWN = 60


@dataclass(frozen=True)
class Row:
    """What one target's run came to."""

    name: str
    seconds: float
    executions: int
    edges: int
    finding: str
    inputs: Sequence[Path]
    output: str


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="TARGET… [FILE]…")
@click.option("--seconds", default=60, show_default=True, help="For each target.")
@click.option("--corpus", type=click.Path(path_type=Path), help="Keep what is new here.")
@click.option("--jobs", default=2, show_default=True, help="Targets at once.")
@click.option(
    "--seed", default=0, help="Of chance; the same one finds the same. 0 is another each time."
)
@click.option("--found", type=click.Path(path_type=Path), default=FOUND, show_default=True)
def main(
    names: tuple[str, ...],
    seconds: int,
    corpus: Path | None,
    jobs: int,
    seed: int,
    found: Path,
) -> None:
    """Fuzz targets (dns, chains, crl, http, lists, config, web, or all), or run FILEs through one.

    A run begins with the seeds, the project's corpus and the folder of --corpus. Inputs that are
    findings are left in the folder of --found.

    Exit status: 0 nothing was found; 1 something was; 2 the command is wrong.
    """
    targets = NAMES if names[0] == "all" else tuple(n for n in names if n in NAMES)
    files = [Path(name) for name in names[len(targets) :]] if names[0] != "all" else []
    if not targets or any(not file.is_file() for file in files):
        raise click.UsageError(f"name targets ({', '.join(NAMES)} or all), then files that exist")
    if files:
        _replay(targets[0], files)
        return

    def one(name: str) -> Row:
        kept = None if corpus is None else corpus / name
        return fuzz(name, seconds, kept, found / name, seed)

    with ThreadPoolExecutor(jobs) as pool:
        rows = list(pool.map(one, targets))
    for row in rows:
        if row.finding:
            click.echo(f"== {row.name}: end of the output\n{row.output}")
            for path in row.inputs:
                click.echo(f"replay with: python -m tests.fuzz {row.name} {path}")
    click.echo(table(rows))
    sys.exit(1 if any(row.finding for row in rows) else 0)


def fuzz(name: str, seconds: int, kept: Path | None, found: Path, chance: int) -> Row:
    """Fuzz one target in a process of its own."""
    target: Target = import_module(f"tests.fuzz.{name}").TARGET
    found.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        seeds, words, grown = Path(folder, "seeds"), Path(folder, "words"), Path(folder, "new")
        for one in (seeds, kept or grown):
            one.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate((*target.seeds(), *corpus(name))):
            (seeds / str(number)).write_bytes(seed)
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words()))
        options = {
            "max_total_time": seconds,
            "seed": chance,
            "max_len": target.longest,
            "len_control": 0,
            "timeout": _SLOWEST,
            "print_final_stats": 1,
            "artifact_prefix": f"{found}/",
            "dict": words,
        }
        begin = time.monotonic()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.child", name),
                *(f"-{option}={value}" for option, value in options.items()),
                *(str(kept or grown), str(seeds)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    output = done.stdout.decode(errors="replace")
    return Row(
        name,
        time.monotonic() - begin,
        _last(r"^(?:stat::number_of_executed_units: |#)(\d+)", output),
        _last(r"\bcov: (\d+)", output),
        _finding(output) if done.returncode else "",
        sorted(set(found.iterdir()) - before),
        "\n".join(_without_progress(output)[-_SHOWN:]),
    )


def _replay(name: str, files: Iterable[Path]) -> None:
    """Run inputs through a target, without the fuzzer; a finding ends it with its traceback."""
    target: Target = import_module(f"tests.fuzz.{name}").TARGET
    for file in files:
        target.run(file.read_bytes())
        click.echo(f"{file}: no finding")


def corpus(name: str) -> list[bytes]:
    """The inputs that the project keeps for a target."""
    path = CORPUS / f"{name}.txt"
    return [base64.b64decode(line) for line in path.read_text().split()] if path.exists() else []


def table(rows: Sequence[Row]) -> str:
    """A line for each target."""
    lines = [f"{'target':<8} {'seconds':>8} {'executions':>11} {'edges':>7}  finding"]
    lines += [
        f"{row.name:<8} {row.seconds:>8.0f} {row.executions:>11} {row.edges:>7}  "
        f"{row.finding or 'none'}"
        for row in rows
    ]
    return "\n".join(lines)


def _finding(output: str) -> str:
    """What was found, in a line."""
    if raised := re.findall(r"Uncaught Python exception: ===\n(?:.*\n)*?(\w[\w.]*: .*)", output):
        return str(raised[-1])
    if said := re.findall(r"==\d+== ERROR: libFuzzer: (.*)", output):
        return str(said[-1])
    return "the fuzzer did not run: " + (_without_progress(output) or ["no word"])[-1]


def _without_progress(output: str) -> list[str]:
    return [line for line in output.splitlines() if not re.match(r"#\d|MS: |INFO: |Dict", line)]


def _last(pattern: str, output: str) -> int:
    found = re.findall(pattern, output, re.MULTILINE)
    return int(found[-1]) if found else 0


def _escaped(word: bytes) -> str:
    """libFuzzer's way to write bytes in a dictionary."""
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}"
        for byte in word
    )


if __name__ == "__main__":
    main()
