"""The section ``regions``: which agents are asked, and where credentials may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.config.loading import load
from probe.documents.problem import DocumentError
from probe.model.secret import SecretRef
from probe.model.spec import Regions, RegionsLogin

CONFIG = Path(__file__).parents[2] / "config"
REST = "\nregion: a\nchecks: [{kind: tls, name: a, targets: [a.example]}]\n"


def regions(folder: Path, text: str) -> Regions | None:
    path = folder / "probe.yaml"
    path.write_text(text + REST)
    return load(path, environ={}).regions


def test_nobody_is_asked_unless_the_file_says_so(tmp_path: Path) -> None:
    assert regions(tmp_path, "") is None


def test_agents_and_what_they_ask_for(tmp_path: Path) -> None:
    found = regions(
        tmp_path,
        "regions: {pages: 'https://eu.example:9469/', agents: 'https://all.example', "
        "basic_auth: {username: page, password: 'file:word'}, "
        "client_certificate: {certificate: 'file:a.pem', key: 'file:a.key'}}",
    )
    assert found is not None
    assert found.pages == ("https://eu.example:9469",)
    assert found.agents == "https://all.example"
    assert found.login == RegionsLogin("page", SecretRef("file", str(tmp_path / "word")))
    assert found.client_certificate is not None
    assert found.client_certificate.key == SecretRef("file", str(tmp_path / "a.key"))


LOGIN = "basic_auth: {username: page, password: 'env:WORD'}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("regions: {trust: system}", "no agent is named"),
        ("regions: {pages: eu.example}", "a URL must start with https://"),
        ("regions: {pages: 'https://u:word@eu.example'}", "write basic_auth:"),
        ("regions: {pages: 'https://eu.example/?a=b'}", "no query"),
        ("regions: {pages: 'https://eu.example/api/v1/regions'}", "the agent's address alone"),
        ("regions: {pages: ['https://a.example', 'https://a.example']}", "duplicate page"),
        (f"regions: {{pages: 'http://eu.example', {LOGIN}}}", "secrets need TLS"),
        (f"regions: {{agents: 'http://eu.example', {LOGIN}}}", "secrets need TLS"),
        ("regions: {pages: 'https://a.example', basic_auth: {username: 'a:b', "
         "password: 'env:W'}}", "no colon"),
        ("regions: {pages: 'https://a.example', client_certificate: {certificate: 'env:A', key: "
         "'file:b'}}", "must be in a file"),
        ("regions: {pages: 'https://a.example', trust: {file: nowhere.pem}}", "there is no file"),
        ("regions: {pages: 'https://a.example', basic_auth: {username: a, password: word}}",
         "file:"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DocumentError) as refused:
        regions(tmp_path, text)
    (found,) = refused.value.problems
    assert problem in found.message
    assert found.line == 1
    assert "u:word" not in found.message


def test_the_example_names_two_other_agents() -> None:
    found = load(CONFIG / "examples/all-regions.yaml", environ={}, region="sa-east").regions
    assert found is not None
    assert len(found.pages) == 2
    assert found.login is not None
