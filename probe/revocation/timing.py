"""When a revocation list is asked for again. Pure."""

from __future__ import annotations

MINUTE = 60.0
HOUR = 60 * MINUTE

_USUAL = HOUR
"""Without caching headers."""

_SOONEST, _LATEST = 5 * MINUTE, 24 * HOUR


def after_success(fresh: float | None, next_update: float | None, now: float) -> float:
    """Return the seconds until a list that came is asked for again.

    Its caching headers say when, within five minutes and a day. A newer one is due at nextUpdate,
    whatever they say: after that instant it is asked for every five minutes.

    Args:
        fresh: seconds for which caches may keep it, if the answer says so.
        next_update: of the list, wall time.
        now: wall time.
    """
    wait = min(max(_USUAL if fresh is None else fresh, _SOONEST), _LATEST)
    if next_update is None:
        return wait
    return max(min(wait, next_update - now), _SOONEST)


def after_failure(failures: int) -> float:
    """Return the seconds after so many failures in a row: a minute, twice that, up to an hour."""
    return min(MINUTE * 2.0 ** min(failures - 1, 10), HOUR)
