"""``probe targets`` and ``probe edges``: what lists and DNS give, with its source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from probe.cli.main import main

CONFIG = """\
region: lab
providers:
  live: {dns: {}}
  cdn: {addresses: ["198.51.100.7:8443"]}
targets:
  stores: {static: [192.0.2.7], files: [list.json]}
checks:
  - {name: stores, kind: tls, targets: stores, providers: [live, cdn]}
  - {name: few, kind: tls, targets: [192.0.2.9]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "probe.yaml").write_text(CONFIG)
    group = {"targets": ["127.0.0.1", "192.0.2.7"], "labels": {"team": "a\x1bb"}}
    (tmp_path / "list.json").write_text(json.dumps([group]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def probe(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_targets_have_their_labels_and_their_source(folder: Path) -> None:
    done = probe("targets", "--check", "stores")
    assert done.exit_code == 0, done.output
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["list", "target", "labels", "source", "note"]
    assert [row.split()[:3] for row in rows] == [
        ["stores", "192.0.2.7", "-"],
        ["stores", "127.0.0.1", r"team=a\x1bb"],
        ["stores", "192.0.2.7", r"team=a\x1bb"],
    ]
    assert rows[1].split()[3].endswith("list.json")
    assert rows[2].endswith("static names it first")


def test_targets_as_json_and_one_of_them(folder: Path) -> None:
    one, two = json.loads(probe("targets", "--target", "192.0.2.7", "-o", "json").stdout)
    assert one == {"list_name": "stores", "target": "192.0.2.7", "labels": {}, "source": "static"}
    assert two["note"] == "static names it first"


def test_a_source_that_cannot_be_read_is_1_and_the_others_are_listed(folder: Path) -> None:
    (folder / "list.json").unlink()
    done = probe("targets", "--check", "stores")
    assert done.exit_code == 1
    assert "192.0.2.7" in done.stdout
    assert "list.json" in done.stderr


def test_edges_say_where_they_come_from_and_what_is_refused(folder: Path) -> None:
    done = probe("edges", "--check", "stores", "-o", "json")
    assert done.exit_code == 1, "the loopback address is refused"
    found = {(one["target"], one["provider"]): one for one in json.loads(done.stdout)}
    assert len(found) == 4
    assert found["192.0.2.7", "live"]["address"] == "192.0.2.7:443"
    assert "refused" not in found["192.0.2.7", "live"]
    assert found["127.0.0.1", "cdn"]["address"] == "198.51.100.7:8443"
    assert found["127.0.0.1", "cdn"]["source"] == "fixed"
    refused = found["127.0.0.1", "live"]["refused"]
    assert refused.startswith("127.0.0.1 is a loopback address; addresses: {allow:")


def test_edges_that_may_all_be_probed_are_0(folder: Path) -> None:
    done = probe("edges", "--target", "192.0.2.7", "--provider", "cdn")
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["targets", "--check", "storse"], "did you mean stores?"),
        (["edges", "--provider", "cnd"], "did you mean cdn?"),
        (["edges", "--config", "none.yaml"], "none.yaml"),
    ],
)
def test_what_is_not_there_is_2(words: list[str], said: str, folder: Path) -> None:
    done = probe(*words)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_target_that_no_list_holds_is_1_and_said(folder: Path) -> None:
    done = probe("targets", "--target", "other.example")
    assert done.exit_code == 1
    assert "nothing was found" in done.stderr
