"""What is asked: a failure, what stands around it, and the experiments that are possible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from probe.model.cause import Change, Observed
from probe.model.failure import Failure, Phase, Reason
from probe.model.tls import ClientProfile


class Looks(NamedTuple):
    """What of a ClientHello a fault may depend on.

    Attributes:
        tls12: offered; likewise ``tls13``.
        ecdsa: certificates of this kind are accepted; likewise ``rsa``.
        post_quantum: a hybrid group is offered.
        large: it needs more than one packet, as with the share of such a group.
        alpn: some protocol is offered; ``h2`` is among them.
    """

    tls12: bool = True
    tls13: bool = True
    ecdsa: bool = True
    rsa: bool = True
    post_quantum: bool = True
    large: bool = True
    alpn: bool = True
    h2: bool = True


def looks(profile: ClientProfile) -> Looks:
    """Tell what a client profile looks like to a server."""
    tls13 = profile.kind in ("default", "tls13") and profile.max_version != "TLSv1.2"
    tls12 = profile.kind != "tls13" and profile.min_version != "TLSv1.3"
    hybrid = not profile.groups or any("MLKEM" in group for group in profile.groups)
    signatures = profile.signatures
    return Looks(
        tls12=tls12,
        tls13=tls13,
        ecdsa=profile.kind != "tls12-rsa"
        and (not signatures or any(one.startswith("ecdsa") for one in signatures)),
        rsa=profile.kind != "tls12-ecdsa"
        and (not signatures or any(one.startswith("rsa") for one in signatures)),
        post_quantum=tls13 and hybrid,
        large=tls13 and hybrid,
        alpn=bool(profile.alpn),
        h2="h2" in profile.alpn,
    )


def changed_looks(change: Change, base: Looks) -> Looks | None:
    """Return what a client looks like after a change; None where there is nothing to change."""
    match change:
        case Change.TLS12 | Change.TLS13 | Change.PLAIN | Change.OLDEST:
            return _changed_version(change, base)
        case Change.ECDSA if base.rsa:
            return base._replace(rsa=False, ecdsa=True)
        case Change.RSA if base.ecdsa:
            return base._replace(ecdsa=False, rsa=True)
        case Change.CLASSIC if base.post_quantum:
            return base._replace(post_quantum=False, large=False)
        case Change.LARGE if base.post_quantum and base.alpn:
            return base._replace(post_quantum=False)
        case Change.NO_ALPN if base.alpn:
            return base._replace(alpn=False, h2=False)
        case Change.HTTP11 if base.h2:
            return base._replace(h2=False)
        case Change.H2 if not base.alpn:
            return base._replace(alpn=True, h2=True)
    return None


def _changed_version(change: Change, base: Looks) -> Looks | None:
    both = base.tls12 and base.tls13
    match change:
        case Change.TLS12 if both:
            return _without_tls13(base)
        case Change.TLS12 if not base.tls12:
            return _without_tls13(base)._replace(tls12=True)
        case Change.TLS13 if both:
            return base._replace(tls12=False)
        case Change.TLS13 if not base.tls13:
            return base._replace(tls12=False, tls13=True, ecdsa=True, rsa=True)
        case Change.PLAIN if both and base.alpn:
            return _without_tls13(base)._replace(alpn=False, h2=False)
        case Change.OLDEST if both and base.ecdsa:
            return _without_tls13(base)._replace(alpn=False, h2=False, ecdsa=False, rsa=True)
    return None


def _without_tls13(base: Looks) -> Looks:
    return base._replace(tls13=False, post_quantum=False, large=False)


class Trial(NamedTuple):
    """An experiment that can be made.

    Attributes:
        member: the domain, edge, provider or client profile that takes the place of the failing
            one; empty where the failing profile itself is changed.
        edge: label of the address to connect to.
    """

    change: Change
    member: str
    edge: str


@dataclass(slots=True)
class Outcomes:
    """What came out of one experiment so far, however often it was made."""

    failed: int = 0
    passed: int = 0
    other: int = 0
    unclear: int = 0

    def count(self, observed: Observed) -> None:
        """Count one more."""
        match observed:
            case Observed.PASSED:
                self.passed += 1
            case Observed.SAME:
                self.failed += 1
            case Observed.OTHER:
                self.other += 1
            case Observed.UNCLEAR:
                self.unclear += 1

    def __add__(self, more: Outcomes) -> Outcomes:
        """Count both."""
        return Outcomes(
            self.failed + more.failed,
            self.passed + more.passed,
            self.other + more.other,
            self.unclear + more.unclear,
        )


PLACES = frozenset({Change.DOMAIN, Change.EDGE, Change.FAMILY, Change.PROVIDER, Change.NO_SNI})
"""Changes of where and of whom is asked. All others change the client."""

_BY_CHANCE = frozenset({Reason.TIMEOUT, Reason.RESET, Reason.CLOSED})
_AFTER_HELLO = frozenset({Phase.TLS, Phase.CERTIFICATE})


@dataclass(frozen=True, slots=True)
class Setting:
    """A failure and its neighbours.

    Attributes:
        edge: label of the failing edge; ``version`` its IP version.
        looks: of the failing attempts.
        domains: other domains that are looked at on this edge.
        edges: other edges of the provider that serve the domain, with their IP versions.
        providers: other providers of the domain, each with the label of an edge.
        clients: other client profiles of the check, by name.
    """

    failure: Failure
    edge: str
    version: int
    looks: Looks
    domains: tuple[str, ...] = ()
    edges: tuple[tuple[str, int], ...] = ()
    providers: tuple[tuple[str, str], ...] = ()
    clients: tuple[tuple[str, Looks], ...] = ()

    def shown(self, trial: Trial) -> Looks:
        """Tell what the client of an experiment looks like."""
        if trial.change is Change.CLIENT:
            return dict(self.clients)[trial.member]
        return changed_looks(trial.change, self.looks) or self.looks

    @property
    def after_hello(self) -> bool:
        """The server had heard name and client before it failed."""
        return self.failure.phase in _AFTER_HELLO

    @property
    def by_chance(self) -> bool:
        """Loss and load make attempts fail in this way as well, now and then."""
        return self.failure.reason in _BY_CHANCE

    @property
    def _oldest_tells(self) -> bool:
        """Whether it tells more than RSA alone, and cannot fail alike for lack of RSA."""
        failure = self.failure
        return failure.phase is Phase.TLS and failure.reason is not Reason.ALERT_HANDSHAKE_FAILURE

    def trials(self) -> Iterator[Trial]:
        """Yield every experiment that is possible, the same again first."""
        yield Trial(Change.NOTHING, "", self.edge)
        for domain in self.domains:
            yield Trial(Change.DOMAIN, domain, self.edge)
        for edge, version in self.edges:
            same = version == self.version
            yield Trial(Change.EDGE if same else Change.FAMILY, edge, edge)
        for provider, edge in self.providers:
            yield Trial(Change.PROVIDER, provider, edge)
        if not self.after_hello:
            return
        for client, _ in self.clients:
            yield Trial(Change.CLIENT, client, self.edge)
        for change in Change:
            if change is Change.OLDEST and not self._oldest_tells:
                continue
            if change not in PLACES and changed_looks(change, self.looks) is not None:
                yield Trial(change, "", self.edge)
        if not self.domains and self.failure.phase is Phase.TLS:
            yield Trial(Change.NO_SNI, "", self.edge)


_CLASSIC = ("X25519", "P-256", "P-384")


def narrowed(profile: ClientProfile, change: Change) -> ClientProfile:
    """Make the client profile of an experiment: the failing one, with one thing changed."""
    match change:
        case Change.TLS12 | Change.TLS13 | Change.PLAIN | Change.OLDEST:
            return _of_version(profile, change)
        case Change.ECDSA:
            return _one_kind(profile, ECDSA_SIGNATURES, "tls12-ecdsa")
        case Change.RSA:
            return _one_kind(profile, RSA_SIGNATURES, "tls12-rsa")
        case Change.CLASSIC:
            return replace(profile, groups=_CLASSIC)
        case Change.LARGE:
            return replace(profile, groups=_CLASSIC, alpn=profile.alpn + PADDING)
        case Change.NO_ALPN:
            return replace(profile, alpn=())
        case Change.HTTP11:
            return replace(profile, alpn=("http/1.1",))
        case Change.H2:
            return replace(profile, alpn=("h2", "http/1.1"))
        case _:
            return profile


def _of_version(profile: ClientProfile, change: Change) -> ClientProfile:
    if change is Change.TLS13:
        modern = replace(profile, min_version="TLSv1.3", max_version=None)
        if looks(profile).tls13:
            return modern
        if profile.kind in ("tls12-ecdsa", "tls12-rsa"):
            modern = replace(modern, kind="tls13", ciphers=None)
        return replace(modern, groups=profile.groups or _CLASSIC)
    older = replace(profile, max_version="TLSv1.2", min_version=None)
    if profile.kind == "tls13":
        older = replace(older, kind="default")
    if change is Change.TLS12:
        return older
    older = replace(older, alpn=())
    return older if change is Change.PLAIN else _one_kind(older, RSA_SIGNATURES, "tls12-rsa")


ECDSA_SIGNATURES = ("ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384")
RSA_SIGNATURES = (
    "rsa_pss_rsae_sha256",
    "rsa_pkcs1_sha256",
    "rsa_pss_rsae_sha384",
    "rsa_pkcs1_sha384",
    "rsa_pss_rsae_sha512",
    "rsa_pkcs1_sha512",
)
PADDING = tuple(f"padding-{number}-{'x' * 180}" for number in range(7))
"""Protocols that no server knows: they make a hello as large as a post-quantum key share does."""


def _one_kind(profile: ClientProfile, signatures: tuple[str, ...], twelve: str) -> ClientProfile:
    if profile.kind in ("tls12-ecdsa", "tls12-rsa"):
        return replace(profile, kind=twelve, ciphers=None)  # type: ignore[arg-type]
    return replace(profile, signatures=signatures, ciphers=None)


LIKE_EACH_OTHER: tuple[frozenset[Reason], ...] = (
    frozenset({Reason.NAME_MISMATCH, Reason.DEFAULT_CERTIFICATE, Reason.ALERT_UNRECOGNIZED_NAME}),
    frozenset({Reason.RESET, Reason.CLOSED}),
)
"""Reasons that stand for one fault: which of them shows depends on chance or on the name."""


def alike(first: Failure, second: Failure) -> bool:
    """Whether two failures may have one cause."""
    if first.reason is second.reason:
        return first.phase is second.phase
    return any({first.reason, second.reason} <= group for group in LIKE_EACH_OTHER)
