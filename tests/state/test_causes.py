"""The planner of experiments: it ends, keeps its budget, names nothing that was contradicted."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.model.cause import CLIENT_CAUSES, Cause, Change, Observed
from probe.model.failure import Failure, Phase, Reason
from probe.model.tls import ClientProfile
from probe.state.causes import BUDGET, Planner, Setting, Settled, Trial
from probe.state.causes.setting import (
    PLACES,
    Looks,
    Outcomes,
    alike,
    changed_looks,
    looks,
    narrowed,
)
from tests.state.causes_world import DOMAINS, EDGES, RESET, Truth, played, setting, truths

NAMED = {one.cause.value + str(number): one for number, one in enumerate(truths())}


@pytest.mark.parametrize("truth", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("regular", [0, 2])
def test_each_cause_is_named_when_every_attempt_fails(truth: Truth, regular: int) -> None:
    settled, planner = played(truth, random.Random(1), regular)
    assert settled.cause is truth.cause
    assert settled.share is None
    assert planner.spent <= 12


@pytest.mark.parametrize("share", [0.6, 0.3])
def test_a_fault_of_some_backends_is_told_with_its_share_or_not_at_all(share: float) -> None:
    """What other causes could explain as well stays undetermined: no wrong answer."""
    named = 0
    some = truths(share)[::2]
    for number, truth in enumerate(some):
        settled, planner = played(truth, random.Random(number), regular=12)
        assert settled.cause in (truth.cause, Cause.UNDETERMINED)
        assert planner.spent <= BUDGET
        if settled.cause is truth.cause:
            named += 1
            assert settled.share == pytest.approx(share, abs=0.3)
    assert named >= len(some) / 2


def test_nothing_to_compare_with_is_undetermined() -> None:
    alone = setting(domains=(), edges=(), providers=())
    truth = Truth(Cause.EDGE, alone)
    settled, _ = played(truth, random.Random(1))
    assert settled.cause is Cause.UNDETERMINED
    assert {Cause.PROVIDER, Cause.OUR_SIDE} <= set(settled.left)


def test_what_failed_before_the_hello_asks_nothing_of_the_client() -> None:
    refused = setting(Failure(Phase.CONNECT, Reason.REFUSED))
    changes = {trial.change for trial in refused.trials()}
    assert changes == {Change.NOTHING, Change.DOMAIN, Change.EDGE, Change.PROVIDER}


def test_another_failure_elsewhere_is_no_evidence() -> None:
    """Two faults: the other domain on the edge has one of its own."""
    asked = setting(Failure(Phase.CERTIFICATE, Reason.NAME_MISMATCH))
    planner = Planner(asked)
    planner.regular({Trial(Change.NOTHING, "", asked.edge): Outcomes(failed=5)})
    for domain in DOMAINS[:2]:
        planner.observe(Trial(Change.DOMAIN, domain, asked.edge), Observed.OTHER)
    before = planner.causes()
    assert before[Cause.CERTIFICATE_MISSING] > 0
    planner.observe(Trial(Change.DOMAIN, DOMAINS[2], asked.edge), Observed.PASSED)
    assert Cause.EDGE not in {c for c, weight in planner.causes().items() if weight > 0.1}


def test_what_fails_otherwise_is_not_said_to_work() -> None:
    """An edge without an RSA certificate: nobody may say that RSA works."""
    asked = setting(Failure(Phase.CERTIFICATE, Reason.EXPIRED))
    assert Planner(asked).causes()[Cause.ONLY_ECDSA] > 0

    def show(trial: Trial) -> Observed:
        on_edge = trial.change not in (Change.DOMAIN, Change.EDGE, Change.PROVIDER)
        if trial.change is Change.RSA:
            return Observed.OTHER
        return Observed.SAME if on_edge else Observed.PASSED

    settled, told = ended(asked, show)
    assert settled.cause is Cause.CERTIFICATE_OLD
    assert Trial(Change.RSA, "", asked.edge) in told


def test_failing_otherwise_with_rsa_and_more_is_not_said_to_work_with_rsa() -> None:
    """RSA alone happens to pass nine times; RSA with TLS 1.2 alone failed in another way."""
    asked = setting(Failure(Phase.TLS, Reason.HANDSHAKE_TOO_LARGE))
    planner = Planner(asked)
    for trial in asked.trials():
        if trial.change in PLACES:
            for _ in range(12):
                planner.recall(trial, Observed.PASSED)
        times = {Change.NOTHING: 8, Change.RSA: 9}.get(trial.change, 0)
        for _ in range(times):
            planner.recall(trial, Observed.PASSED)
        if trial.change in (Change.NOTHING, Change.TLS12, Change.PLAIN):
            for _ in range(12 if trial.change is Change.NOTHING else 1):
                planner.recall(trial, Observed.SAME)
    assert planner.last_word().cause is Cause.ONLY_ECDSA
    planner.recall(Trial(Change.OLDEST, "", asked.edge), Observed.OTHER)
    assert planner.last_word().cause is not Cause.ONLY_ECDSA


def test_one_attempt_that_failed_by_chance_does_not_decide() -> None:
    """Large hellos are lost, and by chance a small one: that does not put it down to the edge."""
    truth = next(one for one in truths() if one.cause is Cause.LARGE_HELLO)
    planner = Planner(truth.setting)
    planner.regular(
        {
            trial: Outcomes(failed=5) if truth.reaches(trial) else Outcomes(passed=3)
            for trial in truth.setting.trials()
            if trial.change in PLACES or trial.change is Change.NOTHING
        }
    )
    strays = 1
    while (settled := planner.settled()) is None:
        for trial in planner.ask():
            stray = bool(strays) and not truth.reaches(trial)
            strays -= stray
            failed = stray or truth.reaches(trial)
            planner.observe(trial, Observed.SAME if failed else Observed.PASSED)
    assert strays == 0
    assert settled.cause in (Cause.LARGE_HELLO, Cause.UNDETERMINED)


# ---------------------------------------------------------------- for every world

_OBSERVED = st.sampled_from(list(Observed))
_QUESTIONS = st.builds(
    setting,
    failure=st.sampled_from(
        [
            RESET,
            Failure(Phase.CONNECT, Reason.REFUSED),
            Failure(Phase.CERTIFICATE, Reason.EXPIRED),
            Failure(Phase.CERTIFICATE, Reason.NAME_MISMATCH),
        ]
    ),
    looks=st.sampled_from(
        [
            Looks(),
            Looks(alpn=False, h2=False),
            Looks(tls13=False, post_quantum=False, large=False, ecdsa=False),
        ]
    ),
    edges=st.sampled_from([(), EDGES, (*EDGES, ("[2001:db8::1]:443", 6))]),
    domains=st.sampled_from([(), DOMAINS]),
    providers=st.sampled_from([(), (("cdn-b", "198.51.100.1:443"),)]),
)


def ended(
    asked: Setting, show: Callable[[Trial], Observed]
) -> tuple[Settled, dict[Trial, list[Observed]]]:
    """Run an planner over any answers, and return what it was told."""
    planner, told = Planner(asked), dict[Trial, list[Observed]]()
    planner.regular({Trial(Change.NOTHING, "", asked.edge): Outcomes(failed=5)})
    for _ in range(BUDGET + 1):
        settled = planner.settled()
        if settled is not None:
            assert planner.spent == sum(map(len, told.values())) <= BUDGET
            return settled, told
        wanted = planner.ask()
        assert wanted
        for trial in wanted:
            told.setdefault(trial, []).append(show(trial))
            planner.observe(trial, told[trial][-1])
    raise AssertionError("it does not end")


_REACHED = {
    Change.DOMAIN: {Cause.EDGE, Cause.PROVIDER, Cause.OUR_SIDE},
    Change.EDGE: {Cause.DOMAIN_ON_PROVIDER, Cause.PROVIDER, Cause.DOMAIN, Cause.OUR_SIDE},
    Change.PROVIDER: {Cause.DOMAIN, Cause.OUR_SIDE},
}
"""Causes that say that an experiment must fail, if every attempt does."""

_WORKS = {
    Cause.ONLY_ECDSA: Change.RSA,
    Cause.ONLY_RSA: Change.ECDSA,
    Cause.ONLY_TLS13: Change.TLS12,
    Cause.ONLY_TLS12: Change.TLS13,
    Cause.LARGE_HELLO: Change.CLASSIC,
    Cause.POST_QUANTUM: Change.CLASSIC,
    Cause.WITH_ALPN: Change.NO_ALPN,
    Cause.WITHOUT_ALPN: Change.H2,
}
"""What each cause of a client says to work."""


@settings(max_examples=30, deadline=None)
@given(asked=_QUESTIONS, data=st.data())
def test_it_ends_within_its_budget_and_is_never_contradicted(
    asked: Setting, data: st.DataObject
) -> None:
    settled, told = ended(asked, lambda _: data.draw(_OBSERVED))
    cause = settled.cause
    assert (cause is Cause.UNDETERMINED) or not settled.left
    for trial, seen in told.items():
        if settled.share is None and cause in _REACHED.get(trial.change, ()):
            assert Observed.PASSED not in seen
        if trial.change is _WORKS.get(cause):
            assert Observed.SAME not in seen
        if cause in CLIENT_CAUSES or trial.change in (Change.DOMAIN, Change.EDGE):
            continue
        if settled.share is None and cause is not Cause.UNDETERMINED:
            changed = changed_looks(trial.change, asked.looks)
            assert changed is None or Observed.PASSED not in seen


@pytest.mark.parametrize("cause", _WORKS)
def test_what_one_observation_contradicts_is_never_named(cause: Cause) -> None:
    """What a cause says to work failed once: even if all else speaks for it, nobody says so."""
    truth = next(one for one in truths() if one.cause is cause)
    strays: list[Trial] = []

    def show(trial: Trial) -> Observed:
        stray = trial.change is _WORKS[cause] and not strays
        if stray:
            strays.append(trial)
        return Observed.SAME if stray or truth.reaches(trial) else Observed.PASSED

    settled, told = ended(truth.setting, show)
    assert any(trial.change is _WORKS[cause] for trial in told)
    assert settled.cause is not cause


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), which=st.sampled_from(range(len(truths()))))
def test_a_solid_fault_gets_its_name_or_none(seed: int, which: int) -> None:
    truth = truths()[which]
    settled, _ = played(truth, random.Random(seed), seed % 4)
    assert settled.cause is truth.cause


# ---------------------------------------------------------------- what a client looks like


@pytest.mark.parametrize(
    "profile",
    [
        ClientProfile(),
        ClientProfile(kind="tls13"),
        ClientProfile(kind="tls12-ecdsa"),
        ClientProfile(kind="tls12-rsa"),
        ClientProfile(alpn=()),
        ClientProfile(groups=("X25519",)),
        ClientProfile(min_version="TLSv1.3"),
    ],
    ids=lambda one: f"{one.kind}-{len(one.alpn)}-{one.groups}-{one.min_version}",
)
def test_a_changed_client_looks_as_the_planner_thinks(profile: ClientProfile) -> None:
    for change in Change:
        expected = changed_looks(change, looks(profile))
        if expected is not None:
            shown = looks(narrowed(profile, change))
            if change is Change.LARGE:  # padding makes it large, which the profile does not say
                shown = shown._replace(large=True)
            assert shown == expected, change


def test_failures_of_one_fault_are_alike() -> None:
    mismatch = Failure(Phase.CERTIFICATE, Reason.NAME_MISMATCH)
    assert alike(mismatch, Failure(Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME, "x"))
    assert alike(RESET, Failure(Phase.TLS, Reason.CLOSED))
    assert not alike(mismatch, Failure(Phase.CERTIFICATE, Reason.EXPIRED))
    assert not alike(Failure(Phase.TLS, Reason.TIMEOUT), Failure(Phase.CONNECT, Reason.TIMEOUT))
