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

from probe.model.flow import Request
from probe.model.template import parse


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

_NOT_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""RFC 9110 section 5.5: no line ends and no other control characters."""


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
        """
        template = _parsed(text)
        return template.render({name: self._need(name) for name in template.names})

    def fill_url(self, text: str) -> str:
        """A URL template filled in; captures are encoded, unless one gives the URL's beginning.

        Raises:
            Missing: it names a value that is not there.
        """
        template = _parsed(text)
        values = {
            name: quote(value, safe=_IN_URL)
            if name in self._captured and not text.startswith("{" + name + "}")
            else value
            for name, value in ((name, self._need(name)) for name in template.names)
        }
        return template.render(values)

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

    def fill_json(self, document: Any) -> Any:
        """A JSON document with every string leaf filled in.

        Raises:
            Missing: it names a value that is not there.
        """
        match document:
            case str():
                return self.fill(document)
            case Mapping():
                return {key: self.fill_json(value) for key, value in document.items()}
            case list() | tuple():
                return [self.fill_json(value) for value in document]
            case _:
                return document

    def _need(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise Missing(name)
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
        case Request():
            yield value.url
            yield from _texts((value.headers, value.query, value.json, value.form, value.body))
        case _:
            return  # numbers, secrets, nothing
