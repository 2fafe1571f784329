"""``probe check --why``: a person learns at the terminal what a failure depends on."""

from __future__ import annotations

import json
from pathlib import Path

from probe.lab.board import Where
from probe.lab.process import RemoteLab
from tests.agent.test_check import check

STORE = "store-001.example"


async def test_a_missing_certificate_is_explained(config: Path, lab: RemoteLab) -> None:
    gru = lab.info.place("cdn-b/gru")
    where = Where(frozenset({STORE}), frozenset({gru.name}))
    await lab.inject("alert_unrecognized_name", where)
    done = await check(config, "--why")
    assert done.returncode == 1, done.stderr
    because = f"Because: {gru.label} of cdn-b has no valid certificate for {STORE}: other domains"
    assert because in done.stdout
    assert f"another domain on the same edge: store-002.example at {gru.label}" in done.stdout


async def test_one_domain_alone_is_compared_with_others_of_its_list(
    config: Path, lab: RemoteLab
) -> None:
    gru = lab.info.place("cdn-b/gru")
    await lab.inject("reset_after_hello", Where(edges=frozenset({gru.name})))
    one = ("--target", STORE, "--provider", "cdn-b", "--why", "-o", "json")
    document = json.loads((await check(config, *one)).stdout)
    (failed,) = [row for row in document["results"] if row["verdict"] == "fail"]
    assert failed["cause"] == "edge"
    assert failed["experiments"]
    passing = [row for row in document["results"] if row["verdict"] == "pass"]
    assert all("cause" not in row for row in passing)
