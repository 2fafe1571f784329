"""Which names a flow's texts may use where they stand, and whether they do.

A value comes from the check's ``vars``, the target, a persona, or the answer of an earlier
step. What has no value would only show when the flow runs, as a step that is skipped for ever.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from probe.config.resolve.file import ConfigFile, Names
from probe.config.shape.checks import ApiCheckShape
from probe.config.shape.step import CallShape
from probe.documents.nodes import Node, at
from probe.documents.problem import instead
from probe.model.template import TemplateProblem, parse

TOKEN_KINDS = frozenset({"bearer", "json_login", "oauth2", "cookie"})
"""Kinds whose token a template may use as ``{auth.NAME}``."""

_NO_TARGETS = "this check has no targets; write targets: with the name of a list"


class FlowScope:
    """One flow while it is resolved: the names that have values, growing step by step.

    Attributes:
        file: takes the problems.
        check: the flow's shape.
        flow_timeout: seconds; most that a step may take.
        variants: the vars of every persona.
        values: names of vars that every persona has.
        captures: every name that a step captures, with the step's name.
        captured: name to whether it is secret, of the steps so far.
        started: whether steps run already; logins and the check's headers come before them.
    """

    def __init__(
        self, file: ConfigFile, check: ApiCheckShape, labels: Names | None, flow_timeout: float
    ) -> None:
        """Take what has a value before the first step.

        Args:
            file: takes the problems.
            check: the flow's shape.
            labels: names of the targets' labels; None when nobody can know them beforehand.
            flow_timeout: seconds.
        """
        self.file = file
        self.check = check
        self.flow_timeout = flow_timeout
        personas = {name: persona.vars for name, persona in check.personas.items()}
        self.variants = tuple({**check.vars, **own} for own in personas.values()) or (check.vars,)
        self.values = dict.fromkeys(check.vars)
        self._lacking: dict[str, str] = {}  # names that only some personas have, and one without
        for name in dict.fromkeys(itertools.chain(*personas.values())):
            without = next((who for who, own in personas.items() if name not in own), None)
            if without is None or name in check.vars:
                self.values[name] = None
            else:
                self._lacking[name] = without
        self._labels = labels
        self._tokens = [name for name, auth in check.auth.items() if auth.kind in TOKEN_KINDS]
        self.captures: dict[str, str] = {}
        for step in check.steps:
            for name in step.capture if isinstance(step, CallShape) else ():
                self.captures.setdefault(name, step.name)
        self.captured: dict[str, bool] = {}
        self.started = False

    def lacks(self, name: str) -> str | None:
        """Why a name has no value, and what to write; None when it has one."""
        if name in self.values or name in self.captured:
            return None
        kind, dot, rest = name.partition(".")
        if dot and kind == "labels":
            return self._lacks_label(rest)
        if dot and kind == "auth":
            if rest in self._tokens:
                return None
            return f"no entry of auth named {rest} gives a token; {instead(rest, self._tokens)}"
        if name in ("target", "target.name"):
            return _NO_TARGETS if self.check.targets is None else None
        if name in self.captures and self.started:
            step = self.captures[name]
            return f"{{{name}}} is captured only in the later step {step}; move that step up"
        if name in self.captures:
            return (
                f"{{{name}}} is captured by a step, and this text is sent before any step "
                "has run; use it in the steps after that one"
            )
        if name in self._lacking:
            persona = self._lacking[name]
            return f"the persona {persona} has no {{{name}}}; add it to the check's vars"
        return f"nothing gives {{{name}}} a value; {instead(name, self._known())}"

    def used_by(self, document: Any, node: Node) -> frozenset[str]:
        """Check every template in a text, list or mapping; the names that they use."""
        used: set[str] = set()
        for text, where in _texts(document, node):
            try:
                names = parse(text).names
            except TemplateProblem as problem:
                self.file.problem(where, str(problem))
                continue
            used.update(names)
            for name in names:
                lack = self.lacks(name)
                if lack is not None:
                    self.file.problem(where, lack)
        return frozenset(used)

    def is_secret(self, name: str) -> bool:
        """Whether the value of a name must not be seen."""
        return self.captured.get(name, False) or name.startswith("auth.")

    def _lacks_label(self, label: str) -> str | None:
        if self.check.targets is None:
            return _NO_TARGETS
        if self._labels is None or label in self._labels:
            return None
        return f"no target has a label {label}; {instead(label, self._labels)}"

    def _known(self) -> list[str]:
        own = [] if self.check.targets is None else ["target"]
        return [*own, *itertools.islice(self.captured, 100), *itertools.islice(self.values, 100)]


def _texts(document: Any, node: Node) -> Iterator[tuple[str, Node]]:
    """Every text in a document, with the node where it stands."""
    match document:
        case str():
            yield document, node
        case dict():
            for key, value in document.items():
                yield from _texts(value, at(node, str(key)))
        case list() | tuple():
            for index, value in enumerate(document):
                yield from _texts(value, at(node, index))
        case _:
            return  # numbers, truth values, references to secrets
