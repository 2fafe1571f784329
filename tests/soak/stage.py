"""Where a soak plays: two namespaces, the network between them, the lab, the agent's files.

The caller's own namespace has the edges; the agent lives in another one. Besides the bad network a
good one, on which the agent is watched.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import trio
import yaml

from probe.lab.control import lines, send_line
from probe.lab.info import Layout, WorldInfo, store_names
from probe.lab.process import RemoteLab, open_lab_process
from probe.lab.world import cdn_host
from tests.soak.network import DEVICES, Rule
from tests.support.programs import program

REGION = "sa-east"
AGENT, WATCHED, WATCHER = "10.99.0.1", "10.255.0.2", "10.255.0.1"
REFERENCES = ("10.30.0.1", "10.30.0.2", "10.30.0.3")
TIMEOUT = 4.0
CHURN = "churn"
_CHURNING = 30  # names beyond the stores, which come and go


@dataclass(slots=True)
class Link:
    """The process that carries packets."""

    process: trio.Process
    answers: Any

    async def ask(self, **command: Any) -> Any:
        """Tell it something, and return what it answers."""
        assert self.process.stdin is not None
        await send_line(self.process.stdin, command)
        return await anext(self.answers)

    async def add(self, rule: Rule) -> None:
        """Begin a fault."""
        await self.ask(do="add", rule=asdict(rule))


@dataclass(slots=True)
class Stage:
    """Everything but the agent.

    Attributes:
        enter: the beginning of a command that runs in the agent's namespace.
        stores: domains that every edge serves.
        churning: domains that may stand on the list that changes.
    """

    folder: Path
    lab: RemoteLab
    link: Link
    enter: tuple[str, ...]
    stores: tuple[str, ...]
    churning: tuple[str, ...]
    references: tuple[str, ...]
    listed: int = 16
    spared: tuple[str, ...] = ("cdn-a/00", "cdn-b/00")
    """Edges that no fault has."""

    @property
    def config(self) -> Path:
        """The agent's configuration."""
        return self.folder / "probe.yaml"

    def edges(self) -> list[str]:
        """Names of the edges that may have faults."""
        places = self.lab.info.places
        return [p.name for p in places if p.provider != "api" and p.name not in self.spared]

    def addresses(self) -> dict[str, str]:
        """Addresses of all places, by name."""
        return {place.name: place.ip for place in self.lab.info.places}

    def clock(self, seconds: float) -> None:
        """Set how far the agent's clock is off."""
        replace(self.folder / "clock", f"{seconds:+.0f}\n")

    def list_stores(self, count: int) -> None:
        """Write the list that changes."""
        self.listed = count
        replace(self.folder / "churn.json", _listed(self.churning[:count]))

    def write_half(self) -> None:
        """Leave the list in the middle of a name."""
        whole = _listed(self.churning[: self.listed])
        replace(self.folder / "churn.json", whole[: len(whole) * 2 // 3])

    def configure(self, interval: float, edition: int = 0) -> None:
        """Write the configuration; each edition is another one and asks for the same."""
        document = _configuration(self, interval, edition)
        replace(self.config, yaml.safe_dump(document, sort_keys=False))


def replace(path: Path, text: str) -> None:
    """Write a file so that nobody sees half of it."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


def _listed(names: Sequence[str]) -> str:
    return json.dumps([{"targets": list(names)}])


def _configuration(stage: Stage, interval: float, edition: int) -> dict[str, Any]:
    info: WorldInfo = stage.lab.info
    host, port = info.resolvers[REGION]
    dns = {"servers": [f"{host}:{port}"], "hosts_file": False, "families": [4]}
    fixed = [stage.addresses()[name] for name in stage.spared]
    check = {"kind": "tls", "labels": {"edition": str(edition)}}
    return {
        "region": REGION,
        "listen": f"{WATCHED}:9480",
        "defaults": {
            "interval": f"{interval:g}s",
            "timeout": f"{TIMEOUT:g}s",
            "trust": {"file": info.roots},
        },
        # Accounts hold each edge's attempts against its server's connections; experiments are no
        # attempts of an edge.
        "limits": {"experiments": False},
        "vantage": {"references": list(stage.references), "interval": "1s"},
        "providers": {
            "live": {"dns": dns, "port": info.port},
            "cdn-b": {"hostname": cdn_host("cdn-b"), "dns": dns, "port": info.port},
            "fixed": {"addresses": fixed, "port": info.port},
        },
        "targets": {
            "stores": {"static": list(stage.stores)},
            CHURN: {"files": [str(stage.folder / "churn.json")], "refresh": "1s"},
        },
        "checks": [
            {"name": "stores", "targets": "stores", "providers": ["live", "cdn-b"], **check},
            {"name": CHURN, "targets": CHURN, "providers": ["fixed"], **check},
        ],
    }


# ---------------------------------------------------------------- namespaces


def _ip(*words: str, enter: Sequence[str] = ()) -> None:
    subprocess.run([*enter, program("ip"), *words], check=True)


@contextmanager
def _namespace() -> Iterator[int]:
    """The agent's namespace, as the process that holds it."""
    command = [program("unshare"), "--net", "sh", "-c", "echo; exec sleep infinity"]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    try:
        holder.stdout.readline()
        yield holder.pid
    finally:
        holder.kill()
        holder.communicate()


def _connect(holder: int, enter: Sequence[str]) -> None:
    """Addresses and routes, when the devices are there."""
    for network in ("10.0.0.1/32", "10.19.0.0/16", "10.20.0.0/16", "10.30.0.0/24"):
        _ip("route", "add", "local", network, "dev", "lo")
    _ip("link", "add", "eye0", "type", "veth", "peer", "name", "eye1")
    for device in (DEVICES[1], "eye1"):
        _ip("link", "set", device, "netns", str(holder))
    for device, address, where in (
        (DEVICES[0], "10.98.0.1/32", ()),
        (DEVICES[1], f"{AGENT}/32", enter),
        ("eye0", f"{WATCHER}/30", ()),
        ("eye1", f"{WATCHED}/30", enter),
    ):
        _ip("address", "add", address, "dev", device, enter=where)
        # A burst must not be lost where nobody counts it.
        _ip("link", "set", device, "txqueuelen", "10000", "up", enter=where)
    _ip("link", "set", "lo", "up", enter=enter)
    _ip("route", "add", f"{AGENT}/32", "dev", DEVICES[0])
    for network in ("10.0.0.1/32", "10.19.0.0/16", "10.20.0.0/16", "10.30.0.0/24"):
        _ip("route", "add", network, "dev", DEVICES[1], "src", AGENT, enter=enter)


@asynccontextmanager
async def _link(seed: int) -> AsyncIterator[Link]:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "tests.soak.network", str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        answers = lines(process.stdout)
        await anext(answers)
        yield Link(process, answers)
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()
            await process.stdout.aclose()


async def _refer(stream: trio.SocketStream) -> None:
    """A reference: any answer, with the right time."""
    async with stream:
        await stream.receive_some(4096)
        head = f"HTTP/1.1 204 No Content\r\nDate: {formatdate(usegmt=True)}\r\n\r\n"
        await stream.send_all(head.encode())


async def _references(nursery: trio.Nursery) -> tuple[str, ...]:
    found = []
    for host in REFERENCES:
        (listener,) = await nursery.start(partial(trio.serve_tcp, _quietly, 0, host=host))
        found.append(f"http://{host}:{listener.socket.getsockname()[1]}/")
    return tuple(found)


async def _quietly(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # the agent has gone
        await _refer(stream)


@asynccontextmanager
async def open_stage(folder: Path, seed: int, edges: int) -> AsyncIterator[Stage]:
    """Set it all up; it ends with the block. Call it in a namespace of your own."""
    _ip("link", "set", "lo", "up")
    places = max(2, min(20, edges // 20))
    stores = max(1, edges // (2 * places))
    locations = tuple(f"{number:02}" for number in range(places))
    names = store_names(stores + _CHURNING)
    layout = Layout(domains=names, regions={REGION: locations}, network="10", seed=seed)
    with _namespace() as holder:
        enter = (program("nsenter"), "--target", str(holder), "--net", "--")
        async with _link(seed) as link:
            _connect(holder, enter)
            async with open_lab_process(folder, layout) as lab, trio.open_nursery() as nursery:
                references = await _references(nursery)
                stage = Stage(folder, lab, link, enter, names[:stores], names[stores:], references)
                stage.clock(0)
                stage.list_stores(stage.listed)
                yield stage
                nursery.cancel_scope.cancel()


def faked_time(folder: Path) -> dict[str, str]:
    """The environment that lets a file set a process's clock, by Debian's faketime."""
    program("faketime")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


@dataclass(frozen=True, slots=True)
class Size:
    """What a process holds.

    Attributes:
        memory: bytes in RAM.
        files: open descriptors.
        tasks: of trio.
        waited: nanoseconds for which it could run and another program ran instead.
    """

    memory: int
    files: int
    threads: int
    tasks: int
    waited: int = 0


async def measure(pid: int, tasks: Path) -> Size:
    """The least of several looks, so that what is under way just now does not count."""
    looks = []
    for _ in range(8):
        tasks.unlink(missing_ok=True)
        os.kill(pid, signal.SIGUSR1)
        with trio.move_on_after(3):
            while not tasks.exists() or not tasks.read_text().endswith("\n"):
                await trio.sleep(0.02)
        proc = Path(f"/proc/{pid}")
        looks.append(
            Size(
                int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
                len(list((proc / "fd").iterdir())),
                len(list((proc / "task").iterdir())),
                int(tasks.read_text()) if tasks.exists() else 1 << 20,
                int((proc / "schedstat").read_text().split()[1]),
            )
        )
        await trio.sleep(0.1)
    return Size(*(min(getattr(look, name) for look in looks) for name in Size.__annotations__))
