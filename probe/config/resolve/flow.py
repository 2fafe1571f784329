"""API and command checks: flows of steps, and the personas that run them."""

from __future__ import annotations

from types import MappingProxyType

from probe.config.resolve.auth import auth
from probe.config.resolve.file import ConfigFile, FlowScope
from probe.config.resolve.requests import headers, is_secret_name, refuse_references, request
from probe.config.resolve.sections import Sections, flow_times
from probe.config.resolve.targets import client_certificate, trust
from probe.config.shape.checks import ApiCheckShape, PersonaShape
from probe.config.shape.step import API, CallShape, CaptureShape, CommandStepShape, ExpectShape
from probe.config.shape.texts import NEVER_HERE
from probe.config.units import format_duration
from probe.documents.nodes import key_position
from probe.documents.problem import unknown
from probe.model.auth import Auth, BearerAuth, CookieAuth, JsonLoginAuth, OAuth2
from probe.model.flow import (
    ApiCheck,
    Capture,
    Command,
    CommandStep,
    Expect,
    HeaderExpectation,
    Persona,
    Step,
)

Auths = dict[str, Auth]

_SOURCES = ("json", "header", "cookie", "regex")
LOGINS = (JsonLoginAuth, OAuth2, CookieAuth)
"""Kinds whose login is a result of its own, named after its entry."""


def api_check(sections: Sections, shape: ApiCheckShape, name: str) -> ApiCheck:
    """One ``kind: api`` or ``kind: command`` entry."""
    file = sections.file
    interval, timeout, flow_timeout = flow_times(sections, shape)
    targets = sections.targets_of(shape)
    if targets is None:
        _refuse_edges_of_nobody(sections, shape)
    labels = None if targets is None else sections.labels.get(targets)
    scope = FlowScope(file, shape, labels, flow_timeout, listed=sections.listed(targets))
    refuse_references(file, shape.vars, shape.at("vars"))
    headers(scope, shape.headers, shape.at("headers"))
    auths = {name: auth(scope, entry) for name, entry in shape.auth.items()}
    personas = tuple(_persona(scope, name, one) for name, one in shape.personas.items())
    file.unique(shape, "layers", "layer")
    resolved = {} if shape.layers is None else {"layers": tuple(dict.fromkeys(shape.layers))}
    steps = _steps(scope, auths)
    if scope.sends_secrets:
        sections.refuse_plain_list(shape, targets)
    return file.built(
        ApiCheck,
        shape,
        name=name,
        steps=steps,
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
        addresses=sections.addresses_of(shape),
        **resolved,
    )


def _refuse_edges_of_nobody(sections: Sections, shape: ApiCheckShape) -> None:
    """A provider's edges stand for a target; a flow without one would never reach them."""
    for index, name in enumerate(shape.providers or ()):
        known = sections.providers.get(name)
        if known is not None and (known.addresses or known.hostname is not None):
            sections.file.problem(
                shape.at("providers", index),
                f"the edges of {name} need a target, and this check has none; "
                "write targets: [HOST], and the steps' URLs with {target}",
            )


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
            message = f"duplicate step {entry.name}, first defined on line {first}"
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
            message = f"{name} is already defined in vars:; choose another name"
            file.problem(captured.node, message)
        scope.captured[name] = captured.secret
    return step


def call(scope: FlowScope, shape: CallShape) -> Step:
    """One HTTP call."""
    file = scope.file
    _check_timeout(scope, shape)
    if shape.auth is not None and shape.auth not in scope.check.auth:
        file.problem(shape.at("auth"), unknown("auth", shape.auth, scope.check.auth))
    sent = request(scope, shape)
    captures = tuple(_capture(file, name, one) for name, one in shape.capture.items())
    expect = shape.expect
    if expect is not None:
        _check_sense(file, shape, expect, sent.method)
        scope.used_by(expect.contains, expect.at("contains"))
    wanted = expect.headers if expect else {}
    return file.built(
        Step,
        shape,
        layer=_layer(scope, shape),
        request=sent,
        expect=file.built(
            Expect, expect, headers=tuple(HeaderExpectation(*one) for one in wanted.items())
        ),
        captures=captures,
    )


def command(scope: FlowScope, shape: CommandStepShape) -> CommandStep:
    """One program."""
    file, expect = scope.file, shape.expect
    _check_timeout(scope, shape)
    _check_secrecy(scope, shape)
    scope.used_by(shape.stdin, shape.at("stdin"))
    given = {"arguments": tuple(shape.command), "environment": file.fixed(shape.environment)}
    for key in ("stdin", "output_cap"):
        if getattr(shape, key) is not None:
            given[key] = file.fixed(getattr(shape, key))
    if expect is not None:
        scope.used_by(expect.contains, expect.at("contains"))
        if not expect.exit_codes:
            given["exit_codes"] = Command(()).exit_codes
    return file.built(
        CommandStep,
        shape,
        layer=_layer(scope, shape),
        command=file.built(Command, expect, **given),
    )


def _check_secrecy(scope: FlowScope, shape: CommandStepShape) -> None:
    """Secrets reach a program by references, and never through its arguments."""
    used = scope.used_by(shape.command, shape.at("command"))
    secret = next(filter(scope.is_secret, sorted(used)), None)
    if secret is not None:
        scope.file.problem(
            shape.at("command"),
            f"{{{secret}}} is secret, and everyone on the host can read a program's arguments; "
            "pass a secret through environment: as a reference",
        )
    for name, value in shape.environment.items():
        if is_secret_name(name) and isinstance(value, str) and value:
            scope.file.problem(shape.at("environment", name), NEVER_HERE)


def _check_timeout(scope: FlowScope, shape: CallShape | CommandStepShape) -> None:
    if shape.timeout is not None and shape.timeout > scope.flow_timeout:
        whole = format_duration(scope.flow_timeout)
        scope.file.problem(
            shape.at("timeout"),
            f"the step's timeout {format_duration(shape.timeout)} is longer than the flow_timeout "
            f"{whole}; write timeout: {whole} or less",
        )


def _layer(scope: FlowScope, shape: CallShape | CommandStepShape) -> str:
    standard = API.layers
    own = scope.check.layers
    layers = standard if own is None else own
    if shape.layer is None:
        if own is not None:
            message = f'"layer" is missing; write one of: {", ".join(layers)}'
            scope.file.problem(shape.node, message)
        return standard[-1]
    if shape.layer not in layers:
        message = unknown("layer", shape.layer, layers)
        if own is None and message.endswith(standard[-1]):
            message += ", or name your own with layers: in the check"
        scope.file.problem(shape.at("layer"), message)
    return shape.layer


# ---------------------------------------------------------------- answers


def _check_sense(file: ConfigFile, shape: CallShape, expect: ExpectShape, method: str) -> None:
    """What is expected must be possible."""
    for index, status in enumerate(expect.status):
        if shape.deny and status.startswith("2"):
            file.problem(
                expect.at("status", index),
                f"a deny step expects a refusal, and {status} means success; write 4xx, 401 or 403",
            )
    for key in ("json", "contains", "matches", "max_size"):
        if method == "HEAD" and expect.written().get(key):
            message = f"the response to HEAD has no body, so {key} cannot match; write get:"
            file.problem(expect.key_position(key), message)


def _capture(file: ConfigFile, name: str, shape: CaptureShape) -> Capture:
    file.one_of(shape, *_SOURCES)
    written = shape.written()
    source = next((key for key in _SOURCES if key in written), "json")
    return file.built(Capture, shape, name=name, source=source, expression=written.get(source, "@"))
