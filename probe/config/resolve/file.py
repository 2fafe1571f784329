"""The configuration file while its shapes become specs, and the problems found on the way.

Also which names a flow's texts may use where they stand: a value comes from the check's ``vars``,
the target, a persona, or the answer of an earlier step. What has no value would only show when the
flow runs, as a step that is skipped for ever.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from probe.config.shape.base import Shape
from probe.config.shape.checks import ApiCheckShape
from probe.config.shape.step import CallShape
from probe.documents.nodes import Node, Position, at
from probe.documents.problem import MOST_PROBLEMS, Problem, instead
from probe.model.expressions import TemplateProblem, parse
from probe.model.secret import SecretRef
from probe.model.spec import ASKED, ASKED_URL

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    S = TypeVar("S", bound=DataclassInstance)

Names = Mapping[str, object]
"""Names in the order written; what they stand for matters elsewhere."""


class TooManyProblems(Exception):
    """More problems were found than anyone reads; raised after the last one is noted."""


@dataclass(slots=True)
class ConfigFile:
    """The file being resolved.

    Attributes:
        path: as given; stands in problems.
        strict: whether the files that the configuration names are read too, and what is wrong in
            them is a problem. An agent is not strict: such files change while it runs.
        problems: grows while resolving.
        notes: what is no problem, and may surprise.
    """

    path: str
    strict: bool = False
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def problem(self, where: Node | Position, message: str) -> None:
        """Note a problem at a value, or at the position of a key.

        Raises:
            TooManyProblems: this one is noted, and is the last.
        """
        position = where if isinstance(where, Position) else where.position
        self.extend((Problem(self.path, position.line, position.column, message),))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note problems of this file or of one that it names.

        Raises:
            TooManyProblems: these are noted, and are the last.
        """
        self.problems.extend(problems)
        if len(self.problems) >= MOST_PROBLEMS:
            raise TooManyProblems

    def one_of(self, shape: Shape, *keys: str, required: bool = True) -> None:
        """Note keys that exclude each other, and that a required one of them is missing."""
        written = [key for key in keys if key in shape.written()]
        if len(written) > 1:
            message = f"{written[0]} and {written[1]} cannot be used together; write one of them"
            self.problem(shape.key_position(written[1]), message)
        elif required and not written:
            self.problem(shape.node, f"write one of: {', '.join(keys)}")

    def unique(self, shape: Shape, key: str, what: str) -> None:
        """Note entries of a list that stand in it already."""
        first: dict[object, int] = {}
        for index, value in enumerate(shape.written().get(key, ())):
            where = shape.at(key, index)
            if value in first:
                self.problem(where, f"duplicate {what}, first defined on line {first[value]}")
            first.setdefault(value, where.position.line)

    def beside(self, written: str) -> Path:
        """A path as written in the file: relative to the folder that holds the file."""
        return Path(self.path).parent / written

    def absolute(self, written: str) -> str:
        """The same for the running agent, whose working folder nobody should rely on.

        Symbolic links stay: mounted ConfigMaps and Secrets are swapped by changing one.
        """
        return os.path.abspath(self.beside(written))  # noqa: PTH100 - resolve() follows links

    def secret(self, reference: SecretRef) -> SecretRef:
        """A reference whose file, if it is one, is absolute."""
        if reference.kind != "file":
            return reference
        return SecretRef("file", self.absolute(reference.name))

    def built(self, kind: type[S], shape: Shape | None, **resolved: Any) -> S:
        """A spec of the values that its shape holds under the names of the spec's fields.

        What the file leaves out is left to the spec's own defaults. Lists become tuples,
        mappings read-only, and references to secrets absolute.

        Args:
            kind: of the spec.
            shape: None where the file has no such section.
            resolved: fields that need more than that, and go before the shape's.
        """
        names = {one.name for one in fields(kind)} - resolved.keys()
        written = shape.written() if shape else {}
        make: Callable[..., S] = kind
        values = {key: self.fixed(value) for key, value in written.items() if key in names}
        return make(**values, **resolved)

    def fixed(self, value: Any) -> Any:
        """A value as specs hold it: tuples, read-only mappings, absolute references."""
        match value:
            case list():
                return tuple(self.fixed(item) for item in value)
            case dict():
                return MappingProxyType({key: self.fixed(item) for key, item in value.items()})
            case SecretRef():
                return self.secret(value)
            case Shape():
                raise TypeError(f"{type(value).__name__} is a section of its own to resolve")
            case _:
                return value


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
        listed: whether others write the targets and their labels.
        sends_secrets: whether a URL was seen that secrets go to.
    """

    def __init__(
        self,
        file: ConfigFile,
        check: ApiCheckShape,
        labels: Names | None,
        flow_timeout: float,
        *,
        listed: bool = False,
    ) -> None:
        """Take what has a value before the first step.

        Args:
            file: takes the problems.
            check: the flow's shape.
            labels: names of the targets' labels; None when nobody can know them beforehand.
            flow_timeout: seconds.
            listed: whether others write the targets and their labels.
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
        self.listed = listed
        self.sends_secrets = check.client_certificate is not None

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
            return f"no entry of auth: named {rest} gives a token; {instead(rest, self._tokens)}"
        if name in ("target", "target.name"):
            return _NO_TARGETS if self.check.targets is None else None
        if name == ASKED_URL:
            asked = self.check.targets is not None and self.check.targets.named == ASKED
            return None if asked else "{target.url} is for modules of blackbox:; write {target}"
        if name in self.captures and self.started:
            step = self.captures[name]
            return f"{{{name}}} is captured later, in the step {step}; move that step up"
        if name in self.captures:
            return (
                f"{{{name}}} is captured by a step, and this text is sent before any step "
                "runs; use it in later steps"
            )
        if name in self._lacking:
            persona = self._lacking[name]
            return f"the persona {persona} has no {{{name}}}; add it to the check's vars"
        return f"unknown variable {{{name}}}; {instead(name, self._known())}"

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

    def hosts_of(self, name: str | None) -> tuple[list[str], str]:
        """Names of hosts that an auth entry's credentials go to, and where they are written.

        Args:
            name: of the entry; None for other secrets of the check.
        """
        entries = [self.check.auth.get(name or "")]
        entries += [one.auth[name] for one in self.check.personas.values() if name in one.auth]
        given = [(one.hosts or self.check.hosts) for one in entries if one is not None]
        if not given or name is None:
            return self.check.hosts, "the check"
        # Of several personas each must say so itself; the narrowest is what all of them permit.
        return min(given, key=len), f"the auth {name}"

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
