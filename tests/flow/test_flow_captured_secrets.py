"""Tokens that an ordinary step captures stay out of its own evidence, however it fails."""

from __future__ import annotations

import json

import pytest

from probe.flow.redact import withheld
from probe.model.auth import BearerAuth
from probe.model.flow import ApiCheck, Capture, Expect, RequestTemplate, Step
from probe.model.result import Failed
from tests.support.http_server import Ca, Http, Reply, at, serve

from .conftest import Bench

URL = "https://api.example"
SECRET = "captured-token-9f3"

LOGIN = RequestTemplate("POST", URL + "/login")
ANSWER = {"token": SECRET, "status": "Odd"}
TOKEN = Capture("tok", "json", "token")
AS_BEARER = (Step("me", "authorization", RequestTemplate("GET", URL + "/me"), auth="cli"),)
AS_HEADER = (
    Step(
        "me", "authorization", RequestTemplate("GET", URL + "/me", {"Authorization": "token {tok}"})
    ),
)


@pytest.mark.parametrize("after", [AS_BEARER, AS_HEADER], ids=["bearer", "header"])
@pytest.mark.parametrize(
    ("expect", "capture", "answer"),
    [
        (Expect(json=("status == 'Success'",)), TOKEN, Reply(200, ANSWER)),
        (Expect(status=("201",)), TOKEN, Reply(200, ANSWER)),
        (Expect(), TOKEN, Reply(500, ANSWER)),
        (Expect(), TOKEN, Reply(200, {"data": ANSWER})),  # where nobody looks for it
        (Expect(status=("201",)), Capture("tok", "regex", '"token": ?"(.*?)"'), Reply(200, ANSWER)),
        (
            Expect(),
            Capture("tok", "regex", '"token": ?"(.*?)"'),
            Reply(500, json.dumps(ANSWER) + " " * 9000),
        ),
    ],
    ids=["condition", "status", "500", "elsewhere", "regex", "long"],
)
async def test_a_login_step_that_fails_shows_no_token(
    ca: Ca,
    bench: Bench,
    expect: Expect,
    capture: Capture,
    answer: Reply,
    after: tuple[Step, ...],
) -> None:
    login = Step("login", "login", LOGIN, expect, (capture,))
    check = ApiCheck("flow", (login, *after), auth={"cli": BearerAuth(capture="tok")})
    http = Http({"POST /login": answer, "/me": Reply(200)})
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert isinstance(result.steps[0].outcome, Failed)
    assert result.steps[0].evidence.body
    assert SECRET not in repr(result)


async def test_a_call_that_repeats_the_token_shows_none(ca: Ca, bench: Bench) -> None:
    check = ApiCheck(
        "flow",
        (Step("login", "login", LOGIN, captures=(TOKEN,)), *AS_HEADER),
    )
    http = Http(
        {
            "POST /login": Reply(200, ANSWER),
            "/me": lambda seen: Reply(403, f"no rights: {seen.headers['authorization']}"),
        }
    )
    async with serve(ca.context("api.example"), http) as server:
        result = await bench.run(check, at(server.port))
    assert isinstance(result.steps[1].outcome, Failed)
    assert result.steps[1].evidence.body == withheld("no rights: token " + SECRET)
    assert '"$TOK"' in result.steps[1].evidence.command
    assert SECRET not in repr(result)
