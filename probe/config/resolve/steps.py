"""Steps of flows: calls and commands, what they expect and what they capture."""

from __future__ import annotations

from types import MappingProxyType

from probe.config.resolve.logins import is_secret_name
from probe.config.resolve.requests import StepContext
from probe.config.resolve.requests import request as request_of
from probe.config.resolve.scope import Scope, check_texts
from probe.config.resolve.site import Site
from probe.config.shape.secret import NEVER_HERE
from probe.config.shape.step import CallShape, CaptureShape, CommandStepShape, ExpectShape
from probe.config.units import format_duration
from probe.documents.nodes import Node, at, key_place, lost
from probe.documents.problem import unknown
from probe.model.flow import Capture, Command, CommandStep, Expect, HeaderExpectation, Step
from probe.model.secret import SecretRef

STANDARD_LAYERS = ("edge", "control", "login", "token", "authorization", "backend")

_OUTPUT_CAP = Command(()).output_cap


def call(context: StepContext, shape: CallShape, node: Node) -> Step:
    """One HTTP call."""
    site = context.site
    _check_timeout(context, shape.timeout, node)
    if context.auths is not None and shape.auth is not None and shape.auth not in context.auths:
        message = unknown("auth", shape.auth, context.auths)
        site.problem(at(node, "auth"), message)
    request = request_of(context, shape, node)
    captures = tuple(
        _capture(site, name, capture, at(node, "capture", name))
        for name, capture in shape.capture.items()
    )
    expect = shape.expect or ExpectShape()
    _check_sense(site, shape, expect, request.method, node)
    check_texts(site, expect.contains, at(node, "expect", "contains"), context.scope)
    return Step(
        name=shape.name,
        layer=_layer(context, shape.layer, node),
        request=request,
        expect=_expect(expect),
        captures=captures,
        auth=shape.auth,
        timeout=shape.timeout,
        deny=shape.deny,
        cleanup=shape.cleanup,
        backend=shape.backend,
        attempts=shape.attempts,
    )


def command(context: StepContext, shape: CommandStepShape, node: Node) -> CommandStep:
    """One program."""
    site, scope = context.site, context.scope
    _check_timeout(context, shape.timeout, node)
    _check_secrecy(site, shape, node, scope)
    stdin = site.secret(shape.stdin) if isinstance(shape.stdin, SecretRef) else shape.stdin
    check_texts(site, stdin, at(node, "stdin"), scope)
    expect = shape.expect
    contains = tuple(expect.contains) if expect else ()
    check_texts(site, contains, at(node, "expect", "contains"), scope)
    exit_codes = expect.exit_codes if expect and expect.exit_codes else (0,)
    environment = {
        name: site.secret(value) if isinstance(value, SecretRef) else value
        for name, value in shape.environment.items()
    }
    return CommandStep(
        name=shape.name,
        layer=_layer(context, shape.layer, node),
        command=Command(
            arguments=tuple(shape.command),
            environment=MappingProxyType(environment),
            exit_codes=tuple(exit_codes),
            contains=contains,
            matches=tuple(expect.matches) if expect else (),
            json=tuple(expect.json_) if expect else (),
            stdin=stdin,
            slower_than=expect.slower_than if expect else None,
            output_cap=shape.output_cap or _OUTPUT_CAP,
        ),
        timeout=shape.timeout,
        cleanup=shape.cleanup,
    )


def _check_secrecy(site: Site, shape: CommandStepShape, node: Node, scope: Scope) -> None:
    """Secrets reach a program by references, and never through its arguments."""
    used = check_texts(site, shape.command, at(node, "command"), scope)
    secret = sorted(name for name in used if scope.captures.get(name) or name.startswith("auth."))
    if secret:
        site.problem(
            at(node, "command"),
            f"{{{secret[0]}}} is secret, and everyone on the host can read a program's arguments; "
            "pass a secret through environment: as a reference",
        )
    for name, value in shape.environment.items():
        if is_secret_name(name) and isinstance(value, str) and value:
            site.problem(at(node, "environment", name), NEVER_HERE)


def _check_timeout(context: StepContext, timeout: float | None, node: Node) -> None:
    if timeout is not None and timeout > context.flow_timeout:
        whole = format_duration(context.flow_timeout)
        context.site.problem(
            at(node, "timeout"),
            f"the step's timeout {format_duration(timeout)} is longer than the flow_timeout "
            f"{whole}; write timeout: {whole} or less",
        )


def _check_sense(
    site: Site, shape: CallShape, expect: ExpectShape, method: str, node: Node
) -> None:
    """What is expected must be possible."""
    for index, status in enumerate(expect.status):
        if shape.deny and status.startswith("2"):
            site.problem(
                at(node, "expect", "status", index),
                f"a deny step must be refused, and {status} is success; write 4xx, 401 or 403",
            )
    for key in ("json_", "contains", "matches", "max_size"):
        if method == "HEAD" and getattr(expect, key):
            name = key.rstrip("_")
            site.problem(
                key_place(at(node, "expect"), name),
                f"the answer to HEAD has no body, so {name} cannot hold; write get:",
            )


def _layer(context: StepContext, layer: str | None, node: Node) -> str:
    if context.layers is None or lost(node, "layer"):
        return layer or "backend"
    if layer is None:
        if context.own_layers:
            context.site.problem(
                node, f'"layer" is missing; write one of: {", ".join(context.layers)}'
            )
        return "backend"
    if layer not in context.layers:
        message = unknown("layer", layer, context.layers)
        if not context.own_layers and message.endswith(STANDARD_LAYERS[-1]):
            message += ", or name your own with layers: in the check"
        context.site.problem(at(node, "layer"), message)
    return layer


# ---------------------------------------------------------------- answers


def _expect(shape: ExpectShape) -> Expect:
    return Expect(
        status=tuple(shape.status),
        headers=tuple(HeaderExpectation(name, regex) for name, regex in shape.headers.items()),
        json=tuple(shape.json_),
        contains=tuple(shape.contains),
        matches=tuple(shape.matches),
        not_matches=tuple(shape.not_matches),
        max_size=shape.max_size,
        slower_than=shape.slower_than,
    )


def _capture(site: Site, name: str, shape: CaptureShape, node: Node) -> Capture:
    sources = {
        "json": shape.json_,
        "header": shape.header,
        "cookie": shape.cookie,
        "regex": shape.regex,
    }
    written = {source: text for source, text in sources.items() if text is not None}
    if len(written) != 1 and not lost(node, *sources):
        count = "none is there" if not written else f"{' and '.join(written)} are there"
        site.problem(node, f"a capture has one of json, header, cookie and regex, and {count}")
    source, expression = next(iter(written.items()), ("json", "@"))
    match source:
        case "header" | "cookie" | "regex":
            return Capture(name, source, expression, shape.secret)
        case _:
            return Capture(name, "json", expression, shape.secret)
