"""``python -m tests.causes.flows``: the confusion matrix and the bars for flows."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median, quantiles

import trio

from probe.model.flow_cause import FlowCause
from tests.causes.flow_cases import flow_cases
from tests.causes.flow_play import FlowAnswer, play_flows

BATCH = 8


def main() -> int:
    """Play the cases, print what came out, and fail below the bars."""
    parser = argparse.ArgumentParser(prog="python -m tests.causes.flows")
    parser.add_argument("--batch", type=int, default=BATCH, help="cases side by side")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of cases")
    parser.add_argument("--times", type=int, default=1, help="each case so often")
    given = parser.parse_args()
    cases = [c for c in flow_cases() if not given.only or c.number in given.only] * given.times
    began, answers = time.monotonic(), list[FlowAnswer]()
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(cases), given.batch):
            some = cases[start : start + given.batch]
            played = trio.run(play_flows, some, Path(folder))
            answers += played
            for answer in played:
                if not answer.right:
                    print_miss(answer)
            say(f"{len(answers)} cases, {sum(answer.right for answer in answers)} right")
    print_matrix(answers)
    return print_bars(answers, time.monotonic() - began)


def say(line: str) -> None:
    """Write a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_miss(answer: FlowAnswer) -> None:
    """Print a fault whose cause was not named, with what was seen."""
    say(f"case {answer.case.number}: {answer.case.title}: {answer.named or 'no answer'}")
    for one in answer.found:
        say(f"  {one.subject.persona} {one.step}: {one.sentence}")
        for experiment in one.experiments:
            say(f"    {experiment.line}")


def print_matrix(answers: list[FlowAnswer]) -> None:
    """Print a row for each cause: what was named when it was injected."""
    rows: dict[str, Counter[str]] = {}
    for answer in answers:
        row = "/".join(sorted(answer.case.causes))
        rows.setdefault(row, Counter())[answer.named or "no answer"] += 1
    say("injected                named")
    for cause, counts in sorted(rows.items()):
        named = ", ".join(f"{name} {times}" for name, times in counts.most_common())
        say(f"{cause:23} {named}")


def print_bars(answers: list[FlowAnswer], seconds: float) -> int:
    """Print the bars; returns 1 when one is missed."""
    spent = [one.spent for answer in answers for one in answer.found] or [0]
    took = [answer.seconds for answer in answers if answer.seconds is not None] or [0.0]
    p95 = quantiles(took, n=20)[18] if len(took) > 1 else took[0]
    right = sum(answer.right for answer in answers) / len(answers)
    wrong = sum(answer.wrong for answer in answers)
    open_ = sum(answer.named in (None, FlowCause.UNDETERMINED) for answer in answers)
    bars = [
        ("named, and no other", f"{right:.1%}", right >= 0.95, "at least 95 %"),
        ("wrong", str(wrong), wrong == 0, "0"),
        ("undetermined", f"{open_ / len(answers):.1%}", open_ <= 0.05 * len(answers), "5 %"),
        ("calls, median", f"{median(spent):g}", median(spent) <= 12, "at most 12"),
        ("calls, most", str(max(spent)), max(spent) <= 20, "at most 20"),
        ("confirmation to sentence, p95", f"{p95:.1f} s", p95 <= 10.0, "at most 10 s"),
        ("all cases", f"{seconds:.0f} s", seconds <= 2400, "at most 2400 s"),
    ]
    for name, value, good, bar in bars:
        say(f"{'ok  ' if good else 'MISS'} {name}: {value} (bar: {bar})")
    for share in sorted({answer.case.share for answer in answers}, reverse=True):
        some = [answer for answer in answers if answer.case.share == share]
        named = sum(answer.right for answer in some)
        say(f"     of faults in {share:.0%} of calls: {named} of {len(some)}")
    return 0 if all(good for _, _, good, _ in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
