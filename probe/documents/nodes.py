"""The tree that a YAML document becomes: every value and every key knows its place.

Scalars are read by the rules of JSON and of YAML 1.2's core schema, as editors read them, not
by YAML 1.1's: ``no`` and ``on`` are words, ``1:30`` is no number, and a date stays text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Plain = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, both from 1."""

    line: int
    column: int


@dataclass(eq=False, slots=True)
class Scalar:
    """A single value.

    Attributes:
        text: as written, after quotes and escapes.
    """

    place: Place
    value: Plain
    text: str


@dataclass(eq=False, slots=True)
class Sequence:
    """A list.

    Attributes:
        dropped: entries taken out because they are wrong; a problem stands for each.
    """

    place: Place
    items: list[Node] = field(default_factory=list)
    dropped: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entry:
    """One ``key: value`` of a mapping; the place is the key's."""

    place: Place
    value: Node


@dataclass(eq=False, slots=True)
class Mapping:
    """A mapping; keys are text whatever they look like.

    Attributes:
        dropped: entries taken out because they are wrong, and keys that are missing though they
            must be there; a problem stands for each.
    """

    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)
    dropped: dict[str, Entry] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping


class Block(dict[str, Any]):
    """A mapping as plain data that still knows the node it came from."""

    __slots__ = ("node",)

    def __init__(self, node: Mapping) -> None:
        super().__init__()
        self.node = node


def to_data(node: Node) -> Any:
    """The plain data of a tree: text, numbers, lists and ``Block`` mappings."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [to_data(item) for item in node.items]
        case Mapping():
            block = Block(node)
            block.update((key, to_data(entry.value)) for key, entry in node.entries.items())
            return block


def from_data(data: Any, place: Place) -> Node:
    """The tree of plain data, all of it at one place."""
    match data:
        case dict():
            entries = {str(k): Entry(place, from_data(v, place)) for k, v in data.items()}
            return Mapping(place, entries)
        case list():
            return Sequence(place, [from_data(item, place) for item in data])
        case _:
            return Scalar(place, data, "" if data is None else str(data))


def child(node: Node, part: str | int) -> Node | None:
    """The value under a key or index; None where there is none."""
    match node:
        case Mapping() if isinstance(part, str) and part in node.entries:
            return node.entries[part].value
        case Sequence() if isinstance(part, int) and 0 <= part < len(node.items):
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


def key_place(node: Node, key: str) -> Place:
    """Where a mapping's key stands; the mapping's own place when it has no such key."""
    if isinstance(node, Mapping) and key in node.entries:
        return node.entries[key].place
    return node.place


def keys(node: Node | None) -> Iterator[str]:
    """All keys of a mapping as written, wrong ones included; nothing for other nodes."""
    if isinstance(node, Mapping):
        yield from (node.entries | node.dropped)


def lost(node: Node, *keys_: str) -> bool:
    """Whether the value under one of these keys is not what was written, because that is wrong."""
    return isinstance(node, Mapping) and any(key in node.dropped for key in keys_)


def wrong_entries(node: Node, key: str) -> bool:
    """Whether the value under a key, or an entry of it, was taken out because it is wrong."""
    if isinstance(node, Sequence):  # a short form: the list stands for the mapping with the key
        return bool(node.dropped)
    below = child(node, key)
    return lost(node, key) or (not isinstance(below, Scalar | None) and bool(below.dropped))


def found(node: Node) -> str:
    """What a value is, without repeating it."""
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool() as value):
            return str(value).lower()
        case Scalar(value=int() | float()):
            return "a number"
        case _:
            return "text"
