"""A whole simulated day of one region: some minutes of promtool's work, so a long test.

Run by ``sh tests/run long``. Thirty days of three regions are the command in ``simulate.py``.
"""

from __future__ import annotations

import pytest

from .region import Fault
from .simulate import day
from .virtual import Span


@pytest.mark.real
def test_a_noisy_day_pages_nobody_and_hides_no_fault() -> None:
    region = ("sa-east",)
    faults = [
        Fault("propagation", "tls", region, 0, Span(7_500, 9_000), 0.4, 30),
        Fault("authorization", "flow", region, 0, Span(22_000, 23_000), 0.94),
        Fault("names", "dns", region, 0, Span(43_500, 43_700), 1.0, 2),
        Fault("silence", "silence", region, 0, Span(60_000, 61_000), 1.0, 0),
    ]
    found = day(0, 1, faults, region)
    assert found.pages == {}
    assert set(found.seconds) == {"propagation", "authorization", "names", "silence"}
    assert None not in found.seconds.values()
