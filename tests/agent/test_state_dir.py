"""A state directory that cannot be written, and can again: told, and nothing in it is lost."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
from pathlib import Path

import pytest
import trio

from probe.agent import log, state_dir
from probe.agent.state_dir import StateWatch
from probe.auth.tokens import RefreshTokens
from probe.model.secret import Secret


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_only(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@pytest.mark.parametrize(
    ("seam", "broken", "problem"),
    [
        ("os.fsync", full, "No space left on device"),
        ("tempfile.mkstemp", read_only, "Read-only file system"),
    ],
)
async def test_a_token_that_could_not_be_written_is_written_once_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seam: str, broken: object, problem: str
) -> None:
    folder = tmp_path / "state"
    tokens = RefreshTokens(folder)
    await tokens.check()
    assert (tokens.problem, list(folder.iterdir())) == ("", []), "nothing of the try is left"
    monkeypatch.setattr(f"probe.documents.files.{seam}", broken)
    error = await tokens.keep("login", "first", Secret("second"))
    assert error is not None
    assert (error.strerror, tokens.problem) == (problem, problem)
    await tokens.check()
    assert (tokens.problem, list(folder.iterdir())) == (problem, [])
    monkeypatch.undo()
    await tokens.check()
    assert tokens.problem == ""
    fresh = await RefreshTokens(folder).load("login", "first")
    assert fresh is not None
    assert fresh.reveal() == "second"


async def test_log_and_metric_say_that_it_fails_and_that_it_is_good_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_dir, "EVERY", 0.01)
    said, blocker = io.StringIO(), tmp_path / "state"
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    log.configure(said, "json")
    blocker.write_text("a file where the folder should be")
    watch = StateWatch(RefreshTokens(blocker / "inside"), str(blocker / "inside"), log.EventLog())

    def events() -> list[str]:
        return [json.loads(line)["event"] for line in said.getvalue().splitlines()]

    async with trio.open_nursery() as nursery:
        await nursery.start(watch.run)
        with trio.fail_after(20):
            while not events():
                await trio.sleep(0.01)
            assert [value for _, value, _ in watch.samples()] == [0.0]
            await trio.sleep(0.05)
            blocker.unlink()
            while len(events()) < 2:
                await trio.sleep(0.01)
        assert [value for _, value, _ in watch.samples()] == [1.0]
        nursery.cancel_scope.cancel()
    assert events() == ["state_dir cannot be written", "state_dir can be written again"]
    assert "Not a directory" in said.getvalue()
