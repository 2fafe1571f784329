"""The values that a run's templates are filled from, and what may be written where.

What configuration and target lists say is trusted. What a *server* said (a capture) is not: it
may hold a newline that would start a header of its own, or a host name that would receive our
credentials. Such values are checked where they are used.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from probe.model.flow import RequestTemplate
from probe.model.template import parse
from probe.net.names import bracketed


class Missing(Exception):
    """A template needs a value that this run does not have (yet)."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Unsafe(Exception):
    """A value must not be sent where the template puts it; the message never quotes it."""


_parsed = functools.lru_cache(maxsize=4096)(parse)  # configurations hold few, and runs many

_IN_URL = "/:@-._~"
"""Characters of a captured value that stay as they are inside a URL; the rest, above all
``?``, ``#``, ``&`` and ``%``, is percent-encoded so that it cannot change the URL's shape."""

_IN_HOST = _IN_URL + "[]"
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")

_NOT_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""RFC 9110 section 5.5: no line ends and no other control characters."""

_HALF = re.compile("[\ud800-\udfff]")
"""JSON can write half of a surrogate pair (RFC 8259 section 8.2), and no text can hold it."""


_NOT_IN_PROGRAM = re.compile(r"[\0\ud800-\udfff]")


class Values:
    """Values by name: the check's and the persona's, the target's, and captures."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = dict(given)
        self._captured: dict[str, str] = {}

    def learn(self, captured: Mapping[str, str]) -> None:
        """Keep captured values for later steps."""
        self._captured.update(captured)

    def uncaptured(self) -> Values:
        """The same without what servers said."""
        return Values(self._given)

    def get(self, name: str) -> str | None:
        """A value, captured or given; None when there is none."""
        return self._captured.get(name, self._given.get(name))

    def fill(self, text: str) -> str:
        """A template filled in.

        Raises:
            Missing: it names a value that is not there.
            Unsafe: a value cannot be sent.
        """
        template = _parsed(text)
        return template.render({name: self._need(name) for name in template.names})

    def fill_url(self, text: str) -> str:
        """A URL template filled in; captures are encoded, unless one gives the URL's beginning.

        Where the host stands an IPv6 address gets its brackets, and ``{target}`` is without
        its port when the URL writes one behind it.

        Raises:
            Missing: it names a value that is not there.
            Unsafe: a value cannot be sent.
        """
        filled = ""
        pieces = _parsed(text).pieces
        for piece, after in zip(pieces, (*pieces[1:], ""), strict=True):
            if isinstance(piece, str):
                filled += piece
                continue
            host = _AUTHORITY.fullmatch(filled) is not None
            value = self._need(piece.name)
            if host and piece.name == "target" and str(after).startswith(":"):
                value = self._need("target.name")
            if host and bracketed(value) != value:
                value = bracketed(value)
            elif piece is not pieces[0] and piece.name in self._captured:
                value = quote(value, safe=_IN_HOST if host else _IN_URL)
            filled += value
        return filled

    def fill_header(self, text: str) -> str:
        """A header's value filled in.

        Raises:
            Missing: it names a value that is not there.
            Unsafe: the result would not stay one header.
        """
        value = self.fill(text)
        if not fits_header(value):
            raise Unsafe("a header's value would hold a line end or control character")
        return value

    def fill_argument(self, text: str) -> str:
        """A program's argument filled in.

        Raises:
            Missing: it names a value that is not there.
            Unsafe: a captured value would be read as an option.
        """
        value = self.fill(text)
        if value.startswith("-") and not text.startswith("-"):
            raise Unsafe("a value would turn an argument into an option")
        return value

    def _need(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise Missing(name)
        if not value.isascii() and _HALF.search(value):
            raise Unsafe("a value would hold half a character, which cannot be sent")
        return value


def fits_header(value: str) -> bool:
    """Whether a text stays one header value."""
    return _NOT_IN_HEADER.search(value) is None


def fits_program(value: str) -> bool:
    """Whether a text can be an argument, a variable or the stdin of a program.

    A NUL would end it early, and half a surrogate pair, which JSON can hold (RFC 8259 section
    8.2), has no form in UTF-8.
    """
    return _NOT_IN_PROGRAM.search(value) is None


def tokens_named(*documents: Any) -> tuple[str, ...]:
    """Names of auth entries whose token templates name as ``{auth.NAME}``, each once."""
    found: dict[str, None] = {}
    for text in _texts(documents):
        if "{auth." in text:
            for name in _parsed(text).names:
                kind, dot, rest = name.partition(".")
                if dot and kind == "auth":
                    found[rest] = None
    return tuple(found)


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for one in value.values():
                yield from _texts(one)
        case list() | tuple():
            for one in value:
                yield from _texts(one)
        case RequestTemplate():
            yield value.url
            yield from _texts((value.headers, value.query, value.json, value.form, value.body))
        case _:
            return  # numbers, secrets, nothing
