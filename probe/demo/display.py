"""Shows a demo: a live table on a terminal, lines elsewhere."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from probe.demo.picture import Picture, in_words
from probe.demo.verdict import Watch

_LINES_KEPT = 14
_QUIET_SECONDS = 5.0
_COLOURS = (("FAULT", "red"), ("FALSE", "bold red"), ("FOUND", "bold green"), ("REPAIR", "cyan"))


class Display(Protocol):
    """Where a demo is shown."""

    def __enter__(self) -> Display:
        """Begin to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, leaving the last picture where it is."""

    def say(self, elapsed: float, text: str) -> None:
        """Something happened."""

    def show(self, picture: Picture) -> None:
        """This is how things are now."""


def open_display(stdout: TextIO) -> Display:
    """The right display for where the output goes."""
    if stdout.isatty():
        return LiveDisplay(Console(file=stdout))
    return LineDisplay(stdout)


class LineDisplay:
    """Plain lines, for logs and pipes."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout
        self._told: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> LineDisplay:
        """Nothing to begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def say(self, elapsed: float, text: str) -> None:
        """One line, at once also through a pipe."""
        self._stdout.write(f"[{elapsed:6.1f} s] {text}\n")
        self._stdout.flush()

    def show(self, picture: Picture) -> None:
        """What a region sees, when that changed and not too often."""
        for region in picture.regions:
            words = "; ".join(in_words(region.seen)) or "all passes"
            before, at = self._told.get(region.region, ("all passes", -_QUIET_SECONDS))
            if words != before and picture.elapsed - at >= _QUIET_SECONDS:
                self._told[region.region] = (words, picture.elapsed)
                self.say(picture.elapsed, f"{region.region}: {words}")


class LiveDisplay:
    """A table of regions, the incidents, and the latest lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)
        self._lines: deque[Text] = deque(maxlen=_LINES_KEPT)
        self._picture: Picture | None = None

    def __enter__(self) -> LiveDisplay:
        """Take over the lower part of the terminal."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._live.stop()

    def say(self, elapsed: float, text: str) -> None:
        """Add a line below the table."""
        style = next((colour for word, colour in _COLOURS if text.startswith(word)), "")
        self._lines.append(Text(f"{elapsed:6.1f} s  {text}", style=style))
        self._draw()

    def show(self, picture: Picture) -> None:
        """Draw anew."""
        self._picture = picture
        self._draw()

    def _draw(self) -> None:
        parts: list[Table | Text] = []
        if self._picture is not None:
            parts += [_regions(self._picture), _incidents(self._picture), Text()]
        self._live.update(Group(*parts, *self._lines), refresh=True)


def _regions(picture: Picture) -> Table:
    table = Table(title=f"what each region sees, {picture.elapsed:.0f} s", expand=True)
    for heading in ("region", "status page", "watches", "fails now"):
        table.add_column(heading)
    for region in picture.regions:
        watched = "…" if region.edges is None else f"{region.edges} edges"
        words = in_words(region.seen)
        now = Text("\n".join(words), style="red") if words else Text("nothing", style="green")
        link = Text(region.url, style=f"link {region.url}")
        table.add_row(region.region, link, watched, now)
    return table


def _incidents(picture: Picture) -> Table:
    table = Table(expand=True)
    for heading in ("incident", "since the fault", "found after", "by", "recovery seen after"):
        table.add_column(heading)
    for watch in picture.watches:
        table.add_row(watch.incident.name, *_progress(watch, picture))
    return table


def _progress(watch: Watch, picture: Picture) -> tuple[str, str, str, str]:
    if watch.fault_at is None:
        return "to come", "", "", ""
    ended = watch.repaired_at or picture.at
    found = "" if watch.seconds is None else f"{watch.seconds:.1f} s"
    recovered = ""
    if watch.recovered_at is not None and watch.repaired_at is not None:
        recovered = f"{watch.recovered_at - watch.repaired_at:.1f} s"
    return f"{ended - watch.fault_at:.0f} s", found, watch.region or "", recovered
