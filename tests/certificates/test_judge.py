"""The judge's memory: right at every instant, and never asking twice what it knows."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.certificates import Judge, Roots, TrustError, Verdict
from probe.certificates.question import Cache
from probe.certificates.verdict import IMPORTANCE, Finding, in_order
from probe.model.failure import Failure, Reason
from probe.model.result import Inconclusive, outcome_of
from probe.model.tls import ChainExpectations, DaysLeft, Trust

from .authority import DAY, NOW, Made, intermediate, leaf, root
from .case import judge_chain
from .catalogue_ocsp import answer

AT = NOW.timestamp()
MOZILLA = Trust()
EXPECT = ChainExpectations()


class Loader:
    """Hands out roots and counts how often it was asked."""

    def __init__(self, *roots: Made) -> None:
        self.roots = Roots.of(made.der for made in roots)
        self.asked = 0

    def __call__(self, trust: Trust) -> Roots:
        self.asked += 1
        return self.roots


def sent(*made: Made) -> list[bytes]:
    return [m.der for m in made]


def ask(
    judge: Judge, chain: Sequence[bytes], name: str = "shop.example", now: float = AT
) -> Verdict:
    return at_once(judge.judge(chain, name, now, trust=MOZILLA, expect=EXPECT))


def at_once(question: Coroutine[Any, Any, Verdict]) -> Verdict:
    """The verdict of a call that must not wait for anything, not even for an event loop."""
    try:
        question.send(None)
    except StopIteration as done:
        verdict: Verdict = done.value
        return verdict
    raise AssertionError("the judge waited")


def reasons(failures: Sequence[Failure]) -> list[Reason]:
    return [failure.reason for failure in failures]


def test_the_same_chain_and_name_give_the_very_same_verdict_and_read_the_roots_once() -> None:
    top = root()
    issuing = intermediate(top)
    server = leaf(issuing)
    load = Loader(top)
    judge = Judge(load)
    first = ask(judge, sent(server, issuing))
    assert ask(judge, sent(server, issuing), now=AT + 3600) is first
    assert load.asked == 1


def test_names_trust_expectations_and_own_names_are_told_apart() -> None:
    top = root()
    issuing = intermediate(top)
    chain = sent(leaf(issuing), issuing)
    judge = Judge(Loader(top))
    assert ask(judge, chain).accepted
    assert reasons(ask(judge, chain, "other.example").failures) == [Reason.NAME_MISMATCH]
    picky = ChainExpectations(issuers=("Somebody",))
    verdict = at_once(judge.judge(chain, "shop.example", AT, trust=MOZILLA, expect=picky))
    assert reasons(verdict.failures) == [Reason.UNEXPECTED_ISSUER]
    verdict = at_once(
        judge.judge(
            chain, "x.example", AT, trust=MOZILLA, expect=EXPECT, own_names=("shop.example",)
        )
    )
    assert reasons(verdict.failures) == [Reason.DEFAULT_CERTIFICATE]


def test_a_verdict_is_dropped_the_second_the_certificate_is_over() -> None:
    top = root()
    chain = sent(leaf(top))
    judge = Judge(Loader(top))
    over = (NOW + 60 * DAY).timestamp() + 1
    assert ask(judge, chain, now=over - 0.001).accepted
    assert reasons(ask(judge, chain, now=over).failures) == [Reason.EXPIRED]


def test_a_verdict_is_dropped_the_second_the_days_left_run_out() -> None:
    top = root()
    chain = sent(leaf(top))
    judge = Judge(Loader(top))
    soon = (NOW + 45 * DAY).timestamp()  # of 90 days a sixth is left
    assert ask(judge, chain, now=soon - 0.001).warnings == ()
    assert reasons(ask(judge, chain, now=soon).warnings) == [Reason.EXPIRES_SOON]


@cache
def intricate() -> tuple[Roots, Judge, list[bytes], bytes]:
    """A chain with many instants at which something changes, and a judge that lives on."""
    old = root("Old Root", not_after=NOW + 3 * DAY)
    new = root("New Root", not_before=NOW + DAY)
    cross = intermediate(old, "New Root", "Trust Services", key=new.key, not_after=NOW + 2 * DAY)
    issuing = intermediate(new, not_after=NOW + 8 * DAY)
    server = leaf(issuing, not_before=NOW - DAY, not_after=NOW + 6 * DAY)
    load = Loader(old, new)
    staple = answer(server, issuing, this_update=NOW, next_update=NOW + 4 * DAY)
    return load.roots, Judge(load), sent(server, issuing, cross), staple


days = st.floats(-3, 10).map(lambda d: (NOW + timedelta(days=d)).timestamp())
marks = st.sampled_from(range(-3, 10)).flatmap(
    lambda d: st.sampled_from([-300.0, -1.0, -0.5, 0.0, 0.5, 1.0]).map(
        lambda s: (NOW + d * DAY).timestamp() + s
    )
)


@settings(max_examples=150, deadline=None)
@given(instants=st.lists(days | marks, min_size=1, max_size=4))
def test_remembering_never_changes_a_verdict(instants: list[float]) -> None:
    """At any instants, in any order, the memory says what judging anew says."""
    roots, judge, chain, staple = intricate()
    expect = ChainExpectations(days_left=DaysLeft(1, None))
    for now in instants:
        kept = at_once(
            judge.judge(chain, "shop.example", now, trust=MOZILLA, expect=expect, staple=staple)
        )
        fresh = judge_chain(
            chain,
            "shop.example",
            now,
            roots=roots,
            expect=expect,
            staple=staple,
        )
        assert kept == fresh
        assert kept.valid_from <= now < kept.valid_until


@settings(max_examples=100, deadline=None)
@given(earlier=days, later=days)
def test_once_over_always_over(earlier: float, later: float) -> None:
    """Moving on in time never takes back that a certificate ended."""
    if earlier > later:
        earlier, later = later, earlier
    top = _single()[0]
    before, after = (
        judge_chain(
            sent(_single()[1]), "shop.example", now, roots=Roots.of(sent(top)), expect=EXPECT
        )
        for now in (earlier, later)
    )
    over = Reason.EXPIRED in reasons(before.failures)
    assert not over or Reason.EXPIRED in reasons(after.failures)
    begun = Reason.NOT_YET_VALID not in reasons(before.failures)
    assert not begun or Reason.NOT_YET_VALID not in reasons(after.failures)


@cache
def _single() -> tuple[Made, Made]:
    top = root()
    return top, leaf(top, not_before=NOW - DAY, not_after=NOW + DAY)


def test_intermediates_of_verified_chains_are_learned_and_tell_what_is_missing() -> None:
    top = root()
    issuing = intermediate(top)
    judge = Judge(Loader(top))
    alone, whole = sent(leaf(issuing)), sent(leaf(issuing), issuing)
    assert reasons(ask(judge, alone).failures) == [Reason.UNKNOWN_ISSUER]
    assert ask(judge, whole).accepted
    assert reasons(ask(judge, alone).failures) == [Reason.MISSING_INTERMEDIATE]
    assert ask(judge, alone) is ask(judge, alone)


def test_intermediates_of_chains_that_do_not_verify_teach_nothing() -> None:
    stranger = root("Stranger", "Strange")
    issuing = intermediate(stranger)
    judge = Judge(Loader(root()))
    assert not ask(judge, sent(leaf(issuing), issuing, stranger)).accepted
    assert reasons(ask(judge, sent(leaf(issuing))).failures) == [Reason.UNKNOWN_ISSUER]


def test_unreadable_roots_are_our_fault_and_are_asked_for_again() -> None:
    top = root()
    chain = sent(leaf(top))
    good = Loader(top)
    broken = True

    def load(trust: Trust) -> Roots:
        if broken:
            raise TrustError("no such file")
        return good(trust)

    judge = Judge(load)
    verdict = ask(judge, chain)
    assert isinstance(outcome_of(verdict.failures, verdict.warnings), Inconclusive)
    assert not verdict.accepted
    with pytest.raises(TrustError):
        judge.prepare(MOZILLA)
    broken = False
    assert ask(judge, chain).accepted


def test_every_reason_of_a_finding_has_its_importance() -> None:
    assert len(set(IMPORTANCE)) == len(IMPORTANCE)
    findings = [Finding(reason) for reason in reversed(IMPORTANCE)]
    assert [f.reason for f in in_order(findings, fatal=True)] == list(IMPORTANCE)
    assert in_order(findings, fatal=False) == ()


def test_the_cache_is_bounded_and_keeps_what_is_asked_for() -> None:
    cache_: Cache[int, str] = Cache(10)
    for number in range(1000):
        cache_.put(number, "value")
        assert cache_.get(0) == "value"
    assert sum(cache_.get(number) is not None for number in range(1000)) <= 20
    assert cache_.get(500) is None
