"""What a person needs to see of a failed call: redacted, bounded, and ready to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from probe.flow.redact import Redactor
from probe.http.request import Request
from probe.http.response import Response
from probe.http.url import origin_of, parsed
from probe.model.failure import Failure
from probe.model.result import Evidence
from probe.model.target import Edge, endpoint
from probe.model.tls import Trust

BODY_SHOWN = 512
_LOOKED_AT = 8192  # of the body, before redaction: it may shrink the text
_HEADER_SHOWN = 200
_DETAIL_SHOWN = 400
_DATA_SHOWN = 4096
WITHHELD = "(withheld: the answer may hold a token that nobody recognised)"
_CURL_ADDS = frozenset({"content-length", "accept-encoding", "traceparent"})


@dataclass(frozen=True, slots=True)
class CurlTerms:
    """What a run's curl commands have in common.

    Attributes:
        skip: header names that are left out beside those that curl writes itself.
        client_certificate: whether one is presented.
        groups: key exchange groups; empty for the library's own choice.
    """

    trust: Trust
    http2: bool
    skip: frozenset[str] = frozenset()
    client_certificate: bool = False
    groups: tuple[str, ...] = ()


def headers_of(
    answer: Response | None, listed: tuple[str, ...], redactor: Redactor
) -> Mapping[str, str]:
    """The listed response headers that are there, redacted."""
    if answer is None or not listed:
        return MappingProxyType({})
    for line in answer.all("set-cookie"):
        redactor.add(line.partition(";")[0].partition("=")[2], "COOKIE")
    found = {name.lower(): ", ".join(answer.all(name)) for name in listed}
    return MappingProxyType(
        {name: clip(redactor.redact_foreign(v), _HEADER_SHOWN) for name, v in found.items() if v}
    )


def of_call(
    draft: Request,
    answer: Response | None,
    *,
    listed: tuple[str, ...],
    redactor: Redactor,
    trace_id: str,
    command: str = "",
    body: bool,
    redirects: int | None = None,
) -> Evidence:
    """Evidence of one call; ``body`` and ``command`` are wanted for failures only."""
    shown = ""
    if body and answer is not None:
        shown = clip(redactor.redact_foreign(answer.text[:_LOOKED_AT]), BODY_SHOWN)
    return Evidence(
        request=redactor.redact(f"{draft.method} {draft.url}"),
        status=None if answer is None else answer.status,
        headers=headers_of(answer, listed, redactor),
        body=shown,
        command=command,
        trace_id=trace_id,
        http_version=None if answer is None else _VERSIONS.get(answer.version),
        content_length=None if answer is None else _announced(answer),
        body_size=None if answer is None else len(answer.body),
        redirects=redirects,
    )


_VERSIONS = {"HTTP/1.0": 1.0, "HTTP/1.1": 1.1, "HTTP/2": 2.0}


def _announced(answer: Response) -> int:
    """The length that the response announced, -1 when it announced none that is one."""
    length = answer.header("content-length") or ""
    return int(length) if length.isascii() and length.isdecimal() and len(length) < 19 else -1


def curl(
    draft: Request,
    edge: Edge | None,
    *,
    terms: CurlTerms,
    redactor: Redactor,
    options: tuple[str, ...] = (),
    hides: tuple[str, ...] = (),
    seconds: float,
) -> str:
    """A command that repeats the call, secrets as shell variables.

    Args:
        draft: what was sent.
        edge: where to; pinned with ``--connect-to``, so that SNI and Host stay.
        terms: of the run.
        redactor: knows the secrets.
        options: of the signer, instead of the headers it ``hides``.
        hides: lower-case names.
        seconds: the step's time-out.
    """
    words = ["curl", "-sS", "-i", "--max-time", f"{seconds:g}"]
    words.append("--http2" if terms.http2 else "--http1.1")
    if terms.groups:
        words += ["--curves", ":".join(terms.groups)]
    if terms.trust.kind == "file" and terms.trust.file:
        words += ["--cacert", redactor.shell(terms.trust.file)]
    if terms.client_certificate:
        words += ["--cert", '"$CLIENT_CERTIFICATE"', "--key", '"$CLIENT_KEY"']
    if edge is not None:
        origin = origin_of(parsed(draft.url))
        words += [
            "--connect-to",
            redactor.shell(f"{endpoint(origin.host, origin.port)}:{edge.label}"),
        ]
    if draft.method != ("POST" if draft.body else "GET"):
        words += ["-I"] if draft.method == "HEAD" else ["-X", draft.method]
    words += [redactor.shell(option) for option in options]
    left_out = _CURL_ADDS | terms.skip | set(hides)
    if draft.header("host") in {None, parsed(draft.url).netloc.decode()}:
        left_out |= {"host"}
    for name, value in draft.headers:
        if name.lower() not in left_out:
            words += ["-H", redactor.shell(f"{name}: {value}")]
    if draft.header("accept-encoding") is not None:
        words.append("--compressed")
    if draft.body:
        words += _data(draft.body, redactor)
    words.append(redactor.shell(draft.url))
    return " ".join(words)


def _data(body: bytes, redactor: Redactor) -> list[str]:
    if len(body) > _DATA_SHOWN:
        return ["--data-binary", "@body"]
    return ["--data-raw", redactor.shell(body.decode("utf-8", "replace"))]


def clean(failure: Failure, redactor: Redactor) -> Failure:
    """The failure with its detail redacted and bounded."""
    return Failure(
        failure.phase, failure.reason, clip(redactor.redact(failure.detail), _DETAIL_SHOWN)
    )


def clip(text: str, most: int) -> str:
    """The text on its own, not endless, without control characters but line ends and tabs."""
    shown = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in shown
    )
