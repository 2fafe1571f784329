"""The connections of one run of a flow: kept between its steps, closed at its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpcore
import trio

from probe.connection import failures
from probe.connection.failures import AttemptFailed
from probe.connection.timeline import Timeline
from probe.http.dial import ChainRejected, Dialler
from probe.http.exchange import Interrupted, Link, NotTaken, exchange
from probe.http.machines import machine
from probe.http.request import Request
from probe.http.response import Answered, Broken, CallResult, Response
from probe.http.url import Origin, origin_of, parsed
from probe.http.way import Way
from probe.model.defect import defect
from probe.model.failure import Failure, Phase, Reason
from probe.model.target import Edge, Resolution
from probe.model.tls import ClientProfile, Trust

Resolve = Callable[[str, int], Awaitable[Resolution]]
"""Finds the addresses of a host for this run; never raises for a remote fault."""

Refuse = Callable[[Edge], Failure | None]

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, 9.2.2
_DIED = frozenset({Reason.CLOSED, Reason.RESET, Reason.HTTP2_ERROR})


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What holds for every call of a run.

    Attributes:
        resolve: finds addresses.
        profile: how handshakes look.
        trust: which roots verify.
        max_body: most bytes of a decoded body.
        turn: which of several addresses to use: this number modulo how many there are, so
            that one run after the other goes through all of them.
        own_names: patterns of names that belong to the provider itself: a certificate for such
            a name is its default certificate.
    """

    resolve: Resolve
    profile: ClientProfile
    trust: Trust = field(default_factory=Trust)
    max_body: int = 1024 * 1024
    turn: int = 0
    own_names: tuple[str, ...] = ()


class Session:
    """Calls of one run, one at a time. Closing it closes every connection."""

    def __init__(self, dialler: Dialler, terms: SessionOptions) -> None:
        self._dialler = dialler
        self._terms = terms
        self._links: dict[Origin, Link] = {}

    async def call(
        self,
        draft: Request,
        *,
        deadline: float,
        fresh: bool = False,
        turn: int = 0,
        refuse: Refuse | None = None,
    ) -> CallResult:
        """Send a request and read its answer. Never raises: a defect of ours is inconclusive.

        Args:
            draft: with all its headers but Host and Content-Length.
            deadline: trio time; always holds.
            fresh: on a connection of its own, closed afterwards.
            turn: added to the run's own turn in choosing an address.
            refuse: says why an address must not be used, before it is connected to.
        """
        timeline = Timeline(trio.current_time(), Phase.RESOLVE)
        way = Way(timeline, draft.url)
        with trio.CancelScope(deadline=deadline):
            try:
                return await self._call(draft, way, fresh=fresh, turn=turn, refuse=refuse)
            except ChainRejected as error:
                way.handshake = error.facts
                return Broken(error.failure, way.trip(), others=error.others)
            except Interrupted as error:
                return Broken(error.failure, way.trip(), error.partial)
            except AttemptFailed as error:
                return Broken(error.failure, way.trip())
            except Exception as error:  # whatever we did wrong costs one call
                self.close()  # nobody knows how far a connection got
                return Broken(defect(error, timeline.phase), way.trip())
        return Broken(failures.timed_out(timeline, trio.current_time()), way.trip())

    async def _call(
        self,
        draft: Request,
        way: Way,
        *,
        fresh: bool,
        turn: int,
        refuse: Refuse | None,
    ) -> Answered:
        origin = origin_of(parsed(draft.url))
        link = None if fresh else await self._kept(origin)
        try:
            if link is not None:
                answer = await self._on_kept(link, draft, way)
                if answer is not None:
                    return Answered(answer, way.trip())
            link = await self._open(origin, way, turn, refuse)
            if not fresh:  # else one that is kept would be lost without being closed
                self._links[origin] = link
            answer = await self._on(link, draft, way)
            return Answered(answer, way.trip())
        except NotTaken:
            raise AttemptFailed(
                Failure(way.timeline.phase, Reason.HTTP2_ERROR, "GOAWAY before the first request")
            ) from None
        finally:
            if link is not None and (fresh or not link.reusable):
                self._drop(link)

    async def _on_kept(self, link: Link, draft: Request, way: Way) -> Response | None:
        """The answer over a kept connection; None when it had died before the request."""
        try:
            return await self._on(link, draft, way)
        except NotTaken:
            pass
        except Interrupted as error:
            # A server may close a kept connection just as we use it; clients then ask
            # again, if asking twice does no harm (RFC 9112 section 9.3.1).
            unanswered = error.partial is None and (link.http2 or not link.stream.heard)
            died = unanswered and error.failure.reason in _DIED
            if not died or draft.method not in _IDEMPOTENT:
                raise
        self._drop(link)
        return None

    async def _on(self, link: Link, draft: Request, way: Way) -> Response:
        link.stream.serve(way.timeline)
        way.requests += 1
        return await exchange(link, draft, max_body=self._terms.max_body)

    async def _kept(self, origin: Origin) -> Link | None:
        link = self._links.get(origin)
        if link is None:
            return None
        if link.reusable and (link.http2 or await link.stream.quiet()):
            return link
        self._drop(link)
        return None

    async def _open(self, origin: Origin, way: Way, turn: int, refuse: Refuse | None) -> Link:
        way.fresh = True
        way.timeline.enter(Phase.RESOLVE)
        edge = await self._edge(origin, way, turn)
        refusal = None if refuse is None else refuse(edge)
        if refusal is not None:
            raise AttemptFailed(refusal)
        dialled = await self._dialler.dial(
            origin,
            edge,
            way.timeline,
            profile=self._terms.profile,
            trust=self._terms.trust,
            own_names=self._terms.own_names,
        )
        way.handshake, way.warnings = dialled.handshake, dialled.warnings
        where = httpcore.Origin(origin.scheme.encode(), origin.host.encode(), origin.port)
        try:
            own = machine(where, dialled.stream, http2=dialled.http2)
        except BaseException:
            dialled.stream.close()
            raise
        return Link(origin, edge, dialled.stream, own, dialled.http2)

    async def _edge(self, origin: Origin, way: Way, turn: int) -> Edge:
        resolution = await self._terms.resolve(origin.host, origin.port)
        way.timeline.resolve = resolution.seconds
        if resolution.edges:
            return resolution.edges[(self._terms.turn + turn) % len(resolution.edges)]
        raise AttemptFailed(
            resolution.failure
            or Failure(Phase.RESOLVE, Reason.NO_ADDRESSES, f"{origin.host} has no address")
        )

    def _drop(self, link: Link) -> None:
        link.stream.close()
        if self._links.get(link.origin) is link:
            del self._links[link.origin]

    def close(self) -> None:
        """Close every kept connection, at once."""
        for link in self._links.values():
            link.stream.close()
        self._links.clear()
