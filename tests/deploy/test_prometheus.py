"""The shipped Prometheus examples with real Prometheus processes and a real agent on the lab."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import yaml

from probe.lab.places import API
from probe.lab.process import RemoteLab
from tests.support.agents import StartAgent
from tests.support.engines import Prometheus, open_prometheus
from tests.support.programs import DEPLOY, program, run

pytestmark = pytest.mark.real

EXAMPLES = DEPLOY / "prometheus" / "examples"

# What the panels, variables and rules for blackbox_exporter ask that are in most use (Grafana 7587,
# 13659, 14928, the mixin and the usual alerts); $instance stands for a store and a page, $job for
# their checks in a region.
DASHBOARDS = [
    'probe_success{instance=~"$instance"}',
    'probe_success{job=~".+", instance=~"$instance"}',
    "count(probe_success)",
    "count(probe_success == 1) / count(probe_success) * 100",
    'avg_over_time(probe_success{instance=~"$instance"}[1m]) * 100',
    'probe_duration_seconds{instance=~"$instance"}',
    'sum(probe_duration_seconds{instance=~"$instance"}) by (instance)',
    'avg_over_time(probe_duration_seconds{instance=~"$instance"}[1m])',
    'probe_http_duration_seconds{instance=~"$instance"}',
    'sum(probe_http_duration_seconds{instance=~"$instance"}) by (phase)',
    "sum(probe_http_duration_seconds) by (instance)",
    'probe_http_status_code{instance=~"$instance"}',
    'count(probe_http_status_code{instance=~"$instance"} < 400)',
    'probe_http_version{instance=~"$instance"}',
    'probe_http_ssl{instance=~"$instance"}',
    'probe_http_redirects{instance=~"$instance"}',
    'probe_http_content_length{instance=~"$instance"}',
    'probe_tls_version_info{instance=~"$instance"}',
    "count by (version) (probe_tls_version_info)",
    'probe_ssl_earliest_cert_expiry{instance=~"$instance"} - time()',
    "(probe_ssl_earliest_cert_expiry - time()) / 86400 > 0",
    'min(probe_ssl_last_chain_expiry_timestamp_seconds{instance=~"$instance"}) - time()',
    'probe_dns_lookup_time_seconds{instance=~"$instance"}',
    'avg_over_time(probe_dns_lookup_time_seconds{instance=~"$instance"}[1m])',
    'probe_ip_protocol{instance=~"$instance"}',
    'max by (instance) (probe_success{cluster="", job=~"$job", instance=~"$instance"})',
    'avg_over_time(probe_success{job=~"$job", instance=~"$instance"}[30d])',
    'count(probe_http_ssl{job=~"$job"} == 1) / count(probe_http_version{job=~"$job"})',
    'max by (instance, version) (probe_tls_version_info{job=~"$job", instance=~"$instance"})',
    'min by (instance) (probe_ssl_earliest_cert_expiry{job=~"$job"} - time())',
    'max by (instance) (probe_http_redirects{job=~"$job", instance=~"$instance"})',
    'avg by (instance) (probe_dns_lookup_time_seconds{job=~"$job", instance=~"$instance"})',
    'sum by (instance) (avg by (phase, instance) (probe_http_duration_seconds{job=~"$job"}))',
    'avg by (phase) (probe_http_duration_seconds{job=~"$job", instance=~"$instance"})',
]


def written(folder: Path, config: Any) -> Path:
    """The configuration as a file in a folder of its own."""
    folder.mkdir()
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


async def until(holds: Callable[[], Any], why: Callable[[], object]) -> None:
    with trio.move_on_after(45):
        while not await holds():
            await trio.sleep(0.2)
        return
    raise AssertionError(why())


def example(name: str) -> dict[str, Any]:
    document = yaml.safe_load((EXAMPLES / name).read_text())
    assert isinstance(document, dict)
    return document


def quick(config: dict[str, Any]) -> dict[str, Any]:
    """The same, scraped every second."""
    config["global"] = {**config.get("global", {}), "scrape_interval": "1s", "scrape_timeout": "1s"}
    for job in config.get("scrape_configs", []):
        for own in ("scrape_interval", "scrape_timeout"):
            job.pop(own, None)
    return config


@pytest.fixture
def pages(config: Path, lab: RemoteLab) -> Path:
    """The lab's stores, and a page of its platform: what an HTTP probe would look at."""
    host, port = lab.info.resolvers["sa-east"]
    page = f"https://{lab.info.layout.hosts.control}:{lab.info.seen('', API)[0].port}"
    text = config.read_text().replace(
        "providers:\n",
        # This machine may be busy: the timings of a late agent would be left out.
        "limits: {lag_bound: 5s}\n"
        "providers:\n"
        f'  api: {{dns: {{servers: ["{host}:{port}"], hosts_file: false, families: [4]}}}}\n',
        1,
    )
    text += f"""\
  - name: page
    kind: api
    providers: [api]
    trust: {{file: roots.pem}}
    steps: [{{name: home, get: "{page}/_v/public/toolbelt/global-config"}}]
"""
    config.write_text(text)
    return config


@pytest.mark.slow
async def test_dashboards_of_blackbox_exporter_and_remote_write(
    pages: Path, agents: StartAgent, tmp_path: Path
) -> None:
    """One agent; a server that scrapes it for the dashboards and takes what a VM sends home."""
    token = tmp_path / "token"
    token.write_text("secret")
    async with agents(pages) as agent:
        address = (await agent.address()).removeprefix("http://")
        agents_file = tmp_path / "agents.yml"
        agents_file.write_text(json.dumps([{"targets": [address]}]))
        server = quick(example("blackbox-dashboards.yml"))
        server["scrape_configs"][0]["file_sd_configs"][0]["files"] = [str(agents_file)]
        async with open_prometheus(
            written(tmp_path / "server", server), "--web.enable-remote-write-receiver"
        ) as home:
            vm = quick(example("vm-agent.yml"))
            vm["scrape_configs"][0]["static_configs"][0]["targets"] = [address]
            vm["remote_write"][0]["url"] = f"{home.url}/api/v1/write"
            vm["remote_write"][0]["authorization"]["credentials_file"] = str(token)
            features = "--enable-feature=agent,expand-external-labels"
            sender = written(tmp_path / "vm", vm)
            async with open_prometheus(sender, features, environ={"HOSTNAME": "vm-7"}):
                await dashboards_have_data(home)
                await what_a_vm_sends_is_at_home(home, tmp_path / "vm" / "prometheus.log")


async def dashboards_have_data(home: Prometheus) -> None:
    queries = [
        query.replace("$instance", "store-001.example|page").replace(
            "$job", "(stores|page) sa-east"
        )
        for query in DASHBOARDS
    ]
    empty = list(queries)

    async def all_there() -> bool:
        empty[:] = [query for query in queries if not await home.series(query)]
        return not empty

    await until(all_there, lambda: f"no data: {empty}")
    (one,) = await home.series('probe_success{job="stores sa-east", instance="store-001.example"}')
    assert one["value"][1] == "1"
    assert not await home.series('{job=~".+ sa-east", __name__=~"probe_edge.+|probe_agent.+"}')
    # Single-value panels: one series for each pair of job and instance.
    twice = 'count by (job, instance) ({__name__="probe_success", job=~".+ sa-east"}) > 1'
    assert await home.series(twice) == []
    # An alert that asks for no job fires once: nothing is scraped a second time.
    again = 'count by (check, region, instance) (probe_success{agent!="vm-7"}) > 1'
    assert await home.series(again) == []
    assert await home.series('probe_edge_up{job="probe"}')  # our own alerts know the job


async def what_a_vm_sends_is_at_home(home: Prometheus, log: Path) -> None:
    wanted = [
        'up{job="probe", agent="vm-7"} == 1',
        'probe_success{job="probe", agent="vm-7", region="sa-east", instance="store-001.example"}',
        'count(probe_edge_up{agent="vm-7", target="store-001.example"} == 1) == 8',
    ]
    for query in wanted:
        await until(partial(home.series, query), lambda: (wanted, log.read_text()))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yml")), ids=lambda path: path.stem)
def test_promtool_accepts_the_example(path: Path, tmp_path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    for job in document.get("scrape_configs", ()):
        # Debian's build leaves this discovery out; the rest of the job is checked all the same.
        if job.pop("kubernetes_sd_configs", None):
            job["static_configs"] = [{"targets": ["127.0.0.1:9469"]}]
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(document))
    mode = ["--agent"] if path.stem == "vm-agent" else []
    run(program("promtool"), "check", "config", "--syntax-only", *mode, file)


def test_every_example_writes_instance_in_the_same_way() -> None:
    """One regular expression, wherever it stands: here, in prometheus.yml and for the operator."""
    main = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (wanted,) = [
        rule["regex"]
        for rule in main["scrape_configs"][0]["metric_relabel_configs"]
        if rule.get("target_label") == "instance"
    ]
    monitor = yaml.safe_load(
        (DEPLOY / "kubernetes/components/operator/podmonitor.yaml").read_text()
    )
    rules = [*monitor["spec"]["podMetricsEndpoints"][0]["metricRelabelings"]]
    for name in ("vm-agent.yml", "scrape-vms.yml", "scrape-pods.yml"):
        for job in example(name)["scrape_configs"]:
            assert job["honor_labels"] is True
            rules += job["metric_relabel_configs"]
    assert {rule["regex"] for rule in rules} == {wanted}
