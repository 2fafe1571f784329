"""Lists read in a process of their own are the same lists, or errors in words."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import trio

from probe.discovery import reading
from probe.discovery.files import FileTargets
from probe.documents.problem import DocumentError
from probe.documents.targets import Listed, read_file

NAMES = [f"store-{number:05d}.example" for number in range(3_000)]


def write(path: Path, *groups: object) -> int:
    path.write_text(json.dumps(list(groups)))
    return path.stat().st_size


async def test_a_long_list_is_the_same_when_another_process_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "stores.json"
    groups = (
        {"targets": NAMES[:2_000], "labels": {"owner": "x"}},
        {"targets": [*NAMES[2_000:], "a b", "shop.example:8443"]},
    )
    size = write(path, *groups)
    assert size > reading.SHORT
    apart, here = await reading.read_path(path, 50_000, size), read_file(path)
    assert apart.targets == here.targets
    assert (apart.rejected, apart.problems) == (here.rejected, here.problems) == (1, here.problems)
    assert apart.targets[0].labels == {"owner": "x"}
    sent = await reading.read_answer(path.read_bytes(), str(path), 50_000)
    assert sent == apart, "the digest with it"


async def test_the_first_targets_of_too_many_come_back_and_the_rest_is_counted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "stores.json"
    for size in (write(path, {"targets": NAMES}), 0):  # another process, and a thread
        listed = await reading.read_path(path, 1_000, size)
        assert [target.name for target in listed.targets] == NAMES[:1_000]
        assert listed.over == 2_000


async def test_what_is_wrong_with_a_long_list_has_its_place(tmp_path: Path) -> None:
    path = tmp_path / "stores.yaml"
    path.write_text("- targets:\n" + "".join(f"  - {name}\n" for name in NAMES) + "  - [\n")
    with pytest.raises(DocumentError) as apart:
        await reading.read_path(path, 50_000, path.stat().st_size)
    with pytest.raises(DocumentError) as here:
        read_file(path)
    assert apart.value.problems == here.value.problems


BROKEN = {
    "echo out of memory >&2; exit 3": "the process that reads it ended with 3: out of memory",
    "kill -9 $$": "the process that reads it was killed by signal 9",
    "sleep 60": "the process that reads it took over 0.2 s",
}


@pytest.mark.parametrize("script", BROKEN)
async def test_a_reader_that_fails_is_an_error_in_words_and_the_last_good_list_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    path, program = tmp_path / "stores.json", tmp_path / "python"
    write(path, {"targets": ["a.example", "b.example"]})
    source = FileTargets(str(path))
    good = await source.look()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr("sys.executable", str(program))
    monkeypatch.setattr(reading, "PATIENCE", 0.2 if "sleep" in script else 60.0)
    monkeypatch.setattr("probe.discovery.files.QUIET", 0.01)
    write(path, {"targets": NAMES})
    look = await source.look()
    assert look.targets == good.targets
    (fault,) = look.faults
    assert fault == f"{path}:1:1: {BROKEN[script]}"
    monkeypatch.undo()
    monkeypatch.setattr("probe.discovery.files.QUIET", 0.01)
    look = await source.look()
    assert (len(look.targets), look.faults) == (3_000, ()), "read again though it did not change"


async def test_the_child_is_gone_when_the_look_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, pid = tmp_path / "python", tmp_path / "pid"
    program.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    with trio.move_on_after(0.5):
        await reading.read_path(tmp_path / "stores.json", 1, reading.SHORT + 1)
    assert not Path("/proc", pid.read_text().strip()).exists()


async def test_a_list_that_is_written_again_with_the_same_content_stays_the_same_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probe.discovery.files.QUIET", 0.01)
    path = tmp_path / "stores.json"
    for names in (NAMES, NAMES[:3]):  # by digest, and by comparing
        write(path, {"targets": names})
        source = FileTargets(str(path))
        first = await source.look()
        write(path, {"targets": names}, {"targets": []})
        assert (await source.look()).targets is first.targets
    assert isinstance(await reading.read_path(path, 5, 0), Listed)
