"""A target list read in a process of its own, and given back in small parts.

Reading a long list takes seconds of Python and hundreds of MiB for a moment: in the agent it would
hold the interpreter's lock and make probes late. The child writes lines of JSON: what the list is,
then its targets, ``PART`` at a time, so that whoever reads them can pause in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

from probe.documents.files import UnreadableFile
from probe.documents.problem import DocumentError, Problem
from probe.documents.targets import Listed, read_file, read_list
from probe.model.target import Target
from probe.net.child import made, plain

PART = 500
"""Targets in one line: a millisecond or two to read."""


def question(path: Path | None, most: int, shown: str = "", data: bytes = b"") -> bytes:
    """What a child is asked: a file, or JSON that somebody sent and that is ``shown`` as such."""
    return json.dumps([path and str(path), most, shown]).encode() + b"\n" + data


def answer(data: bytes) -> bytes:
    """What it answers; digests are equal for equal targets."""
    head, _, body = data.partition(b"\n")
    path, most, shown = json.loads(head)
    try:
        if path:
            listed = read_file(Path(path), most=most)
        else:
            listed = read_list(body, "json", shown, most=most)
    except DocumentError as error:
        return json.dumps(plain((isinstance(error, UnreadableFile), error.problems))).encode()
    targets = listed.targets
    parts = [_part(targets[start : start + PART]) for start in range(0, len(targets), PART)]
    digest = blake2b(b"".join(parts)).digest()
    head = json.dumps(plain(replace(listed, targets=(), digest=digest))).encode()
    return b"\n".join([head, *parts])


def _part(targets: Sequence[Target]) -> bytes:
    """Targets in groups of the same labels, each of which is read as one object."""
    groups = groupby(targets, key=lambda target: target.labels)
    rows = [(labels, [(one.name, one.port) for one in same]) for labels, same in groups]
    return json.dumps(plain(rows)).encode()


def unpacked(data: bytes) -> tuple[Listed, Iterator[list[Target]]]:
    """A list without its targets, and these in parts that are read when asked for.

    Raises DocumentError when there is none, and Unanswered.
    """
    head, *parts = data.split(b"\n")
    found = made(head, Listed, Problem)
    if not isinstance(found, Listed):
        raise (UnreadableFile if found[0] else DocumentError)(*found[1])
    return found, _targets(parts)


def _targets(parts: Sequence[bytes]) -> Iterator[list[Target]]:
    shared = MappingProxyType[str, str]({})
    for part in parts:
        targets = []
        for labels, rows in made(part):
            shared = shared if shared == labels else MappingProxyType(labels)
            targets += [Target(name, port, shared) for name, port in rows]
        yield targets
