"""The examples that ship load as they stand, and are what their words say."""

from pathlib import Path

import pytest

from probe.config.loading import load
from probe.model.auth import JsonLoginAuth, OAuth2, SigV4
from probe.model.flow import ApiCheck, CommandStep, Step
from probe.model.spec import Spec, TlsCheck

CONFIG = Path(__file__).parents[2] / "config"
EXAMPLES = sorted([CONFIG / "probe.yaml", *(CONFIG / "examples").glob("*.yaml")])


def spec(name: str) -> Spec:
    return load(CONFIG / name, environ={})


def flow(name: str) -> ApiCheck:
    (check,) = spec(f"examples/{name}.yaml").checks
    assert isinstance(check, ApiCheck)
    return check


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_loads_without_secrets(path: Path) -> None:
    assert load(path, environ={}).checks


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_tells_editors_its_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    start, _, name = first.partition("$schema=")
    assert start == "# yaml-language-server: "
    assert (path.parent / name).resolve() == (CONFIG / "probe.schema.json").resolve()


def test_the_first_configuration_probes_every_store() -> None:
    found = spec("probe.yaml")
    assert found.region == "local", "an agent without a region does not start"
    assert {check.targets for check in found.checks} == {"stores"}
    assert found.targets["stores"].files[0].path == str(CONFIG / "targets/stores.yaml")


def test_the_migration_looks_at_the_new_cdn_before_dns_moves() -> None:
    found = spec("examples/migration.yaml")
    (check,) = found.checks
    assert isinstance(check, TlsCheck)
    assert check.providers == ("live", "cdn-a", "cdn-b")
    assert {target.name for target in found.targets["batch"].static} >= {"xn--bcher-kva.example"}
    assert set(found.providers["cdn-b"].dns.client_subnets) == {"sa-east", "eu-west"}


def test_the_vtex_flow_declares_the_layers_that_its_diagnosis_needs() -> None:
    check = flow("vtex-cli")
    calls = [step for step in check.steps if isinstance(step, Step)]
    assert [(step.name, step.layer, step.auth) for step in calls] == [
        ("control", "control", None),
        ("deny", "authorization", None),
        ("token-valid", "token", None),
        ("whoami", "authorization", "cli"),
        ("workspaces", "authorization", "cli"),
        ("apps", "authorization", "cli"),
        ("runtime", "backend", "cli"),
    ]
    assert isinstance(check.auth["cli"], JsonLoginAuth)
    assert [step.name for step in calls if step.deny] == ["deny"]
    assert check.user_agent == "Toolbelt/4.4.2"
    assert all(step.request.follow_redirects == 0 for step in calls)


def test_the_others_use_the_kinds_that_they_are_named_after() -> None:
    assert isinstance(flow("oauth2-client-credentials").auth["client"], OAuth2)
    assert isinstance(flow("aws").auth["signed"], SigV4)
    assert [persona.name for persona in flow("github-like-cli").personas] == [
        "developer",
        "anonymous",
    ]
    assert flow("store-journey").targets == "stores"


def test_a_pull_captures_its_token_and_sends_it_to_the_registry_alone() -> None:
    check = flow("container-registry")
    assert check.auth["pull"].hosts == ("registry.example",)
    calls = [step for step in check.steps if isinstance(step, Step)]
    assert [step.auth for step in calls] == [None, "robot", "pull", "pull"]
    assert [step.name for step in calls if step.deny] == ["deny"]


def test_kubernetes_is_asked_whether_the_account_may() -> None:
    calls = [step for step in flow("kubernetes").steps if isinstance(step, Step)]
    assert [(step.layer, step.auth) for step in calls] == [
        ("control", None),
        ("authorization", None),
        ("token", "account"),
        ("authorization", "account"),
        ("backend", "account"),
    ]


def test_every_example_of_a_flow_stands_in_the_page_about_flows() -> None:
    page = (CONFIG.parent / "docs/flows.md").read_text()
    flows = [path.name for path in EXAMPLES if "kind: api" in path.read_text()]
    assert {name for name in flows if f"](../config/examples/{name})" not in page} <= {"probe.yaml"}


def test_no_example_runs_programs_or_changes_anything() -> None:
    for path in EXAMPLES:
        for check in load(path, environ={}).checks:
            steps = check.steps if isinstance(check, ApiCheck) else ()
            assert not [step for step in steps if isinstance(step, CommandStep)]
            methods = {step.request.method for step in steps if isinstance(step, Step)}
            assert methods <= {"GET", "POST"}, path
