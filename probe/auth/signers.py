"""Credentials on one request: what each kind adds to it, and what curl calls that."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from probe.auth.signatures import AwsKeys, sign_aws
from probe.auth.values import NoValue, Values
from probe.http.messages import Request, Response
from probe.http.url import parsed
from probe.model.auth import BasicAuth, BearerAuth, DigestAuth, HeaderAuth, SigV4
from probe.model.failure import Failure, Phase, Reason
from probe.net.http import httpx
from probe.net.names import quoted


class Signer:
    """Adds credentials to requests.

    Attributes:
        curl: options that make curl do the same, secrets in clear.
        hides: headers, in lower case, that those options stand for.
        token: what templates may carry elsewhere than in its header; None for kinds without one.
    """

    curl: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    token: str | None = None

    def sign(self, request: Request) -> Request:
        """Add the credentials to a request."""
        return request

    def again(self, request: Request, response: Response) -> Request | Failure | None:
        """Return what to send after this response; None when it is final."""
        return None


class HeaderSigner(Signer):
    """Headers that are the same on every request."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self._headers = headers

    def sign(self, request: Request) -> Request:
        """Add the headers to a request."""
        return request.adding(*self._headers)


class BasicSigner(HeaderSigner):
    """RFC 7617."""

    def __init__(self, spec: BasicAuth, values: Values) -> None:
        pair = f"{values.text(spec.username)}:{values.text(spec.password)}"
        coded = base64.b64encode(pair.encode()).decode()
        values.learn_secret(coded, "BASIC")
        super().__init__(("Authorization", f"Basic {coded}"))
        self.curl, self.hides = ("--user", pair), ("authorization",)


class TokenSigner(HeaderSigner):
    """A token behind its scheme word, or alone."""

    def __init__(self, header: str, scheme: str, token: str) -> None:
        super().__init__((header, f"{scheme} {token}" if scheme else token))
        self.token = token


class CookieSigner(Signer):
    """One cookie, beside those that the step sends itself."""

    def __init__(self, name: str, value: str) -> None:
        self._pair = f"{name}={value}"
        self.token = value

    def sign(self, request: Request) -> Request:
        """Add the cookie to a request."""
        own = request.header("cookie")
        return request.adding(("Cookie", f"{own}; {self._pair}" if own else self._pair))


class DigestSigner(Signer):
    """RFC 7616, by httpx: the first answer is a challenge."""

    def __init__(self, spec: DigestAuth, values: Values) -> None:
        self._pair = (values.text(spec.username), values.text(spec.password))
        self.curl, self.hides = ("--digest", "--user", ":".join(self._pair)), ("authorization",)

    def again(self, request: Request, response: Response) -> Request | Failure | None:
        """Meet the challenge with the same request."""
        if response.status != 401 or request.header("authorization") is not None:
            return None
        offered = digest_challenges(response.all("www-authenticate"))
        if not offered:
            return None  # no digest challenge: the 401 is the answer
        challenge = next((text for text, algorithm in offered if algorithm in _ALGORITHMS), None)
        if challenge is None:
            named = ", ".join(quoted(algorithm) for _, algorithm in offered)
            return Failure(Phase.AUTH, Reason.MALFORMED, f"no known Digest algorithm: {named}")
        headers = [(name.encode(), value.encode()) for name, value in request.headers]
        url = parsed(request.url)
        asked = httpx.Request(request.method, url, headers=headers, content=request.body)
        flow = httpx.DigestAuth(*self._pair).auth_flow(asked)
        next(flow)
        head = [("www-authenticate", challenge)]
        try:
            flow.send(httpx.Response(401, headers=head, request=asked))
        except (httpx.ProtocolError, NotImplementedError, ValueError) as error:
            detail = f"the Digest challenge cannot be met: {type(error).__name__}"
            return Failure(Phase.AUTH, Reason.MALFORMED, detail)
        return request.adding(("Authorization", asked.headers["Authorization"]))


_ALGORITHMS = frozenset(
    f"{name}{session}" for name in ("MD5", "SHA", "SHA-256", "SHA-512") for session in ("", "-SESS")
)
"""Those that httpx computes."""

_ITEM = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*"?)+')
_SCHEME = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]+(?!=)|\Z)")
_ALGORITHM = re.compile(r'[ ,]algorithm[ \t]*=[ \t]*"?([^",\s]*)', re.IGNORECASE)


def digest_challenges(values: Iterable[str]) -> list[tuple[str, str]]:
    """Find the Digest challenges of WWW-Authenticate headers with their algorithms, in order.

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


class SigV4Signer(Signer):
    """AWS Signature Version 4."""

    def __init__(self, spec: SigV4, values: Values) -> None:
        session = None if spec.session_token is None else values.read(spec.session_token)
        access, secret = values.read(spec.access_key), values.read(spec.secret_key)
        self._keys = AwsKeys(access, secret, spec.region, spec.service, session)
        self._wall = values.wall
        aws = f"aws:amz:{spec.region}:{spec.service}"
        self.curl = ("--aws-sigv4", aws, "--user", f"{access}:{secret}")
        self.hides = ("authorization", "x-amz-date", "x-amz-content-sha256")

    def sign(self, request: Request) -> Request:
        """Add the signature to a request."""
        return sign_aws(request, self._keys, self._wall())


StaticAuth = BearerAuth | BasicAuth | DigestAuth | HeaderAuth | SigV4
"""Auth entries that need no call of their own."""


def signer(spec: StaticAuth, values: Values) -> Signer:
    """Build the signer of credentials that need no login.

    Raises:
        SecretError: a secret is missing.
        NoValue: the capture that holds the token is missing.
        Unsafe: a value cannot be sent.
    """
    match spec:
        case BearerAuth():
            token = _bearer(spec, values)
            return TokenSigner(spec.header, spec.scheme, token)
        case BasicAuth():
            return BasicSigner(spec, values)
        case DigestAuth():
            return DigestSigner(spec, values)
        case HeaderAuth():
            keys = ((name, values.read(ref)) for name, ref in spec.headers.items())
            return HeaderSigner(*keys)
        case SigV4():
            return SigV4Signer(spec, values)


def _bearer(spec: BearerAuth, values: Values) -> str:
    if spec.token is not None:
        return values.read(spec.token)
    name = spec.capture or "token"
    token = values.get(name)
    if token is None:
        raise NoValue(name)
    values.learn_secret(token, "TOKEN")
    return token
