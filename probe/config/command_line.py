"""A configuration made of names and URLs on a command line: ``probe check shop.example``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from probe.config.loading import load_text
from probe.documents.problem import DocumentError
from probe.model.spec import LIVE, Spec
from probe.net.names import NameProblem, parse_address, parse_target, quoted

_GIVEN = "given"


class CommandLineProblem(Exception):
    """What was given cannot be probed; says which word and what to write instead."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to probe without a configuration file.

    Attributes:
        names: domains, addresses, each with a port where it is not 443; or http and https URLs.
        addresses: of the edges to ask; empty asks those that DNS gives.
        profiles: kinds of clients; empty uses the default one.
        trust_file: PEM file of roots; empty trusts Mozilla's.
        sni: sent and judged in place of each name; empty sends the name.
        timeout: of one attempt, as configuration files write it.
    """

    names: Sequence[str]
    addresses: Sequence[str] = ()
    profiles: Sequence[str] = ()
    trust_file: str = ""
    sni: str = ""
    timeout: str = ""


def spec_of(asked: Asked, *, region: str | None, environ: Mapping[str, str]) -> Spec:
    """The checks that look at all of it: handshakes for each name, and a GET for each URL.

    Raises:
        CommandLineProblem: a word means nothing, or the roots cannot be read.
    """
    handshakes: dict[str, None] = {}
    calls: dict[str, list[str]] = defaultdict(list)
    for name in asked.names:
        if "://" not in name:
            handshakes[_target(name)] = None
            continue
        scheme, target, rest = _split_url(name)
        calls[f"{scheme}://{{target}}{rest}"].append(target)
        if scheme == "https":
            handshakes[target] = None
    shared: dict[str, Any] = {"providers": [_GIVEN if asked.addresses else LIVE]}
    if asked.trust_file:
        shared["trust"] = {"file": asked.trust_file}
    if asked.timeout:
        shared["timeout"] = asked.timeout
    checks: list[dict[str, Any]] = []
    if handshakes:
        tls = {"name": "tls", "kind": "tls", "targets": list(handshakes), **shared}
        tls |= {"profiles": list(asked.profiles)} if asked.profiles else {}
        checks.append(tls | ({"sni": asked.sni} if asked.sni else {}))
    for number, (url, targets) in enumerate(calls.items(), start=1):
        step = {"name": "get", "layer": "edge", "get": url}
        name = "url" if len(calls) == 1 else f"url-{number}"
        checks.append({"name": name, "kind": "api", "targets": targets, "steps": [step], **shared})
    text = json.dumps({"providers": _providers(asked.addresses), "checks": checks})
    try:
        return load_text(text, "", region=region, environ=environ)
    except DocumentError as error:  # places in a text that nobody wrote say nothing
        problems = dict.fromkeys(problem.message for problem in error.problems)
        raise CommandLineProblem("\n".join(problems)) from None


def _providers(addresses: Sequence[str]) -> Mapping[str, Any]:
    for address in addresses:
        try:
            parse_address(address)
        except NameProblem as problem:
            raise CommandLineProblem(f"--address: {problem}") from None
    return {_GIVEN: {"addresses": list(addresses)}} if addresses else {}


def _target(name: str) -> str:
    try:
        return parse_target(name).label
    except NameProblem as problem:
        raise CommandLineProblem(str(problem)) from None


def _split_url(url: str) -> tuple[str, str, str]:
    """Scheme, host with port, and the rest as a template."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise CommandLineProblem(f"{quoted(url)} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise CommandLineProblem(f"{quoted(url)} is not an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise CommandLineProblem(
            "a URL on the command line must contain no user or password, because everyone on "
            "the host can read it; write a check with auth: in a configuration file"
        )
    host = f"[{host}]" if ":" in host else host
    rest = parts.path or "/"
    rest += f"?{parts.query}" if parts.query else ""
    return (
        parts.scheme,
        _target(f"{host}:{port}" if port else host),
        (rest.replace("{", "{{").replace("}", "}}")),
    )
