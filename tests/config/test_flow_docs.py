"""What docs/flows.md shows loads as it stands, and what it promises exists."""

import re
from pathlib import Path

import pytest

from probe.config.loading import load
from probe.model.flow import ApiCheck
from probe.serve.series.families import FAMILIES

DOCUMENT = (Path(__file__).parents[2] / "docs/flows.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda text: re.findall("name: (.+)", text)[0])
def test_every_block_is_a_configuration(block: str, tmp_path: Path) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text("region: local\n" + block, encoding="utf-8")
    (check,) = load(path, environ={}).checks
    assert isinstance(check, ApiCheck)


def test_every_kind_is_shown() -> None:
    kinds = set(re.findall(r"kind: (\w+)", DOCUMENT)) - {"api", "command"}
    assert kinds == {
        "bearer", "basic", "digest", "headers", "json_login", "oauth2", "sigv4", "cookie",
    }  # fmt: skip


def test_every_metric_that_is_named_exists() -> None:
    named = set(re.findall(r"`(probe_\w+)`", DOCUMENT))
    assert named
    assert named <= {family.name for family in FAMILIES}
