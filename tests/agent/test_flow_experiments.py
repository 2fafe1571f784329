"""Which experiments a failing flow allows, and how long one may take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probe.agent.flow_experiments import HANG, PATIENCE, FlowScene
from probe.http.session import Resolve
from probe.model.auth import JsonLoginAuth, OAuth2
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, Expect, RequestTemplate, Step
from probe.model.flow_cause import FlowChange
from probe.model.result import Failed, StepResult
from probe.model.secret import SecretRef
from probe.model.target import FlowKey, Resolution, Target
from probe.state.causes.calls import KEPT, NEW, NONE, Call, SeenCall, entry_of, repeatable
from probe.state.diagnosis.evidence import Mark


def step(name: str, url: str, *, auth: str | None = "cli", method: str = "GET") -> Step:
    layer = "authorization" if auth else "control"
    return Step(name, layer, RequestTemplate(method, url), Expect(), auth=auth)


CHECK = ApiCheck(
    "cli",
    (
        step("whoami", "https://p.example/me"),
        step("apps", "https://i.example/{target}"),
        step("control", "https://c.example/", auth=None),
        step("order", "https://i.example/order", method="POST"),
        step("near", "https://{target.name}/near", auth=None),
        step("later", "https://{found}/more", auth=None),
    ),
    auth={"cli": JsonLoginAuth("https://id.example/login", {}, token="token")},
    timeout=10.0,
)
KEY = FlowKey("cli", "shop.example", "", "")
HUNG = Failure(Phase.WAIT, Reason.TIMEOUT, "no answer")
WRONG = Failure(Phase.EXPECT, Reason.STATUS, "answered 500")


def resolver(_key: FlowKey) -> Resolve:
    async def find(_host: str, _port: int) -> Resolution:
        raise AssertionError("nothing is asked here")

    return find


def scene(failure: Failure, *, slowest: float = 0.0, timeout: float = 10.0) -> FlowScene:
    own = Call("whoami", "p.example", "", KEPT, True, False, KEY.target, "", "")
    return FlowScene(
        KEY,
        replace(CHECK, timeout=timeout),
        {KEY: Target(KEY.target)},
        SeenCall(own, Mark.SILENT, failure),
        StepResult("whoami", "authorization", Failed(failure)),
        {(KEY, "whoami"): own},
        resolver,
        slowest=slowest,
    )


def test_calls_that_a_hanging_one_left_no_time_for_can_still_be_asked() -> None:
    trials = scene(HUNG).setting().trials
    others = {
        one.call.step: (one.change, one.call.host, one.call.token)
        for one in trials
        if one.change in (FlowChange.CALL, FlowChange.CONTROL)
    }
    assert others == {
        "apps": (FlowChange.CALL, "i.example", KEPT),
        "control": (FlowChange.CONTROL, "c.example", NONE),
        "near": (FlowChange.CONTROL, "shop.example", NONE),
    }  # nothing that may create something, and nothing whose host an earlier call gives


def test_a_login_is_made_for_a_call_where_no_token_was_seen() -> None:
    bare = replace(scene(WRONG), known={})
    trial = next(one for one in bare.setting().trials if one.call.step == "apps")
    assert (trial.call.token, trial.logs_in) == (NEW, True)


def test_what_a_rotating_refresh_token_pays_for_is_never_tried() -> None:
    """Each login uses the token up, and an experiment that is cut off would lose the next one."""
    secret = SecretRef("env", "REFRESH_TOKEN")
    rotating = OAuth2("refresh_token", "https://id.example/token", "id", refresh_token=secret)
    user = step("user", "https://i.example/{target}", auth="user")
    told = step("told", "https://c.example/", auth=None)
    header = RequestTemplate("GET", "https://c.example/", headers={"X-Token": "{auth.user}"})
    steps = (*CHECK.steps, user, replace(told, request=header))
    rotates = replace(CHECK, steps=steps, auth={**CHECK.auth, "user": rotating})
    names = {one.call.step for one in replace(scene(HUNG), check=rotates).setting().trials}
    assert {"whoami", "apps", "control"} <= names
    assert not names & {"user", "told"}


@pytest.mark.parametrize(
    ("method", "layer", "may"),
    [
        ("GET", "backend", True),
        ("POST", "token", True),
        ("POST", "backend", False),
        ("DELETE", "token", False),
        ("PUT", "token", False),
    ],
)
def test_a_call_that_may_change_something_is_not_repeated(
    method: str, layer: str, *, may: bool
) -> None:
    asked = replace(step("one", "https://p.example/", method=method), layer=layer)
    assert repeatable(asked) is may


def test_a_token_in_a_header_is_a_credential() -> None:
    request = RequestTemplate("GET", "https://p.example/", headers={"X-Token": "{auth.cli}"})
    asked = replace(step("one", "https://p.example/", auth=None), request=request)
    assert entry_of(asked, CHECK) == "cli"
    body = replace(request, headers={}, form={"token": "{auth.cli}"})
    assert entry_of(replace(asked, request=body), CHECK) is None, "it asks about it"


@pytest.mark.parametrize(
    ("failure", "slowest", "timeout", "patience"),
    [
        (WRONG, 0.1, 10.0, PATIENCE),
        (WRONG, 0.1, 3.0, 3.0),
        (HUNG, 0.1, 10.0, HANG),
        (HUNG, 1.0, 10.0, 3.0),  # calls that pass are slow: what takes as long does not hang
        (HUNG, 9.0, 10.0, PATIENCE),
        (HUNG, 9.0, 1.0, 1.0),
    ],
)
def test_a_call_that_hangs_is_not_waited_for_as_long_as_a_run_does(
    failure: Failure, slowest: float, timeout: float, patience: float
) -> None:
    assert scene(failure, slowest=slowest, timeout=timeout).patience == patience
