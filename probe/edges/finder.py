"""Finds the edges of a provider for a target: fixed addresses, or what DNS says, remembered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path

import trio

from probe.edges import dns
from probe.edges.asker import Ask, Asker, Servers
from probe.edges.memory import EdgeMemory, KnownEdge, lifetime
from probe.edges.question import Answer, Family, NoAnswer, Outcome, Question, Subnet
from probe.edges.system import (
    HOSTS,
    RESOLV_CONF,
    WatchedFile,
    canonical_ip,
    has_route,
    parse_hosts,
    parse_resolv_conf,
)
from probe.edges.verdict import Heard, failure_of, notes_of
from probe.model.failure import Failure, Phase, Reason
from probe.model.spec import DnsOptions, Provider
from probe.model.target import Edge, Resolution, Target

CONCURRENCY = 32
"""Most questions under way at one list of servers, of however many thousand names."""

MOST_EDGES = 64
"""Addresses kept per name, family and client region: more is a fault or an attack."""

_LONGEST_CHAIN = 8
"""CNAMEs followed by asking again, beyond those that one message follows."""

_FORGET_AFTER = 3600.0
_ROUTE_HOLDS = 30.0


@dataclass(frozen=True, slots=True)
class FinderStats:
    """What the finder did since it was made, for metrics.

    Attributes:
        questions: questions that went out, by outcome: ``addresses`` or a failure's reason.
        from_cache: questions that what is known answered.
        shared: questions that joined the same one under way.
        subnet_ignored: answers per server that ignored the client subnet (RFC 7871).
    """

    questions: Mapping[str, int]
    from_cache: int
    shared: int
    subnet_ignored: Mapping[str, int]


@dataclass(slots=True)
class _Known:
    memory: EdgeMemory
    used_at: float


class EdgeFinder:
    """Finds edges; caches, keeps what rotates away, and never raises for DNS's faults."""

    def __init__(
        self,
        *,
        ask: Ask = dns.ask,
        route: Callable[[str], bool] = has_route,
        hosts_file: Path = HOSTS,
        resolv_conf: Path = RESOLV_CONF,
        concurrency: int = CONCURRENCY,
    ) -> None:
        """Ready; nothing is read or asked yet.

        Args:
            ask: asks servers a question.
            route: whether this host has a route to an IPv6 address.
            hosts_file: answers first for providers that want it.
            resolv_conf: names the servers of providers that name none.
            concurrency: most questions under way at one list of servers.
        """
        self._asker = Asker(ask, concurrency)
        self._route = route
        self._routes: dict[str, tuple[bool, float]] = {}
        self._hosts = WatchedFile(hosts_file, parse_hosts)
        self._system_servers = WatchedFile(resolv_conf, parse_resolv_conf)
        self._known: dict[tuple[object, ...], _Known] = {}
        self._next_sweep = float("-inf")
        self._subnet_ignored: Counter[str] = Counter()

    async def find(self, provider: Provider, target: Target, port: int) -> Resolution:
        """Every edge of a provider for a target.

        Args:
            provider: fixed addresses, a hostname, or the target's own name through DNS.
            target: its port goes before the provider's.
            port: the check's, for targets and providers that name none.

        Returns:
            edges in a stable order; failures of DNS stand beside the edges still known.
        """
        port = target.port or provider.port or port
        if provider.addresses:
            fixed = (Edge(_canonical(ip), own or port) for ip, own in provider.addresses)
            return self._reachable(Resolution(tuple(dict.fromkeys(fixed))))
        return await self.resolve(provider.hostname or target.name, port, provider.dns)

    async def resolve(self, host: str, port: int, options: DnsOptions | None = None) -> Resolution:
        """Every edge behind a host name or address, whatever provider it belongs to.

        Args:
            host: absolute name in A-label form, or an IP address.
            port: of the edges.
            options: how to ask; None is the system's way.
        """
        options = options or DnsOptions()
        if literal := canonical_ip(host.strip("[]")):
            return self._reachable(Resolution((Edge(literal, port),)))
        host = host.lower().rstrip(".")
        now = trio.current_time()
        self._sweep(now)
        # On behalf of clients elsewhere this host's own file has no say.
        if options.hosts_file and not options.client_subnets:
            here = self._hosts.value(now).get(host, ())
            edges = tuple(Edge(ip, port) for ip in here if _family(ip) in options.families)
            if edges:
                note = "from this host's hosts file"
                found = Resolution(edges, ttl=options.ttl_floor, notes=(note,))
                return self._reachable(found)
        return self._reachable(await self._from_dns(host, port, options))

    def stats(self) -> FinderStats:
        """Counters so far."""
        asker = self._asker
        return FinderStats(
            dict(asker.asked), asker.cached, asker.shared, dict(self._subnet_ignored)
        )

    # ------------------------------------------------------------ DNS

    async def _from_dns(self, name: str, port: int, options: DnsOptions) -> Resolution:
        begin = trio.current_time()
        servers = options.servers or self._system_servers.value(begin)
        heard = await self._hear_all(servers, name, options)
        now = trio.current_time()
        memory = self._memory(servers, name, options, now)
        left_out = _learn(memory, heard, now)
        asked = [one for one in heard if one.asked]
        self._subnet_ignored.update(
            one.outcome.server
            for one in asked
            if one.subnet_ignored and isinstance(one.outcome, Answer)
        )
        notes = notes_of(heard)
        if left_out:
            notes = (*notes, f"{left_out} addresses beyond the first {MOST_EDGES} left out")
        return Resolution(
            edges=tuple(_edge(known, port) for known in memory.edges(now)),
            failure=failure_of(heard),
            ttl=min(one.left for one in heard),
            seconds=now - begin if asked else None,
            notes=notes,
        )

    async def _hear_all(self, servers: Servers, name: str, options: DnsOptions) -> list[Heard]:
        """Ask for every family at once; what is known costs no task."""
        subnets = options.client_subnets
        regions = [(region, parse_subnet(text)) for region, text in subnets.items()]
        questions = {
            family: [(region, Question(name, family, subnet)) for region, subnet in regions]
            or [("", Question(name, family))]
            for family in options.families
        }
        heard: dict[Family, list[Heard]] = {family: [] for family in options.families}

        async def hear_family(family: Family) -> None:
            heard[family] = await self._hear_regions(servers, questions[family], options)

        if len(options.families) == 1:
            await hear_family(options.families[0])
        else:
            async with trio.open_nursery() as nursery:
                for family in options.families:
                    nursery.start_soon(hear_family, family)
        return [one for family in options.families for one in heard[family]]

    async def _hear_regions(
        self, servers: Servers, questions: Sequence[tuple[str, Question]], options: DnsOptions
    ) -> list[Heard]:
        """One region after the other, since an answer's scope may cover the next one too.

        Once nobody answered, the rest is asked at once, so that a dead server costs no more
        than twice the time-out however many regions there are.
        """
        heard = []
        rest = list(questions)
        while rest:
            region, question = rest.pop(0)
            heard.append(await self._hear(servers, region, question, options))
            if isinstance(heard[-1].outcome, NoAnswer):
                break
        results: dict[str, Heard] = {}

        async def hear_one(region: str, question: Question) -> None:
            results[region] = await self._hear(servers, region, question, options)

        if rest:
            async with trio.open_nursery() as nursery:
                for region, question in rest:
                    nursery.start_soon(hear_one, region, question)
        return heard + [results[region] for region, _ in rest]

    async def _hear(
        self, servers: Servers, region: str, question: Question, options: DnsOptions
    ) -> Heard:
        """The outcome of a question, CNAMEs followed that the servers left to us."""
        outcome, left, asked = await self._one(servers, question, options)
        for _ in range(_LONGEST_CHAIN):
            if not isinstance(outcome, Answer) or outcome.partial is None:
                break
            further = Question(outcome.partial, question.family, question.subnet)
            hop, hop_left, hop_asked = await self._one(servers, further, options)
            outcome = _joined(outcome, hop)
            left, asked = min(left, hop_left), asked or hop_asked
        if isinstance(outcome, Answer) and outcome.partial is not None:
            detail = f"{question}: the CNAME chain does not end: {' -> '.join(outcome.cnames)}"
            outcome = NoAnswer(Failure(Phase.RESOLVE, Reason.MALFORMED, detail))
        return Heard(region, question, outcome, left, asked)

    async def _one(
        self, servers: Servers, question: Question, options: DnsOptions
    ) -> tuple[Outcome, float, bool]:
        known = self._asker.known(servers, question, options, trio.current_time())
        if known is not None:
            return *known, False
        outcome = await self._asker.ask(servers, question, options.timeout)
        return outcome, lifetime(outcome, options.ttl_floor, options.ttl_cap), True

    # ------------------------------------------------------------ memory and routes

    def _memory(self, servers: Servers, name: str, options: DnsOptions, now: float) -> EdgeMemory:
        key = (name, servers, *sorted(options.client_subnets.items()), options.keep)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known(EdgeMemory(options.keep, MOST_EDGES), now)
        known.used_at = now
        return known.memory

    def _sweep(self, now: float) -> None:
        """Forget names that nobody has asked for in an hour, so that memory stays bounded."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + 60.0
        self._asker.forget_before(now - _FORGET_AFTER)
        for key, known in list(self._known.items()):
            if known.used_at < now - _FORGET_AFTER:
                del self._known[key]
        for ip, (_, until) in list(self._routes.items()):
            if until < now:
                del self._routes[ip]

    def _reachable(self, found: Resolution) -> Resolution:
        """Leave out and count IPv6 edges for which this host has no route."""
        edges = tuple(edge for edge in found.edges if edge.version == 4 or self._has_route(edge.ip))
        skipped = len(found.edges) - len(edges)
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


def _learn(memory: EdgeMemory, heard: Iterable[Heard], now: float) -> int:
    """Tell the memory who named what; a server that ignored the subnet speaks for no region."""
    left_out = 0
    named: dict[tuple[str, Family], Answer] = {}
    for one in heard:
        if isinstance(one.outcome, Answer):
            region = "" if one.subnet_ignored else one.region
            named[(region, one.question.family)] = one.outcome
    for source, answer in named.items():
        left_out += memory.answered(source, answer.addresses, answer.cnames, now)
    return left_out


def _joined(first: Answer, hop: Outcome) -> Outcome:
    if isinstance(hop, NoAnswer):
        return hop
    scopes = [scope for scope in (first.scope, hop.scope) if scope is not None]
    return replace(
        hop,
        cnames=(*first.cnames, *hop.cnames),
        ttl=min(first.ttl, hop.ttl),
        scope=max(scopes) if scopes else None,
    )


def _edge(known: KnownEdge, port: int) -> Edge:
    return Edge(known.ip, port, known.seen_from, known.cnames, known.stale)


def _canonical(ip: str) -> str:
    return canonical_ip(ip) or ip


def _family(ip: str) -> Family:
    return 6 if ":" in ip else 4


@lru_cache(maxsize=1024)
def parse_subnet(text: str) -> Subnet:
    """A prefix as written; bits beyond its length are dropped.

    Raises:
        ValueError: not a prefix (the configuration refuses such).
    """
    network = ip_network(text, strict=False)
    family: Family = 4 if network.version == 4 else 6
    return Subnet(family, int(network.network_address), network.prefixlen)
