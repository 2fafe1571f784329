"""``python -m tests.soak --minutes 20 --seed 7``: in namespaces of its own."""

from __future__ import annotations

import os
import sys
import time

import click
import trio

from tests.soak.run import run
from tests.support.programs import program

_INSIDE = "SOAK_INSIDE"


@click.command()
@click.option("--minutes", default=2.0, show_default=True, help="Of measuring.")
@click.option("--seed", default=1, show_default=True, help="Of faults; 0 is another each time.")
@click.option("--edges", default=2000, show_default=True)
@click.option("--interval", default=30.0, show_default=True, help="Seconds between attempts.")
def main(minutes: float, seed: int, edges: int, interval: float) -> None:
    """Run an agent in a bad network, and find every fault in its counters.

    Exit status: 0 all is as it must be; 1 something is not.
    """
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise click.UsageError("/dev/net/tun cannot be opened: run this as root, on Linux")
    if _INSIDE not in os.environ:
        inside = [program("unshare"), "--map-root-user", "--net", sys.executable]
        seed = seed or int(time.time()) % 1_000_000
        asked = {"minutes": minutes, "seed": seed, "edges": edges, "interval": interval}
        words = [f"--{name}={value}" for name, value in asked.items()]
        os.execvpe(inside[0], [*inside, "-m", "tests.soak", *words], os.environ | {_INSIDE: "1"})  # noqa: S606 - no shell: our own arguments
    began = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"{time.monotonic() - began:7.1f}  {line}")

    sys.exit(1 if trio.run(run, seed, minutes, edges, interval, say) else 0)


if __name__ == "__main__":
    main()
