"""Credentials that need no login of their own, as servers see them."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from probe.auth.signatures import sign_aws
from probe.http.messages import Request
from probe.model.auth import Auth, BasicAuth, BearerAuth, CookieAuth, DigestAuth, HeaderAuth, SigV4
from probe.model.failure import Phase, Reason
from probe.model.flow import ApiCheck, Capture, RequestTemplate, Step
from probe.model.result import Failed, Inconclusive, Missing, Passed, Skipped
from probe.model.secret import SecretRef
from tests.support.http_server import Ca, Http, Reply, Route, Seen, at, serve

from .conftest import Bench

URL = "https://api.example"
ME = Step("me", "authorization", RequestTemplate("GET", URL + "/me?x=1"), auth="cli")


def check_of(auth: Auth, *steps: Step) -> ApiCheck:
    return ApiCheck("flow", steps or (ME,), auth={"cli": auth}, timeout=2.0)


async def sent(ca: Ca, bench: Bench, auth: Auth) -> Seen:
    http = Http({"/me": Reply(200)})
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check_of(auth), at(server.port))
    assert result.outcome == Passed()
    return http.seen[0]


@pytest.mark.parametrize(
    ("scheme", "header", "name", "value"),
    [
        ("Bearer", "Authorization", "authorization", "Bearer tok-secret"),
        ("token", "Authorization", "authorization", "token tok-secret"),
        ("FlyV1", "Authorization", "authorization", "FlyV1 tok-secret"),
        ("", "X-Token", "x-token", "tok-secret"),
    ],
)
async def test_bearer(
    ca: Ca, bench: Bench, scheme: str, header: str, name: str, value: str
) -> None:
    auth = BearerAuth(bench.secret("T", "tok-secret"), scheme=scheme, header=header)
    assert (await sent(ca, bench, auth)).headers[name] == value


async def test_a_bearer_out_of_a_capture(ca: Ca, bench: Bench) -> None:
    http = Http({"/login": Reply(200, {"t": "cap-secret"}), "/me": Reply(200), "/none": Reply(500)})
    login = Step("login", "login", RequestTemplate("GET", URL + "/login"),
                 captures=(Capture("token", "json", "t", secret=True),))  # fmt: skip
    auth = BearerAuth(capture="token")
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check_of(auth, login, ME), at(server.port))
        assert result.outcome == Passed()
        assert http.seen[1].headers["authorization"] == "Bearer cap-secret"
        login = replace(login, request=RequestTemplate("GET", URL + "/none"))
        result = await bench.run(check_of(auth, login, ME), at(server.port))
    assert result.steps[1].outcome == Skipped(Missing("token"))


async def test_basic(ca: Ca, bench: Bench) -> None:
    for name in ("us\u00e9r", bench.secret("U", "us\u00e9r")):
        seen = await sent(ca, bench, BasicAuth(name, bench.secret("P", "pass:w\u00f6rd")))
        coded = seen.headers["authorization"].removeprefix("Basic ")
        assert base64.b64decode(coded).decode() == "us\u00e9r:pass:w\u00f6rd"


async def test_an_empty_password_is_one(ca: Ca, bench: Bench) -> None:
    """A key as the user and nothing else: ``curl -u KEY:``."""
    seen = await sent(ca, bench, BasicAuth(bench.secret("U", "sk_key"), ""))
    assert base64.b64decode(seen.headers["authorization"].removeprefix("Basic ")) == b"sk_key:"


async def test_api_keys(ca: Ca, bench: Bench) -> None:
    keys = {"X-App-Key": bench.secret("K", "key-secret"), "X-App-Token": bench.secret("T", "tok")}
    seen = await sent(ca, bench, HeaderAuth(keys))
    assert (seen.headers["x-app-key"], seen.headers["x-app-token"]) == ("key-secret", "tok")


# ------------------------------------------------------------------ digest


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - Digest's own algorithm


def digest_route(algorithm: str, hasher: str) -> Route:
    def route(seen: Seen) -> Reply:
        said = seen.headers.get("authorization")
        if said is None:
            challenge = (
                f'Digest realm="r", nonce="n0", qop="auth", algorithm={algorithm}, opaque="o"'
            )
            return Reply(401, headers=(("WWW-Authenticate", challenge),))
        field = dict(re.findall(r'(\w+)="?([^",]*)"?', said.removeprefix("Digest ")))

        def h(text: str) -> str:
            return hashlib.new(hasher, text.encode()).hexdigest()

        one, two = h("user:r:digest-secret"), h(f"GET:{seen.target}")
        wanted = h(f"{one}:n0:{field['nc']}:{field['cnonce']}:auth:{two}")
        good = field["response"] == wanted and field["uri"] == seen.target
        return Reply(200 if good else 403)

    return route


@pytest.mark.parametrize(("algorithm", "hasher"), [("MD5", "md5"), ("SHA-256", "sha256")])
async def test_digest_meets_the_challenge(
    ca: Ca, bench: Bench, algorithm: str, hasher: str
) -> None:
    http = Http({"/me": digest_route(algorithm, hasher)})
    auth = DigestAuth("user", bench.secret("P", "digest-secret"))
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check_of(auth), at(server.port))
    assert result.outcome == Passed()
    assert result.steps[0].attempts == 2


MD5 = 'Digest realm="r, Digest x", nonce="n0", qop="auth,auth-int", opaque="o"'


@pytest.mark.parametrize(
    "headers",
    [
        [f'Basic realm="r", {MD5}'],
        [f'{MD5}, Basic realm="r"'],
        [f'Negotiate, NTLM abc==, {MD5}, Bearer scope = "a, b"'],
        ['Digest realm="r", nonce="x", algorithm=SHA-512-256', MD5],
        [f'Digest realm="r", nonce="x", algorithm="SHA-512-256-sess", {MD5}, algorithm=md5'],
        ['Basic realm="r"', MD5],
        [MD5, 'Digest realm="r", nonce="x", algorithm=SHA-256'],
    ],
)
async def test_the_first_challenge_that_can_be_met_is(
    ca: Ca, bench: Bench, headers: list[str]
) -> None:
    """One header may hold several challenges, and servers name the strongest first."""

    def route(seen: Seen) -> Reply:
        said = seen.headers.get("authorization")
        if said is None:
            return Reply(401, headers=tuple(("WWW-Authenticate", one) for one in headers))
        field = dict(re.findall(r'(\w+)=(?:"([^"]*)"|[^",]*)', said.removeprefix("Digest ")))
        rest = dict(re.findall(r"(nc|algorithm)=([^,]*)", said))
        one, two = md5("user:r, Digest x:digest-secret"), md5(f"GET:{seen.target}")
        wanted = md5(f"{one}:n0:{rest['nc']}:{field['cnonce']}:auth:{two}")
        return Reply(200 if field["response"] == wanted else 403)

    http = Http({"/me": route})
    auth = DigestAuth("user", bench.secret("P", "digest-secret"))
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check_of(auth), at(server.port))
    assert result.outcome == Passed()


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="r"',
        'Digest realm="r", nonce="n", algorithm=ROT13',
        'Digest realm="r", nonce="n", qop="auth-int"',
        "Digest nonsense",
    ],
)
async def test_a_challenge_that_cannot_be_met_has_a_reason(
    ca: Ca, bench: Bench, challenge: str
) -> None:
    http = Http({"/me": Reply(401, headers=(("WWW-Authenticate", challenge),))})
    auth = DigestAuth("user", bench.secret("P", "digest-secret"))
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check_of(auth), at(server.port))
    assert isinstance(result.outcome, Failed)
    failure = result.outcome.failure
    assert (failure.phase, failure.reason) == (Phase.AUTH, Reason.MALFORMED)


async def test_a_401_without_a_digest_challenge_is_the_answer(ca: Ca, bench: Bench) -> None:
    http = Http({"/me": Reply(401, headers=(("WWW-Authenticate", 'Basic realm="r"'),))})
    auth = DigestAuth("user", bench.secret("P", "digest-secret"))
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check_of(auth), at(server.port))
    assert isinstance(result.outcome, Failed)
    assert result.outcome.failure.reason is Reason.STATUS
    assert len(http.seen) == 1


# ------------------------------------------------------------------ cookie


async def test_a_cookie_login_is_kept_and_its_cookie_sent(ca: Ca, bench: Bench) -> None:
    line = ("Set-Cookie", "session=ck-secret; Path=/; Max-Age=600; HttpOnly")
    http = Http({"POST /in": Reply(302, headers=(line, ("Location", "/home"))), "/me": Reply(200)})
    form: dict[str, str | SecretRef] = {
        "user": "{target}",
        "password": bench.secret("P", "pw-secret"),
    }
    auth = CookieAuth(URL + "/in", "session", form=form)
    own = replace(ME, request=RequestTemplate("GET", URL + "/me", {"Cookie": "theme=dark"}))
    async with serve(ca.context("api.example"), http) as server:
        first = await bench.run(check_of(auth, ME, own), at(server.port))
        second = await bench.run(check_of(auth), at(server.port))
    assert first.outcome == second.outcome == Passed()
    assert http.seen[0].body == b"user=flow&password=pw-secret"
    assert [one.headers.get("cookie") for one in http.seen] == [
        None,
        "session=ck-secret",
        "theme=dark; session=ck-secret",
        "session=ck-secret",
    ]
    assert first.token_expires_at == pytest.approx(time.time() + 600, abs=30)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(200), Reason.LOGIN_FAILED),
        (Reply(401), Reason.CREDENTIALS_REFUSED),
        (Reply(403), Reason.CREDENTIALS_REFUSED),
        (Reply(500), Reason.LOGIN_FAILED),
        (Reply(404), Reason.LOGIN_FAILED),
        (Reply(200, headers=(("Set-Cookie", "session=; Max-Age=0"),)), Reason.LOGIN_FAILED),
        (Reply(200, headers=(("Set-Cookie", "session=x; Max-Age=0"),)), Reason.TOKEN_EXPIRED),
        (Reply(200, headers=(("Set-Cookie", f"session=x; Expires={formatdate(1)}"),)),
            Reason.TOKEN_EXPIRED),
    ],
)  # fmt: skip
async def test_every_failure_of_a_cookie_login_has_its_reason(
    ca: Ca, bench: Bench, reply: Reply, reason: Reason
) -> None:
    http = Http({"POST /in": reply, "/me": Reply(200)})
    auth = CookieAuth(URL + "/in", "session", json={"p": bench.secret("P", "pw-secret")})
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check_of(auth), at(server.port))
    assert isinstance(result.outcome, (Failed, Inconclusive))
    assert result.outcome.failure.reason is reason


# ------------------------------------------------------------------ signatures


def sigv4(bench: Bench) -> SigV4:
    return SigV4(
        bench.secret("A", "AKIDEXAMPLE1"), bench.secret("S", "aws-secret-key"), "sts", "eu-west-1",
        bench.secret("T", "session-secret"),
    )  # fmt: skip


async def test_a_request_is_signed_once(
    ca: Ca, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[Request] = []

    def counting(request: Request, *args: Any) -> Request:
        signed.append(request)
        return sign_aws(request, *args)

    monkeypatch.setattr("probe.auth.signers.sign_aws", counting)
    await sent(ca, bench, sigv4(bench))
    assert len(signed) == 1


async def test_sigv4_signs_what_is_sent(ca: Ca, bench: Bench) -> None:
    seen = await sent(ca, bench, sigv4(bench))
    said = seen.headers["authorization"]
    assert re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE1/\d{8}/eu-west-1/sts/aws4_request, "
        r"SignedHeaders=accept;host;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}",
        said,
    )
    assert seen.headers["x-amz-security-token"] == "session-secret"


async def test_a_refused_signature_with_a_clock_far_off_is_ours(ca: Ca, bench: Bench) -> None:
    def route(seen: Seen) -> Reply:
        return Reply(403, {"code": "SignatureDoesNotMatch"}, (("Date", formatdate(time.time())),))

    bench.offset = 3600.0
    async with serve(ca.context("api.example"), Http({"/me": route})) as server:
        result = await bench.run(check_of(sigv4(bench)), at(server.port))
        assert isinstance(result.outcome, Inconclusive)
        assert result.outcome.failure.reason is Reason.CLOCK_OFF
        bench.offset = 0.0
        result = await bench.run(check_of(sigv4(bench)), at(server.port))
    assert isinstance(result.outcome, Failed)


async def test_a_missing_secret_of_any_kind_is_inconclusive(ca: Ca, bench: Bench) -> None:
    gone = bench.secret("GONE", "x")
    del bench.secrets["GONE"]
    kinds: list[Auth] = [
        BearerAuth(gone), BasicAuth("u", gone), DigestAuth("u", gone), HeaderAuth({"X": gone}),
        SigV4(gone, gone, "s", "r"), CookieAuth(URL + "/in", "c", form={"p": gone}),
    ]  # fmt: skip
    http = Http({"/me": Reply(200)})
    async with serve(ca.context("api.example"), http) as server:
        for kind in kinds:
            result = await bench.run(check_of(kind), at(server.port))
            assert isinstance(result.outcome, Inconclusive)
            assert result.outcome.failure.reason is Reason.SECRET_MISSING
    assert http.seen == []
