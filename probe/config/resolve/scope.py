"""Which names a template may use where it stands, and whether it does.

A value comes from the check's ``vars``, the target, a persona, or the answer of an earlier
step. What has no value would only show when the flow runs, as a step that is skipped for ever.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from probe.config.resolve.site import Names, Site
from probe.documents.nodes import Node, at
from probe.documents.problem import instead
from probe.model.template import TemplateProblem, parse


@dataclass(slots=True)
class Scope:
    """The names that have values, growing step by step.

    Attributes:
        values: names of vars, every persona having each.
        labels: names of the targets' labels; None when the check has no targets, or when
            nobody can know them before asking (an HTTP source).
        has_targets: whether ``{target}`` and ``{labels.…}`` have values.
        tokens: names of auth entries that give a token, as ``{auth.NAME}``.
        partial: names that only some personas have, with one that lacks it.
        captures: name to whether it is secret, of the steps so far.
        later: names captured later, with the step that does.
        too_early: names that steps capture, where no step has run yet.
    """

    values: Names = field(default_factory=dict)
    labels: Names | None = None
    has_targets: bool = False
    tokens: Names = field(default_factory=dict)
    partial: dict[str, str] = field(default_factory=dict)
    captures: dict[str, bool] = field(default_factory=dict)
    later: dict[str, str] = field(default_factory=dict)
    too_early: Collection[str] = ()

    def lacks(self, name: str) -> str | None:
        """Why a name has no value, and what to write; None when it has one."""
        if name in self.values or name in self.captures:
            return None
        kind, dot, rest = name.partition(".")
        if dot and kind == "labels":
            return self._lacks_label(rest)
        if dot and kind == "auth":
            if rest in self.tokens:
                return None
            return f"no entry of auth named {rest} gives a token; {instead(rest, self.tokens)}"
        if name in ("target", "target.name"):
            return None if self.has_targets else _NO_TARGETS
        if name in self.later:
            return (
                f"{{{name}}} is captured only in the later step {self.later[name]}; "
                "move that step up"
            )
        if name in self.too_early:
            return (
                f"{{{name}}} is captured by a step, and what stands here is sent before any step "
                "has run; use it in the steps after that one"
            )
        if name in self.partial:
            return f"the persona {self.partial[name]} has no {{{name}}}; add it to the check's vars"
        return f"nothing gives {{{name}}} a value; {instead(name, self._known())}"

    def _lacks_label(self, label: str) -> str | None:
        if not self.has_targets:
            return _NO_TARGETS
        if self.labels is None or label in self.labels:
            return None
        return f"no target has a label {label}; {instead(label, self.labels)}"

    def _known(self) -> list[str]:
        own = ["target"] if self.has_targets else []
        return [*own, *itertools.islice(self.captures, 100), *itertools.islice(self.values, 100)]


_NO_TARGETS = "this check has no targets; write targets: with the name of a list"


def check_texts(site: Site, document: Any, node: Node, scope: Scope) -> frozenset[str]:
    """Check every template in a text, list or mapping; the names that they use."""
    used: set[str] = set()
    for text, place in texts(document, node):
        try:
            names = parse(text).names
        except TemplateProblem as problem:
            site.problem(place, str(problem))
            continue
        used.update(names)
        for name in names:
            lack = scope.lacks(name)
            if lack is not None:
                site.problem(place, lack)
    return frozenset(used)


def texts(document: Any, node: Node) -> Iterator[tuple[str, Node]]:
    """Every text in a document, with the node where it stands."""
    match document:
        case str():
            yield document, node
        case dict():
            for key, value in document.items():
                yield from texts(value, at(node, str(key)))
        case list() | tuple():
            for index, value in enumerate(document):
                yield from texts(value, at(node, index))
        case _:
            return  # numbers, truth values, references to secrets
