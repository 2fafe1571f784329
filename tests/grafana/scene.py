"""A small world for the dashboards: configurations of agents and of Prometheus, and what breaks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from probe.lab.board import Where
from probe.lab.info import Layout, WorldInfo, store_names
from probe.lab.platform import IDENTITIES
from probe.lab.process import RemoteLab
from tests.support.programs import DEPLOY

PROMETHEUS = DEPLOY / "prometheus"
LAYOUT = Layout(
    domains=store_names(4),
    regions={"sa-east": ("gru", "scl"), "us-east": ("iad", "ewr")},
    ttl=1,
)
INTERVAL = "3s"
SEEING = tuple(LAYOUT.regions)
DROWSY = "eu-west"
VICTIM, STRANGE = LAYOUT.domains[0], LAYOUT.domains[1]
PERSONAS = {"external": "lab-appkey-external", "internal": "lab-appkey-internal"}
"""Personas, and the files with their tokens."""
NEW_CDN = "stores.cdn-b.example"
NO_DNS = frozenset({"us-east"})
CHOICES = {
    "probe-provider": {"provider": "cdn-b"},
    "probe-target": {"target": VICTIM},
    "probe-flow": {"check": "developer-cli"},
    "probe-migration": {"check": "batch", "provider": "cdn-b", "live": "live"},
}
"""What somebody who looks at the broken system chooses, where a variable takes one value."""


def write(folder: Path, info: WorldInfo, region: str) -> Path:
    """An agent's configuration and what it refers to."""
    listed(folder, region, info.layout.domains)
    for identity in IDENTITIES.values():
        (folder / identity.appkey).write_text(identity.apptoken)
    (folder / "rotated").write_text(IDENTITIES["lab-appkey-internal"].apptoken)
    document = _drowsy(info) if region == DROWSY else _seeing(folder, info, region)
    path = folder / f"{region}.yaml"
    path.write_text(yaml.safe_dump({"region": region, "listen": "127.0.0.1:0", **document}))
    return path


def listed(folder: Path, region: str, domains: Sequence[str]) -> Path:
    """The list of an agent's targets, put into its place as a whole."""
    path = folder / f"stores-{region}.json"
    new = path.with_suffix(".new")
    new.write_text(json.dumps([{"targets": list(domains), "labels": {"team": "stores"}}]))
    return new.replace(path)


def scraping(folder: Path, agents: Mapping[str, str]) -> Path:
    """The shipped configuration, scraping these agents (region to address) every second."""
    document = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    document["global"] = {
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "evaluation_interval": "1s",
    }
    del document["alerting"]
    document["rule_files"] = [str(PROMETHEUS / "rules" / "*.yaml")]
    (job,) = document["scrape_configs"]
    job["file_sd_configs"] = [{"files": [str(folder / "agents.yml")]}]
    targets = [{"targets": [at], "labels": {"region": region}} for region, at in agents.items()]
    (folder / "agents.yml").write_text(yaml.safe_dump(targets))
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(document))
    return path


def _drowsy(info: WorldInfo) -> dict[str, Any]:
    """One check, so that the agent has something to be late for; it would share it."""
    edge = info.seen(SEEING[0], "cdn-a")[0].label
    check = {"name": "stores", "kind": "tls", "targets": "stores", "trust": {"file": info.roots}}
    return {
        "defaults": {"interval": INTERVAL, "timeout": INTERVAL},
        "providers": {"live": {"addresses": [edge]}},
        "targets": {"stores": {"static": [info.layout.domains[-1]]}},
        "share": {"peers": "peers.invalid"},  # nobody to be seen: it probes all
        "checks": [{**check, "providers": ["live"]}],
    }


def _seeing(folder: Path, info: WorldInfo, region: str) -> dict[str, Any]:
    host, port = info.resolvers[region]
    dns = {"servers": [f"{host}:{port}"], "hosts_file": False, "families": [4], "ttl_floor": "1s"}
    tls = {"kind": "tls", "targets": "stores", "port": info.port, "consensus": {"grace": "1s"}}
    return {
        "defaults": {"interval": INTERVAL, "timeout": INTERVAL, "trust": {"file": info.roots}},
        "addresses": {"allow": "127.0.0.0/8"},
        "providers": {
            "live": {"dns": dns},
            "cdn-b": {"hostname": NEW_CDN, "dns": dns},
            "api": {"dns": dns},
        },
        "targets": {"stores": {"files": [str(folder / f"stores-{region}.json")]}},
        "checks": [
            {"name": "stores", "providers": ["live"], **tls},
            {"name": "batch", "providers": ["cdn-b"], "labels": {"team": "edge"}, **tls},
            _flow(folder, info, "developer-cli", PERSONAS),
            _flow(folder, info, "with-rotated-secret", {"internal": "rotated"}),
        ],
    }


def _flow(folder: Path, info: WorldInfo, name: str, personas: Mapping[str, str]) -> dict[str, Any]:
    hosts, port = info.layout.hosts, info.port
    platform, control = (f"https://{host}:{port}" for host in (hosts.platform, hosts.control))
    whoami = f"{platform}/{hosts.account}/master"

    def auth(appkey: str, file: str) -> dict[str, Any]:
        return {
            "kind": "json_login",
            "url": f"https://{hosts.login}:{port}/api/vtexid/apptoken/login",
            "json": {"appkey": f"file:{folder}/{appkey}.key", "apptoken": f"file:{folder}/{file}"},
            "token": "token",
            "success": "authStatus == 'Success'",
            "refused": "authStatus == 'WrongCredentials'",
            "expires_at": "expires",
        }

    people = {who: auth(f"lab-appkey-{who}", file) for who, file in personas.items()}
    for appkey in IDENTITIES:
        (folder / f"{appkey}.key").write_text(appkey)
    steps: list[dict[str, Any]] = [
        {
            "name": "control",
            "layer": "control",
            "get": f"{control}/_v/public/toolbelt/global-config",
            "expect": {"slower_than": "1200ms"},
        },
        {"name": "deny", "layer": "authorization", "get": whoami, "deny": True},
        {
            "name": "whoami",
            "layer": "authorization",
            "get": whoami,
            "auth": "person",
            "capture": {"workspace": {"json": "name"}},
        },
        {
            "name": "workspace",
            "layer": "backend",
            "get": f"{platform}/{hosts.account}/{{workspace}}",
            "auth": "person",
        },
    ]
    return {
        "name": name,
        "kind": "api",
        "providers": ["api"],
        "interval": INTERVAL,
        "flow_timeout": INTERVAL,
        "login_interval": "10s",
        "instance_headers": ["x-vtex-io-cluster-id"],
        "router_codes": ["routing_error", "route_map_error", "ProxyTimeout"],
        "layers": ["edge", "control", "login", "token", "authorization", "backend"],
        "auth": {"person": next(iter(people.values()))},
        "personas": {who: {"auth": {"person": one}} for who, one in people.items()},
        "steps": steps,
    }


async def break_everything(lab: RemoteLab, folder: Path) -> None:
    """Every kind of fault that some panel shows, in one region more than in the other."""
    for fault, domain, edge in (
        ("alert_unrecognized_name", VICTIM, "cdn-b/gru"),
        ("alert_unrecognized_name", VICTIM, "cdn-a/gru"),
        ("other_issuer", VICTIM, "cdn-b/iad"),  # trusted, but another certificate
        ("superfluous", STRANGE, "cdn-b/gru"),  # a warning
        ("crl_expired", STRANGE, "cdn-a/gru"),
    ):
        await lab.inject(fault, Where(domains=frozenset({domain}), edges=frozenset({edge})))
    await lab.inject("dns_servfail", Where(domains=frozenset({NEW_CDN}), regions=NO_DNS))
    await lab.inject("authorization_500", Where(roles=frozenset({"external"})))
    for _ in range(5):  # each adds 0.3 s
        await lab.inject("late", Where(layers=frozenset({"control"})))
    (folder / "rotated").write_text("no longer valid")
    listed(folder, SEEING[1], [VICTIM])  # not the first, whose reload believes it
