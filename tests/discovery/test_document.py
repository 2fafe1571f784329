"""Lists of targets as bytes: what is taken, what is refused, and in which words."""

from __future__ import annotations

import json
import re
from types import MappingProxyType

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.discovery import document
from probe.discovery.document import ListProblem, Parsed, parse_list
from probe.discovery.syntax import Syntax
from probe.model.target import Target


def names(parsed: Parsed) -> list[str]:
    return [target.name for target in parsed.targets]


def test_a_file_sd_document_gives_targets_with_the_labels_of_their_group() -> None:
    text = b"""
- targets: [Shop.Example., "store.example:8443"]
  labels: {account: shop, tier: 1, closed: no}
- targets:
  - "[2001:db8::7]:443"
"""
    parsed = parse_list(text, "yaml")
    labels = MappingProxyType({"account": "shop", "tier": "1", "closed": "no"})
    assert parsed.targets == (
        Target("shop.example", None, labels),
        Target("store.example", 8443, labels),
        Target("2001:db8::7", 443),
    )
    assert parsed.targets[0].labels is parsed.targets[1].labels, "one mapping for a group"


def test_json_and_yaml_give_the_same() -> None:
    groups = [{"targets": ["shop.example"], "labels": {"a": "b"}}]
    as_json = json.dumps(groups).encode()
    assert parse_list(as_json, "json") == parse_list(as_json, "yaml")


def test_labels_with_two_underscores_are_not_kept() -> None:
    text = b"[{targets: [shop.example], labels: {__meta_zone: x, zone: y}}]"
    assert parse_list(text, "yaml").targets[0].labels == {"zone": "y"}


def test_an_empty_list_is_legal_and_so_are_empty_groups() -> None:
    for text in (b"[]", b"- targets: []", b"- targets:\n  labels:\n", b"- {}"):
        assert parse_list(text, "yaml") == Parsed(())


def test_aliases_share_groups() -> None:
    text = b"- &shop\n  targets: [shop.example]\n- *shop\n"
    assert names(parse_list(text, "yaml")) == ["shop.example", "shop.example"]


def test_one_wrong_entry_is_told_and_costs_no_other() -> None:
    text = b"[{targets: [shop.example, 'https://store.example/', 'a b', other.example]}]"
    parsed = parse_list(text, "yaml")
    assert names(parsed) == ["shop.example", "other.example"]
    assert parsed.rejected == 2
    assert parsed.problems[0].startswith("group 1, entry 2: ")
    assert "store.example" in parsed.problems[0]


def test_many_wrong_entries_are_counted_and_the_first_ones_told() -> None:
    entries = ["shop.example", *[f"a b{n}" for n in range(100)]]
    parsed = parse_list(json.dumps([{"targets": entries}]).encode(), "json")
    assert (parsed.rejected, len(parsed.problems)) == (100, 5)


REFUSED = {
    "empty": (b" \n", "write [] for a list without targets"),
    "only a comment": (b"# nothing yet\n", "no list of groups"),
    "not UTF-8": (b"- targets: [\xff]", "UTF-8"),
    "half of a flow list": (b"- targets: [shop.example, sto", "no YAML"),
    "tab": (b"- targets:\n\t- shop.example", "line 2: no YAML"),
    "control characters": (b"- targets: [\x00]", "characters"),
    "two documents": (b"[]\n---\n[]\n", "line 2: a second document"),
    "no list": (b"targets: [shop.example]", "no list of groups"),
    "a list of names": (b"[shop.example]", "group 1 is no mapping"),
    "misspelt key": (b"- target: [shop.example]", "'target'"),
    "key twice": (b"- targets: [a.example]\n  targets: [b.example]", "'targets' stands twice"),
    "targets are a text": (b"- targets: shop.example", "no list"),
    "an entry is a list": (b"- targets: [[shop.example]]", "group 1, entry 1"),
    "an entry is null": (b"- targets: [~]", "group 1, entry 1"),
    "labels are a list": (b"- {targets: [], labels: [a]}", "labels of group 1"),
    "label with a hyphen": (b"- {targets: [], labels: {my-label: a}}", "'my-label'"),
    "label with a list": (b"- {targets: [], labels: {a: [b]}}", "label a of group 1"),
    "key that is a list": (b"- {[a]: b}", "a key is no text"),
    "alias without anchor": (b"- *shop", "alias without an anchor"),
    "no entry is a target": (b"- targets: ['a b', 'c d']", "no entry is a target"),
    "an HTML page": (b"<!doctype html><html><body>Sign in: a: b</body></html>", "no YAML"),
    "very deep flow": (b"[" * 100_000, "levels"),
    "very deep block": (b"- " * 100_000, "levels"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_a_document_that_is_no_list_is_refused_in_words(data: bytes, message: str) -> None:
    with pytest.raises(ListProblem, match=re.escape(message)):
        parse_list(data, "yaml")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'[{"targets": ["shop.exam', "line 1: no JSON"),
        (b'[{"targets": [' + b"1" * 5000 + b"]}]", "no JSON: a number has too many digits"),
        (b"[" * 1_000_000, "nested"),
        (b'[{"targets": [1]}]', "group 1, entry 1"),
        (b'[{"targets": [], "labels": {"a": 1}}]', "put it in quotes"),
        (b'{"targets": []}', "no list of groups"),
        (b"null", "no list of groups"),
    ],
)
def test_json_that_is_no_list_is_refused_in_words(data: bytes, message: str) -> None:
    with pytest.raises(ListProblem, match=message):
        parse_list(data, "json")


def test_a_small_text_cannot_stand_for_millions_of_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MOST_TARGETS", 1000)
    group = b"- &g\n  targets: [" + b"shop.example, " * 100 + b"]\n"
    with pytest.raises(ListProblem, match="more than 1000 entries"):
        parse_list(group + b"- *g\n" * 100, "yaml")


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from(("yaml", "json")))
def test_any_bytes_give_a_list_or_a_problem(data: bytes, syntax: Syntax) -> None:
    try:
        parsed = parse_list(data, syntax)
    except ListProblem:
        return
    assert isinstance(parsed, Parsed)


WORDS = ("shop", "null", "yes", "1e3", "0x1f", "x--1", "12", "_sip")
NAMES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(".".join)


@settings(deadline=None)
@given(st.lists(st.lists(NAMES.map(lambda name: f"{name}.example"), max_size=4), max_size=4))
def test_what_yaml_writers_write_is_read(groups: list[list[str]]) -> None:
    text = yaml.safe_dump([{"targets": group} for group in groups])
    assert names(parse_list(text.encode(), "yaml")) == [name for group in groups for name in group]
