"""What there is to probe, enumerated without a runner."""

from __future__ import annotations

from probe.agent.jobs import (
    UNLISTED,
    checks_of,
    edge_jobs,
    flow_jobs,
    persona_of,
    provider_jobs,
    targets_of,
    unlisted,
)
from probe.model.flow import ApiCheck, Persona
from probe.model.spec import Listen, Spec, TlsCheck
from probe.model.target import Edge, EdgeKey, FlowKey, ProviderKey, Target
from probe.model.tls import ClientProfile

SHOPS = (Target("a.example"), Target("b.example", 8443))
STORES = TlsCheck(
    "stores", "shops", ("live", "cdn-b"), profiles=(ClientProfile("new"), ClientProfile("old"))
)
CLI = ApiCheck("cli", (), personas=(Persona("owner"), Persona("anonymous")))
SEARCH = ApiCheck("search", (), targets="shops", providers=("cdn-b",))
SPEC = Spec("here", Listen(), {}, {}, (STORES, CLI, SEARCH))


def test_checks_are_told_apart_by_their_kind() -> None:
    assert checks_of(SPEC, TlsCheck) == {"stores": STORES}
    assert checks_of(SPEC, ApiCheck) == {"cli": CLI, "search": SEARCH}


def test_a_flow_without_a_list_is_its_own_target_where_it_is_ours() -> None:
    lists = {"shops": SHOPS, UNLISTED: unlisted(SPEC)}
    assert targets_of(CLI, lists) == (Target("cli"),)
    assert targets_of(CLI, {**lists, UNLISTED: ()}) == ()
    assert targets_of(SEARCH, lists) == targets_of(STORES, lists) == SHOPS
    assert targets_of(STORES, {}) == ()


def test_each_target_is_probed_through_each_provider_and_a_flow_may_name_none() -> None:
    assert provider_jobs(STORES, SHOPS) == {
        ProviderKey("stores", target.label, provider): target
        for target in SHOPS
        for provider in ("live", "cdn-b")
    }
    assert provider_jobs(CLI, unlisted(SPEC)) == {ProviderKey("cli", "cli", ""): Target("cli")}


def test_each_edge_is_probed_as_each_client() -> None:
    edges = (Edge("192.0.2.1", 443), Edge("192.0.2.2", 443))
    through = ProviderKey("stores", "a.example", "live")
    assert edge_jobs(STORES, through, edges) == {
        EdgeKey("stores", "a.example", "live", edge.label, profile.name): (edge, profile)
        for edge in edges
        for profile in STORES.profiles
    }


def test_a_flow_runs_as_each_persona_or_without_one() -> None:
    assert flow_jobs(CLI, ProviderKey("cli", "cli", "")) == {
        FlowKey("cli", "cli", "", persona.name): persona for persona in CLI.personas
    }
    through = ProviderKey("search", "a.example", "cdn-b")
    assert flow_jobs(SEARCH, through) == {FlowKey(*through, ""): None}
    assert persona_of(CLI, "owner") == Persona("owner")
    assert persona_of(SEARCH, "") is None
