"""The table of families, its reference in the docs, and what the docs promise about numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from probe.model.failure import Failure, Phase, Reason
from probe.model.maintenance import Window
from probe.model.records import HttpsSet, NameFindings, NameRecords
from probe.model.result import (
    Inconclusive,
    NoLogin,
    Passed,
    ResolveResult,
    SessionTrial,
    Timestamps,
)
from probe.model.state import Diagnosis, EdgeStatus, LeafChange, ServedLeaf
from probe.model.target import FlowKey, ProviderKey, Resolution, Target
from probe.serve import CertificatesKey, CertificateSplit, LeafRecord, Store
from probe.serve.http.guard import Guard
from probe.serve.series import families
from probe.serve.series.families import FAMILIES
from probe.serve.series.family import BASE_LABELS, MetricType, Sample, SeriesGroup
from tests.support.reading import exposed

from .metrics_page import DOCS, page
from .world import ILL, START, World, filled, flow_result, spec


def test_the_docs_hold_the_table() -> None:
    assert DOCS.read_text() == page(), "run python -m tests.regenerate"


def test_names_are_unique_and_labels_do_not_clash() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        labels = [*BASE_LABELS[family.group], *family.extra, "region"]
        assert len(labels) == len(set(labels)), family.name
        assert family.help.endswith("."), family.name
        assert not set(family.help) & set('"\\\n'), family.name
        assert (family.kind is MetricType.COUNTER) == family.name.endswith("_total"), family.name
        assert (family.kind is MetricType.INFO) == family.name.endswith("_info"), family.name


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
    shown = world.result(odd, soon)
    assert shown.handshake is not None
    logged = replace(shown.handshake, timestamps=Timestamps(2, 0, 2, 2, checked=False))
    trial = SessionTrial("resumed", "192.0.2.1:443")
    shown = replace(shown, handshake=logged, session=trial)
    store.record_edge(shown, EdgeStatus.PASSING, START)
    blind = world.result(world.key(name, "cdn-a", 2), Inconclusive(ours), shook=False)
    store.record_edge(blind, EdgeStatus.PASSING, START)
    key = CertificatesKey("stores", name, "cdn-a", "ecdsa")
    store.record_split(CertificateSplit(key, 2, (odd,), START, alarming=True))
    leaf = ServedLeaf("ab" * 32, "CN=CA", "ecdsa", START, START)
    store.record_leaf(key, LeafRecord(1, LeafChange(START, leaf, leaf)))
    through = ProviderKey("stores", name, "cdn-a")
    dns = Failure(Phase.RESOLVE, Reason.SERVFAIL)
    lost = world.key(name, "cdn-a", 3)
    edges = (replace(world.result(lost).edge, unnamed=5.0),)
    resolution = Resolution(edges, dns, seconds=0.1, skipped_ipv6=2, nat64=1)
    store.record_resolution(ResolveResult(through, START, resolution))
    hint = Failure(Phase.RESOLVE, Reason.HINT_NOT_AN_EDGE)
    store.record_named(through, NameFindings(NameRecords(HttpsSet(name)), (hint,)))
    _flow_corners(store, ours)
    for unseen in (lost, ProviderKey("stores", name, "cdn-b"), CLI._replace(persona="internal")):
        store.expect(unseen, 30.0)
    now[0] = 1e6
    store.agent.health = lambda: ILL
    store.agent.count(families.AGENT_SKIPPED_RUNS, check="stores", reason="cut")
    store.agent.count(families.AGENT_LOOP_CRASHES, loop="references")
    store.agent.readings.append(_shared)
    Guard(Path("web.yaml"), store.agent)
    store.planned.follow([Window(START, 2 * START, "all of it", targets=("*",))])
    return store


def _shared() -> list[Sample]:
    return [
        (families.AGENT_CLOCK_STEPS, 0.0, ()),
        (families.AGENT_CLOCK_SYNCHRONIZED, 1.0, ()),
        (families.AGENT_DNS_QUESTIONS, 1.0, (("outcome", "servfail"),)),
        (families.AGENT_DNS_SUBNET_IGNORED, 1.0, (("server", "192.0.2.53:53"),)),
        (families.AGENT_CRL_LISTS, 3.0, (("state", "usable"),)),
        (families.AGENT_CRL_LOOKS, 3.0, (("outcome", "new"),)),
        (families.AGENT_CRL_OLDEST, START, ()),
        (families.AGENT_CRL_REVOKED, 0.0, ()),
        (
            families.AGENT_CRL_TROUBLE,
            1.0,
            (("reason", "crl_expired"), ("url", "http://crl.example/1.crl")),
        ),
        (families.AGENT_SHARE_PEERS, 3.0, ()),
        (families.AGENT_SHARE_PEERS_UP, 1.0, ()),
        (families.AGENT_SHARE_REPLICAS, 2.0, ()),
        (families.AGENT_SHARE_TARGETS, 20.0, (("list", "stores"),)),
    ]


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


async def test_every_family_of_the_table_can_be_had() -> None:
    types = {line.split()[2] for line in exposed(everything()).splitlines() if "# TYPE" in line}
    assert {family.name for family in FAMILIES} - types == set()


@pytest.mark.parametrize(
    ("group", "per_one"),
    [
        (SeriesGroup.EDGE, 11),
        (SeriesGroup.TARGET, 15),
        (SeriesGroup.TARGET_INFO, 1),
        (SeriesGroup.RESOLVE, 4),
        (SeriesGroup.CERTIFICATES, 4),
    ],
)
def test_the_formula_of_the_docs_counts_right(group: SeriesGroup, per_one: int) -> None:
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
            store.record_leaf(split, LeafRecord(0, None))
    ones = {
        SeriesGroup.EDGE: targets * len(providers) * addresses,
        SeriesGroup.TARGET: targets,
        SeriesGroup.TARGET_INFO: targets,
        SeriesGroup.RESOLVE: targets * len(providers),
        SeriesGroup.CERTIFICATES: targets * len(providers),
    }
    own = {family.name for family in FAMILIES if family.group is group}
    lines = [line for line in exposed(store).splitlines() if line.split("{")[0] in own]
    assert len(lines) == per_one * ones[group]
