"""The parts of one agent, put together: which part tells which, and which loops run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import trio

from probe.agent.asked import AskedProbes
from probe.agent.coverage import Coverage
from probe.agent.crls import ListReport
from probe.agent.filing import Excuse, Filing
from probe.agent.flow_filing import FlowFiling
from probe.agent.flow_investigator import FlowInvestigator
from probe.agent.flows import FlowCoverage
from probe.agent.investigator import Investigator
from probe.agent.jobs import UNLISTED, JobKey, unlisted
from probe.agent.leaf_book import LeafBook
from probe.agent.log import EventLog, planned_because
from probe.agent.parts import build_parts, every_check, learn_secrets
from probe.agent.process import AgentError, keep_still, supervised
from probe.agent.references import ReferenceWatch
from probe.agent.regions import Peers
from probe.agent.self_report import LagMeter, SelfReport
from probe.agent.sharing import NoAddressError, Sharing, peer_lookup
from probe.agent.sources import Sources
from probe.agent.state_dir import StateWatch
from probe.agent.warmup import say_first_look
from probe.certificates import TrustError
from probe.documents.problem import DocumentError
from probe.model.failure import trace
from probe.model.spec import Share, Spec, TlsCheck
from probe.model.state import Transition
from probe.model.target import FlowKey, Target
from probe.schedule import Defect, Runner, Shard
from probe.serve import Store, swept, walked
from probe.state.vantage import Vantage

ADDRESS_VARIABLE = "PROBE_ADDRESS"

_TICK_EVERY = 15.0
_SWEEP_EVERY = 1.0
_SLACK = 0.03
"""Seconds; 99 in 100 starts are to be late by 50 ms at most, and a busy moment needs its part."""


class Assembly:
    """Everything that probes, files and shows, for one region.

    Args:
        spec: the configuration to start with, with the region.
        environ: the environment, for secrets and our own address.
        shard: which targets are this agent's, where several share a region.
        log: where everything is said.

    Raises:
        AgentError: targets are to be shared, and our own address is unknown.
    """

    def __init__(self, spec: Spec, environ: Mapping[str, str], shard: Shard, log: EventLog) -> None:
        self._spec = spec
        self._shard = shard
        self._log = log
        me = environ.get(ADDRESS_VARIABLE, "")
        self.store = Store(
            spec.region or "",
            started_at=time.time(),
            clock=trio.current_time,
            on_silence=self._fell_silent,
        )
        vantage = Vantage()
        self._report = SelfReport(
            self.store,
            vantage,
            log,
            lambda: self._runner.counts(),  # noqa: PLW0108 - made below
            lambda: parts.finder.stats(),  # noqa: PLW0108 - made below
        )
        self.crashed = self._report.crashed
        self.store.planned.tell = log.window
        self._lag = LagMeter(self._report.lagged)
        self._parts = parts = build_parts(spec, environ, lag=self._lag.current)
        self._runner: Runner[JobKey] = Runner(
            wall=time.time,
            limit=spec.limits.concurrency,
            # Agents that share a region's targets look at the same one at different moments.
            salt=f"{spec.region} {me}" if spec.share else spec.region or "",
            slack=_SLACK,
            on_start=self._report.started,
            on_defect=self._defect,
        )
        self._references = ReferenceWatch(
            parts,
            vantage,
            self.crashed,
            lambda most: self._coverage.edges(most),  # noqa: PLW0108 - made below
        )
        parts.flow.heard = self._references.hosts.heard
        excuse = Excuse(vantage, self._references.hurry, self._lag.current)
        self._investigator = Investigator(
            parts.tls.probe,
            lambda name: self._coverage.check(name),  # noqa: PLW0108 - made below
            lambda: self._coverage.around(),  # noqa: PLW0108 - made below
            lambda name: self._filing.histories(name),  # noqa: PLW0108 - made below
            self.store,
            log,
            time.time,
            self.crashed,
        )
        self._flow_investigator = FlowInvestigator(
            parts.flow,
            lambda: self._flows,
            self.store,
            log,
            time.time,
            self.crashed,
        )
        self._book = None if spec.state_dir is None else LeafBook(Path(spec.state_dir), log)
        saw = self._investigator.saw
        self._filing = Filing(self.store, log, excuse, self._request, saw, self._book)
        flow_saw = self._flow_investigator.saw
        flow_filing = FlowFiling(self.store, log, excuse, self._request, flow_saw)
        self._coverage = Coverage(parts, self._runner, self._filing, self.store)
        self._flows = FlowCoverage(parts, self._runner, self.store, flow_filing, self._forget_flow)
        self._sources = Sources(parts, self.store, log, self._set_targets, self.crashed)
        self._sharing = None if spec.share is None else self._shared(spec.share, me)
        self.store.agent.readings.append(ListReport(parts.crls, log).samples)
        self.peers = Peers(parts.secrets)
        self._state: StateWatch | None = None
        if spec.state_dir is not None:
            self._state = StateWatch(parts.flow.refresh_tokens, spec.state_dir, log)
            self.store.agent.readings.append(self._state.samples)
        self.asked = AskedProbes(parts, spec)
        # One change after the other: each is followed in steps, between which others may come.
        self._changing = trio.Lock()

    def _shared(self, share: Share, me: str) -> Sharing:
        try:
            lookup = peer_lookup(me)
        except NoAddressError as error:
            raise AgentError(
                f"share: each agent needs its own address in {ADDRESS_VARIABLE}, as DNS gives it "
                f"for {share.peers}; {error}"
            ) from None
        sharing = Sharing(share, me, lookup, self._set_our_targets, self._log)
        self.store.agent.readings.append(sharing.samples)
        return sharing

    async def start(self, work: trio.Nursery) -> None:
        """Start every loop in the nursery, and probe what the configuration says."""
        keep = partial(supervised, crashed=self.crashed)
        await work.start(self._runner.run)
        if self._sharing is not None:
            await work.start(keep, "sharing", self._sharing.run)
        await work.start(keep, "lag", self._lag.run)
        await work.start(keep, "references", self._references.run)
        await work.start(keep, "regions", self.peers.run)
        if self._book is not None:
            await self._book.load(time.time())
            await work.start(keep, "certificates", self._book.run)
        await self._configure()
        self.store.agent.reloaded(success=True, at=time.time(), digest=self._spec.digest)
        await work.start(self._sources.run)
        await self._sources.configure(self._spec.targets)
        await work.start(keep, "report", self._report.run)
        await work.start(keep, "tick", self._tick)
        await work.start(keep, "causes", self._investigator.run)
        await work.start(keep, "flow causes", self._flow_investigator.run)
        await work.start(keep, "sweep", self._sweep)
        await work.start(keep, "heap", keep_still)
        await work.start(keep, "revocation lists", self._parts.crls.run)
        if self._state is not None:
            await work.start(keep, "state", self._state.run)
        say = partial(say_first_look, self.store, self._log, self._spec.limits.concurrency)
        await work.start(keep, "first look", say)

    async def follow(self, spec: Spec) -> None:
        """Follow another configuration while everything runs."""
        if self._sharing is not None:
            self._sharing.forget_lists(spec.targets)
        self._spec = spec
        await self._configure()
        await self._sources.configure(spec.targets)

    def keys(self) -> Iterator[JobKey]:
        """Yield the key of everything that is probed now."""
        yield from self._coverage.keys()
        yield from self._flows.keys()

    async def _configure(self) -> None:
        spec = self._spec
        self._investigator.on = self._flow_investigator.on = spec.limits.experiments
        self.store.causes.switch(on=spec.limits.experiments)
        self.store.flow_causes.switch(on=spec.limits.experiments)
        await learn_secrets(spec, self._parts.secrets)
        for trust in {check.trust for check in every_check(spec)}:
            try:
                self._parts.judge.prepare(trust)  # 40 ms that the first handshake need not wait
            except TrustError as error:
                # Every attempt that needs them is inconclusive until they can be read.
                self._log.error("trust roots cannot be read", problem=str(error))
        for path in {
            check.expect.ct_log_list for check in every_check(spec) if isinstance(check, TlsCheck)
        }:
            try:
                if path is not None:
                    self._parts.judge.read_logs(path)
            except DocumentError as error:
                # The list of before stays in use; without one attempts are inconclusive.
                self._log.error("list of logs cannot be read", problem=str(error.problems[0]))
        self._parts.follow(spec)
        self.asked.follow(spec)
        self._references.configure(spec)
        self.peers.configure(spec.regions)
        self.store.agent.regions = spec.regions is not None
        async with self._changing:
            await walked(self._coverage.retire(spec))
            await walked(self.store.reconfigure(spec))
            await walked(self._coverage.configure(spec))
            await walked(self._flows.configure(spec))
        await self._set_targets(UNLISTED, unlisted(spec))

    # ------------------------------------------------------------ from part to part

    async def _set_targets(self, name: str, targets: tuple[Target, ...]) -> None:
        """Hand on what is ours of a list as its sources give it."""
        if self._shard.count > 1:
            targets = tuple(t for t in targets if self._shard.owns(t.label))
        if self._sharing is None:
            await self._set_our_targets(name, targets)
        else:
            self._sharing.set_targets(name, targets)

    async def _set_our_targets(self, name: str, targets: tuple[Target, ...]) -> None:
        async with self._changing:
            if name not in self._spec.targets and name != UNLISTED:
                return  # it went while our share of it was worked out
            await walked(self._coverage.set_targets(name, targets))
            await walked(self._flows.set_targets(name, targets))

    def _forget_flow(self, key: FlowKey) -> None:
        """Keep nothing of a flow that runs no more."""
        self._references.hosts.forget(key)
        self._flow_investigator.forget(key)

    def _request(self, key: JobKey, after: float, beside: bool = False) -> None:
        self._runner.request(key, after=after, beside=beside)

    def _defect(self, defect: Defect[JobKey]) -> None:
        """File an inconclusive result for a run that our own code did not finish."""
        failure, key = self._report.defect(defect), defect.job.key
        try:
            if isinstance(key, FlowKey):
                self._flows.defect(key, failure)
            else:
                self._coverage.defect(key, failure)
        except Exception as error:
            # The result cannot even be filed: in a while its key counts as unseen.
            self.crashed("filing", trace(error))

    def _fell_silent(self, change: Transition) -> None:
        """Tell page and log that the first target of a provider is unseen, or none any more."""
        self.store.note(change)
        self._log.transition(change, planned=planned_because(self.store.planned.of(change.key)))

    # ------------------------------------------------------------ loops of its own

    async def _sweep(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        task_status.started()
        while True:
            await swept(self.store)
            await trio.sleep(_SWEEP_EVERY)

    async def _tick(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        while True:
            self._filing.tick(time.time())
            await trio.sleep(_TICK_EVERY)
