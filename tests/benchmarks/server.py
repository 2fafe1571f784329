"""The server that both probers talk to: nginx, and its own count of full handshakes."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .pki import Pki
from .process import BenchmarkError, Process, running

_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
_LOGS = ("tls.log", "http.log")
TOKEN = "benchmark-token"

_CONFIG = """\
{module}
daemon off;
worker_processes 1;
worker_rlimit_nofile 40000;
error_log stderr error;
pid {folder}/nginx.pid;
events {{ worker_connections 16000; }}
stream {{
    log_format handshakes "$ssl_session_reused $ssl_protocol $status";
    {tls}
    server {{
        listen 127.0.0.1:{tls_port} ssl backlog=4096;
        listen 0.0.0.0:{wide_port} ssl backlog=4096;
        access_log {folder}/tls.log handshakes;
        return "";
    }}
    server {{
        listen 127.0.0.1:{stranger_port} ssl;
        ssl_certificate {stranger};
        return "";
    }}
}}
http {{
    log_format handshakes "$ssl_session_reused $ssl_protocol $status";
    access_log {folder}/http.log handshakes;
    keepalive_timeout 0;
    default_type application/json;
    {tls}
    server {{
        listen 127.0.0.1:{https_port} ssl backlog=4096;
        location = / {{ return 200 '{{"status": "ok", "padding": "{padding}"}}'; }}
        location = /token {{
            return 200 '{{"access_token": "{token}", "token_type": "Bearer", "expires_in": 3600}}';
        }}
        location /api/ {{
            if ($http_authorization != "Bearer {token}") {{ return 401; }}
            return 200 '{{"items": [1, 2, 3], "status": "ok"}}';
        }}
    }}
}}
"""

_TLS = """\
ssl_certificate {chain};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.3;
    ssl_session_tickets off;
    ssl_session_cache off;"""


@dataclass(frozen=True)
class Server:
    """A running nginx.

    Attributes:
        tls_port: shakes hands and closes; on 127.0.0.1.
        wide_port: the same on all of 127.0.0.0/8, so that one server is many edges.
        stranger_port: the same with a leaf from an unknown root.
    """

    folder: Path
    tls_port: int
    wide_port: int
    https_port: int
    stranger_port: int

    def handshakes(self) -> int:
        """Full handshakes so far, as nginx logged them.

        Raises:
            BenchmarkError: some were resumed, or were not TLS 1.3.
        """
        full = 0
        for name in _LOGS:
            path = self.folder / name
            for line in path.read_text().splitlines() if path.exists() else ():
                if not line.startswith(". TLSv1.3 "):
                    raise BenchmarkError(f"not a full handshake of TLS 1.3: {line}")
                full += 1
        return full


@contextmanager
def nginx(folder: Path, pki: Pki, *, core: int | None) -> Iterator[Server]:
    """Run nginx.

    Raises:
        BenchmarkError: it is not installed, or does not start.
    """
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists() or not _STREAM.exists():
        raise BenchmarkError("apt-get install nginx-light libnginx-mod-stream")
    server = Server(folder, *free_ports(4))
    for name in _LOGS:
        (folder / name).unlink(missing_ok=True)
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            module=f"load_module {_STREAM};",
            folder=folder,
            tls=_TLS.format(chain=pki.chain, key=pki.key),
            stranger=pki.stranger,
            padding="x" * 400,
            token=TOKEN,
            tls_port=server.tls_port,
            wide_port=server.wide_port,
            https_port=server.https_port,
            stranger_port=server.stranger_port,
        )
    )
    command = [program, "-c", str(config), "-p", str(folder), "-e", "stderr"]
    with running(Process(command, folder / "nginx.out", core=core)) as process:
        process.until(lambda: _listens(server.https_port))
        time.sleep(0.1)
        yield server


def version() -> str:
    """Of nginx and its OpenSSL."""
    done = subprocess.run(
        [shutil.which("nginx") or "/usr/sbin/nginx", "-V"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if "version" in line or "built with" in line]
    return ", ".join(lines)


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, all different."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(sock.getsockname()[1]) for sock in held]
    for sock in held:
        sock.close()
    return ports


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
