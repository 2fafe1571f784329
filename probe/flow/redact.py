"""What must not be seen is replaced wherever evidence is kept: pure.

A run tells its `Redactor` each secret it reads, receives or derives. Besides the value itself
its usual disguises are covered: percent-encoding, base64 (also inside a longer text, as in
Basic credentials), JSON and HTML escapes. A text that was cut off in the middle of a secret
loses that tail too.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

PLACEHOLDER = "***"

_SHORTEST_TAIL = 4  # characters of a cut-off secret that are worth hiding
_SHORTEST_INNER = 8  # characters of base64 that are still telling


class Redactor:
    """The secrets that one run knows, and how to keep them out of a text."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # every written form → shell variable
        self._taken: dict[str, str] = {}  # shell variable → the value it stands for
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str, name: str) -> None:
        """Learn a secret; ``name`` becomes the shell variable that stands for it."""
        if not value or value in self._names:
            return
        variable = self._variable(shell_name(name), value)
        for form in _forms(value):
            if form not in self._names:
                self._names[form] = variable
                self._pattern = None

    def _variable(self, name: str, value: str) -> str:
        """A variable of its own: two files may both be called ``token``."""
        variable, number = name, 1
        while self._taken.setdefault(variable, value) != value:
            number += 1
            variable = f"{name}_{number}"
        return variable

    def redact(self, text: str) -> str:
        """The text without any secret."""
        if not self._names or not text:
            return text
        clean = self._matcher().sub(PLACEHOLDER, text)
        return self._without_tail(clean)

    def knows(self, text: str) -> bool:
        """Whether the text holds a secret."""
        return bool(self._names) and self._matcher().search(text) is not None

    def shell(self, text: str) -> str:
        """The text as one word of a shell command, secrets as variables: ``'a '"$TOKEN"``."""
        pieces = [
            f'"${self._names[piece]}"' if secret else shlex.quote(piece)
            for piece, secret in self._pieces(text)
        ]
        return "".join(pieces) or "''"

    def _pieces(self, text: str) -> Iterator[tuple[str, bool]]:
        if not self._names:
            if text:
                yield text, False
            return
        end = 0
        for match in self._matcher().finditer(text):
            if match.start() > end:
                yield text[end : match.start()], False
            yield match.group(), True
            end = match.end()
        if end < len(text):
            yield text[end:], False

    def _matcher(self) -> re.Pattern[str]:
        if self._pattern is None:
            longest_first = sorted(self._names, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        return self._pattern

    def _without_tail(self, text: str) -> str:
        """Drop the beginning of a secret that the text's end cuts off."""
        for form in self._names:
            if len(form) <= _SHORTEST_TAIL:
                continue
            start = text.find(form[:_SHORTEST_TAIL], max(0, len(text) - len(form)))
            while start >= 0:
                if form.startswith(text[start:]):
                    return text[:start] + PLACEHOLDER
                start = text.find(form[:_SHORTEST_TAIL], start + 1)
        return text


def shell_name(name: str) -> str:
    """A shell variable's name: ``secrets/app-token.txt`` gives ``APP_TOKEN``."""
    last = name.rstrip("/").rpartition("/")[2]
    stem = last.rpartition(".")[0] or last
    clean = re.sub(r"[^A-Za-z0-9]+", "_", stem).strip("_").upper()
    return clean if clean and not clean[0].isdigit() else f"SECRET_{clean}".rstrip("_")


def _forms(value: str) -> Iterator[str]:
    """The ways in which a secret may stand in a text; never an empty one."""
    plain = {value, value.strip()} - {""}
    for text in plain:
        yield text
        escaped = json.dumps(text)[1:-1]
        yield from {
            quote(text, safe=""),
            quote(text),
            quote(text, safe="").replace("%2F", "%2f"),
            _lower_percent(quote(text, safe="")),
            quote_plus(text),
            escaped,
            json.dumps(text, ensure_ascii=False)[1:-1],
            escaped.replace("/", "\\/"),
            html.escape(text),
        } - {text}
        yield from _base64_forms(text.encode())


def _lower_percent(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda match: match.group().lower(), text)


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Base64 of the secret alone, and the part of it that is the same inside a longer text."""
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
