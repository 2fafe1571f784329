"""A request before it is sent: what templates gave, what a signature covers, what curl repeats."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from probe.net.library import httpx

Pairs = tuple[tuple[str, str], ...]


class BadUrl(ValueError):
    """A URL that cannot be called; the message does not quote it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A whole request. Immutable: whoever adds to it gives a new one.

    Attributes:
        url: absolute, http or https, encoded.
        headers: in the order in which they are sent; ``Host`` and ``Content-Length`` come on
            the wire.
    """

    method: str
    url: str
    headers: Pairs = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of a header, None when it is absent."""
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def adding(self, *headers: tuple[str, str]) -> Draft:
        """The same with more headers; one of the same name is replaced."""
        new = {name.lower() for name, _ in headers}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in new)
        return replace(self, headers=(*kept, *headers))

    def without(self, *names: str) -> Draft:
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


def clean_url(url: str, query: Mapping[str, str] | None = None) -> str:
    """The URL in encoded form, with query parameters appended.

    Raises:
        BadUrl: no absolute http(s) URL, or one that carries a password.
    """
    try:
        found = parsed(url)
        if query:
            found = found.copy_merge_params(dict(query))
    except httpx.InvalidURL as error:
        raise BadUrl(str(error)) from error
    if found.scheme not in {"http", "https"} or not found.host:
        raise BadUrl("the URL is not an absolute http or https URL")
    if found.userinfo:
        raise BadUrl("the URL holds a user name or password; use an auth entry")
    return str(found.copy_with(fragment=None) if found.fragment else found)


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
