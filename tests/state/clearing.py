"""How long flapping lasts beyond its fault, and how a rare fault fares: prints the tables.

As a command::

    python -m tests.state.clearing

The agent's own confirmation in virtual time, drawn from seeds. docs/detection.md has the result.
"""

from __future__ import annotations

import statistics
import sys
from math import ceil

from probe.model.target import EdgeKey

from .test_confirmation_at_scale import Losses, check_of, one_of, simulate

FAULT = 1800.0
INTERVAL = 15.0


def cleared(total: int, sick: int, share: float, runs: int, fault: float) -> list[float]:
    """Seconds until each named edge was cleared, from the last failure on."""
    keys = check_of(total, "b", 1, 1)
    broken = set(keys[:sick])

    def losses(key: EdgeKey, at: float) -> float:
        return share if key in broken and at < fault else 0.0

    waits: list[float] = []
    for seed in range(runs):
        story = simulate(keys, losses, interval=INTERVAL, seconds=fault + 600.0, seed=seed)
        ends = {key: story.cleared.get(key, float("inf")) for key in story.named}
        waits += [end - story.failed for end in ends.values() if end > fault]
    return sorted(waits)


def rare(runs: int, long_runs: int) -> str:
    """One edge of one domain that fails one time in twenty."""
    keys = check_of(1, "a", 4, 1)
    losses: Losses = one_of(keys, 0.05)
    named = sorted(
        at
        for seed in range(runs)
        for at in simulate(
            keys, losses, interval=INTERVAL, seconds=900.0, seed=seed, until_named=True
        ).named.values()
    )
    lulls = [
        simulate(keys, losses, interval=INTERVAL, seconds=6 * 3600.0, seed=seed).lulls
        for seed in range(long_runs)
    ]
    return (
        f"1 in 20: named within 15 min in {len(named)} of {runs} runs, "
        f"half of them by {named[len(named) // 2]:.0f} s; "
        f"cleared in mid-fault, in six hours: {sum(lulls)} times in {long_runs} runs, "
        f"{max(lulls)} at most\n"
    )


def main() -> None:
    """Print the tables."""
    sys.stdout.write("failed    edges  median  99 %   worst, seconds after the last failure\n")
    for name, share in (("1 in 2", 0.5), ("4 in 10", 0.4), ("1 in 4", 0.25)):
        for total, sick, runs in ((40, 1, 30), (1600, 500, 1)):
            waits = cleared(total, sick, share, runs, 240.0 if sick > 1 else FAULT)
            _row(name, sick, waits)
    for name, share in (("1 in 10", 0.1), ("1 in 20", 0.05)):
        _row(name, 1, cleared(40, 1, share, 30, 2 * FAULT))
    sys.stdout.write(rare(1000, 30))


def _row(name: str, sick: int, waits: list[float]) -> None:
    high = waits[ceil(0.99 * len(waits)) - 1]
    sys.stdout.write(
        f"{name:8} {sick:6} {statistics.median(waits):7.0f} {high:5.0f} {waits[-1]:7.0f}\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
