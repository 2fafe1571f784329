"""Requests of steps and logins: one method, one URL, one body, and no secret in plain text.

Credentials go only over verified TLS, and only to hosts that the configuration names: a host
that an answer or a list of others names could be anyone's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probe.config.resolve.file import ConfigFile, FlowScope
from probe.config.shape.step import METHODS, CallShape
from probe.config.shape.texts import NEVER_HERE, NOT_READ, looks_like_reference, parse_reference
from probe.documents.nodes import Node, at, key_position
from probe.model.auth import carries_credential
from probe.model.expressions import Placeholder, TemplateProblem, names, parse
from probe.model.flow import RequestTemplate
from probe.model.secret import SecretRef
from probe.model.spec import ASKED_URL
from probe.net.names import NameProblem, belongs_to, parse_authority, quoted

_GIVEN = "\ue000"  # stands for a value of the target, or for one that nothing gives
_ANSWERED = "\ue001"  # stands for a value that an answer gives
_LISTED = "\ue002"  # stands for a value of a target list that others write
_UNKNOWN = frozenset({_GIVEN, _ANSWERED, _LISTED})
_PORT = re.compile(r":[^:\]]*\Z")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)")
_SECRET_NAME = re.compile(
    r"(?:accesskey|apikey|passphrase|passwd|password|privatekey|pwd|secret|secretkey|token)\Z"
)


@dataclass(frozen=True, slots=True)
class Cargo:
    """Something secret that a call sends, and where it may go.

    Attributes:
        what: in words, as the start of a message.
        hosts: names that it may go to; none: those that the file spells out.
        where: whose ``hosts`` these are, in words.
        only: whether no other host will do, though the file spells it out.
        shown: whether it is a client certificate, which leaves in TLS handshakes alone.
    """

    what: str
    hosts: Sequence[str] = ()
    where: str = "the check"
    only: bool = True
    shown: bool = False


def request(scope: FlowScope, shape: CallShape) -> RequestTemplate:
    """The request of a call."""
    file = scope.file
    method, key = _method_and_key(file, shape)
    url = shape.written().get(key, "https://unknown.invalid/")
    file.one_of(shape, "json", "form", "body", required=False)
    used = set(scope.used_by(url, shape.at(key)))
    used |= headers(scope, shape.headers, shape.at("headers"))
    refuse_references(file, shape.query, shape.at("query"))
    document = references(file, shape.json_, shape.at("json"))
    form = references(file, shape.form, shape.at("form"))
    sent = {"query": shape.query, "json": document, "form": form, "body": shape.body}
    for name, value in sent.items():
        used |= scope.used_by(value, shape.at(name))
    cargo = list(_cargo(scope, shape, used))
    if _holds_secret(document) or _holds_secret(form):
        cargo.append(Cargo("the step sends a secret", *scope.hosts_of(None)))
    for name, value in {**scope.check.headers, **shape.headers}.items():
        own = shape.at("headers", name) if name in shape.headers else shape.node
        if name.lower() == "host":
            _check_host(scope, value, own, cargo)
    check_url(scope, url, shape.at(key), cargo)
    _check_redirects(scope, shape, cargo)
    resolved = {} if form is None else {"form": file.fixed(form)}
    return file.built(RequestTemplate, shape, method=method, url=url, json=document, **resolved)


def _method_and_key(file: ConfigFile, shape: CallShape) -> tuple[str, str]:
    """The method, and the key that the URL stands under."""
    short = [name for name in METHODS if getattr(shape, name) is not None]
    if len(short) + (shape.url is not None) > 1:
        message = "a step makes one call; write one of get, post, …"
        file.problem(shape.key_position([*short, "url"][1]), message)
    if short:
        if shape.method is not None:
            message = f"{short[0]}: already sets the method; remove method:, or write url: instead"
            file.problem(shape.key_position("method"), message)
        return short[0].upper(), short[0]
    if shape.url is None:
        message = "the step has no URL; write for example get: https://shop.example/"
        file.problem(shape.node, message)
    elif shape.method is None:
        message = "url: needs method: in the same step; or write get: and the URL"
        file.problem(shape.key_position("url"), message)
    return shape.method or "GET", "url"


def _cargo(scope: FlowScope, shape: CallShape, used: set[str]) -> Iterator[Cargo]:
    """Everything secret that a call sends, but for references in its body."""
    if shape.auth is not None:
        yield Cargo("the step sends credentials", *scope.hosts_of(shape.auth))
    for name in sorted(filter(scope.is_secret, used)):
        entry = name.removeprefix("auth.") if name.startswith("auth.") else None
        yield Cargo(f"the step sends the secret {{{name}}}", *scope.hosts_of(entry))
    yield from shown_certificate(scope)


def shown_certificate(scope: FlowScope) -> Iterator[Cargo]:
    """A client certificate, if the check shows one."""
    if scope.check.client_certificate is not None:
        yield Cargo("the check shows a client certificate", *scope.hosts_of(None), shown=True)


def _check_host(scope: FlowScope, value: str, node: Node, cargo: Sequence[Cargo]) -> None:
    """A Host header chooses who gets the request behind a shared edge."""
    used = parse(value).names if "{" in value and _is_template(value) else ()
    foreign = any(_filled(scope, name, {}) in (_ANSWERED, _LISTED) for name in used)
    for one in cargo:
        if foreign and not one.hosts:
            scope.file.problem(
                node,
                f"{one.what}, so Host must not come from a response or from a target list; "
                f"or {_bind(one)}",
            )
            return


def _check_redirects(scope: FlowScope, shape: CallShape, cargo: Sequence[Cargo]) -> None:
    if not shape.redirect_to_http:
        return
    where = shape.at("redirect_to_http")
    if not shape.follow_redirects:
        scope.file.problem(where, "redirect_to_http needs follow_redirects:")
    elif kept := [one for one in cargo if not one.shown]:
        scope.file.problem(where, f"{kept[0].what}, and secrets need TLS; remove redirect_to_http")


def _bind(cargo: Cargo) -> str:
    return f'bind it in {cargo.where} to hosts, such as hosts: ["*.shop.example"]'


def _is_template(text: str) -> bool:
    try:
        parse(text)
    except TemplateProblem:
        return False  # a problem of its own already
    return True


# ---------------------------------------------------------------- headers


def headers(scope: FlowScope, written: Mapping[str, str], node: Node) -> frozenset[str]:
    """Check request headers; the names that their templates use."""
    file = scope.file
    refuse_references(file, written, node)
    seen: dict[str, str] = {}
    for name, value in written.items():
        folded = name.lower()
        if folded in seen:
            message = f"duplicate header {name}, first written as {seen[folded]}"
            file.problem(key_position(node, name), message)
        seen[folded] = name
        if folded == "host" and "{" not in value:
            try:
                parse_authority(value)
            except NameProblem as problem:
                message = f"Host must be HOST or HOST:PORT: {problem}"
                file.problem(at(node, name), message)
        if carries_credential(folded) and not _names_an_answer(scope, value):
            file.problem(
                at(node, name),
                f"{name} holds a credential, and secrets are not allowed in this file; "
                "use auth: with kind: bearer, basic or headers",
            )
    return scope.used_by(dict(written), node)


def _names_an_answer(scope: FlowScope, value: str) -> bool:
    try:
        used = names(value)
    except TemplateProblem:
        return True  # a problem of its own already
    return any(name in scope.captured or name.startswith("auth.") for name in used)


# ---------------------------------------------------------------- documents and secrets


def references(file: ConfigFile, document: Any, node: Node) -> Any:
    """A document as plain data, with the texts that are references to secrets read as such."""
    match document:
        case str() if looks_like_reference(document):
            try:
                return file.secret(parse_reference(document))
            except ValueError as problem:
                file.problem(node, str(problem))
                return ""
        case SecretRef():
            return file.secret(document)
        case dict():
            return {k: references(file, value, at(node, str(k))) for k, value in document.items()}
        case list():
            return [references(file, value, at(node, i)) for i, value in enumerate(document)]
        case _:
            return document


def _holds_secret(document: Any) -> bool:
    match document:
        case dict():
            return any(map(_holds_secret, document.values()))
        case list():
            return any(map(_holds_secret, document))
        case _:
            return isinstance(document, SecretRef)


def refuse_references(file: ConfigFile, values: Mapping[str, Any], node: Node) -> None:
    """References to secrets are read in few places; elsewhere they would be sent as text."""
    for key, value in values.items():
        if isinstance(value, str) and looks_like_reference(value):
            file.problem(at(node, key), NOT_READ)


def refuse_plain_secrets(file: ConfigFile, document: Any, node: Node) -> None:
    """What a login sends as a secret, by its name, must be a reference or a template."""
    items = enumerate(document) if isinstance(document, list) else ()
    for key, value in document.items() if isinstance(document, dict) else items:
        where = at(node, key)
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            written = value if isinstance(value, str) else str(value)
            indirect = looks_like_reference(written) or "{" in written or not written
            if not indirect and isinstance(key, str) and is_secret_name(key):
                file.problem(where, NEVER_HERE)
        else:
            refuse_plain_secrets(file, value, where)


def is_secret_name(key: str) -> bool:
    """Whether a field or variable of that name holds a secret, by all custom."""
    return _SECRET_NAME.search(re.sub(r"[^a-z0-9]", "", key.lower())) is not None


# ---------------------------------------------------------------- URLs


def check_url(scope: FlowScope, url: str, node: Node, cargo: Sequence[Cargo]) -> None:
    """Note what is wrong with a URL.

    Args:
        scope: knows the values of every persona, and which names answers give.
        url: a template.
        node: where it stands.
        cargo: everything secret that is sent there.
    """
    scope.sends_secrets |= bool(cargo)
    if not _is_template(url):
        return
    template = parse(url)
    for values in scope.variants:
        filled = "".join(
            _filled(scope, piece.name, values) if isinstance(piece, Placeholder) else piece
            for piece in template.pieces
        )
        for one in cargo or (None,):
            problem = url_problem(filled, one, "use auth: with kind: basic")
            if problem is not None:
                scope.file.problem(node, problem)
                return


def _filled(scope: FlowScope, name: str, values: Mapping[str, str]) -> str:
    if name in values:
        return values[name]
    if name in scope.captured or name.startswith("auth.") or name == ASKED_URL:
        return _ANSWERED
    of_list = name == "target" or name.startswith(("target.", "labels."))
    return _LISTED if of_list and scope.listed else _GIVEN


def url_problem(url: str, cargo: Cargo | None, login: str) -> str | None:
    """What is wrong with a URL; None when nothing is.

    Args:
        url: without placeholders.
        cargo: something secret that is sent there; None when nothing is.
        login: where to write user and password instead.
    """
    if any(c.isspace() for c in url):
        return "a URL must not contain spaces; write %20, or use query:"
    if url.startswith(_ANSWERED):
        if cargo is None or cargo.hosts:
            return None  # a link that an earlier answer gave
        return (
            f"{cargo.what}, so the URL must start with https:// and a host, not with a captured "
            f"or asked value; or {_bind(cargo)}"
        )
    match = _SCHEME.match(url)
    if match is None:
        shown = re.sub(f"[{_GIVEN}{_LISTED}]", "{target}", url).replace(_ANSWERED, "…")
        host = "shop.example" if shown.startswith("/") else ""
        safe = quoted(f"https://{host}{shown}")[1:-1]
        return f"a URL must start with https://; write {'https://…' if '@' in shown else safe}"
    scheme, authority = match[1].lower(), match[2]
    if scheme not in ("http", "https"):
        return f"a URL must start with https:// or http://, not {quoted(scheme)[1:-1]}://"
    if "@" in authority:
        return f"a URL must contain no user or password; {login}"
    if not authority or authority.startswith(":"):
        return "the URL has no host; write for example https://shop.example/"
    try:
        host, _ = parse_authority(_known(authority))
    except NameProblem as problem:
        return f"not a valid URL: {problem}"
    if cargo is None or (cargo.shown and scheme == "http"):
        return None
    return _misdirected(cargo, scheme, authority, host)


def _misdirected(cargo: Cargo, scheme: str, authority: str, host: str) -> str | None:
    """Why something secret must not go to this host; None when it may."""
    if scheme != "https":
        return f"{cargo.what}, and secrets need TLS; write https://"
    if not cargo.hosts and _ANSWERED in authority:
        return f"{cargo.what}, so the host must not come from a captured value; or {_bind(cargo)}"
    if not cargo.hosts and _LISTED in authority:
        return f"{cargo.what}, and a target list outside this file sets the host; {_bind(cargo)}"
    known = not _UNKNOWN & set(authority)
    if known and cargo.hosts and cargo.only and not belongs_to(host, cargo.hosts):
        return f"{cargo.what}, and {host} is not in the hosts: of {cargo.where}; add it there"
    return None


def _known(authority: str) -> str:
    """What is known of host and port before the flow runs, as far as it can be judged."""
    if not _UNKNOWN & set(authority):
        return authority
    port = _PORT.search(authority)
    return "x" if port is None or _UNKNOWN & set(port[0]) else f"x{port[0]}"
