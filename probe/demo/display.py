"""Shows a demo: a live table on a terminal, lines elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.containers import Lines
from rich.live import Live
from rich.table import Table
from rich.text import Text

from probe.demo.picture import Picture, in_words, scope
from probe.demo.verdict import Watch

_LINES_KEPT = 60
_LINES_SEEN = 4  # of what happened, also on a low terminal
_LOW = 2  # lines of a region where there is little room: as many as its name and link take
_BESIDE = 36  # columns that name, link and number of edges take
_QUIET_SECONDS = 5.0
_COLOURS = (
    ("FAULT", "red"),
    ("FALSE", "bold red"),
    ("FOUND", "bold green"),
    ("NAMED", "bold green"),
    ("BECAUSE", "green"),
    ("REPAIR", "cyan"),
)


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
        """Draw again."""
        self._picture = picture
        self._draw()

    def _draw(self) -> None:
        self._live.update(frame(self._console, self._picture, self._lines), refresh=True)


def frame(console: Console, picture: Picture | None, lines: Sequence[Text]) -> Group:
    """What fits on a terminal: the tables, and below them the newest lines.

    Where there is little room the tables say less, so that the newest line is always there.
    """
    room = console.height - 1  # a full last row would scroll
    parts: list[RenderableType] = []
    for parts in _from_full_to_none(console, picture):
        if _height(console, *parts) + _LINES_SEEN <= room:
            break
    room -= _height(console, *parts)
    newest: list[Text] = []
    for line in reversed(lines):
        room -= _height(console, line)
        if room < 0:
            break
        newest.insert(0, line)
    return Group(*parts, *newest)


def _from_full_to_none(console: Console, picture: Picture | None) -> Iterator[list[RenderableType]]:
    """The tables, each time with less in them."""
    if picture is not None:
        whole, low = _regions(console, picture, None), _regions(console, picture, _LOW)
        links, incidents = list(_links(picture)), _incidents(picture)
        yield [whole, *links, Text(), incidents, Text()]
        yield [low, *links, Text(), incidents, Text()]
        yield [low, *links]
    yield []


def _height(console: Console, *parts: RenderableType) -> int:
    return len(console.render_lines(Group(*parts), pad=False)) if parts else 0


def _regions(console: Console, picture: Picture, most: int | None) -> Table:
    """A row for each region. ``most`` bounds what it says to fail, to so many lines."""
    title = f"what each region sees, {picture.elapsed:.0f} s"
    table = Table(title=title, expand=True, box=None, pad_edge=False)
    table.add_column("region, status page", no_wrap=True)
    table.add_column("watches", no_wrap=True)
    table.add_column("fails now", ratio=1)
    for region in picture.regions:
        watched = "…" if region.edges is None else f"{region.edges} edges"
        now = _fails(console, in_words(region.seen), most)
        where = Text(f"{region.region}\n").append(region.url, style=f"link {region.url}")
        table.add_row(where, watched, now)
    return table


def _fails(console: Console, words: Sequence[str], most: int | None) -> Text:
    if not words:
        return Text("nothing", style="green")
    text = Text("\n".join(words), style="red")
    lines = text.wrap(console, console.width - _BESIDE)
    if most is None or len(lines) <= most:
        return text
    if len(words) > 1:  # a kind on each line, and how many there are besides
        left = len(words) - most
        kinds = [*words[: most - 1], f"{left} more, and {words[most - 1]}" if left else words[-1]]
        lines = Lines(Text(kind, style="red") for kind in kinds)
    for line in lines:
        line.truncate(console.width - _BESIDE, overflow="ellipsis")
    return Text("\n").join(lines[:most])


def _links(picture: Picture) -> Iterator[Text]:
    for name, url in picture.links:
        yield Text(f"{name}  ", no_wrap=True).append(url, style=f"link {url}")


def _incidents(picture: Picture) -> Table:
    table = Table(expand=True, box=None, pad_edge=False)
    for heading in ("incident", "lasts", "found", "named", "over in"):
        table.add_column(heading, no_wrap=True)
    for watch in picture.watches:
        table.add_row(watch.incident.name, *_progress(watch, picture))
    return table


def _progress(watch: Watch, picture: Picture) -> tuple[str, str, str, str]:
    if watch.fault_at is None:
        return "to come", "", "", ""
    ended = watch.repaired_at or picture.at
    found = "" if watch.seconds is None else f"{watch.seconds:.1f} s, {watch.region}"
    named = "" if watch.seconds is None else scope(watch)
    recovered = ""
    if watch.recovered_at is not None and watch.repaired_at is not None:
        recovered = f"{watch.recovered_at - watch.repaired_at:.1f} s"
    return f"{ended - watch.fault_at:.0f} s", found, named, recovered
