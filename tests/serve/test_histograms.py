"""Histograms count and write as prometheus-client does."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as Reference
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from probe.model.failure import printable
from probe.serve.series import families
from probe.serve.series.family import Format
from probe.serve.series.histograms import Histogram

FAMILY = families.STEP_LATENCY
SECONDS = st.sampled_from(FAMILY.buckets) | st.floats(0, 20)
OBSERVED = st.lists(
    st.tuples(st.sampled_from(["a", 'b"\\\n', ""]), SECONDS, st.sampled_from(["", "4bf92f35"])),
    min_size=1,
    max_size=30,
)


@pytest.mark.parametrize("form", Format)
@settings(max_examples=50, deadline=None)
@given(observed=OBSERVED)
def test_any_observations_read_as_the_library_writes_them(
    form: Format, observed: list[tuple[str, float, str]]
) -> None:
    registry = CollectorRegistry()
    names = sorted((*FAMILY.extra, "region"))
    theirs = Reference(FAMILY.name, FAMILY.help, names, registry=registry, buckets=FAMILY.buckets)
    ours = Histogram(FAMILY, "sa-east")
    with (
        patch("probe.serve.series.histograms.time.time", return_value=1.5),
        patch("prometheus_client.metrics.time.time", return_value=1.5),
    ):
        for step, seconds, trace_id in observed:
            labels = (("check", "c"), ("layer", "l"), ("provider", "p"), ("step", step))
            ours.observe(labels, seconds, trace_id)
            shown = {name: printable(value) for name, value in labels}
            child = theirs.labels(**shown, region="sa-east")
            child.observe(seconds, {"trace_id": trace_id} if trace_id else None)
    generate = generate_latest if form is Format.TEXT else generate_openmetrics
    wanted = generate(registry)
    written = b"".join(ours.blocks(form)).decode().splitlines()
    assert written == [
        line for line in wanted.decode().splitlines() if "_created" not in line and line != "# EOF"
    ]


def test_what_is_forgotten_leaves_the_rest() -> None:
    histogram = Histogram(families.PHASE_LATENCY, "sa-east")
    for check, provider in (("a", "x"), ("a", "y"), ("b", "x")):
        labels = (("check", check), ("phase", "tls"), ("provider", provider))
        histogram.observe(labels, 0.1)
    histogram.forget(("check", "a"), ("provider", "x"))
    left = [(dict(labels)["check"], dict(labels)["provider"]) for labels in histogram.series]
    assert left == [("a", "y"), ("b", "x")]
