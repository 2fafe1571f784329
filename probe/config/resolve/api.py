"""API and command checks."""

from __future__ import annotations

from collections.abc import Mapping as Bag
from dataclasses import replace
from types import MappingProxyType

from probe.config.resolve.auth import TOKEN_KINDS, auth
from probe.config.resolve.common import Common, flow_times
from probe.config.resolve.logins import AuthContext
from probe.config.resolve.pem import client_certificate, trust
from probe.config.resolve.requests import StepContext, headers, refuse_references
from probe.config.resolve.scope import Scope
from probe.config.resolve.site import Site
from probe.config.resolve.steps import STANDARD_LAYERS, call, command
from probe.config.shape.api import ApiCheckShape, PersonaShape
from probe.config.shape.step import CallShape, CommandStepShape
from probe.documents.nodes import (
    Node,
    Scalar,
    Sequence,
    at,
    child,
    key_place,
    keys,
    lost,
    wrong_entries,
)
from probe.documents.problem import unknown
from probe.model.auth import Auth, BearerAuth, CookieAuth, JsonLogin, OAuth2
from probe.model.flow import ApiCheck, CommandStep, Persona, Step

LOGINS = (JsonLogin, OAuth2, CookieAuth)
"""Kinds whose login is a result of its own, named after its entry."""

_OPTIONAL = ("login_interval", "max_body", "http2", "user_agent", "run_id_header")


def api_check(common: Common, shape: ApiCheckShape, node: Node) -> ApiCheck:
    """One ``kind: api`` or ``kind: command`` entry."""
    site = common.site
    interval, timeout, flow_timeout = flow_times(common, shape, node)
    targets = None
    if shape.targets is not None:
        targets = common.targets_of(shape.name, shape.targets, node)
    before = _before_steps(common, shape, node, targets)
    refuse_references(site, shape.vars, at(node, "vars"))
    headers(site, shape.headers, at(node, "headers"), before.scope)
    auths = {
        name: auth(before, entry, at(node, "auth", name)) for name, entry in shape.auth.items()
    }
    written = {key: getattr(shape, key) for key in _OPTIONAL if getattr(shape, key) is not None}
    if shape.router_codes is not None:
        written["router_codes"] = tuple(shape.router_codes)
    if shape.groups is not None:
        written["groups"] = tuple(shape.groups)
    return ApiCheck(
        name=shape.name,
        steps=_steps(_in_steps(before, shape, node, flow_timeout), shape, node, auths),
        targets=targets,
        providers=common.providers_of(shape.providers, at(node, "providers")),
        interval=interval,
        timeout=timeout,
        flow_timeout=flow_timeout,
        vars=MappingProxyType(dict(shape.vars)),
        headers=MappingProxyType(dict(shape.headers)),
        auth=MappingProxyType(auths),
        personas=_personas(before, shape, node),
        layers=STANDARD_LAYERS if shape.layers is None else tuple(dict.fromkeys(shape.layers)),
        evidence_headers=tuple(name.lower() for name in shape.evidence_headers),
        instance_headers=tuple(name.lower() for name in shape.instance_headers),
        trust=trust(site, shape.trust, at(node, "trust")) or common.trust,
        client_certificate=client_certificate(
            site, shape.client_certificate, at(node, "client_certificate")
        ),
        labels=MappingProxyType(dict(shape.labels)),
        **written,
    )


def _before_steps(
    common: Common, shape: ApiCheckShape, node: Node, targets: str | None
) -> AuthContext:
    """What is known before the first step runs: logins and the check's headers use it."""
    variants = [{**shape.vars, **persona.vars} for persona in shape.personas.values()]
    return AuthContext(
        site=common.site,
        scope=_scope(common, node, targets),
        variants=tuple(variants) or (shape.vars,),
        captures=None if lost(node, "steps") else tuple(_captures(node)),
        has_certificate=shape.client_certificate is not None or lost(node, "client_certificate"),
    )


def _in_steps(
    before: AuthContext, shape: ApiCheckShape, node: Node, flow_timeout: float
) -> StepContext:
    """What steps are resolved with; the names that have values grow as they run."""
    _refuse_repeated_layers(before.site, shape.layers or [], node)
    layers = STANDARD_LAYERS if shape.layers is None else tuple(shape.layers)
    return StepContext(
        site=before.site,
        scope=replace(before.scope, captures={}, later=_captures(node), too_early=()),
        variants=before.variants,
        auths=None if lost(node, "auth") else dict.fromkeys(keys(child(node, "auth"))),
        layers=None if wrong_entries(node, "layers") else layers,
        own_layers=shape.layers is not None,
        flow_timeout=flow_timeout,
    )


# ---------------------------------------------------------------- names


def _scope(common: Common, node: Node, targets: str | None) -> Scope:
    """Names that have a value before the first step."""
    own = dict.fromkeys(keys(child(node, "vars")))
    personas = at(node, "personas")
    theirs = {
        name: dict.fromkeys(keys(child(at(personas, name), "vars")))
        for name in keys(child(node, "personas"))
        if not lost(personas, name)
    }
    partial: dict[str, str] = {}
    for value in (value for values in theirs.values() for value in values if value not in own):
        lacking = next((name for name, values in theirs.items() if value not in values), None)
        if lacking is not None:
            partial[value] = lacking
    everywhere = own | {value: None for values in theirs.values() for value in values}
    auths = at(node, "auth")
    tokens = [
        name
        for name in keys(child(node, "auth"))
        if _kind(at(auths, name)) in TOKEN_KINDS or lost(auths, name)
    ]
    return Scope(
        values={value: None for value in everywhere if value not in partial},
        labels=None if targets is None else common.labels.get(targets),
        has_targets=targets is not None or lost(node, "targets"),
        too_early=_captures(node),
        tokens=dict.fromkeys(tokens),
        partial=partial,
    )


def _kind(entry: Node) -> object:
    kind = child(entry, "kind")
    return kind.value if isinstance(kind, Scalar) else None


def _captures(node: Node) -> dict[str, str]:
    """Every name that a step captures, good or not, with the step's name."""
    steps = child(node, "steps")
    found: dict[str, str] = {}
    if isinstance(steps, Sequence):
        for step in (*steps.items, *steps.dropped):
            name = child(step, "name")
            label = name.text if isinstance(name, Scalar) else "…"
            for capture in keys(child(step, "capture")):
                found.setdefault(capture, label)
    return found


def _refuse_repeated_layers(site: Site, layers: list[str], node: Node) -> None:
    seen = set()
    for index, name in enumerate(layers):
        if name in seen:
            site.problem(at(node, "layers", index), f"the layer {name} is named twice; remove one")
        seen.add(name)


# ---------------------------------------------------------------- steps


def _steps(
    context: StepContext, shape: ApiCheckShape, node: Node, auths: Bag[str, Auth]
) -> tuple[Step | CommandStep, ...]:
    """The steps in the order written, each checked with what the steps before it give."""
    site, steps_node = context.site, at(node, "steps")
    context.scope.captures.update(dict.fromkeys(_lost_captures(steps_node), False))
    steps: dict[int, Step | CommandStep] = {}
    names: dict[str, int] = {}
    running = sorted(range(len(shape.steps)), key=lambda index: shape.steps[index].cleanup)
    for index in running:  # cleanup runs last, wherever it stands
        entry, where = shape.steps[index], at(steps_node, index)
        named = not lost(where, "name")  # else a stand-in, which may equal another
        if named and entry.name in names:
            first = at(steps_node, names[entry.name], "name").place.line
            site.problem(at(where, "name"), f"the step {entry.name} stands already on line {first}")
        if named and isinstance(auths.get(entry.name), LOGINS):
            site.problem(
                at(where, "name"),
                f"the login of the auth {entry.name} is a result of that name; rename one of them",
            )
        if named:
            names.setdefault(entry.name, index)
        steps[index] = _step(context, shape, entry, where, auths)
    return tuple(steps[index] for index in sorted(steps))


def _step(
    context: StepContext,
    shape: ApiCheckShape,
    entry: CallShape | CommandStepShape,
    where: Node,
    auths: Bag[str, Auth],
) -> Step | CommandStep:
    site, scope = context.site, context.scope
    if isinstance(entry, CommandStepShape):
        return command(context, entry, where)
    if shape.kind == "command":
        site.problem(where, "kind: command runs programs; write command: [...] or kind: api")
    used = auths.get(entry.auth or "")
    if isinstance(used, BearerAuth) and used.capture in scope.later:
        lack = scope.lacks(used.capture)
        if lack is not None:
            site.problem(at(where, "auth"), f"the auth {entry.auth} sends a capture: {lack}")
    step = call(context, entry, where)
    for name, captured in entry.capture.items():
        if name in scope.values:
            site.problem(
                at(where, "capture", name),
                f"{name} is one of the vars already; choose another name",
            )
        scope.captures[name] = captured.secret
    for name in keys(child(where, "capture")):
        scope.captures.setdefault(name, False)
    return step


def _lost_captures(steps: Node) -> set[str]:
    dropped = steps.dropped if isinstance(steps, Sequence) else []
    return {name for step in dropped for name in keys(child(step, "capture"))}


# ---------------------------------------------------------------- personas


def _personas(context: AuthContext, shape: ApiCheckShape, node: Node) -> tuple[Persona, ...]:
    return tuple(
        _persona(context, shape, name, persona, node) for name, persona in shape.personas.items()
    )


def _persona(
    context: AuthContext, shape: ApiCheckShape, name: str, persona: PersonaShape, check: Node
) -> Persona:
    site, node = context.site, at(check, "personas", name)
    known = dict.fromkeys(keys(child(check, "auth")))
    auths: dict[str, Auth | None] = {}
    for key, entry in persona.auth.items():
        where = at(node, "auth", key)
        if key not in known and not lost(check, "auth"):
            site.problem(key_place(at(node, "auth"), key), unknown("auth", key, known))
        auths[key] = None if entry is None else auth(context, entry, where)
    refuse_references(site, persona.vars, at(node, "vars"))
    steps = dict.fromkeys(step.name for step in shape.steps)
    lost_steps = wrong_entries(check, "steps")
    for index, step in enumerate(persona.expect_denied):
        if step not in steps and not lost_steps:
            site.problem(at(node, "expect_denied", index), unknown("step", step, steps))
    return Persona(
        name=name,
        auth=MappingProxyType(auths),
        vars=MappingProxyType(dict(persona.vars)),
        expect_denied=tuple(persona.expect_denied),
    )
