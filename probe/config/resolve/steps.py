"""Steps of flows: calls and commands, what they expect and what they capture."""

from __future__ import annotations

from collections.abc import Mapping as Bag
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from probe.config.document.nodes import Node, at, child, key_place
from probe.config.problem import unknown
from probe.config.resolve.auth import is_secret_name
from probe.config.resolve.scope import Scope, check_texts
from probe.config.resolve.site import Site
from probe.config.resolve.urls import check_url
from probe.config.shape.api import (
    METHODS,
    CallShape,
    CaptureShape,
    CommandStepShape,
    ExpectShape,
)
from probe.config.shape.base import looks_like_reference
from probe.config.units import format_duration
from probe.model.flow import (
    Capture,
    Command,
    CommandStep,
    Expect,
    HeaderExpectation,
    Request,
    Step,
)
from probe.model.secret import SecretRef

STANDARD_LAYERS = ("edge", "control", "login", "token", "authorization", "backend")

_OUTPUT_CAP = Command(()).output_cap

_CREDENTIAL_HEADERS = frozenset(
    {
        "api-key", "authorization", "cookie", "private-token", "proxy-authorization",
        "x-access-token", "x-amz-security-token", "x-api-key", "x-auth-token",
        "x-vtex-api-apptoken",
    }
)  # fmt: skip


@dataclass(slots=True)
class StepContext:
    """What steps are resolved with.

    Attributes:
        scope: grows by each step's captures.
        variants: the vars of every persona.
        auths: names written under ``auth``, good or not; None when the section is unreadable.
        layers: names that ``layer`` may have.
        own_layers: whether the check declares its layers itself.
        timeout: most that a step may take, with words for where that stands.
    """

    site: Site
    scope: Scope
    variants: tuple[Bag[str, str], ...]
    auths: frozenset[str] | None
    layers: tuple[str, ...]
    own_layers: bool
    flow_timeout: float


def call(context: StepContext, shape: CallShape, node: Node) -> Step:
    """One HTTP call."""
    site = context.site
    _check_timeout(context, shape.timeout, node)
    if context.auths is not None and shape.auth is not None and shape.auth not in context.auths:
        message = unknown("auth", shape.auth, sorted(context.auths))
        site.problem(at(node, "auth"), message)
    request = _request(context, shape, node)
    captures = tuple(
        _capture(site, name, capture, at(node, "capture", name))
        for name, capture in shape.capture.items()
    )
    expect = shape.expect or ExpectShape()
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
            site.problem(
                at(node, "environment", name),
                "a secret never stands in this file; write where it is found: "
                "file:/path, env:NAME or credential:name",
            )
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


def _check_timeout(context: StepContext, timeout: float | None, node: Node) -> None:
    if timeout is not None and timeout > context.flow_timeout:
        whole = format_duration(context.flow_timeout)
        context.site.problem(
            at(node, "timeout"),
            f"the step's timeout {format_duration(timeout)} is longer than the flow_timeout "
            f"{whole}; write timeout: {whole} or less",
        )


def _layer(context: StepContext, layer: str | None, node: Node) -> str:
    if layer is None:
        if context.own_layers:
            context.site.problem(
                node, f'"layer" is missing; write one of {", ".join(context.layers)}'
            )
        return "backend"
    if layer not in context.layers:
        message = unknown("layer", layer, context.layers)
        if not context.own_layers:
            message += "; names of your own need layers: [...] in the check"
        context.site.problem(at(node, "layer"), message)
    return layer


# ---------------------------------------------------------------- requests


def _request(context: StepContext, shape: CallShape, node: Node) -> Request:
    site, scope = context.site, context.scope
    method, url, key = _method_and_url(site, shape, node)
    _one_body(site, shape, node)
    used = set(check_texts(site, url, at(node, key), scope))
    used |= headers(site, shape.headers, at(node, "headers"), scope)
    for name in ("query", "form"):
        values = getattr(shape, name) or {}
        refuse_references(site, values, at(node, name))
        used |= check_texts(site, values, at(node, name), scope)
    document = plain_data(shape.json_)
    used |= check_texts(site, document, at(node, "json"), scope)
    used |= check_texts(site, shape.body, at(node, "body"), scope)
    check_url(site, url, at(node, key), context.variants, _why_safe(shape, used, scope))
    return Request(
        method=method,
        url=url,
        headers=MappingProxyType(dict(shape.headers)),
        query=MappingProxyType(dict(shape.query)),
        json=document,
        form=None if shape.form is None else MappingProxyType(dict(shape.form)),
        body=shape.body,
        follow_redirects=shape.follow_redirects,
    )


def _why_safe(shape: CallShape, used: set[str], scope: Scope) -> str | None:
    """Why a call must go over verified TLS to a host of the configuration; None if it need not."""
    if shape.auth is not None:
        return "the step sends credentials"
    for name in sorted(used):
        if scope.captures.get(name) or name.startswith("auth."):
            return f"the step sends the secret {{{name}}}"
    return None


def _method_and_url(site: Site, shape: CallShape, node: Node) -> tuple[str, str, str]:
    """Method and URL, and the key that the URL stands under."""
    short = [name for name in METHODS if getattr(shape, name) is not None]
    if len(short) + (shape.url is not None) > 1:
        second = [*short, "url"][1]
        site.problem(key_place(node, second), "a step makes one call; write one of get, post, …")
    if short:
        if shape.method is not None:
            site.problem(
                key_place(node, "method"),
                f"{short[0]}: says the method already; leave method out, or write url:",
            )
        return short[0].upper(), getattr(shape, short[0]), short[0]
    if shape.url is None:
        written = any(name in getattr(node, "dropped", {}) for name in (*METHODS, "url"))
        if not written:
            site.problem(node, "the step has no URL; write for example get: https://shop.example/")
        return "GET", "https://unknown.invalid/", "url"
    if shape.method is None:
        site.problem(
            key_place(node, "url"), "url: needs method: beside it; or write get: and the URL"
        )
    return shape.method or "GET", shape.url, "url"


def _one_body(site: Site, shape: CallShape, node: Node) -> None:
    bodies = [key for key in ("json", "form", "body") if child(node, key) is not None]
    if len(bodies) > 1:
        site.problem(
            key_place(node, bodies[1]),
            f"a call sends one body, and {bodies[0]}: is there already; write one of the two",
        )


def headers(site: Site, written: Bag[str, str], node: Node, scope: Scope) -> frozenset[str]:
    """Check request headers; the names that their templates use."""
    refuse_references(site, written, node)
    seen: dict[str, str] = {}
    for name, value in written.items():
        folded = name.lower()
        if folded in seen:
            site.problem(
                key_place(node, name), f"the header {name} stands already as {seen[folded]}"
            )
        seen[folded] = name
        if folded in _CREDENTIAL_HEADERS and not _names_an_answer(value, scope):
            site.problem(
                at(node, name),
                f"{name} holds a credential, and secrets never stand in this file; "
                "use auth: with kind: bearer, basic or headers",
            )
    return check_texts(site, dict(written), node, scope)


def _names_an_answer(value: str, scope: Scope) -> bool:
    return any(f"{{{name}}}" in value for name in scope.captures) or "{auth." in value


def refuse_references(site: Site, values: Bag[str, Any], node: Node) -> None:
    """References to secrets are read in few places; elsewhere they would be sent as text."""
    for key, value in values.items():
        if isinstance(value, str) and looks_like_reference(value):
            site.problem(
                at(node, key),
                "references to secrets are read under auth: and in a command's environment: only; "
                "here the reference itself would be sent",
            )


def plain_data(value: Any) -> Any:
    """A document as plain dicts and lists, without the nodes that it came from."""
    match value:
        case dict():
            return {key: plain_data(item) for key, item in value.items()}
        case list():
            return [plain_data(item) for item in value]
        case _:
            return value


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
    if len(written) != 1 and not getattr(node, "dropped", {}):
        count = "none is there" if not written else f"{' and '.join(written)} are there"
        site.problem(node, f"a capture has one of json, header, cookie and regex, and {count}")
    source, expression = next(iter(written.items()), ("json", "@"))
    match source:
        case "header" | "cookie" | "regex":
            return Capture(name, source, expression, shape.secret)
        case _:
            return Capture(name, "json", expression, shape.secret)
