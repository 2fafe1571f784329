"""Programs of the system and of the project, run to their end or while a block lasts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
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

_LISTEN = "0A"
"""The state of a listening socket in ``/proc/net/tcp``."""


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
    """Run a server until the block ends; it is there when it listens on every port.

    That a port takes a connection would not say whose it is: a server that did not get one port
    waits for it with the others open, and closes them all when it gives up.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 60
        while not set(ports) <= listening(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args!r} did not come up:\n{log.read_text()}")
            time.sleep(0.01)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def listening(process: int) -> set[int]:
    """The TCP ports at which a process listens, with IPv4."""
    held = set()
    with contextlib.suppress(FileNotFoundError):  # it ended, or closed one meanwhile
        for one in Path(f"/proc/{process}/fd").iterdir():
            held.add(str(one.readlink()))
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if state == _LISTEN and f"socket:[{inode}]" in held:
            found.add(int(local.rpartition(":")[2], 16))
    return found
