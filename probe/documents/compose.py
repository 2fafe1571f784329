"""YAML or JSON text to a tree of nodes, bounded, with problems instead of errors.

PyYAML's own composer loses where aliases stand, lets a second anchor of one name end the
document, recurses as deep as a text likes, and takes as long as this one. So only PyYAML's
events are used. An alias is the same node as its anchor; what it repeats is counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import NoReturn

import yaml

from probe.documents.files import problem_after
from probe.documents.nodes import (
    COLLECTION_TAGS,
    TAG_HINT,
    MappingNode,
    Node,
    Plain,
    Position,
    ScalarNode,
    ScalarProblem,
    SequenceNode,
    plain,
    tagged,
)
from probe.documents.problem import MOST_PROBLEMS, Problem, explain_syntax, position_of
from probe.net.names import quoted

MOST_DEPTH = 40
MOST_VALUES = 100_000
_RETOLD = 40_000  # characters
_MOST_DIRECTIVES = 100
_TOO_DEEP = f"nested more than {MOST_DEPTH} levels deep"

_HALF = re.compile("[\ud800-\udfff]")  # PyYAML's own parser lets them through; libyaml does not
_FAST: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # absent without libyaml
# Characters beyond U+FFFF are escaped as pairs in JSON (RFC 8259 section 7), never in YAML.
_PAIR = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
)


Scalars = Callable[[str], Plain]
"""What an unquoted scalar means; raises ``ScalarProblem``."""


def compose(
    text: str, file: str, most: int = MOST_VALUES, scalars: Scalars = plain
) -> tuple[Node | None, list[Problem]]:
    """The tree of the one document in a YAML text, and what is wrong with it.

    A syntax error is the only problem reported, and there is no tree then, because what
    follows it would be guesswork. An empty document gives no tree and no problem.

    Args:
        text: the whole file.
        file: stands in the problems.
        most: most values, each counted as often as aliases repeat it.
        scalars: what unquoted scalars mean.
    """
    if text.count("\n%TAG") > _MOST_DIRECTIVES:  # libyaml compares each with all before it
        message = f"more than {_MOST_DIRECTIVES} lines start with %TAG; tags are not supported"
        return None, [Problem(file, 1, 1, message)]
    try:
        return _Composer(text, file, most, scalars, _FAST).composed()
    except yaml.MarkedYAMLError as fast:
        error = fast
    # PyYAML's own parser has the better places and words, and libyaml is not everywhere. It
    # takes a hundred times as long, so long texts do without.
    if len(text) <= _RETOLD and _FAST is not yaml.SafeLoader:
        try:
            root, problems = _Composer(text, file, most, scalars, yaml.SafeLoader).composed()
            if root is None and problems:  # too deep, which libyaml called by another name
                return None, problems
        except yaml.MarkedYAMLError as slower:
            error = slower
    where, libyaml = position_of(error), "nesting depth" in (error.problem or "")
    message = _TOO_DEEP if libyaml else explain_syntax(error)
    return None, [Problem(file, where.line, where.column, message)]


def compose_json(
    text: str, file: str, most: int = MOST_VALUES, scalars: Scalars = plain
) -> tuple[Node | None, list[Problem]]:
    """As ``compose``, for a JSON text: what only YAML allows is a problem in it."""
    try:
        # Python refuses to read integers of 5,000 digits, and takes NaN for a number.
        json.loads(text, parse_int=len, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        return None, [Problem(file, error.lineno, error.colno, message)]
    except RecursionError:
        return None, [_too_deep(text, file)]
    except _NoValue as constant:
        where = next(one for one in _CONSTANTS.finditer(text) if one.group()[0] != '"')
        message = f"not valid JSON: {constant}; put text in quotes"
        return None, [problem_after(text[: where.start()], file, message)]
    # Raw tabs stand only between values; YAML wants spaces there.
    return compose(_PAIR.sub(_character, text).replace("\t", " "), file, most, scalars)


class _NoValue(Exception):
    """NaN or Infinity, which JSON has no word for."""


def _refuse(constant: str) -> NoReturn:
    raise _NoValue(constant)


_CONSTANTS = re.compile(r'"(?:[^"\\]|\\.)*"|NaN|-?Infinity')
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


def _too_deep(text: str, file: str) -> Problem:
    """Where a JSON text goes deeper than it may."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found.group(), 0)
        if depth > MOST_DEPTH:
            return problem_after(text[: found.start()], file, _TOO_DEEP)
    raise AssertionError("the decoder went deeper than the text")


def _character(pair: re.Match[str]) -> str:
    before, high, low = pair.groups()
    return before + (bytes.fromhex(high) + bytes.fromhex(low)).decode("utf-16-be")


class _StopComposing(Exception):
    """The document must not be read any further; the problem is already noted."""


class _Composer:
    """Reads the events of one text; recurses no deeper than ``MOST_DEPTH``."""

    def __init__(self, text: str, file: str, most: int, scalars: Scalars, loader: type) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=loader)
        self._file = file
        self._most = most
        self._scalars = scalars
        self._anchors: dict[str, Node] = {}
        self._problems: list[Problem] = []

    def composed(self) -> tuple[Node | None, list[Problem]]:
        """The tree, unless reading had to stop, and the problems."""
        root: Node | None = None
        try:
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    if root is not None:
                        message = "a second document starts here; write it to its own file"
                        self._stop(_position(event), message)
                    root = self._node(next(self._events), 0)
        except _StopComposing:
            root = None
        return root, self._problems

    def _node(self, event: yaml.Event, depth: int) -> Node:
        """The value that starts with an event, inside so many collections."""
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event, depth)
        node: Node
        match event:
            case yaml.SequenceStartEvent():
                node = self._sequence(event, depth)
            case yaml.MappingStartEvent():
                node = self._mapping(event, depth)
            case yaml.ScalarEvent():
                node = self._scalar(event)
            case _:
                raise AssertionError(f"{event} starts no value")
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _aliased(self, event: yaml.AliasEvent, depth: int) -> Node:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            # The name is not repeated: it may be a text that someone forgot to quote.
            self._stop(
                _position(event),
                "unknown alias (*name): no anchor (&name) above defines it; "
                "put it in quotes if it is meant as text",
            )
        if depth + node.height > MOST_DEPTH:
            self._stop(node.position, _TOO_DEEP)
        return node

    def _scalar(self, event: yaml.ScalarEvent) -> ScalarNode:
        position, text = _position(event), self._text(event)
        value: Plain = text
        try:
            if event.tag is not None:
                value = tagged(event.tag, text)
            elif event.implicit[0]:
                value = self._scalars(text)
        except ScalarProblem as problem:
            self._problem(position, str(problem))
        return ScalarNode(position, value, text)

    def _text(self, event: yaml.ScalarEvent) -> str:
        text: str = event.value
        if not text.isascii() and _HALF.search(text):
            message = "a lone surrogate (\\ud800 to \\udfff); write the character itself"
            self._stop(_position(event), message)
        return text

    def _sequence(self, start: yaml.SequenceStartEvent, depth: int) -> SequenceNode:
        node = SequenceNode(self._opened(start, depth))
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            item = self._node(event, depth + 1)
            node.items.append(item)
            self._count(node, item)
        return node

    def _mapping(self, start: yaml.MappingStartEvent, depth: int) -> MappingNode:
        node = MappingNode(self._opened(start, depth))
        merges: list[tuple[Position, Node]] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, position = self._key(event), _position(event)
            if key in node.keys:
                first = node.keys[key].line
                self._problem(
                    position, f"duplicate key {quoted(key)}, first defined on line {first}"
                )
            value = self._node(next(self._events), depth + 1)
            if isinstance(value, ScalarNode) and value.value is None and not value.text:
                value = ScalarNode(position, None, "")  # nothing is written: look at the key
            self._count(node, value)
            if key == "<<":
                merges.append((position, value))
            else:
                node.add(key, position, value)
        self._merge(node, merges)
        return node

    def _key(self, event: yaml.Event) -> str:
        if isinstance(event, yaml.ScalarEvent):
            return self._text(event)
        if isinstance(event, yaml.AliasEvent):
            self._aliased(event, 0)
            return self._stop(_position(event), "an alias cannot be a key; write the key itself")
        message = "a list or mapping cannot be a key; put text that starts with { or [ in quotes"
        return self._stop(_position(event), message)

    def _opened(self, start: yaml.CollectionStartEvent, depth: int) -> Position:
        position = _position(start)
        if start.tag not in COLLECTION_TAGS:
            self._problem(position, TAG_HINT)
        if depth >= MOST_DEPTH:
            self._stop(position, _TOO_DEEP)
        return position

    def _count(self, node: SequenceNode | MappingNode, value: Node) -> None:
        node.height = max(node.height, value.height + 1)
        node.weight += value.weight
        if node.weight > self._most:
            self._stop(node.position, f"more than {self._most} values, counting aliases")

    def _merge(self, node: MappingNode, merges: list[tuple[Position, Node]]) -> None:
        """YAML's merge key: entries of other mappings, where the mapping has none of its own."""
        for position, merged in merges:
            for source in merged.items if isinstance(merged, SequenceNode) else (merged,):
                if not isinstance(source, MappingNode):
                    self._problem(position, "<<: needs a mapping; write for example <<: *defaults")
                    continue
                for key, value in source.entries.items():
                    node.add(key, source.keys[key], value)

    def _problem(self, position: Position, message: str) -> None:
        self._problems.append(Problem(self._file, position.line, position.column, message))
        if len(self._problems) >= MOST_PROBLEMS:
            raise _StopComposing

    def _stop(self, position: Position, message: str) -> NoReturn:
        self._problem(position, message)
        raise _StopComposing


def _position(event: yaml.Event) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1) if mark is not None else Position(1, 1)
