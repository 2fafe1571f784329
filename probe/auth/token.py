"""Tokens: how long they serve, and what an answer's clock says of ours."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass

from probe.http.response import Response
from probe.model.failure import Failure, Phase, Reason
from probe.model.secret import Secret
from probe.net.times import http_date, seconds_of

CLOCK_TOLERANCE = 120.0
"""Seconds that our clock may differ from a server's before a refusal may be the clock's fault.
Date headers have whole seconds and may be old by the time of the call; servers commonly allow
one to five minutes."""

ENDED_GRANT = "invalid_grant of a refresh token"
"""How the refusal of a refresh token ends: it was used elsewhere or ran out, whoever else works."""

_LONGEST = 16 * 1024
_SENDABLE = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")


@dataclass(frozen=True, slots=True)
class Token:
    """What a login gave.

    Attributes:
        value: the token, or a cookie's value.
        obtained_at: wall time.
        expires_at: wall time; None when nothing says.
        refresh: a refresh token that came with it, which replaces the one used (RFC 6749,
            section 6).
    """

    value: Secret
    obtained_at: float
    expires_at: float | None = None
    refresh: Secret | None = None

    def serves(self, now: float, ahead: float) -> bool:
        """Whether it may still be used for ``ahead`` seconds; renewed a tenth of its life early.

        Renewal comes at most a minute early, so that short-lived tokens are not renewed at
        every use, and never so late that the token ends within a run.
        """
        if self.expires_at is None:
            return True
        early = min(60.0, (self.expires_at - self.obtained_at) * 0.1)
        return now + max(early, min(ahead, (self.expires_at - self.obtained_at) * 0.5)) < (
            self.expires_at
        )


def issued(
    value: object,
    answer: Response,
    now: float,
    *,
    expires_at: float | None,
    refresh: Secret | None = None,
) -> Token | Failure:
    """A token from what stood in an answer, or what is wrong with it.

    Args:
        value: what stood where the token belongs.
        answer: for the server's clock.
        now: wall time.
        expires_at: wall time as the answer says, absolute or reckoned; None when it does not.
        refresh: a new refresh token, if any.
    """
    if not isinstance(value, str) or not value:
        return malformed("the answer holds no token where one is expected")
    if len(value) > _LONGEST or not _SENDABLE.fullmatch(value):
        return malformed("the token holds characters that no header may carry, or is too long")
    inside = jwt_expiry(value)
    ends = [moment for moment in (expires_at, inside) if moment is not None]
    end = min(ends) if ends else None
    if end is not None and end <= now:
        skew = clock_skew(answer, now)
        if skew is not None and abs(skew) > CLOCK_TOLERANCE and end > now + skew:
            return clock_off(skew)
        return Failure(
            Phase.AUTH, Reason.TOKEN_EXPIRED, f"expired {now - end:.0f} s before it was issued"
        )
    return Token(Secret(value), now, end, refresh)


def malformed(detail: str) -> Failure:
    """The token service answered well, and what it gave is no token."""
    return Failure(Phase.AUTH, Reason.TOKEN_MALFORMED, detail)


def clock_off(skew: float) -> Failure:
    """Our clock is wrong: inconclusive."""
    word = "behind" if skew > 0 else "ahead of"
    detail = f"this host's clock is {abs(skew):.0f} s {word} the server's"
    return Failure(Phase.AUTH, Reason.CLOCK_OFF, detail)


def clock_skew(answer: Response, now: float) -> float | None:
    """Seconds that the server's clock is ahead of ours; None without a readable Date header.

    An answer out of a cache (``Age``) says when it was made, so its age is added.
    """
    said = http_date(answer.header("date"))
    return None if said is None else said + (seconds_of(answer.header("age")) or 0.0) - now


def refused(answer: Response, now: float, detail: str) -> Failure:
    """Our credentials were refused; if our clock is far off, that is the likelier fault."""
    skew = clock_skew(answer, now)
    if skew is not None and abs(skew) > CLOCK_TOLERANCE:
        return clock_off(skew)
    return Failure(Phase.AUTH, Reason.CREDENTIALS_REFUSED, detail)


def jwt_expiry(value: str) -> float | None:
    """The ``exp`` of a JWT (RFC 7519), read without verifying; None when it is no JWT.

    Only used to renew in time and to see a token that is expired when issued: the party that
    must verify it is the server.
    """
    parts = value.split(".")
    if len(parts) != 3:
        return None
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, RecursionError):
        return None
    return seconds(claims.get("exp")) if isinstance(claims, dict) else None


def seconds(value: object) -> float | None:
    """A number of seconds as JSON gives it, also as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e12 else None


def lasting(value: object) -> float | None:
    """Seconds that say when a token ends; None when they say nothing.

    Servers write 0 or -1 for "unknown" and for "never".
    """
    number = seconds(value)
    return number if number is not None and number > 0 else None
