"""A flow as the CLI makes it, and runs of it that end as a test wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from probe.model.auth import BearerAuth
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, Persona, RequestTemplate, Step
from probe.model.result import (
    Evidence,
    Failed,
    FlowResult,
    Inconclusive,
    NoLogin,
    Passed,
    Skipped,
    StepOutcome,
    StepResult,
)
from probe.model.target import FlowKey

P, INFRA, A, ID = "p.example", "i.example", "a.example", "id.example"


def step(name: str, layer: str, host: str, *, auth: bool = False, deny: bool = False) -> Step:
    request = RequestTemplate("GET", f"https://{host}/{name}")
    return Step(name, layer, request, auth="cli" if auth else None, deny=deny)


CHECK = ApiCheck(
    "developer-cli",
    (
        step("control", "control", "global.example"),
        step("deny", "authorization", P, deny=True),
        step("login", "login", ID),
        step("token_valid", "token", ID),
        step("whoami", "authorization", P, auth=True),
        step("workspaces", "authorization", P, auth=True),
        step("apps", "backend", INFRA, auth=True),
    ),
    auth={"cli": BearerAuth(capture="token")},
    router_codes=("routing_error", "ProxyTimeout"),
)
AUTHORIZED = ("whoami", "workspaces", "apps")
NAMES = tuple(one.name for one in CHECK.steps)

Ending = tuple[StepOutcome, int | None, str]


def _failed(phase: Phase, reason: Reason) -> Failed:
    return Failed(Failure(phase, reason))


def status(code: int, body: str = "") -> Ending:
    """The call was answered with a status that is not expected."""
    return _failed(Phase.EXPECT, Reason.STATUS), code, body


OK: Ending = (Passed(), 200, "")
DNS: Ending = (_failed(Phase.RESOLVE, Reason.NXDOMAIN), None, "")
TCP: Ending = (_failed(Phase.CONNECT, Reason.TIMEOUT), None, "")
TLS: Ending = (_failed(Phase.TLS, Reason.ALERT_INTERNAL_ERROR), None, "")
CHAIN: Ending = (_failed(Phase.CERTIFICATE, Reason.EXPIRED), None, "")
SILENT: Ending = (_failed(Phase.WAIT, Reason.TIMEOUT), None, "")
CUT: Ending = (_failed(Phase.RECEIVE, Reason.RESET), 200, "")
ROUTING: Ending = status(500, '{"code": "routing_error", "message": "x"}')
PROXY: Ending = status(500, '{"code":"ProxyTimeout"}')
WRONG_BODY: Ending = (_failed(Phase.EXPECT, Reason.JSON), 200, "")
PAGE: Ending = (_failed(Phase.EXPECT, Reason.JSON), 200, "<!doctype html>")
PAGE_FOR_STRANGERS: Ending = (_failed(Phase.EXPECT, Reason.WEB_PAGE), 200, "<!doctype html>")
LOGIN_DOWN: Ending = (_failed(Phase.AUTH, Reason.LOGIN_FAILED), 500, "")
LOGIN_SLOW: Ending = (_failed(Phase.AUTH, Reason.TIMEOUT), None, "")
LOGIN_HTML: Ending = (_failed(Phase.AUTH, Reason.TOKEN_MALFORMED), 200, "")
LIMITED: Ending = (_failed(Phase.AUTH, Reason.RATE_LIMITED), 429, "")
SKIPPED: Ending = (Skipped(NoLogin("token")), None, "")


def ours(reason: Reason) -> Ending:
    return Inconclusive(Failure(Phase.AUTH, reason)), None, ""


def result(name: str, ending: Ending, check: ApiCheck = CHECK) -> StepResult:
    spec = next((one for one in check.steps if one.name == name), None)
    outcome, code, body = ending
    url = spec.request.url if isinstance(spec, Step) else f"https://{ID}/{name}"
    shown = "" if isinstance(outcome, Skipped) else f"GET {url}"
    evidence = Evidence(shown, code, body=body)
    return StepResult(name, spec.layer if spec else "login", outcome, attempts=1, evidence=evidence)


def run(
    endings: Mapping[str, Ending] | None = None,
    *,
    check: ApiCheck = CHECK,
    persona: Persona | None = None,
) -> FlowResult:
    """One run; steps that are not named passed."""
    endings = endings or {}
    steps = []
    for spec in check.steps:
        denied = isinstance(spec, Step) and spec.deny
        usual: Ending = (Passed(), 401, "") if denied else OK
        steps.append(result(spec.name, endings.get(spec.name, usual), check))
    key = FlowKey(check.name, check.name, "live", persona.name if persona else "")
    return FlowResult(key, 0.0, Passed(), tuple(steps))


def all_of(ending: Ending, *names: str) -> dict[str, Ending]:
    return dict.fromkeys(names, ending)


def without(check: ApiCheck, *names: str) -> ApiCheck:
    return replace(check, steps=tuple(one for one in check.steps if one.name not in names))
