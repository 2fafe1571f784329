"""Credentials on one request: what each kind adds to a draft, and what curl calls it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from probe.auth import sigv4
from probe.auth.material import Material
from probe.http.request import Request
from probe.http.response import Response
from probe.http.url import parsed
from probe.model.auth import BasicAuth, DigestAuth, HeaderAuth, SigV4
from probe.model.failure import Failure, Phase, Reason
from probe.net.library import httpx
from probe.net.names import quoted


class Signer(Protocol):
    """Adds credentials to a request."""

    @property
    def curl(self) -> tuple[str, ...]:
        """Options that make curl do the same, secrets in clear."""

    @property
    def hides(self) -> tuple[str, ...]:
        """Headers, in lower case, that those options stand for."""

    def sign(self, draft: Request) -> Request:
        """The request with credentials."""

    def again(self, draft: Request, answer: Response) -> Request | Failure | None:
        """What to send after this answer; None when it is final."""


@dataclass(frozen=True, slots=True, repr=False)
class HeaderSigner:
    """Headers that are the same on every request."""

    headers: tuple[tuple[str, str], ...]
    curl: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()

    def sign(self, draft: Request) -> Request:
        """The request with the headers."""
        return draft.adding(*self.headers)

    def again(self, draft: Request, answer: Response) -> Request | Failure | None:
        """Every answer is final."""
        return None


@dataclass(frozen=True, slots=True, repr=False)
class CookieSigner:
    """One cookie, beside those that the step sends itself."""

    name: str
    value: str
    curl: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()

    def sign(self, draft: Request) -> Request:
        """The request with the cookie."""
        own = draft.header("cookie")
        pair = f"{self.name}={self.value}"
        return draft.adding(("Cookie", f"{own}; {pair}" if own else pair))

    def again(self, draft: Request, answer: Response) -> Request | Failure | None:
        """Every answer is final."""
        return None


class SigV4Signer:
    """AWS Signature Version 4."""

    def __init__(self, spec: SigV4, material: Material) -> None:
        """Read the keys.

        Raises:
            SecretError: one is missing.
        """
        session = None if spec.session_token is None else material.read(spec.session_token)
        self._keys = sigv4.Keys(
            material.read(spec.access_key),
            material.read(spec.secret_key),
            spec.region,
            spec.service,
            session,
        )
        self._wall = material.wall
        pair = f"{self._keys.access}:{self._keys.secret}"
        self.curl: tuple[str, ...] = (
            "--aws-sigv4", f"aws:amz:{spec.region}:{spec.service}", "--user", pair,
        )  # fmt: skip
        self.hides: tuple[str, ...] = ("authorization", "x-amz-date", "x-amz-content-sha256")

    def sign(self, draft: Request) -> Request:
        """The request with its signature."""
        return sigv4.sign(draft, self._keys, self._wall())

    def again(self, draft: Request, answer: Response) -> Request | Failure | None:
        """Every answer is final."""
        return None


class DigestSigner:
    """RFC 7616, by httpx: the first answer is a challenge."""

    def __init__(self, username: str, password: str) -> None:
        self._pair = (username, password)
        self.curl: tuple[str, ...] = ("--digest", "--user", f"{username}:{password}")
        self.hides: tuple[str, ...] = ("authorization",)

    def sign(self, draft: Request) -> Request:
        """Nothing to say before the challenge."""
        return draft

    def again(self, draft: Request, answer: Response) -> Request | Failure | None:
        """The same request with the challenge met."""
        if answer.status != 401 or draft.header("authorization") is not None:
            return None
        offered = digest_challenges(answer.all("www-authenticate"))
        if not offered:
            return None  # no digest challenge: the 401 is the answer
        challenge = next((text for text, algorithm in offered if algorithm in _ALGORITHMS), None)
        if challenge is None:
            named = ", ".join(quoted(algorithm) for _, algorithm in offered)
            return Failure(Phase.AUTH, Reason.MALFORMED, f"no known Digest algorithm: {named}")
        headers = [(name.encode(), value.encode()) for name, value in draft.headers]
        request = httpx.Request(
            draft.method, parsed(draft.url), headers=headers, content=draft.body
        )
        flow = httpx.DigestAuth(*self._pair).auth_flow(request)
        next(flow)
        head = [("www-authenticate", challenge)]
        try:
            flow.send(httpx.Response(401, headers=head, request=request))
        except (httpx.ProtocolError, NotImplementedError, ValueError) as error:
            detail = f"the Digest challenge cannot be met: {type(error).__name__}"
            return Failure(Phase.AUTH, Reason.MALFORMED, detail)
        return draft.adding(("Authorization", request.headers["Authorization"]))


_ALGORITHMS = frozenset(
    f"{name}{session}" for name in ("MD5", "SHA", "SHA-256", "SHA-512") for session in ("", "-SESS")
)
"""Those that httpx computes."""

_ITEM = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*"?)+')
_SCHEME = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]+(?!=)|\Z)")
_ALGORITHM = re.compile(r'[ ,]algorithm[ \t]*=[ \t]*"?([^",\s]*)', re.IGNORECASE)


def digest_challenges(values: Iterable[str]) -> list[tuple[str, str]]:
    """Digest challenges of WWW-Authenticate headers with their algorithms, in order.

    One header may hold several challenges of several schemes, and its commas separate both
    challenges and their parameters (RFC 9110 section 11.6.1).
    """
    found: list[list[str]] = []
    for value in values:
        for item in map(str.strip, _ITEM.findall(value)):
            if _SCHEME.match(item) or not found:
                found.append([item])
            else:
                found[-1].append(item)
    whole = [", ".join(items) for items in found if items[0][:7].lower() == "digest "]
    algorithms = [_ALGORITHM.search(text) for text in whole]
    return [
        (text, "MD5" if one is None else one[1].upper())
        for text, one in zip(whole, algorithms, strict=True)
    ]


def basic(spec: BasicAuth, material: Material) -> HeaderSigner:
    """RFC 7617.

    Raises:
        SecretError: a secret is missing.
    """
    pair = f"{material.text(spec.username)}:{material.text(spec.password)}"
    coded = base64.b64encode(pair.encode()).decode()
    material.learn(coded, "BASIC")
    header = ("Authorization", f"Basic {coded}")
    return HeaderSigner((header,), ("--user", pair), ("authorization",))


def digest(spec: DigestAuth, material: Material) -> DigestSigner:
    """RFC 7616.

    Raises:
        SecretError: a secret is missing.
    """
    return DigestSigner(material.text(spec.username), material.text(spec.password))


def api_keys(spec: HeaderAuth, material: Material) -> HeaderSigner:
    """Keys in headers of their own.

    Raises:
        SecretError: a secret is missing.
    """
    return HeaderSigner(tuple((name, material.read(ref)) for name, ref in spec.headers.items()))


def token_header(header: str, scheme: str, value: str) -> HeaderSigner:
    """A token behind its scheme word, or alone."""
    return HeaderSigner(((header, f"{scheme} {value}" if scheme else value),))
