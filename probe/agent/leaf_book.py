"""Keeps which certificates were served, so that a change during a restart is a change all the same.

One file of JSON lines in the state directory: what changed is added at the end, and a start keeps
the last line of each subject. A line that was cut off by a crash is passed over. A file that grew
long is written anew in the same way.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import trio

from probe.agent.log import EventLog
from probe.documents.files import append_to, open_regular, replace_file
from probe.serve import CertificatesKey
from probe.state.leaves import WatchedLeaf

FILE = "certificates.jsonl"
EVERY = 15.0
"""Seconds between writes; what changed in the last of them may be told twice after a crash."""

_AT_ONCE = 500
"""Lines of one write: some milliseconds of work."""

_KEEP = 90 * 86_400.0
"""Seconds after its certificate's end that a subject is kept."""

_MOST = 100_000

_LONG = 128 * 1024 * 1024
"""Bytes of a file that is written anew: twice what so many subjects need."""

_LONGEST_LINE = 64 * 1024


class LeafBook:
    """The certificates of every check, in the state directory.

    Args:
        folder: as configured; made when first written.
        log: told when it cannot be read or written, and when it can again.
    """

    def __init__(self, folder: Path, log: EventLog) -> None:
        self._path = folder / FILE
        self._log = log
        self._before: dict[CertificatesKey, WatchedLeaf] = {}
        self._changed: dict[CertificatesKey, WatchedLeaf] = {}
        self._problem = ""

    async def load(self, now: float) -> None:
        """Read what was kept, and write it anew without what is stale. ``now`` is wall time."""
        try:
            self._before = await trio.to_thread.run_sync(_read, self._path, now)
        except FileNotFoundError:
            return
        except OSError as error:
            self._tell(error)
            return
        lines = list(_lines(self._before.items()))
        await self._written(_rewrite, lines)

    def recall(self, key: CertificatesKey) -> WatchedLeaf | None:
        """Give what was known before the start, once."""
        return self._before.pop(key, None)

    def note(self, key: CertificatesKey, leaf: WatchedLeaf) -> None:
        """Have it written soon."""
        self._changed[key] = leaf

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write what changed until cancelled, and once more then."""
        task_status.started()
        try:
            while True:
                await trio.sleep(EVERY)
                await self._write()
        finally:
            with trio.move_on_after(2, shield=True):
                await self._write()

    async def _write(self) -> None:
        while self._changed:
            some = [(key, self._changed.pop(key)) for key in [*self._changed][:_AT_ONCE]]
            if not await self._written(_append, list(_lines(some))):
                self._changed = {**dict(some), **self._changed}
                return

    async def _written(self, write: Callable[[Path, str], None], lines: list[str]) -> bool:
        try:
            await trio.to_thread.run_sync(write, self._path, "".join(lines))
        except OSError as error:
            self._tell(error)
            return False
        self._tell(None)
        return True

    def _tell(self, error: OSError | None) -> None:
        problem = "" if error is None else error.strerror or type(error).__name__
        if problem and problem != self._problem:
            note = "after a restart a change of a certificate before it may be missed or told again"
            self._log.error(
                "certificates cannot be kept", file=str(self._path), problem=problem, note=note
            )
        elif self._problem and not problem:
            self._log.info("certificates can be kept again", file=str(self._path))
        self._problem = problem


def _lines(known: Iterable[tuple[CertificatesKey, WatchedLeaf]]) -> Iterator[str]:
    for key, leaf in known:
        yield json.dumps({"key": [*key], **leaf.plain()}, separators=(",", ":")) + "\n"


def _read(path: Path, now: float) -> dict[CertificatesKey, WatchedLeaf]:
    found: dict[CertificatesKey, WatchedLeaf] = {}
    with open(path, "rb", opener=open_regular) as file:
        if os.fstat(file.fileno()).st_size > 2 * _LONG:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        while line := file.readline(_LONGEST_LINE):
            try:
                plain = json.loads(line)
                check, target, provider, key_type = map(str, plain["key"])
                leaf = WatchedLeaf.of(plain)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue
            key = CertificatesKey(check, target, provider, key_type)
            found.pop(key, None)
            if leaf.current.not_after + _KEEP > now:
                found[key] = leaf
    for key in [*found][:-_MOST]:
        del found[key]
    return found


def _append(path: Path, text: str) -> None:
    if append_to(path, text.encode()) > _LONG:
        _rewrite(path, "".join(_lines(_read(path, time.time()).items())))


def _rewrite(path: Path, text: str) -> None:
    replace_file(path, text.encode())
