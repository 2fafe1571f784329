"""What there is to know about a lab: its size, where everything listens, what is broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from probe.lab.board import Rule, Situation, Where
from probe.lab.faults.kinds import Chain, Greeting, Listening, Negotiation, Preamble, Wire
from probe.lab.places import API, LOOPBACK, REGIONS, Place
from probe.lab.platform import Hosts

Part = Literal["edges", "platform"]
"""What a process of a lab serves, when several share it."""

_BREAKS_TLS = (Chain, Greeting, Listening, Negotiation, Preamble, Wire)


def store_names(count: int) -> tuple[str, ...]:
    """``store-001.example`` and so on."""
    return tuple(f"store-{number:03}.example" for number in range(1, count + 1))


@dataclass(frozen=True, slots=True)
class Layout:
    """How large a lab is.

    Attributes:
        regions: and the locations whose edges clients there are sent to.
        ttl: of every DNS record, in seconds.
        with_rsa: whether edges hold RSA certificates beside ECDSA ones.
        seed: of the dice.
        network: first octet of every address.
    """

    domains: tuple[str, ...] = field(default_factory=lambda: store_names(300))
    regions: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(REGIONS))
    hosts: Hosts = field(default_factory=Hosts)
    ttl: int = 20
    with_rsa: bool = False
    seed: int = 1
    network: str = LOOPBACK


@dataclass(frozen=True, slots=True)
class WorldInfo:
    """Where everything is.

    Attributes:
        resolvers: region to address and port of its DNS server.
        roots: path of the PEM file with the root to trust.
        distinct: every place has an address of its own; otherwise they differ by port and DNS
            alone cannot tell them apart.
    """

    layout: Layout
    places: tuple[Place, ...]
    resolvers: Mapping[str, tuple[str, int]]
    roots: str
    distinct: bool

    @property
    def port(self) -> int:
        """The port of every place, where addresses are distinct."""
        return self.places[0].port

    def seen(self, region: str, provider: str) -> tuple[Place, ...]:
        """The edges of a provider that clients of a region are sent to."""
        return tuple(
            place
            for place in self.places
            if place.provider == provider and place.region in (region, "")
        )

    def place(self, name: str) -> Place:
        """By name; KeyError when there is none."""
        for place in self.places:
            if place.name == name:
                return place
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> WorldInfo:
        """The inverse of ``to_json``."""
        layout = dict(document["layout"])
        layout["domains"] = tuple(layout["domains"])
        layout["regions"] = {name: tuple(where) for name, where in layout["regions"].items()}
        layout["hosts"] = Hosts(**layout["hosts"])
        return cls(
            layout=Layout(**layout),
            places=tuple(Place(**place) for place in document["places"]),
            resolvers={name: (ip, port) for name, (ip, port) in document["resolvers"].items()},
            roots=document["roots"],
            distinct=document["distinct"],
        )


@dataclass(frozen=True, slots=True)
class Broken:
    """One domain on one edge that a fault covers.

    Attributes:
        edge: as the agents write it, ``127.20.2.1:40123``.
        probability: share of attempts that the fault strikes.
    """

    fault: str
    domain: str
    edge: str
    provider: str
    region: str
    probability: float


@dataclass(frozen=True, slots=True)
class Strikes:
    """How often one fault struck at one place.

    Attributes:
        number: of the fault, as ``inject`` returned it.
        domain: empty where the fault strikes before the name is known.
        edge: name of the place; empty for questions to DNS.
    """

    number: int
    domain: str
    edge: str
    times: int


def broken_by(rules: Iterable[Rule], info: WorldInfo) -> tuple[Broken, ...]:
    """Every (domain, edge) of the CDNs that faults of connecting and TLS cover."""
    found = []
    for rule in rules:
        if not isinstance(rule.fault, _BREAKS_TLS):
            continue
        for place in info.places:
            if place.provider == API:
                continue
            for domain in _domains(rule.where, info):
                here = Situation(domain=domain, edge=place.name, region=place.region)
                if rule.where.covers(here):
                    broken = Broken(
                        rule.name,
                        domain,
                        place.label,
                        place.provider,
                        place.region,
                        rule.probability,
                    )
                    found.append(broken)
    return tuple(found)


def _domains(where: Where, info: WorldInfo) -> tuple[str, ...]:
    return tuple(d for d in info.layout.domains if not where.domains or d in where.domains)
