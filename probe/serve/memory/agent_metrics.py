"""What the agent reports on itself: named methods over the instruments, and the page's memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from probe.model.failure import Failure
from probe.serve.series.instruments import Instruments


@dataclass(frozen=True, slots=True)
class Source:
    """A source of targets as last looked at.

    Attributes:
        name: name of the target list.
        source: file pattern, URL, or ``static``.
        up: whether it answered the latest time with a list that is in use now.
        targets: how many it last gave.
        rejected: entries, labels and groups of that list that cannot be used.
        answered_at: wall time when it last answered so; None before that.
        problem: why it is not up, or what was rejected.
    """

    name: str
    source: str
    up: bool
    targets: int = 0
    rejected: int = 0
    answered_at: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Reload:
    """The latest attempt to load the configuration."""

    success: bool
    at: float
    problem: str = ""


class AgentMetrics:
    """Where the agent reports on itself.

    Attributes:
        ready: the first configuration and targets are loaded.
        healthy: whether the vantage can be trusted; None before the first judgement.
        causes: why not.
        digest: of the running configuration.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self.ready = False
        self.version = ""
        self.healthy: bool | None = None
        self.causes: tuple[str, ...] = ()
        self.digest = ""
        self.reload: Reload | None = None
        self.sources: dict[tuple[str, str], Source] = {}

    def begin(self, check: str) -> None:
        """Start the counters of a check at zero, so that the first event is an increase."""
        self._instruments.counter("probe_agent_missed_runs_total", check)
        self._instruments.counter("probe_agent_unknown_reasons_total", check)
        self._instruments.counter("probe_agent_untrusted_timings_total", check)

    def build(self, *, version: str, python: str, openssl: str) -> None:
        """Say what is running."""
        self.version = version
        self._instruments.info("probe_agent_build_info").info(
            {"version": version, "python": python, "openssl": openssl}
        )

    def reloaded(self, *, success: bool, at: float, digest: str = "", problem: str = "") -> None:
        """Report an attempt to load the configuration.

        Args:
            success: whether it runs now; if not, the one before goes on.
            at: wall time.
            digest: of the new configuration, on success.
            problem: in a few words, otherwise.
        """
        self.reload = Reload(success, at, problem)
        self._instruments.gauge("probe_agent_config_last_reload_success").set(success)
        if success:
            self.digest = digest
            self._instruments.info("probe_agent_config_info").info({"digest": digest})
            name = "probe_agent_config_last_reload_success_timestamp_seconds"
            self._instruments.gauge(name).set(at)

    def vantage(self, *, healthy: bool, causes: Iterable[str] = ()) -> None:
        """Report whether what this agent sees can be trusted; causes are few fixed words."""
        self.healthy, self.causes = healthy, tuple(causes)
        self._instruments.gauge("probe_vantage_healthy").set(healthy)
        self._instruments.clear("probe_vantage_illness")
        for cause in self.causes:
            self._instruments.gauge("probe_vantage_illness", cause).set(1)

    def started_late(self, check: str, seconds: float) -> None:
        """Report how late an attempt started."""
        self._instruments.histogram("probe_agent_schedule_lateness_seconds", check).observe(seconds)

    def loop_lag(self, seconds: float) -> None:
        """Report one sample of the event loop's lag."""
        self._instruments.histogram("probe_agent_loop_lag_seconds").observe(seconds)

    def missed_run(self, check: str, count: int = 1) -> None:
        """Report runs that did not start before the next one was due."""
        self._instruments.counter("probe_agent_missed_runs_total", check).inc(count)

    def skipped_run(self, check: str, reason: str, count: int = 1) -> None:
        """Report runs that were left out on purpose; the reason is one of a few fixed words."""
        self._instruments.counter("probe_agent_skipped_runs_total", check, reason).inc(count)

    def loop_crashed(self, loop: str, count: int = 1) -> None:
        """Report that a loop beside the probes raised and begins anew."""
        self._instruments.counter("probe_agent_loop_crashes_total", loop).inc(count)

    def in_flight(self, counts: Mapping[str, int]) -> None:
        """Report how many attempts and DNS questions are running now, by check."""
        self._instruments.forget("check", counts, only="probe_agent_in_flight")
        for check, count in counts.items():
            self._instruments.gauge("probe_agent_in_flight", check).set(count)

    def discovered(self, source: Source) -> None:
        """Report on a source of targets; one that is not up keeps its last good list in use."""
        key = source.name, source.source
        self.sources[key] = source
        self._instruments.gauge("probe_agent_discovery_up", *key).set(source.up)
        if source.answered_at is None:
            return
        self._instruments.gauge("probe_agent_discovery_targets", *key).set(source.targets)
        self._instruments.gauge("probe_agent_discovery_rejected", *key).set(source.rejected)
        age = "probe_agent_discovery_last_success_timestamp_seconds"
        self._instruments.gauge(age, *key).set(source.answered_at)

    def forget_lists(self, keep: Iterable[str]) -> None:
        """Remove the series of target lists that the configuration no longer has."""
        kept = set(keep)
        self.sources = {key: source for key, source in self.sources.items() if key[0] in kept}
        self._instruments.forget("list", kept)

    def shared(self, *, peers: int, up: bool, replicas: int) -> None:
        """Report with whom the targets are shared.

        Args:
            peers: agents of the region as last seen, with this one.
            up: whether the latest look found any.
            replicas: how many of them probe each target now.
        """
        self._instruments.gauge("probe_agent_share_peers").set(peers)
        self._instruments.gauge("probe_agent_share_peers_up").set(up)
        self._instruments.gauge("probe_agent_share_replicas").set(replicas)

    def share_of(self, name: str, targets: int) -> None:
        """Report how many targets of a list this agent probes."""
        self._instruments.gauge("probe_agent_share_targets", name).set(targets)

    def inconclusive(self, check: str, failure: Failure) -> None:
        """Count a result that says nothing because the fault is ours."""
        self._instruments.counter(
            "probe_agent_inconclusive_total", check, failure.phase.value, failure.reason.value
        ).inc()

    def unknown_reason(self, check: str) -> None:
        """Count a failure that no reason fits."""
        self._instruments.counter("probe_agent_unknown_reasons_total", check).inc()

    def dns_questions(self, outcome: str, count: int) -> None:
        """Report questions to DNS servers that ended so."""
        self._instruments.counter("probe_agent_dns_questions_total", outcome).inc(count)

    def dns_subnet_ignored(self, server: str, count: int) -> None:
        """Report answers of a server that ignored the client subnet."""
        self._instruments.counter("probe_agent_dns_subnet_ignored_total", server).inc(count)

    def untrusted_timings(self, check: str) -> None:
        """Count a result whose timings were dropped because the agent was late."""
        self._instruments.counter("probe_agent_untrusted_timings_total", check).inc()
