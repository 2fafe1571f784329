"""A request before it is sent: what templates gave, what a signature covers, what curl repeats."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

Pairs = tuple[tuple[str, str], ...]


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
        kept = [pair for pair in self.headers if pair[0].lower() not in new]
        return Request(self.method, self.url, (*kept, *headers), self.body)

    def without(self, *names: str) -> Request:
        """The same without some headers."""
        gone = {name.lower() for name in names}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in gone)
        return Request(self.method, self.url, kept, self.body)

    def encoded(self) -> list[tuple[bytes, bytes]]:
        """The headers but Host as bytes: as UTF-8, as shells and curl would send them.

        Raises:
            ValueError: what was filled in would make more headers or requests of them, or the
                method is none. Quotes nothing: it may hold secrets.
        """
        pairs = [(name.encode(), value.encode()) for name, value in self.headers]
        lines = b"\n".join(b"%b\0%b" % pair for pair in ((self.method.encode(), b""), *pairs))
        if _LINES.fullmatch(lines) is None or lines.count(b"\n") != len(pairs):
            raise ValueError("a method or a header that is none")
        return [pair for pair in pairs if pair[0].lower() != b"host"]


_LINES = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+\0[^\0\r\n]*(?:\n|\Z))+")
"""Names and values of headers (RFC 9110 section 5), with NUL between them."""


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
