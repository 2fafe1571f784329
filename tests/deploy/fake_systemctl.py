"""Stands in for systemctl in tests: starts and stops processes as the unit file says.

It follows what a release change relies on: ``start`` returns when the service said READY, and
fails when it ends or says nothing in time; ``stop`` sends SIGTERM and waits.
Its folder is ``FAKE_SYSTEMD``; every call is one line of the file ``calls`` there.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["FAKE_SYSTEMD"])
PATIENCE = 40.0


def command(instance: str) -> list[str]:
    unit = (FOLDER / "units" / "regional-probe@.service").read_text()
    line = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert line is not None
    return line[1].replace("%i", instance).split()


def start(instance: str) -> int:
    name = FOLDER / f"{instance}.notify"
    name.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(name))
        manager.settimeout(0.1)
        log = (FOLDER / f"{instance}.log").open("ab")
        process = subprocess.Popen(
            command(instance),
            env={**os.environ, "NOTIFY_SOCKET": str(name)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        (FOLDER / f"{instance}.pid").write_text(str(process.pid))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and process.poll() is None:
            try:
                if b"READY=1" in manager.recv(4096):
                    return 0
            except TimeoutError:
                continue
    stop(instance)
    return 1


def stop(instance: str) -> int:
    file = FOLDER / f"{instance}.pid"
    if not file.exists():
        return 0
    pid = int(file.read_text())
    file.unlink()
    try:
        os.kill(pid, signal.SIGTERM)
        while not gone(pid):
            time.sleep(0.02)
    except ProcessLookupError:
        pass
    return 0


def gone(pid: int) -> bool:
    """Ended, reaped or not: whoever started it may live on."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def main(arguments: list[str]) -> int:
    with (FOLDER / "calls").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    verb, *rest = [argument for argument in arguments if not argument.startswith("--")]
    for unit in rest:
        match = re.fullmatch(r"regional-probe@(.+)\.service", unit)
        assert match is not None, unit
        if verb in ("start", "stop"):
            status = {"start": start, "stop": stop}[verb](match[1])
            if status:
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
