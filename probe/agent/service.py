"""The daemon and its options: serves, follows signals, reloads, and ends cleanly.

What probes is an `Assembly`.
"""

from __future__ import annotations

import platform
import signal
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from OpenSSL import SSL

from probe import __version__
from probe.agent.assembly import Assembly
from probe.agent.log import EventLog
from probe.agent.parts import Proxies
from probe.agent.process import AgentError, Notifier, hold_signals, signals_received, supervised
from probe.agent.warmup import warmed_up
from probe.config.apart import reload_apart
from probe.connection.tcp import kernel_stamps
from probe.documents.problem import DocumentError
from probe.model.failure import trace
from probe.model.reasons import read_reasons
from probe.model.spec import Listen, RegionSource, Spec
from probe.model.target import endpoint
from probe.net.child import Unanswered
from probe.net.names import NameProblem, parse_listen
from probe.region import RegionError, find_region
from probe.schedule import WHOLE, Shard
from probe.serve import ListenError, application, serve

if TYPE_CHECKING:
    from probe.serve.http.guard import Guard


class NoRegionError(AgentError):
    """Nothing says where this agent is."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said.

    Attributes:
        listen: ``ADDRESS:PORT`` that goes before the configuration's.
        web_config: file with TLS and logins of the port, instead of the configuration's.
        environ: the environment, for secrets, PROBE_REGION and the service manager's socket.
        region_from: who is asked for the region, instead of those that the configuration names.
        handover: seconds to probe before an address is taken over from another agent; None
            shares no address.
        shard: which targets are this agent's, where several share a region.
    """

    config: Path
    environ: Mapping[str, str]
    region: str | None = None
    listen: str | None = None
    web_config: Path | None = None
    region_from: tuple[RegionSource, ...] = ()
    handover: float | None = None
    shard: Shard = WHOLE


def region_asked(spec: Spec, options: Options) -> str:
    """Ask the sources that the command line or the configuration names for the region.

    Raises:
        NoRegionError: no source is named, or none knows the region.
    """
    sources = options.region_from or spec.region_from
    if not sources:
        raise NoRegionError(
            "nothing names this agent's region: write --region NAME, or set PROBE_REGION, "
            f"or write region: NAME in {options.config}, or have it asked: --region-from aws"
        )
    try:
        return find_region(sources, options.environ)
    except RegionError as error:
        raise NoRegionError(
            f"nobody names this agent's region ({error}): write --region NAME or set PROBE_REGION"
        ) from None


def listen_asked(text: str) -> Listen:
    """Read the address of ``--listen`` by the rules of ``listen:``. Raises AgentError."""
    try:
        return parse_listen(text)
    except NameProblem as problem:
        raise AgentError(f"--listen: {problem}") from None


_PROBLEMS_LOGGED = 20


def run_agent(spec: Spec, options: Options) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        AgentError: no region, or the address cannot be listened on.
        DocumentError: the web configuration cannot be used.
    """
    region = spec.region or region_asked(spec, options)
    listen = spec.listen if options.listen is None else listen_asked(options.listen)
    service = Service(replace(spec, listen=listen), options, region)
    read_reasons()
    # Else the kernel would switch stamping on and off with each attempt.
    with kernel_stamps():
        hold_signals()
        trio.run(service.run)


class Service:
    """One agent: its process, its port, its configuration.

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
        self._manager = Notifier(options.environ, self._unheard)
        self._serving = trio.Event()
        self._reload_wanted = trio.Event()
        self._unserved = ""
        self._misguarded: DocumentError | None = None
        self._assembly = Assembly(self._spec, options.environ, options.shard, self._log)
        self._shown = self._assembly.store.agent

    async def run(self) -> None:
        """Serve and probe until a signal ends it. Raises AgentError or DocumentError.

        What crashes beside the loops that begin again, the runner or a start, ends the agent and
        its port with it: nobody knows what state is left, and a process that is started again
        claims nothing meanwhile.
        """
        crash = ""
        try:
            await self._serve_and_work()
        except* Exception as error:
            crash = trace(error)
        if crash:
            self._log.error("crashed", where=crash, note="the agent ends, to be started again")
            raise AgentError(f"our own code crashed: {crash}")
        if self._unserved:
            raise AgentError(self._unserved)
        if self._misguarded is not None:
            raise self._misguarded
        self._log.info("stopped")

    async def _serve_and_work(self) -> None:
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

    async def _work(self, work: trio.Nursery, serving: trio.Nursery, stop: trio.Event) -> None:
        """Start everything, and reload when that is wanted; signals are followed meanwhile."""
        page, hosts = self._spec.page, self._spec.host_names
        peers = self._assembly.peers.look
        app = partial(application, self._assembly.store, hosts=hosts, peers=peers)
        turn = None if self._options.handover is None else self._take_over
        fields: dict[str, object] = {}
        option = "page:"
        try:
            guard = await self._guarded()
            server = partial(serve, stop=stop.wait, guard=guard)
            if isinstance(page, Listen):
                shared = None if turn is None else self._serving.wait
                fields["page"] = await serving.start(partial(server, app(), page, turn=shared))
            option = "--listen or listen:"
            router = app(pages=page == "same", asked=self._assembly.asked.answer)
            address = await serving.start(
                partial(server, router, self._spec.listen, turn=turn, on_serving=self._serving.set)
            )
        except DocumentError as error:
            self._misguarded = error
            serving.cancel_scope.cancel()
            return
        except ListenError as error:
            self._unserved = f"{error}; choose another with {option}"
            serving.cancel_scope.cancel()
            return
        self._introduce(address, fields)
        keep = partial(supervised, crashed=self._assembly.crashed)
        await work.start(keep, "watchdog", self._manager.keep_watchdog)
        if guard is not None:
            await work.start(keep, "web config", guard.follow)
        await self._assembly.start(work)
        work.start_soon(self._tell_ready)
        await keep("reload", self._keep_reloading)

    async def _guarded(self) -> Guard | None:
        """Who may ask the port, where a web configuration says so. Raises DocumentError."""
        written = self._options.web_config or self._spec.web_config
        if written is None:
            return None
        from probe.serve.http.guard import Guard  # noqa: PLC0415 - bcrypt and YAML cost memory

        guard = Guard(Path(written), self._shown)
        await guard.start()
        return guard

    def _introduce(self, address: str, more: Mapping[str, object]) -> None:
        self._shown.build(
            version=__version__,
            python=platform.python_version(),
            openssl=SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode("ascii", "replace"),
        )
        self._log.info(
            "started",
            version=__version__,
            address=address,
            config=str(self._options.config),
            **more,
        )
        proxy = Proxies(self._options.environ).ignored(self._spec)
        if proxy is not None:
            self._log.warning("no proxy is used", what=f"{proxy} is set; probes go past it")

    async def _follow(self, received: AsyncIterator[int]) -> None:
        """Note each SIGHUP for the reloading loop. Returns at the signal to end."""
        async for number in received:
            if number != signal.SIGHUP:
                self._log.info("stopping", signal=signal.Signals(number).name)
                self._manager.stopping()
                return
            self._reload_wanted.set()

    async def _keep_reloading(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        task_status.started()
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted = trio.Event()  # what is wanted from now on comes after this one
            self._manager.reloading()
            try:
                await self._reload()
            except* Exception as error:
                where = trace(error)
                self._assembly.crashed("reload", where)
                problem = f"our own code crashed: {where}"
                self._shown.reloaded(success=False, at=time.time(), problem=problem)
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
        except Unanswered as error:
            problem = f"the process that reads {options.config} {error}"
            self._shown.reloaded(success=False, at=time.time(), problem=problem)
            self._log.error("reload refused", problem=problem, note="the running one stays")
            return
        fixed = ["limits", "share", "state_dir", "page", "host_names", "web_config"]
        if self._options.web_config is not None:
            fixed.remove("web_config")
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
            page=self._spec.page,
            host_names=self._spec.host_names,
            web_config=self._spec.web_config,
        )
        await self._assembly.follow(self._spec)
        self._shown.reloaded(success=True, at=time.time(), digest=spec.digest)
        self._log.info("reloaded", checks=len(spec.checks), digest=spec.digest[:12])

    def _refuse(self, error: DocumentError) -> None:
        problems = error.problems
        for problem in problems[:_PROBLEMS_LOGGED]:
            self._log.error("configuration problem", problem=str(problem))
        summary = (
            f"{problems[0]} (and {len(problems) - 1} more)" if problems[1:] else str(problems[0])
        )
        self._shown.reloaded(success=False, at=time.time(), problem=summary)
        self._log.error("reload refused", problems=len(problems), note="the running one stays")

    # ------------------------------------------------------------ for the service manager

    async def _take_over(self) -> None:
        """Wait until we know what the agent knows that serves our address now."""
        limit = self._options.handover or 0.0
        self._manager.status("another agent serves the address; getting to know the targets")
        self._log.info(
            "taking over", address=endpoint(self._spec.listen.host, self._spec.listen.port)
        )
        complete = await warmed_up(self._assembly.store, self._assembly.keys, limit)
        self._log.info("took over", complete=complete)

    async def _tell_ready(self) -> None:
        await self._serving.wait()
        self._manager.ready(self._status())

    def _status(self) -> str:
        checks = len(self._spec.checks)
        return f"{checks} check{'s' if checks != 1 else ''}, configuration {self._spec.digest[:12]}"

    def _unheard(self, why: str) -> None:
        self._log.warning("service manager cannot be told", problem=why)
