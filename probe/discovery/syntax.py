"""YAML and JSON to plain lists, mappings and texts, whatever the bytes. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal, NoReturn

import yaml

Syntax = Literal["yaml", "json"]

DEEPEST = 8
"""Levels that are followed; a list of targets has three. Depth exhausts a parser's stack."""

_LOADER: type = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml where PyYAML has it
_NOTHING = ("", "~", "null", "Null", "NULL")


class SyntaxProblem(ValueError):
    """Bytes that are no document of their syntax; the message says where and why."""


def parse_document(data: bytes, syntax: Syntax) -> object:
    """The document as lists, mappings, texts and None; in JSON numbers and booleans too.

    A YAML scalar is the text as written, whatever it looks like (``1e3``, ``yes``, ``12:30``),
    which is how Prometheus reads target files.

    Raises:
        SyntaxProblem: no such document.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SyntaxProblem(f"byte {error.start} is not UTF-8") from None
    if not text.strip():
        raise SyntaxProblem("it is empty; write [] for a list without targets")
    return _json(text) if syntax == "json" else _yaml(text)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise SyntaxProblem(f"line {error.lineno}: no JSON ({error.msg})") from None
    except RecursionError:
        raise SyntaxProblem("no JSON: nested without end") from None
    except ValueError:  # Python converts no integer of more than 4,300 digits
        raise SyntaxProblem("no JSON: a number has too many digits") from None


def _yaml(text: str) -> object:
    """Built from parser events, because PyYAML's own composers recurse without bound."""
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.feed(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise SyntaxProblem(f"{place}no YAML ({error.problem})") from None
    except yaml.YAMLError:
        raise SyntaxProblem("no YAML: there are characters that cannot stand in it") from None
    return builder.document


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come: its children so far, keys and values in turn."""

    anchor: str | None
    mapping: bool
    children: list[object] = field(default_factory=list)


class _Builder:
    def __init__(self) -> None:
        self.document: object = None
        self._open: list[_Open] = []
        self._anchors: dict[str, object] = {}
        self._documents = 0

    def feed(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    _refuse(event, "a second document starts here; write one list")
            case yaml.CollectionStartEvent():
                if len(self._open) >= DEEPEST:
                    _refuse(event, f"more than {DEEPEST} levels inside each other")
                self._open.append(_Open(event.anchor, isinstance(event, yaml.MappingStartEvent)))
            case yaml.CollectionEndEvent():
                done = self._open.pop()
                value = _mapping(done.children, event) if done.mapping else done.children
                self._put(value, done.anchor)
            case yaml.ScalarEvent():
                nothing = event.implicit[0] and event.value in _NOTHING
                self._put(None if nothing else event.value, event.anchor)
            case yaml.AliasEvent():
                if event.anchor not in self._anchors:
                    _refuse(event, "an alias without an anchor before it")
                self._put(self._anchors[event.anchor], None)
            case _:
                pass  # the stream's start and end, a document's end

    def _put(self, value: object, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = value
        if self._open:
            self._open[-1].children.append(value)
        else:
            self.document = value


def _mapping(children: list[object], event: yaml.Event) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in zip(children[::2], children[1::2], strict=True):
        if not isinstance(key, str):
            _refuse(event, "in the mapping that ends here a key is no text")
        if key in found:
            _refuse(event, f"in the mapping that ends here the key {key!r:.40} stands twice")
        found[key] = value
    return found


def _refuse(event: yaml.Event, why: str) -> NoReturn:
    place = f"line {event.start_mark.line + 1}: " if event.start_mark else ""
    raise SyntaxProblem(f"{place}{why}")
