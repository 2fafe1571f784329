"""URLs of flows: absolute, and safe for what is sent to them.

Credentials go only over verified TLS, and only to hosts that the configuration names: a host
that an answer names could be anyone's.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping

from probe.config.resolve.site import Site
from probe.documents.nodes import Node
from probe.model.template import Placeholder, TemplateProblem, parse
from probe.net.names import NameProblem, parse_authority, quoted

_GIVEN = "\ue000"  # stands for a value of the target, or for one that nothing gives
_ANSWERED = "\ue001"  # stands for a value that an answer gives
_PORT = re.compile(r":[^:\]]*\Z")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)")


def check_url(
    site: Site,
    url: str,
    node: Node,
    variants: Iterable[Mapping[str, str]],
    why: str | None,
    answered: Container[str] = (),
) -> None:
    """Note what is wrong with a URL.

    Args:
        site: takes the problems.
        url: a template.
        node: where it stands.
        variants: the vars of every persona.
        why: what secret thing is sent there, in words; None when nothing is.
        answered: names whose values come from answers.
    """
    try:
        template = parse(url)
    except TemplateProblem:
        return  # a problem of its own already
    for values in variants:
        filled = "".join(
            _fill(piece.name, values, answered) if isinstance(piece, Placeholder) else piece
            for piece in template.pieces
        )
        problem = _problem(filled, why)
        if problem is not None:
            site.problem(node, problem)
            return


def _fill(name: str, values: Mapping[str, str], answered: Container[str]) -> str:
    if name in values:
        return values[name]
    return _ANSWERED if name in answered or name.startswith("auth.") else _GIVEN


def _problem(url: str, why: str | None) -> str | None:
    if any(c.isspace() for c in url):
        return "a URL has no spaces; write %20 for one, or use query:"
    if url.startswith(_ANSWERED):
        if why is None:
            return None  # a link that an earlier answer gave
        return f"{why}, so the URL must start with https:// and a host, not with a captured value"
    match = _SCHEME.match(url)
    if match is None:
        shown = url.replace(_GIVEN, "{target}").replace(_ANSWERED, "…")
        host = "shop.example" if shown.startswith("/") else ""
        safe = quoted(f"https://{host}{shown}")[1:-1]
        return f"a URL starts with https://; write {'https://…' if '@' in shown else safe}"
    scheme, authority = match[1].lower(), match[2]
    if scheme not in ("http", "https"):
        return f"a URL starts with https:// or http://, not {quoted(scheme)[1:-1]}://"
    if "@" in authority:
        return "a URL must hold no user or password; use auth: with kind: basic"
    if not authority or authority.startswith(":"):
        return "the URL names no host; write for example https://shop.example/"
    if why is not None and scheme != "https":
        return f"{why}, and secrets go over TLS only; write https://"
    if why is not None and _ANSWERED in authority:
        return f"{why}, so the host must not come from a captured value"
    try:
        parse_authority(_known(authority))
    except NameProblem as problem:
        return f"the URL cannot be called: {problem}"
    return None


def _known(authority: str) -> str:
    """What is known of host and port before the flow runs, as far as it can be judged."""
    if _GIVEN not in authority and _ANSWERED not in authority:
        return authority
    port = _PORT.search(authority)
    return "x" if port is None or {_GIVEN, _ANSWERED} & set(port[0]) else f"x{port[0]}"
