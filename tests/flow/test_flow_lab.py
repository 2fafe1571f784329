"""The shipped CLI flow against the lab's platform, broken in the way of each row of the table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probe.config.loading import load
from probe.lab.board import Where
from probe.lab.info import Layout, store_names
from probe.lab.platform import IDENTITIES, Hosts
from probe.lab.world import World, open_world
from probe.model.flow import ApiCheck
from probe.model.result import FlowResult, Passed
from probe.model.state import Diagnosis
from probe.model.target import Edge, Resolution
from probe.model.tls import Trust
from probe.state.diagnosis import WINDOW, diagnose

from .conftest import Bench

EXAMPLE = Path(__file__).parents[2] / "config/examples/vtex-cli.yaml"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, Layout(domains=store_names(1))) as running:
        yield running


def shipped(hosts: Hosts, folder: Path) -> ApiCheck:
    """The example with the lab's names in the places of the real ones."""
    text = EXAMPLE.read_text()
    real = {
        "master--vtex.myvtex.com": hosts.control,
        "platform.io.vtex.com": hosts.platform,
        "infra.io.vtex.com": hosts.infra,
        "app.io.vtex.com": hosts.app,
        "{account}.vtexcommercestable.com.br": hosts.login,
        "youraccount": hosts.account,
    }
    for name, ours in real.items():
        assert name in text, name
        text = text.replace(name, ours)
    path = folder / "cli.yaml"
    path.write_text(text)
    (check,) = load(path, environ={}).checks
    assert isinstance(check, ApiCheck)
    return replace(check, timeout=1.0, flow_timeout=12.0)


class Watch:
    """Runs the flow again and again and diagnoses the last runs."""

    def __init__(self, bench: Bench, world: World, folder: Path, **more: Any) -> None:
        one = IDENTITIES["lab-appkey-external"]
        bench.secret("VTEX_APPKEY", one.appkey)
        bench.secret("VTEX_APPTOKEN", one.apptoken)
        bench.trust = Trust("file", world.info.roots)
        self.bench = bench
        self.places = world.info.seen("sa-east", "api")
        self.check = replace(shipped(world.info.layout.hosts, folder), **more)
        self.runs: list[FlowResult] = []

    async def resolve(self, host: str, port: int) -> Resolution:
        return Resolution(tuple(Edge(place.ip, place.port, written=True) for place in self.places))

    async def run(self) -> Diagnosis:
        self.runs.append(await self.bench.run(self.check, self.resolve))
        self.runs = self.runs[-WINDOW:]
        return diagnose(self.check, None, self.runs)


Injection = tuple[str, Where]


def on(*hosts: str) -> Where:
    return Where(domains=frozenset(hosts))


def behind(*layers: str) -> Where:
    return Where(layers=frozenset(layers))


HOSTS = Hosts()
ANY = Where()
ROWS: list[tuple[str, list[Injection], str]] = [
    ("nobody listens", [("refused", ANY)], "edge"),
    ("a certificate for another name", [("wrong_name", on(HOSTS.infra))], "edge"),
    ("502", [("status_502", ANY)], "router"),
    ("503", [("status_503", ANY)], "router"),
    ("504", [("status_504", ANY)], "router"),
    ("silence behind the router", [("hang", behind("router"))], "router"),
    ("login 500", [("login_500", ANY)], "login"),
    ("login silent", [("login_hang", ANY)], "login"),
    ("login gives a page", [("login_web_page", ANY)], "login"),
    ("login limits", [("login_429", ANY)], "login"),
    ("nobody takes tokens", [("token_401", ANY)], "token"),
    ("validation down", [("validate_500", ANY)], "token"),
    ("2023-06-12", [("authorization_500", ANY)], "authorization"),
    ("403 for everybody", [("authorization_403", ANY)], "authorization"),
    ("deep", [("authorization_500", ANY), ("control_500", ANY)], "authorization"),
    ("one backend", [("backend_500", on(HOSTS.infra))], "backend"),
    ("another backend", [("backend_500", on(HOSTS.platform))], "backend"),
    ("fails open", [("fails_open", ANY)], "authorization"),
    ("no client is known any more", [("wrong_credentials", ANY)], "login"),
]


@pytest.mark.parametrize(
    ("faults", "layer"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
async def test_each_row_names_its_layer_and_recovers(
    world: World, bench: Bench, tmp_path: Path, faults: list[Injection], layer: str
) -> None:
    watch = Watch(bench, world, tmp_path, login_interval=0.0)
    assert (await watch.run()).healthy
    for name, where in faults:
        await world.inject(name, where)
    found = await watch.run()
    assert found.layer == layer, found.why
    assert found.fails_open == ("fails_open" in {name for name, _ in faults})
    if layer in {"authorization", "backend"}:
        healthy = {s.step for s in watch.runs[-1].steps if isinstance(s.outcome, Passed)}
        assert "cli" in healthy, "the login is shown healthy"
    await world.clear()
    # Refused credentials are not tried again at once, and Retry-After is kept.
    if not {"wrong_credentials", "login_429"} & {name for name, _ in faults}:
        assert (await watch.run()).healthy


async def test_a_healthy_platform_is_never_blamed(
    world: World, bench: Bench, tmp_path: Path
) -> None:
    watch = Watch(bench, world, tmp_path, timeout=10.0, flow_timeout=60.0)
    for _ in range(60):
        assert (await watch.run()).healthy


async def test_the_replay_of_2023_with_six_in_ten_calls_failing(
    world: World, bench: Bench, tmp_path: Path
) -> None:
    """Named within two intervals, with login and control shown healthy."""
    watch = Watch(bench, world, tmp_path)
    assert (await watch.run()).healthy
    await world.inject("authorization_500", probability=0.6)
    found = [await watch.run() for _ in range(2)]
    assert found[-1].layer == "authorization", found[-1].why
    steps = {step.step: step.outcome for run in watch.runs[-2:] for step in run.steps}
    assert steps["control"] == steps["token-valid"] == steps["deny"] == Passed()
