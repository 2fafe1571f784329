"""The vantage's judgement of itself: evidence with times in, complaints and excuses out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Outcome, Passed
from probe.state.history import SlidingShare
from probe.state.vantage import Complaint, Health, Sign, Vantage, VantageRule

RULE = VantageRule()
PASS = Passed()
UNREACHABLE = Failure(Phase.CONNECT, Reason.UNREACHABLE)
UNRESOLVED = Failure(Phase.RESOLVE, Reason.SERVFAIL)
CUT: Outcome = Failed(UNREACHABLE)
ALERT = Failure(Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME)
EXPIRED = Failure(Phase.CERTIFICATE, Reason.EXPIRED)
MISMATCH = Failure(Phase.CERTIFICATE, Reason.NAME_MISMATCH)
TIMEOUT = Failure(Phase.CONNECT, Reason.TIMEOUT)
NXDOMAIN = Failure(Phase.RESOLVE, Reason.NXDOMAIN)


def signs(health: Health) -> dict[Sign, bool]:
    """Which signs are bad, and whether each is an illness already."""
    return {complaint.sign: complaint.ill for complaint in health.complaints}


def see(vantage: Vantage, outcomes: list[Outcome], now: float) -> Health:
    """A round of references."""
    for number, outcome in enumerate(outcomes):
        vantage.reference(f"ref-{number}", outcome, now)
    return vantage.judge(now)


def test_no_evidence_is_health() -> None:
    health = Vantage().judge(0.0)
    assert health == Health()
    assert health.healthy


@pytest.mark.parametrize(
    ("claim", "outcomes", "bad"),
    [
        ("all pass", [PASS, PASS, PASS], False),
        ("one of three is its own trouble", [CUT, PASS, PASS], False),
        ("two of three are ours", [CUT, CUT, PASS], True),
        ("one of two is its own trouble", [CUT, PASS], False),
        ("the only one", [CUT], True),
        ("inconclusive says nothing", [Inconclusive(UNREACHABLE)] * 3, False),
    ],
)
def test_references(claim: str, outcomes: list[Outcome], bad: bool) -> None:
    assert bool(see(Vantage(), outcomes, 0.0).complaints) is bad, claim


def test_doubt_comes_at_once_illness_after_a_while_health_after_a_while() -> None:
    vantage = Vantage()
    course = []
    for now in range(0, 60, 5):
        health = see(vantage, [CUT if 10 <= now < 30 else PASS] * 3, float(now))
        course.append((bool(health.complaints), health.healthy))
    assert course == (
        [(False, True)] * 2
        + [(True, True)] * 2  # 10, 15: in doubt
        + [(True, False)] * 5  # 20 .. 40: ill, until 15 s without a bad moment
        + [(False, True)] * 3
    )


def test_a_complaint_says_since_when_and_why() -> None:
    vantage = Vantage()
    see(vantage, [PASS] * 3, 0.0)
    see(vantage, [CUT, CUT, PASS], 5.0)
    (complaint,) = see(vantage, [CUT, CUT, PASS], 20.0).complaints
    assert complaint == Complaint(
        Sign.NETWORK, 5.0, True, "2 of 3 references fail: connect/unreachable"
    )


def test_a_network_that_comes_and_goes_becomes_an_illness() -> None:
    vantage = Vantage()
    health = Health()
    for now in range(0, 40, 5):
        health = see(vantage, [CUT if now % 10 else PASS] * 3, float(now))
    assert not health.healthy


def test_references_that_do_not_resolve_are_about_dns() -> None:
    health = see(Vantage(), [Failed(UNRESOLVED), Failed(UNRESOLVED), PASS], 0.0)
    assert signs(health) == {Sign.DNS: False}


def test_one_reference_that_does_not_resolve_among_others_cut_off_is_the_network() -> None:
    health = see(Vantage(), [Failed(UNRESOLVED), CUT, CUT], 0.0)
    assert signs(health) == {Sign.NETWORK: False}


def test_names_of_references_that_are_not_answered_are_about_dns() -> None:
    vantage = Vantage()
    for name in ("one.example", "two.example"):
        vantage.dns(name, UNRESOLVED, 0.0)
    vantage.dns("three.example", None, 0.0)
    assert signs(vantage.judge(0.0)) == {Sign.DNS: False}
    vantage.dns("two.example", None, 1.0)
    assert signs(vantage.judge(1.0)) == {}


def test_old_evidence_says_nothing() -> None:
    vantage = Vantage()
    see(vantage, [CUT] * 3, 0.0)
    assert not vantage.judge(RULE.fresh + 0.1).complaints
    see(vantage, [CUT] * 3, 100.0)
    assert not vantage.judge(100.0 + RULE.fresh).healthy
    assert not vantage.judge(100.1 + RULE.fresh).healthy
    assert vantage.judge(100.1 + RULE.fresh + RULE.well_after).healthy


@pytest.mark.parametrize(
    ("claim", "offsets", "bad"),
    [
        ("in time", [0.4, -0.8, 1.0], False),
        ("all say that we are behind", [60.0, 61.0, 60.0], True),
        ("one reference is off", [0.0, 3600.0, 0.5], False),
        ("of two the smaller offset counts", [3600.0, 1.0], False),
        ("behind and ahead count alike", [-60.0], True),
    ],
)
def test_the_clock(claim: str, offsets: list[float], bad: bool) -> None:
    vantage = Vantage()
    for number, offset in enumerate(offsets):
        vantage.clock.date(f"ref-{number}", offset, 0.0)
    assert (Sign.CLOCK in signs(vantage.judge(0.0))) is bad, claim


def test_a_clock_near_its_bound_does_not_flap() -> None:
    vantage = Vantage()
    bad = []
    for now, offset in enumerate([9.0, 11.0, 9.0, 6.0, 4.0]):
        vantage.clock.date("ref", offset, float(now))
        bad.append(Sign.CLOCK in signs(vantage.judge(float(now))))
    assert bad == [False, True, True, True, False]


@pytest.mark.parametrize("sign", [Sign.LAG, Sign.LATE])
def test_lag_and_lateness_need_much_of_a_window(sign: Sign) -> None:
    vantage = Vantage()
    add = vantage.lag if sign is Sign.LAG else vantage.late
    for now in range(10):
        add(9.0 if now == 5 else 0.001, float(now))
    assert not vantage.judge(9.0).complaints
    for now in range(10, 30):
        add(9.0, float(now))
    assert signs(vantage.judge(29.0)) == {sign: False}
    assert signs(vantage.judge(40.0)) == {sign: True}
    for now in range(40, 90):
        add(0.001, float(now))
        vantage.judge(float(now))
    assert vantage.judge(90.0).healthy


def test_lag_is_a_share_of_time_not_of_measurements() -> None:
    """The loop stands still for 2 s, then gives twenty good measurements in a second."""
    vantage = Vantage()
    now = 0.0
    for _ in range(8):
        now += 2.0
        vantage.lag(2.0, now)
        for _ in range(20):
            now += 0.05
            vantage.lag(0.0, now)
    (complaint,) = vantage.judge(now).complaints
    assert complaint.sign is Sign.LAG
    assert complaint.why == "event loop over 0.5 s late in 16 of 24 seconds"


def test_a_short_time_says_nothing() -> None:
    vantage = Vantage()
    vantage.lag(RULE.least - 1.0, 0.0)
    for _ in range(RULE.least - 1):
        vantage.late(9.0, 0.0)
    assert not vantage.judge(0.0).complaints


# ---------------------------------------------------------------- excuses


def ill(sign: Sign) -> Vantage:
    """A vantage with one bad sign at 100 s."""
    vantage = Vantage()
    match sign:
        case Sign.NETWORK:
            vantage.reference("ref", CUT, 100.0)
        case Sign.DNS:
            vantage.reference("ref", Failed(UNRESOLVED), 100.0)
        case Sign.CLOCK:
            vantage.clock.date("ref", 60.0, 100.0)
        case Sign.LAG | Sign.LATE:
            for _ in range(RULE.least):
                (vantage.lag if sign is Sign.LAG else vantage.late)(100.0, 100.0)
    assert signs(vantage.judge(100.0)) == {sign: False}
    return vantage


@pytest.mark.parametrize(
    ("sign", "excused"),
    [
        (Sign.NETWORK, {ALERT, EXPIRED, MISMATCH, TIMEOUT, NXDOMAIN}),
        (Sign.DNS, {NXDOMAIN}),
        (Sign.CLOCK, {EXPIRED}),
        (Sign.LAG, {TIMEOUT}),
        (Sign.LATE, {TIMEOUT}),
    ],
)
def test_each_sign_excuses_only_what_it_can_cause(sign: Sign, excused: set[Failure]) -> None:
    vantage = ill(sign)
    for failure in (ALERT, EXPIRED, MISMATCH, TIMEOUT, NXDOMAIN):
        ours = vantage.excuse(failure, 99.0)
        assert (ours is not None) is (failure in excused), failure
        assert ours is None or ours.ours


def test_the_excuse_keeps_the_evidence() -> None:
    ours = ill(Sign.CLOCK).excuse(replace(EXPIRED, detail="ended yesterday"), 99.0)
    assert ours == Failure(
        Phase.CERTIFICATE,
        Reason.CLOCK_OFF,
        "clock differs by +60 s, by the Date of 1 host; seen: certificate/expired: ended yesterday",
    )


def test_only_attempts_under_way_in_a_bad_moment_are_excused() -> None:
    vantage = ill(Sign.NETWORK)
    see(vantage, [PASS], 105.0)
    vantage.reference("ref", PASS, 105.0)
    assert not vantage.judge(105.0).complaints
    assert vantage.excuse(TIMEOUT, started=99.0) is not None  # it ran when the network was cut
    assert vantage.excuse(TIMEOUT, started=101.0) is None


def test_an_attempt_between_two_judgements_runs_in_a_bad_moment_when_the_last_one_was_bad() -> None:
    vantage = ill(Sign.NETWORK)
    assert vantage.excuse(TIMEOUT, started=100.3) is not None


def test_an_illness_excuses_until_it_is_over() -> None:
    vantage = Vantage()
    for now in (0.0, 5.0, 10.0):
        see(vantage, [CUT], now)
    see(vantage, [PASS], 15.0)
    assert vantage.excuse(TIMEOUT, started=16.0) is not None
    see(vantage, [PASS], 30.0)
    assert vantage.excuse(TIMEOUT, started=31.0) is None


def test_without_references_no_failure_of_targets_is_excused() -> None:
    """A total outage of everything that is probed must not hide itself."""
    vantage = Vantage()
    for now in range(100):
        vantage.lag(0.001, float(now))
        assert vantage.judge(float(now)).healthy
        assert vantage.excuse(UNREACHABLE, float(now)) is None


@pytest.mark.parametrize(
    ("stalls", "excused"),
    [
        ([(12.0, 0.6)], True),
        ([(12.0, 0.4)], False),  # nine tenths of its time were left
        ([(12.0 + n / 2, 0.4) for n in range(6)], True),  # most of its time was not
        ([(9.9, 3.0)], False),  # over before the attempt began
        ([(10.3, 3.0)], False),  # all but over
    ],
)
def test_a_stall_excuses_the_time_outs_of_what_was_under_way(
    stalls: list[tuple[float, float]], excused: bool
) -> None:
    vantage = Vantage()
    for at, seconds in stalls:
        vantage.lag(seconds, at)
    vantage.lag(0.0, 14.0)
    assert not vantage.judge(14.0).complaints, "no sign is bad: nothing lasts"
    ours = vantage.excuse(TIMEOUT, started=10.0)
    assert (ours is not None) is excused
    if ours is not None:
        assert ours.reason is Reason.VANTAGE_ILL
        assert "event loop" in ours.detail
    assert vantage.excuse(UNREACHABLE, started=10.0) is None
    assert vantage.excuse(TIMEOUT, started=15.0) is None
    assert vantage.excuse(TIMEOUT, started=13.9, lag=0.6) is not None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 20), st.lists(st.booleans(), max_size=4)), max_size=40))
def test_no_course_of_events_leaves_an_illness_for_ever(
    rounds: list[tuple[float, list[bool]]],
) -> None:
    vantage = Vantage()
    now = 0.0
    for pause, passes in rounds:
        now += pause
        health = see(vantage, [PASS if passed else CUT for passed in passes], now)
        assert health.healthy or health.complaints
    for _ in range(12):
        now += 5
        health = see(vantage, [PASS] * 4, now)
    assert health == Health() if rounds else True
    assert vantage.excuse(TIMEOUT, now) is None


# ---------------------------------------------------------------- window


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=60))
def test_the_window_counts_what_is_recent_and_forgets_what_is_not(
    values: list[tuple[float, bool]],
) -> None:
    share = SlidingShare(30.0)
    now = 0.0
    seen: list[tuple[float, bool]] = []
    for pause, marked in values:
        now += pause
        share.add(marked, now)
        seen.append((now, marked))
    marked_, total = share.sums(now)
    surely = [mark for at, mark in seen if at > now - 27]
    maybe = [mark for at, mark in seen if at > now - 30]
    assert len(surely) <= total <= len(maybe)
    assert sum(surely) <= marked_ <= sum(maybe)
