"""Every fault of requests and answers is what its row says, as the real flow prober sees it."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import trio

from probe.certificates import Judge
from probe.connection.contexts import TlsContexts
from probe.lab import oauth
from probe.lab.board import Where
from probe.lab.faults.kinds import Http, Tunnel
from probe.lab.faults.table import TABLE, Given, Row
from probe.lab.platform import IDENTITIES
from probe.lab.world import World
from probe.model.auth import Auth, JsonLoginAuth, OAuth2
from probe.model.failure import OURS, Reason
from probe.model.flow import (
    ApiCheck,
    Capture,
    Expect,
    HeaderExpectation,
    Persona,
    RequestTemplate,
    Step,
)
from probe.model.result import Failed, Inconclusive, Passed, StepResult
from probe.model.secret import Secret, SecretRef
from probe.model.target import Edge, FlowKey, Resolution, Target
from probe.model.tls import Trust
from probe.probers.flow import FlowProber

TIMEOUT = 5.0
SHORT = 0.4
BEYOND_ANY_BUFFER = 4_000_000
CONTROL_PATH = "/_v/public/toolbelt/global-config"
BEHIND_LOGIN = {"token", "authorization", "backend"}

EXPECTING = {
    Given.HEADER: Expect(headers=(HeaderExpectation("content-type", "json"),)),
    Given.BODY: Expect(contains=("featureFlags",)),
    Given.REGEX: Expect(matches=("feature.lags",)),
    Given.SIZE: Expect(max_size=1000),
    Given.LATENCY: Expect(slower_than=0.1),
}
ROWS = [row for row in TABLE if isinstance(row.fault, Http | Tunnel)]


def name_of(row: Row) -> str:
    return row.name if row.given is Given.DEFAULT else f"{row.name}-{row.given}"


def secrets(reference: SecretRef) -> Secret:
    identity = IDENTITIES["lab-appkey-external"]
    values = {
        "APPKEY": identity.appkey,
        "APPTOKEN": identity.apptoken,
        "CLIENT_SECRET": oauth.CLIENT_SECRET,
    }
    return Secret(values[reference.name])


def entrances(world: World) -> dict[str, Auth]:
    hosts = world.info.layout.hosts
    return {
        "login": JsonLoginAuth(
            url=f"https://{hosts.login}/api/vtexid/apptoken/login",
            json={"appkey": SecretRef("env", "APPKEY"), "apptoken": SecretRef("env", "APPTOKEN")},
            token="token",
            success="authStatus == 'Success'",
            refused="authStatus == 'WrongCredentials'",
            expires_at="expires",
        ),
        "oauth": OAuth2(
            "client_credentials",
            f"https://{hosts.auth}/oauth/token",
            client_id=oauth.CLIENT_ID,
            client_secret=SecretRef("env", "CLIENT_SECRET"),
        ),
    }


def the_call(row: Row, world: World) -> tuple[RequestTemplate, str | None]:
    """A request that passes the layer of the fault, and what it authenticates with."""
    hosts = world.info.layout.hosts
    layer = row.fault.layer if isinstance(row.fault, Http) else "edge"
    whoami = RequestTemplate("GET", f"https://{hosts.platform}/{hosts.account}/master")
    control = RequestTemplate("GET", f"https://{hosts.control}{CONTROL_PATH}")
    match row.given:
        case Given.OAUTH:
            return RequestTemplate("GET", f"https://{hosts.auth}/v1/me"), "oauth"
        case Given.LOGIN:
            return whoami, "login"
        case Given.REDIRECTS:
            return replace(control, follow_redirects=3), "login"
        case Given.LARGE_REQUEST:
            return replace(control, method="POST", body="x" * BEYOND_ANY_BUFFER), None
        case _:
            pass
    if layer in BEHIND_LOGIN:
        return whoami, "login"
    if layer == "validate":
        url = f"https://{hosts.login}/api/vtexid/credential/validate"
        return RequestTemplate("POST", url, json={"token": "x"}), None
    if layer == "store":
        return RequestTemplate("GET", "https://store-001.example/"), None
    return control, None


def the_check(row: Row, world: World) -> ApiCheck:
    request, auth = the_call(row, world)
    wants_json = row.reason in (Reason.JSON, Reason.WEB_PAGE)
    expect = EXPECTING.get(row.given, Expect(json=("config",) if wants_json else ()))
    captures = (Capture("kept", "json", "config"),) if row.given is Given.CAPTURE else ()
    patience = SHORT if row.reason is Reason.TIMEOUT else TIMEOUT
    return ApiCheck(
        "table",
        (Step("call", "backend", request, expect, captures, auth=auth),),
        auth=entrances(world),
        timeout=patience,
        flow_timeout=3 * patience,
        trust=Trust("file", world.info.roots),
        http2=row.given is Given.HTTP2,
    )


async def run(row: Row, world: World) -> StepResult:
    """The step that did not pass without a word, or else the last."""
    prober = FlowProber(TlsContexts(secrets), Judge(), secrets, time.time)

    async def resolve(host: str, _port: int) -> Resolution:
        store = host.startswith("store-")
        place = world.info.seen("sa-east", "cdn-a" if store else "api")[0]
        return Resolution((Edge(place.ip, place.port, written=True),))

    denied = Persona("stranger", expect_denied=("call",)) if row.given is Given.DENIED else None
    key = FlowKey("table", "table", "live", denied.name if denied else "")
    with trio.fail_after(4 * TIMEOUT):
        result = await prober.run(
            key, the_check(row, world), Target("table"), denied, resolve=resolve
        )
    for step in result.steps:
        if isinstance(step.outcome, Failed | Inconclusive):
            return step
    return result.steps[-1]


# A request cut off while it is sent leaves httpx's body, an async generator, to the collector.
@pytest.mark.filterwarnings("ignore:.*ByteStream.__aiter__:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("row", ROWS, ids=name_of)
async def test_a_call_that_meets_the_fault_gives_the_rows_finding(row: Row, world: World) -> None:
    where = Where(paths=frozenset({CONTROL_PATH})) if row.given is Given.REDIRECTS else None
    await world.inject(row.name, where)
    outcome = (await run(row, world)).outcome
    match outcome:
        case Passed(warnings=warnings):
            found = warnings[0] if warnings else None
        case Failed(failure=found) | Inconclusive(failure=found):
            pass
        case _:
            pytest.fail(f"{outcome}")
    seen = (found.phase, found.reason) if found else (None, None)
    assert seen == (row.phase, row.reason), found
    assert isinstance(outcome, Passed) == (row.warning or row.reason is None)
    assert isinstance(outcome, Inconclusive) == (row.reason in OURS)


@pytest.mark.parametrize("given", [Given.DEFAULT, Given.LOGIN, Given.OAUTH, Given.HTTP2], ids=str)
async def test_a_call_that_meets_no_fault_passes(given: Given, world: World) -> None:
    step = await run(replace(ROWS[0], given=given, reason=None, phase=None), world)
    assert step.outcome == Passed()
