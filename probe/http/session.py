"""The connections of one run of a flow: opened, kept between its steps, closed at its end.

The chain that a server presents is judged after the handshake and before anything is written: a
fatal finding closes the connection, and the server never sees a byte of the request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import trio

from probe.certificates import Judge
from probe.connection import failures
from probe.connection.contexts import TlsContexts
from probe.connection.failures import AttemptFailed
from probe.connection.tcp import Wire, connect
from probe.connection.timeline import Timeline, facts_of
from probe.connection.tls import TlsStream, handshake, sni
from probe.http.body import Incoming
from probe.http.channel import Channel, NotTaken
from probe.http.http1 import Http1
from probe.http.http2 import Http2
from probe.http.messages import Answered, Broken, CallFacts, CallResult, Request, Response
from probe.http.url import Origin, origin_of, parsed
from probe.model.failure import Failure, Phase, Reason, defect
from probe.model.result import Handshake
from probe.model.target import AddressRules, Edge, Resolution
from probe.model.tls import ChainExpectations, ClientProfile, Trust
from probe.net.addresses import refusal, spells_out

Resolve = Callable[[str, int], Awaitable[Resolution]]
"""Finds the addresses of a host for this run; never raises for a remote fault."""

Refuse = Callable[[Edge], Failure | None]

Connection = Http1 | Http2

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, 9.2.2
_DIED = frozenset({Reason.CLOSED, Reason.RESET})
_CHAIN = ChainExpectations()


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
        addresses: which may be connected to.
        written: whether the configuration itself writes a host, so that an address or
            ``localhost`` need not be permitted.
    """

    resolve: Resolve
    profile: ClientProfile
    trust: Trust = field(default_factory=Trust)
    max_body: int = 1024 * 1024
    turn: int = 0
    own_names: tuple[str, ...] = ()
    addresses: AddressRules = field(default_factory=AddressRules)
    written: Callable[[str], bool] = lambda _host: False


@dataclass(frozen=True, slots=True)
class Dialler:
    """What it takes to open a connection; one is shared by all flows.

    Attributes:
        contexts: shared TLS contexts.
        judge: shared judge of chains.
        wall: wall time, seconds since the epoch.
        lag: the event loop's lag now, in seconds.
    """

    contexts: TlsContexts
    judge: Judge
    wall: Callable[[], float]
    lag: Callable[[], float] = lambda: 0.0

    async def dial(
        self, origin: Origin, edge: Edge, progress: Progress, options: SessionOptions
    ) -> Connection:
        """Connect, and for https shake hands and judge.

        Args:
            origin: what the URL says: its host is the SNI and the name that must match.
            edge: where to connect to.
            progress: of the call.
            options: of the run.

        Raises:
            AttemptFailed: nothing was sent, and the connection is closed.
        """
        context = self.contexts.get(options.profile) if origin.scheme == "https" else None
        wire = await connect(edge, progress.timeline, options.addresses)
        link: Wire | TlsStream = wire
        try:
            if context is None:
                return Http1(Channel(wire))
            link = stream = await handshake(wire, context, server_name=sni(origin.host))
            await self._judge(stream, origin.host, progress, options)
            channel = Channel(stream)
            return Http2(channel) if stream.presented.alpn == "h2" else Http1(channel)
        except BaseException:
            link.close()
            raise

    async def _judge(
        self, stream: TlsStream, name: str, progress: Progress, options: SessionOptions
    ) -> None:
        """Judge what was presented. Raises AttemptFailed when it is not acceptable."""
        verdict = await self.judge.judge(
            stream.presented.certificates,
            name,
            self.wall(),
            trust=options.trust,
            expect=_CHAIN,
            staple=stream.presented.ocsp,
            own_names=options.own_names,
        )
        progress.handshake = facts_of(stream.presented, verdict)
        if not verdict.accepted:
            first, *others = verdict.failures
            progress.others = (*others, *verdict.warnings)
            raise AttemptFailed(first)
        progress.warnings = verdict.warnings


class Progress:
    """What is known of a call while it is under way, beside its timeline."""

    def __init__(self, url: str, lag: Callable[[], float]) -> None:
        self.timeline = Timeline(trio.current_time(), Phase.RESOLVE)
        self.url = url
        self.lag = lag
        self.handshake: Handshake | None = None
        self.fresh = False
        self.requests = 0
        self.warnings: tuple[Failure, ...] = ()
        self.others: tuple[Failure, ...] = ()  # findings beside the failure
        self.incoming = Incoming(0)

    def facts(self) -> CallFacts:
        """The facts, as far as the call got."""
        timeline = self.timeline
        whole = timeline.written is not None and timeline.answered is not None
        end = timeline.arrived if whole else trio.current_time()
        return CallFacts(
            timings=timeline.timings(end - timeline.begun, self.lag()),
            edge=timeline.edge,
            handshake=self.handshake,
            fresh=self.fresh,
            requests=self.requests,
            url=self.url,
            warnings=self.warnings,
        )


class Session:
    """Calls of one run, one at a time. Closing it closes every connection."""

    def __init__(self, dialler: Dialler, options: SessionOptions) -> None:
        self._dialler = dialler
        self._options = options
        self._kept: dict[Origin, Connection] = {}

    async def call(
        self,
        request: Request,
        *,
        deadline: float,
        fresh: bool = False,
        turn: int = 0,
        refuse: Refuse | None = None,
    ) -> CallResult:
        """Send a request and read its answer. Never raises: a defect of ours is inconclusive.

        Args:
            request: with all its headers but Host and Content-Length.
            deadline: trio time; always holds.
            fresh: on a connection of its own, closed afterwards.
            turn: added to the run's own turn in choosing an address.
            refuse: says why an address must not be used, before it is connected to.
        """
        progress = Progress(request.url, self._dialler.lag)
        timeline = progress.timeline
        with trio.CancelScope(deadline=deadline):
            try:
                try:
                    response = await self._call(request, progress, fresh, turn, refuse)
                    return Answered(response, progress.facts())
                except AttemptFailed as error:
                    partial = await progress.incoming.response()
                    return Broken(error.failure, progress.facts(), partial, progress.others)
            except Exception as error:  # whatever we did wrong costs one call
                self.close()  # nobody knows how far a connection got
                return Broken(defect(error, timeline.phase), progress.facts())
        late = failures.timed_out(timeline, trio.current_time())
        return Broken(late, progress.facts())

    async def _call(
        self, request: Request, progress: Progress, fresh: bool, turn: int, refuse: Refuse | None
    ) -> Response:
        """The response, over a kept connection if there is one. Raises AttemptFailed."""
        origin = origin_of(parsed(request.url))
        if not fresh:
            response = await self._on_kept(origin, request, progress)
            if response is not None:
                return response
        connection = await self._open(origin, progress, turn, refuse)
        try:
            return await self._exchange(connection, request, progress)
        finally:
            if fresh or not connection.reusable:
                connection.channel.close()
            else:
                self._kept[origin] = connection

    async def _on_kept(
        self, origin: Origin, request: Request, progress: Progress
    ) -> Response | None:
        """The response over a kept connection.

        None when there is no such connection, or when it had died before the request.

        Raises AttemptFailed.
        """
        connection = self._kept.pop(origin, None)
        if connection is None:
            return None
        try:
            if not await connection.still_open():
                return None
            response = await self._exchange(connection, request, progress)
        except NotTaken:
            return None
        except AttemptFailed as error:
            # A server may close a kept connection just as we use it; clients then ask
            # again, if asking twice does no harm (RFC 9112 section 9.3.1). What is no HTTP may
            # be the rest of an earlier answer. A stream that is reset is a result, unless the
            # server says that it did nothing (RFC 9113 section 8.7).
            reason = error.failure.reason
            silent = isinstance(connection, Http2) or not connection.channel.heard
            died = (reason in _DIED and silent) or reason is Reason.HTTP_INVALID
            answered = progress.incoming.head is not None
            if answered or not died or request.method not in _IDEMPOTENT:
                raise
            return None
        finally:
            if connection.reusable:
                self._kept[origin] = connection
            else:
                connection.channel.close()
        return response

    async def _exchange(
        self, connection: Connection, request: Request, progress: Progress
    ) -> Response:
        """One request over a connection. Raises AttemptFailed or NotTaken."""
        if connection.channel.timeline is not progress.timeline:
            connection.channel.wire.serve(progress.timeline)
        progress.requests += 1
        progress.incoming = Incoming(self._options.max_body)
        await connection.exchange(request, progress.incoming)
        response = await progress.incoming.response()
        assert response is not None  # noqa: S101 - an exchange that ends well has a head
        return response

    async def _open(
        self, origin: Origin, progress: Progress, turn: int, refuse: Refuse | None
    ) -> Connection:
        """A new connection. Raises AttemptFailed."""
        progress.fresh = True
        progress.timeline.enter(Phase.RESOLVE)
        resolution = await self._options.resolve(origin.host, origin.port)
        progress.timeline.resolve = resolution.seconds
        progress.timeline.lookup = resolution.took
        if not resolution.edges:
            raise AttemptFailed(
                resolution.failure
                or Failure(Phase.RESOLVE, Reason.NO_ADDRESSES, f"{origin.host} has no address")
            )
        edge = resolution.edges[(self._options.turn + turn) % len(resolution.edges)]
        asks = not edge.written and spells_out(origin.host, edge.ip)
        if asks and self._options.written(origin.host):
            edge = replace(edge, written=True)
        progress.timeline.edge = edge
        refused = None if refuse is None else refuse(edge)
        if refused is not None and refusal(edge.ip, self._options.addresses) is None:
            raise AttemptFailed(refused)  # else nobody connects to it, which is said there
        return await self._dialler.dial(origin, edge, progress, self._options)

    def close(self) -> None:
        """Close every kept connection, at once."""
        for connection in self._kept.values():
            connection.channel.close()
        self._kept.clear()
