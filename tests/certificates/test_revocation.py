"""What lists say of a served chain: through the judge, with lists that the test hands in."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from cryptography import x509

from probe.certificates import Judge, Roots, Verdict
from probe.certificates import lists as lists_module
from probe.certificates.crl import read_list
from probe.certificates.lists import FORGOTTEN, RevocationLists
from probe.certificates.question import KINDS, Question, answer_plainly
from probe.certificates.revocation import Watch
from probe.certificates.verdict import Finding
from probe.model.failure import Reason
from probe.model.tls import ChainExpectations
from probe.net.child import made, plain

from .authority import DAY, NOW, Made, intermediate, leaf, root
from .revoking import DELTA, OTHER, URL, entry, named, points, revocation_list, scope
from .test_judge import AT, ask, reasons, sent

TOP = root()
ISSUING = intermediate(TOP)
SERVER = named(ISSUING)
HOLD = x509.ReasonFlags.certificate_hold
ABOVE = "http://crl.example/root.crl"


class Case:
    """A judge, and the lists that it asks for."""

    def __init__(self, *chain: Made, top: Made = TOP) -> None:
        self.chain = chain or (SERVER, ISSUING)
        self.lists = RevocationLists()
        self.wanted: list[str] = []
        self.lists.on_wanted = self.wanted.append
        self.judge = Judge(lambda _: Roots.of([top.der]), lists=self.lists)

    def ask(self, now: float = AT) -> Verdict:
        return ask(self.judge, sent(*self.chain), now=now)

    def take(self, made: bytes, url: str = URL, issuer: Made = ISSUING) -> None:
        self.lists.take(url, AT, read_list(made, [issuer.der]))

    def fail(self, url: str = URL) -> None:
        finding = Finding(Reason.CRL_UNAVAILABLE, f"{url} gives nothing", fatal=False)
        self.lists.take(url, AT, finding)


def test_before_a_list_was_fetched_nothing_is_said_and_it_is_asked_for_once() -> None:
    case = Case()
    assert case.ask().crl == "pending"
    assert case.ask().accepted
    assert case.wanted == [URL]


def test_a_chain_that_names_no_list_is_not_looked_at() -> None:
    case = Case(leaf(ISSUING), ISSUING)
    verdict = case.ask()
    assert (verdict.crl, verdict.accepted, case.wanted) == (None, True, [])


def test_a_list_that_does_not_name_it_is_good_and_the_verdict_is_remembered() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING, entry(5)))
    verdict = case.ask()
    assert (verdict.crl, verdict.failures, verdict.warnings) == ("good", (), ())
    assert case.ask(AT + 60) is verdict


def test_a_revoked_certificate_fails_with_date_reason_and_list() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING, entry(SERVER)))
    verdict = case.ask()
    assert verdict.crl == "revoked"
    assert reasons(verdict.failures) == [Reason.CRL_REVOKED]
    assert verdict.failures[0].detail == (
        "the issuer revoked the certificate at 2026-05-29T00:00:00Z (keyCompromise), says the "
        f"revocation list {URL}"
    )
    assert case.lists.revoked() == 1


def test_a_revocation_is_noticed_when_the_next_list_comes_and_ends_with_another() -> None:
    case = Case()
    case.ask()
    held = [entry(SERVER, HOLD)]
    for number, names, status in ((7, [], "good"), (8, held, "revoked"), (9, [], "good")):
        begins = NOW - timedelta(hours=10 - number)
        case.take(revocation_list(ISSUING, *names, number=number, begins=begins))
        assert case.ask().crl == status


def test_an_older_list_takes_nothing_back() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING, entry(SERVER)))
    case.take(revocation_list(ISSUING, begins=NOW - 2 * DAY))
    assert case.ask().crl == "revoked"


def test_a_revoked_authority_fails_and_is_named() -> None:
    issuing = intermediate(TOP, extra=[(points(ABOVE), False)])
    case = Case(leaf(issuing), issuing)
    assert case.ask().crl == "pending"
    case.take(revocation_list(TOP, entry(issuing)), ABOVE, TOP)
    verdict = case.ask()
    assert reasons(verdict.failures) == [Reason.CRL_REVOKED]
    assert "revoked the authority 'CN=Issuing,O=Issuing Company'" in verdict.failures[0].detail


def test_an_authority_that_one_of_two_paths_does_without_fails_nothing() -> None:
    bridge = root("Bridge")
    key = ISSUING.key
    crossed = intermediate(
        bridge, key=key, extra=[(points(ABOVE), False)], not_after=NOW + 900 * DAY
    )
    case = Case(leaf(ISSUING, not_after=NOW + 80 * DAY), ISSUING, crossed)
    case.judge = Judge(lambda _: Roots.of([TOP.der, bridge.der]), lists=case.lists)
    case.ask()
    if ABOVE in case.lists.known:
        case.take(revocation_list(bridge, entry(crossed)), ABOVE, bridge)
    assert Reason.CRL_REVOKED not in reasons(case.ask().failures)


@pytest.mark.parametrize("chain", [[SERVER], [named(root("Stranger"))]])
def test_a_chain_that_does_not_verify_is_not_looked_at(chain: list[Made]) -> None:
    case = Case(*chain)
    verdict = case.ask()
    assert (verdict.crl, verdict.accepted, case.wanted) == (None, False, [])


def test_a_list_that_cannot_be_had_is_a_warning_and_never_a_failure() -> None:
    case = Case()
    case.ask()
    case.fail()
    verdict = case.ask()
    assert (verdict.crl, verdict.failures) == ("unknown", ())
    assert reasons(verdict.warnings) == [Reason.CRL_UNAVAILABLE]


def test_a_list_past_its_end_is_a_warning_from_that_instant_on() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING, begins=NOW - 6 * DAY))
    assert case.ask(AT + 86_400).crl == "good"
    verdict = case.ask(AT + 86_401)
    assert (verdict.crl, verdict.failures) == ("unknown", ())
    assert reasons(verdict.warnings) == [Reason.CRL_EXPIRED]
    assert "ended at 2026-06-02T00:00:00Z" in verdict.warnings[0].detail
    assert case.ask(AT + 86_400).crl == "good", "a clock that was set back"


def test_what_a_list_past_its_end_revoked_stays_revoked() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING, entry(SERVER)))
    case.fail()
    assert case.ask(AT + 30 * 86_400).crl == "revoked"


def test_a_list_that_holds_serves_while_its_server_is_down() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING))
    case.fail()
    assert (case.ask().crl, case.ask().warnings) == ("good", ())
    assert list(case.lists.standings(AT)) == [(URL, "usable", Reason.CRL_UNAVAILABLE)]
    assert list(case.lists.standings(AT + 8 * 86_400)) == [(URL, "expired", Reason.CRL_EXPIRED)]


@pytest.mark.parametrize("together", [True, False])
def test_the_second_place_is_asked_when_the_first_gives_nothing(together: bool) -> None:
    case = Case(named(ISSUING, "ldap://x/", URL, "https://x/c", OTHER, together=together), ISSUING)
    case.ask()
    assert case.wanted == [URL]
    case.fail()
    assert case.ask().crl == "pending"
    assert case.wanted == [URL, OTHER]
    case.take(revocation_list(ISSUING), OTHER)
    assert (case.ask().crl, case.ask().warnings) == ("good", ())


@pytest.mark.parametrize(
    "url",
    [
        "https://x/c",
        "ldap:///cn=x",
        "http://",
        "http://u:p@x/",
        "file:///etc/passwd",
        "http://x/" + "y" * 400,
        "http://[/",
    ],
)
def test_urls_of_another_kind_are_not_asked_and_nothing_is_claimed(url: str) -> None:
    case = Case(named(ISSUING, url), ISSUING)
    assert (case.ask().crl, case.wanted) == (None, [])


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (revocation_list(ISSUING, about=scope(OTHER)), "another part"),
        (revocation_list(ISSUING, about=scope(authorities=True)), "about authorities only"),
        (revocation_list(ISSUING, base=7), "changes only"),
    ],
)
def test_a_list_about_something_else_says_nothing(made: bytes, says: str) -> None:
    case = Case()
    case.ask()
    case.take(made)
    verdict = case.ask()
    assert (verdict.crl, verdict.failures) == ("unknown", ())
    assert reasons(verdict.warnings) == [Reason.CRL_INVALID]
    assert says in verdict.warnings[0].detail


@pytest.mark.parametrize(
    "about", [scope(URL), scope(OTHER, URL, servers=True), scope(servers=True)]
)
def test_a_part_that_the_certificate_names_speaks_for_it(
    about: x509.IssuingDistributionPoint,
) -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING, entry(SERVER), about=about))
    assert case.ask().crl == "revoked"


def test_a_list_by_another_key_of_the_same_name_says_nothing() -> None:
    twin = intermediate(TOP)
    case = Case()
    case.ask()
    case.take(revocation_list(twin, entry(SERVER)), issuer=twin)
    assert reasons(case.ask().warnings) == [Reason.CRL_INVALID]


def test_changes_are_asked_for_and_add_and_take_back() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING, entry(5), deltas=[DELTA]))
    assert (case.ask().crl, case.wanted) == ("pending", [URL, DELTA])
    case.take(revocation_list(ISSUING, base=6, number=8), DELTA)
    assert case.ask().crl == "good"
    later = revocation_list(ISSUING, entry(SERVER, HOLD), base=7, number=9)
    case.take(later, DELTA)
    assert case.ask().crl == "revoked"
    assert DELTA in case.ask().failures[0].detail
    back = entry(SERVER, x509.ReasonFlags.remove_from_crl)
    case.take(revocation_list(ISSUING, back, base=7, number=10), DELTA)
    assert case.ask().crl == "good"


def test_changes_to_a_later_list_than_the_one_that_is_here_do_not_count() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING, deltas=[DELTA], number=7))
    case.ask()
    case.take(revocation_list(ISSUING, entry(SERVER), base=8, number=9), DELTA)
    assert case.ask().crl == "good"


def test_changes_that_cannot_be_had_are_a_warning() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING, deltas=[DELTA]))
    case.ask()
    case.fail(DELTA)
    assert (case.ask().crl, reasons(case.ask().warnings)) == ("good", [Reason.CRL_UNAVAILABLE])


def test_a_list_from_the_future_is_not_used() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING, begins=NOW + timedelta(minutes=6)))
    assert reasons(case.ask().warnings) == [Reason.CRL_INVALID]


def test_lists_are_bounded_in_number_and_in_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists_module, "MOST_LISTS", 1)
    monkeypatch.setattr(lists_module, "MOST_HELD", 1)
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING, entry(1), entry(2)))
    assert reasons(case.ask().warnings) == [Reason.CRL_UNAVAILABLE]
    case.chain = (named(ISSUING, OTHER), ISSUING)
    verdict = case.ask()
    assert (verdict.crl, reasons(verdict.warnings)) == ("unknown", [Reason.CRL_UNAVAILABLE])
    assert case.wanted == [URL]


def test_what_nobody_serves_for_a_day_is_forgotten_and_asked_for_anew() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING, entry(SERVER)))
    case.ask()
    case.lists.sweep(AT + FORGOTTEN - 1)
    assert URL in case.lists.known
    case.lists.sweep(AT + FORGOTTEN)
    assert (case.lists.known, case.lists.revoked()) == ({}, 0)
    assert case.ask().crl == "pending", "what was revoked must not be called good meanwhile"
    case.take(revocation_list(ISSUING, entry(SERVER)))
    assert case.ask().crl == "revoked"


def test_a_list_that_is_forgotten_calls_nothing_good_any_more() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING))
    first = Watch(case.ask().revocable)
    case.lists.judged(first, AT)
    case.lists.sweep(AT + FORGOTTEN)
    assert first.found is None
    assert case.lists.judged(first, AT).status == "pending"


def test_switched_off_nothing_is_looked_at_and_on_again_nothing_is_claimed() -> None:
    case = Case()
    case.ask()
    case.take(revocation_list(ISSUING))
    case.ask()
    case.judge.lists = None
    case.lists.forget()
    assert case.ask().crl is None
    case.judge.lists = case.lists
    assert case.ask().crl == "pending"


def test_a_list_that_came_changes_only_the_paths_that_asked_for_it() -> None:
    case = Case()
    other = named(ISSUING, OTHER)
    case.ask()
    ask(case.judge, sent(other, ISSUING))
    case.take(revocation_list(ISSUING), OTHER)
    good = ask(case.judge, sent(other, ISSUING))
    case.take(revocation_list(ISSUING, entry(SERVER)))
    assert ask(case.judge, sent(other, ISSUING)) is good
    assert case.ask().crl == "revoked"


def test_a_chain_judged_elsewhere_is_looked_up_too() -> None:
    chain = sent(SERVER, ISSUING)
    question = Question(chain, "shop.example", AT, Roots.of([TOP.der]), ChainExpectations())
    answer = answer_plainly(question, (b"a", b"b"), [])
    verdict, *_ = made(json.dumps(plain(answer)).encode(), *KINDS)
    assert verdict.revocable == Case().ask().revocable != ()
