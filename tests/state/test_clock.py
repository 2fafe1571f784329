"""How far the clock is off, by dates of answers and certificates: evidence in, a reading out."""

from __future__ import annotations

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import CertificateFacts, Failed, Outcome, Passed
from probe.state.clock import OWN_HOLDS, ClockEvidence
from probe.state.vantage import Sign, Vantage

DAY = 86_400.0
TRUE = 1_800_000_000.0
EXPIRED = Failure(Phase.CERTIFICATE, Reason.EXPIRED)
EARLY = Failure(Phase.CERTIFICATE, Reason.NOT_YET_VALID)
UNTRUSTED = Failure(Phase.CERTIFICATE, Reason.UNKNOWN_ISSUER)


def evidence() -> ClockEvidence:
    return ClockEvidence(bound=10.0, fresh=30.0)


def leaf(number: int, begins: float, ends: float, issuer: str = "one") -> CertificateFacts:
    """A certificate by the days of its life from the true time on."""
    return CertificateFacts(
        fingerprint_sha256=f"{number:064x}",
        spki_sha256="",
        subject="CN=shop.example",
        issuer=f"CN={issuer}",
        serial="01",
        not_before=TRUE + begins * DAY,
        not_after=TRUE + ends * DAY,
        dns_names=("shop.example",),
        ip_names=(),
        key="ec-p256",
        key_type="ecdsa",
    )


def judged_at(one: CertificateFacts, wall: float) -> Outcome:
    """What the judge says of a certificate by a clock."""
    if wall > one.not_after:
        return Failed(EXPIRED)
    return Passed() if wall >= one.not_before else Failed(EARLY)


BATCH = [leaf(n, -61.0, 29.0) for n in range(50)]
ESTATE = [leaf(n, -5.0 - n, 85.0 - n, "one" if n % 2 else "two") for n in range(60)]
ONE_ISSUER = [leaf(n, -5.0 - n, 85.0 - n) for n in range(60)]
LAPSED = [leaf(n, -300.0 - n, -210.0 - n, "one" if n % 2 else "two") for n in range(5)]
PRIVATE = leaf(99, -2000.0, 2000.0, "private")


@pytest.mark.parametrize(
    ("claim", "leaves", "days_off", "least"),
    [
        ("400 days ahead", ESTATE, 400, -315.0),
        ("400 days behind", ESTATE, -400, 394.0),
        ("years ahead", ESTATE, 4000, -3915.0),
        ("back in 1970", ESTATE, -20_000, 19_994.0),
        ("ten days behind", ESTATE, -10, 4.0),
        ("one issuer, issued over weeks: ahead", ONE_ISSUER, 400, -315.0),
        ("one issuer, issued over weeks: behind", ONE_ISSUER, -400, 394.0),
        ("private certificates with a long life say nothing", [*ESTATE, PRIVATE], 400, -315.0),
        ("right", ESTATE, 0, None),
        ("a day ahead is not seen", ESTATE, 1, None),
        ("one certificate for all names, and it ended", [leaf(1, -400.0, -310.0)], 0, None),
        ("so it is with a clock that is ahead: cannot tell", [leaf(1, -5.0, 85.0)], 400, None),
        ("a batch that all ended last night", BATCH, 30, None),
        ("a batch that ended half a year ago", BATCH, 200, None),
        ("five that lapsed long ago among others", [*LAPSED, *ESTATE], 0, None),
        ("a batch dated forward by mistake", [leaf(n, 30.0, 120.0) for n in range(50)], 0, None),
        ("two of them", [leaf(1, 3.0, 90.0), leaf(2, 3.0, 90.0, "two")], 0, None),
        ("nothing seen", [], 400, None),
    ],
)
def test_signed_dates(
    claim: str, leaves: list[CertificateFacts], days_off: float, least: float | None
) -> None:
    clock, wall = evidence(), TRUE + days_off * DAY
    for one in leaves:
        clock.certificate(one, judged_at(one, wall), wall)
    reading = clock.judge(0.0, bad=False)
    if least is None:
        assert (reading.offset, reading.why) == (None, ""), claim
        assert "off by days" in reading.unjudged
    else:
        assert reading.offset == pytest.approx(least * DAY), claim
        number = 5 if days_off == -10 else 60
        assert f"days) at least, by the dates of {number} certificates" in reading.why


def test_a_chain_that_nobody_trusted_signed_says_nothing() -> None:
    clock = evidence()
    for one in ESTATE:
        clock.certificate(one, Failed(EXPIRED, (UNTRUSTED,)), TRUE + 400 * DAY)
    assert clock.judge(0.0, bad=False).offset is None


def test_one_certificate_that_is_valid_by_our_clock_keeps_it_from_being_ahead() -> None:
    clock, wall = evidence(), TRUE + 400 * DAY
    clock.certificate(leaf(500, 350.0, 440.0), Passed(), wall)
    for one in ESTATE:
        clock.certificate(one, Failed(EXPIRED), wall)
    assert clock.judge(0.0, bad=False).offset is None


def test_when_the_clock_is_set_certificates_are_seen_again() -> None:
    clock, wall = evidence(), TRUE + 400 * DAY
    clock.certificate(ESTATE[0], Passed(), TRUE)
    clock.stepped(400 * DAY)
    for one in ESTATE:
        clock.certificate(one, judged_at(one, wall), wall)
    assert clock.judge(0.0, bad=False).offset == pytest.approx(-315 * DAY)
    clock.stepped(-400 * DAY)
    assert clock.judge(0.0, bad=True).offset is None


@pytest.mark.parametrize(
    ("claim", "named", "own", "proof", "offset"),
    [
        ("references count alone", [60.0], [0.0, 0.0], False, 60.0),
        ("one host that is probed says nothing of us", [], [60.0], False, None),
        ("two that agree do", [], [60.0, 61.0], False, 60.0),
        ("of two that differ the smaller counts", [], [3600.0, 0.2], False, 0.2),
        ("one, whose certificate is valid then and not now", [], [-34e6], True, -34e6),
        ("and others are right", [], [-34e6, 0.1, 0.2], True, 0.2),
    ],
)
def test_dates(
    claim: str, named: list[float], own: list[float], proof: bool, offset: float | None
) -> None:
    clock = evidence()
    for number, seconds in enumerate(named):
        clock.date(f"reference-{number}", seconds, 0.0)
    for number, seconds in enumerate(own):
        clock.date(f"host-{number}", seconds, 0.0, own=True, proof=proof and not number)
    reading = clock.judge(0.0, bad=False)
    assert reading.offset == offset, claim
    assert bool(reading.why) is (offset is not None and abs(offset) > 10)


def test_a_step_moves_what_is_known_of_the_offset() -> None:
    clock = evidence()
    for host in ("one", "two"):
        clock.date(host, 0.2, 0.0, own=True)
    clock.stepped(3600.0)
    assert clock.judge(1.0, bad=False).offset == pytest.approx(-3599.8)
    assert clock.judge(OWN_HOLDS + 1, bad=False).offset is None


def test_the_dates_of_some_hosts_speak_for_thousands_until_they_are_old() -> None:
    clock = evidence()
    for number in range(5000):
        clock.date(f"host-{number}", 20.0, 0.0, own=True)
    assert "the Date of 256 hosts" in clock.judge(0.0, bad=False).why
    for name in ("host-0", "host-1"):
        clock.date(name, 0.2, OWN_HOLDS + 1, own=True)
    for number in range(5000, 5002):
        clock.date(f"host-{number}", 0.1, OWN_HOLDS + 1, own=True)
    assert clock.judge(OWN_HOLDS + 1, bad=False).offset == pytest.approx(0.2)
    clock.date("reference", 30.0, OWN_HOLDS + 1)
    assert clock.judge(OWN_HOLDS + 1, bad=False).offset == 30.0


def test_the_kernel_tells_whether_anything_would_be_noticed() -> None:
    clock = evidence()
    assert clock.judge(0.0, bad=False).unjudged
    clock.synchronized = True
    assert not clock.judge(0.0, bad=False).unjudged
    clock.synchronized = False
    clock.date("one", 60.0, 0.0)
    assert clock.judge(0.0, bad=False).why == (
        "clock differs by +60 s, by the Date of 1 host; the kernel says that nothing keeps it right"
    )


def test_a_wrong_clock_excuses_dates_and_nothing_else() -> None:
    vantage = Vantage()
    for one in ESTATE:
        vantage.clock.certificate(one, Failed(EXPIRED), TRUE + 400 * DAY)
    health = vantage.judge(0.0)
    assert [one.sign for one in health.complaints] == [Sign.CLOCK]
    assert health.clock_offset == pytest.approx(-315 * DAY)
    excused = vantage.excuse(EXPIRED, 0.0)
    assert excused is not None
    assert excused.reason is Reason.CLOCK_OFF
    assert vantage.excuse(Failure(Phase.CONNECT, Reason.REFUSED), 0.0) is None
    assert vantage.excuse(Failure(Phase.CERTIFICATE, Reason.NAME_MISMATCH), 0.0) is None
