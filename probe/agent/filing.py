"""What becomes of an attempt or a DNS answer: state, store, log, perhaps a further attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

import trio

from probe.agent.jobs import JobKey, checks_of
from probe.agent.leaf_book import LeafBook
from probe.agent.leaves import LeafEvents
from probe.agent.log import EventLog, planned_because
from probe.model.failure import Failure, Reason
from probe.model.result import (
    CertificateFacts,
    Failed,
    Inconclusive,
    Outcome,
    Passed,
    ResolveResult,
    Skipped,
    TlsResult,
)
from probe.model.spec import Spec, TlsCheck
from probe.model.state import CONFIRMED, EdgeStatus, Transition
from probe.model.target import EdgeKey, ProviderKey
from probe.serve import CertificatesKey, CertificateSplit, Store
from probe.state.consensus import Agreement, Consensus
from probe.state.history import Attempt, History
from probe.state.sampling import Confirmer
from probe.state.vantage import Vantage

RequestRun = Callable[[JobKey, float, bool], object]
"""Asks for an extra run: its key, seconds from now, whether it may start beside another of it."""

OutcomeT = TypeVar("OutcomeT", bound=Passed | Failed | Inconclusive | Skipped)


_OWN_NETWORK = frozenset({Reason.NO_ROUTE, Reason.VANTAGE_ILL})


class Excuse:
    """Asks the vantage about each failure; everything else passes through.

    Args:
        vantage: what is known of this agent's own view.
        on_failure: told of each failure that is not excused, so that the references are
            looked at before it is confirmed; and of one that this host's own network explains.
        lag: seconds that the event loop is late now: a stall ends attempts before it is noted.
    """

    def __init__(
        self,
        vantage: Vantage,
        on_failure: Callable[[Failure], object] = lambda _: None,
        lag: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._vantage = vantage
        self._on_failure = on_failure
        self._lag = lag

    def __call__(self, outcome: OutcomeT, began: float) -> OutcomeT | Inconclusive:
        """Return the outcome to file.

        Args:
            outcome: of an attempt, a run or a step.
            began: when it began, by trio's clock.
        """
        if not isinstance(outcome, Failed):
            if isinstance(outcome, Inconclusive) and outcome.failure.reason in _OWN_NETWORK:
                self._on_failure(outcome.failure)
            return outcome
        ours = self._vantage.excuse(outcome.failure, began, self._lag())
        if ours is None:
            self._on_failure(outcome.failure)
            return outcome
        return Inconclusive(ours)

    def certificate(self, leaf: CertificateFacts, outcome: Outcome, at: float) -> None:
        """Let the vantage compare its clock with the dates of a certificate, at this wall time."""
        self._vantage.clock.certificate(leaf, outcome, at)


class Filing:
    """Takes results in, one at a time, on the event loop.

    Args:
        store: what metrics and page are read from.
        log: one line for each change of state.
        excuse: whether a failure is the vantage's own.
        ask: asks the runner for further attempts.
        on_edge: told of each attempt, with the change of state that it led to.
        book: keeps across restarts which certificates were served.
    """

    def __init__(
        self,
        store: Store,
        log: EventLog,
        excuse: Excuse,
        ask: RequestRun,
        on_edge: Callable[[TlsResult, Transition | None], None] = lambda *_: None,
        book: LeafBook | None = None,
    ) -> None:
        self._store = store
        self._log = log
        self._excuse = excuse
        self._ask = ask
        self._on_edge = on_edge
        self._leaves = LeafEvents(store, log, book)
        self._checks: dict[str, TlsCheck] = {}
        self._confirmers: dict[str, Confirmer] = {}
        self._consensus: dict[str, Consensus] = {}
        self._dns_failing: dict[ProviderKey, float] = {}

    def configure(self, spec: Spec, at: float) -> None:
        """Follow a configuration at this wall time. Histories of checks that stay are kept."""
        self._checks = checks_of(spec, TlsCheck)
        self._leaves.configure(self._checks)
        for name in self._confirmers.keys() - self._checks.keys():
            del self._confirmers[name], self._consensus[name]
        for name, check in self._checks.items():
            if name in self._confirmers:
                self._confirmers[name].configure(check.confirm, check.interval)
                self._consensus[name].configure(check.consensus, at)
            else:
                self._confirmers[name] = Confirmer(check.confirm, check.interval)
                self._consensus[name] = Consensus(check.consensus)

    def histories(self, check: str) -> Mapping[EdgeKey, History]:
        """Return what is known of each edge of a check; nothing for an unknown one."""
        confirmer = self._confirmers.get(check)
        return {} if confirmer is None else confirmer.histories

    def watch(self, check: str, keys: Iterable[EdgeKey]) -> None:
        """Add edges that are probed from now on."""
        self._confirmers[check].add(keys)

    def forget(self, check: str, keys: Iterable[EdgeKey], at: float) -> None:
        """Forget edges that are not probed any more, at this wall time."""
        keys = list(keys)
        if check in self._confirmers:
            self._confirmers[check].remove(keys)
            self._split(check, self._consensus[check].remove(keys, at), at)
        self._store.forget(keys)

    def forget_provider(self, key: ProviderKey) -> None:
        """Forget a target that is not reached through this provider any more."""
        self._dns_failing.pop(key, None)
        self._leaves.forget(key)
        self._store.forget([key])

    def edge(self, result: TlsResult) -> None:
        """File one attempt on one edge."""
        key = result.key
        confirmer = self._confirmers.get(key.check)
        if confirmer is None:
            return
        now, seconds = trio.current_time(), result.timings.total
        leaf = result.handshake.leaf if result.handshake is not None else None
        if leaf is not None:
            self._excuse.certificate(leaf, result.outcome, result.at)
        outcome = self._excuse(result.outcome, now - seconds)
        if outcome is not result.outcome:
            result = replace(result, outcome=outcome)
        if isinstance(outcome, Inconclusive):
            self._log.defect_in(key, outcome.failure)
        reaction = confirmer.record(Attempt(key, outcome, result.at, seconds, result.command), now)
        history = confirmer.histories.get(key)
        if history is None:
            return  # removed while the attempt was in flight
        self._store.record_edge(result, history.status, history.since)
        consensus = self._consensus[key.check]
        if leaf is not None:
            self._leaves.observe(result, leaf, consensus)
        self._split(key.check, consensus.observe(key, leaf, result.at), result.at)
        if reaction.transition is not None:
            self._tell(reaction.transition)
        for extra in reaction.extra:
            self._ask(extra.key, extra.after, extra.beside)
        self._on_edge(result, reaction.transition)

    def resolution(self, result: ResolveResult) -> None:
        """File an answer of DNS. A change between answering and failing is a change of state.

        A failure of our own is counted and shown as that, and changes nothing.
        """
        found = result.resolution
        if found.failure is not None and not found.failure.ours:
            outcome = self._excuse(
                Failed(found.failure), trio.current_time() - (found.seconds or 0)
            )
            found = replace(found, failure=outcome.failure)
            result = replace(result, resolution=found)
        failure = found.failure
        self._store.record_resolution(result)
        since = self._dns_failing.get(result.key)
        if failure is not None and failure.ours:
            self._log.defect_in(result.key, failure)
            return
        if failure is not None and since is None:
            self._dns_failing[result.key] = result.at
            self._tell(
                Transition(result.key, "ok", "failing", result.at, result.at, failure, note="dns")
            )
        elif failure is None and since is not None:
            del self._dns_failing[result.key]
            self._tell(Transition(result.key, "failing", "ok", result.at, result.at, note="dns"))

    def tick(self, at: float) -> None:
        """Update differences of certificates without a new result: those over, those overdue."""
        for name, consensus in self._consensus.items():
            self._split(name, consensus.settled(at), at)
            self._split(name, consensus.differing(at), at)

    def _split(self, check: str, agreements: Iterable[Agreement], at: float) -> None:
        for agreement in agreements:
            key = CertificatesKey(check, *agreement.subject)
            if not agreement.leaves:
                self._store.forget_split(key)
                continue
            self._store.record_split(
                CertificateSplit(
                    key,
                    distinct=len(agreement.leaves),
                    minority=agreement.minority,
                    since=agreement.differs_since,
                    alarming=agreement.overdue(self._checks[check].consensus, at),
                )
            )

    def _tell(self, change: Transition) -> None:
        # Thousands of edges that start out well are no news, and a handshake lost at random,
        # some 17 a day and edge, is told by the counters: the log tells what was confirmed.
        if change.after == EdgeStatus.SUSPECT or (
            change.after == EdgeStatus.PASSING and change.before not in CONFIRMED
        ):
            return
        self._store.note(change)
        self._log.transition(change, planned=planned_because(self._store.planned.of(change.key)))
