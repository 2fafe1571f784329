"""``python -m tests.causes [count] [--seed n]``: the confusion matrix and the bars."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median, quantiles

import trio

from probe.model.cause import Cause
from tests.causes.cases import SEED, drawn
from tests.causes.play import Answer, play

BATCH = 8
LATE = 10.0
"""Seconds from which on a sentence is late."""


def main() -> int:
    """Play the cases, print what came out, and fail below the bars."""
    parser = argparse.ArgumentParser(prog="python -m tests.causes")
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--batch", type=int, default=BATCH, help="cases side by side")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of cases")
    given = parser.parse_args()
    cases = drawn(given.count, given.seed)
    if given.only:
        cases = [case for case in cases if case.number in given.only]
    began = time.monotonic()
    answers: list[Answer] = []
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(cases), given.batch):
            some = cases[start : start + given.batch]
            answers += trio.run(play, some, Path(folder), given.count, given.seed)
            print_misses(answers[-sum(len(case.injected) for case in some) :])
            done = sum(answer.right for answer in answers)
            say(f"{start + len(some)} cases, {done} of {len(answers)} right")
    print_matrix(answers)
    return print_bars(answers, time.monotonic() - began)


def say(line: str) -> None:
    """Write a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_matrix(answers: list[Answer]) -> None:
    """Print a row for each cause: what was named when it was injected."""
    rows: dict[str, Counter[str]] = {}
    for answer in answers:
        row = "/".join(sorted(answer.fault.causes))
        rows.setdefault(row, Counter())[answer.named or "no answer"] += 1
    say("injected                named")
    for cause in [*sorted(rows)]:
        named = ", ".join(f"{name} {times}" for name, times in rows[cause].most_common())
        say(f"{cause:23} {named}")
    total = Counter(answer.named or "no answer" for answer in answers)
    say(f"{'(undetermined)':23} {total[Cause.UNDETERMINED]}")


def print_misses(answers: list[Answer]) -> None:
    """Print each fault whose cause was not named, or named late, with what was seen."""
    for answer in answers:
        late = answer.seconds is not None and answer.seconds > LATE
        if answer.right and not late:
            continue
        named = answer.named or "no answer"
        took = f" after {answer.seconds:.1f} s" if late else ""
        say(f"case {answer.case.number}: {answer.case.title}: {named}{took}")
        for one in answer.found:
            left = f", left: {', '.join(one.left)}" if one.left else ""
            took = f"{one.ended - one.began:.1f} s"
            say(f"  {one.subject.target} at {one.subject.edge}: {one.cause}{left}, {took}")
            for experiment in one.experiments:
                say(f"    {experiment.line}")


def print_bars(answers: list[Answer], seconds: float) -> int:
    """Print the bars; returns 1 when one is missed."""
    singles = [answer for answer in answers if not answer.case.pair]
    found = [one for answer in answers for one in answer.found]
    spent = [one.spent for one in found] or [0]
    took = [answer.seconds for answer in answers if answer.seconds is not None] or [0.0]
    p95 = quantiles(took, n=20)[18] if len(took) > 1 else took[0]
    right = sum(answer.right for answer in answers) / len(answers)
    wrong = sum(answer.wrong for answer in singles)
    open_ = sum(answer.named in (None, Cause.UNDETERMINED) for answer in singles)
    bars = [
        ("named, and no other", f"{right:.1%}", right >= 0.95, "at least 95 %"),
        ("wrong on single faults", str(wrong), wrong == 0, "0"),
        (
            "undetermined on single faults",
            f"{open_ / max(1, len(singles)):.1%}",
            open_ <= 0.05 * len(singles),
            "at most 5 %",
        ),
        ("experiments, median", f"{median(spent):g}", median(spent) <= 12, "at most 12"),
        ("experiments, most", str(max(spent)), max(spent) <= 20, "at most 20"),
        ("confirmation to sentence, p95", f"{p95:.1f} s", p95 <= LATE, "at most 10 s"),
        ("all cases", f"{seconds:.0f} s", seconds <= 2400, "at most 2400 s"),
    ]
    for name, value, good, bar in bars:
        say(f"{'ok  ' if good else 'MISS'} {name}: {value} (bar: {bar})")
    for share in sorted({answer.fault.share for answer in answers}, reverse=True):
        some = [answer for answer in answers if answer.fault.share == share]
        named = sum(answer.right for answer in some)
        say(f"     of faults in {share:.0%} of attempts: {named} of {len(some)}")
    return 0 if all(good for _, _, good, _ in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
