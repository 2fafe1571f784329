"""What becomes of a result: state, store, log, and perhaps a further attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio

from probe.agent.log import EventLog
from probe.model.result import Failed, FlowResult, ResolveResult, TlsResult
from probe.model.spec import Spec, TlsCheck
from probe.model.state import Diagnosis, EdgeStatus, Transition
from probe.model.target import EdgeKey, ProviderKey
from probe.serve import Store
from probe.state.history import Attempt
from probe.state.sampling import Confirmer

Ask = Callable[[EdgeKey, float, bool], object]
"""Ask for an extra attempt: key, seconds from now, may overlap others of the key."""


class Filing:
    """Takes results in, one at a time, on the event loop.

    Args:
        store: what metrics and page are read from.
        log: one line for each change of state.
        ask: asks the runner for further attempts.
    """

    def __init__(self, store: Store, log: EventLog, ask: Ask) -> None:
        self._store = store
        self._log = log
        self._ask = ask
        self._confirmers: dict[str, Confirmer] = {}
        self._dns_failing: dict[ProviderKey, float] = {}

    def configure(self, spec: Spec) -> None:
        """Follow a configuration: histories of checks that stay are kept."""
        checks = {check.name: check for check in spec.checks if isinstance(check, TlsCheck)}
        for name in self._confirmers.keys() - checks.keys():
            del self._confirmers[name]
        for name, check in checks.items():
            confirmer = self._confirmers.get(name)
            if confirmer is None:
                self._confirmers[name] = Confirmer(check.confirm, check.interval)
            else:
                confirmer.configure(check.confirm, check.interval)

    def watch(self, check: str, keys: Iterable[EdgeKey]) -> None:
        """Edges that are probed from now on."""
        self._confirmers[check].add(keys)

    def forget(self, check: str, keys: Iterable[EdgeKey]) -> None:
        """Edges that are probed no more."""
        keys = list(keys)
        if check in self._confirmers:
            self._confirmers[check].remove(keys)
        self._store.forget(keys)

    def forget_provider(self, key: ProviderKey) -> None:
        """A target that is no longer reached through this provider."""
        self._dns_failing.pop(key, None)
        self._store.forget([key])

    def edge(self, result: TlsResult) -> None:
        """One attempt on one edge."""
        confirmer = self._confirmers.get(result.key.check)
        if confirmer is None:
            return
        attempt = Attempt(
            result.key, result.outcome, result.at, result.timings.total, result.command
        )
        step = confirmer.record(attempt, trio.current_time())
        history = confirmer.histories.get(result.key)
        if history is None:
            return  # removed while the attempt was in flight
        self._store.record_edge(result, history.status, history.since)
        if step.transition is not None:
            self._tell(step.transition)
        for request in step.requests:
            self._ask(request.key, request.after, request.beside)

    def flow(self, result: FlowResult) -> None:
        """One run of a flow."""
        failing = isinstance(result.outcome, Failed)
        status = EdgeStatus.FAILING if failing else EdgeStatus.PASSING
        self._store.record_flow(result, Diagnosis(), status, result.at)

    def resolution(self, result: ResolveResult) -> None:
        """What DNS said; a change between answering and failing is a change of state."""
        self._store.record_resolution(result)
        failure = result.resolution.failure
        since = self._dns_failing.get(result.key)
        if failure is not None and since is None:
            self._dns_failing[result.key] = result.at
            self._tell(
                Transition(result.key, "ok", "failing", result.at, result.at, failure, note="dns")
            )
        elif failure is None and since is not None:
            del self._dns_failing[result.key]
            self._tell(Transition(result.key, "failing", "ok", result.at, result.at, note="dns"))

    def _tell(self, change: Transition) -> None:
        # Thousands of edges that start out well are not news.
        if change.before == EdgeStatus.UNKNOWN and change.after == EdgeStatus.PASSING:
            return
        self._store.note(change)
        self._log.transition(change)
