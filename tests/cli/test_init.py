"""``probe init`` writes what ``probe validate`` accepts, and never over anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from probe.cli.main import main
from probe.config.loading import load
from probe.config.schema import schema_text


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def probe(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, words, input=stdin)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shop.example"], "1 check, 1 provider, 1 target list"),
        (["shop.example", "münchen.example", "[2001:db8::1]:8443"], "1 check"),
        (["shop.example", "--cdn", "cdn-b=stores.cdn-b.example"], "2 providers"),
        (["https://api.example/health?a={b}"], "1 check, 1 provider, 0 target lists"),
        (["shop.example", "https://api.example/", "http://api.example/two"], "3 checks"),
        (["shop.example", "--region", "null", "--interval", "1m"], "1 check"),
        (["no", "0123.example"], "1 check"),  # words that YAML takes for something else
    ],
)
def test_what_is_written_is_good(words: list[str], said: str) -> None:
    done = probe("init", *words)
    assert done.exit_code == 0, done.output
    good = probe("validate", "probe.yaml")
    assert good.exit_code == 0, good.output
    assert said in good.stdout
    text = Path("probe.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=probe.schema.json\n")


def test_words_arrive_as_they_were_written() -> None:
    probe("init", "shop.example", "no", "--region", "null", "--interval", "1m")
    spec = load(Path("probe.yaml"), environ={})
    assert spec.region == "null"
    assert [target.name for target in spec.targets["names"].static] == ["shop.example", "no"]
    assert spec.checks[0].interval == 60


def test_a_list_of_others_is_named_and_must_be_there() -> None:
    words = ("init", "--targets-file", "targets/stores.yaml", "--file", "deep/probe.yaml")
    missing = probe(*words)
    assert missing.exit_code == 2
    assert "stores.yaml" in missing.stderr
    assert not Path("deep/probe.yaml").exists()
    Path("deep/targets").mkdir()
    Path("deep/targets/stores.yaml").write_text("- targets: [shop.example]\n")
    assert probe(*words).exit_code == 0  # relative to the configuration
    assert list(Path("deep").glob("*.yaml")) == [Path("deep/probe.yaml")]


def test_a_file_that_is_there_is_replaced_only_by_force() -> None:
    Path("probe.yaml").write_text("mine\n")
    refused = probe("init", "shop.example")
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert Path("probe.yaml").read_text() == "mine\n"
    assert probe("init", "shop.example", "--force").exit_code == 0
    assert "shop.example" in Path("probe.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name what to probe, for example: probe init shop.example"),
        (["shop..example"], "empty part between two dots"),
        (["shop.example", "--cdn", "cdn-b"], "--cdn cdn-b: write NAME=HOSTNAME"),
        (["shop.example", "--interval", "30"], "30s"),
        (["shop.example", "--region", "sa east\n"], "sa east"),
        (["ftp://shop.example/"], "ftp"),
    ],
)
def test_what_cannot_be_used_is_2_and_writes_nothing(words: list[str], said: str) -> None:
    done = probe("init", *words)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert list(Path().iterdir()) == []


def test_a_url_with_a_login_is_not_written_down() -> None:
    done = probe("init", "https://person:s3cr3t@api.example/")
    assert done.exit_code == 2
    assert "s3cr3t" not in done.output
    assert list(Path().iterdir()) == []


def test_on_a_terminal_it_asks_for_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.cli.init._at_a_terminal", lambda: True)
    done = probe(
        "init", stdin="shop.example, https://api.example/\nsa-east\nstores.cdn-b.example\n"
    )
    assert done.exit_code == 0, done.output
    spec = load(Path("probe.yaml"), environ={})
    assert spec.region == "sa-east"
    assert len(spec.checks) == 2
    assert spec.providers["cdn-next"].hostname == "stores.cdn-b.example"


def test_the_schema_is_printed_as_it_is_shipped() -> None:
    assert probe("schema").stdout == schema_text()
