"""Whether our network is cut, by what is probed anyway: who is up or down, and what is said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.model.failure import Failure, Phase, Reason
from probe.state.vantage import Sign, Vantage
from probe.state.witnesses import TOGETHER, Witnesses, grouped, spread

A, A2, B, DNS = "192.0.2.1", "192.0.2.7", "198.51.100.1", "203.0.113.53"
SILENT = Failure(Phase.CONNECT, Reason.TIMEOUT, "no answer to our SYN")
UNREACHABLE = Failure(Phase.CONNECT, Reason.UNREACHABLE)
NO_ROUTE = Failure(Phase.CONNECT, Reason.NO_ROUTE, "ENETUNREACH from this host itself")
REFUSED = Failure(Phase.CONNECT, Reason.REFUSED)
RESET = Failure(Phase.CONNECT, Reason.RESET)
SLOW = Failure(Phase.TLS, Reason.TIMEOUT)
EXPIRED = Failure(Phase.CERTIFICATE, Reason.EXPIRED)

Seen = dict[str, dict[str, Failure | None]]


def judged(seen: Seen) -> str:
    """``cut``, ``works``, or ``cannot tell``, from one look."""
    witnesses = Witnesses()
    witnesses.look(seen, 0.0)
    bad, alone = witnesses.judge(0.0, 30.0)
    assert not (bad and alone)
    return "cut" if bad else "cannot tell" if alone else "works"


@pytest.mark.parametrize(
    ("claim", "seen", "said"),
    [
        ("everything is up", {"a": {A: None}, "b": {B: None}}, "works"),
        ("one of two providers is down", {"a": {A: SILENT}, "b": {B: None}}, "works"),
        ("both are down", {"a": {A: SILENT}, "b": {B: SILENT}}, "cut"),
        ("in different ways", {"a": {A: UNREACHABLE}, "b": {B: SILENT}}, "cut"),
        ("a refusal is an answer", {"a": {A: SILENT}, "b": {B: REFUSED}}, "works"),
        ("and so is a reset", {"a": {A: SILENT}, "b": {B: RESET}}, "works"),
        ("the resolver answers", {"a": {A: SILENT}, "b": {B: SILENT}, "r": {DNS: None}}, "works"),
        ("it does not", {"a": {A: SILENT}, "b": {B: SILENT}, "r": {DNS: SILENT}}, "cut"),
        ("one provider and the resolver", {"a": {A: SILENT}, "r": {DNS: SILENT}}, "cut"),
        ("one provider, the resolver answers", {"a": {A: SILENT}, "r": {DNS: None}}, "works"),
        ("a single provider is down", {"a": {A: SILENT}}, "cannot tell"),
        ("a single provider is up", {"a": {A: None}}, "cannot tell"),
        ("a single one in two networks", {"a": {A: SILENT, B: SILENT}}, "cannot tell"),
        ("the same network under two names", {"a": {A: SILENT}, "b": {A2: SILENT}}, "cannot tell"),
        ("one of its addresses answers", {"a": {A: SILENT, A2: None}, "b": {B: SILENT}}, "works"),
        ("no route from this host", {"a": {A: NO_ROUTE}}, "cut"),
        ("no route to one of two", {"a": {A: NO_ROUTE}, "b": {B: None}}, "works"),
        ("no route to some, one silent", {"a": {A: NO_ROUTE, A2: SILENT}}, "cannot tell"),
        ("no route, and down", {"a": {A: NO_ROUTE}, "b": {B: SILENT}}, "cut"),
        ("nothing to ask", {}, "cannot tell"),
        ("nobody said anything", {"a": {}, "b": {B: SILENT}}, "cannot tell"),
    ],
)
def test_what_is_up_and_what_is_said(claim: str, seen: Seen, said: str) -> None:
    assert judged(seen) == said, claim


def test_who_was_down_before_says_nothing_when_the_other_falls() -> None:
    """A provider that is not set up yet must not hide the outage of the one in use."""
    witnesses = Witnesses()
    for now in (0.0, TOGETHER + 1):
        witnesses.look({"new": {A: SILENT}, "live": {B: None}}, now)
        assert witnesses.judge(now, 30.0) == ("", "")
    now = TOGETHER + 2
    witnesses.look({"new": {A: SILENT}, "live": {B: SILENT}}, now)
    assert witnesses.judge(now, 30.0) == ("", "all but one have been down before")


def test_who_fell_together_stays_cut_off_for_hours_and_until_one_answers() -> None:
    witnesses = Witnesses()
    witnesses.look({"a": {A: SILENT}, "b": {B: None}}, 0.0)
    for now in (20.0, 40.0, 7200.0):
        witnesses.look({"a": {A: SILENT}, "b": {B: SILENT}}, now)
        bad, _ = witnesses.judge(now, 30.0)
        assert bad.startswith("2 of 2 that are independent fell together; nothing answers")
    witnesses.look({"a": {A: None}, "b": {B: SILENT}}, 7205.0)
    assert witnesses.judge(7205.0, 30.0) == ("", "")


def test_an_old_look_blames_nobody() -> None:
    witnesses = Witnesses()
    witnesses.look({"a": {A: SILENT}, "b": {B: SILENT}}, 0.0)
    assert witnesses.judge(30.1, 30.0) == ("", "")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abc"),
            st.dictionaries(
                st.sampled_from([A, A2, B, DNS, "2001:db8::1"]),
                st.sampled_from([None, SILENT, UNREACHABLE, REFUSED]),
                max_size=3,
            ),
        ),
        max_size=6,
    )
)
def test_nothing_is_cut_while_anything_answers_and_never_with_one_alone(looks: list[Seen]) -> None:
    witnesses = Witnesses()
    for now, seen in enumerate(looks):
        witnesses.look(seen, now * 10.0)
        bad, _ = witnesses.judge(now * 10.0, 30.0)
        answers = [one for found in seen.values() for one in found.values()]
        if bad:
            assert all(one in (SILENT, UNREACHABLE) for one in answers)
            assert len(grouped({name: found for name, found in seen.items() if found})) > 1


def test_a_few_addresses_stand_for_many_networks() -> None:
    ips = [A, A2, "192.0.2.9", B, "2001:db8:1::1", "2001:db8:1::2", "fe80::1%eth0"]
    assert spread(ips, 4) == [A, B, "2001:db8:1::1", "fe80::1%eth0"]
    assert spread(ips, 6) == [A, B, "2001:db8:1::1", "fe80::1%eth0", A2, "2001:db8:1::2"]
    assert spread([A], 4) == [A]


# ---------------------------------------------------------------- as a vantage


@pytest.mark.parametrize(
    ("seen", "resolvers", "sign", "excused"),
    [
        ({"a": {A: SILENT}, "b": {B: SILENT}}, {}, Sign.NETWORK, {SILENT, EXPIRED}),
        ({"a": {A: SILENT}, "b": {B: None}}, {}, None, set()),
        ({"a": {A: SILENT}}, {}, None, set()),
        ({"a": {A: None}}, {DNS: SILENT}, Sign.DNS, set()),
        ({"a": {A: None}}, {DNS: SILENT, B: None}, None, set()),
    ],
)
def test_only_a_cut_network_excuses_everything(
    seen: Seen, resolvers: dict[str, Failure | None], sign: Sign | None, excused: set[Failure]
) -> None:
    vantage = Vantage()
    vantage.own(seen, resolvers, 0.0)
    health = vantage.judge(0.0)
    assert [one.sign for one in health.complaints] == ([sign] if sign else [])
    for failure in (SILENT, EXPIRED):
        assert (vantage.excuse(failure, 0.0) is not None) is (failure in excused)
    lost = Failure(Phase.RESOLVE, Reason.SERVFAIL)
    assert (vantage.excuse(lost, 0.0) is not None) is (sign is not None)
    assert (Sign.NETWORK in health.unjudged) is (len(seen) < 2)


def test_a_vantage_says_that_nobody_judges_its_network_when_that_is_switched_off() -> None:
    vantage = Vantage()
    vantage.configure(off=True)
    assert vantage.judge(0.0).unjudged[Sign.NETWORK] == "references are switched off"
    vantage.configure(off=False)
    assert Sign.NETWORK not in vantage.judge(0.0).unjudged
