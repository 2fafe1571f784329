"""The configuration file as a whole."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from probe.config.shape.base import BY_KIND, AtLeastOne, Several, Shape, Short, optional
from probe.config.shape.blackbox import BlackboxShape
from probe.config.shape.checks import CheckShapes
from probe.config.shape.maintenance import WindowShape
from probe.config.shape.regions import RegionsShape
from probe.config.shape.step import API
from probe.config.shape.targets import AddressesShape, ProviderShape, TargetListField
from probe.config.shape.texts import (
    STRING_SCHEMA,
    Duration,
    Interval,
    Name,
    PathText,
    Text,
    Timeout,
    between,
    from_text,
    text,
)
from probe.config.shape.tls import (
    TLS,
    ConfirmShape,
    ConsensusShape,
    EdgeSeries,
    Host,
    ProfileField,
    TrustField,
)
from probe.config.units import format_duration
from probe.model.spec import Limits, Listen, References, RegionSource, Share
from probe.model.target import endpoint
from probe.net.names import NameProblem, parse_listen, parse_name_pattern, quoted

CheckField = Annotated[CheckShapes, BY_KIND]
_LISTEN = endpoint(Listen().host, Listen().port)
Listening = Annotated[Listen, from_text(parse_listen, _LISTEN), STRING_SCHEMA]


NamePattern = Annotated[str, text(parse_name_pattern)]


def _page(written: str) -> Listen | Literal["same", "off"]:
    match written:
        case "same" | "off":
            return written
        case _ if written.rpartition(":")[2].isdigit():
            return parse_listen(written)
        case _:
            raise NameProblem(f"{quoted(written)} is none of: same, off, or ADDRESS:PORT")


PageField = Annotated[
    Listen | Literal["same", "off"], from_text(_page, "same, off or 127.0.0.1:9470"), STRING_SCHEMA
]


class RegionShape(Shape):
    """Where this agent runs: its name, or who is asked for it when the agent starts."""

    name: Name | None = None
    """Name of the region; or auto."""
    sources: Several[RegionSource] = Field(
        default=[], alias="from", examples=[["kubernetes", "aws"]]
    )
    """What to ask, in this order: the node's label in Kubernetes (topology.kubernetes.io/region),
    or the metadata service of a cloud."""


RegionField = Annotated[RegionShape, Short({str: "name"})]


class ShareShape(Shape):
    """Agents of one region divide the targets among themselves."""

    spec = Share("")

    peers: Host = Field(examples=["probe-peers.monitoring.svc.cluster.local"])
    """DNS name that has the addresses of all agents of the region, such as a headless Service of
    Kubernetes. Each agent needs its own in PROBE_ADDRESS."""
    replicas: Annotated[int, Field(ge=1, le=100)] | None = None
    """How many agents probe each target ({default})."""
    refresh: Annotated[Duration, between("1s", "5m")] | None = None
    """How often the name is looked up ({default})."""


class DefaultsShape(Shape):
    """What checks use where they say nothing themselves."""

    spec = TLS

    interval: Interval | None = None
    """Time between attempts ({default})."""
    timeout: Timeout | None = None
    """For one attempt or step ({default})."""
    flow_timeout: Timeout | None = optional(
        f"For a whole run of a flow ({format_duration(API.flow_timeout)})."
    )
    profiles: AtLeastOne[ProfileField] | None = optional(
        f"Client profiles of TLS checks ([{TLS.profiles[0].name}])."
    )
    trust: TrustField | None = optional(f"Which roots verify chains ({TLS.trust.kind}).")
    confirm: ConfirmShape | None = None
    """How failures of TLS checks are confirmed."""
    consensus: ConsensusShape | None = None
    """When differing certificates are worth an alarm."""
    edge_series: EdgeSeries | None = None
    """Which edges get their own metric series ({default})."""


class LimitsShape(Shape):
    """Bounds that keep an ill world from making the agent ill."""

    spec = Limits()

    concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Most attempts in flight, per check ({default})."""
    lag_bound: Annotated[Duration, between("1ms", "10s")] | None = None
    """Event-loop lag above which timings are not trusted ({default})."""
    experiments: bool | None = None
    """Find out by a few further handshakes what a confirmed failure depends on ({default})."""


class VantageShape(Shape):
    """What the agent judges its own network, DNS and clock by."""

    spec = References()

    references: Several[Text] | None = Field(
        default=None,
        examples=[["https://one.example/", "https://two.example/", "https://three.example/"]],
    )
    """URLs of endpoints that have nothing in common with the targets or each other; three or more.
    Any answer will do. Without this key the agent compares what it probes anyway; [] switches that
    off."""
    interval: Annotated[Duration, between("1s", "10s")] | None = None
    """Time between looks at them ({default})."""


class FileShape(Shape):
    """The configuration of a regional probe."""

    region: RegionField | None = Field(
        default=None, examples=["auto", "sa-east", {"from": ["aws"]}]
    )
    """Where this agent runs; --region and PROBE_REGION go before it. auto: one of them must be
    there."""
    listen: Listening | None = optional(
        f"Address of the metrics and the status page ({_LISTEN}).", examples=[_LISTEN]
    )
    page: PageField | None = Field(default=None, examples=["off", "127.0.0.1:9470"])
    """Where the status page, the API and evidence are served: same (with the metrics), off, or an
    address of their own (same)."""
    host_names: Several[NamePattern] = Field(default=[], examples=[["probe.example.com"]])
    """Host names under which browsers may ask for the page, besides addresses, localhost and the
    machine's own name; *.example.com stands for all below it."""
    web_config: PathText | None = Field(default=None, examples=["web.yaml"])
    """File with TLS, client certificates and logins of the port, in the format of the Prometheus
    exporter toolkit; --web.config.file goes before it."""
    share: ShareShape | None = None
    """Divide the targets among the agents of this region."""
    regions: RegionsShape | None = None
    """Other agents whose pages are joined with this one's at /regions (none)."""
    state_dir: PathText | None = None
    """Directory where rotated refresh tokens and revocation lists are kept, and which certificates
    were served."""
    crl: Literal["on", "off"] | None = optional(
        "Whether the certificate revocation lists that served chains name are fetched, over plain "
        "http, and judged (on). They need addresses that the file's addresses permit.",
        examples=["off"],
    )
    limits: LimitsShape | None = None
    """Bounds on the agent itself."""
    vantage: VantageShape | None = None
    """What the agent judges its own network, DNS and clock by."""
    defaults: DefaultsShape | None = None
    """What checks use where they say nothing themselves."""
    addresses: AddressesShape | None = None
    """Which addresses that lists, DNS and servers name may be connected to, in all checks."""
    providers: dict[Name, ProviderShape] = {}
    """Named ways to reach a target."""
    targets: dict[Name, TargetListField] = {}
    """Named lists of targets."""
    checks: list[CheckField] = []
    """What to probe, how often, what is expected."""
    blackbox: BlackboxShape | None = None
    """Probes that others may ask for at /probe, as at a blackbox_exporter's (off)."""
    maintenance: list[WindowShape] = []
    """Times for which failures are planned. The agent goes on measuring, and nothing counts as
    healthy for it; page, metrics and log say planned, and the shipped
    alerts about it are sent to nobody."""
