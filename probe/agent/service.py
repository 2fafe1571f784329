"""The daemon: opens the top nursery, follows signals, reloads, and ends cleanly."""

from __future__ import annotations

import platform
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import trio
from OpenSSL import SSL

from probe import __version__
from probe.agent.coverage import Coverage
from probe.agent.filing import Excuse, Filing
from probe.agent.flow_filing import FlowFiling
from probe.agent.flows import FlowCoverage
from probe.agent.jobs import UNLISTED, JobKey, unlisted
from probe.agent.lag import LagMeter
from probe.agent.log import EventLog
from probe.agent.options import AgentError, Options, listen_asked, region_asked
from probe.agent.parts import build_parts
from probe.agent.process import Notifier, hold_signals, keep_still, signals_received
from probe.agent.proxies import Proxies
from probe.agent.references import ReferenceWatch
from probe.agent.self_report import SelfReport
from probe.agent.sharing import NoAddressError, Sharing, peer_lookup
from probe.agent.sources import Sources
from probe.agent.supervised import supervised
from probe.agent.warmup import say_first_look, warmed_up
from probe.certificates import TrustError
from probe.config import DocumentError
from probe.config.apart import LoaderError, reload_apart
from probe.connection import kernel_time
from probe.model.defect import trace
from probe.model.spec import Share, Spec
from probe.model.state import Transition
from probe.model.target import FlowKey, Target, endpoint
from probe.schedule import Defect, Runner
from probe.serve import ListenError, Store, application, serve, swept
from probe.state.vantage import Vantage

ADDRESS_VARIABLE = "PROBE_ADDRESS"

_TICK_EVERY = 15.0
_SWEEP_EVERY = 1.0
_SLACK = 0.03
"""Seconds; 99 in 100 starts are to be late by 50 ms at most, and a busy moment needs its part."""
_PROBLEMS_LOGGED = 20


def run_agent(spec: Spec, options: Options) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        AgentError: no region, or the address cannot be listened on.
    """
    region = spec.region or region_asked(spec, options)
    listen = spec.listen if options.listen is None else listen_asked(options.listen)
    service = Service(replace(spec, listen=listen), options, region)
    # Else the kernel would switch stamping on and off with each attempt.
    with kernel_time.kept_on():
        hold_signals()
        trio.run(service.run)


class Service:
    """One agent.

    Args:
        spec: the configuration to start with.
        options: what the command line said, used again at each reload.
        region: name of this agent's region.
    """

    def __init__(self, spec: Spec, options: Options, region: str) -> None:
        self._named = spec.region
        self._spec = replace(spec, region=region)  # a reload asks nobody again
        self._options = options
        self._log = EventLog(region=region)
        self._me = options.environ.get(ADDRESS_VARIABLE, "")
        self._manager = Notifier(options.environ, self._unheard)
        self._serving = trio.Event()
        self._reload_wanted = trio.Event()
        self._unserved: ListenError | None = None
        self._store = Store(
            region, started_at=time.time(), clock=trio.current_time, on_silence=self._fell_silent
        )
        self._vantage = Vantage()
        self._report = SelfReport(
            self._store,
            self._vantage,
            self._log,
            lambda: self._runner.counts(),  # noqa: PLW0108 - made below
            lambda: self._parts.finder.stats(),  # noqa: PLW0108 - made below
        )
        self._lag = LagMeter(self._report.lagged)
        self._parts = build_parts(spec, options.environ, lag=self._lag.current)
        self._runner: Runner[JobKey] = Runner(
            wall=time.time,
            limit=spec.limits.concurrency,
            # Agents that share a region's targets look at the same one at different moments.
            salt=f"{region} {self._me}" if spec.share else region,
            slack=_SLACK,
            on_start=self._report.started,
            on_defect=self._defect,
        )
        crashed = self._report.crashed
        self._references = ReferenceWatch(self._parts, self._vantage, crashed)
        excuse = Excuse(self._vantage, self._references.hurry)
        self._filing = Filing(self._store, self._log, excuse, self._ask)
        flows = FlowFiling(self._store, self._log, excuse, self._ask)
        self._coverage = Coverage(self._parts, self._runner, self._filing, self._store)
        self._flows = FlowCoverage(self._parts, self._runner, self._store, flows)
        self._sources = Sources(self._parts, self._store, self._log, self._discovered, crashed)
        self._sharing = self._shared(spec.share)

    async def run(self) -> None:
        """Serve and probe until a signal ends it. Raises AgentError."""
        stop = trio.Event()
        with signals_received() as received:
            async with trio.open_nursery() as serving:
                async with trio.open_nursery() as work:
                    work.start_soon(self._work, work, serving, stop)
                    await self._follow(received)
                    work.cancel_scope.cancel()
                stop.set()
                if not self._serving.is_set():
                    serving.cancel_scope.cancel()  # it may wait for its turn for minutes
        if self._unserved is not None:
            raise AgentError(f"{self._unserved}; choose another with --listen or listen:")
        self._log.info("stopped")

    async def _work(self, work: trio.Nursery, serving: trio.Nursery, stop: trio.Event) -> None:
        """Start everything, and reload when that is wanted; signals are followed meanwhile."""
        server = partial(
            serve,
            application(self._store),
            self._spec.listen,
            stop=stop.wait,
            turn=None if self._options.handover is None else self._take_over,
            on_serving=self._serving.set,
        )
        try:
            address = await serving.start(server)
        except ListenError as error:
            self._unserved = error
            serving.cancel_scope.cancel()
            return
        self._introduce(address)
        await self._start(work)
        await supervised("reload", self._keep_reloading, self._report.crashed)

    def _introduce(self, address: str) -> None:
        self._store.agent.build(
            version=__version__,
            python=platform.python_version(),
            openssl=SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode("ascii", "replace"),
        )
        self._log.info(
            "started", version=__version__, address=address, config=str(self._options.config)
        )
        proxy = Proxies(self._options.environ).ignored(self._spec)
        if proxy is not None:
            self._log.warning("no proxy is used", what=f"{proxy} is set; probes go past it")

    async def _start(self, work: trio.Nursery) -> None:
        keep = partial(supervised, crashed=self._report.crashed)
        work.start_soon(keep, "watchdog", self._manager.keep_watchdog)
        await work.start(self._runner.run)
        if self._sharing is not None:
            await work.start(keep, "sharing", self._sharing.run)
        work.start_soon(keep, "lag", self._lag.run)
        work.start_soon(keep, "references", self._references.run)
        self._configure()
        self._store.agent.reloaded(success=True, at=time.time(), digest=self._spec.digest)
        await work.start(self._sources.run)
        await self._sources.configure(self._spec.targets)
        work.start_soon(keep, "report", self._report.run)
        work.start_soon(keep, "tick", self._tick)
        work.start_soon(keep, "sweep", self._sweep)
        work.start_soon(keep, "heap", keep_still)
        say = partial(say_first_look, self._store, self._log, self._spec.limits.concurrency)
        work.start_soon(keep, "first look", say)
        work.start_soon(self._tell_ready)

    async def _follow(self, received: AsyncIterator[int]) -> None:
        """Note each wish for a reload; return when it is time to end."""
        async for number in received:
            if number != signal.SIGHUP:
                self._log.info("stopping", signal=signal.Signals(number).name)
                self._manager.stopping()
                return
            self._reload_wanted.set()

    async def _keep_reloading(self) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted = trio.Event()  # what is wanted from now on comes after this one
            self._manager.reloading()
            try:
                await self._reload()
            except* Exception as error:
                where = trace(error)
                self._report.crashed("reload", where)
                problem = f"our own code crashed: {where}"
                self._store.agent.reloaded(success=False, at=time.time(), problem=problem)
            self._manager.ready(self._status())

    async def _reload(self) -> None:
        """Read the configuration again; a bad one changes nothing and is reported."""
        options = self._options
        try:
            spec = await reload_apart(
                options.config, region=options.region, environ=options.environ
            )
        except DocumentError as error:
            self._refuse(error)
            return
        except LoaderError as error:
            self._store.agent.reloaded(success=False, at=time.time(), problem=str(error))
            self._log.error("reload refused", problem=str(error), note="the running one stays")
            return
        fixed = ["limits", "share", "state_dir"]
        if self._options.listen is None:
            fixed.append("listen")
        changed = [name for name in fixed if getattr(spec, name) != getattr(self._spec, name)]
        if spec.region not in (self._named, self._spec.region):
            changed.insert(0, "region")
        if changed:
            self._log.warning("needs a restart", what=f"{' and '.join(changed)} changed")
        self._spec = replace(
            spec,
            region=self._spec.region,
            limits=self._spec.limits,
            share=self._spec.share,
            state_dir=self._spec.state_dir,
            listen=self._spec.listen,
        )
        if self._sharing is not None:
            self._sharing.forget_lists(self._spec.targets)
        self._configure()
        await self._sources.configure(self._spec.targets)
        self._store.agent.reloaded(success=True, at=time.time(), digest=spec.digest)
        self._log.info("reloaded", checks=len(spec.checks), digest=spec.digest[:12])

    def _configure(self) -> None:
        for trust in {check.trust for check in self._spec.checks}:
            try:
                self._parts.judge.prepare(trust)  # 40 ms that the first handshake need not wait
            except TrustError as error:
                # Every attempt that needs them is inconclusive until they can be read.
                self._log.error("trust roots cannot be read", problem=str(error))
        self._references.configure(self._spec.references)
        self._store.configure(self._spec)
        self._coverage.configure(self._spec)
        self._flows.configure(self._spec)
        self._discovered(UNLISTED, unlisted(self._spec))

    def _discovered(self, name: str, targets: tuple[Target, ...]) -> None:
        """A list as its sources say; what of it is ours."""
        targets = tuple(t for t in targets if self._options.shard.owns(t.label))
        if self._sharing is None:
            self._set_targets(name, targets)
        else:
            self._sharing.set_targets(name, targets)

    def _set_targets(self, name: str, targets: tuple[Target, ...]) -> None:
        if name not in self._spec.targets and name != UNLISTED:
            return  # it went while our share of it was worked out
        self._coverage.set_targets(name, targets)
        self._flows.set_targets(name, targets)

    def _refuse(self, error: DocumentError) -> None:
        problems = error.problems
        for problem in problems[:_PROBLEMS_LOGGED]:
            self._log.error("configuration problem", problem=str(problem))
        summary = (
            f"{problems[0]} (and {len(problems) - 1} more)" if problems[1:] else str(problems[0])
        )
        self._store.agent.reloaded(success=False, at=time.time(), problem=summary)
        self._log.error("reload refused", problems=len(problems), note="the running one stays")

    # ------------------------------------------------------------ with other agents

    def _shared(self, share: Share | None) -> Sharing | None:
        if share is None:
            return None
        try:
            lookup = peer_lookup(self._me)
        except NoAddressError as error:
            raise AgentError(
                f"share: each agent needs its own address in {ADDRESS_VARIABLE}, as DNS gives it "
                f"for {share.peers}; {error}"
            ) from None
        sharing = Sharing(share, self._me, lookup, self._set_targets, self._log)
        self._store.agent.readings.append(sharing.samples)
        return sharing

    # ------------------------------------------------------------ for the service manager

    async def _take_over(self) -> None:
        """Another agent serves our address: know what it knows before answering."""
        limit = self._options.handover or 0.0
        self._manager.status("another agent serves the address; getting to know the targets")
        self._log.info(
            "taking over", address=endpoint(self._spec.listen.host, self._spec.listen.port)
        )
        complete = await warmed_up(
            self._store, lambda: (*self._coverage.keys(), *self._flows.keys()), limit
        )
        self._log.info("took over", complete=complete)

    async def _tell_ready(self) -> None:
        await self._serving.wait()
        self._manager.ready(self._status())

    def _status(self) -> str:
        checks = len(self._spec.checks)
        return f"{checks} check{'s' if checks != 1 else ''}, configuration {self._spec.digest[:12]}"

    def _unheard(self, why: str) -> None:
        self._log.warning("service manager cannot be told", problem=why)

    # ------------------------------------------------------------ the agent on itself

    def _defect(self, defect: Defect[JobKey]) -> None:
        """A run that our own code did not finish costs its key one result, and says so."""
        failure, key = self._report.defect(defect), defect.job.key
        try:
            if isinstance(key, FlowKey):
                self._flows.defect(key, failure)
            else:
                self._coverage.defect(key, failure)
        except Exception as error:
            # The result cannot even be filed: in a while its key counts as unseen.
            self._report.crashed("filing", trace(error))

    def _ask(self, key: JobKey, after: float, beside: bool = False) -> None:
        self._runner.request(key, after=after, beside=beside)

    def _fell_silent(self, change: Transition) -> None:
        """The first of a provider is unseen, or nothing of it any more."""
        self._store.note(change)
        self._log.transition(change)

    async def _sweep(self) -> None:
        while True:
            await swept(self._store)
            await trio.sleep(_SWEEP_EVERY)

    async def _tick(self) -> None:
        while True:
            self._filing.tick(time.time())
            await trio.sleep(_TICK_EVERY)
