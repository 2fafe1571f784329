"""Routes: metrics, health, status as page and as JSON. Reads the store, changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import asdict

import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from probe.serve.assets import CONTENT_SECURITY_POLICY, TYPES, static
from probe.serve.exposition import compressed, exposition
from probe.serve.negotiate import choose_format, gzip_accepted
from probe.serve.status import EDGES, status_of
from probe.serve.store import Store
from probe.serve.target_view import TargetView, target_view
from probe.serve.views import Status

_MOST_EDGES = 10_000
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
}


class Pieces(StreamingResponse):
    """A body in pieces, without a second task that listens for the client to leave.

    Starlette's own ends that task by cancelling, and so may cut off Hypercorn while it closes
    the connection after the last piece, which then stays open until it is idle for too long.
    """

    def __init__(self, pieces: AsyncGenerator[bytes, None], headers: dict[str, str]) -> None:
        super().__init__(pieces, headers=headers)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head and pieces (the signature is ASGI's)."""
        async with aclosing(self._pieces):  # also when the client is gone half way
            await self.stream_response(send)


def application(store: Store, *, wall: Callable[[], float] = time.time) -> Starlette:
    """The agent's web application over a store; ``wall`` is asked for the time of day."""
    handlers = _Handlers(store, wall)
    return Starlette(
        routes=[
            Route("/", handlers.index),
            Route("/target/{name:path}", handlers.target),
            Route("/static/{name}", handlers.static),
            Route("/api/v1/status", handlers.api),
            Route("/metrics", handlers.metrics),
            Route("/healthz", handlers.healthz),
            Route("/readyz", handlers.readyz),
        ]
    )


# The next three run in a thread: they take longer than a probe should wait, and work on
# snapshots. Jinja is imported by the first look at a page: an agent that nobody looks at saves
# its 3 MiB.


def _status_page(status: Status) -> str:
    from probe.serve.page import status_page  # noqa: PLC0415 - see above

    return status_page(status)


def _target_page(view: TargetView) -> str:
    from probe.serve.page import target_page  # noqa: PLC0415 - see above

    return target_page(view)


def _as_json(status: Status) -> bytes:
    return json.dumps(asdict(status), ensure_ascii=False).encode(errors="backslashreplace")


class _Handlers:
    def __init__(self, store: Store, wall: Callable[[], float]) -> None:
        self._store = store
        self._wall = wall

    async def index(self, _: Request) -> Response:
        """The status page."""
        status = status_of(self._store, self._wall(), edges=0)
        page = await trio.to_thread.run_sync(_status_page, status)
        return HTMLResponse(page, headers=_HEADERS)

    async def target(self, request: Request) -> Response:
        """The page of one target."""
        view = target_view(self._store, request.path_params["name"], self._wall())
        if view is None:
            raise HTTPException(404, "no such target is probed here")
        page = await trio.to_thread.run_sync(_target_page, view)
        return HTMLResponse(page, headers=_HEADERS)

    async def static(self, request: Request) -> Response:
        """Style and script of the pages."""
        name = request.path_params["name"]
        if name not in TYPES:
            raise HTTPException(404)
        headers = _HEADERS | {"Cache-Control": "max-age=60"}
        return Response(static(name), media_type=TYPES[name], headers=headers)

    async def api(self, request: Request) -> Response:
        """The status as JSON; ``?edges=N`` lists so many failing edges."""
        asked = request.query_params.get("edges", str(EDGES))
        if not (asked.isascii() and asked.isdecimal()) or int(asked[:9]) > _MOST_EDGES:
            raise HTTPException(400, f"edges: a number from 0 to {_MOST_EDGES}")
        status = status_of(self._store, self._wall(), edges=int(asked))
        body = await trio.to_thread.run_sync(_as_json, status)
        return Response(body, media_type="application/json", headers=_HEADERS)

    async def metrics(self, request: Request) -> Response:
        """The metrics, in the format and coding that the scraper prefers."""
        form = choose_format(request.headers.get("accept", ""))
        pieces = exposition(self._store, form)
        headers = _HEADERS | {"Vary": "Accept, Accept-Encoding", "Content-Type": form.value}
        if gzip_accepted(request.headers.get("accept-encoding", "")):
            headers["Content-Encoding"] = "gzip"
            pieces = compressed(pieces)
        return Pieces(pieces, headers=headers)

    async def healthz(self, _: Request) -> Response:
        """The process lives and its loop turns: nothing more is needed to answer."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _: Request) -> Response:
        """Whether configuration and targets are loaded."""
        if self._store.agent.ready:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("configuration or targets are not loaded yet\n", status_code=503)
