"""URLs: which may be called, where they lead, and where a redirect may lead. Pure.

Credentials follow to another origin only where ``hosts`` names it. Without credentials another
origin is fine, but a server out there must not steer this host's requests to its own or its
neighbours' addresses.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlencode, urljoin

from probe.http.messages import Request, Response
from probe.model.failure import Failure, Phase, Reason
from probe.model.target import Edge, endpoint
from probe.net.http import httpx
from probe.net.names import NameProblem, bracketed, parse_authority


class BadUrl(ValueError):
    """A URL that cannot be called; the message quotes its host at most."""


LONGEST_KEPT = 2048
"""Characters of the longest URL that is remembered: servers choose where redirects lead."""


def parsed(url: str) -> httpx.URL:
    """A URL in parts, remembered: flows call the same ones again and again.

    Raises:
        httpx.InvalidURL: it is none.
    """
    return _kept(url) if len(url) <= LONGEST_KEPT else httpx.URL(url)


_kept = functools.lru_cache(maxsize=4096)(httpx.URL)


_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)")


def clean_url(url: str, query: Mapping[str, str] | None = None) -> str:
    """The URL in encoded form, with query parameters appended and without fragment.

    A query that the URL has already stays as it is: it may be signed.

    Raises:
        BadUrl: no absolute http(s) URL, one that carries a password, or none that can be
            connected to.
    """
    parts = _PARTS.match(url)
    if parts is None or parts[1].lower() not in {"http", "https"} or not parts[2]:
        raise BadUrl("the URL is not an absolute http or https URL")
    scheme, authority, rest = parts.groups()
    if "@" in authority:
        raise BadUrl("the URL holds a user name or password; use an auth entry")
    if query:
        joint = "" if rest[-1:] in {"?", "&"} else "&" if "?" in rest else "?"
        rest += joint + urlencode(query)
    try:
        host, port = parse_authority(authority)
        where = bracketed(host) if port is None else endpoint(host, port)
        return str(parsed(f"{scheme.lower()}://{where}{rest}"))
    except (NameProblem, httpx.InvalidURL) as error:
        raise BadUrl(f"not a valid URL: {error}") from error


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port (RFC 6454); the host as it stands in the URL, lower case."""

    scheme: str
    host: str
    port: int


_PORTS = {"https": 443, "http": 80}


def origin_of(url: httpx.URL) -> Origin:
    """Scheme, host in A-labels, and port of a URL."""
    return Origin(
        url.scheme,
        url.raw_host.decode("ascii"),
        url.port or _PORTS.get(url.scheme, 443),
    )


def origin_at(url: str) -> Origin:
    """Origin of a URL as people write it. Raises BadUrl."""
    return origin_of(parsed(clean_url(url)))


# ---------------------------------------------------------------- redirects

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

MOST_COOKIES = 50
"""Cookies that one answer may set, as for curl: each costs us far more than its sender."""

LONGEST_COOKIE = 5000
"""Characters of a cookie with its attributes, as for curl."""


LONGEST_LOCATION = 8192
"""Characters of a URL that a redirect may lead to: usual servers take no longer request line."""


def leads_to(answer: Response) -> str | None:
    """The URL that an answer redirects to, as it stands there; None when it is final.

    An empty Location leads nowhere, as for curl and browsers.
    """
    return (answer.header("location") or None) if answer.status in _REDIRECTS else None


def following(
    draft: Request,
    answer: Response,
    *,
    leaves: Callable[[Origin], bool],
    plain: bool = False,
    cookies: httpx.Cookies,
) -> Request | Failure:
    """The request that follows a redirect, or why it must not be made.

    Args:
        draft: what was answered with the redirect.
        answer: the redirect.
        leaves: whether the request may go to another origin: with credentials, only to some.
        plain: whether it may lead from https to http.
        cookies: those that the redirects of this call set; kept here.
    """
    location = answer.header("location") or ""
    if len(location) > LONGEST_LOCATION:
        length = f"{len(location)} characters, and at most {LONGEST_LOCATION} are followed"
        return refused(f"a redirect to a URL of {length}")
    try:
        url = clean_url(urljoin(draft.url, _text(location)))
    except BadUrl as error:
        return refused(f"a redirect: {error}")
    except ValueError:  # of urljoin: brackets that are not closed
        return refused("a redirect to what is no http or https URL")
    here, there = origin_of(parsed(draft.url)), origin_of(parsed(url))
    if there != here and not leaves(there):
        detail = f"a redirect to {there.scheme}://{there.host} with credentials"
        return refused(f"{detail}; it is followed when hosts: names {there.host}")
    if here.scheme == "https" and there.scheme != "https" and not plain:
        detail = f"a redirect from https to {there.scheme}://{there.host}"
        return refused(f"{detail}; redirect_to_http: true follows it")
    if there.host != here.host:  # a Host header stands for that host only; curl drops it too
        draft = draft.without("host")
    # RFC 9110 section 15.4: 303 always turns into GET, 301 and 302 do so for POST.
    turns = answer.status == 303 and draft.method != "HEAD"
    turns = turns or (answer.status in {301, 302} and draft.method == "POST")
    following = replace(draft, url=url)
    if turns:
        following = replace(following, method="GET", body=b"").without("content-type")
    return _with_cookies(following, draft, answer, cookies)


def _with_cookies(
    following: Request, draft: Request, answer: Response, cookies: httpx.Cookies
) -> Request:
    """The request with those cookies that redirects have set for its URL."""
    lines = [one for one in answer.all("set-cookie") if len(one) <= LONGEST_COOKIE][:MOST_COOKIES]
    if not lines and not cookies:
        return following
    known = {cookie.name for cookie in cookies.jar}
    head = [(b"set-cookie", line.encode("latin-1")) for line in lines]
    before = httpx.Request(draft.method, parsed(draft.url))
    cookies.extract_cookies(httpx.Response(answer.status, headers=head, request=before))
    known |= {cookie.name for cookie in cookies.jar}
    own = (draft.header("cookie") or "").split("; ")
    pairs = [pair for pair in own if pair and pair.partition("=")[0] not in known]
    carrier = httpx.Request(following.method, parsed(following.url))
    carrier.headers.encoding = "utf-8"
    cookies.set_cookie_header(carrier)
    pairs += filter(None, [carrier.headers.get("cookie")])
    return following.adding(("Cookie", "; ".join(pairs))) if pairs else following.without("cookie")


def jar() -> httpx.Cookies:
    """A jar for the redirects of one call: no cookie for all of ``co.uk`` and its like is kept."""
    return httpx.Cookies(CookieJar(DefaultCookiePolicy(strict_domain=True)))


def _text(location: str) -> str:
    """A Location header as text: bytes beyond ASCII are UTF-8, or stay the bytes that they are."""
    raw = location.encode("latin-1")  # as headers were decoded
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in raw)


def inward(before: Edge, after: Edge) -> Failure | None:
    """Refuse a redirect from a public address to one of this host or its network."""
    if _inner(after.ip) and not _inner(before.ip):
        return refused(f"a redirect from {before.ip} to the inner address {after.ip}")
    return None


def _inner(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
    )


def refused(detail: str) -> Failure:
    """A redirect that is not followed."""
    return Failure(Phase.RECEIVE, Reason.REDIRECT_REFUSED, detail)
