"""Secrets come from where the reference says, follow changes, and never show in errors."""

import os
import traceback
from pathlib import Path

import pytest

from probe.config.secrets import SecretReader
from probe.model.secret import SecretError, SecretRef

VALUE = "correct-horse-battery"


def reader(**environ: str) -> SecretReader:
    return SecretReader(environ)


def written(tmp_path: Path, content: bytes) -> SecretRef:
    path = tmp_path / "token"
    path.write_bytes(content)
    return SecretRef("file", str(path))


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b"\n\n"])
def test_line_ends_behind_a_secret_are_not_part_of_it(tmp_path: Path, content: bytes) -> None:
    secret = reader().read(written(tmp_path, VALUE.encode() + content))
    assert secret.reveal() == VALUE


def test_line_ends_inside_a_secret_stay(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"
    assert reader().read(written(tmp_path, key.encode() + b"\n")).reveal() == key


def test_variables_and_credentials_are_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(VALUE)
    source = reader(TOKEN="from-env", CREDENTIALS_DIRECTORY=str(tmp_path))
    assert source.read(SecretRef("env", "TOKEN")).reveal() == "from-env"
    assert source.read(SecretRef("credential", "token")).reveal() == VALUE


def test_a_file_is_read_again_when_its_contents_change_in_place(tmp_path: Path) -> None:
    source, reference = reader(), written(tmp_path, b"first")
    assert source.read(reference).reveal() == "first"
    Path(reference.name).write_text("second one")
    assert source.read(reference).reveal() == "second one"


def test_a_change_that_keeps_size_and_time_is_seen_by_the_inode(tmp_path: Path) -> None:
    source, reference = reader(), written(tmp_path, b"aaaa")
    path = Path(reference.name)
    before = path.stat()
    assert source.read(reference).reveal() == "aaaa"
    other = tmp_path / "next"
    other.write_text("bbbb")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)
    assert source.read(reference).reveal() == "bbbb"


def test_a_swapped_link_is_followed_as_kubernetes_swaps_mounted_secrets(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "token").write_text(f"of {version}")
    (tmp_path / "data").symlink_to("v1")
    source, reference = reader(), SecretRef("file", str(tmp_path / "data" / "token"))
    assert source.read(reference).reveal() == "of v1"
    (tmp_path / "new").symlink_to("v2")
    (tmp_path / "new").rename(tmp_path / "data")
    assert source.read(reference).reveal() == "of v2"


def test_an_unchanged_file_is_not_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, reference = reader(), written(tmp_path, b"once")
    first = source.read(reference)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened again"))
    assert source.read(reference) is first


def test_a_removed_file_is_not_served_from_memory(tmp_path: Path) -> None:
    source, reference = reader(), written(tmp_path, b"gone")
    source.read(reference)
    Path(reference.name).unlink()
    with pytest.raises(SecretError, match="there is no such file"):
        source.read(reference)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"  \r\n", "it is empty"),
        (b"\xff\xfe" + VALUE.encode(), "it is not UTF-8 text"),
        (b"x" * (64 * 1024 + 1), "it is larger than 64 KiB"),
    ],
)
def test_bad_files_are_named_by_their_reference_only(
    tmp_path: Path, content: bytes, why: str
) -> None:
    reference = written(tmp_path, content)
    with pytest.raises(SecretError) as raised:
        reader().read(reference)
    assert str(raised.value) == f"secret {reference}: {why}"
    assert raised.value.__context__ is None, "a decoder's error holds the bytes"
    assert VALUE not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        (SecretRef("env", "NO_TOKEN"), "the variable is not set"),
        (SecretRef("env", "EMPTY"), "it is empty"),
        (SecretRef("credential", "token"), "CREDENTIALS_DIRECTORY is not set"),
        (SecretRef("file", "/nonexistent/token"), "there is no such file"),
        (SecretRef("file", "/"), "this is a directory"),
        (SecretRef("file", "/dev/null"), "not a regular file"),
        (SecretRef("file", "a\0b"), "it cannot be read"),
    ],
)
def test_what_is_missing_is_named_by_its_reference_only(reference: SecretRef, why: str) -> None:
    with pytest.raises(SecretError) as raised:
        reader(EMPTY="\n").read(reference)
    assert str(raised.value) == f"secret {reference}: {why}"


def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SecretError, match="not a regular file"):
        reader().read(SecretRef("file", str(tmp_path / "pipe")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    reference = written(tmp_path, VALUE.encode())
    Path(reference.name).chmod(0)
    with pytest.raises(SecretError, match="Permission denied"):
        reader().read(reference)
