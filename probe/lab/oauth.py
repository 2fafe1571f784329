"""The other ways in which developer CLIs authenticate, on one host.

``POST /oauth/token`` (RFC 6749, RFC 7523) and ``GET /v1/me`` behind it; ``GET /basic`` (RFC 7617),
``GET /digest`` (RFC 7616), ``GET /keys`` (API keys in headers), ``POST /session`` and
``GET /session/me`` (cookie), ``POST /aws`` and ``POST /`` (Signature Version 4, the latter as AWS's
token service answers; shape and clock only). With a fixed token: ``GET /user``, ``GET /user/repos``
and ``POST /graphql``, as a code host's CLI calls them. Without any: ``GET /meta``, ``GET /health``.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote_plus

from probe.lab.gate import Gate
from probe.lab.http import Exchange, Request, Response, json_response, platform_error
from probe.lab.tokens import Mint, decode_part

CLIENT_ID = "lab-client"
CLIENT_SECRET = "lab-client-secret-31c8"  # noqa: S105 - known to nobody but the lab
FIRST_REFRESH_TOKEN = "lab-refresh-token-0"  # noqa: S105 - known to nobody but the lab
USERNAME = "lab-user"
PASSWORD = "lab-password-6e02"  # noqa: S105 - known to nobody but the lab
API_KEY = "lab-api-key-4f4f"
FIXED_TOKEN = "lab-fixed-token-c20e"  # noqa: S105 - known to nobody but the lab
AWS_ACCESS_KEY = "LABACCESSKEY00000001"
TOKEN_LIFE = 3600.0

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_REALM = "lab"
_SIGV4 = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/[^/]+/[^/]+/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), ?Signature=[0-9a-f]{64}"
)
_CLOCK_TOLERANCE = 300.0


@dataclass(slots=True)
class AuthHost:
    """One host, many doors.

    Attributes:
        now: wall time in seconds.
        refresh_token: the one that is good now; each use replaces it.
        token_life: seconds that issued tokens live; may be changed while it runs.
    """

    gate: Gate
    mint: Mint
    now: Callable[[], float]
    refresh_token: str = FIRST_REFRESH_TOKEN
    token_life: float = TOKEN_LIFE
    _nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    _session: str = field(default_factory=lambda: secrets.token_hex(16))

    async def respond(self, exchange: Exchange) -> Response:
        """Answer one request; faults on the way are raised as ``gate.Stopped``."""
        request = exchange.request
        match request.method, request.path:
            case "POST", "/oauth/token":
                await self.gate.enter("login", exchange)
                return self._grant(request)
            case "POST", "/session":
                await self.gate.enter("login", exchange)
                return self._open_session(request)
            case "GET", "/v1/me":
                return await self._behind(exchange, self._bearer_holds(request))
            case "GET", "/basic":
                return await self._behind(exchange, self._basic(request) == (USERNAME, PASSWORD))
            case "GET", "/digest":
                return await self._behind(exchange, self._digest_holds(request))
            case "GET", "/keys":
                key = request.headers.get("x-vtex-api-apptoken")
                return await self._behind(exchange, key == API_KEY)
            case "GET", "/session/me":
                cookie = f"session={self._session}"
                return await self._behind(exchange, cookie in request.headers.get("cookie", ""))
            case "POST", "/aws":
                return await self._behind(exchange, self._signed(request))
            case "POST", "/":
                return await self._caller_identity(exchange)
            case ("GET", "/user" | "/user/repos") | ("POST", "/graphql"):
                return await self._with_fixed_token(exchange)
            case "GET", "/meta" | "/health":
                await self.gate.enter("control", exchange)
                return json_response({"status": "ok"})
            case _:
                return platform_error(exchange, 404, "not_found", "no such call")

    async def _behind(self, exchange: Exchange, let_in: bool) -> Response:
        await self.gate.enter("token", exchange)
        if not let_in and not exchange.role:
            return self._challenge(exchange.request.path)
        exchange.role = exchange.role or "external"
        await self.gate.enter("authorization", exchange)
        await self.gate.enter("backend", exchange)
        return json_response({"name": USERNAME, "account": "123456789012"})

    async def _caller_identity(self, exchange: Exchange) -> Response:
        """The token service of a cloud: a refusal is a 403 there."""
        answer = await self._behind(exchange, self._signed(exchange.request))
        if answer.status != 200:
            return json_response({"Error": {"Code": "MissingAuthenticationToken"}}, 403)
        account = "123456789012"
        found = {"Account": account, "Arn": f"arn:aws:iam::{account}:user/{USERNAME}"}
        return json_response({"GetCallerIdentityResponse": {"GetCallerIdentityResult": found}})

    async def _with_fixed_token(self, exchange: Exchange) -> Response:
        """A code host's calls; GraphQL answers 200 with its errors inside."""
        request = exchange.request
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        known = scheme.lower() in ("token", "bearer") and token == FIXED_TOKEN
        answer = await self._behind(exchange, known)
        if answer.status != 200:
            return answer
        match request.path:
            case "/user":
                return json_response({"login": USERNAME})
            case "/user/repos":
                return json_response([{"name": "store-theme"}])
            case _:
                return json_response({"data": {"viewer": {"login": USERNAME}}})

    def _challenge(self, path: str) -> Response:
        offers = {
            "/basic": f'Basic realm="{_REALM}"',
            "/digest": f'Digest realm="{_REALM}", nonce="{self._nonce}", qop="auth", '
            "algorithm=SHA-256",
        }
        offer = ("WWW-Authenticate", offers.get(path, f'Bearer realm="{_REALM}"'))
        return json_response({"error": "unauthorized"}, 401, offer)

    # ------------------------------------------------------------ OAuth 2

    def _grant(self, request: Request) -> Response:
        form = request.form()
        grant = form.get("grant_type")
        if grant == _JWT_BEARER:
            if not _looks_signed(form.get("assertion", "")):
                return _refuse("invalid_grant", "the assertion is no JWT")
        elif not self._is_client(request, form):
            return _refuse("invalid_client", "no such client, or not its secret", 401)
        rotated = None
        if grant == "refresh_token":
            if form.get("refresh_token") != self.refresh_token:
                return _refuse("invalid_grant", "the refresh token was used or never issued")
            rotated = self.refresh_token = f"lab-refresh-{secrets.token_hex(8)}"
        elif grant not in ("client_credentials", _JWT_BEARER):
            return _refuse("unsupported_grant_type", f"{grant!r}")
        token = self.mint.issue(CLIENT_ID, "external", self.now(), self.token_life)
        answer: dict[str, object] = {"access_token": token, "token_type": "Bearer"}
        answer["expires_in"] = int(self.token_life)
        if rotated is not None:
            answer["refresh_token"] = rotated
        return json_response(answer, 200, ("Cache-Control", "no-store"))

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        if form.get("client_assertion_type") == _ASSERTION:
            return _looks_signed(form.get("client_assertion", ""))
        basic = self._basic(request)
        if basic is not None:  # RFC 6749, 2.3.1: both halves are form-encoded first
            return (unquote_plus(basic[0]), unquote_plus(basic[1])) == (CLIENT_ID, CLIENT_SECRET)
        shown = form.get("client_id"), form.get("client_secret", CLIENT_SECRET)
        return shown == (CLIENT_ID, CLIENT_SECRET)

    def _bearer_holds(self, request: Request) -> bool:
        token = request.headers.get("authorization", "").partition(" ")[2]
        return self.mint.read(token, self.now()) is not None

    # ------------------------------------------------------------ everything else

    def _basic(self, request: Request) -> tuple[str, str] | None:
        scheme, _, packed = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, _, word = base64.b64decode(packed).decode().partition(":")
        except ValueError:
            return None
        return name, word

    def _digest_holds(self, request: Request) -> bool:
        header = request.headers.get("authorization", "")
        if not header.lower().startswith("digest "):
            return False
        part = {name: quoted or bare for name, quoted, bare in _DIGEST_PART.findall(header)}
        if part.get("nonce") != self._nonce or part.get("username") != USERNAME:
            return False
        secret = _sha256(f"{USERNAME}:{_REALM}:{PASSWORD}")
        call = _sha256(f"{request.method}:{part.get('uri', '')}")
        middle = ":".join(part.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
        return part.get("response") == _sha256(f"{secret}:{middle}:{call}")

    def _open_session(self, request: Request) -> Response:
        shown = request.json() or request.form()
        if not isinstance(shown, dict) or shown.get("password") != PASSWORD:
            return json_response({"error": "wrong user or password"}, 401)
        cookie = f"session={self._session}; Path=/; Secure; HttpOnly; Max-Age=3600"
        return json_response({"ok": True}, 200, ("Set-Cookie", cookie))

    def _signed(self, request: Request) -> bool:
        found = _SIGV4.match(request.headers.get("authorization", ""))
        if found is None or found["key"] != AWS_ACCESS_KEY or "host" not in found["headers"]:
            return False
        try:
            stamp = datetime.strptime(request.headers.get("x-amz-date", ""), "%Y%m%dT%H%M%SZ")
        except ValueError:
            return False
        seconds = stamp.replace(tzinfo=UTC).timestamp()
        return abs(seconds - self.now()) <= _CLOCK_TOLERANCE


_DIGEST_PART = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _looks_signed(token: str) -> bool:
    """Three parts, a head with an algorithm, claims with an end."""
    parts = token.split(".")
    if len(parts) != 3 or not parts[2]:
        return False
    head, claims = decode_part(parts[0]), decode_part(parts[1])
    return isinstance(head, dict) and "alg" in head and isinstance(claims, dict) and "exp" in claims


def _refuse(error: str, why: str, status: int = 400) -> Response:
    return json_response({"error": error, "error_description": why}, status)
