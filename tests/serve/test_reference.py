"""The table of families, its reference in the docs, and what the docs promise about numbers."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Inconclusive, NoLogin, Passed, ResolveResult
from probe.model.state import Diagnosis, EdgeStatus
from probe.model.target import FlowKey, ProviderKey, Resolution, Target
from probe.serve import CertificatesKey, CertificateSplit, Store
from probe.serve.series.definitions import FAMILIES
from probe.serve.series.family import BASE_LABELS, Group, Kind
from probe.serve.series.reference import BEGIN, reference
from tests.support.reading import exposed

from .world import START, World, filled, flow_result, spec

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_docs_hold_the_table() -> None:
    """After a change of the table run this test with UPDATE_DOCS=1."""
    text = DOCS.read_text()
    prose = text.partition(BEGIN)[0].rstrip() + "\n\n"
    if os.environ.get("UPDATE_DOCS"):
        DOCS.write_text(f"{prose}{reference()}\n")
    assert DOCS.read_text() == f"{prose}{reference()}\n", "run with UPDATE_DOCS=1"


def test_names_are_unique_and_labels_do_not_clash() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        labels = [*BASE_LABELS[family.group], *family.extra, "region"]
        assert len(labels) == len(set(labels)), family.name
        assert family.help.endswith("."), family.name
        assert not set(family.help) & set('"\\\n'), family.name
        assert (family.kind is Kind.COUNTER) == family.name.endswith("_total"), family.name
        assert (family.kind is Kind.INFO) == family.name.endswith("_info"), family.name


CLI = FlowKey("developer-cli", "developer-cli", "live", "anonymous")


def everything() -> Store:
    """A store in which all that can be said is said."""
    now = [0.0]
    store = filled(store=Store("sa-east", started_at=START, clock=lambda: now[0]))
    world = World()
    ours = Failure(Phase.AUTH, Reason.SECRET_MISSING)
    name = "store-00029.example"
    soon = Passed((Failure(Phase.CERTIFICATE, Reason.EXPIRES_SOON),))
    odd = world.key(name, "cdn-a", 1)
    store.record_edge(world.result(odd, soon), EdgeStatus.PASSING, START)
    blind = world.result(world.key(name, "cdn-a", 2), Inconclusive(ours), shook=False)
    store.record_edge(blind, EdgeStatus.PASSING, START)
    key = CertificatesKey("stores", name, "cdn-a", "ecdsa")
    store.record_split(CertificateSplit(key, 2, (odd,), START, alarming=True))
    through = ProviderKey("stores", name, "cdn-a")
    dns = Failure(Phase.RESOLVE, Reason.SERVFAIL)
    lost = world.key(name, "cdn-a", 3)
    edges = (replace(world.result(lost).edge, unnamed=5.0),)
    resolution = Resolution(edges, dns, seconds=0.1, skipped_ipv6=2)
    store.record_resolution(ResolveResult(through, START, resolution))
    _flow_corners(store, ours)
    for unseen in (lost, ProviderKey("stores", name, "cdn-b"), CLI._replace(persona="internal")):
        store.expect(unseen, 30.0)
    now[0] = 1e6
    store.agent.vantage(healthy=False, causes=("dns",))
    store.agent.skipped_run("stores", "vantage")
    store.agent.loop_crashed("references")
    store.agent.dns_questions("servfail", 1)
    store.agent.dns_subnet_ignored("192.0.2.53:53", 1)
    store.agent.shared(peers=3, up=True, replicas=2)
    store.agent.share_of("stores", 20)
    return store


def _flow_corners(store: Store, ours: Failure) -> None:
    from probe.model.result import Skipped  # noqa: PLC0415 - only here

    run = flow_result(CLI, START)
    slow = Passed((Failure(Phase.EXPECT, Reason.TOO_SLOW),))
    first, second, third, *rest = run.steps
    steps = (
        replace(first, outcome=slow),
        replace(second, outcome=Skipped(NoLogin("token"))),
        replace(third, outcome=Inconclusive(ours)),
        *rest,
    )
    run = replace(run, steps=steps, outcome=Inconclusive(ours))
    store.record_flow(run, Diagnosis("inconclusive", fails_open=True), EdgeStatus.UNKNOWN, START)


def test_every_family_of_the_table_can_be_had() -> None:
    types = {line.split()[2] for line in exposed(everything()).splitlines() if "# TYPE" in line}
    assert {family.name for family in FAMILIES} - types == set()


@pytest.mark.parametrize(
    ("group", "per_one"),
    [(Group.EDGE, 9), (Group.TARGET, 12), (Group.TARGET_INFO, 1), (Group.RESOLVE, 4),
     (Group.CERTIFICATES, 3)],
)  # fmt: skip
def test_the_formula_of_the_docs_counts_right(group: Group, per_one: int) -> None:
    targets, providers, addresses = 5, ("cdn-a", "cdn-b"), 4
    store, world = Store("sa-east", started_at=START), World()
    store.configure(spec())
    names = [f"shop-{number}.example" for number in range(targets)]
    store.set_targets("stores", [Target(name, labels={"owner": "x"}) for name in names])
    for name in names:
        for provider in providers:
            edges = [world.edge(provider, number) for number in range(1, addresses + 1)]
            store.record_resolution(world.resolved(ProviderKey("stores", name, provider), edges))
            for number in range(1, addresses + 1):
                key = world.key(name, provider, number)
                store.record_edge(world.result(key), EdgeStatus.PASSING, START)
            split = CertificatesKey("stores", name, provider, "ecdsa")
            store.record_split(CertificateSplit(split, 1))
    ones = {
        Group.EDGE: targets * len(providers) * addresses,
        Group.TARGET: targets,
        Group.TARGET_INFO: targets,
        Group.RESOLVE: targets * len(providers),
        Group.CERTIFICATES: targets * len(providers),
    }
    own = {family.name for family in FAMILIES if family.group is group}
    lines = [line for line in exposed(store).splitlines() if line.split("{")[0] in own]
    assert len(lines) == per_one * ones[group]
