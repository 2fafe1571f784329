"""Targets from an ``http_sd`` endpoint: a JSON list behind a URL, fetched anew at each look.

Imported only where a configuration has such a source, for the sake of start-up time and memory.
"""

from __future__ import annotations

import ssl
import zlib
from hashlib import blake2b
from urllib.parse import urlsplit

import certifi
import trio

from probe import __version__
from probe.discovery.reading import in_thread, read_answer
from probe.discovery.status import SourceLook, in_words, without_secrets
from probe.documents.problem import DocumentError
from probe.documents.targets import MOST_BYTES, MOST_TARGETS, Listed
from probe.flow.folding import letters, raw_of
from probe.flow.known import RUN, Windows, public_of
from probe.flow.redact import withheld
from probe.model.secret import ReadSecret, SecretError
from probe.model.spec import HttpSource
from probe.model.target import Target
from probe.model.tls import Trust
from probe.net.http import httpx

_NO_ROOT = frozenset({18, 19, 20, 21})
"""OpenSSL's X509_V_ERR_… for chains that end in no root that is trusted."""

_HOPS = 5
"""Redirects followed, all of them within one origin."""


class FetchProblem(Exception):
    """No list came. The message says why, and repeats nothing that could hold a secret."""


class HttpTargets:
    """The targets of one URL."""

    def __init__(
        self,
        source: HttpSource,
        read_secret: ReadSecret,
        refresh: float,
        most: int = MOST_TARGETS,
    ) -> None:
        """Remember where to look; nothing is fetched yet.

        Args:
            source: the URL, with a bearer token and a time-out.
            read_secret: called for each fetch, so a rotated token is used at once.
            refresh: seconds between looks, told to the server as Prometheus does.
            most: targets of an answer that are taken.
        """
        self._source = source
        self._shown = without_secrets(source.url)
        self._read_secret = read_secret
        self._refresh = refresh
        self._most = most
        self._client: httpx.AsyncClient | None = None
        self._token = ""
        self._digest = b""
        self._listed = Listed(())

    async def look(self) -> SourceLook:
        """Fetch once; an answer that is the same as the last good one is not read again."""
        faults: tuple[str, ...] = ()
        try:
            data = await self._fetch()
            digest = blake2b(data).digest()
            if digest != self._digest:
                listed = await read_answer(data, self._shown, self._most)
                if await in_thread(lambda: _shows(listed.targets, self._token)):
                    raise FetchProblem("the list shows the token that was sent for it; refused")
                self._listed, self._digest = listed, digest
        except FetchProblem as problem:
            faults = (f"{self._shown}: {problem}",)
        except DocumentError as error:
            faults = in_words(error.problems)
        listed = self._listed
        faults, complaints = map(self._without_token, (faults, in_words(listed.problems)))
        return SourceLook(listed.targets, listed.rejected, faults, complaints, listed.over)

    def _without_token(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        """Withhold what quotes an answer that shows the token."""
        token = Windows()
        token.add(self._token)
        public = (public_of(self._shown),)
        return tuple(
            f"{self._shown}: {withheld(one)}" if token.near(one, public) else one for one in lines
        )

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
            raise FetchProblem(why_no_answer(error)) from None

    async def _exchange(self) -> bytes:
        client = await self._opened()
        url = httpx.URL(self._source.url)
        for _ in range(_HOPS):
            async with client.stream("GET", url, headers=self._headers()) as response:
                if response.next_request is None:
                    return await whole_body(response, MOST_BYTES)
                target = response.next_request.url
            if _origin(target) != _origin(url):
                raise FetchProblem(f"redirects to another origin, {without_secrets(str(target))}")
            url = target
        raise FetchProblem(f"more than {_HOPS} redirects")

    async def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            # Loading a trust store takes milliseconds: not on the event loop.
            secure = urlsplit(self._source.url).scheme == "https"
            verify = (
                await trio.to_thread.run_sync(verified_context, self._source.trust)
                if secure
                else False
            )
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
            "accept-encoding": "gzip",
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
            self._token = token
            headers["authorization"] = f"Bearer {token}"
        return headers


def _shows(targets: tuple[Target, ...], token: str) -> bool:
    """Whether a name or label holds the token: labels of metrics and names of files come of it."""
    held = letters(raw_of(token))
    return len(held) >= RUN and any(
        held in letters(raw_of(" ".join((one.name, *one.labels, *one.labels.values()))))
        for one in targets
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def verified_context(trust: Trust | None) -> ssl.SSLContext:
    """Verification by the roots that the source names, else by httpx's: certifi, SSL_CERT_FILE."""
    if trust is None:
        return httpx.create_ssl_context()
    file = certifi.where() if trust.kind == "mozilla" else trust.file
    try:
        return ssl.create_default_context(cafile=file)  # without a file: this host's
    except OSError as error:
        raise FetchProblem(f"trust: {file}: {error.strerror or error}") from None


def why_no_answer(error: Exception) -> str:
    """Why there is no answer, by the innermost cause that has words of its own.

    Messages of httpx may repeat a header or the URL's password; the system's do not.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            roots = "; name its roots with trust:" if cause.verify_code in _NO_ROOT else ""
            return f"certificate not trusted ({cause.verify_message}){roots}"
        if isinstance(cause, OSError) and cause.strerror:
            return f"no answer ({cause.strerror})"
        if isinstance(cause, BaseExceptionGroup):  # one for each address tried
            cause = cause.exceptions[0]
        else:
            cause = cause.__cause__ or cause.__context__
    return f"no answer ({type(error).__name__})"


async def whole_body(response: httpx.Response, most: int) -> bytes:
    """The whole body of a good answer, unpacked, up to so many bytes. Raises FetchProblem.

    Breaking off goes through a cancellation, which unwinds httpx's nested generators; leaving
    the loop would abandon them to the garbage collector.
    """
    if response.status_code != httpx.codes.OK:
        raise FetchProblem(f"the answer has status {response.status_code}, not 200")
    coding = response.headers.get("content-encoding", "identity").lower()
    if coding not in ("gzip", "x-gzip", "identity"):
        raise FetchProblem(f"the answer is coded ({coding:.20}), and we asked for gzip or nothing")
    packed = coding != "identity"
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    body = bytearray()
    damaged = False
    with trio.CancelScope() as enough:
        async for chunk in response.aiter_raw():
            room = max(1, most + 1 - len(body))
            try:
                body += unpacker.decompress(chunk, room) if packed else chunk
            except zlib.error:
                damaged = True
            if damaged or len(body) > most:
                enough.cancel()
    if len(body) > most:
        raise FetchProblem(f"the answer is larger than {most / 1024**2:g} MiB")
    if damaged or (packed and not unpacker.eof):
        raise FetchProblem("the answer is damaged (gzip)")
    return bytes(body)
