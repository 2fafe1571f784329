"""Programs of the system and of the project, run to their end or while a block lasts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

PACKAGES = {
    "amtool": "prometheus-alertmanager",
    "chromium": "chromium",
    "dash": "dash",
    "faketime": "faketime",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "knotd": "knot knot-module-geoip",
    "kubectl": "kubernetes-client",
    "nginx": "nginx-light",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "setpriv": "util-linux",
    "systemd-analyze": "systemd",
    "unshare": "util-linux",
}
"""Programs, and the Debian packages that hold them."""


class MissingProgramError(Exception):
    """A test without its program is an error, not a skip: nothing would have been tested."""


def program(name: str) -> str:
    """The path of a program. MissingProgramError names the Debian package to install."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise MissingProgramError(f"{name} is not here: apt-get install {PACKAGES[name]}")
    return found


def run(*command: str | Path, stdin: str | None = None, **environ: str) -> str:
    """Standard output of a command that must succeed."""
    done = ended(*command, stdin=stdin, **environ)
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def ended(
    *command: str | Path, stdin: str | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    """A command after its end, however it ended. ``environ`` is added to this environment."""
    return subprocess.run(
        [str(part) for part in command],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environ},
    )


def probe(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Our own command line after its end, however it ended."""
    return ended(sys.executable, "-m", "probe", *arguments, **environ)


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
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not come up:\n{log.read_text()}")
        time.sleep(0.01)
