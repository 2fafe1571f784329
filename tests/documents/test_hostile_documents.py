"""Documents that are made to cost much: each is refused at its place, after few steps. No clock."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from probe.config.loading import load
from probe.documents.compose import MOST_DEPTH, compose
from probe.documents.problem import DocumentError
from probe.documents.targets import read_file, read_list
from probe.serve.http.web_config import read_web_config

DEEP = 100_000
TOO_DEEP = "nested more than 40 levels deep"


def _answer(path: Path) -> object:
    """As an http_sd source reads what was sent."""
    return read_list(path.read_bytes(), "json", str(path))


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "configuration": ("probe.yaml", lambda path: load(path, environ={})),
    "list in YAML": ("stores.yaml", read_file),
    "list in JSON": ("stores.json", read_file),
    "answer": ("answer.json", _answer),
    "web configuration": ("web.yaml", read_web_config),
}


def refused(tmp_path: Path, reader: str, content: bytes) -> str:
    name, read = READERS[reader]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DocumentError) as error:
        read(path)
    first = error.value.problems[0]
    assert first.file == str(path)
    return f"{first.line}:{first.column}: {first.message}"


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What PyYAML gave."""
    given: list[object] = []
    parse = yaml.parse

    def counted(*args: Any, **kwargs: Any) -> Iterator[object]:
        for event in parse(*args, **kwargs):
            given.append(event)
            yield event

    monkeypatch.setattr(yaml, "parse", counted)
    return given


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
def test_nested_brackets_are_refused_where_they_go_too_deep(
    tmp_path: Path, events: list[object], reader: str, *, closed: bool
) -> None:
    for opening, closing, width in (("[", "]", 1), ('{"a":', "}", 5)):
        content = "\n" + opening * DEEP + ("1" + closing * DEEP if closed else "")
        told = refused(tmp_path, reader, content.encode())
        assert told in (
            f"2:{MOST_DEPTH * width + 1}: {TOO_DEEP}",
            f"2:1001: {TOO_DEEP}",  # libyaml has a bound of its own, and a long text is read once
        ), told
    assert len(events) < 200


@pytest.mark.parametrize(
    "line",
    ["- ", "? ", "a: [", "&a [", "!!seq [", "- - ", "[{", "- {a: ", "'", "*a ", "<<: ["],
)
def test_what_else_nests_or_repeats_is_refused_in_few_steps(
    events: list[object], line: str
) -> None:
    root, problems = compose(line * (DEEP // len(line)), "f.yaml")
    assert problems or root is not None
    assert len(events) < 300


BOMBS = {
    "laughs": "x-0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    + "".join(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)),
    "merges": "x-0: &a0 {k: 1}\n"
    + "".join(f"x-{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 30)),
    "tags": "".join(f"%TAG !e{n}! tag:x,2000:\n" for n in range(30_000)) + "---\na: 1\n",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_small_texts_that_stand_for_much_are_refused(events: list[object], bomb: str) -> None:
    root, (problem,) = compose(BOMBS[bomb], "f.yaml")
    assert root is None
    assert problem.message.startswith("more than ")
    assert len(events) < 500


ODD = {
    "\ufeff[]": None,
    "\ufeff[]\r\n": None,
    "[\r\n[]\r\n]": "2:1: expected a group, found a list; write - targets: [shop.example]",
    '[{"targets": ["a\\u0000b"]}]': '1:15: "a\\x00b" is not a host name',
    '[{"targets": ["a\x01b"]}]': "1:17: the control character U+0001 is not allowed in",
    '[{"targets": ["a\u2028b"]},\n1]': "1:17: the line separator U+2028",
    "[\r[]\r\x01]": "3:1: the control character U+0001",
    '[{"targets": ["NaN", NaN]}]': "1:22: not valid JSON: NaN; put text in quotes",
    '[{"targets": [1, -Infinity]}]': "1:18: not valid JSON: -Infinity",
    '[{"targets": [], "targets": ["a.example"]}]': '1:18: duplicate key "targets"',
    '[{"targets": ["\\ud800"]}]': "1:15: a lone surrogate",
}


@pytest.mark.parametrize("text", ODD)
def test_odd_bytes_of_a_json_list_are_taken_or_named(tmp_path: Path, text: str) -> None:
    path, expected = tmp_path / "stores.json", ODD[text]
    path.write_bytes(text.encode())
    if expected is None:
        assert read_file(path).targets == ()
        return
    with pytest.raises(DocumentError) as error:
        read_file(path)
    assert str(error.value).startswith(f"{path}:{expected}"), str(error.value)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-32", "utf-8"])
def test_another_coding_is_named(tmp_path: Path, coding: str) -> None:
    path = tmp_path / "stores.json"
    path.write_bytes(json.dumps([{"targets": ["a.example"]}]).encode(coding))
    if coding == "utf-8":
        assert len(read_file(path).targets) == 1
        return
    with pytest.raises(DocumentError, match=r":1:\d+: .*UTF-|:1:2: the control character U\+0000"):
        read_file(path)


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file_is_refused_and_nobody_waits(tmp_path: Path, kind: str) -> None:
    for name, read in (one for one in READERS.values() if one[1] is not _answer):
        path = tmp_path / name
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
        with pytest.raises(DocumentError, match=r":1:1: (this is a directory|not a regular file)"):
            read(path)
