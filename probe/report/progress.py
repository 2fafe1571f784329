"""How far a round is: a bar and what fails so far on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

LINE_EVERY = 10.0
"""Seconds between lines where there is no terminal: a pipeline's log shows that work goes on."""

_BAR_EVERY = 0.1
_BESIDE = 4  # lines of a terminal that the bar and what came before take
_NEW_SHOWN = 5  # of what fails, with each line where there is no terminal


@dataclass(frozen=True, slots=True)
class RoundProgress:
    """How far a round is.

    Attributes:
        done: attempts finished; grows.
        known: attempts known so far; grows while DNS is still answering.
        wrong: edges or flows that are not right (yet).
        round: counts from 1.
        failing: what is not right, in words, and for how many targets; in the order of its coming.
    """

    done: int
    known: int
    wrong: int
    round: int = 1
    failing: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def line(self, words: str) -> str:
        """Say one of what is not right, with the number of its targets where it is several."""
        count = self.failing[words]
        return f"✗ {words}" + (f"  {count} targets" if count > 1 else "")


OnProgress = Callable[[RoundProgress], None]


@contextmanager
def progress_on(
    console: Console, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[OnProgress]:
    """Yield what is told the progress: a bar on a terminal, else a line now and then."""
    if console.is_terminal:
        with _bar(console, clock) as told:
            yield told
    else:
        yield _lines(console, clock)


class _Bar(Progress):
    """A bar with what fails so far below it, as it comes; all of it goes when the round ends."""

    latest = RoundProgress(0, 0, 0)

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield the bar, then a line for each kind of failure."""
        yield from super().get_renderables()
        failing = list(self.latest.failing)
        if not failing:
            return
        room = max(1, self.console.height - _BESIDE)
        for words in failing[:room]:
            yield Text(self.latest.line(words), style="red", no_wrap=True, overflow="ellipsis")
        if len(failing) > room:
            yield Text(f"and {len(failing) - room} more")


@contextmanager
def _bar(console: Console, clock: Callable[[], float]) -> Iterator[OnProgress]:
    columns = (
        TextColumn("round {task.fields[round]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[wrong]} not right"),
        TimeElapsedColumn(),
    )
    due = 0.0
    with _Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("probing", total=None, wrong=0, round=1)

        def told(progress: RoundProgress) -> None:
            nonlocal due
            if (now := clock()) < due and progress.done < progress.known:
                return
            due = now + _BAR_EVERY
            bar.latest = progress
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
    said: set[str] = set()

    def told(progress: RoundProgress) -> None:
        nonlocal due
        if clock() < due:
            return
        due = clock() + LINE_EVERY
        done = f"{progress.done} of {progress.known} probed"
        lines = [f"round {progress.round}: {done}, {progress.wrong} not right"]
        new = [words for words in progress.failing if words not in said]
        said.update(new)
        lines += [f"  {progress.line(words)}" for words in new[:_NEW_SHOWN]]
        if len(new) > _NEW_SHOWN:
            lines.append(f"  and {len(new) - _NEW_SHOWN} more")
        for line in lines:
            console.print(Text(line), soft_wrap=True)

    return told
