"""The expiry alerts and the agent's own times together: each lifetime, firing and quiet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from probe.certificates.renewal import renewal_of
from probe.model.tls import ChainExpectations, DaysLeft
from tests.incidents.expiry import lived
from tests.rules.test_rules import PROMETHEUS, Run

MINUTE = 60.0
DAY = 86_400.0
SOON, NOW = "ProbeCertificateExpiresSoon", "ProbeCertificateExpiresNow"
WATCHED = 20
"""Minutes of each case; an alert waits for five."""


def cases() -> Iterator[tuple[str, float, ChainExpectations, float, set[str]]]:
    """Name, lifetime in days, expectations, seconds left at the start, and what must fire."""
    for lifetime, late, urgent in ((6, 1, 0.5), (14, 14 / 6, 0.5), (45, 7.5, 1.5), (90, 15, 3)):
        yield from _around(f"{lifetime} days", lifetime, ChainExpectations(), late, urgent)
    yield from _around("398 days", 398, ChainExpectations(), 30, 3)
    asked = ChainExpectations(days_left=DaysLeft(21, None))
    yield from _around("90 days, 21 asked for", 90, asked, 21, 3)


def _around(
    name: str, lifetime: float, expect: ChainExpectations, late: float, urgent: float
) -> Iterator[tuple[str, float, ChainExpectations, float, set[str]]]:
    before, after = (WATCHED + 1) * MINUTE, -MINUTE
    yield f"quiet: {name}, just issued", lifetime, expect, lifetime * DAY, set()
    yield f"quiet: {name}, not yet late", lifetime, expect, late * DAY + before, set()
    yield f"firing: {name}, late", lifetime, expect, late * DAY + after, {SOON}
    yield f"firing: {name}, not yet urgent", lifetime, expect, urgent * DAY + before, {SOON}
    yield f"firing: {name}, urgent", lifetime, expect, urgent * DAY + after, {SOON, NOW}


def _test(case: tuple[str, float, ChainExpectations, float, set[str]]) -> dict[str, Any]:
    name, lifetime, expect, left, firing = case
    facts = lived(left - lifetime * DAY, lifetime * DAY)
    times = renewal_of(facts, expect)
    labels = 'region="sa-east",check="stores"'
    series = {
        f'probe_check_info{{{labels},kind="tls",team="edge"}}': 1.0,
        f'probe_ssl_last_chain_expiry_timestamp_seconds{{{labels},target="a"}}': facts.not_after,
        f'probe_certificate_renewal_late_timestamp_seconds{{{labels},target="a"}}': times.late,
        f'probe_certificate_renewal_urgent_timestamp_seconds{{{labels},target="a"}}': times.urgent,
    }
    wanted = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(firing)]
    return {
        "name": name,
        "interval": "15s",
        "input_series": [
            {"series": key, "values": f"{value:.3f}+0x{WATCHED * 4}"}
            for key, value in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{WATCHED}m",
                "exp_samples": wanted,
            }
        ],
    }


@pytest.mark.real
def test_each_lifetime_fires_when_it_should_and_only_then(promtool: Run, tmp_path: Path) -> None:
    rules = [str(PROMETHEUS / "rules" / name) for name in ("certificates.yaml", "checks.yaml")]
    document = {
        "rule_files": rules,
        "evaluation_interval": "15s",
        "tests": [_test(case) for case in cases()],
    }
    path = tmp_path / "lifetimes.yaml"
    path.write_text(yaml.dump(document))
    promtool("test", "rules", path)
