"""Plays cases of flows side by side: one agent, and a platform of its own for each case."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio
import yaml

from probe.agent.assembly import Assembly
from probe.agent.log import EventLog
from probe.config.loading import load
from probe.lab.board import Board
from probe.lab.ca import Pki
from probe.lab.edge import EdgeServer
from probe.lab.front import Front, Site
from probe.lab.gate import Gate
from probe.lab.places import CLIENT_SUBNETS, Place
from probe.lab.platform import IDENTITIES, Platform
from probe.lab.resolvers import Resolver
from probe.lab.shelf import Shelf
from probe.lab.store import Store as Stores
from probe.lab.tokens import Mint
from probe.lab.zone import Zone
from probe.model.flow_cause import FlowCause, FlowInvestigation
from probe.model.state import CONFIRMED
from probe.model.target import FlowKey
from probe.schedule import WHOLE
from tests.causes.flow_cases import FlowCase, fault_of
from tests.causes.play import common_port

INTERVAL = 6.0
TIMEOUT = 3.0
PATIENCE = 75.0
"""Seconds until a fault must have its cause."""

SETTLED = 3.0  # seconds after the first answer in which a flow that fails too may get another
_PERSONAS = ("external", "internal")


@dataclass(frozen=True)
class FlowAnswer:
    """What the agent said about one fault.

    Attributes:
        found: each investigation of it.
        seconds: from the first confirmed flow to the first sentence.
    """

    case: FlowCase
    found: tuple[FlowInvestigation, ...]
    seconds: float | None = None

    @property
    def named(self) -> FlowCause | None:
        """The cause that was named: a wrong one before a right one; None without an answer."""
        causes = [one.cause for one in self.found]
        told = [one for one in causes if one is not FlowCause.UNDETERMINED]
        wrong = [one for one in told if one not in self.case.causes]
        return next(iter(wrong + told + causes), None)

    @property
    def right(self) -> bool:
        """Whether the cause was named, and no other."""
        return self.named in self.case.causes

    @property
    def wrong(self) -> bool:
        """Whether another cause was named."""
        return self.named not in (None, FlowCause.UNDETERMINED) and not self.right


@dataclass
class _Heard:
    """Notes when flows were confirmed to fail, and what was found."""

    confirmed: dict[str, float] = field(default_factory=dict)
    found: dict[str, list[FlowInvestigation]] = field(default_factory=dict)
    requests: dict[str, set[str]] = field(default_factory=dict)


async def play_flows(
    cases: list[FlowCase],
    folder: Path,
    then: Callable[[Assembly], Awaitable[None]] | None = None,
) -> list[FlowAnswer]:
    """Play some cases side by side; returns what the agent said about each.

    Args:
        cases: to play.
        folder: for files of the agent.
        then: called at the end, while everything still runs.
    """
    spots = {c.name: [f"127.78.{n}.1", f"127.78.{n}.2"] for n, c in enumerate(cases)}
    port = common_port([ip for some in spots.values() for ip in some])
    places = {
        name: [Place(f"{name}/{n}", "api", "", ip, port) for n, ip in enumerate(some)]
        for name, some in spots.items()
    }
    board, pki, gate = Board(7), Pki(datetime.now(UTC)), None
    gate = Gate(board)
    shelf, sites = Shelf(pki), dict[str, Site]()
    hosts: dict[str, dict[str, tuple[str, ...]]] = {}
    for case in cases:
        names = case.names()
        platform = Platform(names, gate, Mint(b"known to the lab alone"), time.time)
        sites |= dict.fromkeys(names.names(), platform)
        hosts |= {one: {"": tuple(spots[case.name])} for one in names.names()}
    front = Front(gate, sites, Stores(gate), time.time)
    resolver = Resolver("lab", Zone(hosts, {}, CLIENT_SUBNETS, 60), board)
    servers = [
        EdgeServer(place, board, shelf, frozenset(case.names().names()), front.serve)
        for case in cases
        for place in places[case.name]
    ]
    roots = folder / "roots.pem"
    roots.write_bytes(pki.roots_pem())
    async with trio.open_nursery() as nursery:
        await nursery.start(resolver.run, "127.0.0.1")
        for server in servers:
            await server.follow(nursery)
        file = folder / "probe.yaml"
        document = _document(cases, port, resolver.port, str(roots))
        file.write_text(yaml.safe_dump(document, sort_keys=False))
        spec = load(file, environ=_environ())
        assembly = Assembly(spec, _environ(), WHOLE, EventLog())
        heard = _Heard()
        _listen(assembly, heard)
        await assembly.start(nursery)
        await _all_pass(assembly, len(cases) * len(_PERSONAS))
        for case in cases:
            where = case.where([one.name for one in places[case.name]])
            board.add(case.fault, fault_of(case, time.time() + 1), where, case.share)
        for server in servers:
            await server.follow(nursery)
        with trio.move_on_after(PATIENCE):
            while len(heard.found) < len(cases):
                await trio.sleep(0.25)
        await trio.sleep(SETTLED)
        if then is not None:
            await then(assembly)
        nursery.cancel_scope.cancel()
    return [_answer(case, heard) for case in cases]


def _answer(case: FlowCase, heard: _Heard) -> FlowAnswer:
    found = tuple(heard.found.get(case.name, ()))
    began = heard.confirmed.get(case.name)
    seconds = found[0].ended - began if found and began is not None else None
    return FlowAnswer(case, found, seconds)


def _listen(assembly: Assembly, heard: _Heard) -> None:
    """Note confirmations and answers as the store is told of them."""
    store = assembly.store
    record, kept = store.record_flow, store.flow_causes.record

    def on_flow(result: Any, diagnosis: Any, status: Any, since: float) -> None:
        if status in CONFIRMED:
            heard.confirmed.setdefault(result.key.check, time.time())
        record(result, diagnosis, status, since)

    def on_found(found: FlowInvestigation) -> None:
        heard.found.setdefault(found.subject.check, []).append(found)
        kept(found)

    store.record_flow = on_flow  # type: ignore[method-assign]
    store.flow_causes.record = on_found  # type: ignore[method-assign]


async def _all_pass(assembly: Assembly, flows: int) -> None:
    """Wait until every flow was seen to pass, twice: then a kept token is in use."""
    with trio.fail_after(180):
        while not (
            len(assembly.store.flows) == flows
            and all(
                record.status == "passing" and record.tally.attempts > 1
                for record in assembly.store.flows.values()
            )
        ):
            await trio.sleep(0.2)


def _environ() -> dict[str, str]:
    return {
        f"{one.role.upper()}_{name}": value
        for one in IDENTITIES.values()
        for name, value in (("KEY", one.appkey), ("TOKEN", one.apptoken))
    }


def _document(cases: list[FlowCase], port: int, dns: int, roots: str) -> dict[str, Any]:
    """Write the configuration as a person would."""
    servers = {"servers": [f"127.0.0.1:{dns}"], "hosts_file": False, "families": [4]}
    return {
        "region": "lab",
        "defaults": {
            "interval": f"{INTERVAL:g}s",
            "timeout": f"{TIMEOUT:g}s",
            "trust": {"file": roots},
        },
        "addresses": {"allow": ["127.0.0.0/8"]},
        "vantage": {"references": []},
        "providers": {"api": {"dns": servers}},
        "checks": [_check(case, port) for case in cases],
    }


def _check(case: FlowCase, port: int) -> dict[str, Any]:
    names = case.names()
    platform, infra, app, control, login = (
        f"https://{host}:{port}"
        for host in (names.platform, names.infra, names.app, names.control, names.login)
    )

    def cli(role: str) -> dict[str, Any]:
        return {
            "kind": "json_login",
            "url": f"{login}/api/vtexid/apptoken/login",
            "json": {"appkey": f"env:{role}_KEY", "apptoken": f"env:{role}_TOKEN"},
            "token": "token",
            "success": "authStatus == 'Success'",
            "refused": "authStatus == 'WrongCredentials'",
            "expires_at": "expires",
        }

    def step(name: str, layer: str, url: str, condition: str, attempts: int) -> dict[str, Any]:
        call = {"name": name, "layer": layer, "get": url, "auth": "cli", "attempts": attempts}
        return call | {"expect": {"json": condition}}

    return {
        "name": case.name,
        "kind": "api",
        "providers": ["api"],
        "flow_timeout": f"{INTERVAL:g}s",
        "login_interval": "10s" if "login" in case.fault or "credentials" in case.fault else "5m",
        "router_codes": ["routing_error", "route_map_error", "ProxyTimeout"],
        "auth": {"cli": cli("EXTERNAL")},
        "personas": {"external": {}, "internal": {"auth": {"cli": cli("INTERNAL")}}},
        "steps": [
            {
                "name": "control",
                "layer": "control",
                "get": f"{control}/_v/public/toolbelt/global-config",
                "expect": {"json": "config"},
            },
            {
                "name": "deny",
                "layer": "authorization",
                "get": f"{platform}/teststore/master",
                "deny": True,
            },
            {
                "name": "token-valid",
                "layer": "token",
                "post": f"{login}/api/vtexid/credential/validate",
                "json": {"token": "{auth.cli}"},
                "expect": {"json": "authStatus == 'Success'"},
            },
            step("whoami", "authorization", f"{platform}/teststore/master", "name", 3),
            step("workspaces", "authorization", f"{platform}/teststore", "length(@) > `0`", 3),
            step("apps", "authorization", f"{infra}/apps/v0/teststore/master/apps", "data", 3),
            step(
                "runtime",
                "backend",
                f"{app}/vtex.builder-hub/v0/teststore/master/_v/builder/0/pinneddeps",
                "type(@) == 'object'",
                1,
            ),
        ],
    }


def keys_of(answer: FlowAnswer) -> set[FlowKey]:
    """Return the flows that an answer explains."""
    return {key for one in answer.found for key in one.keys}
