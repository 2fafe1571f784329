"""What answers behind every TLS connection of the lab: finds the site by host, marks the answer."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from probe.lab.gate import Gate, Stopped
from probe.lab.http import Ending, Exchange, Reply, Response, serve_http1
from probe.lab.http2 import Http2Server
from probe.lab.places import API
from probe.lab.terminator import TlsStream


class Site(Protocol):
    """Answers for some hosts."""

    async def respond(self, exchange: Exchange) -> Response:
        """Answer, or raise ``gate.Stopped``."""


@dataclass(slots=True)
class Front:
    """All sites of the lab.

    Attributes:
        sites: by host name.
        otherwise: for every other host.
        now: wall time in seconds.
        requests: how many arrived, by host and path.
    """

    gate: Gate
    sites: Mapping[str, Site]
    otherwise: Site
    now: Callable[[], float]
    requests: dict[tuple[str, str], int] = field(default_factory=dict)

    async def serve(self, tls: TlsStream, edge: str) -> None:
        """Speak the version of HTTP that was negotiated until the connection ends.

        Most clients of the lab leave after the handshake: nothing is made or sent before they
        have asked for something.
        """
        first = await tls.receive_some()
        if not first:
            return
        if tls.alpn == "h2":
            await Http2Server(tls, edge, self.respond, self.now).serve(first)
        else:
            await serve_http1(tls, edge, self.respond, self.now, first)

    async def respond(self, exchange: Exchange) -> Reply:
        """Answer one request, as a site or as a fault wants it."""
        asked = exchange.request.host, exchange.request.path
        self.requests[asked] = self.requests.get(asked, 0) + 1
        exchange.notes.extend(_evidence(exchange))
        try:
            await self.gate.enter("edge", exchange)
            site = self.sites.get(exchange.request.host, self.otherwise)
            reply: Reply = await site.respond(exchange)
        except Stopped as stopped:
            reply = stopped.reply
        if isinstance(reply, Ending):
            return reply
        return reply.plus(*exchange.notes)


def _evidence(exchange: Exchange) -> list[tuple[str, str]]:
    """Headers by which a request can be found again in the platform's logs."""
    identity = secrets.token_hex(16)
    notes = [("x-request-id", identity), ("server", "lab")]
    trace = exchange.request.headers.get("traceparent", "").split("-")
    notes.append(("x-trace-id", trace[1] if len(trace) == 4 else identity))
    provider, _, cluster = exchange.edge.partition("/")
    if provider == API:
        notes.append(("x-vtex-io-cluster-id", cluster))
        notes.append(("x-vtex-router-version", "lab"))
    else:
        notes.append(("x-edge-location", cluster))
    return notes
