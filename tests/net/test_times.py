"""Times as HTTP fields write them, and what strangers write instead."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.auth.tokens import clock_skew
from probe.http.messages import Response
from probe.net.http import http_date, retry_after, seconds_of

NOW = 1_700_000_000.0
MOMENT = 784_111_777.0


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",  # asctime: without a zone, so in UTC
        "Sun, 06 Nov 1994 08:49:37 -0000",
    ],
)
def test_every_form_of_a_date(text: str) -> None:
    assert http_date(text) == MOMENT


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "soon",
        "Tue, 06 Oct 99999999999999999999 12:00:00 GMT",
        "Mon, 99 Foo 2024 00:00:00 GMT",
        "Mon, 06 Nov 2023 00:00:00 +9999999999",
        "\xb2",
    ],
)
def test_what_is_no_date(text: str | None) -> None:
    assert http_date(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        (None, None),
        ("", None),
        ("\xb2", None),
        ("\u0663", None),
        ("-1", None),
        ("1.5", None),
        ("1_0", None),
        ("9" * 5000, None),
    ],
)
def test_a_delay_is_written_in_digits(text: str | None, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("\xb2", 0.0),
        (None, 0.0),
    ],
)
def test_retry_after_is_a_delay_or_a_date(text: str | None, seconds: float) -> None:
    assert retry_after(text, NOW) == seconds


@given(st.text(max_size=60))
def test_nothing_that_a_stranger_writes_raises(text: str) -> None:
    assert http_date(text) is None or isinstance(http_date(text), float)
    assert retry_after(text, NOW) >= 0


def test_an_age_in_other_digits_adds_nothing_to_a_date() -> None:
    headers = (("date", formatdate(NOW, usegmt=True)), ("age", "\xb2"))
    assert clock_skew(Response(401, headers), NOW) == 0.0
