"""The closed list of hypotheses, and how well each fits what was seen.

A hypothesis says which attempts a fault reaches: part of the domains or all, part of the edges or
all, every client or one kind. Each attempt that a hypothesis does not reach must pass; each that
it reaches must fail, or fail with one share that is the same everywhere. So a hypothesis that an
observation contradicts has the likelihood zero, and no evidence brings it back.

Which members belong to a part is not known beforehand. Of ``m`` neighbours that were looked at,
``f`` of which fail, the likelihood is that of a share drawn from Beta(1, 3): parts are small more
often than large. A share of failing attempts is drawn from Beta(1, 1) in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import exp, lgamma, log

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


ANY = Client(None, lambda _: True, 0.72)
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


@dataclass(slots=True)
class Outcomes:
    """What came out of one experiment so far."""

    failed: int = 0
    passed: int = 0
    other: int = 0
    unclear: int = 0

    def __add__(self, more: Outcomes) -> Outcomes:
        """Count both."""
        return Outcomes(
            self.failed + more.failed,
            self.passed + more.passed,
            self.other + more.other,
            self.unclear + more.unclear,
        )


_Evidence = Mapping[Trial, Outcomes]

_DOMAINS = {Domains.PART: 0.5, Domains.ALL: 0.5}
_EDGES = {Edges.PART: 0.5, Edges.FAMILY: 0.1, Edges.PROVIDER: 0.25, Edges.ALL: 0.15}
_SOLID = 0.6
_NEGLIGIBLE = 12.0  # natural logarithm below the best: one in 160,000
_FEW = 3.0  # the second parameter of the Beta distribution of parts


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


class Fit:
    """How a hypothesis fits the evidence.

    Attributes:
        cause: what it is called.
        failed: attempts that it reaches and that failed; likewise ``passed``.
        likelihood: of everything seen, natural logarithm; None when something contradicts it.
    """

    def __init__(self, hypothesis: Hypothesis, setting: Setting, evidence: _Evidence) -> None:
        self.hypothesis = hypothesis
        self._question = setting
        self._evidence = evidence
        self._unknown = Outcomes()
        self.cause = cause_of(hypothesis, setting)
        self.failed = self.passed = 0
        self._members: dict[Change, tuple[int, int]] = {}
        self.likelihood = self._likelihood()

    def chance(self, trial: Trial) -> float:
        """Return the probability that an experiment fails in the same way, if this explains it."""
        reached = self._reaches(trial)
        known = self._evidence.get(trial, self._unknown)
        if reached is None:
            if known.failed:
                reached = 1.0
            elif known.passed:
                reached = 0.0 if self.hypothesis.solid else 0.05
            else:
                failing, working = self._members.get(_group(trial.change), (0, 0))
                reached = (1 + failing) / (1 + _FEW + failing + working)
        share = 1.0 if self.hypothesis.solid else (self.failed + 1) / (self.tried + 2)
        return reached * share

    @property
    def tried(self) -> int:
        """Attempts that it reaches."""
        return self.failed + self.passed

    def _reaches(self, trial: Trial) -> float | None:
        """Return 1 for an attempt that is reached, 0 for one that is not, None if that is open."""
        one, asked = self.hypothesis, self._question
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
                return 1.0 if one.client.reaches(asked.shown(trial)) else 0.0

    def _likelihood(self) -> float | None:
        open_: dict[Change, list[bool]] = {}
        for trial, tally in self._evidence.items():
            reached = self._reaches(trial)
            if reached is None:
                if tally.failed or tally.passed:
                    open_.setdefault(_group(trial.change), []).append(tally.failed > 0)
                if not tally.failed:
                    continue
            elif reached == 0.0:
                if tally.failed or self._unproven(trial, tally):
                    return None
                continue
            self.failed += tally.failed
            self.passed += tally.passed
        if self.hypothesis.solid and self.passed:
            return None
        if self._impossible(open_):
            return None
        total = 0.0 if self.hypothesis.solid else _beta(self.failed, self.passed)
        for group, failing in open_.items():
            known = (sum(failing), len(failing) - sum(failing))
            self._members[group] = known
            total += _beta(*known, few=_FEW)
        return total

    def _unproven(self, trial: Trial, tally: Outcomes) -> bool:
        """Whether it claims that something works which failed in another way."""
        claimed = _DIMENSION.get(trial.change, frozenset())
        return self.hypothesis.client.cause in claimed and tally.other > 0 and not tally.passed

    def _impossible(self, open_: Mapping[Change, list[bool]]) -> bool:
        """Whether a part turned out to be the whole, or exactly the edges of one IP version."""
        one, asked = self.hypothesis, self._question
        domains = open_.get(Change.DOMAIN, [])
        if one.domains is Domains.PART and domains and sum(domains) == len(asked.domains):
            return True
        others = sum(open_.get(Change.EDGE, []))
        if one.edges is Edges.PART and (others == len(asked.edges) or self._one_family()):
            return True
        if one.edges is Edges.FAMILY and not _families(asked):
            return True
        elsewhere = open_.get(Change.PROVIDER, [])
        every = sum(elsewhere) == len(asked.providers)
        if one.edges is Edges.PROVIDER and every:
            return bool(elsewhere) or one.domains is Domains.PART
        return False

    def _one_family(self) -> bool:
        asked, seen = self._question, self._evidence
        if not _families(asked):
            return False
        for edge, version in asked.edges:
            same = version == asked.version
            tally = seen.get(Trial(Change.EDGE if same else Change.FAMILY, edge, edge), Outcomes())
            if not (tally.failed if same else tally.passed and not tally.failed):
                return False
        return True


def _families(asked: Setting) -> bool:
    """Whether a fault of one IP version could be told from one of a single edge."""
    same = sum(version == asked.version for _, version in asked.edges)
    return 0 < same < len(asked.edges)


def _group(change: Change) -> Change:
    """Name the kind of neighbour: edges of both IP versions are one kind."""
    if change is Change.FAMILY:
        return Change.EDGE
    return Change.DOMAIN if change is Change.NO_SNI else change


def _beta(failed: int, passed: int, few: float = 1.0) -> float:
    """Return log B(1 + failed, few + passed) / B(1, few)."""

    def both(a: float, b: float) -> float:
        return lgamma(a) + lgamma(b) - lgamma(a + b)

    return both(1 + failed, few + passed) - both(1, few)


def posterior(setting: Setting, evidence: _Evidence) -> list[tuple[Fit, float]]:
    """Weigh every hypothesis that nothing contradicts; the weights add up to 1.

    Empty when everything is contradicted: two faults, or one that changes.
    """
    found: list[tuple[Fit, float]] = []
    for hypothesis, prior in hypotheses(setting):
        fit = Fit(hypothesis, setting, evidence)
        if fit.likelihood is not None:
            found.append((fit, log(prior) + fit.likelihood))
    if not found:
        return []
    best = max(weight for _, weight in found)
    found = [(fit, weight) for fit, weight in found if weight > best - _NEGLIGIBLE]
    weights = [exp(weight - best) for _, weight in found]
    total = sum(weights)
    return [(fit, weight / total) for (fit, _), weight in zip(found, weights, strict=True)]


def dimension(change: Change) -> str:
    """Name what a change is about: experiments of different kinds can be made at once."""
    return _group(change).value if change in PLACES else "client"
