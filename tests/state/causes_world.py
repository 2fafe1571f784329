"""A small world in which one fault is known, for the planner of experiments: dice, no clock."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from probe.model.cause import Cause, Change, Observed
from probe.model.failure import Failure, Phase, Reason
from probe.state.causes import Planner, Setting, Settled, Trial
from probe.state.causes.setting import PLACES, Looks, Outcomes, changed_looks

RESET = Failure(Phase.TLS, Reason.RESET)


@dataclass(frozen=True)
class Truth:
    """What is broken.

    Attributes:
        domains: other domains that fail on the failing edge; likewise ``edges`` and ``providers``
            of the failing domain.
        client: whether a client that looks so fails.
        share: of attempts that fail.
    """

    cause: Cause
    setting: Setting
    domains: frozenset[str] = frozenset()
    edges: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    client: Callable[[Looks], bool] = lambda _: True
    share: float = 1.0

    def reaches(self, trial: Trial) -> bool:
        """Whether the fault reaches an experiment."""
        match trial.change:
            case Change.DOMAIN:
                return trial.member in self.domains
            case Change.EDGE | Change.FAMILY:
                return trial.member in self.edges
            case Change.PROVIDER:
                return trial.member in self.providers
            case change:
                shown = changed_looks(change, self.setting.looks) or self.setting.looks
                return self.client(shown)


def played(truth: Truth, dice: random.Random, regular: int = 2) -> tuple[Settled, Planner]:
    """Let an planner run to its end: what was seen beforehand, then the experiments it asks for.

    Args:
        truth: what is broken.
        dice: for shares.
        regular: attempts on each neighbour that had been made anyway.
    """
    planner = Planner(truth.setting)

    def attempt(trial: Trial) -> Observed:
        struck = truth.reaches(trial) and dice.random() < truth.share
        return Observed.SAME if struck else Observed.PASSED

    seen: dict[Trial, Outcomes] = {}
    for trial in truth.setting.trials():
        own = trial.change is Change.NOTHING
        tally = seen[trial] = Outcomes()
        if own and truth.share < 1.0:
            while tally.failed < 6:
                struck = dice.random() < truth.share
                tally.failed, tally.passed = tally.failed + struck, tally.passed + (not struck)
        elif own:
            tally.failed = 5
        elif trial.change in PLACES:
            failed = sum(attempt(trial) is Observed.SAME for _ in range(regular))
            tally.failed, tally.passed = failed, regular - failed
    planner.regular(seen)
    while (settled := planner.settled()) is None:
        for trial in planner.ask():
            planner.observe(trial, attempt(trial))
    return settled, planner


DOMAINS = ("b.example", "c.example", "d.example")
EDGES = (("192.0.2.2:443", 4), ("192.0.2.3:443", 4))
MIXED = (("192.0.2.2:443", 4), ("[2001:db8::1]:443", 6), ("[2001:db8::2]:443", 6))
PROVIDERS = (("cdn-b", "198.51.100.1:443"),)


def setting(
    failure: Failure = RESET,
    looks: Looks = Looks(),  # noqa: B008 - immutable
    edges: tuple[tuple[str, int], ...] = EDGES,
    domains: tuple[str, ...] = DOMAINS,
    providers: tuple[tuple[str, str], ...] = PROVIDERS,
) -> Setting:
    """Ask about an edge with neighbours of every kind."""
    return Setting(failure, "192.0.2.1:443", 4, looks, domains, edges, providers)


def truths(share: float = 1.0) -> list[Truth]:
    """One of each cause."""
    everything = frozenset(DOMAINS)
    labels = frozenset(label for label, _ in EDGES)
    others = frozenset({"cdn-b"})
    name = setting(Failure(Phase.CERTIFICATE, Reason.NAME_MISMATCH))
    old = setting(Failure(Phase.CERTIFICATE, Reason.EXPIRED))
    ask, mixed = setting(), setting(edges=MIXED)
    no_alpn = setting(looks=Looks(alpn=False, h2=False))
    only12 = setting(looks=Looks(tls13=False, post_quantum=False, large=False))
    only_rsa = setting(looks=only12.looks._replace(ecdsa=False))
    only_ecdsa = setting(looks=only12.looks._replace(rsa=False))
    refused = setting(Failure(Phase.CONNECT, Reason.REFUSED))
    found = [
        Truth(Cause.CERTIFICATE_MISSING, name),
        Truth(Cause.CERTIFICATE_MISSING, name, edges=frozenset({EDGES[0][0]})),
        Truth(Cause.CERTIFICATE_OLD, old, domains=frozenset({DOMAINS[0]})),
        Truth(Cause.DOMAIN_ON_EDGE, ask),
        Truth(Cause.EDGE, ask, domains=everything),
        Truth(Cause.EDGE, refused, domains=everything),
        Truth(Cause.EDGE, ask, domains=everything, edges=frozenset({EDGES[1][0]})),
        Truth(Cause.DOMAIN_ON_PROVIDER, name, edges=labels),
        Truth(Cause.PROVIDER, ask, domains=everything, edges=labels),
        Truth(Cause.PROVIDER, refused, domains=everything, edges=labels),
        Truth(Cause.DOMAIN, old, edges=labels, providers=others),
        Truth(Cause.OUR_SIDE, ask, everything, labels, others),
        Truth(Cause.ONLY_IPV4, mixed, everything, frozenset({MIXED[0][0]})),
        Truth(Cause.ONLY_ECDSA, old, client=lambda one: one.ecdsa),
        Truth(Cause.ONLY_ECDSA, only_ecdsa, client=lambda one: not one.rsa, edges=labels),
        Truth(Cause.ONLY_RSA, only_rsa, client=lambda one: not one.ecdsa),
        Truth(Cause.ONLY_TLS13, ask, everything, labels, others, lambda one: one.tls13),
        Truth(Cause.ONLY_TLS12, only12, client=lambda one: not one.tls13),
        Truth(Cause.LARGE_HELLO, ask, client=lambda one: one.large, domains=everything),
        Truth(Cause.POST_QUANTUM, ask, client=lambda one: one.post_quantum),
        Truth(Cause.WITH_ALPN, ask, client=lambda one: one.h2, edges=labels),
        Truth(Cause.WITHOUT_ALPN, no_alpn, client=lambda one: not one.alpn),
    ]
    return [
        Truth(one.cause, one.setting, one.domains, one.edges, one.providers, one.client, share)
        for one in found
    ]
