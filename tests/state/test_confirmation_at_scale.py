"""Whole checks in simulated time, with seeded randomness and no clock.

The plan of attempts here is the simplest there can be: a heap of (time, edge).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Outcome, Passed
from probe.model.state import Confirmation, EdgeStatus, Transition
from probe.model.target import EdgeKey
from probe.state.history import Attempt
from probe.state.sampling import Confirmer

PASS = Passed()
FAIL: Outcome = Failed(Failure(Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME))
NAMED = (EdgeStatus.FAILING, EdgeStatus.FLAPPING)
TOOK = 0.05
REGULAR, BESIDE, SAMPLE = range(3)

Losses = Callable[[EdgeKey, float], float]


@dataclass
class Story:
    """When edges were named and cleared, and what it cost.

    Attributes:
        named: when each was first named.
        cleared: when each was last cleared, unless it was named again.
        lulls: how often an edge was cleared although it failed again.
        failed: the last failure of all.
    """

    named: dict[EdgeKey, float] = field(default_factory=dict)
    cleared: dict[EdgeKey, float] = field(default_factory=dict)
    lulls: int = 0
    failed: float = 0.0
    attempts: int = 0
    extra: int = 0

    def take(self, change: Transition, key: EdgeKey, now: float) -> None:
        """A change of state."""
        if EdgeStatus(change.after) in NAMED:
            self.named.setdefault(key, now)
            self.lulls += self.cleared.pop(key, None) is not None
        elif EdgeStatus(change.before) in NAMED:
            self.cleared[key] = now


def simulate(
    keys: list[EdgeKey],
    losses: Losses,
    *,
    interval: float,
    seconds: float,
    seed: int,
    until_named: bool = False,
) -> Story:
    """The runner's plan: regular attempts, quick ones beside, and one sample of each edge."""
    rng = random.Random(seed)
    story = Story()
    confirmer = Confirmer(Confirmation(), interval)
    confirmer.add(keys)
    heap = [(rng.uniform(0, interval), i, REGULAR) for i in range(len(keys))]
    heapq.heapify(heap)
    place = {key: i for i, key in enumerate(keys)}
    planned: set[int] = set()
    while heap[0][0] < seconds and not (until_named and story.named):
        at, i, kind = heapq.heappop(heap)
        if kind == REGULAR:
            heapq.heappush(heap, (at + interval, i, REGULAR))
        elif kind == SAMPLE:
            planned.remove(i)
        story.attempts += 1
        story.extra += kind != REGULAR
        lost = rng.random() < losses(keys[i], at)
        story.failed = at if lost else story.failed
        attempt = Attempt(keys[i], FAIL if lost else PASS, at, TOOK)
        step = confirmer.record(attempt, at + TOOK)
        if step.transition:
            story.take(step.transition, keys[i], at + TOOK)
        for request in step.extra:
            j = place[request.key]
            if request.beside:
                heapq.heappush(heap, (at + TOOK + request.after, j, BESIDE))
            elif j not in planned:
                planned.add(j)
                heapq.heappush(heap, (at + TOOK + request.after, j, SAMPLE))
    return story


def check_of(domains: int, providers: str, edges: int, clients: int) -> list[EdgeKey]:
    return [
        EdgeKey("stores", f"{n}.example", provider, f"192.0.2.{edge}:443", str(client))
        for n in range(domains)
        for provider in providers
        for edge in range(edges)
        for client in range(clients)
    ]


@pytest.mark.parametrize("interval", [10.0, 15.0])
def test_a_certificate_missing_on_some_edges_is_named_in_a_minute(interval: float) -> None:
    """300 domains, 2 CDNs, 4 edges, 2 clients; 9 domains fail 4 in 10 on 2 edges of one CDN.

    Every affected pair of domain and edge is named within 60 s, and no other, although 0.3 %
    of all handshakes are lost at random.
    """
    keys = check_of(300, "ab", 4, 2)
    domains = {f"{n}.example" for n in range(0, 270, 30)}
    edges = {"192.0.2.0:443", "192.0.2.1:443"}

    def affected(key: EdgeKey) -> bool:
        return key.target in domains and key.provider == "b" and key.edge in edges

    sick = {key for key in keys if affected(key)}
    story = simulate(
        keys,
        lambda key, _: 0.4 if key in sick else 0.003,
        interval=interval,
        seconds=60.0,
        seed=1,
    )
    pairs = {(key.target, key.edge) for key in sick}
    assert {(key.target, key.edge) for key in story.named} == pairs
    assert set(story.named) <= sick
    assert story.extra <= Confirmation().sample_budget * (10 + 60)


def test_random_losses_name_nobody_for_a_day_and_cost_little() -> None:
    keys = check_of(10, "a", 4, 1)
    story = simulate(keys, lambda _key, _at: 0.003, interval=15.0, seconds=86_400.0, seed=3)
    assert story.named == {}
    regular = 86_400 / 15 * len(keys)
    assert 0.2 * regular < story.extra < 0.3 * regular


def test_one_failure_in_ten_of_a_whole_target_is_named_in_minutes() -> None:
    """From the fault itself, not from its first failure, and without any random help."""
    times = []
    for seed in range(20):
        keys = check_of(1, "a", 4, 2)
        story = simulate(keys, lambda _key, _at: 0.1, interval=15.0, seconds=600.0, seed=seed)
        times.append(min(story.named.values()))
    times.sort()
    assert times[10] < 120
    assert times[-1] < 300


def test_a_repaired_fault_is_cleared_everywhere() -> None:
    """Edges that failed always and now and then; after the repair all are passing again."""
    keys = check_of(5, "a", 4, 1)

    def losses(key: EdgeKey, at: float) -> float:
        if at > 300:
            return 0.0
        return {"192.0.2.0:443": 1.0, "192.0.2.1:443": 0.4}.get(key.edge, 0.0)

    rng = random.Random(5)
    confirmer = Confirmer(Confirmation(), 15.0)
    confirmer.add(keys)
    for second in range(0, 2000, 5):
        for key in keys:
            outcome = FAIL if rng.random() < losses(key, second) else PASS
            confirmer.record(Attempt(key, outcome, float(second)), float(second))
        if second == 300:
            statuses = {history.status for history in confirmer.histories.values()}
            assert statuses == {EdgeStatus.FAILING, EdgeStatus.FLAPPING, EdgeStatus.PASSING}
    assert {history.status for history in confirmer.histories.values()} == {EdgeStatus.PASSING}


def one_of(keys: list[EdgeKey], share: float, until: float = float("inf")) -> Losses:
    return lambda key, at: share if key is keys[0] and at < until else 0.0


def test_one_failure_in_twenty_of_one_edge_is_named_within_a_quarter_of_an_hour() -> None:
    """With the budget of the smallest check, and three more edges that pass."""
    keys = check_of(1, "a", 4, 1)
    found = sum(
        bool(
            simulate(
                keys, one_of(keys, 0.05), interval=15.0, seconds=900.0, seed=seed, until_named=True
            ).named
        )
        for seed in range(300)
    )
    assert found >= 0.9 * 300


def test_one_failure_in_twenty_is_hardly_ever_cleared_in_mid_fault() -> None:
    keys = check_of(1, "a", 4, 1)
    lulls = [
        simulate(keys, one_of(keys, 0.05), interval=15.0, seconds=6 * 3600.0, seed=seed).lulls
        for seed in range(4)
    ]
    assert max(lulls) <= 1
    assert sum(lulls) <= 2


@pytest.mark.parametrize(
    ("total", "sick", "interval", "share"),
    [
        (1600, 500, 15.0, 0.25),
        (1600, 500, 15.0, 0.4),
        (500, 500, 30.0, 0.4),
        (40, 1, 15.0, 0.25),
        (40, 4, 30.0, 0.25),
    ],
)
def test_flapping_that_is_over_is_cleared_in_a_minute(
    total: int, sick: int, interval: float, share: float
) -> None:
    """All edges that failed one time in four or more, beside the usual lost handshakes."""
    keys = check_of(total, "b", 1, 1)
    broken = set(keys[:sick])
    fault = 240.0

    def losses(key: EdgeKey, at: float) -> float:
        if key in broken:
            return share if at < fault else 0.0
        return 0.001

    story = simulate(keys, losses, interval=interval, seconds=fault + 60.0, seed=1)
    assert len(story.named) >= min(sick, 100)
    assert set(story.named) <= broken
    waits = sorted(story.cleared.get(key, float("inf")) - fault for key in story.named)
    assert waits[int(0.99 * len(waits))] <= 60.0
    assert story.extra <= Confirmation().sample_budget * (10 + fault + 60)


@pytest.mark.parametrize(("share", "seconds"), [(0.1, 120.0), (0.05, 200.0)])
def test_rarer_faults_are_cleared_in_minutes(share: float, seconds: float) -> None:
    keys = check_of(1, "a", 4, 1)
    waits = []
    for seed in range(8):
        story = simulate(
            keys, one_of(keys, share, 3600.0), interval=15.0, seconds=4200.0, seed=seed
        )
        waits.append(story.cleared[keys[0]] - 3600.0)
    assert sorted(waits)[4] < seconds
