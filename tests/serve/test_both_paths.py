"""The fast exposition equals prometheus-client's own, byte for byte, whatever was recorded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Outcome, Passed, ResolveResult
from probe.model.state import Diagnosis, EdgeStatus
from probe.model.target import Edge, EdgeKey, FlowKey, ProviderKey, Resolution, Target
from probe.serve import CertificatesKey, CertificateSplit, Store
from probe.serve.http.metrics import blocks
from probe.serve.series.family import Format

from . import plain as by_the_library
from .world import START, World, filled, flow_result, spec

Action = Callable[[Store], None]
FORMATS = pytest.mark.parametrize("form", Format)


def fast(store: Store, form: Format) -> str:
    return without_process(b"".join(blocks(store, form)))


def plain(store: Store, form: Format) -> str:
    generate = generate_openmetrics if form is Format.OPENMETRICS else generate_latest
    return without_process(generate(by_the_library.StoreCollector(store)))


def without_process(exposition: bytes) -> str:
    """Without the series of the test's own process, which change between two readings."""
    lines = exposition.decode().split("\n")
    return "\n".join(line for line in lines if "process_" not in line)


def frozen() -> AbstractContextManager[object]:
    """Exemplars carry the time at which they were seen: make it the same for both."""
    return patch("probe.serve.series.histograms.time.time", return_value=START)


@FORMATS
def test_both_incidents_look_the_same_on_both_paths(form: Format) -> None:
    with frozen():
        quick, slow = filled(), by_the_library.plain(filled)
    assert fast(quick, form) == plain(slow, form)


@FORMATS
def test_the_official_parsers_read_it(form: Format) -> None:
    parse = parse_openmetrics if form is Format.OPENMETRICS else parse_text
    names = {family.name for family in parse(fast(filled(targets=3), form))}
    assert {"probe_success", "probe_edge_up", "probe_agent_build"} <= {
        name.removesuffix("_info") for name in names
    }


NASTY = st.sampled_from(
    ['"', "\\", "\n", '\\"\n', "\\n", "", "\ud800", "é", "\x00", "\r\n", "# EOF", "{}", "a b"]
) | st.text(max_size=6)
NAMES = st.sampled_from(["a.example", 'b"\\\n.example', "c\ud800.example", "# HELP x"])
ADDRESSES = st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"])
PROVIDERS = st.sampled_from(["cdn-a", 'cdn"b'])
FAILURES = st.builds(Failure, st.sampled_from(list(Phase)), st.sampled_from(list(Reason)), NASTY)
OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Passed, st.lists(FAILURES, max_size=3).map(tuple)),
    st.builds(Failed, FAILURES),
    st.builds(Inconclusive, FAILURES),
)
STATUSES = st.sampled_from(list(EdgeStatus))


@st.composite
def edge_keys(draw: st.DrawFn) -> EdgeKey:
    edge = Edge(draw(ADDRESSES), 443).label
    return EdgeKey("stores", draw(NAMES), draw(PROVIDERS), edge, draw(NASTY))


@st.composite
def edge_records(draw: st.DrawFn) -> Action:
    key, outcome = draw(edge_keys()), draw(OUTCOMES)
    shook, lag = draw(st.booleans()), draw(st.sampled_from([0.0, 1.0]))
    status, since = draw(STATUSES), draw(st.floats(0, 2e9))
    result = World().result(key, outcome, shook=shook, lag=lag)
    return lambda store: store.record_edge(result, status, since)


@st.composite
def flow_records(draw: st.DrawFn) -> Action:
    key = FlowKey("developer-cli", draw(NAMES), draw(PROVIDERS), draw(NASTY))
    failing = draw(st.sets(st.sampled_from(["control", "login", "apps"])))
    result = flow_result(key, START, failing, draw(FAILURES))
    diagnosis = Diagnosis(draw(NASTY), draw(NASTY), fails_open=draw(st.booleans()))
    status = draw(STATUSES)
    return lambda store: store.record_flow(result, diagnosis, status, START)


@st.composite
def resolutions(draw: st.DrawFn) -> Action:
    key = ProviderKey("stores", draw(NAMES), draw(PROVIDERS))
    edges = tuple(Edge(ip, 443) for ip in draw(st.lists(ADDRESSES, max_size=2, unique=True)))
    failure = draw(st.none() | FAILURES)
    seconds = draw(st.none() | st.floats(0, 10))
    result = ResolveResult(key, START, Resolution(edges, failure, None, seconds, len(edges)))
    return lambda store: store.record_resolution(result)


@st.composite
def splits(draw: st.DrawFn) -> Action:
    key = CertificatesKey("stores", draw(NAMES), draw(PROVIDERS), draw(NASTY))
    minority = tuple(draw(st.lists(edge_keys(), max_size=2)))
    split = CertificateSplit(key, 2, minority, draw(st.none() | st.floats(0, 2e9)), True)
    return lambda store: store.record_split(split)


@st.composite
def removals(draw: st.DrawFn) -> Action:
    edge = draw(edge_keys())
    flow = FlowKey("developer-cli", edge.target, edge.provider, "")
    choices: list[EdgeKey | ProviderKey | FlowKey] = [edge, edge.through, flow]
    keys = draw(st.lists(st.sampled_from(choices), max_size=2))
    return lambda store: store.forget(keys)


@st.composite
def listings(draw: st.DrawFn) -> Action:
    labels = draw(st.dictionaries(NASTY, NASTY, max_size=3))
    names = draw(st.sets(NAMES, min_size=1))
    check = draw(st.sampled_from(["stores", "developer-cli"]))
    targets = [Target(name, labels=labels) for name in sorted(names)]
    return lambda store: store.set_targets(check, targets)


class Aging(Store):
    """A store for which time passes by word."""

    def __init__(self, region: str) -> None:
        self.now = 0.0
        super().__init__(region, started_at=START, clock=lambda: self.now, wall=lambda: START)


@st.composite
def expectations(draw: st.DrawFn) -> Action:
    edge = draw(edge_keys())
    flow = FlowKey("developer-cli", edge.target, edge.provider, "")
    keys: list[EdgeKey | ProviderKey | FlowKey] = [edge, edge.through, flow]
    key = draw(st.sampled_from(keys))
    return lambda store: store.expect(key, 30.0)


def long_after(store: Store) -> None:
    assert isinstance(store, Aging)
    store.now += 100.0
    list(store.sweep())


ACTIONS = st.lists(
    st.one_of(
        edge_records(), flow_records(), resolutions(), splits(), removals(), listings(),
        expectations(), st.just(long_after),
        st.just(lambda store: store.configure(spec(edge_series="failing"))),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(actions=ACTIONS, region=NASTY)
def test_any_history_looks_the_same_on_both_paths(actions: list[Action], region: str) -> None:
    quick, slow = Aging(region), by_the_library.plain(partial(Aging, region))
    with frozen():
        for store in (quick, slow):
            store.configure(spec())
            for action in actions:
                action(store)
    for form in Format:
        assert fast(quick, form) == plain(slow, form)


@settings(max_examples=40, deadline=None)
@given(actions=ACTIONS)
def test_no_series_appears_twice_and_every_sample_parses(actions: list[Action]) -> None:
    store = Aging("sa-east")
    store.configure(spec())
    for action in actions:
        action(store)
    text = fast(store, Format.OPENMETRICS)
    samples = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in parse_openmetrics(text)  # type: ignore[no-untyped-call]  # has no types
        for sample in family.samples
    ]
    assert len(samples) == len(set(samples))
