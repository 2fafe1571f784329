"""The table of diagnoses, row by row: which pattern names which layer, in a single run."""

from __future__ import annotations

import pytest

from probe.model.failure import Reason
from probe.model.flow import ApiCheck, Persona
from probe.model.result import Passed, Skipped
from probe.state.diagnosis import EITHER, diagnose

from . import diagnosis_world as w
from .diagnosis_world import AUTHORIZED, CHECK, NAMES, Ending, all_of

E500, E403, E401 = w.status(500), w.status(403), w.status(401)
E429 = w.status(429)

ROWS: list[tuple[str, dict[str, Ending], str]] = [
    ("all is well", {}, ""),
    # -- DNS, TCP or TLS fails: edge, per host
    ("no DNS anywhere", all_of(w.DNS, *NAMES), "edge"),
    ("one host refuses", {"apps": w.TCP}, "edge"),
    ("one host's certificate", all_of(w.CHAIN, "whoami", "workspaces", "deny"), "edge"),
    ("login host's TLS", all_of(w.TLS, "login") | all_of(w.SKIPPED, *AUTHORIZED), "edge"),
    # -- control and all authenticated calls give 502-504, time out or say so: router
    ("502 everywhere", all_of(w.status(502), "control", *AUTHORIZED), "router"),
    ("503 and denials too", all_of(w.status(503), "control", "deny", *AUTHORIZED), "router"),
    ("504 here, silence there", {
        "control": w.status(504), "whoami": w.SILENT, "workspaces": w.SILENT, "apps": w.CUT,
    }, "router"),
    ("routing_error", all_of(w.ROUTING, "control", *AUTHORIZED), "router"),
    ("ProxyTimeout", all_of(w.PROXY, "control", *AUTHORIZED), "router"),
    ("silence but for a cached control", all_of(w.SILENT, "deny", *AUTHORIZED), "router"),
    ("500 for everybody, strangers too", all_of(E500, "control", "deny", *AUTHORIZED), "router"),
    # -- login fails, authenticated calls pass with a cached token: login
    ("login 500", {"login": w.LOGIN_DOWN}, "login"),
    ("login silent", {"login": w.LOGIN_SLOW}, "login"),
    ("login gives HTML", {"login": w.LOGIN_HTML}, "login"),
    ("login limits", {"login": w.LIMITED}, "login"),
    ("login down, no token left", all_of(w.LOGIN_DOWN, "login")
        | all_of(w.SKIPPED, "token_valid", *AUTHORIZED), "login"),
    ("identity down as a whole", all_of(E500, "login", "token_valid"), "login"),
    # -- login passes, nobody takes the token: token validation
    ("401 everywhere", all_of(E401, *AUTHORIZED), "token"),
    ("validation says no", {"token_valid": w.WRONG_BODY}, "token"),
    ("validation down, calls 401", all_of(E401, *AUTHORIZED) | {"token_valid": E500}, "token"),
    # -- 500 or 403 on both backends: authorization
    ("2023-06-12", all_of(E500, *AUTHORIZED), "authorization"),
    ("403 instead", all_of(E403, *AUTHORIZED), "authorization"),
    ("mixed", {"whoami": E500, "workspaces": E403, "apps": E500}, "authorization"),
    ("one of each backend", all_of(E500, "whoami", "apps"), "authorization"),
    ("authorized calls time out", all_of(w.SILENT, *AUTHORIZED), "authorization"),
    ("deep: control 500 too", all_of(E500, "control", *AUTHORIZED), "authorization"),
    # -- 502-504 on every backend, while strangers are refused: what lies behind authorization
    ("all backends 503", all_of(w.status(503), *AUTHORIZED), "backend"),
    ("all backends 502, one silent", all_of(w.status(502), "whoami", "workspaces")
        | {"apps": w.SILENT}, "backend"),
    ("both kinds of backend 504", all_of(w.status(504), "workspaces", "apps"), "backend"),
    ("the router's code for all", all_of(w.ROUTING, *AUTHORIZED), "backend"),
    # -- 401 to good tokens here and there
    ("401 on two backends", all_of(E401, "workspaces", "apps"), "token"),
    # -- 429: nothing was reached
    ("429 on all authorized calls", all_of(E429, *AUTHORIZED), "rate limit"),
    ("429 on one", {"apps": E429}, "rate limit"),
    ("429 for everybody", all_of(E429, "control", *AUTHORIZED), "rate limit"),
    ("429 here, 500 there", {"whoami": E429, "workspaces": E429, "apps": E500}, "backend"),
    # -- a web page with status 200
    ("a login page for everybody", all_of(w.PAGE, "control", *AUTHORIZED)
        | {"deny": w.PAGE_FOR_STRANGERS}, "router"),
    ("a login page for strangers", {"deny": w.PAGE_FOR_STRANGERS}, "authorization"),
    # -- one host's or one step's call fails: that backend
    ("apps only", {"apps": E500}, "backend"),
    ("apps gateway", {"apps": w.status(502)}, "backend"),
    ("apps wrong body", {"apps": w.WRONG_BODY}, "backend"),
    ("both calls to P", all_of(E500, "whoami", "workspaces"), "backend"),
    ("one step of P", {"workspaces": E500}, "backend"),
    # -- a call that must be refused succeeds
    ("open", {"deny": w.status(200)}, "authorization"),
    ("open, and all else broken", all_of(E500, *AUTHORIZED) | {"deny": w.status(204)},
        "authorization"),
    # -- ours
    ("secret missing", {"login": w.ours(Reason.SECRET_MISSING)}
        | all_of(w.SKIPPED, *AUTHORIZED), "inconclusive"),
    ("credentials refused", {"login": w.ours(Reason.CREDENTIALS_REFUSED)}, "inconclusive"),
    ("clock off", {"login": w.ours(Reason.CLOCK_OFF)}, "inconclusive"),
    ("ours, and the control call fails", {"login": w.ours(Reason.SECRET_MISSING),
        "control": E500} | all_of(w.SKIPPED, *AUTHORIZED), "control"),
    # -- no row: the outermost failing layer
    ("control alone", {"control": w.WRONG_BODY}, "control"),
    ("denials alone broken", {"deny": E500}, "authorization"),
]  # fmt: skip


@pytest.mark.parametrize(("endings", "layer"), [row[1:] for row in ROWS], ids=[r[0] for r in ROWS])
def test_a_pattern_names_its_layer(endings: dict[str, Ending], layer: str) -> None:
    diagnosis = diagnose(CHECK, None, [w.run(endings)])
    assert diagnosis.layer == layer
    stranger = endings.get("deny", w.OK)
    opened = "deny" in endings and stranger[1] in {200, 204} and stranger != w.PAGE_FOR_STRANGERS
    assert diagnosis.fails_open == opened
    assert bool(diagnosis.why) == bool(layer)
    bad = {name for name, ending in endings.items() if not isinstance(ending[0], Skipped)}
    if layer not in {"", "inconclusive"}:
        assert set(diagnosis.steps) <= bad
        assert diagnosis.steps


@pytest.mark.parametrize(
    ("endings", "backend"),
    [
        ({"apps": E500}, w.INFRA),
        (all_of(E500, "whoami", "workspaces"), w.P),
        ({"apps": w.TCP}, w.INFRA),
        (all_of(E500, *AUTHORIZED), ""),
    ],
)
def test_one_backend_is_named(endings: dict[str, Ending], backend: str) -> None:
    assert diagnose(CHECK, None, [w.run(endings)]).backend == backend


def test_no_runs_say_nothing() -> None:
    assert diagnose(CHECK, None, []).healthy


def test_a_rate_limit_says_who_limits() -> None:
    one = diagnose(CHECK, None, [w.run({"apps": E429})])
    assert one.backend == w.INFRA
    assert f"{w.INFRA} limits the rate of calls" in one.why
    assert w.P in diagnose(CHECK, None, [w.run(all_of(E429, *AUTHORIZED))]).why


def test_without_a_denial_503_everywhere_behind_is_left_open() -> None:
    check = w.without(CHECK, "deny")
    run = w.run(all_of(w.status(503), *AUTHORIZED), check=check)
    assert diagnose(check, None, [run]).layer == EITHER


def test_without_a_control_call_silence_everywhere_is_the_router() -> None:
    check = w.without(CHECK, "control", "deny")
    run = w.run(all_of(w.status(503), *AUTHORIZED), check=check)
    assert diagnose(check, None, [run]).layer == "router"


def test_with_one_backend_only_a_control_call_still_tells_authorization() -> None:
    check = w.without(CHECK, "apps")
    run = w.run(all_of(E500, "whoami", "workspaces"), check=check)
    assert diagnose(check, None, [run]).layer == "authorization"


def test_a_persona_that_must_be_refused_and_is_not_fails_open() -> None:
    persona = Persona("wrong-scope", expect_denied=("apps",))
    endings = all_of((Passed(), 403, ""), "apps")
    assert diagnose(CHECK, persona, [w.run(endings, persona=persona)]).healthy
    opened = diagnose(CHECK, persona, [w.run({"apps": w.status(200)}, persona=persona)])
    assert opened.fails_open
    assert opened.steps == ("apps",)


def test_layers_of_ones_own_are_named_outermost_first() -> None:
    steps = (
        w.step("page", "home", w.A),
        w.step("find", "search", w.A),
        w.step("buy", "cart", w.INFRA),
    )
    check = ApiCheck("journey", steps, layers=("home", "search", "cart"))
    failing = w.run({"find": E500, "buy": E500}, check=check)
    assert diagnose(check, None, [failing]).layer == "search"
    assert diagnose(check, None, [w.run({"buy": w.SILENT}, check=check)]).layer == "cart"
