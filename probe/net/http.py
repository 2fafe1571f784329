"""The one door to httpx and what it stands on, and times as HTTP fields write them.

``import httpx`` also imports its command line client when click and rich happen to be
installed, which costs an agent about 10 MiB for nothing. httpx treats that module as optional
(it falls back on ``ImportError``), and a ``None`` in ``sys.modules`` is Python's documented way
to make an import fail (https://docs.python.org/3/reference/import.html#the-module-cache).

What stands in a field is up to a stranger: a year of twenty digits, a zone that does not exist,
digits of other alphabets. Whatever is no time is None; nothing here raises.
"""

from __future__ import annotations

import functools
import logging
import sys
from datetime import UTC
from email.utils import parsedate_to_datetime

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None blocks the import

import httpx  # noqa: E402 - the line above must run first

for _chatty in ("httpcore", "httpx", "hpack"):
    # At DEBUG they log whole headers, cookies and tokens included: never, whatever the level
    # of the agent's own log.
    logging.getLogger(_chatty).setLevel(logging.WARNING)

__all__ = ["http_date", "httpx", "retry_after", "seconds_of"]

_MOST_DIGITS = 9  # thirty years in seconds; more says nothing that can be used


@functools.lru_cache(maxsize=256)
def http_date(text: str | None) -> float | None:
    """The moment of an HTTP-date, in seconds since the epoch (RFC 9110 section 5.6.7).

    A date without a zone, as asctime writes it, is in UTC. Remembered: all that answer within a
    second write the same.
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
