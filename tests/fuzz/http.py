"""Answers of HTTP servers, through ``FlowProber.run`` and a server on loopback.

The first byte chooses the flow, the second how the connection is read and whether the run is
repeated with the tokens of the first. Most connections carry the fuzzer's bytes as if TLS were
round them: handshakes take time, and what TLS may present is fuzzed with the chains.
"""

from __future__ import annotations

import base64
import gzip
from dataclasses import replace

import h2.config
import h2.connection

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.http.http2 import Http2
from probe.http.session import Connection, Dialler, Progress, SessionOptions
from probe.http.url import Origin
from probe.model.auth import (
    Auth,
    BasicAuth,
    BearerAuth,
    CookieAuth,
    DigestAuth,
    JsonLoginAuth,
    OAuth2,
)
from probe.model.flow import (
    ApiCheck,
    Capture,
    Expect,
    HeaderExpectation,
    Persona,
    RequestTemplate,
    Step,
)
from probe.model.result import FlowResult
from probe.model.secret import Secret, SecretRef
from probe.model.target import Edge, FlowKey, Resolution
from probe.model.target import Target as ProbeTarget
from probe.probers.flow import FlowProber
from tests.fuzz import http_mutation
from tests.fuzz.loopback import Loopback
from tests.fuzz.target import SEPARATOR, Target, in_virtual_time, judge

_SERVER = Loopback()
_AT = 1_780_000_000.0
_URL = "https://api.example"
_KEY = FlowKey("flow", "shop.example", "live", "someone")
_SECRET = SecretRef("env", "SECRET")


def _flow(auth: Auth | None, *, deny: bool = False) -> ApiCheck:
    """A flow that looks at everything that an answer can have."""
    expect = Expect(
        status=("2xx", "304"),
        headers=(HeaderExpectation("content-type", "json|text"),),
        json=("length(@) > `0`", "items[0].id"),
        contains=("{target.name}",),
        matches=("shop|store",),
        not_matches=("(error|fault)+$",),
        max_size=60_000,
    )
    captures = (
        Capture("id", "json", "items[0].id"),
        Capture("tag", "header", "etag", secret=True),
        Capture("sid", "cookie", "sid"),
        Capture("word", "regex", "(sh[a-z]+)"),
        Capture("link", "json", "next"),
    )
    used = {"X-Tag": "{tag}", "X-Word": "{word}", "Cookie": "sid={sid}"}
    name = None if auth is None else "main"
    first = RequestTemplate("GET", f"{_URL}/items", query={"q": "{target}"}, follow_redirects=3)
    second = RequestTemplate(
        "POST", f"{_URL}/items/{{id}}", headers=used, json={"a": ["{id}", "{word}"]}
    )
    steps: tuple[Step, ...] = (
        Step("list", "backend", first, expect, captures, auth=name, attempts=1 if name else 2),
        Step("put", "backend", second, auth=name),
        Step("next", "backend", RequestTemplate("GET", "{link}", follow_redirects=1), auth=None),
    )
    if deny:
        request = RequestTemplate("GET", f"{_URL}/other")
        steps = (*steps[:1], Step("other", "authorization", request, auth=name, deny=True))
    else:
        clean = RequestTemplate("DELETE", f"{_URL}/{{tag}}")
        steps = (*steps, Step("clean", "backend", clean, auth=name, cleanup=True))
    return ApiCheck(
        "flow",
        steps,
        auth={} if auth is None else {"main": auth},
        timeout=8.0,
        flow_timeout=40.0,
        max_body=65_536,
        evidence_headers=("x-trace",),
        instance_headers=("x-instance",),
        run_id_header="X-Run",
    )


_TOKEN = f"{_URL}/token"
_FLOWS = (
    _flow(None),
    _flow(OAuth2("client_credentials", _TOKEN, "me", _SECRET), deny=True),
    _flow(OAuth2("refresh_token", _TOKEN, "me", client_auth="none", refresh_token=_SECRET)),
    _flow(JsonLoginAuth(_TOKEN, {"key": _SECRET}, "token", "ok", "refused", "until", "left")),
    _flow(CookieAuth(_TOKEN, "sid", form={"password": _SECRET})),
    _flow(DigestAuth("me", _SECRET)),
    _flow(BasicAuth("me", _SECRET), deny=True),
    _flow(BearerAuth(token=_SECRET)),
)


class _Plain(Dialler):
    """Opens connections as ever, and takes https for http, so that all bytes are the fuzzer's."""

    async def dial(
        self, origin: Origin, edge: Edge, progress: Progress, options: SessionOptions
    ) -> Connection:
        return await super().dial(replace(origin, scheme="http"), edge, progress, options)


class _Plain2(_Plain):
    """The same for HTTP/2."""

    async def dial(
        self, origin: Origin, edge: Edge, progress: Progress, options: SessionOptions
    ) -> Connection:
        return Http2((await super().dial(origin, edge, progress, options)).channel)


def _wall() -> float:
    return _AT


def _read(_ref: SecretRef) -> Secret:
    return Secret("s3cr3t")


_CONTEXTS = TlsContexts(_read)


async def _resolve(_host: str, _port: int) -> Resolution:
    return Resolution((Edge("127.0.0.1", _SERVER.port, written=True),))


def run(data: bytes) -> None:
    """Run a flow once, or twice with what the first run kept."""
    judge(in_virtual_time(_run, data, patience=0.001))


async def _run(data: bytes) -> list[FlowResult]:
    which, how = (data + b"\0\0")[:2]
    check = _FLOWS[which % len(_FLOWS)]
    prober = FlowProber(_CONTEXTS, Judge(), _read, _wall, ids=lambda size: "0" * (2 * size))
    if not how & 8:
        plain = _Plain2 if how & 1 else _Plain
        # The network is replaced below everything else, for which the product has no seam.
        prober._dialler = plain(_CONTEXTS, prober.judge, _wall)  # noqa: SLF001 - see above
    persona = Persona("someone", expect_denied=("put",) if how & 2 else ())
    target = ProbeTarget("shop.example")
    async with _SERVER.answering(data[2:].split(SEPARATOR)):
        return [
            await prober.run(_KEY, check, target, persona, resolve=_resolve)
            for _ in range(1 + (how >> 2 & 1))
        ]


# ---------------------------------------------------------------- seeds

_BODY = b'{"items": [{"id": "shop 1"}], "next": "https://api.example/2", "e": "shop.example"}'


def _one(status: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _http2(*headers: tuple[str, str], body: bytes = b"", stream: int = 1) -> bytes:
    """All that a server says until its answer to the first request is whole."""
    client = h2.connection.H2Connection()
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    client.initiate_connection()
    names = (("method", "GET"), ("path", "/"), ("scheme", "http"), ("authority", "a"))
    client.send_headers(stream, [(f":{name}", text) for name, text in names], end_stream=True)
    server.initiate_connection()
    server.receive_data(client.data_to_send())
    server.send_headers(stream, [(":status", "200"), *headers], end_stream=not body)
    if body:
        server.send_data(stream, body, end_stream=True)
    return server.data_to_send()


def seeds() -> list[bytes]:
    """Good and bad answers of both versions, for every flow."""
    headers = ("Content-Type: application/json", 'ETag: "v1"', "Set-Cookie: sid=abc; Path=/")
    good = _one("200 OK", *headers, "X-Instance: a1", body=_BODY)
    token = _one("200 OK", body=b'{"access_token": "t", "token_type": "Bearer", "expires_in": 60}')
    claims = base64.urlsafe_b64encode(b'{"exp": 1780000100, "iat": 1.5e9}').decode().rstrip("=")
    jwt = _one(
        "200 OK",
        "Date: Thu, 28 May 2026 20:26:40 GMT",
        "Age: 1",
        body=b'{"access_token": "e30.%s.x", "refresh_token": "r2", "expires_in": "60"}'
        % claims.encode(),
    )
    cookie = _one(
        "200 OK",
        "Set-Cookie: sid=abc; Expires=Thu, 28 May 2026 21:26:40 GMT; Max-Age=60; Secure",
        "Content-Encoding: gzip",
        body=gzip.compress(_BODY, mtime=0),
    )
    login = _one("200 OK", body=b'{"ok": true, "token": "t", "until": 1780000100, "left": "60"}')
    refused = _one("401 No", 'WWW-Authenticate: Bearer error="invalid_token"', body=b"{}")
    challenge = (
        'WWW-Authenticate: Digest realm="o", nonce="n", algorithm=SHA-512-256, Basic realm="b", '
        'Digest realm="a\\"b", nonce="n", qop="auth", algorithm=SHA-256, stale=true'
    )
    later = _one("503 No", "Retry-After: 2", "Age: 3", "Date: Thu, 01 Jan 2026 00:00:00 GMT")
    moved = _one("302 Moved", "Location: /elsewhere?x=%41", "Set-Cookie: sid=xyz; Max-Age=60")
    chunked = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=latin-1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n4;a=b\r\nshop\r\n0\r\nX-Last: 1\r\n\r\n"
    )
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + good
    two = _http2(
        ("content-type", "application/json"), ("etag", "v1"), ("set-cookie", "sid=a"), body=_BODY
    )
    plain: list[list[bytes]] = [
        [good] * 5,
        [good, later, moved, good],
        [moved, _one("301 Moved", "Location: https://other.example/"), good],
        [chunked, early, b"HTTP/1.0 200 OK\r\n\r\nshop.example"],
        [_one("407 Proxy", "Content-Encoding: gzip", body=b"\x1f\x8b"), refused],
    ]
    found = [b"\0\0" + SEPARATOR.join(one) for one in plain]
    found += [bytes([flow, 4]) + SEPARATOR.join([token, good, refused, token, good, good])
              for flow in (1, 2)]  # fmt: skip
    found += [bytes([flow, 4]) + SEPARATOR.join([jwt, cookie, good]) for flow in (1, 2)]
    found += [b"\x04\x04" + SEPARATOR.join([cookie, good, cookie])]
    found += [b"\x01\0" + _one("400 Bad", body=b'{"error": "invalid_client"}')]
    found += [b"\x03\x04" + SEPARATOR.join([login, good, refused, login, good])]
    found += [b"\x04\x04" + SEPARATOR.join([moved, good, good, good])]
    found += [b"\x05\0" + SEPARATOR.join([_one("401 No", challenge), good, good, good])]
    found += [b"\x06\x02" + SEPARATOR.join([good, _one("403 No", body=b"<html>"), good])]
    found += [b"\0\x01" + SEPARATOR.join([two, two, two]), b"\x07\x01" + two]
    return found


def words() -> list[bytes]:
    """Names of headers that are read, and texts that mean something in answers."""
    texts = (
        "Digest Bearer chunked gzip charset= expires_in access_token error nonce= \\ud800 xn-- //["
    )
    odd = [
        SEPARATOR,
        b"\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 ",
        *http_mutation.HEADERS,
        *http_mutation.ODD,
    ]
    return [one for one in (*odd, *(text.encode() for text in texts.split())) if one]


TARGET = Target(run, seeds, words, mutate=http_mutation.mutate)
