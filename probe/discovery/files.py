"""Target files: looks at them cheaply, reads what changed, keeps what was good.

A look is a ``stat`` for each file, in a worker thread since a network file system may hang.

A file that is written in place is read when nobody has written to it for ``QUIET`` seconds: half
of a list reads as well as all of it. One that was finished elsewhere and took the place of another
(a rename, the swap of a mounted ConfigMap) is whole from the start, and waits for a moment only.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import trio

from probe.discovery.reading import in_thread, read_path
from probe.discovery.status import SourceLook, in_words
from probe.documents.files import Stamp, UnreadableFile, matching, stamp
from probe.documents.problem import DocumentError
from probe.documents.targets import MOST_TARGETS, Listed
from probe.model.target import Target

SETTLE = 0.3
"""Seconds for which a file that took another's place must stay the same before it is read …"""

QUIET = 5.0
"""… and one that was written in place. Slower writers than that are for ``shrink_hold``."""

MOST_POSTPONED = 300.0
"""Seconds after which a file that is always being written is read all the same."""


@dataclass(slots=True)
class _File:
    """What is known of one file.

    Attributes:
        stamp: of the content that was read last, good or not; None asks for another try.
        listed: the last good content.
        faults: why the present content is not the one in ``listed``.
        missing: looks in a row that did not find it.
        writing_since: trio's clock when it was first found being written; None when it is not.
    """

    stamp: Stamp | None = None
    listed: Listed | None = None
    faults: tuple[str, ...] = ()
    missing: int = 0
    writing_since: float | None = None


_Looked = Mapping[Path, Stamp | None]
"""Files with their stamps; None for one that cannot be looked at."""


class FileTargets:
    """The targets of one configured path or glob."""

    def __init__(self, path: str, most: int = MOST_TARGETS) -> None:
        """Remember where to look, and how many targets of a file to take; nothing is read yet."""
        self.path = path
        self._most = most
        self._files: dict[Path, _File] = {}
        self._looked = False
        self._parts: list[tuple[Target, ...]] = []
        self._targets: tuple[Target, ...] = ()  # the parts, joined when one has changed

    async def look(self) -> SourceLook:
        """Look once, and read what has changed since the last look."""
        looked = await in_thread(lambda: _look(self.path))
        changed = self._changed(looked)
        if changed and self._looked:
            await trio.sleep(max(self._patience(path, looked[path]) for path in changed))
            again = await in_thread(lambda: _look(self.path))
            changed = [path for path in changed if self._settled(path, looked, again)]
        self._looked = True
        self._note_missing(looked)
        for path in changed:
            seen = looked[path]
            try:
                read = await read_path(path, self._most, 0 if seen is None else seen.size)
            except DocumentError as error:
                self._refuse(path, seen, error)
            else:
                self._take(path, seen, read)
        missing = () if looked else (f"{self.path}: no file of that name",)
        return self._outcome(missing)

    async def aclose(self) -> None:
        """Nothing is held open between looks."""

    def _outcome(self, missing: tuple[str, ...]) -> SourceLook:
        """All files together, in the order of their names."""
        files = [self._files[path] for path in sorted(self._files)]
        listed = [file.listed for file in files if file.listed]
        parts = [one.targets for one in listed if one.targets]
        if len(parts) != len(self._parts) or any(map(operator.is_not, parts, self._parts)):
            self._parts, self._targets = parts, tuple(chain.from_iterable(parts))
        return SourceLook(
            targets=self._targets,
            over=sum(one.over for one in listed),
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

    def _patience(self, path: Path, seen: Stamp | None) -> float:
        """Seconds for which a changed file must stay the same."""
        known = self._files.get(path)
        before = known.stamp if known is not None else None
        if before is None or seen is None:
            return SETTLE
        # A rename comes after the last write to what is renamed.
        elsewhere = (before.device, before.inode) != (seen.device, seen.inode)
        return SETTLE if elsewhere and seen.modified < seen.changed else QUIET

    def _settled(self, path: Path, before: _Looked, after: _Looked) -> bool:
        """Whether nobody is writing; a file that is always being written is read all the same."""
        file = self._files.setdefault(path, _File())
        now = trio.current_time()
        if before[path] == after.get(path):
            return True
        if file.writing_since is None:
            file.writing_since = now
        return now - file.writing_since >= MOST_POSTPONED

    def _take(self, path: Path, seen: Stamp | None, read: Listed) -> None:
        file = self._files.setdefault(path, _File())
        file.stamp, file.writing_since, file.faults = seen, None, ()
        before = file.listed
        if before is not None and _same(before, read):
            read = replace(read, targets=before.targets)  # compared by identity from here on
        file.listed = read

    def _refuse(self, path: Path, seen: Stamp | None, error: DocumentError) -> None:
        file = self._files.setdefault(path, _File())
        # What the system did not give, it may give at the next look.
        file.stamp = None if isinstance(error, UnreadableFile) else seen
        file.writing_since, file.faults = None, in_words(error.problems)

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


def _look(path: str) -> _Looked:
    try:
        return {one: stamp(one) for one in matching(Path(path))}
    except OSError:
        return {}


def _same(before: Listed, after: Listed) -> bool:
    """Whether two lists hold equal targets; long ones are not walked for it."""
    if before.digest or after.digest:
        return before.digest == after.digest
    return before.targets == after.targets
