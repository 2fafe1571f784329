"""What alerts say in chat: the meaning of the first reason stands below the description."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from probe.model.cause import Cause, meaning
from probe.model.flow_cause import FlowCause, flow_meaning
from probe.model.reasons import title_of

TEMPLATES = Path(__file__).parents[2] / "deploy/alertmanager/templates/*.tmpl"

Run = Callable[..., str]

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("labels", "description", "reason"),
    [
        ({}, "9 fail. Reasons: certificate/name_mismatch (9), tls/timeout (2).", "name_mismatch"),
        ({}, "2 of 3 names do not resolve. Reasons: nxdomain. Names: a.", "nxdomain"),
        ({}, "9 fail. Reasons: tls/timeout, tls/reset.", "timeout"),
        ({"reason": "secret_missing"}, "1 target (auth/secret_missing).", "secret_missing"),
        ({}, "9 fail. Reasons: see the agent's page.", None),
        ({}, "9 fail. Reasons: not known.", None),
        ({}, "The agent is down.", None),
    ],
)
def test_the_first_reason_has_its_title_and_a_link(
    amtool: Run, tmp_path: Path, labels: dict[str, str], description: str, reason: str | None
) -> None:
    url = "https://probe.example/docs"
    said = chat(amtool, tmp_path, labels, description)
    more = "" if reason is None else f"\n{title_of(reason)}: {url}/reasons.md#{reason}"
    assert said == description + more


@pytest.mark.parametrize(
    ("because", "cause"),
    [
        ("Because: certificate_missing (2 edges), edge (1 edge). ", Cause.CERTIFICATE_MISSING),
        ("Because: only_tls13 (1 edge). ", Cause.ONLY_TLS13),
        ("", None),
    ],
)
def test_the_first_cause_has_its_meaning(
    amtool: Run, tmp_path: Path, because: str, cause: Cause | None
) -> None:
    description = f"9 fail. Reasons: tls/timeout (9). Domains: a. {because}Elsewhere: none."
    said = chat(amtool, tmp_path, {}, description)
    more = "" if cause is None else f"\nBecause {meaning(cause)}"
    assert said.partition("#timeout")[2] == more


def test_a_flows_cause_has_its_meaning_and_a_name_of_its_own(amtool: Run, tmp_path: Path) -> None:
    description = (
        "Steps failed: whoami (authorization). Because: kept_token (1 flow). Elsewhere: no."
    )
    said = chat(amtool, tmp_path, {}, description)
    assert said.endswith(f"\nBecause {flow_meaning(FlowCause.KEPT_TOKEN)}")
    shared = {str(one) for one in Cause} & {str(one) for one in FlowCause}
    assert shared == {"undetermined"}


def chat(amtool: Run, tmp_path: Path, labels: dict[str, str], description: str) -> str:
    """What chat shows of an alert, up to the links."""
    url = "https://probe.example/docs"
    words = {"description": description, "runbook_url": f"{url}/runbooks/ProbeAgentDown.md"}
    alert = {"status": "firing", "labels": labels, "annotations": words}
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"status": "firing", "alerts": [alert]}))
    said = amtool(
        "template",
        "render",
        f"--template.glob={TEMPLATES}",
        '--template.text={{ template "probe.chat" . }}',
        f"--template.data={data}",
    )
    return said.strip().partition("\n\n")[0]
