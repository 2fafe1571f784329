"""Targets from an ``http_sd`` endpoint: a JSON list behind a URL, fetched anew at each look.

Imported only where a configuration has such a source, for the sake of start-up time and memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from hashlib import blake2b
from urllib.parse import urlsplit

import trio

from probe import __version__
from probe.discovery.document import ListProblem, Parsed, parse_list
from probe.model.secret import Secret, SecretError, SecretRef
from probe.model.spec import HttpSource
from probe.model.target import Target

# httpx imports its command line client, with click and rich, where these are installed: 10 MiB
# for nothing. None makes that optional import fail, as if they were not there.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None blocks the import

import httpx  # noqa: E402 - the line above must run first

LARGEST = 32 * 1024 * 1024
"""Bytes of a body that is still read."""

ReadSecret = Callable[[SecretRef], Secret]
"""Gives the present value of a secret; raises SecretError."""


class FetchProblem(Exception):
    """No list came. The message says why, and repeats nothing that could hold a secret."""


class HttpTargets:
    """The targets of one URL."""

    def __init__(self, source: HttpSource, read_secret: ReadSecret, refresh: float) -> None:
        """Remember where to look; nothing is fetched yet.

        Args:
            source: the URL, with a bearer token and a time-out.
            read_secret: called for each fetch, so a rotated token is used at once.
            refresh: seconds between looks, told to the server as Prometheus does.
        """
        self._source = source
        self._read_secret = read_secret
        self._refresh = refresh
        self._client: httpx.AsyncClient | None = None
        self._digest = b""
        self._parsed: Parsed | None = None
        self._problem = ""

    @property
    def targets(self) -> Sequence[Target]:
        """The last good list."""
        return self._parsed.targets if self._parsed else ()

    @property
    def rejected(self) -> int:
        """Entries that are no targets."""
        return self._parsed.rejected if self._parsed else 0

    @property
    def faults(self) -> tuple[str, ...]:
        """Why the last look was not good; empty when it was."""
        return (self._problem,) if self._problem else ()

    @property
    def complaints(self) -> tuple[str, ...]:
        """What is wrong with single entries of a list that is good as a whole."""
        return self._parsed.problems if self._parsed else ()

    async def look(self) -> None:
        """Fetch once; afterwards the properties tell the outcome."""
        try:
            data = await self._fetch()
            digest = blake2b(data).digest()
            if digest != self._digest:
                self._parsed = await trio.to_thread.run_sync(parse_list, data, "json")
                self._digest = digest
        except (FetchProblem, ListProblem) as problem:
            self._problem = str(problem)
        else:
            self._problem = ""

    async def aclose(self) -> None:
        """Close the kept connection."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _fetch(self) -> bytes:
        timeout = self._source.timeout
        try:
            with trio.fail_after(timeout):
                return await self._exchange()
        except trio.TooSlowError:
            raise FetchProblem(f"no whole answer within {timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Messages of libraries may repeat a header or the URL's password.
            raise FetchProblem(f"no answer ({type(error).__name__})") from None

    async def _exchange(self) -> bytes:
        client = await self._opened()
        async with client.stream("GET", self._source.url, headers=self._headers()) as response:
            if response.status_code != httpx.codes.OK:
                raise FetchProblem(f"the answer has status {response.status_code}, not 200")
            if coding := response.headers.get("content-encoding"):
                raise FetchProblem(f"the answer is coded ({coding:.20}) though we asked for none")
            return await _body(response)

    async def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            # Loading a trust store takes milliseconds: not on the event loop.
            secure = urlsplit(self._source.url).scheme == "https"
            verify = await trio.to_thread.run_sync(httpx.create_ssl_context) if secure else False
            self._client = httpx.AsyncClient(
                verify=verify,
                timeout=self._source.timeout,
                trust_env=False,  # no proxy and no .netrc that the configuration does not name
                follow_redirects=False,  # a token must not follow to another origin
            )
        return self._client

    def _headers(self) -> dict[str, str]:
        headers = {
            "accept": "application/json",
            "accept-encoding": "identity",  # keeps the cap on the body an honest one
            "user-agent": f"regional-probe/{__version__}",
            "x-prometheus-refresh-interval-seconds": f"{self._refresh:g}",
        }
        reference = self._source.authorization
        if reference is not None:
            try:
                token = self._read_secret(reference).reveal().strip()
            except SecretError as error:
                raise FetchProblem(str(error)) from None
            if not (token.isascii() and token.isprintable()):
                raise FetchProblem(f"{reference} holds characters that no header can carry")
            headers["authorization"] = f"Bearer {token}"
        return headers


async def _body(response: httpx.Response) -> bytes:
    """The whole body, up to the cap.

    Breaking off goes through a cancellation, which unwinds httpx's nested generators; leaving
    the loop would abandon them to the garbage collector.
    """
    body = bytearray()
    with trio.CancelScope() as enough:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > LARGEST:
                enough.cancel()
    if len(body) > LARGEST:
        raise FetchProblem(f"the answer is larger than {LARGEST // 1024**2} MiB")
    return bytes(body)
