"""An attempt's timings out of what happened when: in virtual time."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from probe.connection import failures
from probe.connection.timeline import Timeline
from probe.model.failure import Phase, Reason
from probe.model.result import Clock, Timings
from probe.model.target import Edge


async def test_what_did_not_happen_has_no_seconds(autojump_clock: MockClock) -> None:
    assert Timeline(trio.current_time()).timings(1.5) == Timings(total=1.5)


async def test_a_request_has_three_phases(autojump_clock: MockClock) -> None:
    timeline = Timeline(trio.current_time())
    timeline.begin_request()
    timeline.written_from = timeline.begun + 1
    timeline.written = timeline.begun + 3
    assert timeline.timings(9).send == 2
    timeline.answered, timeline.arrived = timeline.begun + 4, timeline.begun + 8
    timings = timeline.timings(9)
    assert (timings.send, timings.wait, timings.receive, timings.total) == (2, 1, 4, 9)
    # The kernel may stamp an early answer before our own write returned.
    timeline.answered = timeline.begun + 2
    assert timeline.timings(9).wait == 0
    timeline.begin_request()
    assert timeline.timings(9).send is None


async def test_bytes_are_dated_by_the_kernel_within_what_is_possible(
    autojump_clock: MockClock,
) -> None:
    timeline = Timeline(trio.current_time(), clock=Clock.KERNEL)
    await trio.sleep(5)
    timeline.note(b"ab", 2.0, timeline.begun)
    assert (timeline.arrived, timeline.lag, timeline.clock) == (timeline.begun + 3, 2, Clock.KERNEL)
    for age in (None, -1.0, 6.0):
        timeline.clock = Clock.KERNEL
        timeline.note(b"c", age, timeline.begun)
        assert (timeline.arrived, timeline.lag) == (timeline.begun + 5, 2)
        assert timeline.clock is Clock.APPLICATION
    assert (timeline.head, timeline.received) == (b"abccc", 5)


async def test_evidence_starts_anew_with_each_phase_and_is_bounded(
    autojump_clock: MockClock,
) -> None:
    timeline = Timeline(trio.current_time())
    timeline.note(b"x" * 2000, None, timeline.begun)
    assert len(timeline.head) == 512
    timeline.enter(Phase.TLS)
    assert (timeline.head, timeline.received) == (b"", 2000)


async def test_a_deadline_is_filed_under_the_phase_that_it_ends(autojump_clock: MockClock) -> None:
    timeline = Timeline(trio.current_time(), Phase.RESOLVE)
    await trio.sleep(2)
    found = failures.timed_out(timeline, trio.current_time())
    assert (found.phase, found.reason, found.detail) == (
        Phase.RESOLVE,
        Reason.TIMEOUT,
        "no end in 2.0 s",
    )
    timeline.edge = Edge("192.0.2.1", 443)
    timeline.enter(Phase.CONNECT)
    found = failures.timed_out(timeline, trio.current_time() + 1)
    assert (found.phase, found.detail) == (Phase.CONNECT, "192.0.2.1:443: no answer to our SYN")
    timeline.enter(Phase.TLS)
    timeline.note(b"\x15\x03\x03\x00\x02\x01\x70", None, timeline.begun)  # a warning, then silence
    found = failures.timed_out(timeline, trio.current_time() + 1)
    assert (found.phase, found.reason) == (Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME)
    timeline.enter(Phase.WAIT)
    found = failures.timed_out(timeline, trio.current_time() + 1)
    assert (found.phase, found.detail) == (Phase.WAIT, "no end in 1.0 s; after 7 bytes received")
