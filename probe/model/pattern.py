"""Regular expressions on what servers send: RE2, whose time is linear in the text.

Python's own engine backtracks: on a text made for it, ``a*b`` takes a time quadratic in the
length and ``(a|aa)+$`` an exponential one, with the interpreter's lock held throughout, so that
neither a deadline nor a thread bounds it. RE2 gives up back-references and look-around for that
(https://github.com/google/re2/wiki/Syntax), and lets other threads run while it searches.
"""

from __future__ import annotations

import functools
from typing import Any


class PatternError(ValueError):
    """A regular expression that RE2 does not read; the message says why."""


@functools.lru_cache(maxsize=2048)
def compile_pattern(text: str) -> Any:
    """Compile a pattern; kept, because configurations hold few and every run asks them all.

    Raises:
        PatternError: RE2 does not read it.
    """
    # Some MiB, and only flows with patterns need it; it ships no types.
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415

    options = re2.Options()
    options.log_errors = False  # else it writes to stderr, past the log
    try:
        return re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else "unreadable"
        raise PatternError(said.decode() if isinstance(said, bytes) else str(said)) from None


def found(pattern: str, text: str) -> bool:
    """Tell whether the pattern is found anywhere in the text.

    Raises:
        PatternError: as above.
    """
    return compile_pattern(pattern).search(text) is not None


def first_group(pattern: str, text: str) -> str | None:
    """Return the first group of the first match; the whole match when there is no group.

    None when it is not found, or the group has no part in the match.

    Raises:
        PatternError: as above.
    """
    match = compile_pattern(pattern).search(text)
    if match is None:
        return None
    part = match.group(1 if match.re.groups else 0)
    return None if part is None else str(part)
