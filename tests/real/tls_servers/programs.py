"""Real servers of the system, started for one test and stopped after it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

PACKAGES = {"nginx": "nginx-light", "haproxy": "haproxy", "openssl": "openssl"}


class MissingProgramError(Exception):
    """A test without its program is an error, not a skip: nothing would have been tested."""


def program(name: str) -> str:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        raise MissingProgramError(f"{name} is not here: apt-get install {PACKAGES[name]}")
    return found


def free_ports(count: int) -> list[int]:
    """Ports that the system chose. Another process may take one before its server does."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def running(command: Sequence[object], log: Path, *, ports: Sequence[int]) -> Iterator[None]:
    """Run a server until the block ends; it is there when every port takes a connection."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        for port in ports:
            _await_port(process, port, log)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not come up:\n{log.read_text()}")
        time.sleep(0.01)
