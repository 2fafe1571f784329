"""Routes: metrics, health, status as page and as JSON. Reads the store, changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from importlib.resources import files

import trio

from probe.serve.http.message import HTML, Refused, WebAnswer, WebRequest
from probe.serve.http.metrics import (
    choose_format,
    compressed,
    exposition,
    gzip_accepted,
    paced,
    swept,
)
from probe.serve.http.server import Handler, Places, Router
from probe.serve.memory.store import Store
from probe.serve.page.problems import edge_views
from probe.serve.page.status import EDGES, status_of
from probe.serve.page.target_view import TargetView, target_view
from probe.serve.page.views import StatusView

_MOST_EDGES = 10_000
_TARGET, _STATIC = "/target/", "/static/"
_TYPES = {"style.css": "text/css", "refresh.js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Only the page's own style and script; nothing inline, nothing from elsewhere.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


def application(store: Store, *, wall: Callable[[], float] = time.time) -> Router:
    """The agent's web application over a store; ``wall`` is asked for the time of day."""
    handlers = _Handlers(store, wall)
    pages, scrapes = Places(2), Places(16)
    exact: dict[str, tuple[Handler, Places | None]] = {
        "/": (handlers.index, pages),
        "/api/v1/status": (handlers.api, pages),
        "/metrics": (handlers.metrics, scrapes),
        "/healthz": (handlers.healthz, None),
        "/readyz": (handlers.readyz, None),
    }

    def router(request: WebRequest) -> tuple[Handler, Places | None]:
        path = request.path.rstrip("/") or "/"
        found = exact.get(path)
        if path.startswith(_TARGET):
            found = handlers.target, pages
        elif path.startswith(_STATIC):
            found = handlers.static, None
        if found is None:
            raise Refused(404)
        if request.method not in {"GET", "HEAD"}:
            raise Refused(405, headers={"Allow": "GET, HEAD"})
        return found

    return router


# The next three run in a thread: they take longer than a probe should wait, and work on
# snapshots. Jinja is imported by the first look at a page: an agent that nobody looks at saves
# its 3 MiB.


def _status_page(status: StatusView) -> str:
    from probe.serve.page.html import status_page  # noqa: PLC0415 - see above

    return status_page(status)


def _target_page(view: TargetView) -> str:
    from probe.serve.page.html import target_page  # noqa: PLC0415 - see above

    return target_page(view)


@cache
def _static(name: str) -> bytes:
    return files("probe.serve.http").joinpath("static", name).read_bytes()


def _as_json(status: StatusView) -> bytes:
    return json.dumps(asdict(status), ensure_ascii=False).encode(errors="backslashreplace")


class _Handlers:
    def __init__(self, store: Store, wall: Callable[[], float]) -> None:
        self._store = store
        self._wall = wall

    async def index(self, _: WebRequest) -> WebAnswer:
        """The status page."""
        await swept(self._store)
        status = status_of(self._store, self._wall(), edges=0)
        page = await trio.to_thread.run_sync(_status_page, status)
        return WebAnswer(page.encode(), HTML, headers=_HEADERS)

    async def target(self, request: WebRequest) -> WebAnswer:
        """The page of one target."""
        await swept(self._store)
        name = request.path.removeprefix(_TARGET).rstrip("/")
        view = target_view(self._store, name, self._wall())
        if view is None:
            raise Refused(404, "no such target is probed here")
        page = await trio.to_thread.run_sync(_target_page, view)
        return WebAnswer(page.encode(), HTML, headers=_HEADERS)

    async def static(self, request: WebRequest) -> WebAnswer:
        """Style and script of the pages."""
        name = request.path.removeprefix(_STATIC)
        if name not in _TYPES:
            raise Refused(404)
        headers = _HEADERS | {"Cache-Control": "max-age=60"}
        return WebAnswer(_static(name), f"{_TYPES[name]}; charset=utf-8", headers=headers)

    async def api(self, request: WebRequest) -> WebAnswer:
        """The status as JSON; ``?edges=N`` lists so many failing edges."""
        asked = request.query.get("edges", str(EDGES))
        if not (asked.isascii() and asked.isdecimal()) or int(asked[:9]) > _MOST_EDGES:
            raise Refused(400, f"edges: a number from 0 to {_MOST_EDGES}")
        await swept(self._store)
        status = status_of(self._store, self._wall(), edges=0)
        edges = [view async for view in paced(edge_views(self._store, int(asked)))]
        status = replace(status, edges=tuple(edges))
        body = await trio.to_thread.run_sync(_as_json, status)
        return WebAnswer(body, "application/json", headers=_HEADERS)

    async def metrics(self, request: WebRequest) -> WebAnswer:
        """The metrics, in the format and coding that the scraper prefers."""
        form = choose_format(request.headers.get("accept", ""))
        pieces = exposition(self._store, form)
        headers = _HEADERS | {"Vary": "Accept, Accept-Encoding"}
        if gzip_accepted(request.headers.get("accept-encoding", "")):
            headers["Content-Encoding"] = "gzip"
            pieces = compressed(pieces)
        return WebAnswer(pieces, form.value, headers=headers)

    async def healthz(self, _: WebRequest) -> WebAnswer:
        """The process lives and its loop turns: nothing more is needed to answer."""
        return WebAnswer(b"ok\n")

    async def readyz(self, _: WebRequest) -> WebAnswer:
        """Whether configuration and targets are loaded."""
        if self._store.agent.ready:
            return WebAnswer(b"ready\n")
        return WebAnswer(b"configuration or targets are not loaded yet\n", status=503)
