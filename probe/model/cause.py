"""What a confirmed failure depends on, and the experiments that settled it.

An *experiment* is one handshake that changes one thing of a failing attempt: the domain, the edge,
or how the client looks. A failure has one *cause* out of a closed list, or it stays undetermined.

How the shapes fit together::

    Investigation      one that ended: a cause, and what it rests on
      .cause           a member of ``Cause``: becomes a label, so the list is closed
      .subject         the edge whose failure was investigated
      .failure         what failed there; investigations are told apart by its phase and reason
      .share           None while every attempt fails; else the share that does, 0 to 1
      .domains .edges  the failing ones, by label, as known when it ended; ``keys`` pairs them
      .left            what could not be told apart, only when undetermined
      .experiments     in order; those with ``regular`` cost nothing, as they had been made anyway
      .spent           handshakes that were made for it
      .sentence        all of that in a sentence for a person

An investigation is true as of ``ended``. Whoever shows one asks the store, which knows what of it
still fails (``Store.causes``): an edge that recovered has no cause any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from probe.model.failure import Failure, Reason, failure_fields
from probe.model.target import EdgeKey


class Cause(StrEnum):
    """What a failure depends on. Closed: what fits nothing is ``UNDETERMINED``."""

    # -- one place
    CERTIFICATE_MISSING = "certificate_missing"  # an edge has no certificate for a domain
    CERTIFICATE_OLD = "certificate_old"  # an edge serves one that others have replaced
    DOMAIN_ON_EDGE = "domain_on_edge"  # any other fault of one domain on some edges
    EDGE = "edge"  # an edge fails for every domain
    # -- everywhere at a provider, for a domain, or from here
    DOMAIN_ON_PROVIDER = "domain_on_provider"  # every edge of the provider, for some domains
    PROVIDER = "provider"  # every edge of the provider, for every domain
    DOMAIN = "domain"  # some domains, at every provider
    OUR_SIDE = "our_side"  # nothing passes, wherever it goes
    # -- one way to the server
    ONLY_IPV4 = "only_ipv4"
    ONLY_IPV6 = "only_ipv6"
    # -- one kind of client
    ONLY_ECDSA = "only_ecdsa"
    ONLY_RSA = "only_rsa"
    ONLY_TLS12 = "only_tls12"
    ONLY_TLS13 = "only_tls13"
    LARGE_HELLO = "large_hello"
    POST_QUANTUM = "post_quantum"
    WITH_ALPN = "with_alpn"
    WITHOUT_ALPN = "without_alpn"

    UNDETERMINED = "undetermined"


CLIENT_CAUSES = frozenset(
    {
        Cause.ONLY_ECDSA,
        Cause.ONLY_RSA,
        Cause.ONLY_TLS12,
        Cause.ONLY_TLS13,
        Cause.LARGE_HELLO,
        Cause.POST_QUANTUM,
        Cause.WITH_ALPN,
        Cause.WITHOUT_ALPN,
    }
)
"""Causes that lie in how the client looks to the server."""

SENTENCES: Mapping[Cause, str] = MappingProxyType(
    {
        Cause.CERTIFICATE_MISSING: "{edges} of {provider} {has} no valid certificate for "
        "{domains}: other domains work there, and {they} on other edges",
        Cause.CERTIFICATE_OLD: "{edges} of {provider} {serves} an old certificate for {domains}: "
        "other domains work there, and other edges serve a valid one",
        Cause.DOMAIN_ON_EDGE: "{domains} {fail} on {edges} of {provider} only: other domains work "
        "there, and {they} on other edges",
        Cause.EDGE: "{edges} of {provider} {fails} for every domain; other edges work",
        Cause.DOMAIN_ON_PROVIDER: "every edge of {provider} fails for {domains}: other domains "
        "work there, and {they} at other providers",
        Cause.PROVIDER: "{provider} fails from this region: every edge, for every domain",
        Cause.DOMAIN: "{domains} {fail} at every provider; other domains work",
        Cause.OUR_SIDE: "nothing works from here, for any domain or provider: check "
        "this agent's own network first",
        Cause.ONLY_IPV4: "{provider} fails over IPv4 only; its IPv6 edges work",
        Cause.ONLY_IPV6: "{provider} fails over IPv6 only; its IPv4 edges work",
        Cause.ONLY_ECDSA: "only clients that accept ECDSA certificates fail; RSA works",
        Cause.ONLY_RSA: "only clients that accept only RSA certificates fail; ECDSA works",
        Cause.ONLY_TLS12: "only TLS 1.2 fails; TLS 1.3 works",
        Cause.ONLY_TLS13: "only TLS 1.3 fails; TLS 1.2 works",
        Cause.LARGE_HELLO: "only clients with a large ClientHello fail; small ones work",
        Cause.POST_QUANTUM: "only clients that offer post-quantum key exchange fail",
        Cause.WITH_ALPN: "only clients that offer h2 (ALPN) fail",
        Cause.WITHOUT_ALPN: "only clients without ALPN fail; those that offer h2 work",
        Cause.UNDETERMINED: "the cause could not be determined",
    }
)
"""What each cause means. ``{domains}``, ``{edges}`` and ``{provider}`` are filled in; ``{has}``,
``{serves}`` and ``{fails}`` follow the edges in number, ``{fail}`` and ``{they}`` the domains."""


class Change(StrEnum):
    """What an experiment changed of the failing attempt."""

    NOTHING = "nothing"  # the same again
    DOMAIN = "domain"  # another domain on the same edge
    EDGE = "edge"  # the same domain on another edge of the provider
    FAMILY = "family"  # likewise, over the other IP version
    PROVIDER = "provider"  # the same domain through another provider
    CLIENT = "client"  # another client profile of the check
    TLS12 = "tls12"  # TLS 1.2 alone
    TLS13 = "tls13"  # TLS 1.3 alone
    PLAIN = "plain"  # TLS 1.2 alone and no ALPN: nothing that is newer
    OLDEST = "oldest"  # likewise, and RSA certificates alone
    ECDSA = "ecdsa"  # ECDSA certificates alone
    RSA = "rsa"  # RSA certificates alone
    CLASSIC = "classic"  # without post-quantum key exchange, so that the hello is small
    LARGE = "large"  # without it too, padded to the size that it would have
    NO_ALPN = "no_alpn"
    HTTP11 = "http11"  # ALPN offers HTTP/1.1 alone
    H2 = "h2"  # ALPN offers h2, which the failing attempt does not
    NO_SNI = "no_sni"


CHANGES: Mapping[Change, str] = MappingProxyType(
    {
        Change.NOTHING: "the same again",
        Change.DOMAIN: "another domain on the same edge",
        Change.EDGE: "another edge of the provider",
        Change.FAMILY: "an edge of the other IP version",
        Change.PROVIDER: "another provider",
        Change.CLIENT: "another client profile",
        Change.TLS12: "TLS 1.2 alone",
        Change.TLS13: "TLS 1.3 alone",
        Change.PLAIN: "TLS 1.2 alone, without ALPN",
        Change.OLDEST: "TLS 1.2 alone, without ALPN, RSA certificates alone",
        Change.ECDSA: "ECDSA certificates alone",
        Change.RSA: "RSA certificates alone",
        Change.CLASSIC: "without post-quantum key exchange (small hello)",
        Change.LARGE: "a large hello without post-quantum key exchange",
        Change.NO_ALPN: "without ALPN",
        Change.HTTP11: "ALPN with HTTP/1.1 alone",
        Change.H2: "ALPN with h2",
        Change.NO_SNI: "without a server name",
    }
)
"""The same for people."""


class Observed(StrEnum):
    """What came out of an experiment."""

    PASSED = "passed"
    SAME = "same"  # it failed in the same way
    OTHER = "other"  # it failed in another way: a fault of its own, which tells nothing
    UNCLEAR = "unclear"  # inconclusive: the agent's own fault


OUTCOMES: Mapping[Observed, str] = MappingProxyType(
    {
        Observed.PASSED: "passed",
        Observed.SAME: "failed in the same way",
        Observed.OTHER: "failed otherwise",
        Observed.UNCLEAR: "inconclusive",
    }
)


@dataclass(frozen=True, slots=True)
class Experiment:
    """One handshake, or several regular ones alike, and what came out.

    Attributes:
        target: domain that was asked for.
        client: client profile, by its name.
        edge: label of the address.
        seen: what it tells.
        detail: the failure as ``phase/reason``; empty when it passed.
        regular: it was a regular attempt of the agent, and cost nothing.
        times: how many attempts alike this stands for.
        seconds: how long it took; 0 for regular ones.
    """

    change: Change
    target: str
    provider: str
    edge: str
    client: str
    seen: Observed
    detail: str = ""
    regular: bool = False
    times: int = 1
    seconds: float = 0.0

    @property
    def line(self) -> str:
        """Say it in a line: what was changed, where, and what came out."""
        times = f" {self.times} times" if self.times > 1 else ""
        regular = " by regular attempts" if self.regular else ""
        detail = f" ({self.detail})" if self.detail else ""
        where = f"{self.target} at {self.edge} as {self.client}"
        return f"{CHANGES[self.change]}: {where}: {OUTCOMES[self.seen]}{times}{regular}{detail}"

    def fields(self) -> dict[str, Any]:
        """Write it as texts and numbers, for the API and the log."""
        return {
            "change": self.change.value,
            "target": self.target,
            "provider": self.provider,
            "edge": self.edge,
            "client": self.client,
            "seen": self.seen.value,
            "detail": self.detail,
            "regular": self.regular,
            "times": self.times,
        }


@dataclass(frozen=True, slots=True)
class Investigation:
    """An investigation that ended.

    Attributes:
        subject: the edge whose failure was investigated.
        failure: its failure.
        share: share of attempts that fail, 0 to 1; None when all do.
        domains: labels of the failing targets; likewise ``edges``.
        keys: the edges that this explains, in the agent's terms; more may join while it holds.
        left: causes that could not be told apart; empty unless undetermined.
        began: wall time, seconds since the epoch; likewise ``ended``.
        spent: handshakes made for it.
    """

    cause: Cause
    subject: EdgeKey
    failure: Failure
    began: float
    ended: float
    experiments: tuple[Experiment, ...] = ()
    share: float | None = None
    domains: tuple[str, ...] = ()
    edges: tuple[str, ...] = ()
    keys: frozenset[EdgeKey] = field(default=frozenset(), compare=False)
    left: tuple[Cause, ...] = ()
    spent: int = 0

    @property
    def provider(self) -> str:
        """The provider at which it fails."""
        return self.subject.provider

    @property
    def sentence(self) -> str:
        """Say the cause in a sentence, without a full stop."""
        text = SENTENCES[self.cause].format(
            domains=_few(self.domains, self.subject.target),
            edges=_few(self.edges, self.subject.edge),
            provider=self.subject.provider,
            **_numbers(edges=len(self.edges) > 1, domains=len(self.domains) > 1),
        )
        if self.cause is Cause.UNDETERMINED and self.left:
            text += f" (left: {', '.join(self.left)})"
        if self.cause in CLIENT_CAUSES:
            text += f" ({self.subject.target} on {_few(self.edges, self.subject.edge)})"
        if self.share is not None:
            text += f". It fails in {self.share:.0%} of attempts"
            if self.cause not in (Cause.UNDETERMINED, Cause.OUR_SIDE):
                text += ", as when some of several backends behind an address are broken"
        return text

    def fields(self) -> dict[str, Any]:
        """Write it as texts, numbers and times, for the API and the log."""
        return {
            **self.subject._asdict(),
            **failure_fields(self.failure),
            "cause": self.cause.value,
            "because": self.sentence,
            "share": self.share,
            "domains": list(self.domains),
            "edges": list(self.edges),
            "left": [cause.value for cause in self.left],
            "began": self.began,
            "ended": self.ended,
            "spent": self.spent,
            "experiments": [one.fields() for one in self.experiments],
        }


UNKNOWN_NAME = frozenset(
    {
        Reason.NAME_MISMATCH,
        Reason.DEFAULT_CERTIFICATE,
        Reason.ALERT_UNRECOGNIZED_NAME,
    }
)
"""An edge that does not know a domain says so in one of these ways."""

OLD_CERTIFICATE = frozenset(
    {
        Reason.EXPIRED,
        Reason.OLDER_THAN_EXPECTED,
        Reason.UNEXPECTED_FINGERPRINT,
        Reason.OCSP_REVOKED,
    }
)
"""A certificate that was good once, or was to be replaced."""

_SHOWN = 3


def _numbers(*, edges: bool, domains: bool) -> dict[str, str]:
    """Choose the words that depend on whether there are several edges, or domains."""
    return {
        "has": "have" if edges else "has",
        "serves": "serve" if edges else "serves",
        "fails": "fail" if edges else "fails",
        "fail": "fail" if domains else "fails",
        "they": "these domains work" if domains else "this domain works",
    }


def meaning(cause: Cause) -> str:
    """Say in a sentence, without a full stop, what a cause means wherever it is found."""
    some = {"domains": "the domain", "edges": "the edge", "provider": "the provider"}
    return SENTENCES[cause].format(**some, **_numbers(edges=False, domains=False))


def _few(names: tuple[str, ...], alone: str) -> str:
    """Write some names, and how many more there are."""
    shown = names or (alone,)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
