"""The operator's ``Probe`` resource with our agent as the prober.

The operator turns the resource into a scrape: one request for each target, with the module and the
target as parameters. That is done here by its rules, and the agent's own router and prober answer.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import trio
import yaml

from probe.agent.asked import AskedProbes, read_asked
from probe.agent.parts import build_parts
from probe.config.loading import load_text
from probe.config.units import parse_duration
from probe.serve.http.message import WebRequest
from probe.serve.http.web import application
from probe.serve.memory.store import Store
from tests.support.http_server import Http, Reply, serve
from tests.support.programs import DEPLOY

EXAMPLE = DEPLOY / "prometheus" / "examples" / "operator-probe.yaml"


def resource() -> dict[str, Any]:
    document = yaml.safe_load(EXAMPLE.read_text())
    assert (document["apiVersion"], document["kind"]) == ("monitoring.coreos.com/v1", "Probe")
    spec = document["spec"]
    assert isinstance(spec, dict)
    return spec


def scrapes(spec: dict[str, Any]) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    """URL, headers and labels of each scrape that the operator makes of a ``Probe``."""
    prober, static = spec["prober"], spec["targets"]["staticConfig"]
    made = []
    for target in static["static"]:
        query = urlencode({"module": spec["module"], "target": target})
        url = f"{prober.get('scheme', 'http')}://{prober['url']}{prober['path']}?{query}"
        seconds = parse_duration(spec["scrapeTimeout"])
        headers = {"x-prometheus-scrape-timeout-seconds": f"{seconds:g}"}
        made.append(
            (url, headers, {"instance": target, "job": spec["jobName"], **static["labels"]})
        )
    return made


def configuration() -> str:
    """What the example says the agent's configuration must hold."""
    lines = [line[4:] for line in EXAMPLE.read_text().splitlines() if line.startswith("#   ")]
    return "region: here\n" + "\n".join(lines) + "\n"


def test_each_target_of_the_example_may_be_probed_and_has_time() -> None:
    spec = load_text(configuration(), "probe.yaml", environ={})
    assert spec.blackbox is not None
    for url, headers, labels in scrapes(resource()):
        asked = read_asked(spec.blackbox, dict(parse_qsl(urlsplit(url).query)), headers)
        assert asked.target.name in labels["instance"]
        assert asked.seconds == 5.0  # the module's own, which is less than the scrape's


@pytest.mark.parametrize("found", [200, 503])
async def test_the_agent_answers_what_the_operator_asks(found: int) -> None:
    text = configuration().replace('"*.shop.example"', "127.0.0.1")
    spec = load_text(f"{text}addresses: {{allow: [127.0.0.1]}}\n", "probe.yaml", environ={})
    probes = AskedProbes(build_parts(spec, {}), spec)
    router = application(Store("here", started_at=0.0), asked=probes.answer)
    async with serve(None, Http({"/health": Reply(found)})) as server:
        wanted = resource()
        wanted["targets"]["staticConfig"]["static"] = [f"http://127.0.0.1:{server.port}/health"]
        ((url, headers, _),) = scrapes(wanted)
        parts = urlsplit(url)
        request = WebRequest(
            "GET", parts.path, dict(parse_qsl(parts.query)), headers, parts.hostname or ""
        )
        handler, places = router(request)
        assert places is None
        with trio.fail_after(60):
            answer = await handler(request)
    assert answer.status == 200
    assert isinstance(answer.body, bytes)
    assert f"probe_success {float(found == 200)}\n" in answer.body.decode()
    assert f"probe_http_status_code {found}.0\n" in answer.body.decode()
