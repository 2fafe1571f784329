"""One card a cause: targets that fail everywhere, what a provider lacks, and who joins whom."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Passed, ResolveResult
from probe.model.state import EdgeStatus
from probe.model.target import ProviderKey, Resolution
from probe.serve import Store
from probe.serve.page.card_view import CardView
from probe.serve.page.html import status_page
from probe.serve.page.sentence import card_in_words
from probe.serve.page.status import status_of

from .test_page import NOW
from .world import START, UNRECOGNIZED, World

EXPIRED = Failure(Phase.CERTIFICATE, Reason.EXPIRED, "ended yesterday")
REFUSED = Failure(Phase.CONNECT, Reason.REFUSED)
PROVIDERS = ("cdn-a", "cdn-b")
NAMES = tuple(f"s{number}.example" for number in range(9))


class Town:
    """Targets behind two providers with two addresses each, all of which pass at first."""

    def __init__(
        self, names: Iterable[str] = NAMES, providers: Iterable[str] = PROVIDERS, addresses: int = 2
    ) -> None:
        self.store, self.world = Store("sa-east", started_at=START), World()
        self.names, self.providers = tuple(names), tuple(providers)
        self.numbers = range(1, addresses + 1)
        for name in self.names:
            self.put(name, EdgeStatus.PASSING)

    def put(
        self,
        name: str,
        status: EdgeStatus,
        failure: Failure | None = None,
        *,
        providers: Iterable[str] | None = None,
        numbers: Iterable[int] | None = None,
        client: str = "default",
    ) -> None:
        outcome = Passed() if failure is None else Failed(failure)
        for provider in self.providers if providers is None else providers:
            for number in self.numbers if numbers is None else numbers:
                key = self.world.key(name, provider, number, client)
                self.store.record_edge(self.world.result(key, outcome), status, START)

    def fail(self, name: str, failure: Failure, **where: Iterable[str]) -> None:
        self.put(name, EdgeStatus.FAILING, failure, providers=where.get("providers"))

    @property
    def cards(self) -> tuple[CardView, ...]:
        return status_of(self.store, NOW).cards

    @property
    def said(self) -> list[str]:
        return [card_in_words(card, NOW).partition(" since ")[0] for card in self.cards]


def test_a_target_that_fails_everywhere_is_one_card_that_names_it() -> None:
    town = Town()
    town.fail("s1.example", EXPIRED)
    (card,) = town.cards
    assert (card.everywhere, card.providers, card.of_providers) == (True, PROVIDERS, 2)
    assert (card.targets, card.addresses_total, card.of_addresses) == (("s1.example",), 4, 4)
    assert status_of(town.store, NOW).sentence == (
        "s1.example fails on all 4 addresses of cdn-a and cdn-b since 14:13:20 UTC"
        " — the certificate has expired"
    )
    page = status_page(status_of(town.store, NOW))
    assert page.count("<article") == 1
    assert "On all 4 addresses of cdn-a and cdn-b" in page


def test_targets_that_fail_everywhere_in_the_same_way_are_one_card() -> None:
    town = Town()
    for name in ("s1.example", "s2.example"):
        town.fail(name, EXPIRED)
    assert town.said == ["s1.example and s2.example fail on all 4 addresses of cdn-a and cdn-b"]
    for name in ("s3.example", "s4.example"):
        town.fail(name, EXPIRED)
    assert town.said == ["4 of 9 targets fail on all 4 addresses of cdn-a and cdn-b"]


def test_what_one_provider_lacks_is_that_provider_s_card() -> None:
    town = Town()
    for name in NAMES[:5]:
        town.fail(name, UNRECOGNIZED, providers=["cdn-b"])
    (card,) = town.cards
    assert (card.everywhere, card.providers) == (False, ("cdn-b",))
    assert town.said == ["2 of 2 addresses of cdn-b fail for 5 of 9 targets"]
    assert status_page(status_of(town.store, NOW)).count("/target/s4.example") == 1


def test_a_target_that_fails_everywhere_is_apart_from_what_the_provider_lacks() -> None:
    town = Town()
    for name in NAMES[:3]:
        town.fail(name, UNRECOGNIZED, providers=["cdn-b"])
    town.fail("s8.example", UNRECOGNIZED)
    assert sorted(town.said) == [
        "2 of 2 addresses of cdn-b fail for s0.example, s1.example and s2.example",
        "s8.example fails on all 4 addresses of cdn-a and cdn-b",
    ]


def test_where_everything_fails_no_target_is_blamed() -> None:
    town = Town()
    for name in NAMES:
        town.fail(name, REFUSED)
    assert sorted(town.said) == [
        "2 of 2 addresses of cdn-a fail for 9 of 9 targets",
        "2 of 2 addresses of cdn-b fail for 9 of 9 targets",
    ]


@pytest.mark.parametrize(("broken", "everywhere"), [(1, True), (5, True), (6, False)])
def test_behind_one_provider_few_targets_fail_on_their_own(broken: int, everywhere: bool) -> None:
    town = Town(providers=["live"])
    for name in NAMES[:broken]:
        town.fail(name, EXPIRED)
    assert [card.everywhere for card in town.cards] == [everywhere]


def test_one_client_that_fails_is_not_everywhere() -> None:
    town = Town()
    town.put("s1.example", EdgeStatus.FAILING, REFUSED, client="java")
    assert [(card.everywhere, card.clients) for card in town.cards] == [
        (False, "fails for java, passes for default")
    ] * 2


def test_suspects_join_what_fails_in_the_same_way_and_are_not_counted_as_failing() -> None:
    town = Town()
    town.fail("s1.example", UNRECOGNIZED, providers=["cdn-b"])
    town.put("s2.example", EdgeStatus.SUSPECT, UNRECOGNIZED, providers=["cdn-b"])
    (card,) = town.cards
    assert (card.targets, card.suspects, card.state) == (
        ("s1.example",),
        ("s2.example",),
        "failing",
    )
    assert town.said == ["2 of 2 addresses of cdn-b fail for s1.example"]
    page = status_page(status_of(town.store, NOW))
    assert re.search("Being confirmed: <a [^>]*>s2.example</a> failed in the same way", page)


def test_a_suspicion_alone_is_a_card_and_no_headline() -> None:
    town = Town()
    town.put("s2.example", EdgeStatus.SUSPECT, UNRECOGNIZED)
    assert {(card.state, card.everywhere) for card in town.cards} == {("suspect", False)}
    assert "s2.example" not in status_of(town.store, NOW).sentence


def test_an_address_still_being_confirmed_is_not_among_those_that_fail() -> None:
    town = Town(providers=["cdn-a"])
    town.put("s1.example", EdgeStatus.FAILING, EXPIRED, numbers=[1])
    town.put("s1.example", EdgeStatus.SUSPECT, EXPIRED, numbers=[2])
    assert town.said == ["s1.example fails on 1 of 2 addresses of cdn-a"]


def test_what_cannot_be_judged_blames_no_target() -> None:
    town = Town()
    town.fail("s1.example", EXPIRED, providers=["cdn-a"])
    key = town.world.key("s1.example", "cdn-b", 1)
    ours = Inconclusive(Failure(Phase.CONNECT, Reason.NO_ROUTE))
    town.store.record_edge(town.world.result(key, ours, shook=False), EdgeStatus.PASSING, START)
    assert town.said == ["2 of 2 addresses of cdn-a fail for s1.example"]


@pytest.mark.parametrize(
    ("providers", "said"),
    [
        (PROVIDERS, "s1.example has no address through cdn-a and cdn-b"),
        (("cdn-a",), "cdn-a has no address for s1.example"),
    ],
)
def test_a_name_that_does_not_exist(providers: tuple[str, ...], said: str) -> None:
    town = Town()
    missing = Failure(Phase.RESOLVE, Reason.NXDOMAIN)
    for provider in providers:
        town.store.forget([town.world.key("s1.example", provider, one) for one in town.numbers])
        through = ProviderKey("stores", "s1.example", provider)
        nothing = Resolution((), missing, seconds=0.1)
        town.store.record_resolution(ResolveResult(through, START, nothing))
    assert town.said == [said]


def test_nine_unrelated_faults_are_nine_cards() -> None:
    town = Town(f"t{number}.example" for number in range(12))
    reasons = [one for one in Reason if one is not Reason.UNKNOWN][:9]
    for name, reason in zip(town.names, reasons, strict=False):
        town.fail(name, Failure(Phase.TLS, reason))
    assert len(town.cards) == 9
    assert len({card.place for card in town.cards}) == 9
    assert status_of(town.store, NOW).sentence.endswith("; and 7 more")


def without_intermediate(town: Town, name: str, **where: Iterable[int]) -> None:
    lacking = Failure(Phase.CERTIFICATE, Reason.MISSING_INTERMEDIATE, "it lacks the issuer")
    town.put(name, EdgeStatus.FAILING, lacking, providers=["cdn-a"], numbers=where.get("numbers"))


def test_other_edges_are_said_to_send_an_intermediate_only_if_edges_of_that_domain_do() -> None:
    town = Town(["s1.example", "s2.example", "s3.example"], providers=["cdn-a"])
    without_intermediate(town, "s1.example")
    without_intermediate(town, "s2.example", numbers=[2])
    details = {
        edge.edge + " " + edge.target: edge.detail for edge in status_of(town.store, NOW).edges
    }
    first, second = (town.world.edge("cdn-a", number).label for number in (1, 2))
    assert details == {
        f"{first} s1.example": "it lacks the issuer",
        f"{second} s1.example": "it lacks the issuer",
        f"{second} s2.example": (
            f"it lacks the issuer; other edges of s2.example send it: {first}"
        ),
    }
