"""Looks at what tells this agent's own faults from the targets', at once when something fails.

With ``vantage.references`` these are looked at every few seconds. Without, what the configuration
probes anyway is: a few addresses of each provider and of the hosts that flows call (one TCP
connection each, without a byte), this host's resolvers when they are used (one question), and the
``Date`` of hosts that flows call, when a certificate is out of its time. Nobody else is contacted.
While all is well that happens once a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

import trio

from probe.agent.parts import Parts, called
from probe.agent.process import Crashed
from probe.http.messages import Answered, Broken, CallResult
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck
from probe.model.result import Inconclusive
from probe.model.spec import DnsOptions, NameServer, References, Spec
from probe.model.target import Edge, FlowKey, Resolution, endpoint
from probe.model.tls import Trust
from probe.probers.reference import clock_of
from probe.state.clock import TIMED
from probe.state.vantage import Sign, Vantage
from probe.state.witnesses import spread

_TIMEOUT = 3.0
_LEAST_APART = 1.0
_CALM = 60.0
"""Seconds between looks at what is probed anyway, while all is well."""

_MOST_ADDRESSES = 4
"""Of one provider, in as many networks; all of them must be silent."""

_MOST_WITNESSES = 16
_DNS = DnsOptions(timeout=2.0, ttl_floor=0.0, ttl_cap=10.0)
"""How references' names are asked for: an answer from minutes ago says nothing of now."""

RESOLVERS = "the resolvers of this host"
_NETWORK = frozenset(
    {Reason.TIMEOUT, Reason.UNREACHABLE, Reason.NO_ROUTE, Reason.RESET, Reason.CLOSED}
)
"""Failures that a cut network can look like."""

EdgesOf = Callable[[int], Mapping[str, list[Edge]]]
"""Gives so many edges of each provider that is probed."""


class FlowHosts:
    """The hosts that flows call, as far as the configuration itself names them.

    Args:
        vantage: told the ``Date`` of their answers.
        wall: seconds since the epoch.
    """

    def __init__(self, vantage: Vantage, wall: Callable[[], float] = time.time) -> None:
        self._vantage = vantage
        self._wall = wall
        self._named: frozenset[str] = frozenset()
        self.known: dict[str, tuple[Edge, Trust]] = {}
        self._of: dict[str, FlowKey] = {}  # of hosts that the target of a list names

    def configure(self, spec: Spec) -> None:
        """Follow a configuration."""
        self._named = frozenset(host for _, host in called(spec))
        self.known.clear()
        self._of.clear()

    def heard(self, key: FlowKey, trust: Trust, call: CallResult) -> None:
        """Note one call of a flow: where it went, and what time it is there."""
        edge, parts = call.facts.edge, urlsplit(call.facts.url)
        host = parts.hostname or ""
        if edge is None or not (host in self._named or key.target in (host, parts.netloc)):
            return  # a redirect may lead to anybody
        if isinstance(call, Broken) and call.failure.reason is Reason.ADDRESS_REFUSED:
            return
        name = f"{parts.scheme}://{endpoint(host, edge.port)}/"
        if name not in self.known and len(self.known) >= _MOST_WITNESSES:
            return  # enough tell the time; thousands would cost each judgement their walk
        self.known[name] = replace(edge, written=True), trust
        if host not in self._named:
            self._of[name] = key
        if parts.scheme == "https" and isinstance(call, Answered):
            offset, _ = clock_of(call, self._wall())
            if offset is not None:
                self._vantage.clock.date(name, offset, trio.current_time(), own=True)

    def forget(self, key: FlowKey) -> None:
        """Forget the hosts that a flow alone named; it runs no more."""
        for name in [name for name, of in self._of.items() if of == key]:
            del self.known[name], self._of[name]


class ReferenceWatch:
    """Feeds the vantage with how its references are, or what is probed anyway.

    Args:
        parts: finder of addresses and the prober.
        vantage: told every outcome, offset and answer of DNS.
        crashed: told of a look that our own code could not finish.
        edges: of the providers of TLS checks.
    """

    def __init__(
        self,
        parts: Parts,
        vantage: Vantage,
        crashed: Crashed = lambda _, __: None,
        edges: EdgesOf = lambda _: {},
    ) -> None:
        self._parts = parts
        self._vantage = vantage
        self._crashed = crashed
        self._edges = edges
        self.hosts = FlowHosts(vantage)
        self._references = References()
        self._resolves = False
        self._hurry = trio.Event()
        self._clock_wanted = False

    def configure(self, spec: Spec) -> None:
        """Follow a configuration."""
        self._references = spec.references
        self._resolves = _asks_system(spec)
        self.hosts.configure(spec)
        urls = spec.references.urls
        self._vantage.configure(off=urls == (), own=urls is None)
        self._hurry.set()

    def hurry(self, failure: Failure) -> None:
        """Look now, because something failed, unless the last look was a moment ago."""
        timed = failure.reason in TIMED or failure.phase is Phase.AUTH
        self._clock_wanted |= timed
        named = self._references.urls is not None
        if named or timed or failure.reason in _NETWORK or failure.phase is Phase.RESOLVE:
            self._hurry.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look until cancelled."""
        task_status.started()
        while True:
            began = trio.current_time()
            self._hurry = trio.Event()
            if self._references.urls is None:
                told = await self._look_at_own()
            else:
                told = False
                async with trio.open_nursery() as nursery:
                    for url in self._references.urls:
                        nursery.start_soon(self._look, url)
            await trio.sleep_until(began + _LEAST_APART)
            with trio.move_on_at(began + (_CALM if told else self._references.interval)):
                await self._hurry.wait()

    # ------------------------------------------------------------ references that are named

    async def _look(self, url: str) -> None:
        trust = self._references.trust
        resolve = partial(self._resolve, url)
        look = await self._parts.references.look(
            url, resolve=resolve, trust=trust, timeout=_TIMEOUT
        )
        if isinstance(look.outcome, Inconclusive):
            self._crashed("references", look.outcome.failure.detail)
        now = trio.current_time()
        if url not in (self._references.urls or ()):
            return  # reconfigured meanwhile
        self._vantage.reference(url, look.outcome, now)
        if look.offset is not None:
            self._vantage.clock.date(url, look.offset, now)
        self._vantage.judge(now)

    async def _resolve(self, url: str, host: str, port: int) -> Resolution:
        found = await self._parts.finder.resolve(host, port, _DNS)
        if found.seconds is not None:
            self._vantage.dns(url, found.failure, trio.current_time())
        return replace(found, edges=tuple(replace(one, written=True) for one in found.edges))

    # ------------------------------------------------------------ what is probed anyway

    async def _look_at_own(self) -> bool:
        """Look at everything once; return whether it can be left alone for a while."""
        references = self._references
        seen: dict[str, dict[str, Failure | None]] = {}
        resolvers: dict[str, Failure | None] = {}
        dates = self._clock_wanted or self._vantage.doubts(Sign.CLOCK)
        self._clock_wanted = False
        async with trio.open_nursery() as nursery:
            for name, edges in self._witnesses().items():
                seen[name] = {}
                for edge in edges:
                    nursery.start_soon(self._reach, edge, seen[name])
            for server in self._parts.finder.resolvers() if self._resolves else ():
                nursery.start_soon(self._ask, server, resolvers)
            for url, (edge, trust) in self.hosts.known.items() if dates else ():
                if url.startswith("https:"):
                    nursery.start_soon(self._date, url, edge, trust)
        if references is not self._references:
            return False
        seen[RESOLVERS] = {
            ip: failure
            for ip, failure in resolvers.items()
            if not (_of_this_host(ip) or (failure and failure.reason is Reason.SERVFAIL))
        }
        now = trio.current_time()
        self._vantage.own(seen, resolvers, now)
        self._vantage.judge(now)
        doubts = any(map(self._vantage.doubts, (Sign.NETWORK, Sign.DNS, Sign.CLOCK)))
        return any(seen.values()) and not doubts

    def _witnesses(self) -> dict[str, list[Edge]]:
        """Choose whom to look at: a few edges of each provider, and the hosts of flows."""
        found = {f"provider {name}": edges for name, edges in self._edges(64).items()}
        for url, (edge, _) in self.hosts.known.items():
            found[urlsplit(url).netloc] = [edge]
        chosen = {}
        for name, edges in list(found.items())[:_MOST_WITNESSES]:
            by_ip = {edge.ip: edge for edge in edges}
            chosen[name] = [by_ip[ip] for ip in spread(by_ip, _MOST_ADDRESSES)]
        return chosen

    async def _reach(self, edge: Edge, seen: dict[str, Failure | None]) -> None:
        failure = await self._parts.references.reach(edge, _TIMEOUT)
        self._note(edge.ip, failure, seen)

    async def _ask(self, server: NameServer, seen: dict[str, Failure | None]) -> None:
        failure = await self._parts.finder.answers(server, _TIMEOUT)
        self._note(server.ip, failure, seen)

    async def _date(self, url: str, edge: Edge, trust: Trust) -> None:
        async def resolve(_: str, __: int) -> Resolution:
            return Resolution((edge,))

        look = await self._parts.references.look(
            url, resolve=resolve, trust=trust, timeout=_TIMEOUT
        )
        if look.offset is not None:
            now = trio.current_time()
            self._vantage.clock.date(url, look.offset, now, own=True, proof=look.proof)

    def _note(self, ip: str, failure: Failure | None, seen: dict[str, Failure | None]) -> None:
        """Keep what was seen. A fault of ours beside the network says nothing."""
        if failure is not None and failure.reason is Reason.DEFECT:
            self._crashed("references", failure.detail)
        elif failure is None or not failure.ours or failure.reason is Reason.NO_ROUTE:
            seen[ip] = failure


def _of_this_host(ip: str) -> bool:
    """Whether a resolver runs here: its answer says nothing of the network."""
    return ip_address(ip.partition("%")[0]).is_loopback


def _asks_system(spec: Spec) -> bool:
    """Whether anything that is probed is looked up at this host's own resolvers."""
    for check in spec.checks:
        if isinstance(check, ApiCheck) and not check.providers:
            return True
        providers = [spec.providers[name] for name in check.providers]
        if any(not (one.addresses or one.dns.servers) for one in providers):
            return True
    return False
