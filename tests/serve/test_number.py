"""Values are written as prometheus-client writes them, by a shorter way."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.utils import floatToGoString

from probe.serve.series.family import number


@given(st.floats() | st.integers(-(2**53), 2**53).map(float))
@example(999_999.0)
@example(1e6)
@example(-1e6)
@example(-0.0)
@example(1e-7)
def test_a_number_reads_as_prometheus_client_writes_it(value: float) -> None:
    assert number(value) == floatToGoString(value)  # type: ignore[no-untyped-call]  # theirs
