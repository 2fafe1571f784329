"""API and command checks: flows of steps, and the personas that run them."""

from __future__ import annotations

from types import MappingProxyType

from probe.config.resolve.auth import auth
from probe.config.resolve.file import ConfigFile
from probe.config.resolve.requests import headers, refuse_references
from probe.config.resolve.scope import FlowScope
from probe.config.resolve.sections import Sections, flow_times
from probe.config.resolve.steps import call, command
from probe.config.resolve.tls import client_certificate, trust
from probe.config.shape.checks import ApiCheckShape, PersonaShape
from probe.config.shape.step import CallShape, CommandStepShape
from probe.documents.nodes import key_position
from probe.documents.problem import unknown
from probe.model.auth import Auth, BearerAuth, CookieAuth, JsonLoginAuth, OAuth2
from probe.model.flow import ApiCheck, CommandStep, Persona, Step

Auths = dict[str, Auth]

LOGINS = (JsonLoginAuth, OAuth2, CookieAuth)
"""Kinds whose login is a result of its own, named after its entry."""


def api_check(sections: Sections, shape: ApiCheckShape) -> ApiCheck:
    """One ``kind: api`` or ``kind: command`` entry."""
    file = sections.file
    interval, timeout, flow_timeout = flow_times(sections, shape)
    targets = sections.targets_of(shape)
    if targets is None:
        _refuse_edges_of_nobody(sections, shape)
    labels = None if targets is None else sections.labels.get(targets)
    scope = FlowScope(file, shape, labels, flow_timeout)
    refuse_references(file, shape.vars, shape.at("vars"))
    headers(scope, shape.headers, shape.at("headers"))
    auths = {name: auth(scope, entry) for name, entry in shape.auth.items()}
    personas = tuple(_persona(scope, name, one) for name, one in shape.personas.items())
    _refuse_repeated_layers(file, shape)
    resolved = {} if shape.layers is None else {"layers": tuple(dict.fromkeys(shape.layers))}
    return file.built(
        ApiCheck,
        shape,
        steps=_steps(scope, auths),
        targets=targets,
        providers=sections.providers_of(shape),
        interval=interval,
        timeout=timeout,
        flow_timeout=flow_timeout,
        auth=MappingProxyType(auths),
        personas=personas,
        evidence_headers=tuple(name.lower() for name in shape.evidence_headers),
        instance_headers=tuple(name.lower() for name in shape.instance_headers),
        trust=trust(file, shape.trust) or sections.trust,
        client_certificate=client_certificate(file, shape.client_certificate),
        **resolved,
    )


def _refuse_edges_of_nobody(sections: Sections, shape: ApiCheckShape) -> None:
    """A provider's edges stand for a target; a flow without one would never reach them."""
    for index, name in enumerate(shape.providers or ()):
        known = sections.providers.get(name)
        if known is not None and (known.addresses or known.hostname is not None):
            sections.file.problem(
                shape.at("providers", index),
                f"the edges of {name} stand for a target, and this check has none; "
                "write targets: [HOST], and the steps' URLs with {target}",
            )


def _refuse_repeated_layers(file: ConfigFile, shape: ApiCheckShape) -> None:
    layers = shape.layers or []
    for index, name in enumerate(layers):
        if name in layers[:index]:
            message = f"the layer {name} is named twice; remove one"
            file.problem(shape.at("layers", index), message)


# ---------------------------------------------------------------- steps


def _steps(scope: FlowScope, auths: Auths) -> tuple[Step | CommandStep, ...]:
    """The steps in the order written, each checked with what the steps before it give."""
    shapes = scope.check.steps
    scope.started = True
    steps: dict[int, Step | CommandStep] = {}
    names: dict[str, int] = {}
    for index in sorted(range(len(shapes)), key=lambda index: shapes[index].cleanup):
        entry = shapes[index]  # cleanup runs last, wherever it stands
        if entry.name in names:
            first = shapes[names[entry.name]].at("name").position.line
            message = f"duplicate step {entry.name}, first on line {first}"
            scope.file.problem(entry.at("name"), message)
        if isinstance(auths.get(entry.name), LOGINS):
            scope.file.problem(
                entry.at("name"),
                f"the login of the auth {entry.name} is a result of that name; rename one of them",
            )
        names.setdefault(entry.name, index)
        steps[index] = _step(scope, entry, auths)
    return tuple(steps[index] for index in sorted(steps))


def _step(
    scope: FlowScope, entry: CallShape | CommandStepShape, auths: Auths
) -> Step | CommandStep:
    file = scope.file
    if isinstance(entry, CommandStepShape):
        return command(scope, entry)
    if scope.check.kind == "command":
        message = "kind: command runs programs; write command: [...] or kind: api"
        file.problem(entry.node, message)
    used = auths.get(entry.auth or "")
    if isinstance(used, BearerAuth) and used.capture in scope.captures:
        lack = scope.lacks(used.capture)
        if lack is not None:
            message = f"the auth {entry.auth} sends a capture: {lack}"
            file.problem(entry.at("auth"), message)
    step = call(scope, entry)
    for name, captured in entry.capture.items():
        if name in scope.values:
            message = f"{name} is one of the vars already; choose another name"
            file.problem(captured.node, message)
        scope.captured[name] = captured.secret
    return step


# ---------------------------------------------------------------- personas


def _persona(scope: FlowScope, name: str, shape: PersonaShape) -> Persona:
    file, check = scope.file, scope.check
    auths: dict[str, Auth | None] = {}
    for key, entry in shape.auth.items():
        if key not in check.auth:
            where = key_position(shape.at("auth"), key)
            file.problem(where, unknown("auth", key, check.auth))
        auths[key] = None if entry is None else auth(scope, entry)
    refuse_references(file, shape.vars, shape.at("vars"))
    steps = dict.fromkeys(step.name for step in check.steps)
    for index, step in enumerate(shape.expect_denied):
        if step not in steps:
            file.problem(shape.at("expect_denied", index), unknown("step", step, steps))
    return file.built(Persona, shape, name=name, auth=MappingProxyType(auths))
