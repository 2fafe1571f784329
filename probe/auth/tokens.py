"""Tokens: how long they serve, what a response's clock says of ours, and refresh tokens on disk.

A rotated refresh token must outlive this process, or the next start is locked out. There is one
small file per login in the state directory, readable by nobody else, replaced atomically: written
beside, flushed to disk, renamed over. The file says which configured token it descends from, so
that an operator's new token wins over what is kept.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from probe.documents.files import read_regular, replace_file
from probe.http.messages import Response
from probe.model.failure import Failure, Phase, Reason
from probe.model.secret import Secret
from probe.net.http import http_date, seconds_of

CLOCK_TOLERANCE = 120.0
"""Seconds that our clock may differ from a server's before a refusal may be the clock's fault.
Date headers have whole seconds and may be old by the time of the call; servers commonly allow
one to five minutes."""

ENDED_GRANT = "invalid_grant of a refresh token"
"""How the refusal of a refresh token ends: it was used elsewhere or ran out, whoever else works."""

LONGEST_TOKEN = 16 * 1024
"""Characters that a token may have; no server takes longer headers."""

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
        """Tell whether it may be used for ``ahead`` seconds; renewed a tenth of its life early.

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
    response: Response,
    now: float,
    *,
    expires_at: float | None,
    refresh: Secret | None = None,
) -> Token | Failure:
    """Build a token from what stood in a response, or say what is wrong with it.

    Args:
        value: what stood where the token belongs.
        response: for the server's clock.
        now: wall time.
        expires_at: wall time as the response says, absolute or relative; None when it does not.
        refresh: a new refresh token, if any.
    """
    if not isinstance(value, str) or not value:
        return malformed("the answer holds no token where one is expected")
    if len(value) > LONGEST_TOKEN or not _SENDABLE.fullmatch(value):
        return malformed("the token holds characters that no header may carry, or is too long")
    inside = jwt_expiry(value)
    ends = [moment for moment in (expires_at, inside) if moment is not None]
    end = min(ends) if ends else None
    if end is not None and end <= now:
        skew = clock_skew(response, now)
        if skew is not None and abs(skew) > CLOCK_TOLERANCE and end > now + skew:
            return clock_off(skew)
        return Failure(
            Phase.AUTH, Reason.TOKEN_EXPIRED, f"expired {now - end:.0f} s before it was issued"
        )
    return Token(Secret(value), now, end, refresh)


def malformed(detail: str) -> Failure:
    """Build the failure of a service that answered well and gave no token."""
    return Failure(Phase.AUTH, Reason.TOKEN_MALFORMED, detail)


def login_failed(response: Response, more: str = "") -> Failure:
    """Build the failure of a service that did not do its work."""
    return Failure(Phase.AUTH, Reason.LOGIN_FAILED, f"answered {response.status}{more}")


def clock_off(skew: float) -> Failure:
    """Build the failure of our own clock: inconclusive."""
    word = "behind" if skew > 0 else "ahead of"
    detail = f"this host's clock is {abs(skew):.0f} s {word} the server's"
    return Failure(Phase.AUTH, Reason.CLOCK_OFF, detail)


def clock_skew(response: Response, now: float) -> float | None:
    """Return the seconds that a server's clock is ahead of ours; None without a readable Date.

    A response out of a cache (``Age``) says when it was made, so its age is added.
    """
    said = http_date(response.header("date"))
    return None if said is None else said + (seconds_of(response.header("age")) or 0.0) - now


def refused(response: Response, now: float, detail: str) -> Failure:
    """Build the failure of refused credentials, or of our clock where that is likelier."""
    skew = clock_skew(response, now)
    if skew is not None and abs(skew) > CLOCK_TOLERANCE:
        return clock_off(skew)
    return Failure(Phase.AUTH, Reason.CREDENTIALS_REFUSED, detail)


def jwt_expiry(value: str) -> float | None:
    """Read the ``exp`` of a JWT (RFC 7519) without verifying; None when it is no JWT.

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
    """Read a number of seconds as JSON gives it, even as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e12 else None


def lasting(value: object) -> float | None:
    """Read the seconds that say when a token ends; None when they say nothing.

    Servers write 0 or -1 for "unknown" and for "never".
    """
    number = seconds(value)
    return number if number is not None and number > 0 else None


# ---------------------------------------------------------------- refresh tokens on disk


class RefreshTokens:
    """The refresh tokens of a state directory; without one, kept in memory only.

    Args:
        folder: created when the first token is kept, or at the first check.

    Attributes:
        problem: why the folder could not be written the latest time; empty when it could.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[str, tuple[str, Secret]] = {}
        self._unsaved: set[str] = set()
        self.problem = ""

    async def load(self, login: str, configured: str) -> Secret | None:
        """Load the latest token that descends from the configured one; None when there is none."""
        root = _digest(configured)
        if login not in self._memory and self._folder is not None:
            found = await trio.to_thread.run_sync(_read, self._path(self._folder, login))
            if found is not None:
                self._memory[login] = found
        origin, token = self._memory.get(login, ("", None))
        return token if origin == root else None

    async def keep(self, login: str, configured: str, token: Secret) -> OSError | None:
        """Keep a token; return the error when it is safe in memory only."""
        self._memory[login] = (_digest(configured), token)
        return None if self._folder is None else await self._save(self._folder, login)

    async def check(self) -> None:
        """Try whether the folder can be written, and write what could not be before."""
        if self._folder is None:
            return
        try:
            await trio.to_thread.run_sync(_try, self._folder)
        except OSError as error:
            self.problem = error.strerror or type(error).__name__
            return
        self.problem = ""
        for login in list(self._unsaved):
            await self._save(self._folder, login)

    async def _save(self, folder: Path, login: str) -> OSError | None:
        root, token = self._memory[login]
        text = json.dumps({"from": root, "refresh_token": token.reveal()})
        write = partial(replace_file, self._path(folder, login), text.encode(), durable=True)
        try:
            await trio.to_thread.run_sync(write)
        except OSError as error:
            self._unsaved.add(login)
            self.problem = error.strerror or type(error).__name__
            return error
        if self._memory[login][1] is token:  # else a newer one came meanwhile
            self._unsaved.discard(login)
            self.problem = ""
        return None

    @staticmethod
    def _path(folder: Path, login: str) -> Path:
        return folder / f"refresh-{_digest(login)[:24]}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_LONGEST_FILE = 1024 * 1024


def _read(path: Path) -> tuple[str, Secret] | None:
    try:
        stored = json.loads(read_regular(path, _LONGEST_FILE)[1])
        return str(stored["from"]), Secret(str(stored["refresh_token"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        # Absent, unreadable or damaged: the configured token is tried, and if that one is
        # used up the login says so.
        return None


_TRIED = 4096  # bytes: more than any token, and what a full disk does not give


def _try(folder: Path) -> None:
    """Write a file as those of tokens are written, and remove it."""
    path = folder / ".check"
    replace_file(path, b" " * _TRIED, durable=True)
    path.unlink(missing_ok=True)  # at a handover two agents try the same folder
