"""Which certificates the edges of a target serve: tables of observations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.model.result import CertificateFacts
from probe.model.state import ConsensusRule
from probe.model.target import EdgeKey
from probe.state.consensus import Agreement, Consensus, Subject

RULE = ConsensusRule(grace=6 * 3600.0)
HOUR = 3600.0
T = 1_700_000_000.0


def leaf(name: str, *, not_before: float = 0.0, key_type: str = "ecdsa") -> CertificateFacts:
    return CertificateFacts(
        fingerprint_sha256=name,
        spki_sha256="",
        subject="",
        issuer="",
        serial="",
        not_before=not_before,
        not_after=not_before + 90 * 86_400,
        dns_names=(),
        ip_names=(),
        key="",
        key_type=key_type,
    )


OLD = leaf("old", not_before=1.0)
NEW = leaf("new", not_before=2.0)
RSA = leaf("rsa", not_before=1.0, key_type="rsa")


def key(edge: int, provider: str = "cdn-b", client: str = "default") -> EdgeKey:
    return EdgeKey("stores", "a.example", provider, f"192.0.2.{edge}:443", client)


def served(*leaves: CertificateFacts, rule: ConsensusRule = RULE) -> Consensus:
    """Edges 0, 1, … each serve the leaf given."""
    consensus = Consensus(rule)
    for edge, facts in enumerate(leaves):
        consensus.observe(key(edge), facts, T)
    return consensus


def only(consensus: Consensus, at: float = T) -> Agreement:
    (agreement,) = consensus.agreements(at)
    return agreement


def test_edges_that_serve_the_same_agree() -> None:
    agreement = only(served(OLD, OLD, OLD))
    assert agreement.subject == Subject("a.example", "cdn-b", "ecdsa")
    assert agreement.leaves[0].facts == OLD
    assert agreement.minority == ()
    assert agreement.differs_since is None
    assert not agreement.overdue(RULE, T + 99 * HOUR)


@pytest.mark.parametrize(
    ("claim", "leaves", "expected", "minority"),
    [
        ("most edges are right", [OLD, OLD, NEW], OLD, [2]),
        ("also when the newer one is common", [NEW, OLD, NEW], NEW, [1]),
        ("of equally many the newer is right", [OLD, NEW, OLD, NEW], NEW, [0, 2]),
        ("one against one as well", [OLD, NEW], NEW, [0]),
        ("of three kinds the commonest", [OLD, NEW, leaf("x"), OLD], OLD, [1, 2]),
    ],
)
def test_who_is_the_minority(
    claim: str, leaves: list[CertificateFacts], expected: CertificateFacts, minority: list[int]
) -> None:
    agreement = only(served(*leaves))
    assert agreement.leaves[0].facts == expected, claim
    assert agreement.minority == tuple(key(edge) for edge in minority), claim


def test_equally_common_and_equally_old_leaves_have_a_stable_order() -> None:
    one, two = leaf("one", not_before=5.0), leaf("two", not_before=5.0)
    assert only(served(one, two)).leaves[0].facts == only(served(two, one)).leaves[0].facts


def test_clients_do_not_multiply_an_edges_vote() -> None:
    consensus = Consensus(RULE)
    for client in ("default", "tls13", "tls12-ecdsa"):
        consensus.observe(key(0, client=client), OLD, T)
    consensus.observe(key(1), NEW, T)
    consensus.observe(key(2), NEW, T)
    assert only(consensus).leaves[0].facts == NEW


def test_an_edge_that_serves_its_clients_different_leaves_is_a_difference() -> None:
    consensus = served(OLD)
    consensus.observe(key(0, client="tls13"), NEW, T)
    assert only(consensus).differs_since == T


def test_rsa_beside_ecdsa_is_no_difference() -> None:
    agreements = served(OLD, RSA, OLD, RSA).agreements(T)
    assert [agreement.subject.key_type for agreement in agreements] == ["ecdsa", "rsa"]
    assert all(agreement.differs_since is None for agreement in agreements)


def test_an_edge_that_changes_key_type_moves_and_both_are_told() -> None:
    consensus = served(OLD, OLD)
    ecdsa, rsa = consensus.observe(key(1), RSA, T + 1)
    assert [leaf.edges for leaf in ecdsa.leaves] == [1]
    assert [leaf.facts for leaf in rsa.leaves] == [RSA]


def test_providers_that_hold_their_own_certificate_are_no_difference_unless_told() -> None:
    consensus = Consensus(RULE)
    consensus.observe(key(0, "cdn-a"), OLD, T)
    consensus.observe(key(0, "cdn-b"), NEW, T)
    assert [agreement.differs_since for agreement in consensus.agreements(T)] == [None, None]
    consensus.configure(replace(RULE, across_providers=True), T + 5)
    agreement = only(consensus)
    assert agreement.subject.provider == ""
    assert agreement.differs_since == T + 5
    assert agreement.minority == (key(0, "cdn-a"),)


def test_a_rolling_renewal_is_a_difference_and_no_alarm_within_its_grace() -> None:
    consensus = served(OLD, OLD, OLD, OLD)
    for hour, edge in enumerate(range(4)):
        consensus.observe(key(edge), NEW, T + (1 + hour) * HOUR)
        agreement = only(consensus, T + (1 + hour) * HOUR)
        assert not agreement.overdue(RULE, T + (1 + hour) * HOUR)
    assert agreement.leaves[0].facts == NEW
    (over,) = consensus.settled(T + 5 * HOUR)
    assert over.differs_since is None
    assert consensus.settled(T + 6 * HOUR) == ()


def test_a_difference_that_outlasts_the_grace_is_overdue() -> None:
    consensus = served(OLD, NEW)
    assert not only(consensus).overdue(RULE, T + 6 * HOUR)
    assert only(consensus).overdue(RULE, T + 6 * HOUR + 1)


def test_the_date_stays_when_further_edges_change() -> None:
    consensus = served(OLD, OLD, NEW)
    consensus.observe(key(1), NEW, T + HOUR)
    assert only(consensus).differs_since == T


def test_an_edge_that_serves_two_leaves_in_turn_keeps_its_date() -> None:
    """Two machines behind one address, one of them stale: agreement by chance ends nothing."""
    consensus = served(OLD, OLD, NEW)
    for minute in range(60):
        at = T + 60 + minute * 60
        consensus.observe(key(2), NEW if minute % 3 else OLD, at)
        assert only(consensus, at).differs_since == T
        assert consensus.settled(at) == ()


def test_a_new_difference_after_settling_gets_its_own_date() -> None:
    consensus = served(OLD, NEW)
    consensus.observe(key(0), NEW, T + 10)
    assert only(consensus, T + 11).differs_since == T
    assert only(consensus, T + 10 + 600).differs_since is None
    consensus.observe(key(0), OLD, T + 2 * HOUR)
    assert only(consensus, T + 2 * HOUR).differs_since == T + 2 * HOUR


def test_an_edge_without_handshake_is_absent_not_stale() -> None:
    consensus = served(OLD, OLD, NEW)
    (agreement,) = consensus.observe(key(2), None, T + 10)
    assert agreement.minority == ()
    assert [leaf.facts for leaf in agreement.leaves] == [OLD]
    assert consensus.observe(key(2), None, T + 20) == ()


def test_a_dated_difference_survives_a_moment_without_any_handshake() -> None:
    consensus = served(OLD, NEW)
    consensus.observe(key(0), None, T + 10)
    (gone,) = consensus.observe(key(1), None, T + 11)
    assert gone.leaves == ()
    consensus.observe(key(0), OLD, T + 20)
    consensus.observe(key(1), NEW, T + 21)
    assert only(consensus, T + 21).differs_since == T


def test_edges_that_vanish_leave_nothing_behind() -> None:
    consensus = served(OLD, NEW, OLD)
    (agreement,) = consensus.remove([key(1), key(9)], T + 10)
    assert agreement.minority == ()
    consensus.remove([key(0), key(2)], T + 11)
    consensus.settled(T + HOUR)
    assert consensus.agreements(T + HOUR) == ()


def test_an_unchanged_leaf_is_no_news() -> None:
    consensus = served(OLD, NEW)
    assert consensus.observe(key(0), leaf("old", not_before=1.0), T + 10) == ()


def test_only_those_that_differ_or_have_not_settled() -> None:
    consensus = served(OLD, NEW)
    for edge in range(2):
        consensus.observe(key(edge, "cdn-c"), OLD, T)
    (agreement,) = consensus.differing(T)
    assert agreement.subject.provider == "cdn-b"
    consensus.observe(key(0), NEW, T + 10)
    assert len(consensus.differing(T + 11)) == 1
    assert consensus.differing(T + 10 + 600) == ()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([OLD, NEW, RSA, None])), max_size=60))
def test_every_present_edge_stands_in_exactly_one_leaf(
    story: list[tuple[int, CertificateFacts | None]],
) -> None:
    """Whatever happens, the agreements say what each edge served last, and no more."""
    consensus = Consensus(RULE)
    latest: dict[EdgeKey, str] = {}
    for second, (edge, facts) in enumerate(story):
        consensus.observe(key(edge), facts, T + second)
        latest.pop(key(edge), None)
        if facts:
            latest[key(edge)] = facts.fingerprint_sha256
    now = T + len(story)
    said = [
        (edge, one.facts.fingerprint_sha256)
        for agreement in consensus.agreements(now)
        for one in agreement.leaves
        for edge in one.keys
    ]
    assert sorted(said) == sorted(latest.items())
    for agreement in consensus.agreements(now):
        assert (len(agreement.leaves) > 1) <= (agreement.differs_since is not None)
        assert agreement.differs_since is None or T <= agreement.differs_since <= now


@pytest.mark.parametrize(
    ("grace", "renewal"), [(30.0, 14.0), (300.0, 20.0), (7200.0, 7000.0), (60.0, 300.0)]
)
def test_a_renewal_that_all_have_finished_is_no_split_whatever_the_grace(
    grace: float, renewal: float
) -> None:
    rule = ConsensusRule(grace=grace)
    consensus = served(OLD, OLD, OLD, rule=rule)
    for edge in range(3):
        consensus.observe(key(edge), NEW, T + 1000 + edge * renewal / 2)
    over = T + 1000 + renewal
    later = [only(consensus, over + seconds) for seconds in range(0, 900, 5)]
    assert not any(one.overdue(rule, over + n * 5) for n, one in enumerate(later))


def test_leaves_in_turn_are_a_split_while_they_differ_and_keep_their_date() -> None:
    rule = ConsensusRule(grace=60.0)
    consensus = served(OLD, OLD, rule=rule)
    for turn in range(10):
        consensus.observe(key(0), NEW if turn % 2 == 0 else OLD, T + 20 * turn)
        at = T + 20 * turn + 1
        differs = turn % 2 == 0
        assert only(consensus, at).overdue(rule, at) == (differs and at - T > rule.grace), turn
