"""The tree that a YAML or JSON document becomes: every value and every key has its position.

Scalars are read by the rules of JSON and of YAML 1.2's core schema, as editors read them, not
by YAML 1.1's: ``no`` and ``on`` are words, ``1:30`` is no number, and a date stays text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

Plain = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Position:
    """Line and column, both from 1."""

    line: int
    column: int


@dataclass(eq=False, slots=True)
class ScalarNode:
    """A single value.

    Attributes:
        text: as written, after quotes and escapes.
    """

    position: Position
    value: Plain
    text: str
    height: ClassVar[int] = 0
    weight: ClassVar[int] = 1


@dataclass(eq=False, slots=True)
class SequenceNode:
    """A list.

    Attributes:
        height: levels in it, itself included.
        weight: values in it, itself included, each as often as aliases repeat it.
    """

    position: Position
    items: list[Node] = field(default_factory=list)
    height: int = 1
    weight: int = 1


@dataclass(eq=False, slots=True)
class MappingNode:
    """A mapping; keys are text whatever they look like.

    Attributes:
        entries: value of each key.
        keys: position of each key.
        height: levels in it, itself included.
        weight: values in it, itself included, each as often as aliases repeat it.
    """

    position: Position
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Position] = field(default_factory=dict)
    height: int = 1
    weight: int = 1

    def add(self, key: str, position: Position, value: Node) -> None:
        """Add an entry, unless the key is there already."""
        self.keys.setdefault(key, position)
        self.entries.setdefault(key, value)


Node = ScalarNode | SequenceNode | MappingNode


class Block(dict[str, Any]):
    """A mapping as plain data that still knows the node it came from."""

    __slots__ = ("node",)

    def __init__(self, node: MappingNode) -> None:
        super().__init__()
        self.node = node


def to_data(node: Node) -> Any:
    """The plain data of a tree: text, numbers, lists and ``Block`` mappings."""
    match node:
        case ScalarNode():
            return node.value
        case SequenceNode():
            return [to_data(item) for item in node.items]
        case MappingNode():
            block = Block(node)
            block.update((key, to_data(value)) for key, value in node.entries.items())
            return block


def child(node: Node, part: str | int) -> Node | None:
    """The value under a key or index; None where there is none."""
    match node:
        case MappingNode() if isinstance(part, str):
            return node.entries.get(part)
        case SequenceNode() if isinstance(part, int) and 0 <= part < len(node.items):
            return node.items[part]
        case _:
            return None


def at(node: Node, *path: str | int) -> Node:
    """The node at the end of a path, or the last one on the way that exists.

    A short form has no nodes for the parts that it leaves out: problems with those stand
    at the short form itself.
    """
    for part in path:
        node = child(node, part) or node
    return node


def key_position(node: Node, key: str) -> Position:
    """Where a mapping's key stands; the mapping's own position when it has no such key."""
    return node.keys.get(key, node.position) if isinstance(node, MappingNode) else node.position


def found(node: Node) -> str:
    """What a value is, without repeating it."""
    match node:
        case MappingNode():
            return "a mapping"
        case SequenceNode():
            return "a list"
        case ScalarNode(value=None):
            return "nothing"
        case ScalarNode(value=bool() as value):
            return str(value).lower()
        case ScalarNode(value=int() | float()):
            return "a number"
        case _:
            return "text"


# ---------------------------------------------------------------- what scalars mean

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MOST_DIGITS = 18  # what every JSON reader keeps exactly as a 64-bit integer
_STANDARD = "tag:yaml.org,2002:"
_TAGGED: dict[str, tuple[type, ...]] = {
    f"{_STANDARD}int": (int,),
    f"{_STANDARD}float": (float, int),
    f"{_STANDARD}bool": (bool,),
    f"{_STANDARD}null": (type(None),),
}
COLLECTION_TAGS = (None, "!", f"{_STANDARD}map", f"{_STANDARD}seq")
TAG_HINT = "tags (words that start with !) are not supported; put the text in quotes"


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


def tagged(tag: str, text: str) -> Plain:
    """The value of a scalar with an explicit tag of YAML's own: ``!!str 5`` is text.

    Raises:
        ScalarProblem: any other tag; the tag is not repeated, it may be a text someone
            forgot to quote.
    """
    if tag in ("!", f"{_STANDARD}str"):
        return text
    value = plain(text)
    if not isinstance(value, _TAGGED.get(tag, ())):
        raise ScalarProblem(TAG_HINT)
    return value
