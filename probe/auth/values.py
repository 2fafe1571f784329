"""The values that a run's templates are filled from, and what may be written where.

What configuration and target lists say is trusted. What a *server* said (a capture) is not: it
may hold a newline that would start a header of its own, or a host name that would receive our
credentials. Such values are checked where they are used.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from probe.http.messages import Request, form_body, json_body
from probe.http.url import LONGEST_KEPT, clean_url
from probe.model.expressions import parse
from probe.model.flow import RequestTemplate
from probe.model.secret import SecretError, SecretRef
from probe.net.names import bracketed


class NoValue(Exception):
    """A template needs a value that this run does not have (yet)."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Unsafe(Exception):
    """A value must not be sent where the template puts it; the message never quotes it."""


_parsed = functools.lru_cache(maxsize=4096)(parse)  # configurations hold few, and runs many


@functools.lru_cache(maxsize=4096)
def _kept_url(url: str, query: tuple[tuple[str, str], ...]) -> str:
    return clean_url(url, dict(query))


def _clean_url(url: str, query: dict[str, str]) -> str:
    """Encode a URL, remembered unless it is long: flows call the same ones again and again."""
    if len(url) + sum(map(len, query.values())) > LONGEST_KEPT:
        return clean_url(url, query)
    return _kept_url(url, tuple(query.items()))


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


def _no_secret(ref: SecretRef) -> str:
    raise SecretError(f"{ref} is not read here")


class Values:
    """A run's values by name, with its secrets and its time: what its requests are made of.

    Values are the check's and the persona's, the target's, and captures. Filling a template in
    raises `NoValue` for one that is not there, and `Unsafe` for one that must not be sent.

    Args:
        given: all values but captures.
        read: a secret's value; raises `probe.model.secret.SecretError`. The run remembers what
            was read, to keep it out of all evidence.
        learn_secret: tells the run of a secret that came about otherwise: value, name.
        wall: wall time, seconds since the epoch.
    """

    def __init__(
        self,
        given: Mapping[str, str],
        read: Callable[[SecretRef], str] = _no_secret,
        learn_secret: Callable[[str, str], None] = lambda _value, _name: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._given = given
        self._captured: dict[str, str] = {}
        self.read = read
        self.learn_secret = learn_secret
        self.wall = wall

    def learn(self, captured: Mapping[str, str]) -> None:
        """Keep captured values for later steps."""
        self._captured.update(captured)

    def uncaptured(self) -> Values:
        """Leave out what servers said."""
        return Values(self._given)

    def get(self, name: str) -> str | None:
        """Return a value, captured or given; None when there is none."""
        return self._captured.get(name, self._given.get(name))

    def fill(self, text: str) -> str:
        """Fill a template in."""
        if "{" not in text and "}" not in text:
            return text
        pieces = _parsed(text).pieces
        return "".join([one if isinstance(one, str) else self._need(one.name) for one in pieces])

    def fill_url(self, text: str) -> str:
        """Fill a URL template in; captures are encoded, unless one gives the URL's beginning.

        Where the host stands an IPv6 address gets its brackets, and ``{target}`` is without
        its port when the URL writes one behind it.
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
        """Fill a header's value in; unsafe when the result would not stay one header."""
        value = self.fill(text)
        if not fits_header(value):
            raise Unsafe("a header's value would hold a line end or control character")
        return value

    def fill_argument(self, text: str) -> str:
        """Fill a program's argument in; unsafe when a value would be read as an option."""
        value = self.fill(text)
        if value.startswith("-") and not text.startswith("-"):
            raise Unsafe("a value would turn an argument into an option")
        return value

    def text(self, value: str | SecretRef) -> str:
        """Fill a template in, or read a secret."""
        return self.read(value) if isinstance(value, SecretRef) else self.fill(value)

    def document(self, value: Any) -> Any:
        """Fill a JSON document in whose string leaves are templates or secrets."""
        return walk(value, self.fill, self.read)

    def request(self, template: RequestTemplate) -> Request:
        """Fill a step's request in.

        Raises:
            SecretError: a secret is missing.
            NoValue: a template names a value that is not there.
            Unsafe: a value must not be sent where the template puts it.
            BadUrl: the result is no URL that may be called.
        """
        headers = [(name, self.fill_header(value)) for name, value in template.headers.items()]
        query = {name: self.fill(value) for name, value in template.query.items()}
        body = b""
        content: tuple[str, str] | None = None
        if template.json is not None:
            body, content = json_body(self.document(template.json))
        elif template.form is not None:
            body, content = form_body({k: self.text(v) for k, v in template.form.items()})
        elif template.body is not None:
            body = self.fill(template.body).encode()
        if content is not None and all(name.lower() != "content-type" for name, _ in headers):
            headers.insert(0, content)
        url = _clean_url(self.fill_url(template.url), query)
        return Request(template.method.upper(), url, tuple(headers), body)

    def _need(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise NoValue(name)
        if not value.isascii() and _HALF.search(value):
            raise Unsafe("a value would hold half a character, which cannot be sent")
        return value


def fits_header(value: str) -> bool:
    """Tell whether a text stays one header value."""
    return _NOT_IN_HEADER.search(value) is None


def fits_program(value: str) -> bool:
    """Tell whether a text can be an argument, a variable or the stdin of a program.

    A NUL would end it early, and half a surrogate pair has no form in UTF-8.
    """
    return _NOT_IN_PROGRAM.search(value) is None


def walk(value: Any, text: Callable[[str], Any], secret: Callable[[SecretRef], Any]) -> Any:
    """Replace each text and each reference to a secret in a text, document or record.

    Mappings and records become dictionaries, tuples become lists.
    """
    match value:
        case str():
            return text(value)
        case SecretRef():
            return secret(value)
        case Mapping():
            return {name: walk(one, text, secret) for name, one in value.items()}
        case list() | tuple():
            return [walk(one, text, secret) for one in value]
        case _ if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            return {one.name: walk(getattr(value, one.name), text, secret) for one in fields}
        case _:
            return value


def names_in(*values: Any) -> tuple[str, ...]:
    """Name the values that templates in texts, documents and records need, each once."""
    texts: list[str] = []
    walk(values, texts.append, str)
    return tuple(
        dict.fromkeys(name for text in texts if "{" in text for name in _parsed(text).names)
    )


def tokens_named(*values: Any) -> tuple[str, ...]:
    """Name the auth entries whose token templates carry as ``{auth.NAME}``, each once."""
    return tuple(name[5:] for name in names_in(*values) if name.startswith("auth."))
