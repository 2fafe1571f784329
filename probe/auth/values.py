"""The values that a run's templates are filled from, and what may be written where.

What the configuration says is trusted. What a target list or a *server* said (a label, a capture)
is not: it may hold a newline that would start a header of its own, or what turns a path into a host
that would receive our credentials. Such values are checked and encoded where they are used.
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
from probe.net.names import NameProblem, bracketed, parse_host, quoted


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


_IN_SEGMENT = ":@-._~"
_IN_PATH = _IN_QUERY = "/:@-._~"
"""Characters of foreign values that stay as they are in a URL (RFC 3986). The rest, above all
``?``, ``#``, ``&`` and ``%``, is percent-encoded so that it cannot change the URL's shape."""

_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_HOST_PART = re.compile(r"(?:[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_SCHEME_PART = re.compile(r"[A-Za-z0-9+.-]*")

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
        """Fill a URL template in; foreign values are encoded for the place where they stand.

        They come from target lists and servers. None can end the host, the path or the query that
        the template has. One that gives the URL's beginning is a URL itself, and gives the host.

        Where the host stands an IPv6 address gets its brackets, and ``{target}`` is without
        its port when the URL writes one behind it.
        """
        filled = ""
        pieces = _parsed(text).pieces
        for piece, after in zip(pieces, (*pieces[1:], ""), strict=True):
            if isinstance(piece, str):
                filled += piece
                continue
            host, name = _AUTHORITY.fullmatch(filled) is not None, piece.name
            if host and name == "target" and str(after).startswith(":"):
                name = "target.name"
            value = self._need(name)
            if host and bracketed(value) != value:
                value = bracketed(value)
            elif self._foreign(name):
                whole = len(pieces) == 1
                value = value if whole else _encoded(value, filled, host=host)
            filled += value
        return filled

    def _foreign(self, name: str) -> bool:
        """Tell whether a value comes from a target list or a server."""
        return name in self._captured or name.startswith(("labels.", "target.")) or name == "target"

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


def _encoded(value: str, before: str, *, host: bool) -> str:
    """Encode a foreign value for its place in a URL, by what stands before it.

    Raises:
        Unsafe: it cannot stand there.
    """
    if host:
        if value.startswith("/") and not before.endswith("/"):  # the path, right behind the host
            if any(part and not part.strip(".") for part in value.split("/")):
                raise Unsafe("a value would climb in the URL's path")
            return quote(value, safe=_IN_PATH)
        return _host_part(value)
    if "://" not in before:
        if before or _SCHEME_PART.fullmatch(value):
            fits = _SCHEME_PART.fullmatch(value)
        else:
            fits = _AUTHORITY.match(value) if not set(value) & set("?#@\\") else None
        if fits is None:
            raise Unsafe("a value cannot begin this URL: it must be a URL without query")
        return value
    if "?" in before or "#" in before:
        return quote(value, safe=_IN_QUERY)
    if value and not value.strip("."):
        raise Unsafe("a value would climb in the URL's path")
    return quote(value, safe=_IN_SEGMENT)


def _host_part(value: str) -> str:
    """Return what stays a part of a host name, or a host with its port. Raises Unsafe."""
    try:
        part = value if value.isascii() else parse_host(value)
    except NameProblem:
        part = "/"
    if _HOST_PART.fullmatch(part) is None:
        raise Unsafe(f"{quoted(value)} stands where the URL has its host, and is no part of one")
    return part


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
