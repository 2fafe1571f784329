"""Nothing claims health that nobody has looked at: series, page and JSON, in virtual time."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Inconclusive, Outcome, ResolveResult
from probe.model.spec import Spec
from probe.model.state import Diagnosis, EdgeStatus, Transition
from probe.model.target import EdgeKey, FlowKey, ProviderKey, Resolution, Target
from probe.serve import CertificatesKey, CertificateSplit, Store
from probe.serve.page.html import status_page, target_page
from probe.serve.page.standing import Level
from probe.serve.page.status import status_of
from probe.serve.page.target_view import target_view
from tests.support.reading import everything, series, value

from .world import DENIED, START, UNRECOGNIZED, World, flow_result, spec

NAME = "shop.example"
OURS = Failure(Phase.AUTH, Reason.SECRET_MISSING, "env:TOKEN is not set")
NAMELESS = Failure(Phase.RESOLVE, Reason.NXDOMAIN)
FLOW = FlowKey("developer-cli", "developer-cli", "live", "developer")
HEALTHY = ("probe_success", "probe_edge_up", "probe_flow_up", "probe_step_success",
           "probe_resolve_success")  # fmt: skip


class Watched:
    """A store whose time is the test's, with one target behind two addresses and one flow."""

    def __init__(self, *, config: Spec | None = None) -> None:
        self.now = 0.0
        self.told: list[Transition] = []
        self.store = Store(
            "sa-east",
            started_at=START,
            clock=lambda: self.now,
            wall=lambda: START + self.now,
            on_silence=self.told.append,
        )
        self.world = World()
        self.store.configure(config or spec())
        self.store.set_targets("stores", [Target(NAME)])
        self.store.set_targets("developer-cli", [Target("developer-cli")])
        self.through = ProviderKey("stores", NAME, "cdn-a")
        self.one, self.two = (self.world.key(NAME, number=number) for number in (1, 2))
        for key in (self.one, self.two):
            self.store.expect(key, 30.0)

    def edge(
        self,
        key: EdgeKey,
        outcome: Outcome | None = None,
        status: EdgeStatus = EdgeStatus.PASSING,
    ) -> None:
        self.world.at = START + self.now
        self.store.record_edge(self.world.result(key, outcome), status, START)

    def flow(
        self, key: FlowKey = FLOW, failing: tuple[str, ...] = (), *, ours: bool = False
    ) -> None:
        result = flow_result(key, START + self.now, failing)
        if ours:
            result = replace(result, outcome=Inconclusive(OURS), steps=())
        blame = "inconclusive" if ours else "authorization" if failing else ""
        status = EdgeStatus.FAILING if failing else EdgeStatus.PASSING
        if ours:
            status = EdgeStatus.UNKNOWN
        self.store.record_flow(result, Diagnosis(blame, "why", failing), status, START + self.now)

    def flow_of(
        self, key: FlowKey, outcome: Outcome, status: EdgeStatus, *, fails_open: bool = False
    ) -> None:
        result = replace(flow_result(key, START + self.now), outcome=outcome)
        blame = "inconclusive" if isinstance(outcome, Inconclusive) else ""
        diagnosis = Diagnosis(blame, "why", fails_open=fails_open)
        self.store.record_flow(result, diagnosis, status, START + self.now)

    def resolved(self, failure: Failure | None = None, *, edges: int = 2) -> None:
        known = tuple(self.world.edge("cdn-a", number) for number in range(1, edges + 1))
        resolution = Resolution(known, failure, ttl=60.0, seconds=0.01)
        self.store.record_resolution(ResolveResult(self.through, START + self.now, resolution))

    def sentence(self) -> str:
        return status_of(self.store, START + self.now).sentence

    def claims(self) -> list[str]:
        """Series that say that something is well now."""
        return [
            f"{one.name}{one.labels}"
            for one in everything(self.store)
            if (one.name in HEALTHY and one.value == 1.0)
            or one.labels.get("state") == "passing"
            or one.labels.get("layer") == "none"
            or (one.name == "probe_flow_fails_open" and one.value == 0.0)
        ]


@pytest.fixture
def it() -> Watched:
    return Watched()


def test_an_edge_that_gives_no_result_leaves_passing_after_three_intervals(it: Watched) -> None:
    it.edge(it.one)
    it.edge(it.two)
    assert value(it.store, "probe_success") == 1.0
    it.now = 89.0
    it.edge(it.two)
    assert value(it.store, "probe_success") == 1.0
    assert status_of(it.store, START + 89).level is Level.OK
    it.now = 90.0
    assert value(it.store, "probe_success") is None
    assert value(it.store, "probe_edge_state", edge=it.one.edge, state="unseen") == 1.0
    assert value(it.store, "probe_edge_up", edge=it.one.edge) is None
    assert value(it.store, "probe_edge_handshake_seconds", edge=it.one.edge) is None
    assert value(it.store, "probe_edge_tls_info", edge=it.one.edge) is None
    since = "probe_edge_unseen_since_timestamp_seconds"
    assert value(it.store, since, edge=it.one.edge) == START
    assert value(it.store, "probe_edge_up", edge=it.two.edge) == 1.0
    assert value(it.store, "probe_target_edges") == 2.0
    assert value(it.store, "probe_target_edges_unseen") == 1.0
    assert value(it.store, "probe_provider_results_missing") == 1.0
    assert value(it.store, "probe_provider_results_expected") == 2.0
    assert value(it.store, "probe_provider_targets_unseen") == 1.0
    assert value(it.store, "probe_edge_attempts_total", edge=it.one.edge) == 1.0
    it.edge(it.one)
    assert value(it.store, "probe_success") == 1.0, "seen again"
    assert value(it.store, "probe_provider_results_missing") == 0.0
    assert not series(it.store, since)


def test_all_edges_fail_only_when_all_were_looked_at(it: Watched) -> None:
    """Of a target of which one edge fails and others are awaited or unseen, nobody knows."""
    other = ProviderKey("stores", NAME, "cdn-b")
    it.store.expect(other, 30.0)
    it.resolved()

    def failing_of() -> tuple[float | None, float | None]:
        it.edge(it.one, Failed(UNRECOGNIZED), EdgeStatus.FAILING)
        of = value(it.store, "probe_target_edges")
        return value(it.store, "probe_target_edges_failing"), of

    assert failing_of() == (1.0, 3.0), "one edge and one provider's answer are awaited"
    third = it.world.key(NAME, "cdn-b")
    it.store.record_resolution(it.world.resolved(other, [it.world.edge("cdn-b", 1)]))
    it.store.expect(third, 30.0)
    assert value(it.store, "probe_target_edges") == 3.0, "its edge is awaited from the answer on"
    it.edge(it.two)
    it.edge(third)
    assert failing_of() == (1.0, 3.0)
    it.now = 100.0
    assert failing_of() == (1.0, 3.0), "two fell silent while they passed"
    assert value(it.store, "probe_target_edges_unseen") == 2.0
    it.edge(it.two, Failed(UNRECOGNIZED), EdgeStatus.FAILING)
    it.edge(third, Failed(UNRECOGNIZED), EdgeStatus.FAILING)
    assert failing_of() == (3.0, 3.0)


def test_dates_stay_that_do_not_depend_on_looking(it: Watched) -> None:
    it.edge(it.one)
    it.edge(it.two)
    expiry = value(it.store, "probe_ssl_earliest_cert_expiry")
    assert expiry is not None
    it.now = 3600.0
    assert value(it.store, "probe_ssl_earliest_cert_expiry") == expiry
    assert len(series(it.store, "probe_edge_certificate_not_after_timestamp_seconds")) == 2
    assert not it.claims()
    assert not series(it.store, "probe_ip_protocol")
    assert not series(it.store, "probe_target_edges")
    assert not series(it.store, "probe_provider_targets_failing")


@pytest.mark.parametrize("status", [EdgeStatus.FAILING, EdgeStatus.FLAPPING, EdgeStatus.SUSPECT])
def test_what_fails_goes_on_failing_when_nobody_looks(it: Watched, status: EdgeStatus) -> None:
    it.edge(it.one, Failed(UNRECOGNIZED), status)
    it.edge(it.two)
    it.now = 30.0
    it.edge(it.one, Inconclusive(OURS), status)
    it.now = 10_000.0
    it.edge(it.one, Inconclusive(OURS), status)
    assert value(it.store, "probe_edge_state", edge=it.one.edge, state=status.value) == 1.0
    assert value(it.store, "probe_edge_state", edge=it.two.edge, state="unseen") == 1.0
    since = "probe_edge_unseen_since_timestamp_seconds"
    assert value(it.store, since, edge=it.one.edge) == START
    confirmed = status is not EdgeStatus.SUSPECT
    assert value(it.store, "probe_success") == (0.0 if confirmed else None)
    assert value(it.store, "probe_provider_targets_failing") == float(confirmed)
    assert value(it.store, "probe_target_edges_failing") == float(confirmed)
    assert not it.claims()
    view = status_of(it.store, START + it.now)
    assert view.problems[0].unseen == 1
    if confirmed:
        assert view.level is Level.TROUBLE
        assert "(1 no result since 14:13:20 UTC)" in view.sentence
    page = target_view(it.store, NAME, START + it.now)
    assert page is not None
    assert "no result since" in target_page(page)


def test_the_last_seen_failure_without_a_later_result_fails_too(it: Watched) -> None:
    it.edge(it.one, Failed(UNRECOGNIZED), EdgeStatus.FAILING)
    it.now = 1000.0
    assert value(it.store, "probe_edge_up", edge=it.one.edge) == 0.0
    assert value(it.store, "probe_success") == 0.0


def test_only_inconclusive_results_are_no_results(it: Watched) -> None:
    for it.now in range(0, 90, 30):
        it.edge(it.one, Inconclusive(OURS), EdgeStatus.UNKNOWN)
    assert value(it.store, "probe_edge_state", edge=it.one.edge, state="unknown") == 1.0
    assert value(it.store, "probe_success") is None
    it.now = 90.0
    it.edge(it.one, Inconclusive(OURS), EdgeStatus.UNKNOWN)
    assert value(it.store, "probe_edge_state", edge=it.one.edge, state="unseen") == 1.0
    it.now = 120.0
    it.edge(it.one, Inconclusive(OURS), EdgeStatus.PASSING)
    assert value(it.store, "probe_edge_state", edge=it.one.edge, state="unseen") == 1.0
    assert not it.claims()


def test_what_was_never_looked_at_is_unseen_after_its_grace(it: Watched) -> None:
    it.store.expect(it.through, 60.0)
    it.store.expect(FLOW, 30.0)
    assert it.sentence() == "No results yet: 2 edges, 1 flow and 1 name to check"
    it.now = 180.0
    assert value(it.store, "probe_edge_state", edge=it.two.edge, state="unseen") == 1.0
    assert value(it.store, "probe_flow_state", state="unseen") == 1.0
    assert value(it.store, "probe_flow_unseen_since_timestamp_seconds") == START
    assert value(it.store, "probe_resolve_unseen_since_timestamp_seconds") == START
    assert value(it.store, "probe_provider_results_missing", provider="cdn-a") == 3.0
    assert value(it.store, "probe_provider_results_missing", provider="live") == 1.0
    assert not series(it.store, "probe_success")
    view = status_of(it.store, START + 180)
    assert view.level is Level.UNSURE
    everything_unseen = "2 edges, 1 flow and 1 name since 14:13:20 UTC or later"
    assert view.sentence == f"No result for {everything_unseen}"
    page = target_view(it.store, NAME, START + 180)
    assert page is not None
    assert [edge.state for edge in page.edges] == ["unseen", "unseen"]
    assert page.level is Level.UNSURE
    assert page.sentence.startswith("No result for 2 edges and 1 name since ")
    target_page(page)
    it.store.forget([it.one, it.two, it.through, FLOW])
    assert not [one for one in everything(it.store) if "unseen" in one.name and one.value]
    assert not it.store.targets


def test_a_target_passes_only_once_all_of_it_was_looked_at(it: Watched) -> None:
    it.store.expect(it.through, 60.0)
    it.resolved()
    it.edge(it.one)
    assert value(it.store, "probe_success") is None, "one of two edges"
    assert status_of(it.store, START).level is Level.UNSURE
    assert it.sentence() == "1 of 2 edges checked so far, it passes"
    it.edge(it.two)
    assert value(it.store, "probe_success") == 1.0
    three = it.world.key(NAME, number=3)
    it.store.expect(three, 30.0)
    it.edge(it.one)
    assert value(it.store, "probe_success") == 1.0, "an address that rotates in has its time"
    it.now = 90.0
    it.edge(it.one)
    it.edge(it.two)
    assert value(it.store, "probe_success") is None


def test_a_flow_that_gives_no_result(it: Watched) -> None:
    it.store.expect(FLOW, 30.0)
    it.flow()
    assert value(it.store, "probe_flow_diagnosis", layer="none") == 1.0
    it.now = 90.0
    assert not it.claims()
    for name in ("probe_flow_duration_seconds", "probe_step_status_code", "probe_http_status_code",
                 "probe_step_duration_seconds", "probe_flow_degraded"):  # fmt: skip
        assert not series(it.store, name), name
    assert value(it.store, "probe_flow_state", state="unseen") == 1.0
    assert value(it.store, "probe_flow_runs_total") == 1.0
    page = status_page(status_of(it.store, START + 90))
    assert "No result since" in page


def test_a_flow_that_failed_goes_on_failing(it: Watched) -> None:
    it.store.expect(FLOW, 30.0)
    it.flow(failing=("whoami",))
    it.now = 1000.0
    assert value(it.store, "probe_flow_state", state="failing") == 1.0
    assert value(it.store, "probe_flow_diagnosis", layer="authorization") == 1.0
    assert value(it.store, "probe_flow_up") == 0.0
    assert value(it.store, "probe_success", check="developer-cli") == 0.0
    assert value(it.store, "probe_step_success", step="whoami") == 0.0
    assert value(it.store, "probe_step_status_code", step="whoami") == 500.0
    assert not series(it.store, "probe_step_success", step="login")
    assert not it.claims()
    page = status_page(status_of(it.store, START + 1000))
    assert "Last seen failing at" in page
    it.now = 1030.0
    it.flow(ours=True)
    assert value(it.store, "probe_flow_diagnosis", layer="inconclusive") == 1.0


def test_a_flow_that_fails_open_goes_on_doing_so(it: Watched) -> None:
    it.store.expect(FLOW, 30.0)
    result = flow_result(FLOW, START, ("deny",), DENIED)
    it.store.record_flow(result, Diagnosis("", "", (), fails_open=True), EdgeStatus.SUSPECT, START)
    it.now = 1000.0
    assert value(it.store, "probe_flow_fails_open") == 1.0


def test_personas_are_not_called_alike_when_one_is_not_looked_at(it: Watched) -> None:
    other = FLOW._replace(persona="internal")
    for key in (FLOW, other):
        it.store.expect(key, 30.0)
        it.flow(key)
    assert value(it.store, "probe_flow_personas_diverge") == 0.0
    it.now = 90.0
    it.flow(other)
    assert value(it.store, "probe_flow_personas_diverge") is None
    it.flow()
    assert value(it.store, "probe_flow_personas_diverge") == 0.0
    it.flow(other, ("whoami",))
    assert value(it.store, "probe_flow_personas_diverge") == 1.0
    it.now = 1000.0
    assert value(it.store, "probe_flow_personas_diverge") == 1.0


def test_certificates_are_not_called_alike_when_an_edge_is_not_looked_at(it: Watched) -> None:
    key = CertificatesKey("stores", NAME, "cdn-a", "ecdsa")
    it.edge(it.one)
    it.edge(it.two)
    it.store.record_split(CertificateSplit(key, 1))
    assert value(it.store, "probe_certificates_split") == 0.0
    it.now = 90.0
    it.edge(it.two)
    assert value(it.store, "probe_certificates_split") is None
    it.edge(it.one)
    assert value(it.store, "probe_certificates_split") == 0.0
    it.store.record_split(CertificateSplit(key, 2, (it.one,), START, alarming=True))
    it.now = 1000.0
    assert value(it.store, "probe_certificates_split") == 1.0, "silence ends no ticket"


def test_a_name_that_nobody_asks_for(it: Watched) -> None:
    it.store.expect(it.through, 60.0)
    it.resolved()
    it.edge(it.one)
    it.edge(it.two)
    it.now = 180.0
    it.edge(it.one)
    it.edge(it.two)
    assert value(it.store, "probe_success") == 1.0, "its edges are known and pass"
    assert value(it.store, "probe_resolve_success") is None
    assert value(it.store, "probe_resolve_edges") is None
    assert value(it.store, "probe_resolve_attempts_total") == 1.0
    assert status_of(it.store, START + 180).level is Level.UNSURE
    page = target_view(it.store, NAME, START + 180)
    assert page is not None
    assert "not asked since" in target_page(page)
    it.resolved(Failure(Phase.RESOLVE, Reason.VANTAGE_ILL))
    assert value(it.store, "probe_provider_results_missing") == 1.0, "our own fault asks nobody"
    it.resolved()
    assert value(it.store, "probe_resolve_success") == 1.0
    assert value(it.store, "probe_provider_results_missing") == 0.0


def test_a_name_without_an_address_goes_on_having_none(it: Watched) -> None:
    it.store.expect(it.through, 60.0)
    it.resolved(NAMELESS, edges=0)
    it.now = 1000.0
    it.resolved(Failure(Phase.RESOLVE, Reason.VANTAGE_ILL), edges=0)
    assert value(it.store, "probe_resolve_edges") == 0.0
    assert value(it.store, "probe_provider_targets_failing") == 1.0


def test_thousands_fall_silent_with_one_word(it: Watched) -> None:
    keys = [it.world.key(NAME, number=number) for number in range(1, 200)]
    for key in keys:
        it.store.expect(key, 30.0)
        it.edge(key)
    it.now = 500.0
    assert sum(1 for _ in it.store.sweep()) >= len(keys)
    assert [(change.before, change.after) for change in it.told] == [("passing", "unseen")]
    assert it.told[0].since == START
    assert it.told[0].at == START + 500.0
    for key in keys:
        it.edge(key)
    assert [change.after for change in it.told] == ["unseen", "passing"]


def test_a_reload_that_drops_a_check_leaves_no_silence(it: Watched) -> None:
    it.edge(it.one)
    config = spec()
    it.store.configure(replace(config, checks=config.checks[1:]))
    it.store.forget([it.one, it.two])
    it.now = 1000.0
    assert not series(it.store, "probe_provider_results_missing")
    assert not it.store.silence.unseen


def test_thin_series_still_name_what_nobody_looks_at() -> None:
    it = Watched(config=spec(edge_series="failing"))
    it.edge(it.one)
    it.edge(it.two)
    assert not series(it.store, "probe_edge_state")
    it.now = 90.0
    assert len(series(it.store, "probe_edge_state", state="unseen")) == 2


def test_the_api_says_it_too(it: Watched) -> None:
    it.edge(it.one)
    it.now = 90.0
    list(it.store.sweep())
    status = status_of(it.store, START + 90)
    told = json.loads(json.dumps(asdict(status)))
    assert told["totals"]["unseen"] == 2
    assert told["unseen"] == [
        {
            "check": "stores", "provider": "cdn-a", "count": 2, "of": 2, "targets": [NAME],
            "targets_total": 1, "since": START, "example": told["unseen"][0]["example"],
        }
    ]  # fmt: skip
    page = status_page(status)
    assert "No result for three intervals" in page
    assert "All" not in status.sentence


def test_the_edges_of_a_new_answer_are_looked_at_before_the_target_passes(it: Watched) -> None:
    other = it.through._replace(provider="cdn-b")
    for through in (it.through, other):
        it.store.expect(through, 60.0)
    it.resolved()
    it.edge(it.one)
    it.edge(it.two)
    assert value(it.store, "probe_success") is None, "nobody has asked for the addresses of cdn-b"
    key = it.world.key(NAME, "cdn-b")
    found = it.world.resolved(other, [it.world.edge("cdn-b", 1)])
    it.store.record_resolution(found)
    it.store.expect(key, 30.0)
    assert value(it.store, "probe_success") is None, "and nobody has looked at these"
    it.edge(key)
    assert value(it.store, "probe_success") == 1.0


@pytest.mark.parametrize("added", ["provider", "client", "persona"])
def test_what_a_reload_adds_is_looked_at_before_the_target_passes(it: Watched, added: str) -> None:
    it.store.expect(it.through, 60.0)
    it.store.expect(FLOW, 30.0)
    it.resolved()
    for edge in (it.one, it.two):
        it.edge(edge)
    it.flow()
    check = FLOW.check if added == "persona" else "stores"
    assert value(it.store, "probe_success", check=check) == 1.0
    new: EdgeKey | FlowKey = FLOW._replace(persona="internal")
    if added == "provider":
        through = it.through._replace(provider="cdn-b")
        it.store.expect(through, 60.0)
        assert value(it.store, "probe_success", check=check) is None
        it.store.record_resolution(it.world.resolved(through, [it.world.edge("cdn-b", 1)]))
        new = it.world.key(NAME, "cdn-b")
    elif added == "client":
        new = it.world.key(NAME, client="rsa-only")
    it.store.expect(new, 30.0)
    assert value(it.store, "probe_success", check=check) is None
    if isinstance(new, EdgeKey):
        it.edge(it.one)
        assert value(it.store, "probe_success", check=check) is None, "only what was there before"
        it.edge(new)
    else:
        it.flow()
        assert value(it.store, "probe_success", check=check) is None
        it.flow(new)
    assert value(it.store, "probe_success", check=check) == 1.0


@pytest.mark.parametrize("ours", [Reason.VANTAGE_ILL, Reason.DEFECT])
@pytest.mark.parametrize("edges", [0, 2])
def test_a_name_that_failed_fails_until_it_is_judged_anew(
    it: Watched, edges: int, ours: Reason
) -> None:
    it.store.expect(it.through, 60.0)
    blind = Failure(Phase.RESOLVE, ours)
    it.resolved(blind, edges=edges)
    assert value(it.store, "probe_resolve_success") is None, "never judged"
    by_reason, lost = "probe_provider_targets_failing_by_reason", not edges
    it.resolved(NAMELESS, edges=edges)
    for _ in range(3):
        assert value(it.store, "probe_resolve_success") == 0.0
        assert value(it.store, "probe_success") == (0.0 if lost else None)
        assert value(it.store, by_reason, reason="nxdomain") == (1.0 if lost else None)
        assert not series(it.store, by_reason, reason=ours.value)
        it.resolved(blind, edges=edges)
    it.resolved()
    assert value(it.store, "probe_resolve_success") == 1.0
    assert not series(it.store, by_reason)
    it.resolved(blind)
    assert value(it.store, "probe_resolve_success") is None
