"""The layers that a request passes, and where faults stop it."""

from __future__ import annotations

from dataclasses import dataclass

from probe.lab.board import Board, Situation
from probe.lab.faults.kinds import Http
from probe.lab.http import Ending, Exchange, Reply


class Stopped(Exception):
    """A fault answered in place of the layer.

    Attributes:
        reply: what is sent instead.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__("a fault answered")
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Gate:
    """Asks the board at every layer."""

    board: Board

    async def enter(self, layer: str, exchange: Exchange) -> None:
        """Let the request into a layer.

        Raises:
            Stopped: a fault answers in the layer's place.
        """
        request = exchange.request
        here = Situation(
            domain=request.host,
            edge=exchange.edge,
            layer=layer,
            path=request.path,
            role=exchange.role,
        )
        for rule, fault in tuple(self.board.of_kind(Http)):
            meant = rule.where.layers or {fault.layer}
            if layer not in meant or not self.board.hits(rule, here):
                continue
            reply = await fault.act(exchange)
            if reply is not Ending.PROCEED:
                raise Stopped(reply)
