"""Steps of flows: calls and commands, what they expect and what they capture."""

from __future__ import annotations

from probe.config.resolve.file import ConfigFile
from probe.config.resolve.requests import is_secret_name, request
from probe.config.resolve.scope import FlowScope
from probe.config.shape import defaults
from probe.config.shape.secret import NEVER_HERE
from probe.config.shape.step import CallShape, CaptureShape, CommandStepShape, ExpectShape
from probe.config.units import format_duration
from probe.documents.problem import unknown
from probe.model.flow import Capture, Command, CommandStep, Expect, HeaderExpectation, Step

_SOURCES = ("json", "header", "cookie", "regex")


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
            given["exit_codes"] = defaults.COMMAND.exit_codes
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
    standard = defaults.API.layers
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
                f"a deny step must be refused, and {status} is success; write 4xx, 401 or 403",
            )
    for key in ("json", "contains", "matches", "max_size"):
        if method == "HEAD" and expect.written().get(key):
            message = f"the answer to HEAD has no body, so {key} cannot hold; write get:"
            file.problem(expect.key_position(key), message)


def _capture(file: ConfigFile, name: str, shape: CaptureShape) -> Capture:
    written = {key: text for key, text in shape.written().items() if key in _SOURCES}
    if len(written) != 1:
        count = "none is there" if not written else f"{' and '.join(written)} are there"
        message = f"a capture has one of json, header, cookie and regex, and {count}"
        file.problem(shape.node, message)
    source, expression = next(iter(written.items()), ("json", "@"))
    return file.built(Capture, shape, name=name, source=source, expression=expression)
