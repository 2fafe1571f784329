"""Target files: looks at them cheaply, reads what changed, keeps what was good.

A look is a ``stat`` for each file, in a worker thread since a network file system may hang. The
stamp follows symbolic links, so the swap of a mounted ConfigMap shows as another inode.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

import trio

from probe.discovery.document import ListProblem, Parsed, parse_list
from probe.discovery.syntax import Syntax
from probe.model.target import Target

A = TypeVar("A")
T = TypeVar("T")

LARGEST = 32 * 1024 * 1024
"""Bytes of a file that is still read."""

SETTLE = 0.3
"""Seconds for which a changed file must stay the same before it is read: it may be half written."""

_MOST_POSTPONED = 3
_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Stamp:
    """Changes when the content may have changed."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp of a file that was looked at."""
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


@dataclass(slots=True)
class _File:
    """What is known of one file.

    Attributes:
        stamp: of the content that was read last, good or not; None asks for another try.
        parsed: the last good content.
        problem: why the present content is not the one in ``parsed``.
        missing: looks in a row that did not find it.
        postponed: looks in a row that found it being written.
    """

    stamp: Stamp | None = None
    parsed: Parsed | None = None
    problem: str = ""
    missing: int = 0
    postponed: int = 0


Looked = Stamp | str
"""A file's stamp, or why there is none."""


class FileTargets:
    """The targets of one configured path or glob."""

    def __init__(self, path: str) -> None:
        """Remember where to look; nothing is read yet."""
        self.path = path
        self._files: dict[Path, _File] = {}
        self._problem = ""

    @property
    def targets(self) -> Sequence[Target]:
        """What the files gave when they were last good, in the order of their names."""
        return [
            target
            for path in sorted(self._files)
            if (parsed := self._files[path].parsed)
            for target in parsed.targets
        ]

    @property
    def rejected(self) -> int:
        """Entries that are no targets."""
        return sum(file.parsed.rejected for file in self._files.values() if file.parsed)

    @property
    def faults(self) -> tuple[str, ...]:
        """Why the last look was not good; empty when it was."""
        faults = [
            f"{path}: {file.problem}" for path, file in sorted(self._files.items()) if file.problem
        ]
        return (self._problem, *faults) if self._problem else tuple(faults)

    @property
    def complaints(self) -> tuple[str, ...]:
        """What is wrong with single entries of files that are good as a whole."""
        return tuple(
            f"{path}: {problem}"
            for path, file in sorted(self._files.items())
            if file.parsed
            for problem in file.parsed.problems
        )

    async def look(self) -> None:
        """Look once; afterwards the properties tell the outcome."""
        first = not self._files
        looked = await _in_thread(_look, self.path)
        changed = self._changed(looked)
        if changed and not first:
            await trio.sleep(SETTLE)
            again = await _in_thread(_look, self.path)
            changed = [path for path in changed if self._settled(path, looked, again)]
        self._note_missing(looked)
        if changed:
            for path, read in (await _in_thread(_read_all, changed)).items():
                self._take(path, read)

    async def aclose(self) -> None:
        """Nothing is held open between looks."""

    def _changed(self, looked: Mapping[Path, Looked]) -> list[Path]:
        return [
            path
            for path, stamp in looked.items()
            if path not in self._files or self._files[path].stamp != stamp
        ]

    def _settled(
        self, path: Path, before: Mapping[Path, Looked], after: Mapping[Path, Looked]
    ) -> bool:
        """Whether nobody is writing; a file that is always being written is read all the same."""
        file = self._files.get(path)
        if file is None or before[path] == after.get(path) or file.postponed >= _MOST_POSTPONED:
            return True
        file.postponed += 1
        return False

    def _take(self, path: Path, read: _Read) -> None:
        file = self._files.setdefault(path, _File())
        file.stamp, file.postponed = read.stamp, 0
        if isinstance(read.content, Parsed):
            file.parsed, file.problem = read.content, ""
        else:
            file.problem = read.content

    def _note_missing(self, looked: Mapping[Path, Looked]) -> None:
        """A file that left a glob is dropped at the second look, unless no file is left at all.

        Some programs replace a file by removing it first; and a directory that is empty of a
        sudden is a mount that went away rather than a wish for no targets.
        """
        self._problem = "" if looked else f"{self.path}: no file of that name"
        for path in [path for path in self._files if path not in looked]:
            file = self._files[path]
            file.missing += 1
            file.problem = "it is gone"
            file.stamp = None
            if looked and file.missing > 1:
                del self._files[path]
        for path in looked:
            if path in self._files:
                self._files[path].missing = 0


@dataclass(frozen=True, slots=True)
class _Read:
    """What reading a file gave: its targets, or why there are none."""

    stamp: Stamp | None
    content: Parsed | str


async def _in_thread(function: Callable[[A], T], argument: A) -> T:
    """Abandoned on cancellation: a file system that hangs must not hold up the end."""
    return await trio.to_thread.run_sync(function, argument, abandon_on_cancel=True)


def _look(path: str) -> dict[Path, Looked]:
    """The files of a path or glob with their stamps; a single path is there even if missing."""
    whole = Path(path)
    if not _MAGIC & set(whole.name):
        return {whole: _stamp(whole)}
    try:
        # Dot files are left out as a shell does; a ConfigMap's ..data is one.
        found = [
            one
            for one in whole.parent.iterdir()
            if not one.name.startswith(".") and fnmatchcase(one.name, whole.name)
        ]
    except OSError:
        return {}
    return {one: _stamp(one) for one in sorted(found)}


def _stamp(path: Path) -> Looked:
    try:
        return Stamp.of(path.stat())
    except OSError as error:
        return _why(error)


def _read_all(paths: Sequence[Path]) -> dict[Path, _Read]:
    return {path: _read(path) for path in paths}


def _read(path: Path) -> _Read:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
            return _Read(None, "it is no regular file")
        with path.open("rb") as file:
            stamp = Stamp.of(os.fstat(file.fileno()))
            data = file.read(LARGEST + 1)
    except OSError as error:
        return _Read(None, _why(error))
    if len(data) > LARGEST:
        return _Read(stamp, f"it is larger than {LARGEST // 1024**2} MiB")
    syntax: Syntax = "json" if path.suffix == ".json" else "yaml"
    try:
        return _Read(stamp, parse_list(data, syntax))
    except ListProblem as problem:
        return _Read(stamp, str(problem))


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__
