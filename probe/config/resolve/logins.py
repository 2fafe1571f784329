"""What logins send: URLs that are safe for secrets, documents that hold references to them."""

from __future__ import annotations

import re
from collections.abc import Mapping as Bag
from dataclasses import dataclass
from typing import Any

from probe.config.resolve.scope import Scope, check_texts
from probe.config.resolve.site import Site
from probe.config.resolve.urls import check_url
from probe.config.shape.secret import NEVER_HERE, looks_like_reference, parse_reference
from probe.documents.nodes import Node, at
from probe.model.secret import SecretRef

_SECRET_NAME = re.compile(
    r"(?:accesskey|apikey|passphrase|passwd|password|privatekey|pwd|secret|secretkey|token)\Z"
)


@dataclass(frozen=True, slots=True)
class AuthContext:
    """What entries of ``auth`` are resolved with.

    Attributes:
        scope: names for templates; answers of steps are not among them, because a login also
            runs on its own clock.
        variants: the vars of every persona.
        captures: names that any step captures; None when the steps cannot be read.
        has_certificate: whether the check has a client certificate.
    """

    site: Site
    scope: Scope
    variants: tuple[Bag[str, str], ...]
    captures: tuple[str, ...] | None
    has_certificate: bool


def secret(site: Site, reference: SecretRef | None) -> SecretRef | None:
    """A reference that may be left out, its file absolute."""
    return None if reference is None else site.secret(reference)


def text(context: AuthContext, value: str | SecretRef, node: Node) -> str | SecretRef:
    """A template, checked, or a reference."""
    if isinstance(value, SecretRef):
        return context.site.secret(value)
    check_texts(context.site, value, node, context.scope)
    return value


def login_url(context: AuthContext, url: str, node: Node) -> None:
    """Check the URL that secrets are sent to."""
    check_texts(context.site, url, node, context.scope)
    check_url(context.site, url, node, context.variants, "a login sends secrets")


def login_document(context: AuthContext, document: Any, node: Node) -> Any:
    """A login's document with its references read as such, and its texts checked."""
    _refuse_plain_secrets(context.site, document, node)
    found = references(context.site, document, node)
    check_texts(context.site, found, node, context.scope)
    return found


def references(site: Site, document: Any, node: Node) -> Any:
    """A document with the texts that are references to secrets read as such."""
    match document:
        case str() if looks_like_reference(document):
            try:
                return site.secret(parse_reference(document))
            except ValueError as problem:
                site.problem(node, str(problem))
                return ""
        case SecretRef():
            return site.secret(document)
        case dict():
            return {k: references(site, value, at(node, str(k))) for k, value in document.items()}
        case list():
            return [references(site, value, at(node, i)) for i, value in enumerate(document)]
        case _:
            return document


def _refuse_plain_secrets(site: Site, document: Any, node: Node) -> None:
    items = enumerate(document) if isinstance(document, list) else ()
    for key, value in document.items() if isinstance(document, dict) else items:
        where = at(node, key)
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            plain = not (isinstance(value, str) and _is_indirect(value))
            if plain and isinstance(key, str) and is_secret_name(key):
                site.problem(where, NEVER_HERE)
        else:
            _refuse_plain_secrets(site, value, where)


def is_secret_name(key: str) -> bool:
    """Whether a field or variable of that name holds a secret, by all custom."""
    return _SECRET_NAME.search(re.sub(r"[^a-z0-9]", "", key.lower())) is not None


def _is_indirect(value: str) -> bool:
    return looks_like_reference(value) or "{" in value or not value
