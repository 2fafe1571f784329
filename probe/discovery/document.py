"""Lists of targets as documents: Prometheus ``file_sd`` and ``http_sd``. Pure.

A list is an array of groups, ``{targets: [name, …], labels: {key: value}}``. What is wrong with
the document as a whole refuses all of it; a text that is no target refuses that entry alone, so
that one typing mistake does not freeze thousands of others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from probe.discovery.syntax import Syntax, SyntaxProblem, parse_document
from probe.model.target import Target
from probe.net.names import NameProblem, parse_target

MOST_TARGETS = 200_000
"""Entries in one document; a small text can stand for many through YAML's aliases."""

MOST_PROBLEMS = 5
"""Problems told in words; the rest is counted."""

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


class ListProblem(ValueError):
    """A document that is no list of targets; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a document holds.

    Attributes:
        targets: in the order written, duplicates included.
        rejected: number of entries that are no targets.
        problems: what is wrong with the first of them.
    """

    targets: tuple[Target, ...]
    rejected: int = 0
    problems: tuple[str, ...] = ()


def parse_list(data: bytes, syntax: Syntax) -> Parsed:
    """The targets of a document.

    Raises:
        ListProblem: the document as a whole cannot be used.
    """
    try:
        document = parse_document(data, syntax)
    except SyntaxProblem as problem:
        raise ListProblem(str(problem)) from None
    targets: list[Target] = []
    problems: list[str] = []
    for place, name, labels in _entries(document):
        if len(targets) + len(problems) >= MOST_TARGETS:
            raise ListProblem(f"there are more than {MOST_TARGETS} entries")
        try:
            targets.append(parse_target(name, labels))
        except NameProblem as problem:
            problems.append(f"{place}: {problem}")
    if problems and not targets:
        raise ListProblem(f"no entry is a target; {problems[0]}")
    return Parsed(tuple(targets), len(problems), tuple(problems[:MOST_PROBLEMS]))


def _entries(document: object) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Place, text and labels of every entry."""
    if not isinstance(document, list):
        raise ListProblem("it is no list of groups; write - targets: [name, …]")
    for number, group in enumerate(document, 1):
        if not isinstance(group, dict):
            raise ListProblem(f"group {number} is no mapping with targets and labels")
        if unknown := set(group) - {"targets", "labels"}:
            raise ListProblem(
                f"group {number} has the key {min(unknown)!r:.40}; it can have targets and labels"
            )
        labels = _labels(group.get("labels"), number)
        names = group.get("targets")
        for entry, name in enumerate(_list(names, number), 1):
            if not isinstance(name, str):
                raise ListProblem(f"group {number}, entry {entry} is no text")
            yield f"group {number}, entry {entry}", name, labels


def _list(names: object, number: int) -> list[object]:
    if names is None:
        return []
    if not isinstance(names, list):
        raise ListProblem(f"the targets of group {number} are no list; write [name, …]")
    return names


def _labels(labels: object, number: int) -> Mapping[str, str]:
    """Labels of a group; names that begin with two underscores are not kept, as in Prometheus."""
    if labels is None:
        return MappingProxyType({})
    if not isinstance(labels, dict):
        raise ListProblem(f"the labels of group {number} are no mapping; write {{name: value}}")
    kept: dict[str, str] = {}
    for name, value in labels.items():
        if not _LABEL_NAME.match(name):
            raise ListProblem(
                f"group {number} has the label {name!r:.40}; "
                "only letters, digits and underscores can stand in its name"
            )
        if not isinstance(value, str | None):
            raise ListProblem(f"the label {name} of group {number} is no text; put it in quotes")
        if not name.startswith("__"):
            kept[name] = value or ""
    return MappingProxyType(kept)
