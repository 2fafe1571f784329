"""Requests of steps: one method, one URL, one body, and no secret in plain text."""

from __future__ import annotations

from collections.abc import Mapping as Bag
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from probe.config.resolve.logins import references
from probe.config.resolve.scope import Scope, check_texts
from probe.config.resolve.site import Names, Site
from probe.config.resolve.urls import check_url
from probe.config.shape.secret import NOT_READ, looks_like_reference
from probe.config.shape.step import METHODS, CallShape
from probe.documents.nodes import Node, at, child, key_place, lost
from probe.model.auth import carries_credential
from probe.model.flow import RequestTemplate
from probe.model.secret import SecretRef
from probe.model.template import TemplateProblem, names
from probe.net.names import NameProblem, parse_authority


@dataclass(slots=True)
class StepContext:
    """What steps are resolved with.

    Attributes:
        scope: grows by each step's captures.
        variants: the vars of every persona.
        auths: names written under ``auth``, good or not; None when the section is unreadable.
        layers: names that ``layer`` may have; None when the check's own cannot be read.
        own_layers: whether the check declares its layers itself.
        flow_timeout: seconds; most that a step may take.
    """

    site: Site
    scope: Scope
    variants: tuple[Bag[str, str], ...]
    auths: Names | None
    layers: tuple[str, ...] | None
    own_layers: bool
    flow_timeout: float


def request(context: StepContext, shape: CallShape, node: Node) -> RequestTemplate:
    """The request of a call."""
    site, scope = context.site, context.scope
    method, url, key = _method_and_url(site, shape, node)
    _one_body(site, shape, node)
    used = set(check_texts(site, url, at(node, key), scope))
    used |= headers(site, shape.headers, at(node, "headers"), scope)
    refuse_references(site, shape.query, at(node, "query"))
    document = references(site, plain_data(shape.json_), at(node, "json"))
    form = references(site, dict(shape.form or {}), at(node, "form"))
    sent = {"query": shape.query, "json": document, "form": form, "body": shape.body}
    for name, value in sent.items():
        used |= check_texts(site, value, at(node, name), scope)
    why = _why_safe(shape, used, scope)
    if why is None and (_holds_secret(document) or _holds_secret(form)):
        why = "the step sends a secret"
    for name, value in shape.headers.items():
        if why is not None and name.lower() == "host" and _names_an_answer(value, scope):
            site.problem(
                at(node, "headers", name), f"{why}, so Host must not come from a captured value"
            )
    check_url(site, url, at(node, key), context.variants, why, scope.captures)
    return RequestTemplate(
        method=method,
        url=url,
        headers=MappingProxyType(dict(shape.headers)),
        query=MappingProxyType(dict(shape.query)),
        json=document,
        form=None if shape.form is None else MappingProxyType(form),
        body=shape.body,
        follow_redirects=shape.follow_redirects,
    )


def _holds_secret(document: Any) -> bool:
    match document:
        case dict():
            return any(map(_holds_secret, document.values()))
        case list():
            return any(map(_holds_secret, document))
        case _:
            return isinstance(document, SecretRef)


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
        if not lost(node, *METHODS, "url"):
            site.problem(node, "the step has no URL; write for example get: https://shop.example/")
        return "GET", "https://unknown.invalid/", "url"
    if shape.method is None and not lost(node, "method"):
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
        if folded == "host" and "{" not in value:
            _check_host(site, value, at(node, name))
        if carries_credential(folded) and not _names_an_answer(value, scope):
            site.problem(
                at(node, name),
                f"{name} holds a credential, and secrets never stand in this file; "
                "use auth: with kind: bearer, basic or headers",
            )
    return check_texts(site, dict(written), node, scope)


def _check_host(site: Site, value: str, node: Node) -> None:
    try:
        parse_authority(value)
    except NameProblem as problem:
        site.problem(node, f"Host names a server, with a port if it has one: {problem}")


def _names_an_answer(value: str, scope: Scope) -> bool:
    try:
        used = names(value)
    except TemplateProblem:
        return True  # a problem of its own already
    return any(name in scope.captures or name.startswith("auth.") for name in used)


def refuse_references(site: Site, values: Bag[str, Any], node: Node) -> None:
    """References to secrets are read in few places; elsewhere they would be sent as text."""
    for key, value in values.items():
        if isinstance(value, str) and looks_like_reference(value):
            site.problem(at(node, key), NOT_READ)


def plain_data(value: Any) -> Any:
    """A document as plain dicts and lists, without the nodes that it came from."""
    match value:
        case dict():
            return {key: plain_data(item) for key, item in value.items()}
        case list():
            return [plain_data(item) for item in value]
        case _:
            return value
