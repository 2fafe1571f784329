"""A configuration of the first shape loads, and each kind of mistake in it has its place."""

from pathlib import Path

import pytest

from probe.config import ConfigError, load

GOOD = """\
region: auto
listen: 127.0.0.1:9469
defaults: {interval: 15s, timeout: 10s}
providers:
  live:   {dns: {}}
  cdn-b:  {hostname: stores.cdn-b.example}
  cdn-c:  {addresses: [198.51.100.7, "2001:db8::7"]}
targets:
  stores: {files: [stores.yaml]}
checks:
  - name: stores
    kind: tls
    targets: stores
    providers: [live, cdn-b]
"""


def test_the_first_shape_loads(tmp_path: Path) -> None:
    (tmp_path / "stores.yaml").write_text("- targets: [shop.example]\n")
    path = tmp_path / "probe.yaml"
    path.write_text(GOOD)
    spec = load(path, environ={"PROBE_REGION": "sa-east"})
    (check,) = spec.checks
    assert (spec.region, check.name, check.providers, check.interval) == (
        "sa-east",
        "stores",
        ("live", "cdn-b"),
        15.0,
    )


def test_a_missing_target_file_is_a_problem_at_its_entry(tmp_path: Path) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text(GOOD)
    with pytest.raises(ConfigError) as raised:
        load(path, environ={})
    assert [str(problem) for problem in raised.value.problems] == [
        f'{path}:9:20: there is no file "{tmp_path}/stores.yaml"; '
        "paths are relative to the configuration file"
    ]
