"""The parts that both the daemon and a single round use, built in one place."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from probe.agent.proxies import Proxies
from probe.certificates import Judge
from probe.config.secrets import SecretReader
from probe.connection.contexts import TlsContexts
from probe.edges import EdgeFinder
from probe.model.spec import Provider, Spec
from probe.model.target import Resolution, Target
from probe.probers.flow import FlowProber
from probe.probers.reference import ReferenceProber
from probe.probers.tls import TlsProber


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
    """

    finder: EdgeFinder
    tls: TlsProber
    flow: FlowProber
    references: ReferenceProber
    judge: Judge
    secrets: SecretReader
    own_names: OwnNames


def build_parts(
    spec: Spec, environ: Mapping[str, str], *, lag: Callable[[], float] = lambda: 0.0
) -> Parts:
    """Build the probers and the finder. Nothing is read, resolved or opened yet.

    Args:
        spec: gives the providers' own names.
        environ: where ``env:`` secrets and the credentials directory are looked up.
        lag: how late the event loop runs now, in seconds.
    """
    secrets = SecretReader(environ)
    judge = Judge()
    own_names = OwnNames(spec.providers)
    contexts = TlsContexts(secrets.read)
    tls = TlsProber(contexts, judge, time.time, own_names=own_names, lag=lag)
    flow = FlowProber(
        contexts,
        judge,
        secrets.read,
        time.time,
        lag,
        None if spec.state_dir is None else Path(spec.state_dir),
        own_names=own_names,
        proxy=Proxies(environ).variable,
    )
    references = ReferenceProber(contexts, judge, time.time)
    return Parts(EdgeFinder(), tls, flow, references, judge, secrets, own_names)


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
