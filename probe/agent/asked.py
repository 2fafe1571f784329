"""Probes that others ask for at ``/probe``, with the parameters of a blackbox_exporter's.

Nothing is kept of them: no state, no confirmation, no alert of ours. The vantage judges them as far
as one result can tell: where the fault is ours, the answer is 503, so that the scrape fails and the
target is not blamed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import trio

from probe.agent.asked_log import log_of
from probe.agent.parts import Parts
from probe.flow.run import plan_of
from probe.http.url import BadUrl, clean_url, origin_at, refused
from probe.model.failure import Failure, Phase, Reason, printable
from probe.model.flow import ApiCheck
from probe.model.result import FlowResult, Inconclusive, TlsResult
from probe.model.spec import ASKED_URL, Blackbox, Module, Spec, TlsCheck
from probe.model.target import Edge, EdgeKey, FlowKey, Resolution, Target, endpoint
from probe.net.names import NameProblem, bracketed, may_be_probed, parse_host, parse_target, quoted
from probe.serve.http.message import Refused, WebAnswer, WebRequest
from probe.serve.records import TargetKey
from probe.serve.series.asked_samples import as_text, asked_samples
from probe.serve.series.family import Format

_SCRAPE_TIMEOUT = "x-prometheus-scrape-timeout-seconds"
_ALONE = 10.0
"""Seconds of a probe for which neither module nor scrape names a time-out."""
_LEAST = 0.05
_LONGEST = 120.0
_LONGEST_TARGET = 2048


@dataclass(frozen=True, slots=True)
class AskedProbe:
    """One probe that is asked for.

    Attributes:
        target: host and port that are resolved and connected to; its labels hold the URL.
        sni: name to ask for instead of the target's; None for the target's own.
        seconds: that the probe has.
        allowed: what may be probed, as when it was asked for; a redirect leads nowhere else.
    """

    name: str
    module: Module
    target: Target
    port: int
    sni: str | None
    seconds: float
    allowed: tuple[tuple[str, int | None], ...]
    debug: bool = False

    @property
    def key(self) -> TargetKey:
        """What its series would be filed under."""
        return TargetKey(self.name, self.target.label)


class AskedProbes:
    """Answers requests for probes.

    Args:
        parts: probers and edge finder, shared with what is scheduled.
        spec: the configuration to start with.
    """

    def __init__(self, parts: Parts, spec: Spec) -> None:
        self._parts = parts
        self._turns = count()
        self._running = 0
        self.follow(spec)

    def follow(self, spec: Spec) -> None:
        """Follow a configuration; probes under way end as they began."""
        self._blackbox = spec.blackbox
        self._lag_bound = spec.limits.lag_bound

    async def answer(self, request: WebRequest) -> WebAnswer:
        """Make the probe that a request asks for. Raises Refused."""
        blackbox = self._blackbox
        if blackbox is None:
            raise Refused(404, "no probes are made on request here; blackbox: would allow them")
        asked = read_asked(blackbox, request.query, request.headers)
        if self._running >= blackbox.concurrency:
            why = f"{blackbox.concurrency} probes are under way; blackbox: concurrency: bounds them"
            raise Refused(503, why, {"Retry-After": "1"})
        self._running += 1
        try:
            return await self._probed(asked)
        finally:
            self._running -= 1

    async def _probed(self, asked: AskedProbe) -> WebAnswer:
        at, began = time.time(), trio.current_time()
        resolution = Resolution((), _late(asked.seconds))
        with trio.move_on_after(asked.seconds):
            resolution = await self._resolved(asked.module, asked.target.name, asked.port)
        left = asked.seconds - (trio.current_time() - began)
        results: Sequence[TlsResult | FlowResult] = ()
        if resolution.edges:
            results = await self._results(asked, resolution, max(left, _LEAST))
        samples = asked_samples(
            asked.key,
            resolution,
            results,
            at=at,
            seconds=trio.current_time() - began,
            lag_bound=self._lag_bound,
        )
        ours = _ours(resolution, results)
        text = as_text(samples)
        status = 200 if ours is None else 503
        if asked.debug:
            text = log_of(asked, resolution, results, text)
            return WebAnswer(printable(text, "\n\t").encode(), status=status)
        if ours is not None:
            raise Refused(503, f"the fault is this agent's own: {printable(str(ours))}")
        return WebAnswer(text.encode(), Format.TEXT.value)

    async def _resolved(self, module: Module, host: str, port: int) -> Resolution:
        """Find the one address of a host that is probed; another one each time."""
        found = await self._parts.finder.resolve(host, port)
        return narrowed(found, module, next(self._turns))

    async def _results(
        self, asked: AskedProbe, resolution: Resolution, seconds: float
    ) -> Sequence[TlsResult | FlowResult]:
        check = asked.module.check
        if isinstance(check, ApiCheck):
            return (await self._run(asked, check, resolution, seconds),)
        own = replace(check, timeout=seconds, sni=check.sni or asked.sni)
        results: list[TlsResult] = []

        async def one(edge: Edge, number: int) -> None:
            client = own.profiles[number]
            key = EdgeKey(asked.name, asked.target.label, "", edge.label, client.name)
            results.append(await self._parts.tls.probe(key, edge, asked.target, own, client))

        clients = own.profiles[:1] if own.plain else own.profiles
        async with trio.open_nursery() as nursery:
            for number in range(len(clients)):
                nursery.start_soon(one, resolution.edges[0], number)
        return results

    async def _run(
        self, asked: AskedProbe, check: ApiCheck, resolution: Resolution, seconds: float
    ) -> FlowResult:
        """Run a flow whose target is reached at the address that was found."""
        if seconds < check.flow_timeout or asked.module.timeout is None:
            check = replace(check, flow_timeout=seconds, timeout=seconds)
        host = asked.sni or asked.target.name
        spelled = plan_of(check, None).spelled(asked.target)

        async def resolve(name: str, port: int) -> Resolution:
            if name == host and port == asked.port:
                return resolution
            bare = name.strip("[]")
            if not (may_be_probed(bare, port, asked.allowed) or spelled.calls(name, port)):
                return Resolution((), refused(_not_allowed(bare, port)))
            return await self._resolved(asked.module, bare, port)

        key = FlowKey(asked.name, asked.target.label, "", "")
        flow = self._parts.flow
        return await flow.run(key, check, asked.target, None, resolve=resolve, tells=False)


def narrowed(found: Resolution, module: Module, turn: int) -> Resolution:
    """Narrow a resolution to the one address that a module probes. Pure.

    Args:
        found: every address.
        module: which IP version it prefers, and whether the other will do.
        turn: which of several addresses.
    """
    alike = [edge for edge in found.edges if edge.version == module.prefer and not edge.stale]
    if not alike and module.fallback:
        alike = [edge for edge in found.edges if not edge.stale]
    if alike:
        return replace(found, edges=(alike[turn % len(alike)],), failure=None)
    failure = found.failure
    if failure is None:
        detail = f"there is no IPv{module.prefer} address, and fallback: false takes no other"
        failure = Failure(Phase.RESOLVE, Reason.NO_ADDRESSES, detail)
    return replace(found, edges=(), failure=failure)


def read_asked(
    blackbox: Blackbox, query: Mapping[str, str], headers: Mapping[str, str]
) -> AskedProbe:
    """Read what a request asks for. Pure. Raises Refused."""
    name = query.get("module", "http_2xx")  # as blackbox_exporter does
    module = blackbox.modules.get(name)
    if module is None:
        raise Refused(
            400, f"unknown module {quoted(name)}; blackbox: modules: names {_names(blackbox)}"
        )
    written = query.get("target", "").strip()
    if not written:
        raise Refused(400, "target= is missing")
    if len(written) > _LONGEST_TARGET:
        raise Refused(400, f"target= is longer than {_LONGEST_TARGET} characters")
    try:
        target, port = _target(module, written)
        sni = query.get("hostname") or None
        sni = None if sni is None else parse_host(sni)
    except (NameProblem, BadUrl) as problem:
        raise Refused(400, f"target= or hostname= cannot be probed: {problem}") from None
    for host in (target.name, *([] if sni is None else [sni])):
        if not may_be_probed(host, port, blackbox.targets):
            raise Refused(403, _not_allowed(host, port))
    if isinstance(module.check, ApiCheck):
        url = target.labels[ASKED_URL]
        if sni is not None:
            url = _renamed(url, sni)
        target = Target(target.name, target.port, {ASKED_URL: url})
    seconds = seconds_for(module, headers.get(_SCRAPE_TIMEOUT), blackbox.timeout_offset)
    debug = query.get("debug") == "true"
    return AskedProbe(name, module, target, port, sni, seconds, blackbox.targets, debug)


def seconds_for(module: Module, scrape: str | None, offset: float) -> float:
    """Give the seconds of a probe: the lesser of the module's and what the scrape leaves. Pure.

    Raises:
        Refused: the scrape's header is no number.
    """
    given = [] if module.timeout is None else [module.timeout]
    if scrape is not None:
        try:
            asked = float(scrape)
        except ValueError:
            asked = 0.0
        if not 0 < asked < float("inf"):
            raise Refused(400, "X-Prometheus-Scrape-Timeout-Seconds must be a number above zero")
        given.append(asked - offset if asked > offset else asked)
    return min(max(min(given, default=_ALONE), _LEAST), _LONGEST)


def _target(module: Module, written: str) -> tuple[Target, int]:
    """Read what is probed, and at which port. Raises NameProblem, BadUrl or Refused."""
    if isinstance(module.check, ApiCheck):
        has_scheme = "://" in written.partition("?")[0]
        url = clean_url(written if has_scheme else f"http://{written}")
        origin = origin_at(url)
        return Target(origin.host.strip("[]"), origin.port, {ASKED_URL: url}), origin.port
    target = parse_target(written)
    check: TlsCheck = module.check
    port = target.port or check.port
    if not port:
        raise Refused(400, "target= needs a port, such as db.example:5432")
    return target, port


def _renamed(url: str, host: str) -> str:
    """Put another host into a URL, whose port, path and query stay."""
    origin = origin_at(url)
    scheme, _, rest = url.partition("://")
    path = re.sub(r"^[^/?#]*", "", rest)
    path = path if path.startswith("/") else f"/{path}"
    usual = {"http": 80, "https": 443}[origin.scheme] == origin.port
    return f"{scheme}://{bracketed(host)}{'' if usual else f':{origin.port}'}{path}"


def _not_allowed(host: str, port: int) -> str:
    return f"blackbox: targets: does not allow {quoted(endpoint(host, port))}"


def _names(blackbox: Blackbox) -> str:
    return ", ".join(sorted(blackbox.modules)) or "none"


def _late(seconds: float) -> Failure:
    return Failure(Phase.RESOLVE, Reason.TIMEOUT, f"no address within {seconds:g} s")


def _ours(resolution: Resolution, results: Iterable[TlsResult | FlowResult]) -> Failure | None:
    """Return the fault that is ours, if that is why nothing can be said of the target."""
    if not resolution.edges and resolution.failure is not None and resolution.failure.ours:
        return resolution.failure
    found = [one.outcome for one in results]
    if all(isinstance(one, Inconclusive) for one in found):
        return next((one.failure for one in found if isinstance(one, Inconclusive)), None)
    return None
