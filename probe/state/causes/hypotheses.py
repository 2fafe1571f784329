"""The closed list of hypotheses.

A hypothesis says which attempts a fault reaches: part of the domains or all, part of the edges or
all, every client or one kind; and whether all of them fail or a share. How well it fits what was
seen, ``fits`` weighs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from probe.model.cause import OLD_CERTIFICATE, UNKNOWN_NAME, Cause, Change
from probe.model.failure import Phase
from probe.state.causes.setting import PLACES, Looks, Setting, Trial


class Domains(StrEnum):
    """Which domains a fault reaches."""

    PART = "part"
    ALL = "all"


class Edges(StrEnum):
    """Which edges a fault reaches."""

    PART = "part"
    FAMILY = "family"  # those of one IP version, at this provider
    PROVIDER = "provider"  # all of this provider
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Client:
    """Which clients a fault reaches.

    Attributes:
        cause: what to call it; None for every client.
        reaches: whether one that looks so is reached.
        prior: how likely it is before anything was seen, relative to the others.
    """

    cause: Cause | None
    reaches: Callable[[Looks], bool]
    prior: float


ANY = Client(None, lambda _: True, 0.36)
CLIENTS: tuple[Client, ...] = (
    ANY,
    Client(Cause.ONLY_ECDSA, lambda one: one.ecdsa, 0.04),
    Client(Cause.ONLY_ECDSA, lambda one: one.ecdsa and not one.rsa, 0.08),
    Client(Cause.ONLY_RSA, lambda one: one.rsa and not one.ecdsa, 0.08),
    Client(Cause.ONLY_TLS13, lambda one: one.tls13, 0.03),
    Client(Cause.ONLY_TLS13, lambda one: one.tls13 and not one.tls12, 0.03),
    Client(Cause.ONLY_TLS12, lambda one: one.tls12 and not one.tls13, 0.04),
    Client(Cause.LARGE_HELLO, lambda one: one.large, 0.04),
    Client(Cause.POST_QUANTUM, lambda one: one.post_quantum, 0.03),
    Client(Cause.WITH_ALPN, lambda one: one.h2, 0.03),
    Client(Cause.WITH_ALPN, lambda one: one.alpn, 0.02),
    Client(Cause.WITHOUT_ALPN, lambda one: not one.alpn, 0.04),
)
_DIMENSION: Mapping[Change, frozenset[Cause]] = {
    Change.ECDSA: frozenset({Cause.ONLY_RSA}),
    Change.RSA: frozenset({Cause.ONLY_ECDSA}),
    Change.OLDEST: frozenset({Cause.ONLY_ECDSA}),
    Change.TLS12: frozenset({Cause.ONLY_TLS13}),
    Change.TLS13: frozenset({Cause.ONLY_TLS12}),
    Change.CLASSIC: frozenset({Cause.LARGE_HELLO, Cause.POST_QUANTUM}),
    Change.NO_ALPN: frozenset({Cause.WITH_ALPN}),
    Change.H2: frozenset({Cause.WITHOUT_ALPN}),
}
"""What a change is made for: if it fails in another way, nobody may say that it works there."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One of the closed list.

    Attributes:
        solid: each attempt that it reaches fails; else a share of them does.
    """

    domains: Domains
    edges: Edges
    client: Client
    solid: bool


_DOMAINS = {Domains.PART: 0.5, Domains.ALL: 0.5}
_EDGES = {Edges.PART: 0.5, Edges.FAMILY: 0.1, Edges.PROVIDER: 0.25, Edges.ALL: 0.15}
_SOLID = 0.6


def hypotheses(setting: Setting) -> Iterator[tuple[Hypothesis, float]]:
    """Yield every hypothesis of a failure, with how likely it is beforehand.

    What fails before the hello was sent cannot depend on the name in it, nor on the client.
    """
    for domains, how_domains in _DOMAINS.items():
        if domains is Domains.PART and not setting.after_hello:
            continue
        for edges, how_edges in _EDGES.items():
            for client in CLIENTS:
                if not _thinkable(client, setting) or not client.reaches(setting.looks):
                    continue
                prior = how_domains * how_edges * client.prior
                yield Hypothesis(domains, edges, client, True), prior * _SOLID
                yield Hypothesis(domains, edges, client, False), prior * (1 - _SOLID)


_KEY_TYPES = frozenset({None, Cause.ONLY_ECDSA, Cause.ONLY_RSA})


def _thinkable(client: Client, setting: Setting) -> bool:
    """Whether a failure of this phase can depend on what the client is.

    A server picks its certificate by the name and by the key types that the client accepts.
    """
    if setting.failure.phase is Phase.CERTIFICATE or setting.failure.reason in UNKNOWN_NAME:
        return client.cause in _KEY_TYPES
    return client is ANY or setting.after_hello


def cause_of(hypothesis: Hypothesis, setting: Setting) -> Cause:
    """Name a hypothesis."""
    if hypothesis.client.cause is not None:
        return hypothesis.client.cause
    part, reason = hypothesis.domains is Domains.PART, setting.failure.reason
    match hypothesis.edges:
        case Edges.PART if not part:
            return Cause.EDGE
        case Edges.PART if reason in UNKNOWN_NAME:
            return Cause.CERTIFICATE_MISSING
        case Edges.PART if reason in OLD_CERTIFICATE:
            return Cause.CERTIFICATE_OLD
        case Edges.PART:
            return Cause.DOMAIN_ON_EDGE
        case Edges.FAMILY:
            return Cause.ONLY_IPV6 if setting.version == 6 else Cause.ONLY_IPV4
        case Edges.PROVIDER:
            return Cause.DOMAIN_ON_PROVIDER if part else Cause.PROVIDER
        case Edges.ALL:
            return Cause.DOMAIN if part else Cause.OUR_SIDE


def reach(one: Hypothesis, setting: Setting, trial: Trial) -> float | None:
    """Return 1 for an attempt that a fault reaches, 0 for one that it does not, None if open."""
    match trial.change:
        case Change.DOMAIN | Change.NO_SNI:
            return 1.0 if one.domains is Domains.ALL else None
        case Change.EDGE | Change.FAMILY:
            if one.edges is Edges.PART:
                return None
            inside = one.edges is not Edges.FAMILY or trial.change is Change.EDGE
            return 1.0 if inside else 0.0
        case Change.PROVIDER:
            return 1.0 if one.edges is Edges.ALL else None
        case _ if one.client is ANY:
            return 1.0
        case _:
            return 1.0 if one.client.reaches(setting.shown(trial)) else 0.0


def claimed(one: Hypothesis, trial: Trial) -> bool:
    """Whether it claims that an experiment works: failing otherwise speaks against it."""
    return one.client.cause in _DIMENSION.get(trial.change, frozenset())


def group(change: Change) -> Change:
    """Name the kind of neighbour: edges of both IP versions are one kind."""
    if change is Change.FAMILY:
        return Change.EDGE
    return Change.DOMAIN if change is Change.NO_SNI else change


def dimension(change: Change) -> str:
    """Name what a change is about: experiments of different kinds can be made at once."""
    return group(change).value if change in PLACES else "client"
