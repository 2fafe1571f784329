"""Keeps secrets out of texts wherever evidence is kept. Pure.

A run tells its `Redactor` each secret it reads, receives or derives. Besides the value itself its
usual disguises are found: percent-encoding, base64 (inside a longer text too, as in Basic
credentials), JSON and HTML escapes. A text that was cut off in the middle of a secret loses that
tail too.

A form of fewer than `SHORTEST` characters stands in many words by chance. In our own texts it is
replaced only where it stands alone. What a server or program wrote is withheld as a whole, because
nobody can tell there which of its letters are the secret.
"""

from __future__ import annotations

import base64
import functools
import html
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import quote_from_bytes

PLACEHOLDER = "***"
TOO_SHORT = "(withheld: a very short secret may stand in it)"

SHORTEST = 4
"""Characters of a form, or of a secret that was cut off, that are told from chance."""

_SHORTEST_INNER = 8  # characters of base64 that are still telling
_HEAD = 12  # characters of a secret that decide how each of its forms begins
_WIDEST = 12  # characters that one character may become: an escaped surrogate pair


class _Disguises:
    """The forms in which one secret may stand in a text, computed when a text may hold one."""

    __slots__ = ("_forms", "_heads", "shortest", "value")

    def __init__(self, value: str) -> None:
        self.value = value
        self.shortest = len(value.strip()) or len(value)  # no form is shorter than this
        self._forms: tuple[str, ...] | None = None
        self._heads: tuple[str, ...] | None = None

    @property
    def forms(self) -> tuple[str, ...]:
        """Return every form, the longest first."""
        if self._forms is None:
            self._forms = tuple(sorted({*_forms(self.value)}, key=len, reverse=True))
        return self._forms

    def in_(self, text: str) -> Iterator[str]:
        """Yield the forms that a text holds."""
        if len(text) >= self.shortest:
            yield from (form for form in self.forms if form in text)

    def tail(self, text: str) -> int | None:
        """Find where a form begins that the text's end cuts off; None where none does."""
        end = text[-_WIDEST * len(self.value) :]
        if self._heads is None:
            starts = {self.value[:_HEAD], self.value.lstrip()[:_HEAD]}
            self._heads = tuple({one[:SHORTEST] for start in starts for one in _forms(start)})
        if not any(head in end for head in self._heads):
            return None
        for form in self.forms:
            if len(form) <= SHORTEST:
                continue
            start = text.find(form[:SHORTEST], max(0, len(text) - len(form)))
            while start >= 0:
                if form.startswith(text[start:]):
                    return start
                start = text.find(form[:SHORTEST], start + 1)
        return None


_kept = functools.lru_cache(maxsize=128)(_Disguises)  # a token serves many runs
_LONGEST_KEPT = 2048  # characters: the forms together are a hundred times as long


class Redactor:
    """The secrets that one run knows, and how to keep them out of a text."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[_Disguises, str]] = {}  # by value: forms, shell variable
        self._taken: dict[str, str] = {}  # shell variable → the value it stands for

    def add(self, value: str, name: str) -> None:
        """Learn a secret; ``name`` becomes the shell variable that stands for it."""
        if value and value not in self._known:
            disguises = (_kept if len(value) <= _LONGEST_KEPT else _Disguises)(value)
            self._known[value] = disguises, self._variable(shell_name(name), value)

    def add_cookie(self, value: str) -> None:
        """Learn what a server set; so short a value is a setting, and would hide every page."""
        if len(value) >= SHORTEST:
            self.add(value, "COOKIE")

    def _variable(self, name: str, value: str) -> str:
        """Name a variable for a value alone: two files may both be called ``token``."""
        variable, number = name, 1
        while self._taken.setdefault(variable, value) != value:
            number += 1
            variable = f"{name}_{number}"
        return variable

    def redact(self, text: str) -> str:
        """Replace every secret in a text of our own."""
        if not self._known or not text:
            return text
        held = [form for one, _ in self._known.values() for form in one.in_(text)]
        clean = _masked(text, held) if held else text
        for one, _ in self._known.values():
            start = one.tail(clean)
            if start is not None:
                clean = clean[:start] + PLACEHOLDER
        return clean

    def redact_foreign(self, text: str) -> str:
        """Replace every secret in a text of a server or program, or withhold the text.

        NUL goes first: in UTF-16 that was read as UTF-8 it stands between all letters.
        """
        text = text.replace("\0", "")
        for one, _ in self._known.values():
            if one.shortest < SHORTEST and any(len(form) < SHORTEST for form in one.in_(text)):
                return TOO_SHORT
        return self.redact(text)

    def knows(self, text: str) -> bool:
        """Tell whether a text holds a secret; a very short one may stand there by chance."""
        known = self._known.values()
        return bool(known) and any(True for one, _ in known for _ in one.in_(text))

    def shell(self, text: str) -> str:
        """Quote a text as one word of a shell command, secrets as variables: ``'a '"$TOKEN"``."""
        variables = {form: name for one, name in self._known.values() for form in one.in_(text)}
        words, end = [], 0
        for start, form in _found(text, variables):
            if start < end:
                continue
            if start > end:
                words.append(shlex.quote(text[end:start]))
            words.append(f'"${variables[form]}"')
            end = start + len(form)
        if end < len(text):
            words.append(shlex.quote(text[end:]))
        return "".join(words) or "''"


def _masked(text: str, forms: Iterable[str]) -> str:
    """Replace each form in a text; forms that overlap are replaced together."""
    kept, end = [], 0
    for start, form in _found(text, forms):
        if start >= end:
            kept += [text[end:start], PLACEHOLDER]
        end = max(end, start + len(form))
    return "".join(kept) + text[end:]


def _found(text: str, forms: Iterable[str]) -> list[tuple[int, str]]:
    """Find where forms stand in a text, in order; of those at one place the longest first."""
    places = []
    for form in forms:
        start = text.find(form)
        while start >= 0:
            if len(form) >= SHORTEST or _alone(text, start, start + len(form)):
                places.append((start, form))
            start = text.find(form, start + 1)
    return sorted(places, key=lambda place: (place[0], -len(place[1])))


def _alone(text: str, start: int, end: int) -> bool:
    """Tell whether neither neighbour of a piece of text is a letter or digit."""
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())


def clip(text: str, most: int) -> str:
    """Bound a text in characters, and replace its control characters but line ends and tabs."""
    shown = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in shown
    )


def shell_name(name: str) -> str:
    """Make a shell variable's name: ``secrets/app-token.txt`` gives ``APP_TOKEN``."""
    last = name.rstrip("/").rpartition("/")[2]
    stem = last.rpartition(".")[0] or last
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in stem).split()
    clean = "_".join(words).upper()
    return clean if clean and not clean[0].isdigit() else f"SECRET_{clean}".rstrip("_")


def _forms(value: str) -> Iterator[str]:
    """Yield the ways in which a secret may stand in a text; never an empty one."""
    for text in {value, value.strip()} - {""}:
        yield text
        raw = text.encode("utf-8", "surrogatepass")  # JSON may give half of a pair
        if not text.isascii() or not text.isalnum():
            yield from _escaped(text, raw)
        yield from _base64_forms(raw)


def _escaped(text: str, raw: bytes) -> Iterator[str]:
    for safe in ("", "/", "!'()*"):  # the last is JavaScript's encodeURIComponent
        percent = quote_from_bytes(raw, safe=safe)
        yield percent
        yield percent.replace("%2F", "%2f")
        yield percent.replace("%20", "+")
        yield _PERCENT.sub(lambda code: code[0].lower(), percent)
    for ascii_alone in (True, False):
        escaped = json.dumps(text, ensure_ascii=ascii_alone)[1:-1]
        yield escaped
        yield escaped.replace("/", "\\/")
        yield _UNICODE.sub(lambda code: f"\\u{code[1].upper()}", escaped)
        fit_for_html = escaped.translate(_JSON_IN_HTML)  # as Go and Rails write it
        yield fit_for_html
        yield fit_for_html.replace("'", "\\u0027")
    marked = html.escape(text, quote=False)
    for double, single in _HTML_QUOTES:
        yield marked.replace('"', double).replace("'", single)


_PERCENT = re.compile("%[0-9A-F]{2}")
_UNICODE = re.compile(r"\\u([0-9a-f]{4})")
_JSON_IN_HTML = {ord(one): f"\\u{ord(one):04x}" for one in "<>&"}
_HTML_QUOTES = (
    ('"', "'"),
    ("&quot;", "'"),
    ("&quot;", "&#x27;"),
    ("&quot;", "&#39;"),
    ("&quot;", "&#039;"),
    ("&quot;", "&apos;"),
    ("&#34;", "&#39;"),
)
"""How Python, PHP, Go and others write quotes in HTML."""


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Yield base64 of the secret alone, and the part that is the same inside a longer text."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        alone = encode(raw).decode()
        yield alone
        yield alone.rstrip("=")
        for offset in range(3):
            whole = encode(b"\0" * offset + raw).decode().rstrip("=")
            first = -(-offset * 4 // 3)  # characters that the bytes before have a share in
            last = (offset + len(raw)) * 8 // 6  # and those that the bytes after have
            inner = whole[first:last]
            if len(inner) >= _SHORTEST_INNER:
                yield inner
