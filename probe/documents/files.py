"""Files: which ones a path or glob means, when they changed, their bytes, and those as text.

All of it blocks, and a network file system may hang: the agent asks in a thread.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from probe.documents.problem import DocumentError, Problem

_MAGIC = frozenset("*?[")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OTHER_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


class UnreadableFile(DocumentError):
    """The system does not give the file's bytes, now; the same file may be read later."""


class MissingFile(UnreadableFile):
    """There is no file of that name."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Changes when the content of a file may have changed.

    It follows symbolic links, so the swap of a mounted ConfigMap shows as another inode.
    """

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


def stamp(path: Path) -> Stamp | None:
    """The stamp of a file; None when it cannot be looked at."""
    try:
        return Stamp.of(path.stat())
    except OSError:
        return None


def is_glob(name: str) -> bool:
    """Whether the last part of a path stands for several files."""
    return not _MAGIC.isdisjoint(name)


def matching(path: Path) -> list[Path]:
    """The files that a path or glob means, in the order of their names.

    A path without a glob means itself, whether there is such a file or not. A glob leaves dot
    files out as a shell does; a ConfigMap's ``..data`` is one.

    Raises:
        OSError: the folder of a glob cannot be read.
    """
    if not is_glob(path.name):
        return [path]
    return sorted(
        one
        for one in path.parent.iterdir()
        if not one.name.startswith(".") and fnmatchcase(one.name, path.name)
    )


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a regular file, at most so many.

    Raises:
        UnreadableFile: it is missing, or the system does not let us read it.
        DocumentError: it is no file, or larger.
    """
    file = str(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # Opening a pipe or a device could wait for ever.
            what = "a directory" if path.is_dir() else "no regular file"
            raise DocumentError(Problem(file, 1, 1, f"this is {what}; name the YAML file itself"))
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except FileNotFoundError:
        raise MissingFile(Problem(file, 1, 1, "there is no such file")) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = (
            error.strerror if isinstance(error, OSError) and error.strerror else "not a valid path"
        )
        raise UnreadableFile(Problem(file, 1, 1, f"cannot be read: {why}")) from error
    if len(data) > most:
        message = f"larger than {most // 1024} KiB; put targets into files of their own"
        raise DocumentError(Problem(file, 1, 1, message))
    return data


def decode(data: bytes, file: str) -> str:
    """The text of a UTF-8 file.

    Raises:
        DocumentError: it is not UTF-8, or holds control characters.
    """
    if data.startswith(_OTHER_BOMS):
        raise DocumentError(Problem(file, 1, 1, "this is UTF-16 or UTF-32; save it as UTF-8"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise DocumentError(_problem_after(before, file, message)) from None
    if forbidden := _FORBIDDEN.search(text):
        character = ord(forbidden.group())
        message = f"the control character U+{character:04X} cannot stand in YAML; remove it"
        raise DocumentError(_problem_after(text[: forbidden.start()], file, message))
    return text


def _problem_after(before: str, file: str, message: str) -> Problem:
    line = before.count("\n") + 1
    return Problem(file, line, len(before) - (before.rfind("\n") + 1) + 1, message)
