"""Finds the edges of a provider for a target: fixed addresses, or what DNS says, remembered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import trio

from probe.edges import client
from probe.edges.answers import ROOT, DnsAnswer, NoAnswer
from probe.edges.asker import Asker, AskServers, Pace
from probe.edges.inquiry import Heard, Inquiry, failure_of, notes_of, unsearched
from probe.edges.memory import EdgeMemory
from probe.edges.message import IpVersion
from probe.edges.system import (
    HOSTS,
    RESOLV_CONF,
    ResolvConf,
    WatchedFile,
    canonical_ip,
    has_route,
    parse_hosts,
    parse_resolv_conf,
)
from probe.model.failure import Failure, Phase, Reason, defect
from probe.model.spec import DnsOptions, NameServer, Provider
from probe.model.target import AddressRules, Edge, Resolution, Target
from probe.net.addresses import BY_DEFAULT, spells_out, through_nat64

MOST_EDGES = 64
"""Addresses kept per name, family and client region: more is a fault or an attack."""

_NOT_THERE = frozenset({Reason.NXDOMAIN, Reason.NO_ADDRESSES})
_SOONEST = 1.0
_FORGET_AFTER = 3600.0
_ROUTE_HOLDS = 30.0
_AFTER_DEFECT = 10.0
"""Seconds until a question is asked again that our own code could not finish."""


@dataclass(frozen=True, slots=True)
class FinderStats:
    """What the finder did since it was made, for metrics.

    Attributes:
        questions: questions that went out, by outcome: ``addresses`` or a failure's reason.
        subnet_ignored: answers per server that ignored the client subnet (RFC 7871).
    """

    questions: Mapping[str, int]
    subnet_ignored: Mapping[str, int]


class EdgeFinder:
    """Finds edges; caches, keeps what rotates away, and never raises for DNS's faults."""

    def __init__(
        self,
        *,
        ask: AskServers | None = None,
        route: Callable[[str], bool] = has_route,
        hosts_file: Path = HOSTS,
        resolv_conf: Path = RESOLV_CONF,
        pace: Pace | None = None,
    ) -> None:
        """Ready; nothing is read or asked yet.

        Args:
            ask: asks servers a question; None asks over the network.
            route: whether this host has a route to an IPv6 address.
            hosts_file: answers first for providers that want it.
            resolv_conf: names the servers of providers that name none.
            pace: how fast questions go to one list of servers.
        """
        ask = ask or partial(client.ask, manners=client.Manners())
        self._ask = ask
        self._asker = Asker(ask, pace or Pace())
        self._route = route
        self._routes: dict[str, tuple[bool, float]] = {}
        self._hosts = WatchedFile(hosts_file, parse_hosts)
        self._system = WatchedFile(resolv_conf, parse_resolv_conf)
        self._memories: dict[tuple[object, ...], EdgeMemory] = {}
        self._next_sweep = float("-inf")
        self._subnet_ignored: Counter[str] = Counter()

    async def find(
        self, provider: Provider, target: Target, port: int, rules: AddressRules = BY_DEFAULT
    ) -> Resolution:
        """Find every edge of a provider for a target.

        Args:
            provider: fixed addresses, a hostname, or the target's own name through DNS.
            target: its port goes before the provider's.
            port: the check's, for targets and providers that name none.
            rules: the check's, which may name prefixes of NAT64.

        Returns:
            edges in a stable order; failures of DNS stand beside the edges still known. A
            defect of ours names no edge, and says nothing of those known before.
        """
        port = target.port or provider.port or port
        if not provider.addresses:
            written = provider.hostname is not None or target.written
            name = provider.hostname or target.name
            return await self.resolve(name, port, provider.dns, rules, written=written)
        try:
            fixed = (
                Edge(canonical_ip(ip) or ip, own or port, written=True)
                for ip, own in provider.addresses
            )
            return self._reachable(Resolution(tuple(dict.fromkeys(fixed))), rules)
        except Exception as error:
            return _defective(error)

    async def resolve(
        self,
        host: str,
        port: int,
        options: DnsOptions | None = None,
        rules: AddressRules = BY_DEFAULT,
        *,
        written: bool = False,
    ) -> Resolution:
        """Find every edge behind a host name or address, of whatever provider.

        Args:
            host: name in A-label form, or an IP address. One without a dot is looked up in the
                search domains of this host, unless ``options`` name servers of their own.
            port: of the edges.
            options: how to ask; None is the system's way.
            rules: of the check, which may name prefixes of NAT64.
            written: whether the configuration itself writes the host: then an address, or
                ``localhost`` for this host, need not be permitted any more.
        """
        options = options or DnsOptions()
        try:
            if literal := canonical_ip(host.strip("[]")):
                itself = Resolution((Edge(literal, port, written=written),))
                return self._reachable(itself, rules)
            name = host.lower().removesuffix(".")
            found = self._from_hosts_file(name, port, options)
            if found is None:
                own = not (host.endswith(".") or options.servers or options.client_subnets)
                search = self._resolv_conf().search if own else ()
                found = await self._searched(name, search, port, options)
            if written and any(spells_out(name, one.ip) for one in found.edges):
                here = (replace(one, written=spells_out(name, one.ip)) for one in found.edges)
                found = replace(found, edges=tuple(here))
            return self._reachable(found, rules)
        except Exception as error:
            return _defective(error)

    def _resolv_conf(self) -> ResolvConf:
        return self._system.value(trio.current_time())

    async def _searched(
        self, name: str, search: Sequence[str], port: int, options: DnsOptions
    ) -> Resolution:
        """A name without a dot is tried in each search domain first, as other programs do.

        A name with a dot is absolute, whatever ``ndots`` says: were it tried further when it has
        left DNS, a wildcard of a search domain would pass in its place.
        """
        names = [name] if "." in name else [*(f"{name}.{domain}" for domain in search), name]
        for one in names:
            found = await self._from_dns(one, port, options)
            failure = found.failure
            if found.edges or failure is None or failure.reason not in _NOT_THERE:
                break
        else:
            found = replace(found, failure=unsearched(failure, name, search))
        return found

    def inquiry(self, options: DnsOptions) -> Inquiry:
        """Make the way in which a provider asks DNS; what is known already is not asked again."""
        servers = options.servers or self._resolv_conf().servers
        return Inquiry(self._asker, servers, not options.servers, options)

    def resolvers(self) -> tuple[NameServer, ...]:
        """Name the servers that this host's own configuration names."""
        return self._resolv_conf().servers

    async def answers(self, server: NameServer, timeout: float) -> Failure | None:
        """Ask a server the control question; return what went wrong, if it did. Never raises."""
        try:
            outcome = await self._ask((server,), ROOT, timeout)
        except Exception as error:
            return defect(error, Phase.RESOLVE)
        return outcome.failure if isinstance(outcome, NoAnswer) else None

    def stats(self) -> FinderStats:
        """Read the counters since the start."""
        return FinderStats(dict(self._asker.asked), dict(self._subnet_ignored))

    def _from_hosts_file(self, name: str, port: int, options: DnsOptions) -> Resolution | None:
        """Look a name up in this host's hosts file, which says nothing about clients elsewhere."""
        if not options.hosts_file or options.client_subnets:
            return None
        known = self._hosts.value(trio.current_time()).get(name, ())
        edges = tuple(Edge(ip, port) for ip in known if _family(ip) in options.families)
        if not edges:
            return None
        return Resolution(edges, ttl=options.ttl_floor, notes=("from this host's hosts file",))

    async def _from_dns(self, name: str, port: int, options: DnsOptions) -> Resolution:
        self._sweep(trio.current_time())
        inquiry = self.inquiry(options)
        heard = await inquiry.about(name)
        self._count(heard)
        now = trio.current_time()
        memory = self._memory(name, options, now)
        left_out = _learn(memory, heard, now)
        notes = notes_of(heard)
        if left_out:
            notes = (*notes, f"{left_out} addresses beyond the first {MOST_EDGES} left out")
        return Resolution(
            edges=memory.edges(port, now),
            failure=failure_of(heard),
            ttl=max(inquiry.left(heard), _SOONEST),
            seconds=max((one.seconds for one in heard if one.seconds is not None), default=None),
            took=max((one.outcome.seconds for one in heard), default=0.0),
            notes=notes,
        )

    def _count(self, heard: Iterable[Heard]) -> None:
        for one in heard:
            fresh = one.seconds is not None
            if fresh and one.subnet_ignored and isinstance(one.outcome, DnsAnswer):
                self._subnet_ignored[one.outcome.server] += 1

    def _memory(self, name: str, options: DnsOptions, now: float) -> EdgeMemory:
        # Not by the system's servers, which may change while the edges stay the same. By the
        # families, because addresses of a family that nobody asks for would never decay.
        asked = (options.servers, options.families, options.keep)
        key = (name, *asked, *sorted(options.client_subnets.items()))
        memory = self._memories.get(key)
        if memory is None:
            memory = self._memories[key] = EdgeMemory(options.keep, MOST_EDGES)
        memory.used_at = now
        return memory

    def _sweep(self, now: float) -> None:
        """Forget names that nobody has asked for in an hour, so that memory stays bounded."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + 60.0
        self._asker.forget_before(now - _FORGET_AFTER)
        oldest = now - _FORGET_AFTER
        self._memories = {k: one for k, one in self._memories.items() if one.used_at >= oldest}
        self._routes = {ip: one for ip, one in self._routes.items() if one[1] >= now}

    def _reachable(self, found: Resolution, rules: AddressRules) -> Resolution:
        """Leave out and count IPv6 edges for which this host has no route; note those of NAT64."""
        edges = tuple(edge for edge in found.edges if edge.version == 4 or self._has_route(edge.ip))
        skipped = len(found.edges) - len(edges)
        v6 = (one.ip for one in edges if ":" in one.ip)
        behind = {ip: v4 for ip in v6 if (v4 := through_nat64(ip, rules))}
        if behind:
            notes = tuple(f"{ip} is {v4} through NAT64" for ip, v4 in behind.items())
            found = replace(found, notes=found.notes + notes, nat64=len(notes))
        if not skipped:
            return found
        failure = found.failure
        if not edges and failure is None:
            detail = f"{skipped} IPv6 addresses, no other, and this host has no route to them"
            failure = Failure(Phase.RESOLVE, Reason.NO_ROUTE, detail)
        return replace(found, edges=edges, failure=failure, skipped_ipv6=skipped)

    def _has_route(self, ip: str) -> bool:
        now = trio.current_time()
        known = self._routes.get(ip)
        if known is None or known[1] <= now:
            known = self._routes[ip] = (self._route(ip), now + _ROUTE_HOLDS)
        return known[0]


def _defective(error: Exception) -> Resolution:
    """Turn an exception of ours into a resolution without edges, to be asked for again soon."""
    return Resolution((), defect(error, Phase.RESOLVE), ttl=_AFTER_DEFECT)


def _learn(memory: EdgeMemory, heard: Iterable[Heard], now: float) -> int:
    """Tell the memory who named what.

    A server that ignores the subnet speaks for no region but for everybody. Whether it speaks for
    a region or for everybody, the other one hears of no address, so that earlier ones decay.

    Returns:
        how many addresses were too many.
    """
    told: dict[tuple[str, IpVersion], DnsAnswer | None] = {}
    for one in heard:
        if isinstance(one.outcome, DnsAnswer):
            ours, region = ("", one.question.family), (one.region, one.question.family)
            told.setdefault(ours, None)
            told[region] = None
            told[ours if one.subnet_ignored else region] = one.outcome
    return sum(
        memory.answered(source, answer.addresses, answer.cnames, now)
        if answer is not None
        else memory.answered(source, (), (), now)
        for source, answer in told.items()
    )


def _family(ip: str) -> IpVersion:
    return 6 if ":" in ip else 4
