"""The budget of further attempts, and which neighbours are asked."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Outcome, Passed
from probe.model.state import Confirmation, EdgeStatus
from probe.model.target import EdgeKey
from probe.state.history import Attempt, Urgency
from probe.state.sampling import Budget, Confirmer, ExtraAttempt, Reaction

POLICY = Confirmation()
PASS = Passed()
FAIL = Failed(Failure(Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME))


def key(edge: int = 0, client: str = "default", target: str = "a.example") -> EdgeKey:
    return EdgeKey("stores", target, "cdn-b", f"192.0.2.{edge}:443", client)


def confirmer(*keys: EdgeKey, policy: Confirmation = POLICY, interval: float = 15.0) -> Confirmer:
    made = Confirmer(policy, interval)
    made.add(keys)
    return made


def record(at: Confirmer, edge: EdgeKey, outcome: Outcome, now: float) -> Reaction:
    return at.record(Attempt(edge, outcome, 1_700_000_000.0 + now), now)


# ---------------------------------------------------------------- budget


def test_a_full_bucket_serves_at_once_and_refills_at_its_rate() -> None:
    budget = Budget(rate=2.0, burst=10.0)
    assert budget.take(12, Urgency.CONFIRM, 0.0) == 10
    assert budget.take(5, Urgency.CONFIRM, 1.0) == 2
    assert budget.take(5, Urgency.CONFIRM, 1.0) == 0
    assert budget.take(99, Urgency.CONFIRM, 100.0) == 10


@pytest.mark.parametrize(
    ("urgency", "granted"),
    [
        (Urgency.WATCH, 20),
        (Urgency.NAMED, 40),
        (Urgency.SUSPECT, 60),
        (Urgency.CLEAR, 80),
        (Urgency.CONFIRM, 100),
    ],
)
def test_what_matters_less_leaves_part_of_the_bucket(urgency: Urgency, granted: int) -> None:
    assert Budget(rate=1.0, burst=100.0).take(1000, urgency, 0.0) == granted


def test_attempts_that_will_hang_cost_more() -> None:
    budget = Budget(rate=1.0, burst=10.0)
    assert budget.take(9, Urgency.CONFIRM, 0.0, cost=3.0) == 3
    assert budget.take(9, Urgency.CONFIRM, 0.0) == 1


def test_a_clock_that_stands_still_or_goes_back_grants_nothing_new() -> None:
    budget = Budget(rate=10.0, burst=10.0)
    budget.take(10, Urgency.CONFIRM, 50.0)
    assert budget.take(10, Urgency.CONFIRM, 50.0) == 0
    assert budget.take(10, Urgency.CONFIRM, 40.0) == 0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(0, 30), st.sampled_from(Urgency)), max_size=60)
)
def test_never_more_than_burst_plus_rate_times_time(
    asks: list[tuple[float, int, Urgency]],
) -> None:
    budget = Budget(rate=3.0, burst=20.0)
    now = 0.0
    granted = 0
    for pause, wanted, urgency in asks:
        now += pause
        given_ = budget.take(wanted, urgency, now)
        assert 0 <= given_ <= wanted
        granted += given_
    assert granted <= 20.0 + 3.0 * now


# ---------------------------------------------------------------- neighbours


def test_the_first_neighbour_is_another_edge_under_the_same_client() -> None:
    here = key(0, "tls12-rsa")
    at = confirmer(key(0, "default"), here, key(1, "default"), key(1, "tls12-rsa"))
    assert at.neighbours(here)[0] == key(1, "tls12-rsa")
    assert set(at.neighbours(here)) == set(at.histories) - {here}


def test_neighbours_are_of_the_same_target_and_provider_only() -> None:
    at = confirmer(key(0), key(1), key(0, target="b.example"))
    assert at.neighbours(key(0)) == (key(1),)
    assert at.neighbours(key(7)) == ()


def test_a_neighbour_already_in_doubt_tells_less_than_a_passing_one() -> None:
    at = confirmer(key(0), key(1), key(2))
    record(at, key(1), FAIL, 0.0)
    record(at, key(2), PASS, 0.0)
    assert at.neighbours(key(0)) == (key(2), key(1))


def test_edges_of_a_target_do_not_all_ask_the_same_neighbour() -> None:
    keys = [key(i) for i in range(4)]
    at = confirmer(*keys)
    assert len({at.neighbours(edge)[0] for edge in keys}) == 4


# ---------------------------------------------------------------- confirmer


def test_a_first_failure_plans_confirmation_and_one_neighbour() -> None:
    at = confirmer(key(0), key(1))
    record(at, key(0), PASS, 0.0)
    step = record(at, key(0), FAIL, 15.0)
    assert step.transition is not None
    assert step.transition.after == EdgeStatus.SUSPECT
    assert step.extra == (
        *(ExtraAttempt(key(0), after, beside=True) for after in (1.0, 2.0, 3.0, 4.0)),
        ExtraAttempt(key(1)),
    )


def test_a_neighbour_whose_sample_is_on_its_way_is_not_asked() -> None:
    """It would take the place of the sample, and end the sampling of that edge."""
    at = confirmer(key(0), key(1))
    for edge in (key(0), key(1)):
        record(at, edge, PASS, 0.0)
    record(at, key(1), FAIL, 1.0)
    record(at, key(1), PASS, 5.0)
    assert record(at, key(1), PASS, 6.0).extra == (ExtraAttempt(key(1), 0.5),)
    assert {request.key for request in record(at, key(0), FAIL, 6.1).extra} == {key(0)}
    assert record(at, key(1), PASS, 6.3).extra == ()
    assert record(at, key(1), PASS, 6.5).extra == (ExtraAttempt(key(1), 0.5),)


def flapping(keys: list[EdgeKey], interval: float = 15.0) -> Confirmer:
    """Edges that failed every second time for two minutes."""
    at = confirmer(*keys, interval=interval)
    for second in range(0, 120, 5):
        for edge in keys:
            record(at, edge, FAIL if second % 10 else PASS, float(second))
    assert {history.status for history in at.histories.values()} == {EdgeStatus.FLAPPING}
    return at


def test_edges_that_flap_and_pass_share_the_budget_evenly() -> None:
    keys = [key(i, target=f"{n}.example") for n in range(100) for i in range(4)]
    at = flapping(keys)
    asked = [record(at, edge, PASS, 130.0 + i / 20).extra for i, edge in enumerate(keys[:300])]
    waits = [requests[0].after for requests in asked if requests]
    assert waits[0] == 0.5
    assert waits == sorted(waits)
    assert len(waits) == 300
    assert waits[-1] == pytest.approx(0.85 * 300 / POLICY.sample_budget)  # it is a lull


def test_a_failure_at_another_provider_does_not_end_a_lull_and_one_at_the_same_does() -> None:
    other = EdgeKey("stores", "a.example", "cdn-a", "198.51.100.1:443", "default")
    keys = [key(i) for i in range(20)]
    at = flapping([*keys, other])
    for edge in keys:
        record(at, edge, PASS, 130.0)
    for failed, passes in ((other, 6), (keys[-1], 14)):
        record(at, failed, FAIL, 131.0)
        row = 1
        while at.histories[keys[0]].status is EdgeStatus.FLAPPING:
            record(at, keys[0], PASS, 131.0 + row)
            row += 1
        assert row == pytest.approx(passes, abs=2)
        at = flapping(keys)
        record(at, keys[0], PASS, 130.0)


def test_a_passing_edge_leads_to_nothing() -> None:
    at = confirmer(key(0))
    record(at, key(0), PASS, 0.0)
    assert record(at, key(0), PASS, 15.0) == Reaction()


def test_an_edge_removed_while_its_attempt_was_in_flight_stays_forgotten() -> None:
    at = confirmer(key(0), key(1))
    at.remove([key(0), key(0)])
    assert record(at, key(0), FAIL, 1.0) == Reaction()
    assert set(at.histories) == {key(1)}
    at.remove([key(1)])
    assert at.histories == {}


def test_adding_known_edges_and_changing_the_rules_lose_no_history() -> None:
    at = confirmer(key(0))
    for now in range(5):
        record(at, key(0), FAIL, float(now))
    at.add([key(0), key(1)])
    at.configure(Confirmation(attempts=2), interval=30.0)
    assert at.histories[key(0)].status is EdgeStatus.FAILING


def test_confirming_hanging_edges_names_few_soon_instead_of_none() -> None:
    """Time-outs of 12 s cost four tokens each: 40 tokens confirm two edges, not ten."""
    keys = [key(i) for i in range(10)]
    at = confirmer(*keys)
    granted = []
    for edge in keys:
        step = at.record(Attempt(edge, FAIL, 1_700_000_000.0, seconds=12.0), 12.0)
        granted.append(len([request for request in step.extra if request.beside]))
    assert granted[:2] == [4, 4]
    assert sum(granted[2:]) <= 1


def test_at_an_address_that_is_down_two_failures_are_enough() -> None:
    keys = [key(0, target=f"{n}.example") for n in range(30)]
    at = confirmer(*keys)
    for now in range(20):
        record(at, keys[now], FAIL, float(now))
    late = keys[25]
    first = record(at, late, FAIL, 30.0)
    assert [request for request in first.extra if request.beside] == [
        ExtraAttempt(late, 1.0, beside=True)
    ]
    record(at, late, FAIL, 31.0)
    assert at.histories[late].status is EdgeStatus.FAILING
    assert at.histories[keys[0]].status is EdgeStatus.SUSPECT


@pytest.mark.parametrize(
    ("claim", "other"),
    [
        ("a pass at the address shows that it is up", key(0, target="x.example")),
        ("another address proves nothing about this one", None),
    ],
)
def test_an_address_where_something_passes_is_not_down(claim: str, other: EdgeKey | None) -> None:
    keys = [key(0 if other else 1, target=f"{n}.example") for n in range(30)]
    late = key(0, target="late.example")
    at = confirmer(late, *keys, *([other] if other else []))
    for now, edge in enumerate(keys):
        record(at, edge, FAIL, float(now))
    if other:
        record(at, other, PASS, 31.0)
    record(at, late, FAIL, 32.0)
    record(at, late, FAIL, 33.0)
    assert at.histories[late].status is EdgeStatus.SUSPECT, claim


def test_a_budget_of_zero_grants_nothing_and_states_are_still_found() -> None:
    at = confirmer(key(0), policy=Confirmation(sample_budget=0.0))
    for i in range(5):
        assert record(at, key(0), FAIL, 15.0 * i).extra == ()
    assert at.histories[key(0)].status is EdgeStatus.FAILING
    assert at.refused >= 4


def test_a_total_outage_at_most_doubles_the_load_and_every_edge_is_named() -> None:
    """2,000 edges fail at once; regular attempts alone name whom the budget does not reach."""
    keys = [key(i, target=f"{n}.example") for n in range(500) for i in range(4)]
    interval = 15.0
    at = confirmer(*keys, interval=interval)
    for edge in keys:
        record(at, edge, PASS, 0.0)
    extra = 0
    for period in range(5):
        for i, edge in enumerate(keys):
            now = 100.0 + period * interval + i * interval / len(keys)
            extra += len(record(at, edge, FAIL, now).extra)
    regular = 5 * len(keys)
    burst = 10 * POLICY.sample_budget  # what a full bucket holds
    assert extra <= burst + POLICY.sample_budget * 5 * interval
    assert extra < regular
    assert {at.histories[edge].status for edge in keys} == {EdgeStatus.FAILING}


def test_a_small_check_has_a_small_budget() -> None:
    keys = [key(i) for i in range(20)]
    at = confirmer(*keys)
    record(at, keys[0], FAIL, 0.0)  # the bucket had all the time to fill since
    assert sum(len(record(at, edge, FAIL, 1000.0).extra) for edge in keys) <= 40


def test_a_small_check_in_trouble_stays_polite() -> None:
    """Four edges in total: four further attempts a second at most, after the first burst."""
    keys = [key(i) for i in range(4)]
    at = confirmer(*keys)
    extra = 0
    for second in range(600):
        for i, edge in enumerate(keys):
            outcome = FAIL if (second + i) % 2 else PASS
            extra += len(record(at, edge, outcome, float(second)).extra)
    assert extra <= 40 + 4 * 600
