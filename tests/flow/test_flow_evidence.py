"""What is kept of a failed call, and that no secret is in it, whatever the server throws back."""

from __future__ import annotations

import base64
import logging
import re
import shlex
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trio

from probe.model.auth import (
    Auth,
    BasicAuth,
    BearerAuth,
    CookieAuth,
    DigestAuth,
    HeaderAuth,
    JsonLoginAuth,
    OAuth2,
    SigV4,
)
from probe.model.flow import ApiCheck, Capture, Expect, RequestTemplate, Step
from probe.model.result import Failed, FlowResult, StepResult
from tests.support.http_server import Ca, Http, Reply, Seen, at, serve

from .conftest import Bench

URL = "https://api.example"


async def failing(ca: Ca, bench: Bench, check: ApiCheck, http: Http) -> tuple[StepResult, int]:
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
        assert isinstance(result.outcome, Failed)
        return result.steps[-1], server.port


async def test_a_failed_step_shows_what_a_person_needs(ca: Ca, bench: Bench) -> None:
    reply = Reply(
        500,
        "<h1>broken</h1>" + "x" * 5000,
        (("X-Request-Id", "r-1"), ("X-Cell", "blue"), ("X-Other", "no")),
    )
    step = Step("a", "backend", RequestTemplate("GET", URL + "/a", query={"q": "1"}))
    check = ApiCheck(
        "flow", (step,), evidence_headers=("X-Request-ID", "x-absent"), instance_headers=("x-cell",)
    )
    result, port = await failing(ca, bench, check, Http({"/a": reply}))
    evidence = result.evidence
    assert evidence.request == "GET https://api.example/a?q=1"
    assert evidence.status == 500
    assert evidence.headers == {"x-request-id": "r-1", "x-cell": "blue"}
    assert evidence.body.startswith("<h1>broken</h1>xxx")
    assert len(evidence.body) == 512
    assert len(evidence.trace_id) == 32
    assert f"--connect-to api.example:443:127.0.0.1:{port}" in evidence.command
    assert "traceparent" not in evidence.command
    assert result.edge is not None


async def test_of_a_long_header_only_the_start_is_searched_for_secrets(
    ca: Ca, bench: Bench
) -> None:
    auth = {"key": BearerAuth(token=bench.secret("TOKEN", "very-secret-token"))}
    step = Step("a", "backend", RequestTemplate("GET", URL + "/a"), auth="key")
    check = ApiCheck("flow", (step,), auth=auth, evidence_headers=("x-near", "x-far"))
    headers = tuple(
        (name, "x" * n + "very-secret-token") for name, n in (("X-Near", 990), ("X-Far", 9000))
    )
    result, _ = await failing(ca, bench, check, Http({"/a": Reply(500, "", headers)}))
    near, far = result.evidence.headers["x-near"], result.evidence.headers["x-far"]
    assert near.startswith("(withheld: ")
    assert far == "x" * 199 + "…"


async def test_a_passing_step_keeps_only_what_is_small(ca: Ca, bench: Bench) -> None:
    step = Step("a", "backend", RequestTemplate("GET", URL + "/a"))
    async with serve(ca.context("api.example"), Http({"/a": Reply(200, "hello")})) as server:
        result = await bench.run(ApiCheck("flow", (step,)), at(server.port))
    evidence = result.steps[0].evidence
    assert (evidence.body, evidence.command) == ("", "")
    assert evidence.status == 200


@pytest.mark.real
async def test_the_command_fails_where_the_handshake_failed(ca: Ca, bench: Bench) -> None:
    """The edge has one cipher, which curl offers by itself and the probe does not."""
    context = ca.context("api.example")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    step = Step("a", "backend", RequestTemplate("GET", URL + "/a"))
    async with serve(context, Http({"/a": Reply(200, "yes")})) as server:
        check = ApiCheck("flow", (step,), http2=False, groups=("X25519MLKEM768", "P-256"))
        result = await bench.run(check, at(server.port))
        command = result.steps[-1].evidence.command
        assert "--curves P-256 --tlsv1.2 --tls-max 1.3 --ciphers ECDHE-ECDSA-AES128-GCM" in command
        for pasted, code in ((command, 35), (re.sub(r"--ciphers \S+", "", command), 0)):
            done = await trio.run_process(
                ["sh", "-c", pasted], env={"PATH": "/usr/bin:/bin"},
                capture_stdout=True, capture_stderr=True, check=False,
            )  # fmt: skip
            assert done.returncode == code, done.stderr
            assert b"only OpenSSL 3.5 and later have them: X25519MLKEM768" in done.stderr
            assert b"From curl 8.14 on, add: --sigalgs ecdsa_secp256r1_sha256:" in done.stderr


@pytest.mark.real
async def test_the_command_repeats_the_call(ca: Ca, bench: Bench) -> None:
    """Pasted into a shell that knows the secrets, curl sends what the probe sent."""
    http = Http({"POST /a": Reply(500, "no")})
    step = Step(
        "a", "backend",
        RequestTemplate("POST", URL + "/a", {"X-Odd": "it's \"odd\""}, json={"k": "{pin} é"}),
        auth="cli",
    )  # fmt: skip
    capture = Step("pin", "x", RequestTemplate("GET", URL + "/pin"), Expect(status=("200",)),
                   captures=(Capture("pin", "json", "p", secret=True),))  # fmt: skip
    http.routes["/pin"] = Reply(200, {"p": "p1n-secret"})
    auth: list[Auth] = [
        BearerAuth(bench.secret("CLI_TOKEN", "b3arer-$ecret'")),
        BasicAuth("user", bench.secret("PASS", "b4sic-secret")),
        HeaderAuth({"X-Key": bench.secret("API_KEY", "k3y-secret")}),
    ]
    variables = {"CLI_TOKEN": "b3arer-$ecret'", "PASS": "b4sic-secret", "API_KEY": "k3y-secret",
                 "PIN": "p1n-secret"}  # fmt: skip
    async with serve(ca.context("api.example"), http) as server:
        for one in auth:
            http.seen.clear()
            check = ApiCheck(
                "flow", (capture, step), auth={"cli": one}, http2=False, groups=("P-256",)
            )
            result = await bench.run(check, at(server.port))
            command = result.steps[-1].evidence.command
            assert "--curves P-256" in command
            handshake = result.steps[0].handshake
            assert handshake is not None
            assert handshake.group == "secp256r1"
            for secret in variables.values():
                assert secret not in command
            done = await trio.run_process(
                ["sh", "-c", command], env={**variables, "PATH": "/usr/bin:/bin"},
                capture_stdout=True, check=False,
            )  # fmt: skip
            assert b"500" in done.stdout.splitlines()[0]
            ours, theirs = http.seen[1], http.seen[2]
            assert theirs.body == ours.body
            assert theirs.method == ours.method
            own = {"traceparent", "content-length", "accept-encoding"}
            for name in set(ours.headers) - own:
                assert theirs.headers[name] == ours.headers[name], name


SECRETS = {
    "USER": "us3r-secret-name", "PASSWORD": "p4ss word/+secret", "TOKEN": "t0ken.secret-value_1",
    "KEY": "k3y==secret&value", "SECRET": 'cl1ent"secret\\x', "SESSION": "s3ssion%secret%20",
    "REFRESH": "r3fresh-secret-value",
}  # fmt: skip
CAPTURED = "c4ptured-secret-value"
ISSUED = "1ssued-secret-token"
ROTATED = "r0tated-secret-token"
COOKIE = "c00kie-secret-value"
EVERY = [*SECRETS.values(), CAPTURED, ISSUED, ROTATED, COOKIE]


def echo(seen: Seen) -> Reply:
    """Throws everything back, plainly and in disguise, as careless servers do."""
    everything = "\n".join(f"{k}: {v}" for k, v in seen.headers.items())
    said = seen.headers.get("authorization", "")
    body = seen.body.decode("utf-8", "replace")
    parts = [
        *(said, everything, body, quote(body), base64.b64encode(body.encode()).decode()),
        *(base64.b64encode(b"ab" + said.encode()).decode(), seen.target, *EVERY[-4:-3]),
    ]
    heads = (("X-Echo", said or "none"), ("Set-Cookie", "other=unknown-cookie-secret"))
    return Reply(500, "\n".join(parts), heads)


def login(seen: Seen) -> Reply:
    if seen.path == "/oauth":
        return Reply(200, {"access_token": ISSUED, "refresh_token": ROTATED, "expires_in": 60})
    heads = (("Set-Cookie", f"session={COOKIE}"),)
    return Reply(200, {"token": ISSUED, "ok": True}, heads)


def auths(bench: Bench) -> dict[str, Auth]:
    ref = {name: bench.secret(name, value) for name, value in SECRETS.items()}
    return {
        "bearer": BearerAuth(ref["TOKEN"]),
        "basic": BasicAuth(ref["USER"], ref["PASSWORD"]),
        "digest": DigestAuth(ref["USER"], ref["PASSWORD"]),
        "keys": HeaderAuth({"X-Key": ref["KEY"]}),
        "login": JsonLoginAuth(URL + "/login", {"u": ref["USER"], "p": ref["PASSWORD"]}, "token"),
        "oauth": OAuth2("client_credentials", URL + "/oauth", ref["USER"], ref["SECRET"]),
        "body": OAuth2(
            "refresh_token", URL + "/oauth", "id", ref["SECRET"], "body", ref["REFRESH"]
        ),
        "sigv4": SigV4(ref["USER"], ref["SECRET"], "sts", "eu", ref["SESSION"]),
        "cookie": CookieAuth(URL + "/login", "session", form={"p": ref["PASSWORD"]}),
        "captured": BearerAuth(capture="captured"),
    }  # fmt: skip


def flow(bench: Bench, **more: Any) -> ApiCheck:
    first = Step("first", "x", RequestTemplate("GET", URL + "/capture"),
                 captures=(Capture("captured", "json", "value", secret=True),))  # fmt: skip
    steps = [first]
    for name in auths(bench):
        url = URL + "/echo?c={captured}"
        steps.append(Step(f"get-{name}", "x", RequestTemplate("GET", url), auth=name))
        post = RequestTemplate("POST", url, json={"c": "{captured}"})
        steps.append(Step(f"post-{name}", "x", post, auth=name))
    check = ApiCheck("flow", tuple(steps), auth=auths(bench), flow_timeout=60.0,
                     evidence_headers=("x-echo", "set-cookie", "location"))  # fmt: skip
    return replace(check, **more)


def disguises(secret: str) -> list[str]:
    return [
        secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("="),
        shlex.quote(secret),
    ]  # fmt: skip


def holds_none(text: str) -> None:
    for secret in [*EVERY, "unknown-cookie-secret"]:
        for form in disguises(secret):
            assert form not in text, f"{form} leaked"


@pytest.mark.parametrize("broken", [None, Reply(500), Reply(200, "<html>"), Reply(302)])
async def test_nothing_that_a_run_leaves_behind_holds_a_secret(
    ca: Ca, bench: Bench, broken: Reply | None, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Every kind of credentials, every answer an echo: results, logs and files but the one."""
    caplog.set_level(logging.DEBUG)
    entry = broken or login
    http = Http(
        {
            "/capture": Reply(200, {"value": CAPTURED}),
            "/echo": echo,
            "POST /login": entry,
            "POST /oauth": entry,
        }
    )
    logging.getLogger("agent").debug("the log is being kept")
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(flow(bench, http2=False), at(server.port))
    assert "the log is being kept" in caplog.text
    steps = {step.step: step for step in result.steps}
    assert steps["get-bearer"].evidence.status == 500
    assert steps["get-bearer"].evidence.body.startswith("(withheld: ")
    holds_none(everything(result))
    holds_none(caplog.text)
    for name, text in files(tmp_path):
        assert name.startswith("refresh-")
        assert SECRETS["REFRESH"] not in text


def everything(result: FlowResult) -> str:
    return repr(result) + "".join(
        "\n".join((step.evidence.command, step.evidence.body, str(step.outcome), str(step)))
        for step in result.steps
    )


def files(folder: Path) -> list[tuple[str, str]]:
    return [(one.name, one.read_text()) for one in folder.rglob("*") if one.is_file()]


async def test_a_login_answer_is_not_shown_when_it_may_hold_a_token(ca: Ca, bench: Bench) -> None:
    """The token lies where nobody looks for it; it must not come out as evidence either."""
    hidden = Reply(200, {"wrong_place": {"token": "h1dden-secret-token"}})
    http = Http({"POST /login": hidden})
    check = flow(bench)
    check = replace(check, steps=tuple(s for s in check.steps if s.name in {"first", "get-login"}))
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert "h1dden" not in everything(result)


def test_this_very_test_can_fail() -> None:
    with pytest.raises(AssertionError):
        holds_none(f"x {base64.b64encode(CAPTURED.encode()).decode()} y")
