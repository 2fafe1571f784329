"""Looks at a reference: does anything at all answer, and what time does it have?

A reference tells whether this agent's own network, DNS and clock can be trusted. Any answer will
do, even a refusal in TLS or an error in HTTP. What counts as broken is what a broken network looks
like: no address, no connection, silence, or a connection that is cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import trio

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.http.messages import Answered, Broken, Request
from probe.http.session import Dialler, Resolve, Session, SessionOptions
from probe.http.url import clean_url
from probe.model.failure import Failure, Phase, Reason, defect
from probe.model.result import Failed, Inconclusive, Outcome, Passed
from probe.model.tls import ClientProfile, Trust
from probe.net.http import http_date

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
    """

    outcome: Outcome
    offset: float | None = None


class ReferenceProber:
    """Looks at references.

    Args:
        contexts: shared TLS contexts.
        judge: shared judge of chains.
        wall: wall time, seconds since the epoch.
    """

    def __init__(self, contexts: TlsContexts, judge: Judge, wall: Callable[[], float]) -> None:
        self._dialler = Dialler(contexts, judge, wall)
        self._wall = wall

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
        began, start = self._wall(), trio.current_time()
        try:
            call = await session.call(request, deadline=start + timeout, fresh=True)
        finally:
            session.close()
        match call:
            case Broken(failure=failure) if failure.reason is Reason.DEFECT:
                return Look(Inconclusive(failure))
            case Broken(failure=failure) if _network(failure):
                return Look(Failed(failure))
            case Broken():
                return Look(Passed())
            case Answered(response=answer):
                middle = began + (trio.current_time() - start) / 2
                return Look(Passed(), _offset(answer.header("date"), middle))


def _network(failure: Failure) -> bool:
    return failure.phase in _NO_WAY or failure.reason in _CUT_OFF


def _offset(date: str | None, now: float) -> float | None:
    """Return the seconds by which a ``Date`` is ahead of ``now``; None when it is none."""
    there = http_date(date)
    return None if there is None else there + _HALF_A_SECOND - now
