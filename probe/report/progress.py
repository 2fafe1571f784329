"""How far a round is, on a console that the caller gives: a bar, or a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINE_EVERY = 10.0
"""Seconds between lines where nobody watches: a pipeline's log shows that work goes on."""


class Standing(Protocol):
    """How far a round is; see ``probe.agent.gate.rounds.Progress``."""

    @property
    def done(self) -> int:
        """Attempts finished."""
        ...

    @property
    def known(self) -> int:
        """Attempts known so far."""
        ...

    @property
    def wrong(self) -> int:
        """Edges or flows that are not right."""
        ...

    @property
    def round(self) -> int:
        """Counts from 1."""
        ...


Told = Callable[[Standing], None]


@contextmanager
def progress_on(console: Console, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Told]:
    """What to tell how far the work is: a bar on a terminal, else a line now and then."""
    if console.is_terminal:
        with _bar(console) as told:
            yield told
    else:
        yield _lines(console, clock)


@contextmanager
def _bar(console: Console) -> Iterator[Told]:
    columns = (
        TextColumn("round {task.fields[round]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[wrong]} not right"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("probing", total=None, wrong=0, round=1)

        def told(standing: Standing) -> None:
            bar.update(
                task,
                completed=standing.done,
                total=standing.known,
                wrong=standing.wrong,
                round=standing.round,
            )

        yield told


def _lines(console: Console, clock: Callable[[], float]) -> Told:
    due = clock() + LINE_EVERY

    def told(standing: Standing) -> None:
        nonlocal due
        if clock() >= due:
            due = clock() + LINE_EVERY
            done = f"{standing.done} of {standing.known} probed"
            console.print(f"round {standing.round}: {done}, {standing.wrong} not right")

    return told
