"""A flow in a running agent: its layer stands in metrics, page and log, and no secret anywhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from probe.lab.platform import IDENTITIES
from probe.lab.process import RemoteLab
from probe.net.http import httpx
from tests.support.agents import StartAgent

SECRETS = {
    "APPKEY": "lab-appkey-external",
    "APPTOKEN": IDENTITIES["lab-appkey-external"].apptoken,
    "NARROW_KEY": "lab-appkey-narrow",
    "NARROW_TOKEN": IDENTITIES["lab-appkey-narrow"].apptoken,
}
JWT = "eyJ"
"""How the tokens of the lab begin: base64 of ``{"``."""

PERSONAS = ("developer", "narrow")
FLOW = {"check": "cli", "target": "cli", "provider": "api"}
INTERVAL = 4.0


@pytest.fixture
def flow(tmp_path: Path, lab: RemoteLab) -> Path:
    """The CLI's calls for a developer, and for somebody without rights, who must be refused."""
    ip, port = lab.info.resolvers["sa-east"]
    hosts, account = lab.info.layout.hosts, lab.info.layout.hosts.account
    behind = lab.info.seen("sa-east", "api")[0].port
    path = tmp_path / "flow.yaml"
    path.write_text(f"""\
region: sa-east
listen: 127.0.0.1:0
addresses: {{allow: 127.0.0.0/8}}
providers:
  api: {{dns: {{servers: ["{ip}:{port}"], hosts_file: false, families: [4]}}}}
checks:
  - name: cli
    kind: api
    providers: [api]
    trust: {{file: roots.pem}}
    interval: {INTERVAL:g}s
    timeout: 3s
    flow_timeout: 3s
    run_id_header: X-Probe-Run
    evidence_headers: [x-request-id, set-cookie]
    instance_headers: [x-vtex-io-cluster-id]
    router_codes: [routing_error, route_map_error, ProxyTimeout]
    auth:
      person:
        kind: json_login
        url: "https://{hosts.login}:{behind}/api/vtexid/apptoken/login"
        json: {{appkey: env:APPKEY, apptoken: env:APPTOKEN}}
        token: token
        expires_at: expires
    personas:
      developer: {{}}
      narrow:
        auth:
          person:
            kind: json_login
            url: "https://{hosts.login}:{behind}/api/vtexid/apptoken/login"
            json: {{appkey: env:NARROW_KEY, apptoken: env:NARROW_TOKEN}}
            token: token
            expires_at: expires
        expect_denied: [whoami, workspaces, apps]
    steps:
      - name: control
        layer: control
        get: "https://{hosts.control}:{behind}/_v/public/toolbelt/global-config"
      - name: token-valid
        layer: token
        post: "https://{hosts.login}:{behind}/api/vtexid/credential/validate"
        json: {{token: "{{auth.person}}"}}
      - name: whoami
        layer: authorization
        get: "https://{hosts.platform}:{behind}/{account}/master"
        auth: person
        attempts: 2
      - name: workspaces
        layer: authorization
        get: "https://{hosts.platform}:{behind}/{account}"
        auth: person
        attempts: 2
      - name: apps
        layer: authorization
        get: "https://{hosts.infra}:{behind}/apps/v0/{account}/master/apps"
        auth: person
        attempts: 2
""")
    return path


async def said_everywhere(agent: Any) -> str:
    """All that the agent shows to anybody."""
    pages = ("/metrics", "/", "/api/v1/status", "/target/cli", "/readyz")
    texts = [(await agent.get(page)).text for page in pages]
    arguments = Path(f"/proc/{agent.process.pid}/cmdline").read_text()
    return "\n".join([*texts, arguments, *(json.dumps(line) for line in agent.log)])


def assert_no_secret(text: str) -> None:
    for value in (*SECRETS.values(), JWT):
        assert value not in text, value


@pytest.mark.slow
async def test_the_layer_is_named_in_metrics_page_and_log_and_no_secret_is(
    flow: Path, lab: RemoteLab, agents: StartAgent
) -> None:
    async with agents(flow, environ=SECRETS) as agent:

        async def both_pass() -> bool:
            ups = [
                await agent.metric("probe_flow_up", **FLOW, persona=persona)
                for persona in ("developer", "narrow")
            ]
            return ups == [1.0, 1.0]

        await agent.until(both_pass)
        assert await agent.metric("probe_flow_personas_diverge", **FLOW) == 0.0
        expiry = await agent.metric(
            "probe_flow_token_expiry_timestamp_seconds", **FLOW, persona="developer"
        )
        assert expiry is not None
        assert_no_secret(await said_everywhere(agent))

        await lab.inject("authorization_500", probability=0.6)
        line = await agent.said("state", check="cli", persona="developer", after="authorization")
        assert "500" in line["detail"]
        assert len(line["trace_id"]) == 32
        assert line["command"].startswith("curl ")
        assert '"$TOKEN"' in line["command"]

        one = {**FLOW, "persona": "developer"}
        assert await agent.metric("probe_flow_diagnosis", **one, layer="authorization") == 1.0
        for step in ("control", "token-valid"):
            assert await agent.metric("probe_step_success", **one, step=step) == 1.0
        page = (await agent.get("/")).text
        assert "To blame: the <strong>authorization</strong> layer" in page
        metrics = await agent.get("/metrics")
        shown = await said_everywhere(agent)
        assert_no_secret(shown)
        assert "x-vtex-io-cluster-id" in metrics.text, "failures by server-side part"

        await lab.clear()
        await lab.inject("fails_open")
        await agent.said("state", check="cli", persona="narrow", after="fails_open")
        assert await agent.metric("probe_flow_fails_open", **FLOW, persona="narrow") == 1.0
        assert_no_secret(await said_everywhere(agent))
    assert_no_secret("\n".join(json.dumps(line) for line in agent.log))


@pytest.mark.slow
async def test_an_identity_service_that_lost_its_clients_is_said_to_be_at_fault_everywhere(
    flow: Path, lab: RemoteLab, agents: StartAgent
) -> None:
    """Log, metrics and page agree: the login is to blame, of both personas, and nothing is ours."""
    text = flow.read_text().replace("    timeout: 3s", "    login_interval: 10s\n    timeout: 3s")
    flow.write_text(text)
    async with agents(flow, environ=SECRETS) as agent:

        async def up() -> bool:
            return all(
                [await agent.metric("probe_flow_up", **FLOW, persona=p) == 1.0 for p in PERSONAS]
            )

        await agent.until(up)
        await lab.inject("wrong_credentials")
        for persona in PERSONAS:
            line = await agent.said("state", check="cli", persona=persona, after="login")
            assert line["reason"] == "login_failed"
            assert "the service lost its clients, or the secret was revoked" in line["detail"]
            assert "ours" not in json.dumps(line)
            one = {**FLOW, "persona": persona}
            assert await agent.metric("probe_flow_diagnosis", **one, layer="login") == 1.0
            assert await agent.metric("probe_flow_up", **one) == 0.0
            assert await agent.metric("probe_step_status_code", **one, step="person") == 401.0
        page = (await agent.get("/")).text
        assert "the login layer" in page
        assert "fault of this agent" not in page
        assert "flow passes" not in page
        assert "flows pass" not in page
        assert_no_secret(await said_everywhere(agent))


async def test_a_trace_id_is_an_exemplar_of_the_latency(
    flow: Path, lab: RemoteLab, agents: StartAgent
) -> None:
    """Latencies that the agent's own lag spoils are left out; machines of tests are busy."""
    flow.write_text("limits: {lag_bound: 10s}\n" + flow.read_text())
    openmetrics = {"Accept": "application/openmetrics-text; version=1.0.0"}
    exemplar = re.compile(r'^probe_step_latency_seconds_bucket\{.* # \{trace_id="[0-9a-f]{32}"\}')
    async with (
        agents(flow, environ=SECRETS) as agent,
        httpx.AsyncClient(trust_env=False, headers=openmetrics) as client,
    ):
        address = await agent.address()

        async def there() -> bool:
            text = (await client.get(address + "/metrics")).text
            return any(exemplar.match(line) for line in text.splitlines())

        await agent.until(there)


async def test_without_its_secret_the_flow_is_inconclusive_and_says_which(
    flow: Path, lab: RemoteLab, agents: StartAgent
) -> None:
    present = {name: value for name, value in SECRETS.items() if name != "APPTOKEN"}
    async with agents(flow, environ=present) as agent:
        line = await agent.said("state", check="cli", persona="developer", after="inconclusive")
        assert line["reason"] == "secret_missing"
        assert "env:APPTOKEN" in line["detail"]
        assert await agent.metric("probe_flow_up", **FLOW, persona="developer") is None
        assert_no_secret(await said_everywhere(agent))
