"""What a person needs to see of a step: redacted, bounded, and ready to repeat."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import MappingProxyType

from probe.auth.signers import Signer
from probe.connection.choices import left_out, matter_for, named, told
from probe.connection.contexts import offer
from probe.flow.call import Exchange
from probe.flow.command import NotDone, Program, Ran
from probe.flow.redact import PLACEHOLDER, clip
from probe.flow.run import FlowRun
from probe.http.messages import Broken, Response
from probe.http.url import LONGEST_COOKIE, MOST_COOKIES, origin_of, parsed
from probe.model.auth import carries_credential
from probe.model.flow import ApiCheck
from probe.model.result import Evidence
from probe.model.target import endpoint
from probe.model.tls import ClientProfile

_BODY_SHOWN = 512
_LOOKED_AT = 8192  # of the body, for secrets: what is shown may be withheld for what is not
_HEADER_SHOWN = 200
_HEADER_LOOKED_AT = 1024
_DATA_SHOWN = 4096
WITHHELD = "(withheld: the answer may hold a token that nobody recognised)"
_CURL_ADDS = frozenset({"content-length", "accept-encoding", "traceparent"})
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_VERSIONS = {"HTTP/1.0": 1.0, "HTTP/1.1": 1.1, "HTTP/2": 2.0}


def of_exchange(
    run: FlowRun,
    exchange: Exchange,
    *,
    listed: tuple[str, ...],
    bad: bool,
    withheld: bool,
    signer: Signer | None = None,
    seconds: float | None = None,
) -> Evidence:
    """Gather the evidence of a call.

    Args:
        run: knows the secrets.
        exchange: the call.
        listed: response headers that are wanted.
        bad: whether it failed: body and command are wanted then only.
        withheld: whether the body may hold a secret that nobody knows.
        signer: what signed the request.
        seconds: the step's time-out; None for the check's.
    """
    made, response = exchange.request, exchange.response
    request = run.redactor.redact(f"{made.method} {made.url}")
    command = _curl(run, exchange, signer, seconds) if bad else ""
    if response is None:
        return Evidence(request, command=command, trace_id=run.run_id, redirects=exchange.redirects)
    body = ""
    if bad and response.body:
        body = WITHHELD if withheld else _shown(run, response.beginning(_LOOKED_AT))
    return Evidence(
        request=request,
        status=response.status,
        headers=_headers(run, response, listed) if listed else _NO_HEADERS,
        body=body,
        command=command,
        trace_id=run.run_id,
        http_version=_VERSIONS.get(response.version),
        content_length=_announced(response),
        body_size=len(response.body),
        redirects=exchange.redirects,
    )


def of_program(run: FlowRun, program: Program, ended: Ran | NotDone, *, bad: bool) -> Evidence:
    """Gather the evidence of a program; what it wrote and a command for failures only."""
    redactor = run.redactor
    body = line = ""
    if bad:
        # What a program says on stderr is usually why it failed, so it comes first.
        wrote = (one.decode("utf-8", "replace") for one in (ended.stderr, ended.stdout))
        body = _shown(run, "\n".join(part for text in wrote if (part := text.strip())))
        own = [f"{name}={redactor.shell(value)}" for name, value in program.environment.items()]
        words = [redactor.shell(argument) for argument in program.arguments]
        line = redactor.whole(" ".join((["env", *own] if own else []) + words))
    return Evidence(
        request=redactor.redact(shlex.join(program.arguments)),
        status=ended.code if isinstance(ended, Ran) else None,
        body=body,
        command=line,
        trace_id=run.run_id,
    )


def _shown(run: FlowRun, text: str) -> str:
    """Return the start of what a server or program wrote, or why it is withheld."""
    start = run.redactor.redact_foreign(text[:_LOOKED_AT])
    return clip(start, _BODY_SHOWN)


def _headers(run: FlowRun, response: Response, listed: tuple[str, ...]) -> Mapping[str, str]:
    """Return the listed response headers that are there, redacted; none beside odd cookies."""
    redactor, cookies = run.redactor, response.all("set-cookie")
    if len(cookies) > MOST_COOKIES or any(len(one) > LONGEST_COOKIE for one in cookies):
        return _NO_HEADERS  # any of them may stand in another header
    shown = []
    for line in cookies:
        pair, semicolon, rest = line.partition(";")
        name, _, value = pair.partition("=")
        redactor.add_cookie(value.strip())
        shown.append(f"{name}={PLACEHOLDER}{semicolon}{rest}")
    found = {
        name.lower(): ", ".join(shown if name.lower() == "set-cookie" else response.all(name))
        for name in listed
        if not carries_credential(name)
    }
    return MappingProxyType(
        {
            name: clip(redactor.redact_foreign(value[:_HEADER_LOOKED_AT]), _HEADER_SHOWN)
            for name, value in found.items()
            if value
        }
    )


def _announced(response: Response) -> int:
    """Return the length in bytes that the response announced, -1 when it announced no number."""
    length = response.header("content-length") or ""
    return int(length) if length.isascii() and length.isdecimal() and len(length) < 19 else -1


def _curl(run: FlowRun, exchange: Exchange, signer: Signer | None, seconds: float | None) -> str:
    """Write a command that repeats a call: its edge pinned, its secrets as shell variables.

    ``--connect-to`` leaves SNI and Host as they are.
    """
    check, request, shell = run.check, exchange.request, run.redactor.shell
    words = [
        "curl",
        "-sS",
        "-i",
        "--max-time",
        f"{check.timeout if seconds is None else seconds:g}",
    ]
    words.append("--http2" if check.http2 else "--http1.1")
    note, choices = _tls_choices(check, exchange)
    words += choices
    if check.trust.kind == "file" and check.trust.file:
        words += ["--cacert", shell(check.trust.file)]
    if check.client_certificate is not None:
        words += ["--cert", '"$CLIENT_CERTIFICATE"', "--key", '"$CLIENT_KEY"']
    edge = exchange.call.facts.edge
    if edge is not None:
        origin = origin_of(parsed(request.url))
        words += ["--connect-to", shell(f"{endpoint(origin.host, origin.port)}:{edge.label}")]
    if request.method != ("POST" if request.body else "GET"):
        words += ["-I"] if request.method == "HEAD" else ["-X", request.method]
    left_out = {*_CURL_ADDS, (check.run_id_header or "").lower()}
    if signer is not None:
        words += map(shell, signer.curl)
        left_out.update(signer.hides)
    if request.header("host") in {None, parsed(request.url).netloc.decode()}:
        left_out.add("host")
    for name, value in request.headers:
        if name.lower() not in left_out:
            words += ["-H", shell(f"{name}: {value}")]
    if request.header("accept-encoding") is not None:
        words.append("--compressed")
    if len(request.body) > _DATA_SHOWN:
        words += ["--data-binary", "@body"]
    elif request.body:
        words += ["--data-raw", shell(request.body.decode("utf-8", "replace"))]
    words.append(shell(request.url))
    return run.redactor.whole(note + " ".join(words))


def _tls_choices(check: ApiCheck, exchange: Exchange) -> tuple[str, list[str]]:
    """What the handshake offered, where it matters for the failure; and what curl cannot offer."""
    words = ["--curves", ":".join(named(check.groups))] if check.groups else []
    if not (isinstance(exchange.call, Broken) and matter_for(exchange.call.failure)):
        return "", words
    offered = offer(ClientProfile(groups=check.groups, client_certificate=check.client_certificate))
    words += ["--tlsv1.2", "--tls-max", "1.3"]
    words += ["--ciphers", offered.ciphers, "--tls13-ciphers", offered.suites]
    notes = [left_out(offered)]
    if offered.signatures:
        notes.append(f"From curl 8.14 on, add: --sigalgs {':'.join(offered.signatures)}")
    return told(". ".join(filter(None, notes))), words
