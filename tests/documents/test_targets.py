"""Lists of targets: one table of what is read and what is refused, held by every reader.

The readers are ``probe validate``, a batch of ``probe check``, and an agent that starts, runs or
reloads. They differ in what follows from a problem, never in what is one.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.config.loading import load, validate
from probe.discovery import TargetWatcher
from probe.documents import targets as reading
from probe.documents.problem import DocumentError, Problem
from probe.documents.targets import Listed, load_targets, read_list
from probe.model.spec import FileSource, TargetList
from probe.model.target import Target


@dataclass(frozen=True)
class Case:
    """A document, what it gives, and every problem as ``line:column: message``."""

    content: str | bytes
    names: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


GROUPS = "write - targets: [shop.example]"
YAML = {
    "an empty list": Case("[]"),
    "groups without entries": Case("- targets: []\n- targets:\n  labels:\n- targets: ~\n"),
    "names as people write them": Case(
        "- targets: [Shop.Example., 'store.example:8443', '[2001:db8::7]:443', 1e3, yes]",
        ("shop.example", "store.example:8443", "[2001:db8::7]:443", "1e3", "yes"),
    ),
    "a repeated target": Case("- targets: [a.example, A.example]", ("a.example", "a.example")),
    "a merge key": Case(
        "- &a {targets: [a.example], labels: {x: y}}\n- {<<: *a, targets: [b.example]}\n",
        ("a.example", "b.example"),
    ),
    "an alias": Case("- &a {targets: [a.example]}\n- *a\n", ("a.example", "a.example")),
    "labels of Prometheus's own": Case(
        "- {targets: [a.example], labels: {__meta_zone: x}}", ("a.example",)
    ),
    "numbers as labels": Case(
        "- {targets: [a.example], labels: {n: 5, v: 1.10, id: 12345678901234567890, no: ~}}",
        ("a.example",),
    ),
    "a label that Prometheus refuses": Case(
        "- targets: [a.example]\n  labels: {k8s.io/app: x, c: [d], e: f}\n",
        ("a.example",),
        (
            '2:12: "k8s.io/app" is not a valid label name; use letters, digits and underscores',
            "2:30: expected text, found a list",
        ),
    ),
    "labels that are a list": Case(
        "- targets: [a.example]\n  labels: [x]\n",
        ("a.example",),
        ("2:11: expected a mapping of labels, found a list",),
    ),
    "entries that are no names": Case(
        "- targets: [5, [x], ~, a.example, 'b c', 'https://d.example/', {}]",
        ("a.example",),
        (
            '1:13: "5" is neither a host name nor an IP address',
            "1:16: expected a name, found a list",
            "1:21: expected a name, found nothing",
            '1:35: "b c" contains a space; write one name per entry',
            "1:42: write d.example, not https://d.example/",
            "1:64: expected a name, found a mapping",
        ),
    ),
    "groups that are none": Case(
        "- targets: [a.example]\n- b.example\n- {}\n- target: [c.example]\n- targets: d.example\n",
        ("a.example",),
        (
            f"2:3: expected a group, found text; {GROUPS}",
            '3:3: "targets" is missing; write for example targets: [shop.example]',
            '4:3: "targets" is missing; write for example targets: [shop.example]',
            '4:3: unknown key "target"; did you mean "targets"?',
            "5:12: expected a list, found text; put it in brackets",
        ),
    ),
    "a key beside": Case(
        "- targets: [a.example]\n  lables: {a: b}\n",
        ("a.example",),
        ('2:3: unknown key "lables"; did you mean "labels"?',),
    ),
    "a key twice": Case(
        "- targets: [a.example]\n  targets: [b.example]\n",
        ("a.example",),
        ('2:3: duplicate key "targets", first defined on line 1',),
    ),
}
REFUSED = {
    "nothing": Case(
        " \n", (), ("1:1: the target list is empty; write [] for a list without targets",)
    ),
    "a comment": Case(
        "# soon\n", (), (f"1:1: expected a list of groups, found nothing; {GROUPS}",)
    ),
    "a mapping": Case(
        "targets: [a.example]",
        (),
        (f"1:1: expected a list of groups, found a mapping; {GROUPS}",),
    ),
    "no good entry": Case(
        "- targets: ['a b', ~]",
        (),
        (
            '1:13: "a b" contains a space; write one name per entry',
            "1:20: expected a name, found nothing",
        ),
    ),
    "half of a flow list": Case(
        "- targets: [a.example\n",
        (),
        ("1:12: the list in [ ] is not closed; write , between entries and ] at the end",),
    ),
    "a tab": Case("- targets:\n\t- a.example", (), ("2:1: tabs cannot indent YAML; use spaces",)),
    "two documents": Case(
        "[]\n---\n[]\n",
        (),
        ("2:1: a second document starts here; write it to its own file",),
    ),
    "another encoding": Case(
        b"- targets: [caf\xe9.example]",
        (),
        ("1:16: byte 0xe9 is not UTF-8; save the file as UTF-8",),
    ),
    "a control character": Case(
        b"- targets: [\x00]",
        (),
        ("1:13: the control character U+0000 is not allowed in YAML; remove it",),
    ),
    "an alias of nothing": Case(
        "- *shop",
        (),
        (
            "1:3: unknown alias (*name): no anchor (&name) above defines it; "
            "put it in quotes if it is meant as text",
        ),
    ),
}
JSON = {
    "an empty list": Case("[]"),
    "a list with tabs and pairs": Case(
        '[\n\t{\t"targets": ["a.example"], "labels": {"a": "\\ud83d\\ude00\\/\\\\ud83d"}}\n]',
        ("a.example",),
    ),
    "a byte order mark": Case('\ufeff[{"targets": ["a.example"]}]', ("a.example",)),
    "numbers": Case(
        '[{"targets": ["a.example", 5, null], "labels": {"n": 5}}]',
        ("a.example",),
        (
            '1:28: "5" is neither a host name nor an IP address',
            "1:31: expected a name, found nothing",
        ),
    ),
    "a key twice": Case(
        '[{"targets": ["a.example"], "targets": []}]',
        ("a.example",),
        ('1:29: duplicate key "targets", first defined on line 1',),
    ),
}
REFUSED_JSON = {
    "YAML": Case("- targets: [a.example]", (), ("1:1: not valid JSON: expecting value",)),
    "a comma too many": Case(
        '[{"targets": ["a.example",,]}]', (), ("1:27: not valid JSON: expecting value",)
    ),
    "half": Case(
        '[{"targets": ["a.example"]}', (), ("1:28: not valid JSON: expecting ',' delimiter",)
    ),
    "depth": Case("[" * 100_000, (), ("1:41: nested more than 40 levels deep",)),
    "null": Case("null", (), (f"1:1: expected a list of groups, found nothing; {GROUPS}",)),
}
ALL = [
    pytest.param(case, kind, kind_of in (REFUSED, REFUSED_JSON), id=f"{kind}: {name}")
    for kind, kind_of in (
        ("yaml", YAML),
        ("yaml", REFUSED),
        ("json", JSON),
        ("json", REFUSED_JSON),
    )
    for name, case in kind_of.items()
]


@pytest.mark.parametrize(("case", "kind", "refused"), ALL)
async def test_every_reader_finds_the_same(
    case: Case, kind: str, refused: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"t.{kind}"
    content = case.content if isinstance(case.content, bytes) else case.content.encode()
    path.write_bytes(content)
    config = tmp_path / "probe.yaml"
    config.write_text(
        f"targets: {{t: {{files: t.{kind}}}}}\nchecks: [{{name: c, kind: tls, targets: t}}]"
    )
    problems = [f"{path}:{problem}" for problem in case.problems]

    watcher = TargetWatcher(load(config, environ={}).targets["t"])  # the agent: it goes on
    await watcher.look()
    (status,) = watcher.statuses
    assert list(status.problems) == problems[:5] or len(problems) > 5
    assert (status.up, status.rejected) == (not refused, 0 if refused else len(problems))
    assert [target.label for target in watcher.targets] == list(dict.fromkeys(case.names))

    if problems:  # validate and a batch: strict, and every problem at once
        for strict in (lambda: validate(config, environ={}), lambda: load_targets(path)):
            with pytest.raises(DocumentError) as raised:
                strict()
            assert sorted(map(str, raised.value.problems)) == sorted(problems)
    else:
        validate(config, environ={})
        assert [target.label for target in load_targets(path)] == list(case.names)


def read(text: str, syntax: Literal["yaml", "json"] = "yaml") -> Listed:
    return read_list(text.encode(), syntax, "t")


def test_labels_are_text_as_written_and_one_mapping_for_a_group() -> None:
    text = "- targets: [a.example, b.example]\n  labels: {tier: 1, v: 1.10, on: yes, no: ~}\n"
    one, two = read(text).targets
    labels = MappingProxyType({"tier": "1", "v": "1.10", "on": "yes", "no": ""})
    assert (one, two) == (Target("a.example", None, labels), Target("b.example", None, labels))
    assert one.labels is two.labels
    text = '[{"targets": ["a.example"], "labels": {"a": "\\ud83d\\ude00 \\\\ud83d", "v": 1.10}}]'
    (target,) = read(text, "json").targets
    assert target.labels == {"a": "\U0001f600 \\ud83d", "v": "1.10"}


@pytest.mark.parametrize("text", ["[" * 5_000, "- " * 20_000, "[" * 100_000])
def test_depth_costs_neither_the_stack_nor_minutes(text: str) -> None:
    with pytest.raises(DocumentError, match="levels deep"):
        read(text)


def test_integers_without_end_are_refused_where_they_stand() -> None:
    listed = read(f'[{{"targets": ["a.example", {"1" * 5000}]}}]', "json")
    assert [target.name for target in listed.targets] == ["a.example"]
    assert listed.rejected == 1


def test_a_small_text_cannot_stand_for_millions_of_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_TARGETS", 1000)
    group = "- &g\n  targets: [" + "shop.example, " * 100 + "]\n"
    with pytest.raises(DocumentError, match="more than 1000 entries"):
        read(group + "- *g\n" * 100)


def test_problems_are_counted_beyond_those_that_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_PROBLEMS", 10)
    entries = ["shop.example", *[f"a b{n}" for n in range(100)]]
    listed = read(json.dumps([{"targets": entries}]), "json")
    assert (listed.rejected, len(listed.problems)) == (100, 10)


async def test_an_agent_that_starts_before_its_list_takes_it_up_later(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    watcher = TargetWatcher(TargetList("t", files=(FileSource(str(path)),)))
    await watcher.look()
    assert watcher.statuses[0].problems == (f"{path}:1:1: there is no such file",)
    path.write_text("- targets: [a.example]")
    await watcher.look()
    assert (watcher.statuses[0].up, watcher.targets) == (True, (Target("a.example"),))


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from(("yaml", "json")))
def test_any_bytes_give_a_list_or_problems_with_a_place(
    data: bytes, syntax: Literal["yaml", "json"]
) -> None:
    problems: tuple[Problem, ...] = ()
    with contextlib.suppress(DocumentError):
        problems = read_list(data, syntax, "t").problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)


WORDS = ("shop", "null", "yes", "1e3", "0x1f", "x--1", "12", "_sip")
NAMES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(".".join)


@settings(deadline=None)
@given(st.lists(st.lists(NAMES.map(lambda name: f"{name}.example"), max_size=4), max_size=4))
def test_what_yaml_writers_write_is_read(groups: list[list[str]]) -> None:
    listed = read(yaml.safe_dump([{"targets": group} for group in groups]))
    assert [target.name for target in listed.targets] == [n for group in groups for n in group]
