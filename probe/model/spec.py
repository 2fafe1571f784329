"""What the configuration means, resolved: plain values that the agent and the probers run on.

All durations are seconds, all sizes bytes. The YAML shape lives in ``config``; by the time a
value stands here, names are resolved, defaults applied and contradictions refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from probe.model.flow import ApiCheck
from probe.model.maintenance import Window
from probe.model.records import RecordType
from probe.model.secret import SecretRef
from probe.model.state import Confirmation, ConsensusRule
from probe.model.target import AddressRules, Target, endpoint
from probe.model.tls import ChainExpectations, ClientCertificate, ClientProfile, Starttls, Trust

REGION_VARIABLE = "PROBE_REGION"
"""Environment variable that names the region; goes before the configuration."""

# ---------------------------------------------------------------- providers


@dataclass(frozen=True, slots=True)
class NameServer:
    """A DNS server to ask, instead of the system's."""

    ip: str
    port: int = 53

    @property
    def label(self) -> str:
        """``192.0.2.53:53`` or ``[2001:db8::53]:53``."""
        return endpoint(self.ip, self.port)


@dataclass(frozen=True, slots=True)
class DnsOptions:
    """How a provider asks DNS.

    Attributes:
        servers: asked in order; empty means the system's resolver configuration.
        hosts_file: whether ``/etc/hosts`` answers first.
        client_subnets: region name to prefix (RFC 7871); the union of the answers is probed.
        timeout: for one question, all servers and retries together.
        ttl_floor: an answer is never asked for again sooner than this.
        ttl_cap: nor later than this.
        keep: how long an edge that DNS no longer names is still probed.
        families: address families to ask for.
    """

    servers: tuple[NameServer, ...] = ()
    hosts_file: bool = True
    client_subnets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    timeout: float = 5.0
    ttl_floor: float = 15.0
    ttl_cap: float = 300.0
    keep: float = 600.0
    families: tuple[Literal[4, 6], ...] = (4, 6)


@dataclass(frozen=True, slots=True)
class Provider:
    """A named way to reach a target.

    Exactly one way to find edges: ``addresses`` fixed, ``hostname`` resolved instead of the
    target's name, or neither: the target's own name is resolved (what customers get now).

    Attributes:
        addresses: ``(ip, port or None)``.
        port: overrides the check's port for every edge of this provider.
        own_names: patterns of names that belong to the provider itself
            (``*.cdn-b.example``): a mismatch with such names is its default certificate.
    """

    name: str
    hostname: str | None = None
    addresses: tuple[tuple[str, int | None], ...] = ()
    dns: DnsOptions = field(default_factory=DnsOptions)
    port: int | None = None
    own_names: tuple[str, ...] = ()


LIVE = "live"
"""What DNS gives customers now: the provider of TLS checks that name none, declared or not."""


# ---------------------------------------------------------------- targets


@dataclass(frozen=True, slots=True)
class FileSource:
    """Prometheus ``file_sd`` files; a glob in the last part of the path is allowed."""

    path: str


@dataclass(frozen=True, slots=True)
class HttpSource:
    """Prometheus ``http_sd``: a URL that answers the same list as JSON.

    Attributes:
        trust: roots that verify the server; None leaves them to the environment.
    """

    url: str
    authorization: SecretRef | None = None
    timeout: float = 10.0
    trust: Trust | None = None


@dataclass(frozen=True, slots=True)
class TargetList:
    """A named list of targets, re-read while running.

    Attributes:
        static: targets written in the configuration itself.
        refresh: seconds between looks at the sources.
        max_targets: how many of them are used, the first ones.
        shrink_hold: seconds for which a source that lost more than half of its targets at once
            keeps those that it had.
    """

    name: str
    static: tuple[Target, ...] = ()
    files: tuple[FileSource, ...] = ()
    http: tuple[HttpSource, ...] = ()
    refresh: float = 10.0
    max_targets: int = 50_000
    shrink_hold: float = 600.0


# ---------------------------------------------------------------- TLS checks


@dataclass(frozen=True, slots=True)
class TlsCheck:
    """One ``kind: tls`` entry.

    Attributes:
        targets: name of the target list.
        providers: names, in the order written.
        interval: seconds between scheduled attempts on one edge.
        timeout: for a whole attempt; each phase fits inside it.
        port: for targets and providers that name none; 0 in modules that have none.
        sni: sent instead of the target's name; the judgement uses it too.
        edge_series: which edges get their own series.
        addresses: which may be connected to.
        records: what is looked up beside addresses, and compared with what edges show.
        caa_issuers: organisation of an issuer to the names that CAA records have for it.
        plain: a TCP connection is all that is asked for (``kind: tcp``).
    """

    name: str
    targets: str
    providers: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 10.0
    port: int = 443
    sni: str | None = None
    starttls: Starttls | None = None
    profiles: tuple[ClientProfile, ...] = (ClientProfile(),)
    expect: ChainExpectations = field(default_factory=ChainExpectations)
    trust: Trust = field(default_factory=Trust)
    confirm: Confirmation = field(default_factory=Confirmation)
    consensus: ConsensusRule = field(default_factory=ConsensusRule)
    edge_series: Literal["all", "failing", "none"] = "all"
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    addresses: AddressRules = field(default_factory=AddressRules)
    records: tuple[RecordType, ...] = ()
    caa_issuers: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    plain: bool = False

    @property
    def kind(self) -> str:
        """``tls`` or ``tcp``, as the configuration has it."""
        return "tcp" if self.plain else "tls"


Check = TlsCheck | ApiCheck
"""An entry of ``checks``."""


# ---------------------------------------------------------------- probes that others ask for

ASKED = "asked:"
"""Stands for the target list of checks that `Blackbox` holds: whoever asks names the target."""

ASKED_URL = "target.url"
"""Name by which a module's templates have the URL that was asked for."""


@dataclass(frozen=True, slots=True)
class Module:
    """What one probe that is asked for does.

    Attributes:
        check: without a schedule; its target list is `ASKED`.
        timeout: seconds for a whole probe; None leaves it to whoever asks.
        prefer: IP version of the address that is probed, where a name has both.
        fallback: whether the other version will do where a name lacks that one.
    """

    check: Check
    timeout: float | None = None
    prefer: Literal[4, 6] = 6
    fallback: bool = True


@dataclass(frozen=True, slots=True)
class Blackbox:
    """Which probes may be asked for at ``/probe``, as of a blackbox_exporter.

    Attributes:
        targets: what may be probed: names, ``*.`` patterns, ``*``, networks in CIDR form; each
            with a port or None for any.
        concurrency: probes at once; more are refused.
        timeout_offset: seconds that an answer needs of the scrape's own time-out.
    """

    modules: Mapping[str, Module]
    targets: tuple[tuple[str, int | None], ...]
    concurrency: int = 100
    timeout_offset: float = 0.5


# ---------------------------------------------------------------- the whole


@dataclass(frozen=True, slots=True)
class Listen:
    """Address of the agent's HTTP server; port 0 lets the OS choose."""

    host: str = "127.0.0.1"
    port: int = 9469


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that keep an ill world from making the agent ill.

    Attributes:
        concurrency: attempts in flight per check while all goes well; up to three times as
            many when many edges hang, so that the others are not kept waiting.
        lag_bound: event-loop lag in seconds above which timings are not trustworthy.
        experiments: whether handshakes are made to find out what a confirmed failure depends on.
    """

    concurrency: int = 500
    lag_bound: float = 0.02
    experiments: bool = True


@dataclass(frozen=True, slots=True)
class References:
    """What an agent judges its own network, DNS and clock by.

    Attributes:
        urls: endpoints that have nothing in common with the targets or each other; three or
            more, because more than half of them must fail. None: what is probed anyway is
            looked at, and this host's resolvers. Empty: network and DNS are not judged.
        interval: seconds between looks at them.
        trust: which roots verify their chains; another verdict costs only their ``Date``.
    """

    urls: tuple[str, ...] | None = None
    interval: float = 5.0
    trust: Trust = field(default_factory=Trust)


RegionSource = Literal["kubernetes", "aws", "gce", "azure"]
"""Who can be asked for the name of the region."""


@dataclass(frozen=True, slots=True)
class Share:
    """How agents of one region divide the targets among themselves.

    Attributes:
        peers: DNS name that has the addresses of all of them.
        replicas: how many of them probe each target.
        refresh: seconds between looks at the name.
    """

    peers: str
    replicas: int = 2
    refresh: float = 5.0


@dataclass(frozen=True, slots=True)
class RegionsLogin:
    """A user's name and password for the pages of other agents."""

    username: str
    password: SecretRef


@dataclass(frozen=True, slots=True)
class Regions:
    """Other agents, whose pages are joined on one.

    Attributes:
        pages: URLs of their pages.
        agents: URL whose host name has the addresses of all of them; each is asked.
        trust: roots that verify them; None leaves them to the environment.
        client_certificate: files that are shown to those that ask for one.
        login: sent to all of them.
    """

    pages: tuple[str, ...] = ()
    agents: str | None = None
    trust: Trust | None = None
    client_certificate: ClientCertificate | None = None
    login: RegionsLogin | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole configuration, ready to run.

    Attributes:
        region: None means ``auto`` was written and nothing named one.
        page: where pages, API and evidence are served: with the metrics (``same``), nowhere, or
            on an address of their own.
        host_names: names and ``*.`` patterns under which browsers may ask for them.
        crl: whether the revocation lists that served chains name are fetched and judged.
        addresses: which may be connected to, for what belongs to no check.
        blackbox: probes that others may ask for; None for none.
        maintenance: when failures of what are planned, for all regions, past windows among them.
        web_config: path of the file with TLS and logins of the port; None has neither.
        digest: SHA-256 of the configuration file's bytes, for the config-hash metric.
        source: path of the file.
        state_dir: where rotated refresh tokens and revocation lists are kept; None keeps them in
            memory.
        references: what the agent judges its own view by.
        region_from: asked in this order when ``region`` is None.
        share: None probes every target here.
        regions: other agents for the page of all regions; None has no such page.
    """

    region: str | None
    listen: Listen
    providers: Mapping[str, Provider]
    targets: Mapping[str, TargetList]
    checks: tuple[Check, ...]
    limits: Limits = field(default_factory=Limits)
    digest: str = ""
    source: str = ""
    state_dir: str | None = None
    references: References = field(default_factory=References)
    region_from: tuple[RegionSource, ...] = ()
    share: Share | None = None
    regions: Regions | None = None
    page: Listen | Literal["same", "off"] = "same"
    host_names: tuple[str, ...] = ()
    web_config: str | None = None
    crl: bool = True
    addresses: AddressRules = field(default_factory=AddressRules)
    blackbox: Blackbox | None = None
    maintenance: tuple[Window, ...] = ()
