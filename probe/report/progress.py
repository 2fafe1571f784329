"""How far a round is, on a console that the caller gives: a bar, or a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINE_EVERY = 10.0
"""Seconds between lines where nobody watches: a pipeline's log shows that work goes on."""


@dataclass(frozen=True, slots=True)
class RoundProgress:
    """How far a round is.

    Attributes:
        done: attempts finished; grows.
        known: attempts known so far; grows while DNS is still answering.
        wrong: edges or flows that are not right (yet).
        round: counts from 1.
    """

    done: int
    known: int
    wrong: int
    round: int = 1


OnProgress = Callable[[RoundProgress], None]


@contextmanager
def progress_on(
    console: Console, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[OnProgress]:
    """What to tell how far the work is: a bar on a terminal, else a line now and then."""
    if console.is_terminal:
        with _bar(console) as told:
            yield told
    else:
        yield _lines(console, clock)


@contextmanager
def _bar(console: Console) -> Iterator[OnProgress]:
    columns = (
        TextColumn("round {task.fields[round]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[wrong]} not right"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("probing", total=None, wrong=0, round=1)

        def told(progress: RoundProgress) -> None:
            bar.update(
                task,
                completed=progress.done,
                total=progress.known,
                wrong=progress.wrong,
                round=progress.round,
            )

        yield told


def _lines(console: Console, clock: Callable[[], float]) -> OnProgress:
    due = clock() + LINE_EVERY

    def told(progress: RoundProgress) -> None:
        nonlocal due
        if clock() >= due:
            due = clock() + LINE_EVERY
            done = f"{progress.done} of {progress.known} probed"
            console.print(f"round {progress.round}: {done}, {progress.wrong} not right")

    return told
