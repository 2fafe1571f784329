"""What page, API and metrics say of causes: while the failure stands, and never in its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest

from probe.model.cause import Cause, Change, Experiment, Investigation, Observed
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed
from probe.model.state import EdgeStatus
from probe.model.target import EdgeKey
from probe.serve import Store
from probe.serve.page.html import status_page, target_page
from probe.serve.page.status import status_of
from probe.serve.page.target_view import target_view
from probe.serve.page.views import ProblemView
from tests.support.reading import exposed

from .test_page import EVIL, NOW, Seen
from .world import START, UNRECOGNIZED, World, filled, missing_certificate

BECAUSE = (
    "198.51.52.1:443, 198.51.52.2:443 of cdn-b have no valid certificate for "
    "store-00000.example, store-00001.example, store-00002.example and 6 more"
)


def problem(store: Store) -> ProblemView:
    """The one problem of the store."""
    (found,) = status_of(store, NOW).problems
    return found


def page(store: Store) -> str:
    return status_page(status_of(store, NOW))


def series(store: Store) -> list[str]:
    """Samples of causes, without the labels that all have."""
    return [line for line in exposed(store).splitlines() if line.startswith("probe_edge_cause{")]


def failing_keys(store: Store) -> list[EdgeKey]:
    (found,) = store.causes.current()
    return list(found[1])


def test_page_api_and_metrics_say_the_cause() -> None:
    store = filled(cli_broken=False)
    (cause,) = problem(store).causes
    assert cause.cause == "certificate_missing"
    assert cause.because.startswith(BECAUSE)
    said = page(store)
    assert f"<strong>Because:</strong> {BECAUSE}" in said
    assert "another domain on the same edge" in said
    assert "failed in the same way</span> × 4" in said
    assert "2 experiments and what regular attempts showed" in said
    view = target_view(store, "store-00003.example", NOW)
    assert view is not None
    assert target_page(view).count(BECAUSE) == 2  # once an edge
    (first, *_) = json.loads(json.dumps(asdict(problem(store))))["causes"]
    assert first["experiments"][1]["seen"] == "passed"
    assert series(store) == [
        'probe_edge_cause{cause="certificate_missing",check="stores",provider="cdn-b",'
        'region="sa-east"} 2.0'
    ]
    counted = 'probe_agent_investigations_total{cause="certificate_missing",check="stores"'
    assert counted in exposed(store)


def recover(store: Store) -> None:
    world = World()
    for key in failing_keys(store):
        store.record_edge(world.result(key), EdgeStatus.PASSING, START + 60.0)


def fail_otherwise(store: Store) -> None:
    world, other = World(), Failed(Failure(Phase.CONNECT, Reason.REFUSED))
    for key in failing_keys(store):
        store.record_edge(world.result(key, other), EdgeStatus.FAILING, START)


def vanish(store: Store) -> None:
    store.forget(failing_keys(store))


def switch_off(store: Store) -> None:
    store.causes.switch(on=False)
    store.causes.record(missing_certificate(store))


@pytest.mark.parametrize("change", [recover, fail_otherwise, vanish, switch_off])
def test_a_cause_goes_with_what_it_explains(change: Callable[[Store], None]) -> None:
    store = filled(cli_broken=False)
    change(store)
    assert "Because" not in page(store)
    assert series(store) == []
    assert not any(edge.cause or edge.because for edge in status_of(store, NOW).edges)


def test_what_recovers_and_fails_again_has_no_cause_until_it_is_found_again() -> None:
    store, world = filled(cli_broken=False), World()
    keys = failing_keys(store)
    recover(store)
    for key in keys:
        store.record_edge(world.result(key, Failed(UNRECOGNIZED)), EdgeStatus.FAILING, NOW)
    assert problem(store).causes == ()
    store.causes.record(missing_certificate(store))
    assert [one.cause for one in problem(store).causes] == ["certificate_missing"]


def test_the_others_keep_their_cause_when_some_recover() -> None:
    store, world = filled(cli_broken=False), World()
    for key in failing_keys(store):
        if key.edge.endswith(".1:443"):
            store.record_edge(world.result(key), EdgeStatus.PASSING, NOW)
    assert series(store)[0].endswith(" 1.0")
    assert len(problem(store).causes) == 1


def test_an_edge_that_nobody_looks_at_has_no_cause() -> None:
    now = [0.0]
    store = filled(cli_broken=False, store=Store("sa-east", started_at=START, clock=lambda: now[0]))
    for key in failing_keys(store):
        store.expect(key, 15.0)
    now[0] = 1e5
    for _ in store.sweep():
        pass
    assert problem(store).unseen > 0
    assert problem(store).causes == ()
    assert series(store) == []


def test_it_is_said_that_experiments_are_under_way_and_that_they_found_nothing() -> None:
    store = filled(cli_broken=False)
    store.causes.switch(on=False)
    store.causes.switch(on=True)
    key = EdgeKey("stores", "store-00000.example", "cdn-b", "198.51.52.1:443", "default")
    with store.causes.investigating(key, UNRECOGNIZED):
        assert problem(store).investigating
        assert "Investigating by experiments what this depends on." in page(store)
        store.causes.switch(on=False)
        assert not problem(store).investigating
        store.causes.switch(on=True)
    assert not problem(store).investigating
    assert "Investigating" not in page(store)
    with pytest.raises(RuntimeError), store.causes.investigating(key, UNRECOGNIZED):
        raise RuntimeError
    assert not problem(store).investigating
    left = (Cause.EDGE, Cause.ONLY_TLS13)
    unclear = replace(missing_certificate(store), cause=Cause.UNDETERMINED, left=left)
    store.causes.record(unclear)
    said = page(store)
    assert "The cause could not be determined (left: edge, only_tls13)." in said
    assert "Because" not in said
    assert 'cause="undetermined"' in series(store)[0]


def test_a_suspicion_has_no_cause() -> None:
    store, world = filled(broken_targets=0, cli_broken=False), World()
    key = world.key("store-00003.example")
    store.record_edge(world.result(key, Failed(UNRECOGNIZED)), EdgeStatus.SUSPECT, START)
    with store.causes.investigating(key, UNRECOGNIZED):
        assert not problem(store).investigating


def test_a_crash_costs_the_cause_and_never_the_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(cli_broken=False)
    told: list[str] = []
    store.agent.on_defect = lambda loop, _: told.append(loop)
    store.record_edge(
        World().result(failing_keys(store)[0], Failed(UNRECOGNIZED)), EdgeStatus.FAILING, START
    )

    def broken(*_: object) -> bool:
        raise ValueError

    for name in ("explaining", "of", "counted"):
        monkeypatch.setattr(store.causes, name, broken)
    assert problem(store).targets_total == 9
    assert "the edge does not know this name" in page(store)
    view = target_view(store, "store-00000.example", NOW)
    assert view is not None
    assert "alert_unrecognized_name" in target_page(view)
    assert 'probe_provider_edges_failing{check="stores",provider="cdn-b",' in exposed(store)
    assert set(told) == {"report"}


def test_hostile_names_stay_text() -> None:
    store, world = Store("sa-east", started_at=START), World()
    key = EdgeKey("stores", f"{EVIL}{{domains}}", f"cdn{EVIL}", "192.0.2.1:443", EVIL)
    expired = Failure(Phase.CERTIFICATE, Reason.EXPIRED, EVIL)
    store.record_edge(world.result(key, Failed(expired)), EdgeStatus.FAILING, START)
    evil = Experiment(Change.DOMAIN, EVIL, EVIL, EVIL, EVIL, Observed.OTHER, EVIL)
    store.causes.record(
        Investigation(
            Cause.DOMAIN_ON_EDGE,
            *(key, expired, START, START),
            (evil,),
            domains=(EVIL, "\udcff\x1b[31m\u202e"),
            edges=(EVIL,),
            keys=frozenset({key}),
        )
    )
    view = target_view(store, key.target, NOW)
    assert view is not None
    for text in (page(store), target_page(view)):
        text.encode()
        seen = Seen()
        seen.feed(text)
        assert "Because" in text
        assert seen.tags.count("script") == 1
        assert "img" not in seen.tags
        assert seen.unclosed == []
        assert not set(text) & set("\x1b\u202e\udcff")


AUTHORIZATION = (
    "the authorization layer answers 500 to every authenticated call: calls without a token and "
    "the login itself pass"
)


def test_page_api_and_metrics_say_why_a_flow_fails() -> None:
    store = filled(targets=1, broken_targets=0)
    flow = status_of(store, NOW).flows[0]
    assert (flow.cause, flow.because, flow.spent) == ("authorization", AUTHORIZATION, 3)
    said = page(store)
    assert f"<strong>Because:</strong> {AUTHORIZATION}." in said
    assert "without a token" in said
    assert "3 experiments and what regular runs showed" in said
    assert "whoami of platform.example at 203.0.113.9:443 as developer, new token" in said
    view = target_view(store, "developer-cli", NOW)
    assert view is not None
    assert AUTHORIZATION in target_page(view)
    told = json.loads(json.dumps(asdict(flow)))["experiments"]
    assert [one["change"] for one in told] == ["same_call", "no_token", "new_token"]
    lines = [line for line in exposed(store).splitlines() if line.startswith("probe_flow_cause{")]
    (line,) = lines
    assert 'cause="authorization"' in line
    assert line.endswith(" 1.0")


def test_a_flow_under_investigation_says_so_and_one_switched_off_says_nothing() -> None:
    store = filled(targets=1, broken_targets=0)
    ((_, key),) = store.flow_causes.current()
    store.flow_causes.recovered(key)
    with store.flow_causes.investigating(key):
        assert "Investigating by experiments what this depends on" in page(store)
    assert "Because" not in page(store)
    store = filled(targets=1, broken_targets=0)
    store.flow_causes.switch(on=False)
    assert "Because" not in page(store)
    assert "probe_flow_cause{" not in exposed(store)
