"""From an address to a connection that a secret may be sent over.

The presented chain is judged after the handshake and before anything is written: a fatal
finding closes the connection, and the server never sees a byte of the request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.connection.failures import AttemptFailed
from probe.connection.presented import facts_of
from probe.connection.tcp import connect
from probe.connection.timeline import Timeline
from probe.connection.tls import TlsStream, handshake, sni
from probe.http.stream import WatchedStream
from probe.http.url import Origin
from probe.model.failure import Failure
from probe.model.result import Handshake
from probe.model.target import Edge
from probe.model.tls import ChainExpectations, ClientProfile, Trust

_CHAIN = ChainExpectations()


class ChainRejected(AttemptFailed):
    """The presented chain is not acceptable; facts and every further finding come along."""

    def __init__(self, failure: Failure, others: tuple[Failure, ...], facts: Handshake) -> None:
        super().__init__(failure)
        self.others = others
        self.facts = facts


@dataclass(slots=True)
class Dialled:
    """A connection ready for its first request, and how it came about.

    Attributes:
        handshake: None for plain HTTP.
        warnings: findings on the chain that fail nothing.
    """

    stream: WatchedStream
    http2: bool
    handshake: Handshake | None
    warnings: tuple[Failure, ...]


class Dialler:
    """Opens connections; one is shared by all flows.

    Args:
        contexts: shared TLS contexts.
        judge: shared judge of chains.
        wall: wall time, seconds since the epoch.
    """

    def __init__(self, contexts: TlsContexts, judge: Judge, wall: Callable[[], float]) -> None:
        self._contexts = contexts
        self._judge = judge
        self._wall = wall

    async def dial(
        self,
        origin: Origin,
        edge: Edge,
        timeline: Timeline,
        *,
        profile: ClientProfile,
        trust: Trust,
        own_names: tuple[str, ...] = (),
    ) -> Dialled:
        """Connect, and for https shake hands and judge.

        Args:
            origin: what the URL says: its host is the SNI and the name that must match.
            edge: where to connect to.
            timeline: of the call.
            profile: how the handshake looks.
            trust: which roots verify.
            own_names: patterns of names that belong to the provider itself.

        Raises:
            AttemptFailed: and `ChainRejected`, which is one.
        """
        context = self._contexts.get(profile) if origin.scheme == "https" else None
        wire = await connect(edge, timeline)
        if context is None:
            return Dialled(WatchedStream(wire, http2=False), False, None, ())
        stream = await handshake(wire, context, server_name=sni(origin.host))
        try:
            facts, warnings = await self._judged(stream, origin.host, trust, own_names)
        except BaseException:
            stream.close()
            raise
        http2 = facts.alpn == "h2"
        return Dialled(
            WatchedStream(stream, http2=http2),
            http2,
            facts,
            warnings,
        )

    async def _judged(
        self, stream: TlsStream, name: str, trust: Trust, own_names: tuple[str, ...]
    ) -> tuple[Handshake, tuple[Failure, ...]]:
        shown = stream.presented
        verdict = await self._judge.judge(
            shown.certificates,
            name,
            self._wall(),
            trust=trust,
            expect=_CHAIN,
            staple=shown.ocsp,
            own_names=own_names,
        )
        facts = facts_of(shown, verdict)
        if not verdict.accepted:
            first, *others = verdict.failures
            raise ChainRejected(first, (*others, *verdict.warnings), facts)
        return facts, verdict.warnings
