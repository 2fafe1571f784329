"""Where targets come from and which ways lead to them."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field

from probe.config.shape.base import AtLeastOne, Several, Shape, Short, wrong
from probe.config.shape.texts import (
    STRING_SCHEMA,
    Duration,
    HostPatterns,
    Name,
    PathText,
    Reference,
    Text,
    between,
    from_text,
    text,
)
from probe.config.shape.tls import Host, Port, TrustField
from probe.documents.targets import LABEL, MOST_TARGETS
from probe.model.spec import DnsOptions, HttpSource, TargetList
from probe.net.addresses import NAT64_LENGTHS
from probe.net.names import parse_address, quoted


def _server(value: str) -> tuple[str, int]:
    ip, port = parse_address(value)
    return ip, 53 if port is None else port


def _subnet(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        meant = str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise wrong(
            f"{quoted(value)} is not an address prefix; write for example 198.51.100.0/24"
        ) from None
    raise wrong(f"{quoted(value)} has bits set after the prefix; write {meant}")


def _prefix(value: str) -> str:
    if "/" not in value:
        # RFC 7871 section 11.1: no more than 24 or 56 bits, for the sake of privacy.
        bits = 56 if ":" in value else 24
        try:
            meant = str(ipaddress.ip_network(f"{value}/{bits}", strict=False))
        except ValueError:
            meant = "for example 198.51.100.0/24"
        raise wrong(f"{quoted(value)} has no prefix length; write {meant}")
    return _subnet(value)


def _network(value: str) -> str:
    return _subnet(value)  # a single address is a network of one


def _nat64(value: str) -> str:
    network = ipaddress.ip_network(_prefix(value))
    if network.version != 6 or network.prefixlen not in NAT64_LENGTHS:
        lengths = ", ".join(f"/{bits}" for bits in NAT64_LENGTHS)
        raise wrong(f"{quoted(value)} is not a NAT64 prefix; its length must be one of {lengths}")
    return str(network)


Network = Annotated[str, text(_network)]


class AddressesShape(Shape):
    """Which addresses may be connected to; the narrowest network that holds an address decides."""

    allow: Several[Network] = Field(default=[], examples=[["127.0.0.0/8", "::1"]])
    """Networks that may be connected to, such as those of this host, of its link or of metadata
    services, which are refused otherwise."""
    deny: Several[Network] = Field(default=[], examples=[["10.20.0.0/16"]])
    """Networks that may not be connected to."""
    nat64: Several[Annotated[str, text(_nat64)]] = Field(
        default=[], examples=[["2001:db8:64::/96"]]
    )
    """Prefixes of this network's NAT64, beside 64:ff9b::/96 and 64:ff9b:1::/48: the IPv4 address
    behind one is judged too."""


DnsServer = Annotated[tuple[str, int], from_text(_server, "192.0.2.53"), STRING_SCHEMA]
Address = Annotated[tuple[str, int | None], from_text(parse_address, "198.51.100.7"), STRING_SCHEMA]


def _label_name(value: str) -> str:
    if not LABEL.match(value):
        raise wrong(
            f"{quoted(value)} is not a valid label name; use letters, digits and underscores"
        )
    if value.startswith("__"):
        raise wrong(f"{quoted(value)}: names that start with __ are reserved for Prometheus")
    return value


LabelName = Annotated[str, text(_label_name)]
LabelsField = dict[LabelName, Text]


class DnsShape(Shape):
    """How DNS is asked."""

    spec = DnsOptions()

    servers: Several[DnsServer] = Field(
        default=[], examples=[["192.0.2.53", "[2001:db8::53]:5353"]]
    )
    """Addresses of the DNS servers to ask, with port if it is not 53; left out: those of this
    host."""
    client_subnets: dict[Name, Annotated[str, text(_prefix)]] = Field(
        default={}, examples=[{"sa-east": "198.51.100.0/24"}]
    )
    """Ask on behalf of clients elsewhere (RFC 7871): region name to prefix."""
    hosts_file: bool | None = None
    """Whether /etc/hosts answers first ({default})."""
    timeout: Annotated[Duration, between("50ms", "1m")] | None = None
    """For one question, all servers and retries together ({default})."""
    ttl_floor: Annotated[Duration, between("0", "1d")] | None = None
    """An answer is never asked for again sooner than this ({default})."""
    ttl_cap: Annotated[Duration, between("1s", "7d")] | None = None
    """Nor later than this ({default})."""
    keep: Annotated[Duration, between("0", "30d")] | None = None
    """How long an edge that DNS no longer names is still probed ({default})."""
    families: AtLeastOne[Literal[4, 6]] | None = None
    """IP versions to ask for ({default})."""


class ProviderShape(Shape):
    """A named way to reach a target: one of dns, hostname and addresses."""

    dns: DnsShape | None = None
    """Resolve the target's own name; {} asks as this host does."""
    hostname: Host | None = Field(default=None, examples=["stores.cdn-b.example"])
    """Resolve this name instead of the target's, such as a CDN's."""
    addresses: AtLeastOne[Address] | None = Field(
        default=None, examples=[["198.51.100.7", "[2001:db8::7]:8443"]]
    )
    """Fixed addresses, with a port if the edge has its own."""
    port: Port | None = None
    """Port of every edge that names none itself."""
    own_names: HostPatterns = Field(default=[], examples=[["*.cdn-b.example"]])
    """Names on the provider's own certificates: a mismatch with one of them is its default
    certificate."""


class HttpSourceShape(Shape):
    """A URL that answers target groups as JSON (Prometheus http_sd)."""

    spec = HttpSource("")

    url: str = Field(examples=["https://inventory.example/targets"])
    """The URL to ask."""
    authorization: Reference | None = None
    """Secret sent as bearer token; only to https:// URLs."""
    timeout: Annotated[Duration, between("100ms", "5m")] | None = None
    """For one request ({default})."""
    trust: TrustField | None = None
    """Which roots verify the server; left out: Mozilla's list, or the file that SSL_CERT_FILE
    names."""


class GroupShape(Shape):
    """Targets that share labels, as in Prometheus's static_configs."""

    targets: Several[str] = Field(examples=[["shop.example", "www.shop.example:8443"]])
    """Names or addresses, with a port if it is not the check's."""
    labels: LabelsField = {}
    """Labels of all of them, kept on info series."""


class TargetListShape(Shape):
    """A named list of targets from one or more sources, re-read while running."""

    spec = TargetList("")

    static: Several[Annotated[GroupShape, Short({str: "targets"})]] = []
    """Targets written here: names, or groups with labels."""
    files: Several[PathText] = Field(default=[], examples=[["targets/stores.yaml"]])
    """Files of target groups (Prometheus file_sd), relative to this file; a glob is allowed in the
    last part."""
    http: Several[Annotated[HttpSourceShape, Short({str: "url"})]] = []
    """URLs that answer target groups (Prometheus http_sd)."""
    refresh: Annotated[Duration, between("1s", "1d")] | None = None
    """How often the sources are looked at again ({default})."""
    max_targets: Annotated[int, Field(ge=1, le=MOST_TARGETS)] | None = None
    """How many targets of the list are probed, the first ones; more are reported ({default})."""
    shrink_hold: Annotated[Duration, between("0", "1d")] | None = None
    """How long a source that loses more than half of its targets at once keeps those that it had; 0
    believes it at once ({default})."""


TargetListField = Annotated[TargetListShape, Short({list: "static", str: "static"})]


class CheckTargetsShape(TargetListShape):
    """What a check probes: a list under targets by name, or a list of its own."""

    named: Name | None = None
    """Name of a list under targets."""


CheckTargetsField = Annotated[CheckTargetsShape, Short({str: "named", list: "static"})]
