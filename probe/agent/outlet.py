"""Writes log lines without ever waiting for who reads them.

A pipe, terminal or socket that nobody reads fills up, and a write to it waits for ever: the probes
and the port with it. So a line is written only when the system says that there is room (poll(2)).
Until then some lines are held, further ones are counted, and the count is said when there is room.
"""

from __future__ import annotations

import logging
import os
import select
import time
from collections import deque
from typing import TextIO

HELD = 256 * 1024
"""Bytes of lines that wait; further ones are lost."""

PARTING = 0.5
"""Seconds to wait for the reader when the process ends."""

_PIECE = select.PIPE_BUF
"""Bytes that a pipe with room takes without waiting (pipe(7)); a socket with room takes more."""


class Outlet(logging.Handler):
    """Writes to a descriptor, as long as it takes something.

    Args:
        stream: has a descriptor; nothing else is written to it meanwhile.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        stream.flush()
        self._descriptor = stream.fileno()
        self._encoding = stream.encoding or "utf-8"
        self._room = select.poll()
        self._room.register(self._descriptor, select.POLLOUT)
        self._waiting: deque[bytes] = deque()
        self._size = self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or keep it, or count it."""
        try:
            line = self._line(record)
        except Exception:  # as logging.StreamHandler does
            self.handleError(record)
            return
        self._write_what_waits(0.0)
        if self._lost and not self._waiting:
            self._put(self._line(_told(self._lost)))
            self._lost = 0
        if self._size + len(line) > HELD:
            self._lost += 1
        else:
            self._put(line)
        self._write_what_waits(0.0)

    def flush(self) -> None:
        """Wait a moment for the reader: the process ends."""
        self.acquire()
        try:
            self._write_what_waits(PARTING)
        finally:
            self.release()

    def _line(self, record: logging.LogRecord) -> bytes:
        return (self.format(record) + "\n").encode(self._encoding, "backslashreplace")

    def _put(self, line: bytes) -> None:
        self._waiting.append(line)
        self._size += len(line)

    def _write_what_waits(self, patience: float) -> None:
        ends = time.monotonic() + patience
        while self._waiting and self._room.poll(max(0.0, 1e3 * (ends - time.monotonic()))):
            line = self._waiting.popleft()
            self._size -= len(line)
            try:
                count = os.write(self._descriptor, line[:_PIECE])
            except BlockingIOError:  # somebody else made it so
                count = 0
            except OSError:  # a full disk, or a reader that has gone
                self._lost += 1
                continue
            if count < len(line):
                self._waiting.appendleft(line[count:])
                self._size += len(line) - count
            if not count:
                return


def _told(lost: int) -> logging.LogRecord:
    """Make the record that says how many lines were lost."""
    record = logging.LogRecord("probe", logging.WARNING, "", 0, "log lines lost", None, None)
    record.fields = {"lines": lost, "reason": "nobody read the log, or it could not be written"}
    return record
