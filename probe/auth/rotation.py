"""Rotated refresh tokens: the new one must outlive this process, or the next start is locked out.

One small file per login in the state directory, readable by nobody else, replaced atomically:
written beside, flushed to disk, renamed over. The file says which configured token it descends
from, so that an operator's new token wins over what is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

import trio

from probe.model.secret import Secret


class Kept:
    """The refresh tokens of a state directory; without one, kept in memory only.

    Args:
        folder: created when the first token is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[str, tuple[str, Secret]] = {}

    async def load(self, login: str, configured: str) -> Secret | None:
        """The latest token that descends from the configured one; None when there is none."""
        root = _digest(configured)
        if login not in self._memory and self._folder is not None:
            found = await trio.to_thread.run_sync(_read, self._path(self._folder, login))
            if found is not None:
                self._memory[login] = found
        origin, token = self._memory.get(login, ("", None))
        return token if origin == root else None

    async def keep(self, login: str, configured: str, token: Secret) -> OSError | None:
        """Keep a token; the error when it is safe in memory only."""
        root = _digest(configured)
        self._memory[login] = (root, token)
        if self._folder is None:
            return None
        text = json.dumps({"from": root, "refresh_token": token.reveal()})
        try:
            await trio.to_thread.run_sync(_write, self._path(self._folder, login), text)
        except OSError as error:
            return error
        return None

    @staticmethod
    def _path(folder: Path, login: str) -> Path:
        return folder / f"refresh-{_digest(login)[:24]}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> tuple[str, Secret] | None:
    try:
        stored = json.loads(path.read_text())
        return str(stored["from"]), Secret(str(stored["refresh_token"]))
    except (OSError, ValueError, KeyError, TypeError):
        # Absent, unreadable or damaged: the configured token is tried, and if that one is
        # used up the login says so.
        return None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".refresh-")  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself must reach the disk
    finally:
        os.close(folder)
