"""A request before it is sent: what templates gave, what a signature covers, what curl repeats."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from probe.model.target import endpoint
from probe.net.library import httpx
from probe.net.names import NameProblem, bracketed, parse_authority

Pairs = tuple[tuple[str, str], ...]


class BadUrl(ValueError):
    """A URL that cannot be called; the message quotes its host at most."""


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request. Immutable: whoever adds to it gives a new one.

    Attributes:
        url: absolute, http or https, encoded.
        headers: in the order in which they are sent; ``Content-Length`` comes on the wire, and
            so does ``Host`` unless it stands here.
    """

    method: str
    url: str
    headers: Pairs = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of a header, None when it is absent."""
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def adding(self, *headers: tuple[str, str]) -> Request:
        """The same with more headers; one of the same name is replaced."""
        new = {name.lower() for name, _ in headers}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in new)
        return replace(self, headers=(*kept, *headers))

    def without(self, *names: str) -> Request:
        """The same without some headers."""
        gone = {name.lower() for name in names}
        return replace(self, headers=tuple(p for p in self.headers if p[0].lower() not in gone))

    def request(self) -> httpx.Request:
        """The same for httpx, whose way of meeting a challenge needs one."""
        encoded = [(name.encode(), value.encode()) for name, value in self.headers]
        return httpx.Request(self.method, parsed(self.url), headers=encoded, content=self.body)


@functools.lru_cache(maxsize=4096)
def parsed(url: str) -> httpx.URL:
    """A URL in parts, remembered: flows call the same ones again and again.

    Raises:
        httpx.InvalidURL: it is none.
    """
    return httpx.URL(url)


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
        raise BadUrl(f"the URL cannot be called: {error}") from error


def json_body(document: Any) -> tuple[bytes, tuple[str, str]]:
    """A JSON document as body, and its Content-Type."""
    encoded = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return encoded.encode(), ("Content-Type", "application/json")


def form_body(
    fields: Mapping[str, str] | Iterable[tuple[str, str]],
) -> tuple[bytes, tuple[str, str]]:
    """Form fields as body, and its Content-Type."""
    pairs = list(fields.items()) if isinstance(fields, Mapping) else list(fields)
    return urlencode(pairs).encode(), ("Content-Type", "application/x-www-form-urlencoded")
