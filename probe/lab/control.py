"""Words between a lab in a process of its own and whoever steers it: one JSON line each way."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

import trio

from probe.lab.board import Where
from probe.lab.info import Broken, Strikes, WorldInfo


class Lab(Protocol):
    """What can be done with a running lab, wherever it runs."""

    @property
    def info(self) -> WorldInfo:
        """Where everything listens."""

    async def inject(
        self, fault: str, where: Where | None = None, *, probability: float = 1.0
    ) -> int:
        """Switch a fault on; returns the number to remove it by."""

    async def remove(self, number: int) -> None:
        """Switch one fault off."""

    async def clear(self) -> None:
        """Switch every fault off."""

    async def move(self, domains: Iterable[str], canonical: str) -> None:
        """Point the DNS of domains elsewhere."""

    async def truth(self) -> tuple[Broken, ...]:
        """What is broken now."""

    async def struck(self) -> tuple[Strikes, ...]:
        """How often each fault struck, those that are off by now included."""


async def obey(lab: Lab, command: Mapping[str, Any]) -> Any:
    """Carry out one command and return what it answers, as plain JSON types.

    Raises:
        KeyError, ValueError, TypeError: the command makes no sense.
    """
    match command["do"]:
        case "inject":
            where = Where.from_json(command["where"])
            return await lab.inject(command["fault"], where, probability=command["probability"])
        case "remove":
            return await lab.remove(command["number"])
        case "clear":
            return await lab.clear()
        case "move":
            return await lab.move(command["domains"], command["canonical"])
        case "truth":
            return [asdict(one) for one in await lab.truth()]
        case "struck":
            return [asdict(one) for one in await lab.struck()]
        case unknown:
            raise ValueError(f"no command is called {unknown!r}")


async def lines(stream: trio.abc.ReceiveStream) -> AsyncGenerator[Any, None]:
    """JSON documents, one a line, until the other side closes."""
    rest = b""
    while data := await stream.receive_some():
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield json.loads(line)


async def send_line(stream: trio.abc.SendStream, document: Any) -> None:
    """One JSON document as a line."""
    await stream.send_all(json.dumps(document).encode() + b"\n")
