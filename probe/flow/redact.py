"""Keeps secrets out of texts wherever evidence is kept. Pure.

A run tells its `Redactor` each secret it reads, receives or derives; what one run learns, the runs
of all checks keep out of sight (`probe.flow.known`). In our own texts a secret is replaced where it
stands. What a server or program wrote is withheld as a whole as soon as it shows eight characters
of a secret in a row, however encoded: nobody can tell there what else of it is the secret.

Shorter secrets stand in many words by chance. The run that uses one replaces it where it stands as
it is or in the encodings of a URL or JSON; those with fewer than `SHORTEST` characters only where
they stand alone, and what a server wrote is withheld where one of these may stand.
"""

from __future__ import annotations

import functools
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import quote_from_bytes

from probe.flow.folding import letters, raw_of
from probe.flow.known import KnownSecrets, Windows, has_windows

PLACEHOLDER = "***"
TOO_SHORT = "(withheld: a very short secret may stand in it)"
TOO_MANY = "(withheld: the run holds more secrets than can be looked for)"

SHORTEST = 4
"""Characters of a secret that are told from chance."""

_MOST = 256  # secrets of one run, and as many cookies …
_MOST_CHARACTERS = 65_536  # … and characters of them all
_LONGEST = 16_384  # characters of one, and of all cookies: learning so many takes up to 50 ms


class _Room:
    """What is left of the bounds on what one run looks for in the texts of others."""

    def __init__(self, characters: int) -> None:
        self._secrets, self._characters = _MOST, characters

    def takes(self, value: str) -> bool:
        """Count a secret; tell whether it is still within the bounds."""
        self._secrets -= 1
        self._characters -= len(value)
        return len(value) <= _LONGEST and self._secrets >= 0 and self._characters >= 0


_TOKEN = re.compile(
    r"([?&#;](?:code|ticket|jwt|assertion|otp|sid|sig|signature|samlresponse|pass(?:word|wd)"
    r"|(?:[a-z]+[_-])*(?:token|secret|session|sessionid|credential|signature|assertion)|api_?key)=)"
    r"""([^&#;\s"'<>]+)|(?<=://)[^/?#@\s"'<>]+(?=@)""",
    re.IGNORECASE,
)
"""What URLs hold under names of tokens, and before an ``@``."""


def withheld(text: str) -> str:
    """Say that a text is not shown, and how long it is."""
    return f"(withheld: {len(text)} characters that may show a secret)"


@functools.lru_cache(maxsize=1024)
def _forms(value: str) -> tuple[str, ...]:
    """The ways in which our own texts write a secret; never an empty one."""
    found: set[str] = set()
    for text in {value, value.strip()} - {""}:
        found.add(text)
        if not text.isascii() or not text.isalnum():
            raw = text.encode("utf-8", "surrogatepass")  # JSON may give half of a pair
            for safe in ("", "/", "/:@-._~"):
                found |= {quoted := quote_from_bytes(raw, safe=safe), quoted.replace("%20", "+")}
            found |= {
                json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)
            }
    return tuple(sorted(found, key=len, reverse=True))


class Redactor:
    """The secrets that one run knows, and how to keep these and those of others out of a text.

    Args:
        agent: what all runs of the agent know.
        public: what is no secret though one may hold it, as `probe.flow.known.public_of` gives it.
    """

    def __init__(self, agent: KnownSecrets | None = None, public: tuple[bytes, ...] = ()) -> None:
        self._agent = KnownSecrets() if agent is None else agent
        self.public = public
        self._known: dict[str, str] = {}  # shell variable by value
        self._own: set[str] = set()  # those that all runs of the agent know from this one
        self._sought: list[str] = []  # without windows, or too many: looked for letter by letter
        self._taken: dict[str, str] = {}  # shell variable → the value it stands for
        self._cookies: Windows | None = None
        self._room, self._room_for_cookies = _Room(_MOST_CHARACTERS), _Room(_LONGEST)
        self._too_many = False
        self._too_many_cookies = False

    def add(self, value: str, name: str) -> None:
        """Learn a secret; ``name`` becomes the shell variable that stands for it.

        Of too many, and of one that is too long, texts of our own still show nothing, and those of
        others are withheld.
        """
        if not value or value in self._sought:
            return
        if value not in self._known:
            self._know(value, name)
        if value in self._own or self._room.takes(value):
            self._own.add(value)
            self._agent.learn(value)
        else:
            self._too_many = True
            self._sought.append(value)

    def add_cookie(self, value: str) -> None:
        """Learn what a server set, for this run; so short a value is a setting, in every page.

        Servers choose how many they set: of too many, texts of our own are withheld too.
        """
        if len(value) < SHORTEST or value in self._known or self._too_many_cookies:
            return
        if not self._room_for_cookies.takes(value):
            self._too_many = self._too_many_cookies = True
            return
        self._know(value, "COOKIE")
        self._cookies = self._cookies or Windows()
        self._cookies.add(value)

    def _know(self, value: str, name: str) -> None:
        self._known[value] = self._variable(shell_name(name), value)
        # A form writes a space as a plus, which no window reaches over.
        if not any(map(has_windows, value.split(" "))):
            self._sought.append(value)

    def _variable(self, name: str, value: str) -> str:
        """Name a variable for a value alone: two files may both be called ``token``."""
        variable, number = name, 1
        while self._taken.setdefault(variable, value) != value:
            number += 1
            variable = f"{name}_{number}"
        return variable

    def _near(self, text: str) -> bool:
        if not self._agent.has(self._own):  # of too many it forgets those not used lately
            for value in self._own:
                self._agent.learn(value)
        cookies = self._cookies
        return self._agent.near(text, self.public) or (
            cookies is not None and cookies.near(text, self.public)
        )

    def redact(self, text: str) -> str:
        """Replace every secret in a text of our own; withhold it when that is not enough."""
        if self._too_many_cookies and text:
            return TOO_MANY
        near = self._near(text)
        held = list(self._held(text, self._known if near else self._sought))
        clean = self._without_tokens(_masked(text, held) if held else text)
        return withheld(text) if near and self._near(clean) else clean

    def redact_foreign(self, text: str) -> str:
        """Withhold a text of a server or program that shows a secret; replace short ones in it.

        NUL goes first: in UTF-16 that was read as UTF-8 it stands between all letters.
        """
        if self._too_many and text:
            return TOO_MANY
        if self._near(text):
            return withheld(text)
        text = self._without_tokens(text.replace("\0", ""))
        held = list(self._held(text, self._sought))
        if any(len(form) < SHORTEST for form in held):
            return TOO_SHORT
        return _masked(text, held) if held else text

    def whole(self, text: str) -> str:
        """Withhold a text of our own that still shows a secret after its secrets were replaced."""
        if self._too_many_cookies:
            return TOO_MANY
        return withheld(text) if self._near(text) else self._without_tokens(text)

    def _without_tokens(self, text: str) -> str:
        """Replace what stands in URLs where tokens stand, unless the configuration says it."""
        if "=" not in text and "@" not in text:
            return text
        return _TOKEN.sub(self._token_replaced, text)

    def _token_replaced(self, match: re.Match[str]) -> str:
        value = letters(raw_of(match[2] or match[0]))
        return (
            match[0] if any(value in one for one in self.public) else (match[1] or "") + PLACEHOLDER
        )

    def knows(self, text: str) -> bool:
        """Tell whether a text holds a secret of this run; a short one may stand there by chance."""
        if not self._known:
            return False
        if any(True for _ in self._held(text, self._sought)):
            return True
        if not self._near(text):
            return False
        if any(True for _ in self._held(text, self._known)):
            return True
        own = Windows()
        for value in self._known:
            own.add(value)
        return own.near(text, self.public)

    def shell(self, text: str) -> str:
        """Quote a text as one word of a shell command, secrets as variables: ``'a '"$TOKEN"``."""
        variables = {form: name for value, name in self._known.items() for form in _forms(value)}
        words, end = [], 0
        for start, form in _found(text, [form for form in variables if form in text]):
            if start < end:
                continue
            if start > end:
                words.append(shlex.quote(text[end:start]))
            words.append(f'"${variables[form]}"')
            end = start + len(form)
        if end < len(text):
            words.append(shlex.quote(text[end:]))
        return "".join(words) or "''"

    @staticmethod
    def _held(text: str, values: Iterable[str]) -> Iterator[str]:
        return (form for value in values for form in _forms(value) if form in text)


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


@functools.lru_cache(maxsize=1024)
def shell_name(name: str) -> str:
    """Make a shell variable's name: ``secrets/app-token.txt`` gives ``APP_TOKEN``."""
    last = name.rstrip("/").rpartition("/")[2]
    stem = last.rpartition(".")[0] or last
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in stem).split()
    clean = "_".join(words).upper()
    return clean if clean and not clean[0].isdigit() else f"SECRET_{clean}".rstrip("_")
