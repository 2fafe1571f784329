"""Reads a target list without making a probe late.

A short list is read in a thread: that costs less than a process. A longer one is read in a process
of its own, and its targets are taken over in parts, with pauses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import trio

from probe.documents.files import UnreadableFile
from probe.documents.packed import question, unpacked
from probe.documents.problem import Problem
from probe.documents.targets import Listed, read_file, read_list
from probe.model.target import Target
from probe.net.apart import once
from probe.net.child import Unanswered

T = TypeVar("T")

SHORT = 16 * 1024
"""Bytes up to which a list is read in a thread: some ten milliseconds."""

PATIENCE = 120.0
"""Seconds. The longest list that is accepted takes some ten seconds."""


async def read_path(path: Path, most: int, size: int) -> Listed:
    """The targets of a file, at most so many.

    Args:
        path: JSON when it ends in ``.json``, else YAML.
        most: targets.
        size: bytes of the file when it was looked at.

    Raises:
        DocumentError: the file or its content as a whole cannot be used.
    """
    if size > SHORT:
        return await _apart(question(path, most), str(path))
    return await in_thread(lambda: read_file(path, most=most))


async def read_answer(data: bytes, shown: str, most: int) -> Listed:
    """The targets of a JSON list that somebody sent, as `read_path`."""
    if len(data) > SHORT:
        return await _apart(question(None, most, shown, data), shown)
    return await in_thread(lambda: read_list(data, "json", shown, most=most))


async def in_thread(read: Callable[[], T]) -> T:
    """Read in a thread, abandoned on cancellation: a file system may hang, the end may not."""
    return await trio.to_thread.run_sync(read, abandon_on_cancel=True)


async def _apart(asked: bytes, shown: str) -> Listed:
    """Have it read by a child; cancelled, it ends at once with the child."""
    try:
        listed, parts = unpacked(await once("probe.documents.packed", asked, PATIENCE))
        targets: list[Target] = []
        for part in parts:
            targets += part
            await trio.lowlevel.checkpoint()
    except Unanswered as error:
        why = f"the process that reads it {error}"  # the next look may go better
        raise UnreadableFile(Problem(shown, 1, 1, why)) from error
    return replace(listed, targets=tuple(targets))
