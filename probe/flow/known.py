"""What is known to be secret, and whether a text comes near it. Pure.

A secret is known by its windows: every run of `RUN` characters of it, folded. A text is compared
in words of four bytes, one after the other: eight characters in a row hold a whole word wherever
they begin, so that only where a word is one of a secret's the windows around it are looked up. The
cost grows with the text, and far less with the number of secrets: with more of them, more words are
one of theirs by chance.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Set
from itertools import compress, count
from typing import Literal

from probe.flow.folding import ADDED, FOLDS, TooManyReadings, raw_of, readings

RUN = 8
"""Characters of a secret in a row that no text may show."""

LONGEST = 4096
"""Characters of a secret that are known one by one. Of a longer one many pieces are known."""

_PIECE = 64
_KEEP = 24 * 3600.0
_MOST = 4096
_MOST_CHARACTERS = 262_144
_REMEMBERED = 4096  # texts: what the calls of a large agent send, time after time …
_REMEMBERED_LONGEST = 512  # … and characters of each


class Windows:
    """The windows of several secrets."""

    def __init__(self) -> None:
        self._windows: Counter[int] = Counter()  # how many secrets have it
        self._words: Counter[int] = Counter()
        self._folds = [0] * len(FOLDS)  # how many secrets have windows of each
        self._answers: dict[tuple[str, tuple[bytes, ...]], bool] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def add(self, value: str) -> None:
        """Know a secret; one that is known twice must be forgotten twice."""
        for known, found in self._changed(value, 1):
            known.update(found)

    def discard(self, value: str) -> None:
        """Forget a secret that was added."""
        for known, found in self._changed(value, -1):
            for one in found:
                left = known.pop(one) - 1
                if left:
                    known[one] = left

    def _changed(self, value: str, by: int) -> tuple[tuple[Counter[int], set[int]], ...]:
        windows, words, folds = _cut(value)
        self._answers.clear()
        self._folds = [n + by * one for n, one in zip(self._folds, folds, strict=True)]
        return (self._windows, windows), (self._words, words)

    def near(self, text: str, public: tuple[bytes, ...] = ()) -> bool:
        """Tell whether a text shows `RUN` characters of a secret in a row, however encoded.

        Args:
            text: may come from anywhere.
            public: what is no secret though a secret may hold it, as `public_of` gives it.
        """
        if not self._words or len(text) < RUN:
            return False
        key = (text, public)
        found = self._answers.get(key)
        if found is None:
            found = self._near(text, public)
            if len(text) <= _REMEMBERED_LONGEST:
                if len(self._answers) >= _REMEMBERED:
                    self._answers.clear()
                self._answers[key] = found
        return found

    def stands(self, text: str, public: tuple[bytes, ...] = ()) -> bool:
        """Tell the same of a text as it stands, however long, with no encoding undone."""
        raw = raw_of(text)
        folds = zip(FOLDS, self._folds, strict=True)
        return any(self._hit(fold(raw), public) for fold, count in folds if count)

    def _near(self, text: str, public: tuple[bytes, ...]) -> bool:
        folds = [fold for fold, count in zip(FOLDS, self._folds, strict=True) if count]
        try:
            return any(
                self._hit(_APART.join(map(fold, some)), public)
                for some in _together(readings(text))
                for fold in folds
            )
        except TooManyReadings:
            return True

    def _hit(self, folded: bytes, public: tuple[bytes, ...]) -> bool:
        words = memoryview(folded)[: len(folded) & ~3].cast("I")
        if self._words.keys().isdisjoint(words):
            return False
        places = _places(folded, words, self._words.keys() & words)
        # A word that is a secret's by chance stands in a text again and again.
        for around in {folded[max(0, place - 4) : place + RUN] for place in places}:
            for start in range(len(around) - RUN + 1):
                window = around[start : start + RUN]
                if _number(window) in self._windows and not any(window in one for one in public):
                    return True
        return False


_FEW = 8  # words that are sought one by one, each at every place


def _places(folded: bytes, words: memoryview, held: Set[int]) -> Iterator[int]:
    """Yield where words of secrets stand: at every fourth byte at least.

    Args:
        folded: the text.
        words: of it, from every fourth byte.
        held: those of them that are a secret's.
    """
    if len(held) > _FEW:
        yield from compress(count(0, 4), map(held.__contains__, words))
        return
    for word in held:
        sought, place = word.to_bytes(4, sys.byteorder), -1
        while (place := folded.find(sought, place + 1)) >= 0:
            yield place


_APART = b"\0"
"""Between two readings: no window of `letters` or `marks` holds it."""

_TOGETHER = 8192
"""Bytes of readings that are looked at as one: a look costs more than a hundred bytes of it."""


def _together(found: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Yield readings, so many at a time that there is something to look at."""
    some: list[bytes] = []
    size = 0
    for one in found:
        some.append(one)
        size += len(one)
        if size >= _TOGETHER:
            yield some
            some, size = [], 0
    yield some


def has_windows(value: str) -> bool:
    """Tell whether a secret is long enough to be known by its windows."""
    return len(raw_of(value.strip())) >= RUN


def _cut(value: str) -> tuple[set[int], set[int], list[bool]]:
    """Cut a secret into windows and words; tell which folds have windows of their own."""
    windows: set[int] = set()
    words: set[int] = set()
    own = [False] * len(FOLDS)
    for piece in _pieces(value):
        raw = raw_of(piece)
        for level, (fold, added) in enumerate(zip(FOLDS, ADDED, strict=True)):
            spans = [folded := fold(raw)]
            if level:  # only what holds something that the fold before leaves out
                places = [at for at, byte in enumerate(folded) if byte in added]
                if len(places) < len(folded) // RUN:  # else they would overlap
                    spans = [folded[max(0, at - RUN + 1) : at + RUN] for at in places]
            for span in spans:
                if len(span) >= RUN:
                    windows.update(_every(span, RUN, "Q"))
                    words.update(_every(span, 4, "I"))
                    own[level] = True
    return windows, words, own


def _every(folded: bytes, size: int, kind: Literal["I", "Q"]) -> Iterator[int]:
    """Yield every piece of so many bytes as a number."""
    for start in range(min(size, len(folded) - size + 1)):
        whole = (len(folded) - start) // size * size
        yield from memoryview(folded)[start : start + whole].cast(kind)


def _number(window: bytes) -> int:
    return int.from_bytes(window, sys.byteorder)


def _pieces(value: str) -> list[str]:
    """Leave out the lines around a PEM block; of a long secret take pieces all over it."""
    if value.lstrip().startswith("-----BEGIN "):
        value = "".join(line for line in value.splitlines() if not line.startswith("-----"))
    if len(value) <= LONGEST:
        return [value]
    step = (len(value) - _PIECE) / (LONGEST // _PIECE - 1)
    return [value[int(n * step) :][:_PIECE] for n in range(LONGEST // _PIECE)]


def public_of(*texts: str) -> bytes:
    """Fold what is no secret, host names that the configuration spells out for example."""
    raw = b"\n".join(map(raw_of, texts))
    return b"\0".join(fold(raw) for fold in FOLDS)


COMMON = """
    --connect-to --max-time --data-binary --data-raw --compressed --http1.1 --curves --aws-sigv4
    Accept-Encoding Authorization: Basic Bearer Content-Type: application/json User-Agent
    application/x-www-form-urlencoded traceparent access_token grant_type client_credentials
    refresh_token client_id client_secret client_assertion_type assertion
    urn:ietf:params:oauth:client-assertion-type:jwt-bearer
    urn:ietf:params:oauth:grant-type:jwt-bearer
"""
"""Words of requests and of the commands that repeat them: no part of them is a secret."""


class KnownSecrets(Windows):
    """The secrets of a whole agent: no check shows those of another.

    One is kept for a day after its last use, because answers may still hold it; of too many, those
    go that were used least lately.

    Args:
        clock: any clock in seconds that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._used: dict[str, float] = {}  # in the order of their use
        self._characters = 0

    def has(self, values: Set[str]) -> bool:
        """Tell whether all of these are known by their windows."""
        return values <= self._used.keys()

    def learn(self, value: str) -> None:
        """Know a secret from now on; one without windows is left to whoever uses it."""
        if value not in self._used and not has_windows(value):
            return
        used = self._used.pop(value, None)
        self._used[value] = now = self._clock()
        if used is not None:
            return
        self.add(value)
        self._characters += min(len(value), LONGEST)
        while len(self._used) > 1:
            oldest, at = next(iter(self._used.items()))
            within = len(self._used) <= _MOST and self._characters <= _MOST_CHARACTERS
            if within and now - at <= _KEEP:
                return
            del self._used[oldest]
            self.discard(oldest)
            self._characters -= min(len(oldest), LONGEST)
