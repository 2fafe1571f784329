"""The parts that both the daemon and a single round use, built in one place.

A probe measures the way to each edge. Through a proxy that the environment names it would measure
the proxy's way, so none is used. On a host from which only a proxy leads out this must not look
like a target's fault, so the agent says that it uses none.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import trio

from probe.auth.values import walk
from probe.certificates import Judge
from probe.certificates.lists import RevocationLists
from probe.config.secrets import SecretReader
from probe.connection.contexts import TlsContexts
from probe.edges import EdgeFinder, RecordFinder
from probe.flow.known import KnownSecrets
from probe.http.session import Dialler
from probe.model.expressions import UnknownName, parse
from probe.model.flow import ApiCheck, Step
from probe.model.secret import ReadSecret, Secret, SecretError, SecretRef
from probe.model.spec import Check, Provider, Spec
from probe.model.target import AddressRules, Resolution, Target
from probe.probers.flow import FlowProber
from probe.probers.reference import ReferenceProber
from probe.probers.tls import TlsProber
from probe.revocation.fetch import ListFetcher
from probe.revocation.keeper import ListKeeper
from probe.revocation.shelf import Shelf


class OwnNames:
    """Name patterns that belong to each provider itself; follows a reload."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self.providers = providers

    def __call__(self, provider: str) -> tuple[str, ...]:
        """The patterns of a provider; none for an unknown one."""
        known = self.providers.get(provider)
        return known.own_names if known is not None else ()


@dataclass(frozen=True, slots=True)
class Parts:
    """Probers and the finder of edges, shared by everything that probes.

    Attributes:
        judge: one for all checks, so that a chain is judged once however often it is seen.
        secrets: reads a secret; from then on no evidence of any check shows it.
        crls: fetches revocation lists, when its loop runs.
    """

    finder: EdgeFinder
    records: RecordFinder
    tls: TlsProber
    flow: FlowProber
    references: ReferenceProber
    judge: Judge
    secrets: ReadSecret
    own_names: OwnNames
    crls: ListKeeper
    _rules: list[AddressRules]

    def follow(self, spec: Spec) -> None:
        """Follow a configuration, in what belongs to no check."""
        self._rules[:] = [spec.addresses]
        self.crls.switch(self.judge, on=spec.crl)


def build_parts(
    spec: Spec, environ: Mapping[str, str], *, lag: Callable[[], float] = lambda: 0.0
) -> Parts:
    """Build the probers and the finder. Nothing is read, resolved or opened yet.

    Args:
        spec: gives the providers' own names.
        environ: where ``env:`` secrets and the credentials directory are looked up.
        lag: how late the event loop runs now, in seconds.
    """
    reader, known = SecretReader(environ), KnownSecrets()

    def read(reference: SecretRef) -> Secret:
        secret = reader.read(reference)
        known.learn(secret.reveal())
        return secret

    judge = Judge(elsewhere=True)
    own_names = OwnNames(spec.providers)
    contexts = TlsContexts(read)
    tls = TlsProber(contexts, judge, time.time, own_names=own_names, lag=lag, known=known)
    flow = FlowProber(
        contexts,
        judge,
        read,
        time.time,
        lag,
        None if spec.state_dir is None else Path(spec.state_dir),
        own_names=own_names,
        proxy=Proxies(environ).variable,
        known=known,
    )
    references = ReferenceProber(contexts, judge, time.time)
    finder, rules = EdgeFinder(), [spec.addresses]
    records = RecordFinder(finder.inquiry)
    dialler = Dialler(contexts, judge, time.time)
    fetcher = ListFetcher(dialler, finder.resolve, lambda: rules[0])
    shelf = None if spec.state_dir is None else Shelf(Path(spec.state_dir) / "crl")
    crls = ListKeeper(RevocationLists(), fetcher.fetch, time.time, shelf)
    parts = Parts(finder, records, tls, flow, references, judge, read, own_names, crls, rules)
    parts.follow(spec)
    return parts


def every_check(spec: Spec) -> tuple[Check, ...]:
    """Return every check: what is scheduled, and what may be asked for."""
    modules = () if spec.blackbox is None else spec.blackbox.modules.values()
    return (*spec.checks, *(module.check for module in modules))


async def learn_secrets(spec: Spec, read: ReadSecret) -> None:
    """Read every secret of the checks once, so that no check shows what another has yet to read.

    What cannot be read is said by the run that needs it. Others run between two secrets: to learn
    two thousand takes some tenths of a second.
    """
    found: list[SecretRef] = []
    walk(every_check(spec), str, found.append)
    for reference in dict.fromkeys(found):
        with suppress(SecretError):
            read(reference)
        await trio.lowlevel.checkpoint()


def resolver_of(
    finder: EdgeFinder, provider: Provider | None, target: Target
) -> Callable[[str, int], Awaitable[Resolution]]:
    """Return the function by which a flow finds the addresses of its hosts.

    A provider stands for the target, so that only the target's own host is reached through it
    (addresses pinned, SNI and Host kept). Every other host of the flow is asked of DNS in the
    provider's way, or the system's without one.
    """

    async def resolve(host: str, port: int) -> Resolution:
        if provider is not None and host == target.name:
            # A port written with the target goes before the provider's, as in TLS checks.
            own = target.port if target.port == port else None
            return await finder.find(provider, Target(host, own), port)
        options = None if provider is None else provider.dns
        return await finder.resolve(host, port, options)

    return resolve


class Proxies:
    """The variables that curl and browsers read: ``https_proxy``, ``no_proxy`` and so on.

    Args:
        environ: of this process.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        named = {name.lower(): name for name, value in environ.items() if value.strip()}
        self._names = {
            scheme: named.get(f"{scheme}_proxy", named.get("all_proxy"))
            for scheme in ("http", "https")
        }
        without = environ.get(named.get("no_proxy", ""), "")
        self._without = [one.strip().lower() for one in without.split(",")]

    def variable(self, scheme: str, host: str) -> str | None:
        """Return the variable that names a proxy for a host; None where no proxy is meant for it.

        Args:
            scheme: ``http`` or ``https``.
            host: empty when it is not known; then no exception holds for it.
        """
        return None if _excepted(host.lower(), self._without) else self._names.get(scheme)

    def ignored(self, spec: Spec) -> str | None:
        """Return a variable that names a proxy for something that is probed; None without one."""
        if not any(self._names.values()):
            return None
        found = (self.variable(scheme, host) for scheme, host in called(spec))
        return next((name for name in found if name is not None), None)


def _excepted(host: str, without: Iterable[str]) -> bool:
    """Whether ``no_proxy`` names a host, a domain or network of it, or everything."""
    for one in without:
        name = one.removeprefix("*").removeprefix(".")
        if one == "*" or (name and (host == name or host.endswith(f".{name}"))):
            return True
        try:
            if ip_address(host) in ip_network(one, strict=False):
                return True
        except ValueError:  # a name on one side
            continue
    return False


def called(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield scheme and host of what is probed. The host is empty where only the run knows it."""
    for check in spec.checks:
        if not isinstance(check, ApiCheck):
            yield "https", ""
            continue
        for step in check.steps:
            if isinstance(step, Step):
                try:
                    parts = urlsplit(parse(step.request.url).render(check.vars))
                    yield parts.scheme, parts.hostname or ""
                except (UnknownName, ValueError):
                    yield "https", ""
