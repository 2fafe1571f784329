"""A target list read in a process of its own, and given back in small parts.

Reading a long list takes seconds of Python and hundreds of MiB for a moment: in the agent it would
hold the interpreter's lock and make probes late. The child writes pickles, one after the other: a
`Head`, then the targets, ``PART`` at a time, so that whoever reads them can pause in between. It
is our own program, so what it writes is trusted.
"""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Any

from probe.documents.files import UnreadableFile
from probe.documents.problem import DocumentError, Problem
from probe.documents.targets import Listed, read_file, read_list
from probe.model.target import Target

PART = 500
"""Targets in one pickle: some three milliseconds to read."""

_NICE = 10  # probes go before a list


@dataclass(frozen=True, slots=True)
class Head:
    """What a list is, without its targets.

    Attributes:
        digest: of the targets: equal for equal ones.
        rejected: as in `Listed`.
        over: number of targets beyond the limit.
        problems: of a list that can be used; or why it cannot, when ``refused``.
        unreadable: refused by the system: the same file may be read later.
    """

    digest: bytes = b""
    rejected: int = 0
    over: int = 0
    problems: tuple[Problem, ...] = ()
    refused: bool = False
    unreadable: bool = False


def pickled(answer: object) -> bytes:
    """The bytes of a value; read-only mappings have no pickle of their own, until this ran once."""
    copyreg.pickle(MappingProxyType, lambda view: (read_only, (dict(view),)))
    return pickle.dumps(answer)


def read_only(items: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    """What a pickled read-only mapping is made again with."""
    return MappingProxyType(items)


def packed(listed: Listed) -> Iterator[bytes]:
    """The pickles of a list."""
    parts = [
        pickled(listed.targets[start : start + PART])
        for start in range(0, len(listed.targets), PART)
    ]
    digest = blake2b(b"".join(parts)).digest()
    yield pickled(Head(digest, listed.rejected, listed.over, listed.problems))
    yield from parts


def unpacked(data: bytes) -> tuple[Head, Iterator[tuple[Target, ...]]]:
    """The head of a list, and its targets in parts that are read when asked for."""
    stream = io.BytesIO(data)
    head: Head = pickle.load(stream)  # noqa: S301 - our own child wrote it

    def parts() -> Iterator[tuple[Target, ...]]:
        while stream.tell() < len(data):
            yield pickle.load(stream)  # noqa: S301 - our own child wrote it

    return head, parts()


def main(path: str, most: str, shown: str = "") -> None:
    """The child: read a file, or JSON on standard input that is ``shown`` as something."""
    os.nice(_NICE)
    try:
        if path:
            listed = read_file(Path(path), most=int(most))
        else:
            listed = read_list(sys.stdin.buffer.read(), "json", shown, most=int(most))
        pickles = packed(listed)
    except DocumentError as error:
        unreadable = isinstance(error, UnreadableFile)
        head = Head(problems=error.problems, refused=True, unreadable=unreadable)
        pickles = iter([pickled(head)])
    for one in pickles:
        sys.stdout.buffer.write(one)


if __name__ == "__main__":
    from probe.documents import packed as named  # noqa: PLW0406 - the name by which the parent finds what is in the pickles

    named.main(*sys.argv[1:])
