"""Files: which ones a path or glob means, when they changed, their bytes, and those as text.

What reads blocks, and a network file system may hang: the agent asks in a thread.

Of certificate and key files, also what one is when it is not the PEM (RFC 7468) that is needed. The
words name the format and the command that converts it. Nothing of the content is repeated: it may
be a key.
"""

from __future__ import annotations

import codecs
import os
import re
import shlex
import stat
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from probe.documents.problem import DocumentError, Problem

_MAGIC = frozenset("*?[")
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_SEPARATORS = "\x85\u2028\u2029"
"""Where PyYAML begins a line and no editor does: every place behind one would be told wrong."""
_BREAK = re.compile("\r\n?|\n")
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


class IrregularFile(OSError):
    """A directory, a pipe or a device; reading one could wait for ever."""


def read_regular(path: Path, most: int) -> tuple[Stamp, bytes]:
    """Stamp and bytes of a regular file, up to one byte more than ``most``.

    Raises:
        OSError: it is missing, irregular, or may not be read.
        ValueError: no file can have that path.
    """
    with open(path, "rb", opener=open_regular) as stream:
        status = os.fstat(stream.fileno())
        data = stream.read(min(most, status.st_size) + 1)  # takes memory for all that is asked for
        if status.st_size < len(data) <= most:  # it grew, or is one of /proc, which say 0
            data += stream.read(most + 1 - len(data))
        return Stamp.of(status), data


def open_regular(path: str, flags: int) -> int:
    """Open without waiting, as an ``opener``: a pipe that nobody writes to would hold us for ever.

    Raises:
        OSError: it is missing, irregular, or may not be opened.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK, mode=0o600)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise IrregularFile(
            0, "this is a directory" if stat.S_ISDIR(mode) else "not a regular file"
        )
    return descriptor


def read_bytes(path: Path, most: int, instead: str = "") -> bytes:
    """The bytes of a regular file, at most so many; ``instead`` says what to do about more.

    Raises:
        UnreadableFile: it is missing, or the system does not let us read it.
        DocumentError: it is no file, or larger.
    """
    try:
        _, data = read_regular(path, most)
    except FileNotFoundError:
        raise MissingFile(Problem(str(path), 1, 1, "there is no such file")) from None
    except IrregularFile as error:
        message = f"{error.strerror}; name the file itself"
        raise DocumentError(Problem(str(path), 1, 1, message)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or "not a valid path"
        raise UnreadableFile(Problem(str(path), 1, 1, f"cannot be read: {why}")) from error
    if len(data) > most:
        message = f"larger than {most // 1024} KiB{instead}"
        raise DocumentError(Problem(str(path), 1, 1, message))
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
        raise DocumentError(problem_after(before, file, message)) from None
    if forbidden := _FORBIDDEN.search(text):
        code = f"{ord(forbidden.group()):04X}"
        message = f"the control character U+{code} is not allowed in YAML; remove it"
        if forbidden.group() in _SEPARATORS:
            message = (
                f"the line separator U+{code} is not allowed; write \\u{code} in double quotes"
            )
        raise DocumentError(problem_after(text[: forbidden.start()], file, message))
    return text


def problem_after(before: str, file: str, message: str) -> Problem:
    """A problem at the end of the text before it."""
    breaks = [one.end() for one in _BREAK.finditer(before)]
    start = breaks[-1] if breaks else 0
    return Problem(file, len(breaks) + 1, len(before) - start + 1, message)


Wanted = Literal["certificate", "key"]

_GOOD: dict[Wanted, bytes] = {
    "certificate": rb"-----BEGIN CERTIFICATE-----",
    "key": rb"-----BEGIN (RSA |EC |DSA )?PRIVATE KEY-----",
}
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")  # OID 1.2.840.113549.1.7.2 (RFC 2315)
_ENCRYPTED = (
    "a private key encrypted with a passphrase, which the agent cannot enter; openssl pkey -in FILE"
)
_KINDS: dict[Wanted, tuple[tuple[bytes, str], ...]] = {
    "certificate": (
        (b"BEGIN TRUSTED CERTIFICATE", "OpenSSL's TRUSTED CERTIFICATE; openssl x509 -in FILE"),
        (b"BEGIN X509 CERTIFICATE", "an X509 CERTIFICATE, an obsolete form; openssl x509 -in FILE"),
        (b"BEGIN PKCS7", "PKCS #7; openssl pkcs7 -in FILE -print_certs"),
        (b"BEGIN CERTIFICATE REQUEST", "a certificate request, which is not signed yet"),
        (b"PRIVATE KEY", "a private key"),
        (b"BEGIN PUBLIC KEY", "a public key"),
    ),
    "key": (
        (b"BEGIN ENCRYPTED PRIVATE KEY", _ENCRYPTED),
        (b"4,ENCRYPTED", _ENCRYPTED),
        (b"BEGIN OPENSSH", "an OpenSSH key; ssh-keygen -p -m PEM -N '' -f FILE"),
        (b"BEGIN CERTIFICATE", "a certificate"),
        (b"BEGIN PUBLIC KEY", "a public key"),
    ),
}


def pem_problem(data: bytes, wanted: Wanted, file: str) -> str | None:
    """What a file is instead of PEM with a certificate or key in it; None when it has one.

    Args:
        data: the file's bytes.
        wanted: what must be in it; a key must not be encrypted.
        file: its path, for the command that converts it.
    """
    good = re.search(_GOOD[wanted], data)
    if good and not (wanted == "key" and b"4,ENCRYPTED" in data):
        return None
    if not data.strip():
        return f"this is an empty file; expected a PEM {wanted}"
    for mark, words in _KINDS[wanted]:
        if mark in data:
            return _instead(words, wanted, file)
    if data.startswith(b"\x30") and len(data) > 1 and data[1] & 0x80:  # a long ASN.1 SEQUENCE
        return _instead(_der(data, wanted), wanted, file)
    return f"this file has no PEM {wanted}: no line -----BEGIN …-----"


def _der(data: bytes, wanted: Wanted) -> str:
    if wanted == "key":
        return "binary (DER); openssl pkey -inform der -in FILE"
    if _SIGNED_DATA in data[:32]:
        return "binary PKCS #7 (DER); openssl pkcs7 -inform der -in FILE -print_certs"
    if data[4:7] == b"\x02\x01\x03":  # version 3 (RFC 7292 section 4)
        return "PKCS #12; openssl pkcs12 -in FILE -nokeys"
    return "binary (DER); openssl x509 -inform der -in FILE"


def _instead(words: str, wanted: Wanted, file: str) -> str:
    what, semicolon, command = words.replace("FILE", shlex.quote(file)).partition("; ")
    convert = f"; convert it with {command}" if semicolon else ""
    output = f" -out {wanted}.pem" if command.startswith("openssl") else ""
    return f"not a PEM {wanted} but {what}{convert}{output}"


# ---------------------------------------------------------------- files of our own


def append_to(path: Path, data: bytes) -> int:
    """Add to the end of a file, which is made where there is none. Only we may read it then.

    Returns:
        its length now.

    Raises:
        OSError: it is no regular file, or a link to one; or the disk does not take it.
    """

    def ours(path: str, flags: int) -> int:
        return open_regular(path, flags | os.O_NOFOLLOW)

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path, "ab", opener=ours) as file:
        file.write(data)
        return file.tell()


def replace_file(
    path: Path, data: bytes, *, durable: bool = False, mode: int | None = None
) -> None:
    """Write a file that others see whole, as it was or as it is now. Only we may read it.

    Args:
        path: its folder is made where there is none.
        data: all of it.
        durable: wait until the disk has it, and the name too.
        mode: who may read it, where that is not us alone.

    Raises:
        OSError: it is as it was, and nothing is left beside it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if mode is not None:
                os.fchmod(handle, mode)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    if durable:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself must reach the disk
        finally:
            os.close(folder)
