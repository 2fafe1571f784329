"""Routes: metrics, health, status as page and as JSON."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from probe.serve.exposition import compressed, exposition
from probe.serve.negotiate import choose_format, gzip_accepted
from probe.serve.store import Store


class Pieces(StreamingResponse):
    """A body in pieces, without a second task that listens for the client to leave.

    Starlette's own ends that task by cancelling, and so may cut off Hypercorn while it closes
    the connection after the last piece, which then stays open until it is idle for too long.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head and pieces (the signature is ASGI's)."""
        await self.stream_response(send)


def application(store: Store) -> Starlette:
    """The agent's web application over a store."""

    async def metrics(request: Request) -> Response:
        form = choose_format(request.headers.get("accept", ""))
        pieces = exposition(store, form)
        headers = {"Vary": "Accept, Accept-Encoding", "Cache-Control": "no-store"}
        if gzip_accepted(request.headers.get("accept-encoding", "")):
            headers["Content-Encoding"] = "gzip"
            pieces = compressed(pieces)
        return Pieces(pieces, headers=headers, media_type=form.value)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        if store.agent.ready:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("configuration or targets are not loaded yet\n", status_code=503)

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ]
    )
