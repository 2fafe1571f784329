"""OAuth 2 grants and client authentication against a token endpoint; JWTs verified apart."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from probe.lab.ca import LeafShape
from probe.model.auth import JwtAlgorithm, JwtKey, OAuth2
from probe.model.failure import Phase, Reason
from probe.model.flow import ApiCheck, RequestTemplate, Step
from probe.model.result import Failed, FlowResult, Inconclusive, Passed
from probe.model.tls import ClientCertificate
from tests.support.http_server import PEM, Ca, Http, Reply, Seen, at, serve

from .conftest import Bench

URL = "https://api.example"
TOKEN_URL = URL + "/oauth/token"


class TokenEndpoint:
    """Keeps what it is asked and answers as told; the API behind takes its tokens."""

    def __init__(self, answer: Reply | Callable[[dict[str, str]], Reply] | None = None) -> None:
        self.answer = answer
        self.forms: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.http = Http({"POST /oauth/token": self.token, "/me": self.me})

    def token(self, seen: Seen) -> Reply:
        form = {key: value[0] for key, value in parse_qs(seen.body.decode()).items()}
        self.forms.append(form)
        self.headers.append(seen.headers)
        if self.answer is None:
            good = {"access_token": "good-access-token", "token_type": "bearer"}
            return Reply(200, {**good, "expires_in": 3600})
        return self.answer if isinstance(self.answer, Reply) else self.answer(form)

    def me(self, seen: Seen) -> Reply:
        return Reply(
            200 if seen.headers.get("authorization") == "Bearer good-access-token" else 401
        )


def check_of(spec: OAuth2, **more: Any) -> ApiCheck:
    step = Step("me", "authorization", RequestTemplate("GET", URL + "/me"), auth="cli")
    return replace(ApiCheck("flow", (step,), auth={"cli": spec}, timeout=2.0), **more)


async def run(ca: Ca, bench: Bench, spec: OAuth2, endpoint: TokenEndpoint) -> FlowResult:
    async with serve(ca.context("api.example"), endpoint.http) as server:
        return await bench.run(check_of(spec), at(server.port))


def client(bench: Bench, **more: Any) -> OAuth2:
    secret = bench.secret("CLIENT_SECRET", "s:ecr et&%")
    return OAuth2("client_credentials", TOKEN_URL, client_id="id:1", client_secret=secret, **more)


async def test_client_credentials_by_basic(ca: Ca, bench: Bench) -> None:
    endpoint = TokenEndpoint()
    spec = client(
        bench, scope="read write", audience="https://aud.example", extra={"x": "{target}"}
    )
    result = await run(ca, bench, spec, endpoint)
    assert result.outcome == Passed()
    assert endpoint.forms == [
        {
            "grant_type": "client_credentials",
            "scope": "read write",
            "audience": "https://aud.example",
            "x": "flow",
        }
    ]
    scheme, _, coded = endpoint.headers[0]["authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(coded) == b"id%3A1:s%3Aecr+et%26%25", "RFC 6749 section 2.3.1"
    assert result.token_expires_at == pytest.approx(time.time() + 3600, abs=30)


async def test_client_credentials_in_the_body(ca: Ca, bench: Bench) -> None:
    endpoint = TokenEndpoint()
    result = await run(ca, bench, client(bench, client_auth="body"), endpoint)
    assert result.outcome == Passed()
    assert endpoint.forms[0]["client_secret"] == "s:ecr et&%"
    assert endpoint.forms[0]["client_id"] == "id:1"
    assert "authorization" not in endpoint.headers[0]


OAUTH_ERRORS = [
    (401, {"error": "invalid_client"}, Reason.CREDENTIALS_REFUSED),
    (400, {"error": "invalid_grant", "error_description": "x"}, Reason.CREDENTIALS_REFUSED),
    (400, {"error": "unauthorized_client"}, Reason.CREDENTIALS_REFUSED),
    (400, {"error": "invalid_scope"}, Reason.CREDENTIALS_REFUSED),
    (200, {"error": "invalid_client"}, Reason.CREDENTIALS_REFUSED),
    (503, {"error": "temporarily_unavailable"}, Reason.LOGIN_FAILED),
    (500, "<html>", Reason.LOGIN_FAILED),
    (400, {"error": "server_error"}, Reason.LOGIN_FAILED),
    (401, "<html>proxy</html>", Reason.LOGIN_FAILED),
    (400, {"error": ["odd"]}, Reason.LOGIN_FAILED),
    (429, "", Reason.RATE_LIMITED),
    (200, "<html>sign in</html>", Reason.TOKEN_MALFORMED),
    (200, [1, 2], Reason.TOKEN_MALFORMED),
    (200, {"access_token": 7}, Reason.TOKEN_MALFORMED),
    (200, {}, Reason.TOKEN_MALFORMED),
    (200, {"access_token": "\ud800"}, Reason.TOKEN_MALFORMED),
    (200, {"access_token": "a", "refresh_token": "\ud800"}, Reason.TOKEN_MALFORMED),
    (200, {"access_token": "a", "error": "\ud800"}, Reason.LOGIN_FAILED),
]


@pytest.mark.parametrize(("status", "body", "reason"), OAUTH_ERRORS)
async def test_every_error_has_its_reason(
    ca: Ca, bench: Bench, status: int, body: Any, reason: Reason
) -> None:
    result = await run(ca, bench, client(bench), TokenEndpoint(Reply(status, body)))
    ours = reason is Reason.CREDENTIALS_REFUSED
    assert isinstance(result.outcome, Inconclusive if ours else Failed)
    assert isinstance(result.outcome, (Failed, Inconclusive))
    assert (result.outcome.failure.phase, result.outcome.failure.reason) == (Phase.AUTH, reason)
    assert "ecr et" not in repr(result)


@pytest.mark.parametrize("life", ["3600", None, "soon", True, 1e300, 0, -1, "0", "\ud800"])
async def test_odd_lives_do_not_matter(ca: Ca, bench: Bench, life: Any) -> None:
    answer = Reply(200, {"access_token": "good-access-token", "expires_in": life})
    assert (await run(ca, bench, client(bench), TokenEndpoint(answer))).outcome == Passed()


@pytest.mark.parametrize("error", [None, "", False])
async def test_an_error_that_says_nothing_is_none(ca: Ca, bench: Bench, error: Any) -> None:
    answer = Reply(200, {"access_token": "good-access-token", "error": error})
    result = await run(ca, bench, client(bench), TokenEndpoint(answer))
    assert result.outcome == Passed()
    assert result.token_expires_at is None


async def test_a_client_as_it_is_for_servers_that_do_not_decode(ca: Ca, bench: Bench) -> None:
    endpoint = TokenEndpoint()
    result = await run(ca, bench, client(bench, client_auth="basic_raw"), endpoint)
    assert result.outcome == Passed()
    coded = endpoint.headers[0]["authorization"].removeprefix("Basic ")
    assert base64.b64decode(coded) == b"id:1:s:ecr et&%"


@pytest.mark.parametrize(("client_id", "hinted"), [("id:1", True), ("plain", False)])
async def test_a_client_that_had_to_be_encoded_is_a_hint(
    ca: Ca, bench: Bench, client_id: str, hinted: bool
) -> None:
    spec = replace(client(bench), client_id=client_id)
    bench.secret("CLIENT_SECRET", "plain-secret")
    endpoint = TokenEndpoint(Reply(401, {"error": "invalid_client"}))
    result = await run(ca, bench, spec, endpoint)
    assert isinstance(result.outcome, Inconclusive)
    assert ("client_auth: basic_raw" in result.outcome.failure.detail) is hinted


async def test_every_field_of_the_request_may_be_a_secret(ca: Ca, bench: Bench) -> None:
    """The password grant, which is a person's, and whatever else a server wants."""
    secret = {name: bench.secret(name, f"{name}-secret") for name in ("P", "S", "A")}
    extra = {"grant_type": "password", "username": "u", "password": secret["P"]}
    endpoint = TokenEndpoint()
    spec = client(bench, scope=secret["S"], audience=secret["A"], extra=extra)
    result = await run(ca, bench, spec, endpoint)
    assert result.outcome == Passed()
    assert endpoint.forms == [
        {
            "grant_type": "password", "username": "u", "password": "P-secret",
            "scope": "S-secret", "audience": "A-secret",
        }
    ]  # fmt: skip
    assert "-secret" not in repr(result)


# ------------------------------------------------------------------ signed assertions


def private_pem(key: Any) -> str:
    encoded: bytes = key.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded.decode()


RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def verify(token: str, algorithm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check a signature with cryptography alone; header and claims."""
    head, claims, signature = token.split(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    data = f"{head}.{claims}".encode()
    if algorithm == "RS256":
        RSA_KEY.public_key().verify(raw, data, padding.PKCS1v15(), hashes.SHA256())
    elif algorithm == "PS256":
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        RSA_KEY.public_key().verify(raw, data, pss, hashes.SHA256())
    elif algorithm == "ES256":
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        der = encode_dss_signature(r, s)
        EC_KEY.public_key().verify(der, data, ec.ECDSA(hashes.SHA256()))
    else:
        ED_KEY.public_key().verify(raw, data)
    return decoded(head), decoded(claims)


KEYS: dict[str, Any] = {"RS256": RSA_KEY, "PS256": RSA_KEY, "ES256": EC_KEY, "EdDSA": ED_KEY}


@pytest.mark.parametrize("algorithm", list(KEYS))
async def test_private_key_jwt_is_what_an_independent_verifier_accepts(
    ca: Ca, bench: Bench, algorithm: JwtAlgorithm
) -> None:
    key = bench.secret("KEY", private_pem(KEYS[algorithm]))
    certificate = ca.pki.leaf(["client.example"])
    pem = bench.secret("CERT", certificate.public_bytes(PEM).decode())
    spec = OAuth2(
        "client_credentials", TOKEN_URL, client_id="me", client_auth="private_key_jwt",
        jwt_key=JwtKey(key, algorithm, key_id="k1", certificate=pem),
    )  # fmt: skip
    endpoint = TokenEndpoint()
    assert (await run(ca, bench, spec, endpoint)).outcome == Passed()
    form = endpoint.forms[0]
    assert form["grant_type"] == "client_credentials"
    assert form["client_id"] == "me"
    assert form["client_assertion_type"].endswith(":client-assertion-type:jwt-bearer")
    header, claims = verify(form["client_assertion"], algorithm)
    assert header["alg"] == algorithm
    assert header["kid"] == "k1"
    thumbprint = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()
    assert header["x5t#S256"] == base64.urlsafe_b64encode(thumbprint).decode().rstrip("=")
    assert claims["iss"] == claims["sub"] == "me"
    assert claims["aud"] == TOKEN_URL
    assert claims["iat"] <= time.time() < claims["exp"] <= claims["iat"] + 600
    with pytest.raises(InvalidSignature):
        verify(form["client_assertion"].replace(".", ".e30", 1), algorithm)


async def test_jwt_bearer_carries_the_claims_that_are_asked_for(ca: Ca, bench: Bench) -> None:
    spec = OAuth2(
        "jwt_bearer", TOKEN_URL, client_id="me", client_auth="none", scope="all",
        jwt_key=JwtKey(bench.secret("KEY", private_pem(RSA_KEY))),
        claims={"sub": "user@{target}", "scope": "x"},
    )  # fmt: skip
    endpoint = TokenEndpoint()
    assert (await run(ca, bench, spec, endpoint)).outcome == Passed()
    assert endpoint.forms[0]["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    _, claims = verify(endpoint.forms[0]["assertion"], "RS256")
    assert claims["sub"] == "user@flow"
    assert claims["iss"] == "me"
    assert claims["scope"] == "x"


@pytest.mark.parametrize("pem", ["no key at all", "", private_pem(EC_KEY)])
async def test_an_unusable_key_is_ours_and_prints_nothing(ca: Ca, bench: Bench, pem: str) -> None:
    spec = OAuth2(
        "client_credentials", TOKEN_URL, client_id="me", client_auth="private_key_jwt",
        jwt_key=JwtKey(bench.secret("KEY", pem)),
    )  # fmt: skip
    endpoint = TokenEndpoint()
    result = await run(ca, bench, spec, endpoint)
    assert isinstance(result.outcome, Inconclusive)
    assert result.outcome.failure.reason is Reason.SECRET_MISSING
    assert endpoint.forms == []
    assert "PRIVATE" not in repr(result)


# ------------------------------------------------------------------ refresh tokens


class Rotating(TokenEndpoint):
    """Every refresh token serves once; a used one is refused (RFC 9700 section 4.14)."""

    def __init__(self) -> None:
        super().__init__(self.rotate)
        self.number = 1

    def rotate(self, form: dict[str, str]) -> Reply:
        if form["refresh_token"] != f"refresh-{self.number}":
            return Reply(400, {"error": "invalid_grant"})
        self.number += 1
        return Reply(
            200,
            {
                "access_token": "good-access-token",
                "expires_in": 3600,
                "refresh_token": f"refresh-{self.number}",
            },
        )


def refreshing(bench: Bench, token: str = "refresh-1") -> OAuth2:
    return OAuth2(
        "refresh_token", TOKEN_URL, client_id="me", client_auth="none",
        refresh_token=bench.secret("REFRESH", token),
    )  # fmt: skip


def kept_files(folder: Path) -> list[tuple[str, int]]:
    return [
        (path.read_text(), stat.S_IMODE(path.stat().st_mode)) for path in sorted(folder.iterdir())
    ]


async def test_a_rotated_refresh_token_outlives_the_process(
    ca: Ca, bench: Bench, tmp_path: Path
) -> None:
    endpoint = Rotating()
    async with serve(ca.context("api.example"), endpoint.http) as server:
        check = check_of(refreshing(bench), login_interval=0.0)
        for _ in range(2):
            assert (await bench.run(check, at(server.port))).outcome == Passed()
        [(text, mode)] = kept_files(tmp_path / "state")
        assert mode == 0o600
        assert json.loads(text)["refresh_token"] == "refresh-3"
        again = Bench(ca, tmp_path / "state")  # the agent starts anew
        check = check_of(refreshing(again))
        assert (await again.run(check, at(server.port))).outcome == Passed()
    assert [form["refresh_token"] for form in endpoint.forms] == [
        "refresh-1",
        "refresh-2",
        "refresh-3",
    ]


async def test_several_providers_share_a_refresh_token_that_rotates(ca: Ca, bench: Bench) -> None:
    """Each with its own copy, the second would use what the first one used up."""
    endpoint = Rotating()
    async with serve(ca.context("api.example"), endpoint.http) as server:
        check = check_of(refreshing(bench), login_interval=0.0)
        for provider in ("live", "cdn-b", "live"):
            result = await bench.run(check, at(server.port), provider=provider)
            assert result.outcome == Passed()


async def test_a_new_configured_token_wins_over_what_was_kept(
    ca: Ca, bench: Bench, tmp_path: Path
) -> None:
    endpoint = Rotating()
    async with serve(ca.context("api.example"), endpoint.http) as server:
        await bench.run(check_of(refreshing(bench), login_interval=0.0), at(server.port))
        endpoint.number = 50
        check = check_of(refreshing(bench, "refresh-50"), login_interval=0.0)
        assert (await bench.run(check, at(server.port))).outcome == Passed()


async def test_a_state_folder_that_cannot_be_written_is_a_warning(
    ca: Ca, bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file stands where the folder should be")
    endpoint = Rotating()
    async with serve(ca.context("api.example"), endpoint.http) as server:
        check = check_of(refreshing(bench), login_interval=0.0)
        for _ in range(2):
            result = await bench.run(check, at(server.port))
            assert isinstance(result.outcome, Passed)
            [warning] = result.outcome.warnings
            assert warning.reason is Reason.LOCAL_RESOURCE


async def test_a_damaged_file_falls_back_to_the_configured_token(
    ca: Ca, bench: Bench, tmp_path: Path
) -> None:
    endpoint = Rotating()
    async with serve(ca.context("api.example"), endpoint.http) as server:
        check = check_of(refreshing(bench), login_interval=0.0)
        await bench.run(check, at(server.port))
        _damage(tmp_path / "state")
        endpoint.number = 1
        fresh = Bench(ca, tmp_path / "state")
        check = check_of(refreshing(fresh), login_interval=0.0)
        assert (await fresh.run(check, at(server.port))).outcome == Passed()


def _damage(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_text('{"from": 1, "refr')


# ------------------------------------------------------------------ client certificates


async def test_a_client_certificate_is_presented_and_its_absence_has_a_reason(
    ca: Ca, bench: Bench
) -> None:
    context = ca.context("api.example")
    context.load_verify_locations(ca.roots)
    context.verify_mode = ssl.CERT_REQUIRED
    shape = LeafShape(purposes=(x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH,))
    leaf = ca.pki.leaf(["client.example"], shape=shape)
    chain = leaf.public_bytes(PEM) + ca.pki.issuer.certificate.public_bytes(PEM)
    own = ClientCertificate(
        bench.secret("CERT", chain.decode()), bench.secret("KEY", private_pem(ca.pki.leaf_key))
    )
    spec = OAuth2("client_credentials", TOKEN_URL, client_id="me", client_auth="mtls")
    endpoint = TokenEndpoint()
    async with serve(context, endpoint.http) as server:
        result = await bench.run(check_of(spec, client_certificate=own), at(server.port))
        assert result.outcome == Passed()
        assert endpoint.forms[0]["client_id"] == "me"
        result = await bench.run(check_of(spec, login_interval=0.0), at(server.port))
    assert isinstance(result.outcome, Failed)
    assert result.steps[0].layer == "login"
    # trio's TLS streams hang up without the alert that OpenSSL had ready.
    assert result.outcome.failure.reason in {Reason.CLOSED, Reason.ALERT_CERTIFICATE_REQUIRED}
