"""blackbox_exporter as Prometheus uses it: one request to /probe for each attempt."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .pki import DOMAIN, Pki
from .process import BenchmarkError, Process, answers, running
from .server import TOKEN, free_ports

PROGRAM = "prometheus-blackbox-exporter"

_CONFIG = """\
modules:
  tls:
    prober: tcp
    timeout: 5s
    tcp: {{preferred_ip_protocol: ip4, tls: true, tls_config: {tls}}}
  https:
    prober: http
    timeout: 5s
    http: {{preferred_ip_protocol: ip4, fail_if_not_ssl: true, tls_config: {tls}}}
  api:
    prober: http
    timeout: 5s
    http:
      preferred_ip_protocol: ip4
      fail_if_not_ssl: true
      tls_config: {tls}
      headers: {{Authorization: "Bearer {token}"}}
      fail_if_body_not_matches_regexp: ['"status": "ok"']
"""


@dataclass
class Blackbox:
    """A running blackbox_exporter and those who ask it."""

    process: Process
    port: int
    failed: list[str] = field(default_factory=list)

    def probe(self, module: str, target: str) -> str:
        """One attempt; the metrics that came back."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            return _ask(connection, module, target)
        finally:
            connection.close()

    def drive(
        self, module: str, target: str, seconds: float, *, rate: float | None, clients: int = 8
    ) -> list[float]:
        """Ask over kept connections, evenly at a rate, or as fast as it answers (None).

        Returns:
            the duration that it reported for each attempt, in seconds.

        Raises:
            BenchmarkError: an attempt failed.
        """
        durations: list[float] = []
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(
                target=self._client,
                args=(module, target, end, None if rate is None else rate / clients, durations),
            )
            for _ in range(clients)
        ]
        for place, thread in enumerate(threads):
            if rate is not None and place:
                time.sleep(1 / rate)  # spread the clients over the period of one
            thread.start()
        for thread in threads:
            thread.join()
        if self.failed:
            raise BenchmarkError(f"blackbox_exporter: {len(self.failed)} failed: {self.failed[0]}")
        return durations

    def _client(
        self, module: str, target: str, end: float, rate: float | None, durations: list[float]
    ) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        due = time.monotonic()
        while time.monotonic() < end:
            body = _ask(connection, module, target)
            if "\nprobe_success 1" not in body:
                self.failed.append(body[-400:])
                break
            durations.append(float(_DURATION.search(body)[1]))  # type: ignore[index]  # it is there
            if rate is not None:
                due += 1 / rate
                time.sleep(max(0.0, due - time.monotonic()))
        connection.close()


_DURATION = re.compile(r"^probe_duration_seconds (\S+)$", re.MULTILINE)


def _ask(connection: http.client.HTTPConnection, module: str, target: str) -> str:
    host = f"&hostname=s00000.{DOMAIN}" if module != "tls" else ""
    connection.request("GET", f"/probe?module={module}&target={target}{host}")
    response = connection.getresponse()
    body = response.read().decode()
    if response.status != 200:
        raise BenchmarkError(f"blackbox_exporter answers {response.status}: {body[:200]}")
    return body


@contextmanager
def blackbox(folder: Path, pki: Pki, *, core: int | None) -> Iterator[Blackbox]:
    """Run it.

    Raises:
        BenchmarkError: it is not installed, or does not start.
    """
    program = shutil.which(PROGRAM) or shutil.which("blackbox_exporter")
    if program is None:
        raise BenchmarkError(f"apt-get install {PROGRAM}")
    config = folder / "blackbox.yml"
    tls = f"{{ca_file: {pki.root}, server_name: s00000.{DOMAIN}}}"
    config.write_text(_CONFIG.format(tls=tls, token=TOKEN))
    (port,) = free_ports(1)
    command = [
        program,
        f"--config.file={config}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with running(Process(command, folder / "blackbox.out", core=core)) as process:
        process.until(lambda: answers(f"http://127.0.0.1:{port}/-/healthy"))
        yield Blackbox(process, port)


def version() -> str:
    """As it says."""
    program = shutil.which(PROGRAM) or "blackbox_exporter"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    go = next((line.strip() for line in lines if "go version" in line), "")
    return f"{lines[0] if lines else 'unknown'}, {go}"
