"""Looks at a reference: does anything at all answer, and what time does it have?

A reference tells whether this agent's own network, DNS and clock can be trusted. Any answer will
do, even a refusal in TLS or an error in HTTP. What counts as broken is what a broken network looks
like: no address, no connection, silence, or a connection that is cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import trio

from probe.certificates import Judge
from probe.certificates.verdict import Verdict
from probe.connection.contexts import TlsContexts
from probe.connection.failures import AttemptFailed, timed_out
from probe.connection.tcp import connect
from probe.connection.timeline import Timeline
from probe.http.messages import Answered, Broken, CallResult, Request
from probe.http.session import Dialler, Resolve, Session, SessionOptions
from probe.http.url import clean_url
from probe.model.failure import Failure, Phase, Reason, defect
from probe.model.result import Failed, Inconclusive, Outcome, Passed
from probe.model.target import AddressRules, Edge
from probe.model.tls import ChainExpectations, ClientProfile, Trust
from probe.net.http import http_date, seconds_of

_CUT_OFF = frozenset({Reason.TIMEOUT, Reason.RESET, Reason.CLOSED})
_NO_WAY = frozenset({Phase.RESOLVE, Phase.CONNECT})
_MOST_BODY = 64 * 1024
_HALF_A_SECOND = 0.5  # Date is cut to whole seconds (RFC 9110 section 5.6.7)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a reference gave.

    Attributes:
        outcome: `Failed` only for what a broken network explains; `Inconclusive` for a defect
            of ours.
        offset: the reference's clock minus ours in seconds, by its ``Date``; None without one.
        proof: its certificate is valid at that date, and not by our clock.
    """

    outcome: Outcome
    offset: float | None = None
    proof: bool = False


class ReferenceProber:
    """Looks at references.

    Args:
        contexts: shared TLS contexts.
        judge: shared judge of chains.
        wall: wall time, seconds since the epoch.
    """

    def __init__(self, contexts: TlsContexts, judge: Judge, wall: Callable[[], float]) -> None:
        self._dialler = Dialler(contexts, _AtAnyTime(judge), wall)
        self._wall = wall

    async def reach(self, edge: Edge, timeout: float) -> Failure | None:
        """Open a TCP connection and close it; return why there is none. Raises nothing."""
        timeline = Timeline(trio.current_time())
        with trio.move_on_after(timeout):
            try:
                (await connect(edge, timeline, AddressRules())).close()
            except AttemptFailed as error:
                return error.failure
            except Exception as error:  # whatever we did wrong costs one look
                return defect(error, Phase.CONNECT)
            return None
        return timed_out(timeline, trio.current_time())

    async def look(self, url: str, *, resolve: Resolve, trust: Trust, timeout: float) -> Look:
        """Ask once, on a connection of its own. Never raises; cancellation passes.

        Args:
            url: without credentials.
            resolve: finds the addresses of its host.
            trust: which roots verify; another verdict costs only the offset.
            timeout: seconds for everything.
        """
        try:
            return await self._look(url, resolve, trust, timeout)
        except Exception as error:  # whatever we did wrong costs one look
            return Look(Inconclusive(defect(error, Phase.SEND)))

    async def _look(self, url: str, resolve: Resolve, trust: Trust, timeout: float) -> Look:
        terms = SessionOptions(resolve, ClientProfile(), trust=trust, max_body=_MOST_BODY)
        session = Session(self._dialler, terms)
        request = Request("HEAD", clean_url(url), (("User-Agent", "regional-probe"),))
        try:
            deadline = trio.current_time() + timeout
            call = await session.call(request, deadline=deadline, fresh=True)
        finally:
            session.close()
        match call:
            case Broken(failure=failure) if failure.reason is Reason.DEFECT:
                return Look(Inconclusive(failure))
            case Broken(failure=failure) if failure.phase in _NO_WAY or failure.reason in _CUT_OFF:
                return Look(Failed(failure))
            case Broken():
                return Look(Passed())
            case Answered():
                return Look(Passed(), *clock_of(call, self._wall()))


def clock_of(call: CallResult, now: float) -> tuple[float | None, bool]:
    """Compare the clock of who answered with ours, right after the answer.

    An answer out of a cache is as old as it says (RFC 9111 section 5.1).

    Args:
        call: over https its chain must have been accepted.
        now: wall time, seconds since the epoch.

    Returns:
        the seconds by which theirs is ahead, None when that cannot be told; and whether the
        certificate is valid at their time and not at ours.
    """
    if not isinstance(call, Answered):
        return None, False
    there = http_date(call.response.header("date"))
    if there is None:
        return None, False
    timings, handshake = call.facts.timings, call.facts.handshake
    there += _HALF_A_SECOND + (seconds_of(call.response.header("age")) or 0.0)
    here = now - (timings.receive or 0.0) - (timings.wait or 0.0) / 2
    leaf = handshake.leaf if handshake is not None else None
    if leaf is None:
        return there - here, False
    if not leaf.not_before <= there <= leaf.not_after:
        return None, False  # who shows a certificate that is no good at that time proves nothing
    return there - here, not leaf.not_before <= here <= leaf.not_after


class _AtAnyTime(Judge):
    """Judges chains as of a day on which the server's own certificate is valid.

    With our clock astray every chain is out of its time, and the ``Date`` behind it is what would
    tell. No secret is sent over such a connection, and the date must be in the certificate's life.

    Args:
        judge: the one that all share; this one remembers nothing itself.
    """

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self._shared = judge

    async def judge(
        self,
        chain: Sequence[bytes],
        name: str,
        now: float,
        *,
        trust: Trust,
        expect: ChainExpectations,
        staple: bytes | None = None,
        own_names: tuple[str, ...] = (),
        revocation: bool = False,
    ) -> Verdict:
        """Judge as of now, or else as of the nearest moment of the certificate's life."""
        judge = self._shared.judge
        verdict = await judge(
            chain,
            name,
            now,
            trust=trust,
            expect=expect,
            staple=staple,
            own_names=own_names,
            revocation=revocation,
        )
        if verdict.accepted or not verdict.chain:
            return verdict
        leaf = verdict.chain[0]
        at = min(max(now, leaf.not_before), leaf.not_after)
        then = replace(expect, ocsp="ignore")  # a staple lives for days
        return await judge(
            chain, name, at, trust=trust, expect=then, own_names=own_names, revocation=revocation
        )
