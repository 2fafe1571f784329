"""Target files: looks at them cheaply, reads what changed, keeps what was good.

A look is a ``stat`` for each file, in a worker thread since a network file system may hang.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import trio

from probe.discovery.status import SourceLook, in_words
from probe.documents.files import Stamp, UnreadableFile, matching, stamp
from probe.documents.problem import DocumentError
from probe.documents.targets import Listed, read_file

A = TypeVar("A")
T = TypeVar("T")

SETTLE = 0.3
"""Seconds for which a changed file must stay the same before it is read: it may be half written."""

_MOST_POSTPONED = 3


@dataclass(slots=True)
class _File:
    """What is known of one file.

    Attributes:
        stamp: of the content that was read last, good or not; None asks for another try.
        listed: the last good content.
        faults: why the present content is not the one in ``listed``.
        missing: looks in a row that did not find it.
        postponed: looks in a row that found it being written.
    """

    stamp: Stamp | None = None
    listed: Listed | None = None
    faults: tuple[str, ...] = ()
    missing: int = 0
    postponed: int = 0


_Looked = Mapping[Path, Stamp | None]
"""Files with their stamps; None for one that cannot be looked at."""


class FileTargets:
    """The targets of one configured path or glob."""

    def __init__(self, path: str) -> None:
        """Remember where to look; nothing is read yet."""
        self.path = path
        self._files: dict[Path, _File] = {}
        self._looked = False

    async def look(self) -> SourceLook:
        """Look once, and read what has changed since the last look."""
        looked = await _in_thread(_look, self.path)
        changed = self._changed(looked)
        if changed and self._looked:
            await trio.sleep(SETTLE)
            again = await _in_thread(_look, self.path)
            changed = [path for path in changed if self._settled(path, looked, again)]
        self._looked = True
        self._note_missing(looked)
        if changed:
            for path, read in (await _in_thread(_read_all, changed)).items():
                self._take(path, looked[path], read)
        missing = () if looked else (f"{self.path}: no file of that name",)
        return self._outcome(missing)

    async def aclose(self) -> None:
        """Nothing is held open between looks."""

    def _outcome(self, missing: tuple[str, ...]) -> SourceLook:
        """All files together, in the order of their names."""
        files = [self._files[path] for path in sorted(self._files)]
        listed = [file.listed for file in files if file.listed]
        return SourceLook(
            targets=tuple(target for one in listed for target in one.targets),
            rejected=sum(one.rejected for one in listed),
            faults=(*missing, *(fault for file in files for fault in file.faults)),
            complaints=tuple(line for one in listed for line in in_words(one.problems)),
        )

    def _changed(self, looked: _Looked) -> list[Path]:
        return [
            path
            for path, seen in looked.items()
            if path not in self._files or seen is None or self._files[path].stamp != seen
        ]

    def _settled(self, path: Path, before: _Looked, after: _Looked) -> bool:
        """Whether nobody is writing; a file that is always being written is read all the same."""
        file = self._files.setdefault(path, _File())
        if before[path] == after.get(path) or file.postponed >= _MOST_POSTPONED:
            return True
        file.postponed += 1
        return False

    def _take(self, path: Path, seen: Stamp | None, read: Listed | DocumentError) -> None:
        file = self._files.setdefault(path, _File())
        # What the system did not give, it may give at the next look.
        file.stamp = None if isinstance(read, UnreadableFile) else seen
        file.postponed = 0
        if isinstance(read, Listed):
            file.listed, file.faults = read, ()
        else:
            file.faults = in_words(read.problems)

    def _note_missing(self, looked: _Looked) -> None:
        """A file that left a glob is dropped at the second look, unless no file is left at all.

        Some programs replace a file by removing it first; and a directory that is empty of a
        sudden is a mount that went away rather than a wish for no targets.
        """
        for path in [path for path in self._files if path not in looked]:
            file = self._files[path]
            file.missing += 1
            file.faults = (f"{path}: it is gone",)
            file.stamp = None
            if looked and file.missing > 1:
                del self._files[path]
        for path in looked:
            if path in self._files:
                self._files[path].missing = 0


async def _in_thread(function: Callable[[A], T], argument: A) -> T:
    """Abandoned on cancellation: a file system that hangs must not hold up the end."""
    return await trio.to_thread.run_sync(function, argument, abandon_on_cancel=True)


def _look(path: str) -> _Looked:
    try:
        return {one: stamp(one) for one in matching(Path(path))}
    except OSError:
        return {}


def _read_all(paths: Sequence[Path]) -> dict[Path, Listed | DocumentError]:
    read: dict[Path, Listed | DocumentError] = {}
    for path in paths:
        try:
            read[path] = read_file(path)
        except DocumentError as error:
            read[path] = error
    return read
