"""The TLS prober: one attempt against one edge, always a fresh connection and a full handshake.

Connect, talk STARTTLS where asked, shake hands with the target's name, judge what was presented.
The result carries facts whenever a handshake completed, whatever the verdict.

A failure is made findable by a command to paste and the error that a browser shows. Those are of
Chromium and its kin, from ``model/reasons.toml``. In the phases connect and tls they were compared
with Chromium itself, alert by alert.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import trio

from probe.certificates import Judge, Verdict
from probe.connection import starttls
from probe.connection.contexts import OFFERS, TlsContexts
from probe.connection.failures import AttemptFailed, timed_out
from probe.connection.tcp import connect
from probe.connection.timeline import Presented, Timeline, facts_of
from probe.connection.tls import Incomplete, handshake, sni
from probe.flow.known import KnownSecrets, public_of
from probe.flow.screen import Screen
from probe.model.failure import Failure, Phase, Reason, defect
from probe.model.reasons import error_in_browser
from probe.model.result import (
    Clock,
    Failed,
    Handshake,
    Inconclusive,
    Outcome,
    Passed,
    SessionTrial,
    Timings,
    TlsResult,
    outcome_of,
)
from probe.model.spec import TlsCheck
from probe.model.target import Edge, EdgeKey, Target
from probe.model.tls import NO_STAPLE, ClientProfile
from probe.probers.reproduce import nc, s_client, worth_reading

if TYPE_CHECKING:
    from probe.probers.sessions import After, Sessions


class TlsProber:
    """Probes edges.

    Args:
        contexts: TLS contexts, shared with the probers of flows and references.
        judge: judge of chains, shared with them too.
        wall: wall time, seconds since the epoch.
        own_names: a provider's own name patterns, by provider name.
        lag: seconds that the event loop runs late now; the agent measures it.
        known: the agent's secrets, which no result shows.

    Attributes:
        settled: awaited with a verdict that waits for a revocation list, to judge once more after
            it; None judges by what is known.
    """

    def __init__(
        self,
        contexts: TlsContexts,
        judge: Judge,
        wall: Callable[[], float],
        *,
        own_names: Callable[[str], tuple[str, ...]] = lambda _provider: (),
        lag: Callable[[], float] = lambda: 0.0,
        known: KnownSecrets | None = None,
    ) -> None:
        self._contexts = contexts
        self._judge = judge
        self._wall = wall
        self._own_names = own_names
        self._lag = lag
        self.settled: Callable[[Verdict], Awaitable[object]] | None = None
        self._screen = Screen(KnownSecrets() if known is None else known)
        self._kept: Sessions | None = None

    async def probe(
        self, key: EdgeKey, edge: Edge, target: Target, check: TlsCheck, profile: ClientProfile
    ) -> TlsResult:
        """Probe an edge once. Never raises: a defect of ours is inconclusive. Cancellation passes.

        Args:
            key: what the result is filed under.
            edge: where to connect to.
            target: gives the name to ask for, unless the check has one of its own.
            check: time-out, trust and expectations.
            profile: how the attempt looks to the server.
        """
        at, timeline = self._wall(), Timeline(trio.current_time())
        try:
            return await self._probed(at, timeline, key, edge, target, check, profile)
        except Exception as error:  # whatever we did wrong costs one result
            outcome = Inconclusive(defect(error, timeline.phase))
            timings = Timings(total=trio.current_time() - timeline.begun)
            return TlsResult(key, edge, at, outcome, timings)

    async def _probed(
        self,
        at: float,
        timeline: Timeline,
        key: EdgeKey,
        edge: Edge,
        target: Target,
        check: TlsCheck,
        profile: ClientProfile,
    ) -> TlsResult:
        name = check.sni or target.name
        presented: Presented | None = None
        failures: tuple[Failure, ...] = ()
        sessions = None if profile.resumption is None else self.sessions()
        after = None if sessions is None else sessions.keeping(key)
        connect = partial(self._presented, edge, name, check, profile)
        try:
            if check.plain:
                await _connected(edge, check, timeline)
            else:
                presented = await connect(timeline, check.timeout, None, after)
        except Incomplete as incomplete:
            presented, failures = incomplete.presented, (incomplete.failure,)
        except AttemptFailed as failed:
            failures = (failed.failure,)
        timings = _timings(timeline, self._lag(), passed=not failures)
        timeline.phase = Phase.CERTIFICATE
        outcome, facts = await self._judged(
            presented, name, at, key.provider, _expected(check, profile), failures
        )
        session: SessionTrial | None = None
        if sessions is not None and isinstance(outcome, Passed):
            session, broken = await sessions.across(key, connect, timeline.begun + check.timeout)
            if broken is not None:
                outcome = outcome_of((broken,), outcome.warnings)
        command = shown = ""
        if isinstance(outcome, Failed):
            found = outcome.failure
            command = _command(edge, name, check, profile, found)
            if session is not None and session.outcome == "broken":
                command = self.sessions().reproduction(session.giver, edge, command)
            elif not check.plain:
                command = worth_reading(command)
            browses = profile.kind in OFFERS or profile.kind == "chrome"
            if browses and not check.plain and check.starttls is None:
                leaf = None if facts is None else facts.leaf
                url = leaf is not None and leaf.issuer_url is not None
                shown = browser_error(found, issuer_url=url)
        public = _public(name, target.label, check.expect.issuers)
        return TlsResult(
            key=key,
            edge=edge,
            at=at,
            outcome=self._screen.outcome(outcome, public),
            timings=timings,
            handshake=self._screen.handshake(facts, public),
            command=command,
            browser=shown,
            session=session,
        )

    def sessions(self) -> Sessions:
        """Return the keeper of session tickets; nobody pays for it before a profile asks for it."""
        if self._kept is None:
            from probe.probers.sessions import Sessions  # noqa: PLC0415 - see above

            self._kept = Sessions()
        return self._kept

    async def _presented(
        self,
        edge: Edge,
        name: str,
        check: TlsCheck,
        profile: ClientProfile,
        timeline: Timeline,
        seconds: float,
        session: bytes | None,
        after: After | None,
    ) -> Presented:
        """Connect and shake hands within so many seconds; return what the server presented.

        A session is offered where one is given, and ``after`` gets the connection before it ends.

        Raises AttemptFailed; `Incomplete` if something had been presented before.
        """
        deadline = timeline.begun + seconds
        context, server_name = self._contexts.get(profile), sni(name)
        stream = None
        with trio.CancelScope(deadline=deadline):
            wire = await connect(edge, timeline, check.addresses)
            try:
                if check.starttls is not None:
                    await starttls.upgrade(wire, check.starttls)
                asks = profile.kind not in NO_STAPLE
                stream = await handshake(
                    wire, context, server_name=server_name, staple=asks, session=session
                )
            finally:
                if stream is None:
                    wire.close()
        if stream is None:
            raise AttemptFailed(timed_out(timeline, trio.current_time()))
        try:
            await stream.settle(deadline)
            if after is not None:
                await after(stream, deadline)
        except AttemptFailed as late:
            raise Incomplete(late.failure, stream.presented) from late
        finally:
            stream.close()
        return stream.presented

    async def _judged(
        self,
        presented: Presented | None,
        name: str,
        at: float,
        provider: str,
        check: TlsCheck,
        failures: tuple[Failure, ...],
    ) -> tuple[Outcome, Handshake | None]:
        """Judge what was presented, and add the verdict to what failed before."""
        if presented is None:
            return outcome_of(failures), None
        if not presented.certificates:
            return outcome_of(failures), facts_of(presented, Verdict())
        verdict = await self._verdict(presented, name, at, provider, check)
        if verdict.crl == "pending" and self.settled is not None:
            await self.settled(verdict)
            verdict = await self._verdict(presented, name, at, provider, check)
        failures += verdict.failures
        if check.expect.alpn is not None and presented.alpn != check.expect.alpn:
            chosen = presented.alpn or "none"
            detail = f"expected {check.expect.alpn}, the server chose {chosen}"
            failures += (Failure(Phase.TLS, Reason.ALPN_MISMATCH, detail),)
        return outcome_of(failures, verdict.warnings), facts_of(presented, verdict)

    async def _verdict(
        self, presented: Presented, name: str, at: float, provider: str, check: TlsCheck
    ) -> Verdict:
        return await self._judge.judge(
            presented.certificates,
            name,
            at,
            trust=check.trust,
            expect=check.expect,
            staple=presented.ocsp,
            own_names=self._own_names(provider),
        )


async def _connected(edge: Edge, check: TlsCheck, timeline: Timeline) -> None:
    """Connect, and hang up. Raises AttemptFailed."""
    with trio.CancelScope(deadline=timeline.begun + check.timeout) as scope:
        (await connect(edge, timeline, check.addresses)).close()
    if scope.cancelled_caught:
        raise AttemptFailed(timed_out(timeline, trio.current_time()))


def _command(edge: Edge, name: str, check: TlsCheck, profile: ClientProfile, found: Failure) -> str:
    """Write the command to paste that fails as the attempt did."""
    if check.plain:
        return nc(edge)
    return s_client(edge, name, profile, check.starttls, failure=found, trust=check.trust)


def _expected(check: TlsCheck, profile: ClientProfile) -> TlsCheck:
    """Expect no stapled answer for a client that asks for none."""
    if profile.kind not in NO_STAPLE:
        return check
    return replace(check, expect=replace(check.expect, ocsp="ignore"))


@functools.lru_cache(maxsize=16384)
def _public(name: str, label: str, issuers: tuple[str, ...]) -> tuple[bytes, ...]:
    """Fold what a check's own configuration expects to see."""
    return (public_of(name, label, *issuers),)


def _timings(timeline: Timeline, lag: float, *, passed: bool) -> Timings:
    """Return the seconds of the phases that happened, and how late the agent was meanwhile."""
    if not passed:  # it ended by our own clock
        return timeline.timings(trio.current_time() - timeline.begun, lag)
    total = sum(filter(None, (timeline.connect, timeline.starttls, timeline.tls)))
    # Times that the kernel took are true however late the loop was. Only how late these very
    # bytes were noticed counts, which the timeline knows.
    return timeline.timings(total, 0.0 if timeline.clock is Clock.KERNEL else lag)


def browser_error(failure: Failure, *, issuer_url: bool = False) -> str:
    """Name the error on a browser's page; empty where it shows none.

    Args:
        failure: the finding that stands first.
        issuer_url: the leaf names where its issuer can be fetched. Browsers then fetch a
            missing intermediate and show the page, while most other clients fail.
    """
    if failure.ours or (issuer_url and failure.reason is Reason.MISSING_INTERMEDIATE):
        return ""
    return error_in_browser(failure.phase, failure.reason)
