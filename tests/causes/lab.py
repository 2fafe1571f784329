"""The lab's side of the cases, in a process of its own: the agent must not wait for its servers.

The first line of its input says which cases there are, and where. Each further line injects their
faults. It ends with its input.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import trio

from probe.lab.board import Board
from probe.lab.ca import Pki
from probe.lab.edge import EdgeServer
from probe.lab.places import Place
from probe.lab.revocation import ListServer
from probe.lab.shelf import Shelf
from probe.lab.terminator import TlsStream
from tests.causes.cases import Case, drawn
from tests.support.programs import ROOT

Places = dict[str, list[Place]]


def domains_of(case: Case, count: int) -> list[str]:
    """Name the domains of a case."""
    return [f"d{n}.case-{case.number:03}.example" for n in range(count)]


@asynccontextmanager
async def apart(request: dict[str, Any]) -> AsyncIterator[trio.Process]:
    """Start it, and wait until every edge listens."""
    command = [sys.executable, "-m", "tests.causes.lab"]
    async with trio.open_nursery() as nursery:
        process = await nursery.start(_started, command)
        await tell(process, json.dumps(request))
        yield process
        await process.stdin.aclose()
        nursery.cancel_scope.cancel()


async def _started(
    command: list[str], *, task_status: trio.TaskStatus[trio.Process] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.CancelScope():
        await trio.run_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            check=False,
            task_status=task_status,
        )


async def tell(process: trio.Process, line: str) -> None:
    """Send a line, and wait for the answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdin.send_all(line.encode() + b"\n")
    with trio.fail_after(60):
        answer = await process.stdout.receive_some(100)
    assert answer.strip() == b"done", answer


async def main() -> None:
    """Serve the cases that the first line names."""
    lines = trio.wrap_file(sys.stdin)
    request = json.loads(await lines.readline())
    board, pki = Board(request["seed"]), Pki(datetime.now(UTC))
    await trio.Path(request["roots"]).write_bytes(pki.roots_pem())
    shelf = Shelf(pki)
    by_number = {case.number: case for case in drawn(request["count"], request["draw"])}
    servers: list[EdgeServer] = []
    todo: list[tuple[Case, list[str], dict[str, list[str]]]] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(ListServer(pki).run, "127.0.0.1")
        for number, places in request["cases"].items():
            case = by_number[int(number)]
            domains = domains_of(case, request["domains"])
            placed = {cdn: [Place(*one) for one in some] for cdn, some in places.items()}
            for place in (one for some in placed.values() for one in some):
                servers.append(EdgeServer(place, board, shelf, frozenset(domains), _idle))
                await servers[-1].follow(nursery)
            names = {cdn: [one.name for one in some] for cdn, some in placed.items()}
            todo.append((case, domains, names))
        _say()
        while await lines.readline():
            for case, domains, names in todo:
                for one in case.injected:
                    board.add(one.name, one.fault, one.where(domains, names), one.share)
            for server in servers:
                await server.follow(nursery)
            _say()
        nursery.cancel_scope.cancel()


def _say() -> None:
    sys.stdout.write("done\n")
    sys.stdout.flush()


async def _idle(stream: TlsStream, _edge: str) -> None:
    """Wait until the client has gone: it asks for nothing."""
    with suppress(trio.BrokenResourceError):
        await stream.receive_some()


if __name__ == "__main__":
    trio.run(main)
