"""Real clients, and the first thing that each says to a server: its ClientHello.

``python -m tests.support.real_clients NAME …`` writes those in ``tests/connection/hellos``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from probe.lab.hello import parse
from tests.support.hellos import Hello, taken_apart
from tests.support.programs import program, run

HERE = Path(__file__).parents[1] / "connection" / "hellos"
NAME = "www.example"
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class RealClient:
    """One client, started by a command in which ``PORT`` and ``FOLDER`` are replaced.

    Attributes:
        version: a command that prints it.
        files: written into the folder before.
    """

    command: str
    version: str
    files: tuple[tuple[str, str], ...] = ()


_GO = """package main

import (
	"context"
	"net"
	"net/http"
	"os"
)

func main() {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+os.Args[1])
	}
	transport := http.DefaultTransport.(*http.Transport)
	transport.DialContext = dial
	http.Get("https://www.example/")
}
"""
_JAVA = """import java.net.URI;
import java.net.http.*;

public class Client {
    public static void main(String[] words) throws Exception {
        var uri = URI.create("https://www.example:" + words[0] + "/");
        var request = HttpRequest.newBuilder(uri).build();
        HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding());
    }
}
"""

CLIENTS = {
    "chrome": RealClient(
        "chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
        " --disable-sync --disable-background-networking --disable-component-update"
        " --no-proxy-server --disable-dev-shm-usage --user-data-dir=FOLDER/profile"
        f" --host-resolver-rules='MAP {NAME} 127.0.0.1:PORT' https://{NAME}/",
        "chromium --version",
    ),
    "firefox": RealClient(
        f"firefox-esr --headless --no-remote --profile FOLDER https://{NAME}:PORT/",
        "firefox-esr --version",
        (("user.js", f'user_pref("network.dns.localDomains", "{NAME}");\n'),),
    ),
    "java": RealClient(
        "java -Djdk.net.hosts.file=FOLDER/hosts FOLDER/Client.java PORT",
        "java --version",
        (("Client.java", _JAVA), ("hosts", f"127.0.0.1 {NAME}\n")),
    ),
    "go": RealClient("go run FOLDER/client.go PORT", "go version", (("client.go", _GO),)),
    "curl": RealClient(
        f"curl -sS --connect-to {NAME}:443:127.0.0.1:PORT https://{NAME}/", "curl --version"
    ),
    "openssl": RealClient(
        f"openssl s_client -connect 127.0.0.1:PORT -servername {NAME}", "openssl version"
    ),
}


def record(name: str, folder: Path) -> bytes:
    """Start a client against a server on loopback that says nothing; what the client says first."""
    client = CLIENTS[name]
    for stem, text in client.files:
        (folder / stem).write_text(text)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_PATIENCE)
        words = shlex.split(
            client.command.replace("PORT", str(listener.getsockname()[1])).replace(
                "FOLDER", str(folder)
            )
        )
        with _started([program(words[0]), *words[1:]], folder):
            stream, _ = listener.accept()
            with stream:
                stream.settimeout(_PATIENCE)
                data = b""
                while (hello := parse(data)) is None:
                    more = stream.recv(65536)
                    assert more, f"{name} closed after {data!r}"
                    data += more
    return hello.raw


@contextlib.contextmanager
def _started(command: list[str], folder: Path) -> Iterator[None]:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "HOME": str(folder)},
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def recording(name: str) -> dict[str, Any]:
    """The file of a client: recorded here, or published fields with their source."""
    found: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text())
    return found


def recorded(name: str) -> Hello:
    """What a client offers, from its file."""
    found = recording(name)
    if "hello" in found:
        return taken_apart(bytes.fromhex(found["hello"]))
    listed: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in found["fields"].items()
    }
    return Hello(**listed)


def version_of(name: str) -> str:
    """What the client that is installed here calls itself."""
    words = shlex.split(CLIENTS[name].version)
    return run(program(words[0]), *words[1:]).splitlines()[0].strip()


def _write(name: str) -> None:
    client = CLIENTS[name]
    with tempfile.TemporaryDirectory() as folder:
        hello = record(name, Path(folder))
    written = {
        "version": version_of(name),
        "command": client.command,
        "recorded": f"{datetime.now(UTC):%Y-%m-%d}",
        "hello": hello.hex(),
    }
    (HERE / f"{name}.json").write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    for one in sys.argv[1:]:
        _write(one)
