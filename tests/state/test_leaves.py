"""A change of certificate is one event, whatever the edges do while it reaches them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.model.result import CertificateFacts
from probe.model.state import ConsensusRule, LeafChange
from probe.model.target import EdgeKey, ProviderKey
from probe.state.consensus import Consensus, Subject
from probe.state.leaves import MOST_LEAVES, LeafWatch, WatchedLeaf

START = 1_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
SUBJECT = Subject("shop.example", "cdn", "ecdsa")


def leaf(
    name: str, begins: float = 0.0, *, issuer: str = "CN=CA", key_type: str = "ecdsa"
) -> CertificateFacts:
    """A certificate that is called by one letter, and began so many seconds after the start."""
    return CertificateFacts(
        fingerprint_sha256=name * 8,
        spki_sha256=name,
        subject="CN=shop.example",
        issuer=issuer,
        serial="1",
        not_before=START + begins,
        not_after=START + begins + 90 * DAY,
        dns_names=("shop.example",),
        ip_names=(),
        key=key_type,
        key_type=key_type,
    )


class Seen:
    """A watch beside the consensus that it stands beside in the agent."""

    def __init__(self, watch: LeafWatch | None = None) -> None:
        self.watch = watch or LeafWatch(6 * HOUR)
        self.consensus = Consensus(ConsensusRule())

    def __call__(self, edge: int, facts: CertificateFacts | None, at: float) -> LeafChange | None:
        key = EdgeKey("stores", "shop.example", "cdn", f"192.0.2.{edge}:443", "default")
        now = START + at
        found = None
        before = self.consensus.served(key)
        if facts is not None and before != facts:
            found = self.watch.observe(key, before, facts, now, self.consensus.serving)
        self.consensus.observe(key, facts, now)
        return found[1].last if found is not None and found[2] else None


def kinds(changes: Iterator[LeafChange | None]) -> list[str]:
    return [change.kind for change in changes if change is not None]


OLD, NEW = leaf("a"), leaf("b", 30 * DAY)


def settled(*edges: int) -> Seen:
    """All of these edges have served the old certificate for a month."""
    seen = Seen()
    for edge in edges:
        assert seen(edge, OLD, 0) is None
    return seen


def test_a_renewal_that_rolls_over_the_edges_is_one_change() -> None:
    seen = settled(1, 2, 3)
    change = seen(2, NEW, 30 * DAY)
    assert change is not None
    assert (change.kind, change.at) == ("renewed", START + 30 * DAY)
    assert (change.before.fingerprint, change.after.fingerprint) == ("a" * 8, "b" * 8)
    assert change.after.not_after == NEW.not_after
    assert seen(1, NEW, 30 * DAY + HOUR) is None
    assert seen(3, NEW, 35 * DAY) is None
    known = seen.watch.of(SUBJECT)
    assert known is not None
    assert known.changes == 1


def test_an_edge_that_still_serves_the_old_one_is_no_change_back() -> None:
    """An address with two machines behind it, for days; and edges that come and go."""
    seen = settled(1, 2)
    assert seen(1, NEW, 30 * DAY) is not None
    for hour in range(1, 100):
        facts = OLD if hour % 2 else NEW
        assert seen(1, facts, 30 * DAY + hour * HOUR) is None
    assert seen(2, None, 35 * DAY) is None
    assert seen(2, OLD, 40 * DAY) is None
    assert seen(9, OLD, 40 * DAY) is None


def test_one_that_no_edge_has_served_for_long_returns_as_a_change() -> None:
    seen = settled(1)
    assert seen(1, NEW, 30 * DAY) is not None
    change = seen(1, OLD, 31 * DAY)
    assert change is not None
    assert (change.kind, change.returned) == ("older one again", True)
    change = seen(1, NEW, 33 * DAY)
    assert change is not None


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        (leaf("c", DAY, issuer="CN=Other"), "other issuer"),
        (leaf("c", -DAY, issuer="CN=Other"), "other issuer"),  # begins earlier: a migration
        (leaf("c", DAY, key_type="rsa"), "other key type"),
        (leaf("c", DAY, key_type="rsa", issuer="CN=Other"), "other key type"),
        (leaf("c", -DAY), "renewed"),
    ],
)
def test_what_is_different_is_told(after: CertificateFacts, kind: str) -> None:
    seen = settled(1, 2)
    assert kinds(seen(edge, after, DAY + edge) for edge in (1, 2)) == [kind]


def test_an_rsa_certificate_beside_an_ecdsa_one_is_no_change() -> None:
    seen = settled(1, 2)
    twin = leaf("r", key_type="rsa")
    assert seen(3, twin, DAY) is None
    assert seen(1, twin, DAY + 1) is None


def test_what_was_there_before_anybody_looked_is_no_change() -> None:
    """The agent starts in the middle of a renewal, in whatever order it looks."""
    for first, second in ((OLD, NEW), (NEW, OLD)):
        seen = Seen()
        assert seen(1, first, 30 * DAY) is None
        assert seen(2, second, 30 * DAY + 20) is None
        known = seen.watch.of(SUBJECT)
        assert known is not None
        assert known.current.fingerprint == "b" * 8
        assert seen(1, NEW, 31 * DAY) is None


def test_a_new_edge_tells_a_change_only_by_a_newer_certificate() -> None:
    seen = settled(1, 2)
    assert seen(3, leaf("o", -30 * DAY), DAY) is None  # DNS names an edge that was left behind
    assert seen(4, NEW, 30 * DAY) is not None


def test_it_is_told_when_every_edge_was_down_meanwhile() -> None:
    seen = settled(1)
    assert seen(1, None, DAY) is None
    assert kinds(iter([seen(1, leaf("o", -DAY, issuer="CN=Other"), 2 * DAY)])) == ["other issuer"]


def test_a_provider_with_a_certificate_for_every_machine_tells_nothing() -> None:
    seen = Seen()
    told = 0
    for number in range(400):
        told += seen(number % 40, leaf(f"{number:x}-", number * 60.0), number * 60.0) is not None
    assert told < 2 * MOST_LEAVES + 40
    known = seen.watch.of(SUBJECT)
    assert known is not None
    assert len(known.others) <= MOST_LEAVES
    late = [seen(n % 40, leaf(f"x{n}-", 9 * DAY + n), 9 * DAY + n) for n in range(400)]
    assert sum(one is not None for one in late[100:]) == 0


def test_what_was_known_survives_a_restart() -> None:
    seen = settled(1)
    assert seen(1, NEW, 30 * DAY) is not None
    known = seen.watch.of(SUBJECT)
    assert known is not None
    kept = WatchedLeaf.of(json.loads(json.dumps(known.plain())))
    assert kept.plain() == known.plain()
    again = Seen(LeafWatch(6 * HOUR, lambda subject: kept if subject == SUBJECT else None))
    assert again(1, OLD, 30 * DAY + HOUR) is None  # still on its way
    assert again(2, NEW, 30 * DAY + HOUR) is None
    third = leaf("c", 60 * DAY)
    assert kinds(iter([again(3, third, 60 * DAY)])) == ["renewed"]
    assert kept.changes == 2


def test_a_change_while_the_agent_was_down_is_told_by_the_first_look() -> None:
    before = settled(1).watch.of(SUBJECT)
    again = Seen(LeafWatch(6 * HOUR, lambda _: before))
    assert kinds(again(edge, NEW, 30 * DAY + edge) for edge in (1, 2, 3)) == ["renewed"]


@pytest.mark.parametrize("plain", [{}, {"current": ["a"]}, [], {"current": "abcde", "begun": 0}])
def test_a_damaged_memory_is_refused(plain: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        WatchedLeaf.of(plain)  # type: ignore[arg-type]


def test_a_target_that_is_gone_leaves_nothing() -> None:
    seen = settled(1)
    seen(2, leaf("r", key_type="rsa"), 1)
    seen.watch.forget(ProviderKey("stores", "shop.example", "cdn"))
    assert seen.watch.of(SUBJECT) is None
    assert seen.watch.of(SUBJECT._replace(key_type="rsa")) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from("no"), st.floats(0, 60)), max_size=60))
def test_between_two_certificates_there_is_at_most_one_change_within_the_grace(
    steps: list[tuple[int, str, float]],
) -> None:
    """However four edges flap between the old and the new one, and fail in between."""
    seen = settled(1, 2)
    at, told = 30 * DAY, 0
    for edge, which, seconds in steps:
        at += seconds
        told += seen(edge, NEW if which == "n" else OLD, at) is not None
    assert told == any(which == "n" for _, which, _ in steps)
