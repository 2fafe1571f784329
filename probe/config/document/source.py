"""A file's bytes to text: bounded, UTF-8, nothing that YAML forbids."""

from __future__ import annotations

import codecs
import re
import stat
from pathlib import Path

from probe.config.problem import ConfigError, Problem

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OTHER_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


class MissingFile(ConfigError):
    """There is no file of that name."""


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a regular file, at most so many.

    Raises:
        ConfigError: it is missing, unreadable, no file, or larger.
    """
    file = str(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # Opening a pipe or a device could wait for ever.
            what = "a directory" if path.is_dir() else "no regular file"
            raise ConfigError([Problem(file, 1, 1, f"this is {what}; name the YAML file itself")])
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except FileNotFoundError:
        raise MissingFile([Problem(file, 1, 1, "there is no such file")]) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) and error.strerror else "bad path"
        raise ConfigError([Problem(file, 1, 1, f"cannot be read: {why}")]) from error
    if len(data) > most:
        message = f"larger than {most // 1024} KiB; keep long target lists in files of their own"
        raise ConfigError([Problem(file, 1, 1, message)])
    return data


def decode(data: bytes, file: str) -> str:
    """The text of a UTF-8 file.

    Raises:
        ConfigError: it is not UTF-8, or holds control characters.
    """
    if data.startswith(_OTHER_BOMS):
        raise ConfigError([Problem(file, 1, 1, "this is UTF-16 or UTF-32; save it as UTF-8")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError([_problem_after(before, file, message)]) from None
    if forbidden := _FORBIDDEN.search(text):
        character = ord(forbidden.group())
        message = f"the control character U+{character:04X} cannot stand in YAML; remove it"
        raise ConfigError([_problem_after(text[: forbidden.start()], file, message)])
    return text


def _problem_after(before: str, file: str, message: str) -> Problem:
    line = before.count("\n") + 1
    return Problem(file, line, len(before) - (before.rfind("\n") + 1) + 1, message)
