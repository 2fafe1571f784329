"""What an unquoted or tagged scalar means."""

from __future__ import annotations

import math
import re

from probe.documents.nodes import Plain

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, Plain] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_MOST_DIGITS = 18  # what every JSON reader keeps exactly as a 64-bit integer


class ScalarProblem(ValueError):
    """A scalar that has no meaning; the message says what to write instead."""


def plain(text: str) -> Plain:
    """The value of an unquoted scalar.

    Raises:
        ScalarProblem: a number that no JSON reader keeps.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.match(text):
        if len(text) > _MOST_DIGITS:
            raise ScalarProblem("this number has too many digits; put it in quotes to make it text")
        return int(text)
    if _NUMBER.match(text):
        value = float(text[:400])
        if len(text) > 400 or not math.isfinite(value):
            raise ScalarProblem("this number is too large; put it in quotes to make it text")
        return value
    return text


def as_written(text: str) -> Plain:
    """An unquoted scalar as the text it is, whatever it looks like, but for YAML's null."""
    return None if _WORDS.get(text, text) is None else text


_STANDARD = "tag:yaml.org,2002:"


def tagged(tag: str, text: str) -> Plain:
    """The value of a scalar with an explicit tag of YAML's own: ``!!str 5`` is text.

    Raises:
        ScalarProblem: any other tag; the tag is not repeated, it may be a text someone
            forgot to quote.
    """
    kind = tag.removeprefix(_STANDARD)
    if tag == "!" or (tag.startswith(_STANDARD) and kind == "str"):
        return text
    value = plain(text)
    expected: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "float": (float, int),
        "bool": (bool,),
        "null": (type(None),),
    }
    types = expected.get(kind) if tag.startswith(_STANDARD) else None
    if types is None or not isinstance(value, types):
        raise ScalarProblem(TAG_HINT)
    return value


TAG_HINT = "tags (words that start with !) mean nothing here; put the text in quotes"
