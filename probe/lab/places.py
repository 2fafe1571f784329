"""Where things stand in the lab: regions, edge locations, loopback addresses."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import MappingProxyType

REGIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sa-east": ("gru", "scl", "bog", "eze"),
        "us-east": ("iad", "ewr", "mia", "atl"),
        "eu-west": ("fra", "lhr", "cdg", "mad"),
    }
)
"""Regions, and the locations whose edges DNS gives to clients there."""

CLIENT_SUBNETS: Mapping[str, str] = MappingProxyType(
    {"sa-east": "192.0.2.0/24", "us-east": "198.51.100.0/24", "eu-west": "203.0.113.0/24"}
)
"""Networks that the lab's clients live in, for questions asked on behalf of others (RFC 7871)."""

LOOPBACK = "127"
"""First octet of the addresses that a lab has by itself."""

_PORT_TRIES = 20

CDNS = ("cdn-a", "cdn-b")
API_CLUSTERS = ("cluster-1", "cluster-2")
API = "api"


@dataclass(frozen=True, slots=True)
class Place:
    """One listening address: an edge of a CDN, or a cluster of the platform.

    Attributes:
        name: ``cdn-b/gru``, ``api/cluster-1``: what faults are aimed at.
        provider: ``cdn-a``, ``cdn-b`` or ``api``.
        region: whose clients are sent there; empty for the platform, which has no regions.
        port: shared by every place, because DNS names none; 0 until the lab listens.
    """

    name: str
    provider: str
    region: str
    ip: str
    port: int = 0

    @property
    def label(self) -> str:
        """``127.20.2.1:40123``, as the agents write it."""
        return f"{self.ip}:{self.port}"


def whole_loopback() -> bool:
    """Whether every address of 127.0.0.0/8 can be listened on (Linux: yes; macOS: only .1)."""
    with socket.socket() as trial:
        try:
            trial.bind(("127.20.1.1", 0))
        except OSError:
            return False
    return True


def lay_out(
    regions: Mapping[str, tuple[str, ...]], *, distinct: bool, network: str = LOOPBACK
) -> tuple[Place, ...]:
    """Every place of a lab, without ports.

    With ``distinct``, each place has an address of its own; otherwise all share 127.0.0.1 and
    will differ by port.
    """
    places = []
    for r, (region, locations) in enumerate(regions.items()):
        for c, cdn in enumerate(CDNS):
            for n, location in enumerate(locations):
                ip = f"{network}.{20 + r}.{1 + c}.{1 + n}" if distinct else "127.0.0.1"
                places.append(Place(f"{cdn}/{location}", cdn, region, ip))
    for n, cluster in enumerate(API_CLUSTERS):
        ip = f"{network}.19.1.{1 + n}" if distinct else "127.0.0.1"
        places.append(Place(f"{API}/{cluster}", API, "", ip))
    return tuple(places)


def choose_places(
    regions: Mapping[str, tuple[str, ...]], network: str = LOOPBACK
) -> tuple[tuple[Place, ...], bool]:
    """Places with ports that are free now, and whether each has an address of its own.

    Every address of a network other than the loopback must be this host's.

    Raises:
        OSError: no port was free on every address.
    """
    distinct = network != LOOPBACK or whole_loopback()
    places = lay_out(regions, distinct=distinct, network=network)
    for _ in range(_PORT_TRIES):
        try:
            with ExitStack() as stack:
                ports = _free_ports(places, stack, distinct=distinct)
        except OSError:
            continue
        chosen = tuple(replace(p, port=port) for p, port in zip(places, ports, strict=True))
        return chosen, distinct
    raise OSError("no port was free on every address of the lab")


def _free_ports(places: tuple[Place, ...], stack: ExitStack, *, distinct: bool) -> list[int]:
    """One port for all where addresses differ, else one each; held until the stack closes."""
    ports: list[int] = []
    for place in places:
        trial = stack.enter_context(socket.socket())
        trial.bind((place.ip, ports[0] if distinct and ports else 0))
        ports.append(trial.getsockname()[1])
    return ports
