"""The agent as its user runs it: a process, a configuration, its own metrics."""

from __future__ import annotations

import gzip
import http.client
import json
import math
import re
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .pki import DOMAIN, Pki
from .process import BYTECODE, BenchmarkError, Process, answers, running
from .server import free_ports

TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@dataclass(frozen=True)
class Scrape:
    """One answer of /metrics.

    Attributes:
        size: bytes on the wire.
        seconds: from asking to the last byte.
    """

    text: str
    size: int
    seconds: float

    @property
    def series(self) -> int:
        """Lines that are samples."""
        return sum(1 for line in self.text.splitlines() if line and line[0] != "#")

    def total(self, name: str, *labels: str) -> float:
        """Sum of all series with this name whose labels hold these texts."""
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in self.text.splitlines()
            if line.startswith((f"{name}{{", f"{name} ")) and all(text in line for text in labels)
        )

    def count(self, name: str) -> int:
        """How many series with this name are not zero."""
        return sum(
            line.startswith(f"{name}{{") and float(line.rsplit(" ", 1)[1]) != 0
            for line in self.text.splitlines()
        )

    def buckets(self, name: str) -> dict[float, float]:
        """Cumulative counts of a histogram by upper bound, all its series together."""
        found: dict[float, float] = {}
        for bound, count in re.findall(
            rf'^{name}_bucket{{.*?le="([^"]+)".*?}} (\S+)', self.text, re.MULTILINE
        ):
            found[float(bound)] = found.get(float(bound), 0.0) + float(count)
        return found


def quantile(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """The bound below which a share of what came in between lies, interpolated in its bucket."""
    counts = sorted((bound, after[bound] - before.get(bound, 0.0)) for bound in after)
    if not counts or counts[-1][1] == 0:
        return math.nan
    wanted = share * counts[-1][1]
    lower, below = 0.0, 0.0
    for bound, count in counts:
        if count >= wanted:
            if math.isinf(bound):
                return lower
            inside = count - below
            return lower + (bound - lower) * ((wanted - below) / inside if inside else 1.0)
        lower, below = bound, count
    return lower


def scrape(address: str, *, accept: str = TEXT, squeezed: bool = True) -> Scrape:
    """Ask for /metrics as Prometheus does. Raises BenchmarkError when it does not come whole."""
    headers = {"Accept": accept, "Accept-Encoding": "gzip" if squeezed else "identity"}
    request = urllib.request.Request(f"{address}/metrics", headers=headers)  # noqa: S310 - http, to our own agent
    start = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - http, to our own agent
            body = response.read()
            coding = response.headers["Content-Encoding"]
    except (OSError, http.client.HTTPException) as error:
        took = time.monotonic() - start
        raise BenchmarkError(
            f"no whole answer of /metrics within {took:.0f} s: {error!r}"
        ) from error
    seconds = time.monotonic() - start
    plain = gzip.decompress(body) if coding == "gzip" else body
    return Scrape(plain.decode(), len(body), seconds)


@dataclass
class Agent:
    """A running agent."""

    process: Process
    address: str

    def scrape(self, *, accept: str = TEXT, squeezed: bool = True) -> Scrape:
        """Its metrics."""
        return scrape(self.address, accept=accept, squeezed=squeezed)


@contextmanager
def agent(
    folder: Path,
    config: str,
    *,
    core: int | None,
    module: str = "probe",
    environ: Mapping[str, str] | None = None,
    scheme: str = "http",
) -> Iterator[Agent]:
    """Run an agent with a configuration, from being ready to the end of the block."""
    (port,) = free_ports(1)
    path = folder / "probe.yaml"
    path.write_text(config)
    address = f"{scheme}://127.0.0.1:{port}"
    command = [sys.executable, "-m", module, "run", "-c", str(path), "--log", "json"]
    started = Process(
        [*command, "--listen", f"127.0.0.1:{port}"],
        folder / "agent.log",
        core=core,
        environ={**BYTECODE, "BENCH_SECRET": "not-secret", **(environ or {})},
    )
    with running(started) as process:
        process.until(lambda: answers(f"{address}/readyz"))
        yield Agent(process, address)


# ---------------------------------------------------------------- configurations


def write_targets(folder: Path, end: int, start: int = 0) -> None:
    """A file_sd list of so many names, put into place at once."""
    names = [f"s{number:05d}.{DOMAIN}" for number in range(start, end)]
    new = folder / "targets.new"
    new.write_text(json.dumps([{"targets": names}]))
    new.rename(folder / "targets.json")


_GROUPS = "[X25519, P-256, P-384, P-521]"
LIKE_GO = f"{{kind: tls13, groups: {_GROUPS}}}"
"""A client that offers the key exchange that the peer's Go offers, so that both do one work."""


def _head(pki: Pki, interval: float) -> str:
    return f"""\
region: bench
defaults: {{interval: {interval:g}s, timeout: {min(interval, 5):g}s, trust: {{file: {pki.root}}}}}
targets:
  stores: {{files: [targets.json]}}
"""


def tls_config(
    folder: Path,
    pki: Pki,
    port: int,
    *,
    targets: int,
    interval: float,
    addresses: int = 1,
    profile: str = "tls13",
) -> str:
    """One TLS check: every target through so many addresses of one provider."""
    write_targets(folder, targets)
    listed = ", ".join(f"127.0.{n // 250}.{n % 250 + 1}" for n in range(addresses))
    return f"""{_head(pki, interval)}
providers:
  cdn: {{addresses: [{listed}], port: {port}}}
checks:
  - {{name: bench, kind: tls, targets: stores, providers: [cdn], profiles: [{profile}]}}
"""


def https_config(folder: Path, pki: Pki, port: int, *, targets: int, interval: float) -> str:
    """One GET for every target, over a fresh connection."""
    write_targets(folder, targets)
    return f"""{_head(pki, interval)}
providers:
  cdn: {{addresses: ["127.0.0.1:{port}"]}}
checks:
  - name: bench
    kind: api
    targets: stores
    providers: [cdn]
    groups: {_GROUPS}
    steps:
      - name: home
        layer: edge
        get: "https://{{target}}:{port}/"
        expect: {{status: 200}}
"""


def flow_config(folder: Path, pki: Pki, port: int, *, targets: int, interval: float) -> str:
    """Three calls with a kept token of OAuth 2, each over a connection of its own."""
    write_targets(folder, targets)
    steps = "".join(
        f"""
      - name: call-{number}
        layer: backend
        get: "https://{{target}}:{port}/api/items"
        auth: client
        expect: {{status: 200, json: "status == 'ok'"}}"""
        for number in (1, 2, 3)
    )
    return f"""{_head(pki, interval)}
providers:
  cdn: {{addresses: ["127.0.0.1:{port}"]}}
checks:
  - name: bench
    kind: api
    targets: stores
    providers: [cdn]
    groups: {_GROUPS}
    hosts: ["*.{DOMAIN}"]
    login_interval: 1h
    auth:
      client:
        kind: oauth2
        grant: client_credentials
        token_url: "https://{{target}}:{port}/token"
        client_id: bench
        client_secret: env:BENCH_SECRET
    steps:{steps}
"""
