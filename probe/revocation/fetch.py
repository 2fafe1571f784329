"""One look at a revocation list's URL: a conditional GET over plain http (RFC 9110 section 13).

No redirect is followed, and the address is bound by the rules of the configuration: the URL stands
in a certificate, which somebody else wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import trio

from probe import __version__
from probe.certificates.crl import MOST_BYTES
from probe.http.messages import Answered, Broken, Request, Response
from probe.http.session import Dialler, Resolve, Session, SessionOptions
from probe.http.url import BadUrl, clean_url
from probe.model.target import AddressRules
from probe.model.tls import ClientProfile
from probe.net.http import http_date, seconds_of

DEADLINE = 30.0
"""Seconds for a whole answer."""

_NOT_MODIFIED = 304


@dataclass(frozen=True, slots=True)
class Copy:
    """A list as it was served.

    Attributes:
        der: the bytes; None when nothing changed since the copy before.
        etag: entity tag, to ask whether it changed; empty without one.
        modified: Last-Modified, likewise.
        fresh: seconds for which caches may keep it; None when the answer does not say.
    """

    der: bytes | None
    etag: str = ""
    modified: str = ""
    fresh: float | None = None


class NoCopy(Exception):
    """No list came; the message says why."""


class ListFetcher:
    """Asks for lists.

    Args:
        dialler: opens connections; the parts for TLS are not used.
        resolve: finds the addresses of a host.
        rules: tells which addresses may be connected to, now.
    """

    def __init__(
        self, dialler: Dialler, resolve: Resolve, rules: Callable[[], AddressRules]
    ) -> None:
        self._dialler = dialler
        self._resolve = resolve
        self._rules = rules

    async def fetch(self, url: str, before: Copy | None, turn: int) -> Copy:
        """Ask once.

        Args:
            url: of the list; plain http.
            before: the copy that is here already.
            turn: which of several addresses is asked.

        Returns:
            a copy, without bytes when the server says that nothing changed.

        Raises:
            NoCopy: of whatever kind the reason is.
        """
        try:
            cleaned = clean_url(url)
        except BadUrl as error:
            raise NoCopy(str(error)) from error
        options = SessionOptions(
            self._resolve, ClientProfile(), max_body=MOST_BYTES, addresses=self._rules()
        )
        session = Session(self._dialler, options)
        request = Request("GET", cleaned, tuple(_headers(before)))
        try:
            deadline = trio.current_time() + DEADLINE
            call = await session.call(request, deadline=deadline, fresh=True, turn=turn)
        finally:
            session.close()
        match call:
            case Broken(failure=failure):
                raise NoCopy(str(failure))
            case Answered(response=response):
                return _copy(response, before)


def _headers(before: Copy | None) -> list[tuple[str, str]]:
    headers = [
        ("User-Agent", f"regional-probe/{__version__}"),
        ("Accept", "application/pkix-crl, */*;q=0.5"),
        ("Accept-Encoding", "identity"),
    ]
    if before is not None and before.etag:
        headers.append(("If-None-Match", before.etag))
    if before is not None and before.modified:
        headers.append(("If-Modified-Since", before.modified))
    return headers


def _copy(response: Response, before: Copy | None) -> Copy:
    fresh = fresh_for(response)
    if response.status == _NOT_MODIFIED and before is not None:
        return Copy(None, before.etag, before.modified, fresh)
    if response.status != 200:
        moved = response.header("location") if 300 <= response.status < 400 else None
        to = f" to {moved:.200}, which is not followed" if moved else ""
        raise NoCopy(f"the answer has status {response.status}{to}")
    if response.body_fault is not None:
        raise NoCopy(f"it is longer than {MOST_BYTES >> 20} MiB, or coded in an unknown way")
    etag, modified = response.header("etag") or "", response.header("last-modified") or ""
    return Copy(response.body, _sendable(etag), _sendable(modified), fresh)


def _sendable(value: str) -> str:
    """Return a header's value if it may be sent back; empty otherwise."""
    return value if value.isascii() and value.isprintable() and len(value) <= 200 else ""


def fresh_for(response: Response) -> float | None:
    """Return the seconds for which a cache may keep an answer (RFC 9111 section 4.2).

    None when the answer does not say; 0 when it must be asked for each time.
    """
    said = ",".join(response.all("cache-control")).lower()
    directives = dict(part.strip().partition("=")[::2] for part in said.split(","))
    age = seconds_of(response.header("age")) or 0.0
    if directives.keys() & {"no-cache", "no-store"}:
        return 0.0
    lasts = seconds_of(directives.get("max-age", "").strip('"'))
    if lasts is None:
        ends, made = (http_date(response.header(one)) for one in ("expires", "date"))
        if ends is None or made is None:
            return None
        lasts = ends - made
    return max(0.0, lasts - age)
