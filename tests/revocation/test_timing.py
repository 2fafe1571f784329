"""When a list is asked for again."""

from __future__ import annotations

import pytest

from probe.http.messages import Headers, Response
from probe.revocation.fetch import fresh_for
from probe.revocation.timing import after_failure, after_success

HOUR, DAY, NOW = 3600.0, 86_400.0, 1e9


@pytest.mark.parametrize(
    ("fresh", "left", "wait"),
    [
        (None, 7 * DAY, HOUR),
        (2 * HOUR, 7 * DAY, 2 * HOUR),
        (0.0, 7 * DAY, 300),
        (30 * DAY, 30 * DAY, DAY),
        (DAY, 2 * HOUR, 2 * HOUR),
        (DAY, 10, 300),
        (DAY, -DAY, 300),
        (None, None, HOUR),
    ],
)
def test_caching_headers_and_the_lists_own_end_say_when(
    fresh: float | None, left: float | None, wait: float
) -> None:
    ends = None if left is None else NOW + left
    assert after_success(fresh, ends, NOW) == wait


def test_failures_are_spaced_further_and_further() -> None:
    waits = [after_failure(count) for count in (1, 2, 3, 6, 7, 100)]
    assert waits == [60, 120, 240, 1920, 3600, 3600]


_DATES = (
    ("date", "Mon, 01 Jun 2026 00:00:00 GMT"),
    ("expires", "Mon, 01 Jun 2026 02:00:00 GMT"),
)


@pytest.mark.parametrize(
    ("headers", "fresh"),
    [
        ((), None),
        ((("cache-control", "public, max-age=600"),), 600),
        ((("cache-control", 'MAX-AGE="600"'), ("age", "100")), 500),
        ((("cache-control", "max-age=600"), ("age", "700")), 0),
        ((("cache-control", "max-age=600, no-cache"),), 0),
        ((("cache-control", "max-age=-5"),), None),
        ((("cache-control", ",,=,max-age"),), None),
        (_DATES, 7200),
        ((*_DATES, ("cache-control", "max-age=60")), 60),
        ((_DATES[1],), None),
        ((_DATES[0], ("expires", "0")), None),
    ],
)
def test_what_caches_may_do_is_read(headers: Headers, fresh: float | None) -> None:
    assert fresh_for(Response(200, headers)) == fresh
