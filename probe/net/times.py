"""Times and durations as HTTP fields write them. Pure; None for whatever is none.

What stands in a field is up to a stranger: a year of twenty digits, a zone that does not exist,
digits of other alphabets. Nothing here raises.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

_MOST_DIGITS = 9  # thirty years in seconds; more says nothing that can be used


def http_date(text: str | None) -> float | None:
    """The moment of an HTTP-date, in seconds since the epoch (RFC 9110 section 5.6.7).

    A date without a zone, as asctime writes it, is in UTC.
    """
    try:
        moment = parsedate_to_datetime(text or "")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def seconds_of(text: str | None) -> float | None:
    """A delay in whole seconds: the digits 0 to 9 and nothing else (RFC 9110 section 10.2.3)."""
    digits = (text or "").strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS):
        return None
    return float(digits)


def retry_after(text: str | None, now: float) -> float:
    """Seconds to wait by a ``Retry-After``, which holds a delay or a date; 0 without one.

    Args:
        text: the field's value.
        now: wall time, seconds since the epoch.
    """
    delay = seconds_of(text)
    if delay is not None:
        return delay
    until = http_date(text)
    return 0.0 if until is None else max(0.0, until - now)
