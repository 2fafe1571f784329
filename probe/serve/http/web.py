"""Routes: metrics, health, status as page and as JSON. Reads the store, changes nothing."""

from __future__ import annotations

import json
import re
import socket
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import asdict, fields
from functools import cache
from importlib.resources import files
from typing import TypeVar, cast

import trio

from probe.model.failure import printable
from probe.model.target import EdgeKey
from probe.serve.http.message import HTML, Refused, WebAnswer, WebRequest
from probe.serve.http.metrics import (
    choose_format,
    compressed,
    exposition,
    gzip_accepted,
    paced,
    swept,
)
from probe.serve.http.regions import AskPeers, RegionPages, no_peers
from probe.serve.http.server import Handler, Places, Router
from probe.serve.memory.store import Store
from probe.serve.page.problems import EdgeRank, edge_views
from probe.serve.page.status import EDGES, status_of
from probe.serve.page.target_view import TargetView, target_view
from probe.serve.page.targets_view import (
    STATES,
    TargetQuery,
    TargetsView,
    found_targets,
    targets_view,
)
from probe.serve.page.views import StatusView

T = TypeVar("T")

SLICE = 64 * 1024
"""Bytes of JSON that are rendered before they are sent."""

_MOST_EDGES = 10_000
_TARGET, _STATIC = "/target/", "/static/"
_TYPES = {"style.css": "text/css", "refresh.js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Only the page's own style and script; nothing inline, nothing from elsewhere.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


_ELSEWHERE = "the status page is not served here (page: in the configuration says where)"


def application(
    store: Store,
    *,
    wall: Callable[[], float] = time.time,
    pages: bool = True,
    hosts: Iterable[str] = (),
    asked: Handler | None = None,
    peers: AskPeers = no_peers,
) -> Router:
    """The agent's web application over a store.

    Args:
        store: what is shown.
        wall: asked for the time of day.
        pages: whether pages, API and evidence are served too, or metrics and health alone.
        hosts: names, or patterns such as ``*.example.com``, under which browsers may ask for
            pages, besides addresses, ``localhost`` and this machine's own name.
        asked: answers ``/probe``, which bounds itself; None where that is not served.
        peers: asks the other agents for the page of all regions.
    """
    handlers = _Handlers(store, wall)
    regions = RegionPages(store, wall, peers, _HEADERS)
    few, scrapes = Places(2), Places(16)
    joined = Places(8)  # they mostly wait for others, and must not keep others waiting
    exact: dict[str, tuple[Handler, Places | None]] = {
        "/": (handlers.index, few),
        "/api/v1/status": (handlers.api, few),
        "/api/v1/targets": (handlers.names, few),
        "/targets": (handlers.targets, few),
        "/targets.txt": (handlers.text, few),
        "/regions": (regions.page, joined),
        "/api/v1/regions": (regions.joined, joined),
        "/api/v1/region": (regions.own, Places(4)),
        "/api/v1/openapi.json": (handlers.openapi, None),
        "/metrics": (handlers.metrics, scrapes),
        "/healthz": (handlers.healthz, None),
        "/readyz": (handlers.readyz, None),
    }
    if asked is not None:
        exact[PROBE] = asked, None
    known = frozenset({"localhost", socket.gethostname().lower(), *hosts})

    def router(request: WebRequest) -> tuple[Handler, Places | None]:
        path = request.path.rstrip("/") or "/"
        found = exact.get(path)
        if path.startswith(_TARGET):
            found = handlers.target, few
        elif path.startswith(_STATIC):
            found = handlers.static, None
        if found is None:
            raise Refused(404)
        if path not in OPEN or _shows_evidence(request, path):
            if not pages:
                raise Refused(404, _ELSEWHERE)
            if not _ours(request.host, known):
                raise Refused(421, _foreign(request.host))
        allowed = ("GET",) if path == PROBE else ("GET", "HEAD")
        if request.method not in allowed:
            raise Refused(405, headers={"Allow": ", ".join(allowed)})
        return found

    return router


PROBE = "/probe"

OPEN = frozenset({"/metrics", "/healthz", "/readyz", PROBE})
"""Paths that answer under every host name: Prometheus asks by whatever name it discovered, and
they show no evidence. The others are for browsers, which a foreign page could point here by DNS
rebinding."""


def _shows_evidence(request: WebRequest, path: str) -> bool:
    """Whether a probe is asked for with its log, which is evidence as the pages are."""
    return path == PROBE and request.query.get("debug") == "true"


_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}\Z|\[[0-9a-f:.]+\]\Z")


def _ours(host: str, known: Iterable[str]) -> bool:
    """Whether a browser may read pages under this host name, lower-case and without a port."""
    if not host or _ADDRESS.match(host):  # none at all: HTTP/1.0, which no browser speaks
        return True
    return any(
        host == one or (one.startswith("*.") and host.endswith(one[1:]) and host != one[1:])
        for one in known
    )


def _foreign(host: str) -> str:
    return (
        f"this agent does not answer to the name {host}; ask by its address, or add the name to "
        "host_names: in the configuration and restart the agent"
    )


# The next three run in a thread: they take longer than a probe should wait, and work on
# snapshots. Jinja is imported by the first look at a page: an agent that nobody looks at saves
# its 3 MiB.


def _status_page(status: StatusView) -> str:
    from probe.serve.page.html import status_page  # noqa: PLC0415 - see above

    return status_page(status)


def _target_page(view: TargetView) -> str:
    from probe.serve.page.html import target_page  # noqa: PLC0415 - see above

    return target_page(view)


def _targets_page(view: TargetsView) -> str:
    from probe.serve.page.html import targets_page  # noqa: PLC0415 - see above

    return targets_page(view)


async def _taken(steps: Generator[None, None, T]) -> T:
    """What a walk in short steps returns, others running in between."""

    def walk() -> Iterator[T | None]:
        yield (yield from steps)

    async with aclosing(paced(walk())) as each:
        last: T | None = None
        async for last in each:  # noqa: B007 - the last one is the answer
            pass
    return cast("T", last)


def _wanted(query: Mapping[str, str]) -> TargetQuery:
    """Which targets a URL asks for. Raises Refused."""
    wanted = TargetQuery(
        **{one.name: query.get(one.name, "").strip() for one in fields(TargetQuery)}
    )
    if wanted.state not in ("", *STATES):
        raise Refused(400, f"state: one of {', '.join(STATES)}")
    return wanted


def _number(query: Mapping[str, str], name: str, otherwise: int, most: int) -> int:
    """A number of a URL. Raises Refused."""
    text = query.get(name) or str(otherwise)
    if not (text.isascii() and text.isdecimal() and len(text) <= 9) or int(text) > most:
        raise Refused(400, f"{name}: a number from 0 to {most}")
    return int(text)


@cache
def _static(name: str) -> bytes:
    return files("probe.serve.http").joinpath("static", name).read_bytes()


def _as_json(status: StatusView) -> bytes:
    """The status without its edges, open at the end: they follow in pieces."""
    shown = asdict(status)
    del shown["edges"]
    return json.dumps(shown)[:-1].encode()


async def _status_pieces(
    store: Store, first: bytes, most: int, after: EdgeRank | None
) -> AsyncGenerator[bytes, None]:
    """The status as JSON, its edges in slices, others running in between."""
    pending, size, count, last = [first, b', "edges": ['], 0, 0, after
    async with aclosing(paced(edge_views(store, most, after))) as steps:
        async for found in steps:
            if found is None:
                continue
            last, view = found
            pending.append((", " if count else "").encode() + json.dumps(asdict(view)).encode())
            count, size = count + 1, size + len(pending[-1])
            if size >= SLICE:
                yield b"".join(pending)
                pending, size = [], 0
    following = json.dumps(None if last is None or count < most else _cursor(last))
    yield b"".join((*pending, f'], "edges_next": {following}}}\n'.encode()))


def _cursor(rank: EdgeRank) -> str:
    return urlsafe_b64encode(json.dumps([rank[0], *rank[1]]).encode()).decode().rstrip("=")


def _rank(cursor: str) -> EdgeRank | None:
    """The place in the list that a cursor names. Raises Refused."""
    if not cursor:
        return None
    try:
        gravity, *names = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if isinstance(gravity, int) and all(isinstance(name, str) for name in names):
            return gravity, EdgeKey(*names)
    except (ValueError, TypeError, RecursionError):
        pass
    raise Refused(400, "after: write what edges_next said in the answer before")


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

    async def targets(self, request: WebRequest) -> WebAnswer:
        """The list of targets, a page of it."""
        wanted = _wanted(request.query)
        page = _number(request.query, "page", 1, 1_000_000)
        await swept(self._store)
        view = await _taken(targets_view(self._store, wanted, page, self._wall()))
        text = await trio.to_thread.run_sync(_targets_page, view)
        return WebAnswer(text.encode(), HTML, headers=_HEADERS)

    async def text(self, request: WebRequest) -> WebAnswer:
        """The names of the targets that are asked for, one a line."""
        wanted = _wanted(request.query)
        await swept(self._store)
        found = await _taken(found_targets(self._store, wanted))
        names = dict.fromkeys(printable(name) for _, name, _ in found)
        return WebAnswer("".join(f"{name}\n" for name in names).encode(), headers=_HEADERS)

    async def names(self, request: WebRequest) -> WebAnswer:
        """Targets as JSON: name, check and state, failing ones first; ``?limit=N`` of them."""
        wanted = _wanted(request.query)
        most = _number(request.query, "limit", 100, _MOST_EDGES)
        await swept(self._store)
        found = await _taken(found_targets(self._store, wanted))
        targets = [
            {"target": name, "check": check, "state": STATES[gravity]}
            for gravity, name, check in found[:most]
        ]
        answer = {"targets": targets, "targets_total": len(found)}
        return WebAnswer(json.dumps(answer).encode(), "application/json", headers=_HEADERS)

    async def static(self, request: WebRequest) -> WebAnswer:
        """Style and script of the pages."""
        name = request.path.removeprefix(_STATIC)
        if name not in _TYPES:
            raise Refused(404)
        headers = _HEADERS | {"Cache-Control": "max-age=60"}
        return WebAnswer(_static(name), f"{_TYPES[name]}; charset=utf-8", headers=headers)

    async def api(self, request: WebRequest) -> WebAnswer:
        """The status as JSON; ``?edges=N`` lists so many failing edges, from ``after`` on."""
        most = _number(request.query, "edges", EDGES, _MOST_EDGES)
        after = _rank(request.query.get("after", ""))
        await swept(self._store)
        status = status_of(self._store, self._wall(), edges=0)
        first = await trio.to_thread.run_sync(_as_json, status)
        pieces = _status_pieces(self._store, first, most, after)
        return WebAnswer(pieces, "application/json", headers=_HEADERS)

    async def openapi(self, _: WebRequest) -> WebAnswer:
        """What the API answers, as OpenAPI describes it."""
        return WebAnswer(_static("openapi.json"), "application/json", headers=_HEADERS)

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
