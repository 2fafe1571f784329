"""The TLS prober: one attempt against one edge, always a fresh connection and a full handshake.

Connect, talk STARTTLS where asked, shake hands with the target's name, judge what was presented.
The result carries facts whenever a handshake completed, whatever the verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio
from OpenSSL import SSL

from probe.certificates import Verdict
from probe.connection import classify, starttls
from probe.connection.contexts import Contexts
from probe.connection.fault import AttemptFailed
from probe.connection.timeline import Timeline
from probe.connection.transport import Incomplete, Presented, connect, facts_of, handshake, sni
from probe.model.defect import defect
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import (
    Clock,
    Failed,
    Handshake,
    Inconclusive,
    Outcome,
    Timings,
    TlsResult,
    outcome_of,
)
from probe.model.secret import ReadSecret
from probe.model.spec import TlsCheck
from probe.model.target import Edge, EdgeKey, Target
from probe.model.tls import ChainExpectations, ClientProfile, Starttls, Trust
from probe.probers import browser, reproduce


class JudgesChains(Protocol):
    """`probe.certificates.Judge.judge`."""

    async def __call__(
        self,
        chain: tuple[bytes, ...],
        name: str,
        now: float,
        *,
        trust: Trust,
        expect: ChainExpectations,
        staple: bytes | None = None,
        own_names: tuple[str, ...] = (),
    ) -> Verdict:
        """Judge a presented chain; must be quick for one that was seen before."""


class TlsProber:
    """Probes edges; share one, so that contexts are shared.

    Args:
        judge: judges presented chains.
        secrets: reads client certificates.
        wall: wall time, seconds since the epoch.
        own_names: a provider's own name patterns, by provider name.
        lag: seconds that the event loop runs late now; the agent measures it.
    """

    def __init__(
        self,
        *,
        judge: JudgesChains,
        secrets: ReadSecret,
        wall: Callable[[], float],
        own_names: Callable[[str], tuple[str, ...]] = lambda _provider: (),
        lag: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._judge = judge
        self._contexts = Contexts(secrets)
        self._wall = wall
        self._own_names = own_names
        self._lag = lag

    async def probe(
        self, key: EdgeKey, edge: Edge, target: Target, check: TlsCheck, profile: ClientProfile
    ) -> TlsResult:
        """One attempt. Never raises: a defect of ours is inconclusive. Cancellation passes."""
        attempt = _Attempt(self._wall(), trio.current_time())
        try:
            return await self._probed(attempt, key, edge, target, check, profile)
        except Exception as error:  # whatever we did wrong costs one result
            outcome = Inconclusive(defect(error, attempt.timeline.phase))
            timings = Timings(total=trio.current_time() - attempt.timeline.begun)
            return TlsResult(key, edge, attempt.at, outcome, timings)

    async def _probed(
        self,
        attempt: _Attempt,
        key: EdgeKey,
        edge: Edge,
        target: Target,
        check: TlsCheck,
        profile: ClientProfile,
    ) -> TlsResult:
        name = check.sni or target.name
        failures: tuple[Failure, ...] = ()
        try:
            await self._shake(attempt, edge, name, check, profile)
        except AttemptFailed as failed:
            failures = (failed.failure,)
        timings = attempt.timings(passed=not failures, lag=self._lag())
        attempt.timeline.enter(Phase.CERTIFICATE)
        outcome, facts = await self._judged(attempt, name, key.provider, check, failures)
        command = shown = ""
        if isinstance(outcome, Failed):
            command = reproduce.s_client(edge, name, profile, check.starttls)
            if check.starttls is None:
                url = facts is not None and facts.leaf is not None and facts.leaf.issuer_url
                shown = browser.shown(outcome.failure, issuer_url=bool(url))
        return TlsResult(
            key=key,
            edge=edge,
            at=attempt.at,
            outcome=outcome,
            timings=timings,
            handshake=facts,
            command=command,
            browser=shown,
        )

    async def _shake(
        self, attempt: _Attempt, edge: Edge, name: str, check: TlsCheck, profile: ClientProfile
    ) -> None:
        """Go through the phases in time, leaving in ``attempt`` what was seen.

        Raises AttemptFailed.
        """
        context = self._contexts.get(profile)
        with trio.CancelScope(deadline=attempt.timeline.begun + check.timeout):
            await self._phases(attempt, edge, name, check.starttls, context)
            return
        if attempt.timeline.tls is None:  # else only the server's last word was waited for
            raise AttemptFailed(classify.timed_out(attempt.timeline, trio.current_time()))

    async def _phases(
        self,
        attempt: _Attempt,
        edge: Edge,
        name: str,
        plain: Starttls | None,
        context: SSL.Context,
    ) -> None:
        wire = await connect(edge, attempt.timeline)
        try:
            if plain is not None:
                await starttls.upgrade(wire, plain)
            stream = await handshake(wire, context, server_name=sni(name))
            attempt.presented = stream.presented
            try:
                await stream.settle()
            finally:
                stream.close()
        except Incomplete as incomplete:
            attempt.presented = incomplete.presented
            raise
        finally:
            wire.close()

    async def _judged(
        self,
        attempt: _Attempt,
        name: str,
        provider: str,
        check: TlsCheck,
        failures: tuple[Failure, ...],
    ) -> tuple[Outcome, Handshake | None]:
        """Outcome and facts of what was presented, on top of what failed before."""
        presented = attempt.presented
        if presented is None:
            return outcome_of(failures), None
        if not presented.certificates:
            return outcome_of(failures), facts_of(presented, Verdict())
        verdict = await self._judge(
            presented.certificates,
            name,
            attempt.at,
            trust=check.trust,
            expect=check.expect,
            staple=presented.ocsp,
            own_names=self._own_names(provider),
        )
        failures += verdict.failures
        if check.expect.alpn is not None and presented.alpn != check.expect.alpn:
            chosen = presented.alpn or "none"
            detail = f"expected {check.expect.alpn}, the server chose {chosen}"
            failures += (Failure(Phase.TLS, Reason.ALPN_MISMATCH, detail),)
        return outcome_of(failures, verdict.warnings), facts_of(presented, verdict)


class _Attempt:
    """What was seen so far, so that a failure half way keeps its timings and facts."""

    __slots__ = ("at", "presented", "timeline")

    def __init__(self, at: float, begun: float) -> None:
        self.at = at
        self.timeline = Timeline(begun)
        self.presented: Presented | None = None

    def timings(self, *, passed: bool, lag: float) -> Timings:
        """Timings of the phases that happened, and how late the agent was meanwhile."""
        timeline = self.timeline
        if not passed:
            return timeline.timings(trio.current_time() - timeline.begun, lag)
        parts = (timeline.connect, timeline.starttls, timeline.tls)
        # Times that the kernel took are true however late the loop was: only how late these
        # very bytes were noticed counts. What failed ended by our own clock.
        true_anyway = timeline.clock is Clock.KERNEL
        return timeline.timings(sum(filter(None, parts)), 0.0 if true_anyway else lag)
