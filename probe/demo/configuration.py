"""Writes the files of a demo's agents: configuration, targets, trusted root, credentials.

They are what a person would write; the demo leaves nothing to the agents that a configuration
file could not say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from probe.lab.info import WorldInfo
from probe.lab.places import API
from probe.lab.platform import IDENTITIES
from probe.lab.world import cdn_host

STORES = "stores"
CLI = "developer-cli"
LIVE = "live"
NEXT = "cdn-b"
BATCH = "next-batch"
INTERVAL = "30s"
BATCH_INTERVAL = "10s"
SAMPLE_INTERVAL = "500ms"
SAMPLE_BUDGET = 15  # lab and agents share one machine: a slow one must not be made slower
ATTEMPTS = 3
FLOW_INTERVAL = "6s"
_PERSON = "lab-appkey-external"
_EVIDENCE = ("x-request-id", "x-vtex-error-code", "x-vtex-io-cluster-id")


def write_files(folder: Path, info: WorldInfo, region: str, moving: Sequence[str]) -> Path:
    """Write everything that the agent of a region needs to watch a lab.

    ``folder`` is the whole demo's; ``moving`` are the stores that will move to several CDNs.
    Returns the path of the configuration file.
    """
    for name, stores in ((STORES, info.layout.domains), (BATCH, moving)):
        group = {"targets": list(stores), "labels": {"platform": "demo"}}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump([group]))
    identity = IDENTITIES[_PERSON]
    for name, value in (("appkey", identity.appkey), ("apptoken", identity.apptoken)):
        secret = folder / name
        secret.touch(mode=0o600)
        secret.write_text(value)
    path = folder / f"{region}.yaml"
    document = configuration(info, region, folder)
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    return path


def configuration(info: WorldInfo, region: str, folder: Path) -> dict[str, Any]:
    """The configuration of one region's agent."""
    return {
        "region": region,
        "listen": "127.0.0.1:0",
        "defaults": {"interval": INTERVAL, "timeout": "10s", "trust": {"file": info.roots}},
        "addresses": {"allow": ["127.0.0.0/8"]},  # where the lab's servers and resolvers are
        "providers": _providers(info, region),
        "targets": {name: {"files": [str(folder / f"{name}.yaml")]} for name in (STORES, BATCH)},
        "checks": [
            _tls(STORES, LIVE),
            _tls(BATCH, NEXT) | {"interval": BATCH_INTERVAL},
            _flow(info, folder),
        ],
    }


def _tls(targets: str, provider: str) -> dict[str, Any]:
    return {
        "name": targets,
        "kind": "tls",
        "targets": targets,
        "providers": [provider],
        "confirm": {"sample_interval": SAMPLE_INTERVAL, "sample_budget": SAMPLE_BUDGET},
    }


def _providers(info: WorldInfo, region: str) -> dict[str, Any]:
    """What customers get now, where the next batch will move, and the platform."""
    ip, port = info.resolvers[region]

    def dns() -> dict[str, Any]:
        servers = [f"{ip}:{port}"]
        return {"servers": servers, "hosts_file": False, "families": [4], "ttl_floor": "10s"}

    platform = {API: {"dns": dns()}}  # its port stands in the URLs
    if not info.distinct:  # all on one address, so that DNS cannot tell them apart
        return platform | {
            name: {"addresses": [place.label for place in info.seen(region, provider)]}
            for name, provider in ((LIVE, "cdn-a"), (NEXT, NEXT))
        }
    return platform | {
        LIVE: {"dns": dns(), "port": info.port},
        NEXT: {"hostname": cdn_host(NEXT), "dns": dns(), "port": info.port},
    }


def _flow(info: WorldInfo, folder: Path) -> dict[str, Any]:
    """What the developers' CLI does: start, be refused without a token, log in, read."""
    hosts, account = info.layout.hosts, info.layout.hosts.account
    port = info.seen("", API)[0].port
    platform, infra = (f"https://{host}:{port}" for host in (hosts.platform, hosts.infra))
    control, login = (f"https://{host}:{port}" for host in (hosts.control, hosts.login))
    return {
        "name": CLI,
        "kind": "api",
        "providers": [API],
        "interval": FLOW_INTERVAL,
        "timeout": FLOW_INTERVAL,
        "flow_timeout": FLOW_INTERVAL,
        "user_agent": "Toolbelt/4.4.2",
        "headers": {"x-vtex-account": account},
        "evidence_headers": list(_EVIDENCE),
        "instance_headers": ["x-vtex-io-cluster-id"],
        "router_codes": ["routing_error", "route_map_error", "ProxyTimeout"],
        "layers": ["edge", "router", "control", "login", "token", "authorization", "backend"],
        "auth": {"person": _login(login, folder)},
        "steps": [
            _step("control", "control", f"{control}/_v/public/toolbelt/global-config", None),
            {
                "name": "deny",
                "layer": "authorization",
                "get": f"{platform}/{account}/master",
                "deny": True,
            },
            _step("whoami", "authorization", f"{platform}/{account}/master", "name"),
            _step("workspaces", "authorization", f"{platform}/{account}", "length(@) > `0`"),
            _step("apps", "authorization", f"{infra}/apps/v0/{account}/master/apps", "data"),
        ],
    }


def _step(name: str, layer: str, url: str, condition: str | None) -> dict[str, Any]:
    step: dict[str, Any] = {"name": name, "layer": layer, "get": url}
    if condition is not None:
        # Several attempts, because an outage may hit only a part of the calls.
        step |= {"auth": "person", "expect": {"json": condition}, "attempts": ATTEMPTS}
    return step


def _login(host: str, folder: Path) -> Mapping[str, Any]:
    return {
        "kind": "json_login",
        "url": f"{host}/api/vtexid/apptoken/login",
        "json": {"appkey": f"file:{folder}/appkey", "apptoken": f"file:{folder}/apptoken"},
        "token": "token",
        "success": "authStatus == 'Success'",
        "refused": "authStatus == 'WrongCredentials'",
        "expires_at": "expires",
    }
