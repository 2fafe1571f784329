"""Flows that ship run as they stand against the lab, hosts replaced and secrets filled in.

Those for services that the lab does not play are loaded only, in tests/config.

The CLI of the 2023 incident has its own file, with a row for each line of its table.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from probe.config.loading import load
from probe.lab import oauth
from probe.lab.board import Where
from probe.lab.info import Layout
from probe.lab.platform import Hosts
from probe.lab.world import World, open_world
from probe.model.flow import ApiCheck, Persona
from probe.model.result import Failed, FlowResult, Inconclusive, Passed
from probe.model.spec import Spec
from probe.model.state import Diagnosis
from probe.model.target import Edge, Resolution, Target
from probe.model.tls import Trust
from probe.state.diagnosis import diagnose, personas_differ

from .conftest import Bench

FOLDER = Path(__file__).parents[2] / "config/examples"
STORES = ("shop.example", "outlet.example", "books.example")
HOSTS = Hosts()


@dataclass(frozen=True)
class Shipped:
    """An example, what stands for its hosts in the lab, and its secrets."""

    file: str
    hosts: Mapping[str, str]
    secrets: Mapping[str, str]


FORGE = Shipped(
    "github-like-cli",
    {"api.forge.example": HOSTS.auth},
    {"/etc/probe/forge-token": oauth.FIXED_TOKEN},
)
OAUTH2 = Shipped(
    "oauth2-client-credentials",
    {"login.example": HOSTS.auth, "api.example": HOSTS.auth},
    {"OAUTH_CLIENT_ID": oauth.CLIENT_ID, "OAUTH_CLIENT_SECRET": oauth.CLIENT_SECRET},
)
AWS = Shipped(
    "aws",
    {"sts.{aws_region}.amazonaws.com": HOSTS.auth},
    {"AWS_ACCESS_KEY_ID": oauth.AWS_ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": "lab-aws-secret-77e1"},
)
JOURNEY = Shipped("store-journey", {}, {})
ALL = (FORGE, OAUTH2, AWS, JOURNEY)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, Layout(domains=STORES)) as running:
        yield running


class Stage:
    """Runs an example for each of its targets, providers and personas."""

    def __init__(self, bench: Bench, world: World, folder: Path, one: Shipped) -> None:
        text = (FOLDER / f"{one.file}.yaml").read_text()
        for name, ours in one.hosts.items():
            assert name in text, name
            text = text.replace(name, ours)
        path = folder / "example.yaml"
        path.write_text(text)
        self.spec: Spec = load(path, environ={})
        (check,) = self.spec.checks
        assert isinstance(check, ApiCheck)
        self.check = replace(check, timeout=2.0, flow_timeout=10.0)
        self.bench, self.world = bench, world
        bench.trust = Trust("file", world.info.roots)
        bench.secrets.update(one.secrets)

    async def run(
        self, target: Target | None = None, provider: str = "", persona: Persona | None = None
    ) -> FlowResult:
        async def resolve(host: str, port: int) -> Resolution:
            assert port == 443
            through = {"": "api", "live": "cdn-a"}.get(provider, provider)
            places = self.world.info.seen("sa-east", through)
            return Resolution(tuple(Edge(place.ip, place.port, written=True) for place in places))

        return await self.bench.run(
            self.check, resolve, persona=persona, target=target, provider=provider
        )

    async def everything(self) -> list[tuple[FlowResult, Diagnosis]]:
        targets: list[Target | None] = [None]
        if self.check.targets is not None:
            targets = list(self.spec.targets[self.check.targets].static)
        found = []
        for target in targets:
            for provider in self.check.providers or ("",):
                for persona in self.check.personas or (None,):
                    result = await self.run(target, provider, persona)
                    found.append((result, diagnose(self.check, persona, [result])))
        return found


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.file)
async def test_it_passes_as_it_ships(
    world: World, bench: Bench, tmp_path: Path, one: Shipped
) -> None:
    found = await Stage(bench, world, tmp_path, one).everything()
    assert len(found) == {"store-journey": 6, "github-like-cli": 2}.get(one.file, 1)
    for result, diagnosis in found:
        assert result.outcome == Passed(), result
        assert diagnosis.healthy


def test_no_example_is_left_out() -> None:
    elsewhere = {"vtex-cli"}  # it has a file of its own
    no_flow = {"migration", "all-regions"}
    not_played = {"kubernetes", "container-registry", "npm-registry"}  # the lab has none of these
    known = {one.file for one in ALL} | elsewhere | no_flow | not_played
    assert {path.stem for path in FOLDER.glob("*.yaml")} == known


@pytest.mark.parametrize("one", [FORGE, OAUTH2, AWS], ids=lambda one: one.file)
@pytest.mark.parametrize(
    ("fault", "layer"),
    [("authorization_500", "authorization"), ("refused", "edge"), ("status_503", "router")],
    ids=["authorization", "edge", "router"],
)
async def test_it_names_the_layer(
    world: World, bench: Bench, tmp_path: Path, one: Shipped, fault: str, layer: str
) -> None:
    stage = Stage(bench, world, tmp_path, one)
    everywhere = frozenset({"control", "token"})  # this host has no router of its own
    if layer == "authorization" and one is not FORGE:
        layer = "authorization or backend"  # all authorized calls go to one host
    await world.inject(fault, Where(layers=everywhere) if layer == "router" else None)
    result, diagnosis = (await stage.everything())[0]
    assert isinstance(result.outcome, Failed)
    assert diagnosis.layer == layer, diagnosis


@pytest.mark.parametrize("one", [FORGE, OAUTH2, AWS], ids=lambda one: one.file)
async def test_it_sees_that_authorization_fails_open(
    world: World, bench: Bench, tmp_path: Path, one: Shipped
) -> None:
    await world.inject("fails_open")
    found = await Stage(bench, world, tmp_path, one).everything()
    assert found[-1][1].fails_open, "the anonymous persona, or the step that must be refused"


@pytest.mark.parametrize("one", [FORGE, OAUTH2, AWS], ids=lambda one: one.file)
async def test_without_its_secrets_it_is_inconclusive(
    world: World, bench: Bench, tmp_path: Path, one: Shipped
) -> None:
    stage = Stage(bench, world, tmp_path, one)
    bench.secrets.clear()
    result, diagnosis = (await stage.everything())[0]
    assert isinstance(result.outcome, Inconclusive)
    assert diagnosis.layer == "inconclusive"


async def test_a_service_without_rights_for_developers_only_diverges(
    world: World, bench: Bench, tmp_path: Path
) -> None:
    """The developer is refused; the anonymous persona, whom that suits, passes."""
    await world.inject("authorization_403")
    stage = Stage(bench, world, tmp_path, FORGE)
    outcomes = {
        persona.name: (await stage.run(persona=persona)).outcome for persona in stage.check.personas
    }
    assert personas_differ(outcomes)
    assert [name for name, one in outcomes.items() if isinstance(one, Failed)] == ["developer"]


async def test_the_journey_names_the_store_and_the_cdn_that_fail(
    world: World, bench: Bench, tmp_path: Path
) -> None:
    stage = Stage(bench, world, tmp_path, JOURNEY)
    places = {place.name for place in world.info.seen("sa-east", "cdn-b")}
    where = Where(domains=frozenset({"books.example"}), edges=frozenset(places))
    await world.inject("alert_unrecognized_name", where)
    failing = [
        (result.key.target, result.key.provider, diagnosis.layer)
        for result, diagnosis in await stage.everything()
        if not isinstance(result.outcome, Passed)
    ]
    assert failing == [("books.example", "cdn-b", "edge")]
