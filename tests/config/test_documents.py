"""Files that are no configuration at all: each is one clear problem, at its place, at once."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from probe.config.loading import MOST_BYTES, load
from probe.documents.problem import DocumentError

Problems = Callable[..., list[str]]
GOOD = "checks: [{name: a, kind: tls, targets: [shop.example]}]\n"
EMPTY = "probe.yaml:1:1: the file is empty; write at least one entry of checks:"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", EMPTY),
        ("# only words\n", EMPTY),
        ("~\n", EMPTY),
        ("---\n...\n", EMPTY),
        (
            "- a\n- b\n",
            "probe.yaml:1:1: expected a mapping of key: value, found a list; start with checks:",
        ),
        (
            "\n  just words\n",
            "probe.yaml:2:3: expected a mapping of key: value, found text; start with checks:",
        ),
        ("{}\n", "probe.yaml:1:1: no checks; write at least one entry of checks:"),
        (
            "checks: []\n",
            "probe.yaml:1:9: no checks; write at least one entry of checks:",
        ),
        (
            "checks:\n",
            "probe.yaml:1:1: no checks; write at least one entry of checks:",
        ),
        (
            GOOD + "---\n" + GOOD,
            "probe.yaml:2:1: a second document starts here; write it to its own file",
        ),
        (b"\xff\xfec\x00h\x00", "probe.yaml:1:1: this is UTF-16 or UTF-32; save it as UTF-8"),
        (b"a: 1\nb: caf\xe9\n", "probe.yaml:2:7: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (
            "region: büro\nb: \x07\n",
            "probe.yaml:2:4: the control character U+0007 is not allowed in YAML; remove it",
        ),
        ("a\0b", "probe.yaml:1:2: the control character U+0000 is not allowed in YAML; remove it"),
    ],
)
def test_what_is_no_configuration_is_one_problem(
    problems: Problems, text: str | bytes, expected: str
) -> None:
    assert problems(text) == [expected]


def test_a_byte_order_mark_of_utf_8_is_no_problem(problems: Problems) -> None:
    assert problems(b"\xef\xbb\xbf" + GOOD.encode()) == []


def test_line_ends_of_windows_are_no_problem(problems: Problems) -> None:
    assert problems(GOOD.replace("\n", "\r\n")) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.mkdir(), "this is a directory; name the file itself"),
        (os.mkfifo, "not a regular file; name the file itself"),
        (
            lambda path: path.write_bytes(b"#" * (MOST_BYTES + 1)),
            "larger than 1024 KiB; move the targets to separate files",
        ),
    ],
    ids=["missing", "directory", "pipe", "huge"],
)
def test_what_is_no_file_says_so(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "probe.yaml"
    make(path)
    with pytest.raises(DocumentError) as raised:
        load(path, environ={})
    assert str(raised.value) == f"{path}:1:1: {message}"


def test_a_path_that_no_file_can_have_says_so() -> None:
    with pytest.raises(DocumentError, match="cannot be read: not a valid path"):
        load(Path("a\0b"), environ={})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text(GOOD)
    path.chmod(0)
    with pytest.raises(DocumentError, match="cannot be read: Permission denied"):
        load(path, environ={})
