"""Routes: metrics, health, status as page and as JSON. Reads the store, changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict

import trio

from probe.serve.http.answering import HTML, Answer, Paths, Refused, Request
from probe.serve.http.assets import CONTENT_SECURITY_POLICY, TYPES, static
from probe.serve.memory.store import Store
from probe.serve.page.status import EDGES, status_of
from probe.serve.page.target_view import TargetView, target_view
from probe.serve.page.views import Status
from probe.serve.series.exposition import compressed, exposition, swept
from probe.serve.series.negotiate import choose_format, gzip_accepted

_MOST_EDGES = 10_000
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
}


def application(store: Store, *, wall: Callable[[], float] = time.time) -> Paths:
    """The agent's web application over a store; ``wall`` is asked for the time of day."""
    handlers = _Handlers(store, wall)
    return Paths(
        {
            "/": handlers.index,
            "/api/v1/status": handlers.api,
            "/metrics": handlers.metrics,
            "/healthz": handlers.healthz,
            "/readyz": handlers.readyz,
        },
        below={"/target/": handlers.target, "/static/": handlers.static},
    )


# The next three run in a thread: they take longer than a probe should wait, and work on
# snapshots. Jinja is imported by the first look at a page: an agent that nobody looks at saves
# its 3 MiB.


def _status_page(status: Status) -> str:
    from probe.serve.page.html import status_page  # noqa: PLC0415 - see above

    return status_page(status)


def _target_page(view: TargetView) -> str:
    from probe.serve.page.html import target_page  # noqa: PLC0415 - see above

    return target_page(view)


def _as_json(status: Status) -> bytes:
    return json.dumps(asdict(status), ensure_ascii=False).encode(errors="backslashreplace")


class _Handlers:
    def __init__(self, store: Store, wall: Callable[[], float]) -> None:
        self._store = store
        self._wall = wall

    async def index(self, _: Request) -> Answer:
        """The status page."""
        await swept(self._store)
        status = status_of(self._store, self._wall(), edges=0)
        page = await trio.to_thread.run_sync(_status_page, status)
        return Answer(page.encode(), HTML, headers=_HEADERS)

    async def target(self, request: Request) -> Answer:
        """The page of one target."""
        await swept(self._store)
        view = target_view(self._store, request.rest, self._wall())
        if view is None:
            raise Refused(404, "no such target is probed here")
        page = await trio.to_thread.run_sync(_target_page, view)
        return Answer(page.encode(), HTML, headers=_HEADERS)

    async def static(self, request: Request) -> Answer:
        """Style and script of the pages."""
        name = request.rest
        if name not in TYPES:
            raise Refused(404, "Not Found")
        headers = _HEADERS | {"Cache-Control": "max-age=60"}
        return Answer(static(name), f"{TYPES[name]}; charset=utf-8", headers=headers)

    async def api(self, request: Request) -> Answer:
        """The status as JSON; ``?edges=N`` lists so many failing edges."""
        asked = request.query.get("edges", str(EDGES))
        if not (asked.isascii() and asked.isdecimal()) or int(asked[:9]) > _MOST_EDGES:
            raise Refused(400, f"edges: a number from 0 to {_MOST_EDGES}")
        await swept(self._store)
        status = status_of(self._store, self._wall(), edges=int(asked))
        body = await trio.to_thread.run_sync(_as_json, status)
        return Answer(body, "application/json", headers=_HEADERS)

    async def metrics(self, request: Request) -> Answer:
        """The metrics, in the format and coding that the scraper prefers."""
        form = choose_format(request.headers.get("accept", ""))
        pieces = exposition(self._store, form)
        headers = _HEADERS | {"Vary": "Accept, Accept-Encoding"}
        if gzip_accepted(request.headers.get("accept-encoding", "")):
            headers["Content-Encoding"] = "gzip"
            pieces = compressed(pieces)
        return Answer(pieces, form.value, headers=headers)

    async def healthz(self, _: Request) -> Answer:
        """The process lives and its loop turns: nothing more is needed to answer."""
        return Answer(b"ok\n")

    async def readyz(self, _: Request) -> Answer:
        """Whether configuration and targets are loaded."""
        if self._store.agent.ready:
            return Answer(b"ready\n")
        return Answer(b"configuration or targets are not loaded yet\n", status=503)
