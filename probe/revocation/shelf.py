"""Copies of revocation lists in the state directory, so that a restart fetches none again.

A copy is a hint: it is read and its signature verified like one that was just fetched. Whatever is
wrong with a file, the list is fetched.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from pathlib import Path

from probe.certificates.crl import MOST_BYTES
from probe.documents.files import open_regular, replace_file
from probe.revocation.fetch import Copy

MOST_KEPT = 256 * 1024 * 1024
"""Bytes of all files together."""

_FORGOTTEN = 45 * 86_400.0
"""Seconds after which a file that nothing wrote is removed."""


class Shelf:
    """The files. Its methods block.

    Args:
        folder: made when the first copy is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, url: str) -> Copy | None:
        """Return the copy of a URL; None without one."""
        try:
            with open(self._path(url), "rb", opener=open_regular) as file:
                head = json.loads(file.readline(4096))
                if head["url"] != url:
                    return None
                return Copy(file.read(MOST_BYTES + 1), str(head["etag"]), str(head["modified"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def keep(self, url: str, der: bytes, copy: Copy) -> None:
        """Write the bytes of a URL, and what is asked next time, in place of those before.

        Raises:
            OSError: it is not kept.
        """
        head = {"url": url, "etag": copy.etag, "modified": copy.modified}
        path = self._path(url)
        size = sum(one.stat().st_size for one in self._folder.glob("*.crl") if one != path)
        if size + len(der) > MOST_KEPT:
            return
        replace_file(path, json.dumps(head).encode() + b"\n" + der)

    def sweep(self) -> None:
        """Remove what nobody wrote for long."""
        before = time.time() - _FORGOTTEN
        for one in self._folder.glob("*.crl"):
            with suppress(OSError):  # another agent that takes over was quicker
                if one.stat().st_mtime < before:
                    one.unlink()

    def _path(self, url: str) -> Path:
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.crl"
