"""YAML text to a tree of nodes, bounded: no recursion, no explosion, problems instead of errors.

PyYAML's own composer recurses, so that depth exhausts the interpreter's stack. This one is fed
with PyYAML's events, keeps its own stack and counts what aliases repeat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NoReturn

import yaml

from probe.documents.nodes import Entry, Mapping, Node, Place, Plain, Scalar, Sequence
from probe.documents.problem import MOST_PROBLEMS, Problem
from probe.documents.scalars import TAG_HINT, ScalarProblem, plain, tagged
from probe.documents.syntax import explain_syntax, place_of
from probe.net.names import quoted

MOST_DEPTH = 40
MOST_VALUES = 100_000
_RETOLD = 100_000  # characters

_HALF = re.compile("[\ud800-\udfff]")  # PyYAML's own parser lets them through; libyaml does not
_COLLECTION_TAGS = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_FAST: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # absent without libyaml


Scalars = Callable[[str], Plain]
"""What an unquoted scalar means; raises ``ScalarProblem``."""


def compose(
    text: str, file: str, most: int = MOST_VALUES, scalars: Scalars = plain
) -> tuple[Node | None, list[Problem]]:
    """The tree of the one document in a text, and what is wrong with it.

    A syntax error is the only problem reported, and there is no tree then, because what
    follows it would be guesswork. An empty document gives no tree and no problem.

    Args:
        text: the whole file.
        file: stands in the problems.
        most: most values, each counted as often as aliases repeat it.
        scalars: what unquoted scalars mean.
    """
    try:
        return _composed(text, _Composer(file, most, scalars), _FAST)
    except yaml.MarkedYAMLError as fast:
        error = fast
    # PyYAML's own parser has the better places and words, and libyaml is not everywhere. It
    # takes a hundred times as long, so long texts do without.
    if len(text) <= _RETOLD and _FAST is not yaml.SafeLoader:
        try:
            root, problems = _composed(text, _Composer(file, most, scalars), yaml.SafeLoader)
            if root is None and problems:  # too deep, which libyaml called by another name
                return None, problems
        except yaml.MarkedYAMLError as slower:
            error = slower
    place = place_of(error)
    return None, [Problem(file, place.line, place.column, explain_syntax(error))]


def _composed(text: str, composer: _Composer, loader: type) -> tuple[Node | None, list[Problem]]:
    try:
        for event in yaml.parse(text, Loader=loader):
            composer.feed(event)
    except _StopComposing:
        return None, composer.problems
    return composer.root, composer.problems


class _StopComposing(Exception):
    """The document must not be read any further; the problem is already noted."""


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet.

    Attributes:
        anchor: its name for aliases.
        height: levels in it, itself included.
        weight: values in it, itself included.
    """

    anchor: str | None
    height: int = 1
    weight: int = 1


@dataclass(slots=True)
class _OpenSequence(_Open):
    node: Sequence = field(kw_only=True)


@dataclass(slots=True)
class _OpenMapping(_Open):
    """A mapping whose end has not come yet.

    Attributes:
        key: text and place of the key whose value comes next; None when a key comes next.
        merges: what ``<<`` keys name, with the keys' places.
    """

    node: Mapping = field(kw_only=True)
    key: tuple[str, Place] | None = None
    merges: list[tuple[Place, Node]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Anchored:
    node: Node
    height: int
    weight: int


class _Composer:
    """Builds the tree from events."""

    def __init__(self, file: str, most: int, scalars: Scalars) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._file = file
        self._most = most
        self._scalars = scalars
        self._open: list[_OpenSequence | _OpenMapping] = []
        self._anchors: dict[str, _Anchored] = {}
        self._documents = 0

    def feed(self, event: yaml.Event) -> None:
        """Take the next event."""
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    place = _place(event)
                    self._stop(place, "a second document starts here; write one file for each")
            case yaml.AliasEvent():
                self._alias(event, _place(event))
            case yaml.ScalarEvent():
                self._scalar(event, _place(event))
            case yaml.SequenceStartEvent():
                node = Sequence(_place(event))
                self._start(_OpenSequence(event.anchor, node=node), node.place, event.tag)
            case yaml.MappingStartEvent():
                entries = Mapping(_place(event))
                self._start(_OpenMapping(event.anchor, node=entries), entries.place, event.tag)
            case yaml.CollectionEndEvent():
                self._end()
            case _:
                pass  # start and end of the stream, end of the document

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> None:
        text: str = event.value
        if not text.isascii() and _HALF.search(text):
            self._stop(place, "half a character (\\ud800 to \\udfff); write the character itself")
        holder = self._mapping()
        if holder is not None and holder.key is None:
            self._key(holder, text, place)
            return
        try:
            if event.tag is not None:
                value = tagged(event.tag, text)
            else:
                value = self._scalars(text) if event.implicit[0] else text
        except ScalarProblem as problem:
            self._problem(place, str(problem))
            value = text
        if value is None and not text and holder is not None and holder.key is not None:
            place = holder.key[1]  # nothing is written: the key is the place to look at
        self._attach(Scalar(place, value, text), event.anchor, 0, 1)

    def _key(self, holder: _OpenMapping, text: str, place: Place) -> None:
        if text in holder.node.entries:
            first = holder.node.entries[text].place.line
            self._problem(place, f"the key {quoted(text)} stands already on line {first}")
        holder.key = (text, place)

    def _alias(self, event: yaml.AliasEvent, place: Place) -> None:
        anchored = self._anchors.get(event.anchor or "")
        if anchored is None:
            # The name is not repeated: it may be a text that someone forgot to quote.
            self._stop(
                place,
                "an alias (*name) that no anchor (&name) before it explains; "
                "put the text in quotes if it is meant as it stands",
            )
        self._refuse_as_key(place, "an alias cannot be a key; write the key itself")
        self._attach(anchored.node, None, anchored.height, anchored.weight)

    def _start(self, opened: _OpenSequence | _OpenMapping, place: Place, tag: str | None) -> None:
        self._refuse_as_key(
            place,
            "a list or mapping cannot be a key; put the text in quotes if it starts with { or [",
        )
        if tag not in _COLLECTION_TAGS:
            self._problem(place, TAG_HINT)
        if len(self._open) >= MOST_DEPTH:
            self._stop(place, f"more than {MOST_DEPTH} levels inside each other")
        self._open.append(opened)

    def _refuse_as_key(self, place: Place, message: str) -> None:
        holder = self._mapping()
        if holder is not None and holder.key is None:
            self._stop(place, message)

    def _end(self) -> None:
        done = self._open.pop()
        if isinstance(done, _OpenMapping):
            self._merge(done.node, done.merges)
        self._attach(done.node, done.anchor, done.height, done.weight)

    def _attach(self, node: Node, anchor: str | None, height: int, weight: int) -> None:
        """Put a finished value where it belongs, and count it."""
        if len(self._open) + height > MOST_DEPTH:
            self._stop(node.place, f"more than {MOST_DEPTH} levels inside each other")
        if anchor is not None:
            self._anchors[anchor] = _Anchored(node, height, weight)
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        top.height = max(top.height, height + 1)
        top.weight += weight
        if top.weight > self._most:
            self._stop(top.node.place, f"more than {self._most} values, counting aliases")
        if isinstance(top, _OpenSequence):
            top.node.items.append(node)
        elif top.key is not None:  # a key always came before
            (text, place), top.key = top.key, None
            if text == "<<":
                top.merges.append((place, node))
            else:
                top.node.entries.setdefault(text, Entry(place, node))

    def _merge(self, node: Mapping, merges: Iterable[tuple[Place, Node]]) -> None:
        """YAML's merge key: entries of other mappings, where the mapping has none of its own."""
        for place, merged in merges:
            for source in merged.items if isinstance(merged, Sequence) else (merged,):
                if not isinstance(source, Mapping):
                    self._problem(place, "<<: merges mappings; write <<: *name of one")
                    continue
                for key, entry in source.entries.items():
                    node.entries.setdefault(key, entry)

    def _mapping(self) -> _OpenMapping | None:
        """The innermost collection, if it is a mapping."""
        top = self._open[-1] if self._open else None
        return top if isinstance(top, _OpenMapping) else None

    def _problem(self, place: Place, message: str) -> None:
        self.problems.append(Problem(self._file, place.line, place.column, message))
        if len(self.problems) >= MOST_PROBLEMS:
            raise _StopComposing

    def _stop(self, place: Place, message: str) -> NoReturn:
        self._problem(place, message)
        raise _StopComposing


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)
