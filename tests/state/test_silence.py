"""Nothing stays believed that nobody looks at: the rule of silence, against a plain model of it."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from probe.state.silence import Silence, Unseen, limit

K = TypeVar("K", int, str)
WALL = 1_790_000_000.0


def due(silence: Silence[K], now: float) -> list[K]:
    return [key for key in silence.due(now) if key is not None]


def test_three_intervals_and_at_least_a_minute() -> None:
    assert [limit(interval) for interval in (5.0, 20.0, 30.0, 300.0)] == [60.0, 60.0, 90.0, 900.0]


def test_a_key_that_was_judged_is_unseen_three_intervals_after_its_last_result() -> None:
    silence: Silence[str] = Silence()
    silence.expect("a", 30.0, 0.0, WALL)
    assert silence.awaited == {"a"}
    assert silence.judged("a", 10.0, WALL + 10)
    assert not silence.judged("a", 40.0, WALL + 40), "it was neither awaited nor unseen"
    assert not due(silence, 129.9)
    assert due(silence, 130.0) == ["a"]
    assert silence.unseen == {"a": Unseen(WALL + 40, ever=True)}
    assert not due(silence, 1e6), "said once"
    assert silence.judged("a", 200.0, WALL + 200), "seen again"
    assert not silence.unseen
    assert due(silence, 290.0) == ["a"], "and watched again"


def test_a_key_that_was_never_judged_is_unseen_after_its_grace() -> None:
    silence: Silence[str] = Silence()
    silence.expect("a", 5.0, 100.0, WALL)
    assert not due(silence, 159.0)
    assert due(silence, 160.0) == ["a"]
    assert silence.unseen == {"a": Unseen(WALL, ever=False)}
    assert not silence.awaited


def test_a_reload_changes_the_limit_of_a_key_at_once() -> None:
    silence: Silence[str] = Silence()
    silence.expect("a", 300.0, 0.0, WALL)
    silence.judged("a", 0.0, WALL)
    silence.expect("a", 30.0, 50.0, WALL + 50)
    assert due(silence, 90.0) == ["a"], "shorter: three new intervals after its last result"
    silence.expect("a", 300.0, 91.0, WALL + 91)
    assert "a" in silence.unseen, "a longer interval looks at nothing"
    silence.judged("a", 100.0, WALL + 100)
    assert not due(silence, 999.0)
    assert due(silence, 1000.0) == ["a"]


def test_what_is_forgotten_leaves_nothing() -> None:
    silence: Silence[int] = Silence()
    for key in range(1000):
        silence.expect(key, 30.0, 0.0, WALL)
    for key in range(1000):
        silence.forget(key)
        silence.forget(key)
    assert not silence.awaited
    assert len(silence) == 0
    assert len(silence._heap) <= 64  # noqa: SLF001 - memory is what must not grow
    assert not due(silence, 1e6)
    assert not silence.judged(1, 0.0, WALL), "a late result of what is gone"


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["expect", "judged", "forget", "due"]),
        st.integers(0, 3),
        st.sampled_from([10.0, 30.0, 100.0]),
        st.floats(0, 120),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(events=EVENTS)
def test_it_says_what_counting_from_the_last_result_says(
    events: list[tuple[str, int, float, float]],
) -> None:
    silence: Silence[int] = Silence()
    model: dict[int, tuple[float, float]] = {}  # last judged or expected, limit
    beyond: set[int] = set()
    now = 0.0
    for what, key, interval, pause in events:
        now += pause
        match what:
            case "expect":
                seen = model.get(key, (now, 0.0))[0]
                silence.expect(key, interval, now, WALL + now)
                model[key] = seen, limit(interval)
            case "judged":
                if key in model:
                    model[key] = now, model[key][1]
                    beyond.discard(key)
                silence.judged(key, now, WALL + now)
            case "forget":
                model.pop(key, None)
                beyond.discard(key)
                silence.forget(key)
            case _:
                over = {key for key, (seen, span) in model.items() if seen + span <= now}
                assert set(due(silence, now)) == over - beyond
                beyond |= over
                assert set(silence.unseen) == beyond
                assert {key: WALL + model[key][0] for key in beyond} == {
                    key: unseen.since for key, unseen in silence.unseen.items()
                }
