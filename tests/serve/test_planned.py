"""What a maintenance window covers stands in series, page and API, and changes no verdict."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from probe.model.maintenance import Window
from probe.model.target import ProviderKey, Target
from probe.serve import Store
from probe.serve.memory import planned as planned_module
from probe.serve.page.status import status_of
from probe.serve.series.family import Format

from .world import START, filled, spec

MOVE = Window(START, START + 3600.0, "CHG-1: cdn-b moves", providers=("cdn-b",))


class Clock:
    now = START + 60.0


def planned(*windows: Window) -> tuple[Store, Clock]:
    clock = Clock()
    store = Store("sa-east", started_at=START, wall=lambda: clock.now)
    filled(store=store, targets=3, broken_targets=2)
    names = [Target(f"store-{number:05}.example") for number in range(3)]
    store.configure(replace(spec(targets=names), maintenance=windows))
    return store, clock


def lines_of(store: Store) -> list[str]:
    for _ in store.refresh():
        pass
    text = b"".join(piece for one in store.series.tables for piece in one.blocks(Format.TEXT))
    return [line for line in text.decode().splitlines() if not line.startswith("#")]


def series(store: Store) -> set[str]:
    return {line for line in lines_of(store) if "planned" in line}


def names_of(lines: set[str], family: str) -> set[tuple[str, str]]:
    found = set()
    for line in lines:
        if line.startswith(family + "{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            found.add((labels["target"], labels.get("provider", "")))
    return found


UNTIL, WHOLE = (
    "probe_planned_until_timestamp_seconds",
    "probe_target_planned_until_timestamp_seconds",
)
STORES = [f"store-0000{number}.example" for number in range(3)]


def test_without_a_window_nothing_is_said() -> None:
    assert series(planned()[0]) == set()
    later = replace(MOVE, start=START + 120.0)
    assert series(planned(later)[0]) == set()


def test_one_provider_is_planned_and_no_target_as_a_whole() -> None:
    store, clock = planned(MOVE)
    lines = series(store)
    assert names_of(lines, UNTIL) == {(name, "cdn-b") for name in STORES}
    assert names_of(lines, WHOLE) == set()
    failing = [line for line in lines if line.startswith("probe_provider_targets_failing_planned")]
    (line,) = failing
    assert 'provider="cdn-b"' in line
    assert line.endswith("} 2.0")
    clock.now = MOVE.end
    assert series(store) == set(), "a forgotten window ends by itself"


def test_every_provider_of_a_target_is_planned() -> None:
    one = Window(START, START + 600.0, "x", targets=("store-00001.*",))
    other = Window(START, START + 900.0, "y", providers=("cdn-b",), targets=("store-00001.*",))
    lines = series(planned(one, other)[0])
    assert names_of(lines, UNTIL) == {(STORES[1], "cdn-a"), (STORES[1], "cdn-b")}
    ends = [float(line.rpartition(" ")[2]) for line in lines if line.startswith(WHOLE)]
    assert ends == [START + 600.0], "the first of their ends"


def test_what_appears_and_goes_within_a_window_is_followed() -> None:
    store, _ = planned(MOVE)
    series(store)
    store.expect(ProviderKey("stores", STORES[0], "cdn-c"), 30.0)
    store.set_targets("stores", [Target(name) for name in STORES[:2]])
    assert names_of(series(store), UNTIL) == {(name, "cdn-b") for name in STORES[:2]}
    store.set_targets("stores", [])
    assert names_of(series(store), UNTIL) == set()


def test_a_window_changes_no_verdict() -> None:
    verdicts = (
        "probe_success",
        "probe_edge_state",
        "probe_edge_up",
        "probe_provider_targets_failing{",
    )

    def said(store: Store) -> set[str]:
        return {line for line in lines_of(store) if line.startswith(verdicts)}

    everything = Window(START, START + 3600.0, "x", targets=("*",))
    assert said(planned(everything)[0]) == said(planned()[0])
    quiet, loud = (status_of(planned(*w)[0], START + 60.0) for w in ((everything,), ()))
    assert (quiet.level, quiet.sentence, quiet.totals) == (loud.level, loud.sentence, loud.totals)


def test_page_and_api_say_what_is_planned() -> None:
    store, _ = planned(MOVE, Window(START, START + 3600.0, "cli", checks=("developer-cli",)))
    series(store)
    status = status_of(store, START + 60.0)
    move, cli = status.maintenance
    assert (move.reason, move.scope, move.covered) == (MOVE.reason, "provider cdn-b", 3)
    assert (cli.scope, cli.covered) == ("check developer-cli", 1)
    assert {(one.provider, one.planned) for one in status.problems} == {("cdn-b", 2)}


def test_begin_and_end_are_told_to_the_log_once() -> None:
    store, clock = planned(MOVE)
    told: list[tuple[str, bool]] = []
    store.planned.tell = lambda window, begins: told.append((window.reason, begins))
    for now in (START + 60.0, START + 61.0, MOVE.end, MOVE.end + 1.0):
        clock.now = now
        for _ in store.sweep():
            pass
    assert told == [(MOVE.reason, True), (MOVE.reason, False)]


def test_two_looks_at_once_end_alike() -> None:
    store, clock = planned(MOVE)
    first, second = store.planned.look(clock.now), store.planned.look(clock.now)
    for _ in first:
        next(second, None)
    for _ in second:
        pass
    assert names_of(series(store), UNTIL) == {(name, "cdn-b") for name in STORES}


EVERYTHING = replace(MOVE, providers=(), targets=("*",))


@pytest.mark.parametrize("steps", range(0, 30, 3))
@pytest.mark.parametrize("closed", [True, False])
def test_a_look_that_is_left_halfway_leaves_nothing_planned_after_the_end(
    monkeypatch: pytest.MonkeyPatch, steps: int, closed: bool
) -> None:
    monkeypatch.setattr(planned_module, "_PART", 1)
    store, clock = planned(EVERYTHING)
    assert names_of(series(store), WHOLE)
    clock.now = MOVE.end
    left = store.planned.look(clock.now)
    for _ in range(steps):
        next(left, None)
    if closed:
        left.close()  # type: ignore[attr-defined]  # a scrape that is cancelled
    assert series(store) == set()
    assert status_of(store, MOVE.end).maintenance == ()
    assert all(one.planned == 0 for one in status_of(store, MOVE.end).problems)


@pytest.mark.parametrize("steps", range(0, 30, 3))
def test_a_look_of_before_the_end_that_goes_on_after_it_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(planned_module, "_PART", 1)
    store, clock = planned(EVERYTHING)
    early = store.planned.look(clock.now)
    for _ in range(steps):
        next(early, None)
    clock.now = MOVE.end
    late = store.planned.look(clock.now)
    for _ in late:
        next(early, None)
    text = b"".join(store.series.tables.planned.blocks(Format.TEXT))
    assert text == b"", "whoever looked after the end finds nothing planned"
    for _ in early:
        pass
    assert series(store) == set()


def test_a_look_that_breaks_off_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planned_module, "_PART", 1)
    store, clock = planned(EVERYTHING)
    assert names_of(series(store), WHOLE)
    clock.now = MOVE.end

    def broken(key: object) -> None:
        raise RuntimeError(key)

    with monkeypatch.context() as patched:
        patched.setattr(store.series.tables.target_planned, "drop", broken)
        with pytest.raises(RuntimeError):
            series(store)
    assert series(store) == set()
