"""The state machine of one edge: tables of attempts and what follows from them."""

from __future__ import annotations

from dataclasses import replace
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Outcome, Passed
from probe.model.state import Confirmation, EdgeStatus, Transition
from probe.model.target import EdgeKey
from probe.state.confirmation import advance
from probe.state.history import Attempt, Decision, History, Neighbours, Urgency

POLICY = Confirmation()
KEY = EdgeKey("stores", "a.example", "cdn-b", "192.0.2.1:443", "default")
LOST = Failure(Phase.CONNECT, Reason.TIMEOUT)
REFUSED = Failure(Phase.CONNECT, Reason.REFUSED)
NO_NAME = Failure(Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME)
OUTCOMES: dict[str, Outcome] = {
    ".": Passed(),
    "x": Failed(LOST),
    "r": Failed(REFUSED),
    "n": Failed(NO_NAME),
    "?": Inconclusive(Failure(Phase.AUTH, Reason.SECRET_MISSING)),
}
LETTERS = {
    EdgeStatus.UNKNOWN: "u",
    EdgeStatus.PASSING: "P",
    EdgeStatus.SUSPECT: "S",
    EdgeStatus.FAILING: "F",
    EdgeStatus.FLAPPING: "L",
}
WALL = 1_700_000_000.0


class Edge:
    """An edge that gets one attempt a second."""

    def __init__(self, policy: Confirmation = POLICY) -> None:
        self.policy = policy
        self.history = History()
        self.second = 0
        self.transitions: list[Transition] = []

    def attempt(self, letter: str, seconds: float = 0.25) -> Decision:
        self.second += 1
        attempt = Attempt(KEY, OUTCOMES[letter], WALL + self.second, seconds, command="openssl")
        self.history, decision = advance(self.history, attempt, self.policy, self.second + seconds)
        if decision.transition:
            self.transitions.append(decision.transition)
        return decision

    def attempts(self, letters: str) -> str:
        """The status after each attempt."""
        statuses = ""
        for letter in letters:
            self.attempt(letter)
            statuses += LETTERS[self.history.status]
        return statuses


@pytest.mark.parametrize(
    ("claim", "attempts", "statuses"),
    [
        ("the first pass makes it passing", ".", "P"),
        ("a new edge that fails is suspect first", "x", "S"),
        ("one lost handshake is confirmed away", ".x....", "PSSSSP"),
        ("five failures in a row are failing", ".xxxxx", "PSSSSF"),
        ("a pass in between is no confirmation", ".xxx.xx", "PSSSSSS"),
        ("a second failure needs more than four passes", ".xx....", "PSSSSSS"),
        ("recovery needs five passes", "xxxxx.....", "SSSSFFFFFP"),
        ("a failure during recovery: flapping", "xxxxx..x", "SSSSFFFL"),
        ("half of the attempts fail: flapping", ".x.x.x.x.x.x", "PSSSSSSSSSSL"),
        ("two of three fail: flapping", ".xx.xx.xx.xx", "PSSSSSSSSSSL"),
        ("inconclusive attempts change nothing", "?x?x?x?x?x?", "uSSSSSSSSFF"),
        ("only inconclusive: still unknown", "???", "uuu"),
    ],
)
def test_statuses(claim: str, attempts: str, statuses: str) -> None:
    assert Edge().attempts(attempts) == statuses, claim


def test_an_edge_that_was_never_suspect_costs_no_further_attempts() -> None:
    edge = Edge()
    for _ in range(50):
        assert edge.attempt(".") in (Decision(), Decision(edge.transitions[0]))
    assert len(edge.transitions) == 1


@pytest.mark.parametrize("pattern", ["x.", "x.xx...x..", "x...", "x" + "." * 9, "x" + "." * 19])
def test_flapping_ends_when_so_many_passes_are_improbable(pattern: str) -> None:
    """The rarer it failed, the more passes it takes; a failure begins the row anew."""
    edge = Edge()
    assert edge.attempts("." + pattern * (400 // len(pattern)))[-1] == "L"
    known = log(1e-4) / log(1 - pattern.count("x") / len(pattern))
    edge.attempts("." * int(known / 2) + "x")
    assert known <= edge.attempts("." * 500).index("P") + 1 <= 1.5 * known


def test_in_a_lull_fewer_passes_end_flapping() -> None:
    edge = Edge()
    assert edge.attempts(".x.x.x.x.x.x")[-1] == "L"
    rows = []
    for lull in (False, True):
        history, row = edge.history, 0
        while history.status is not EdgeStatus.PASSING:
            row += 1
            history, _ = advance(history, Attempt(KEY, Passed(), WALL), POLICY, 20.0, lull=lull)
        rows.append(row)
    assert rows[1] < rows[0] / 2


def test_flapping_ends_at_the_latest_after_a_set_number_of_passes() -> None:
    edge = Edge(replace(POLICY, clear_after=8))
    edge.attempts(".x.x.x.x.x.x")
    assert edge.attempts("." * 8) == "L" * 7 + "P"


def test_an_edge_that_flapped_is_named_again_sooner() -> None:
    def failures_until_named(edge: Edge) -> int:
        for count in range(1, 20):
            if edge.attempts("x" + "." * 9)[-1] == "L":
                return count
        raise AssertionError("never named")

    edge = Edge()
    first = failures_until_named(edge)
    while edge.history.status is EdgeStatus.FLAPPING:
        edge.attempt(".")
    assert failures_until_named(edge) < first - 1


def test_a_failure_under_suspicion_needs_one_more_in_a_row_to_be_failing() -> None:
    edge = Edge()
    edge.attempts(".x" + "." * 50)
    assert edge.attempt("x").again == (1.0, 2.0, 3.0, 4.0, 5.0)
    assert edge.attempts("xxxxx") == "SSSSF"


def test_flapping_becomes_failing_when_nothing_passes_any_more() -> None:
    edge = Edge()
    edge.attempts(".x.x.x.x.x.x.")
    assert edge.attempts("x" * 10) == "L" * 9 + "F"


def test_losses_far_apart_are_forgiven() -> None:
    """One in a hundred, evenly: suspect for a moment each time, never more."""
    statuses = Edge().attempts(("." * 99 + "x") * 50)
    assert set(statuses) == {"P", "S"}
    assert statuses.count("S") == 50 * 4 - 3


def test_without_confirmation_one_failure_is_failing_and_one_pass_is_passing() -> None:
    edge = Edge(replace(POLICY, attempts=0))
    assert edge.attempts(".x.") == "PFP"


# ---------------------------------------------------------------- further attempts


def test_the_first_failure_asks_for_quick_attempts_and_one_neighbour() -> None:
    edge = Edge()
    edge.attempt(".")
    decision = edge.attempt("x")
    assert decision.again == (1.0, 2.0, 3.0, 4.0)
    assert decision.beside
    assert decision.urgency is Urgency.CONFIRM
    assert decision.neighbours is Neighbours.ONE


def test_quick_attempts_under_way_are_not_asked_for_twice() -> None:
    edge = Edge()
    edge.attempts(".x")
    assert [edge.attempt("x").again for _ in range(3)] == [(), (), ()]


def test_a_single_loss_is_watched_until_forgiven() -> None:
    edge = Edge()
    edge.attempts(".x")
    asked = [edge.attempt(".").again for _ in range(90)]
    assert asked[:3] == [(), (), ()]  # the quick ones are on their way
    assert asked[3:79] == [(0.25,)] * 76  # half a second from start to start
    assert asked[79:] == [()] * 11


def test_sampling_ends_some_time_after_the_last_failure() -> None:
    edge = Edge(replace(POLICY, sample_for=10.0))
    edge.attempts(".x")
    asked = [bool(edge.attempt(".").again) for _ in range(20)]
    assert asked == [False] * 3 + [True] * 7 + [False] * 10


def test_a_failing_edge_is_not_sampled_faster() -> None:
    edge = Edge()
    edge.attempts(".xxxxx")
    decisions = [edge.attempt("x") for _ in range(20)]
    assert all(decision == Decision() for decision in decisions)


def test_recovery_is_confirmed_quickly_too() -> None:
    edge = Edge()
    edge.attempts("xxxxx")
    decision = edge.attempt(".")
    assert decision.again == (1.0, 2.0, 3.0, 4.0)
    assert decision.beside
    assert decision.neighbours is Neighbours.NONE


def test_a_recovered_edge_is_watched_for_a_while() -> None:
    edge = Edge()
    edge.attempts("xxxxx.....")
    assert edge.history.status is EdgeStatus.PASSING
    assert edge.attempt(".").again == (0.25,)


def test_all_neighbours_are_asked_once_there_is_more_than_one_failure() -> None:
    edge = Edge()
    edge.attempts(".")
    asked = [edge.attempt("x").neighbours for _ in range(7)]
    assert asked == [Neighbours.ONE] + [Neighbours.ALL] * 4 + [Neighbours.NONE] * 2


def test_a_flapping_edge_is_sampled_at_first_and_when_it_passes() -> None:
    edge = Edge(replace(POLICY, sample_for=20.0))
    edge.attempts(".x.x.x.x.x.x")
    assert edge.attempt("x").again == (0.25,)
    edge.attempts(".x" * 10)
    seldom = edge.attempt("x")
    assert (seldom.again, seldom.urgency) == ((5.0,), Urgency.WATCH)
    hopeful = edge.attempt(".")
    assert (hopeful.again, hopeful.urgency) == ((0.25,), Urgency.NAMED)


def test_a_slow_attempt_is_followed_by_a_pause_all_the_same() -> None:
    edge = Edge()
    edge.attempts(".x.x.x.x.x.x")
    assert edge.attempt(".", seconds=10.0).again == (0.25,)


# ---------------------------------------------------------------- transitions


def test_transitions_carry_when_the_streak_began_and_when_it_was_named() -> None:
    edge = Edge()
    edge.attempts("..xxxxx.....")
    suspect, failing, passing = edge.transitions[1:]
    assert (suspect.before, suspect.after, suspect.since) == ("passing", "suspect", WALL + 3)
    assert (failing.before, failing.after, failing.since) == ("suspect", "failing", WALL + 3)
    assert failing.at == WALL + 7.25
    assert (passing.before, passing.after, passing.since) == ("failing", "passing", WALL + 8)
    assert all(change.key == KEY for change in edge.transitions)
    assert failing.command == "openssl"


def test_flapping_is_dated_from_the_first_failure_of_the_streak() -> None:
    edge = Edge()
    edge.attempts("....x.x.x.x.x.x")
    assert edge.transitions[-1].after == "flapping"
    assert edge.transitions[-1].since == WALL + 5


@pytest.mark.parametrize(
    ("claim", "attempts", "failure"),
    [
        ("the commonest", ".nnxnn", NO_NAME),
        ("of equally common ones the latest", ".nx.nx.nx", LOST),
        ("a changed cause takes over in time", "x" * 12 + "n" * 12, NO_NAME),
    ],
)
def test_the_failure_that_is_named(claim: str, attempts: str, failure: Failure) -> None:
    edge = Edge()
    edge.attempts(attempts)
    assert edge.history.failure == failure, claim


def test_the_latest_evidence_of_a_kind_is_kept() -> None:
    history, _ = advance(
        History(), Attempt(KEY, Failed(replace(LOST, detail="old")), WALL), POLICY, 0.0
    )
    history, _ = advance(
        history, Attempt(KEY, Failed(replace(LOST, detail="new")), WALL), POLICY, 1.0
    )
    assert history.failure == replace(LOST, detail="new")


def test_a_recovery_names_what_is_over_and_the_next_streak_starts_clean() -> None:
    edge = Edge()
    edge.attempts("nnnnn.....")
    assert edge.transitions[-1].failure == NO_NAME
    assert edge.history.failure is None
    edge.attempts("x")
    assert edge.transitions[-1].failure == LOST
    assert edge.transitions[-1].since == WALL + 11


# ---------------------------------------------------------------- properties

letters = st.text(alphabet=".xrn?", max_size=120)


@settings(max_examples=150, deadline=None)
@given(letters)
def test_counts_are_conserved(attempts: str) -> None:
    edge = Edge()
    edge.attempts(attempts)
    history = edge.history
    assert history.passed + history.failed + history.inconclusive == len(attempts)
    assert history.inconclusive == attempts.count("?")
    assert history.passed == attempts.count(".")
    assert len(history.tallies) <= 6


@settings(max_examples=150, deadline=None)
@given(letters)
def test_no_state_outlives_enough_passes(attempts: str) -> None:
    """Whatever came before, passes alone lead back to passing with nothing remembered."""
    edge = Edge()
    edge.attempts(attempts)
    edge.attempts("." * 800)
    assert edge.history.status is EdgeStatus.PASSING
    assert (edge.history.bad, edge.history.good) == (0, 0)
    assert edge.history.failure is None
    assert edge.history.bad_at is None


@settings(max_examples=150, deadline=None)
@given(letters)
def test_no_state_withstands_enough_failures(attempts: str) -> None:
    edge = Edge()
    edge.attempts(attempts)
    edge.attempts("x" * 11)
    assert edge.history.status is EdgeStatus.FAILING


@settings(max_examples=150, deadline=None)
@given(letters)
def test_transitions_form_a_chain_and_happen_only_on_change(attempts: str) -> None:
    edge = Edge()
    edge.attempts(attempts)
    at = "unknown"
    for change in edge.transitions:
        assert change.before == at
        assert change.after != at
        assert change.since <= change.at
        at = change.after
    assert at == edge.history.status


@settings(max_examples=100, deadline=None)
@given(letters, st.integers(0, 6), st.integers(1, 8), st.integers(1, 20), st.integers(1, 40))
def test_no_policy_makes_a_state_that_cannot_be_left(
    attempts: str, further: int, score: int, forgive: int, clear: int
) -> None:
    policy = replace(
        POLICY, attempts=further, flapping_score=score, forgive_after=forgive, clear_after=clear
    )
    edge = Edge(policy)
    edge.attempts(attempts)
    edge.attempts("." * 300)
    assert edge.history.status is EdgeStatus.PASSING
    edge.attempts("x" * 20)
    assert edge.history.status in (EdgeStatus.FAILING, EdgeStatus.FLAPPING)


@settings(max_examples=100, deadline=None)
@given(letters)
def test_a_history_survives_a_change_of_policy(attempts: str) -> None:
    edge = Edge()
    edge.attempts(attempts)
    edge.policy = Confirmation(attempts=1, forgive_after=3, flapping_score=2.0, clear_after=5)
    edge.attempts("." * 30)
    assert edge.history.status is EdgeStatus.PASSING
