"""Commands as steps: real programs, their children, their output, their secrets."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from probe.flow import command
from probe.model.failure import Phase, Reason
from probe.model.flow import ApiCheck, Command, CommandStep
from probe.model.result import Failed, FlowResult, Inconclusive, Missing, Passed, Skipped
from tests.support.http_server import at

from .conftest import Bench


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code.replace("{", "{{").replace("}", "}}"))


async def run(bench: Bench, command: Command, *, timeout: float = 10.0) -> FlowResult:
    step = CommandStep("tool", "backend", command, timeout=timeout)
    check = ApiCheck("cli", (step,), vars={"who": "me"})
    return await bench.run(check, at(1))


CASES = [
    (Command(python("print('hi')"), contains=("hi",)), None),
    (Command(python("raise SystemExit(3)")), Reason.EXIT_CODE),
    (Command(python("raise SystemExit(3)"), exit_codes=(3,)), None),
    (Command(python("import os; os.abort()")), Reason.EXIT_CODE),
    (Command(python("print('hi')"), contains=("{who}",)), Reason.OUTPUT),
    (Command(python("print('hi 42')"), matches=(r"\d+",)), None),
    (Command(python("print('hi')"), matches=(r"\d+",)), Reason.REGEX),
    (Command(python("print('{\"a\": [1]}')"), json=("length(a) == 1",)), None),
    (Command(python("print('{\"a\": [1]}')"), json=("length(a) > 1",)), Reason.JSON),
    (Command(python("print('nope')"), json=("a",)), Reason.JSON),
    (Command(("no-such-program-here",)), Reason.COMMAND_UNAVAILABLE),
    (Command(("/etc/passwd",)), Reason.COMMAND_UNAVAILABLE),
    (Command(python("print('x' * 10_000_000)"), output_cap=100, json=("a",)), Reason.JSON),
]  # fmt: skip


@pytest.mark.parametrize(("command", "reason"), CASES)
async def test_what_a_program_does_has_a_reason(
    bench: Bench, command: Command, reason: Reason | None
) -> None:
    result = await run(bench, command)
    match result.outcome:
        case Passed():
            assert reason is None
        case Failed(failure) | Inconclusive(failure):
            assert failure.reason is reason
    assert isinstance(result.outcome, Inconclusive) == (reason is Reason.COMMAND_UNAVAILABLE)


async def test_a_program_and_its_children_are_killed_at_the_deadline(
    bench: Bench, tmp_path: Path
) -> None:
    note = tmp_path / "child"
    code = (
        "import subprocess, time; child = subprocess.Popen(['sleep', '60']);"
        f"open({str(note)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    result = await run(bench, Command(python(code)), timeout=1.0)
    assert isinstance(result.outcome, Failed)
    failure = result.outcome.failure
    assert (failure.phase, failure.reason) == (Phase.WAIT, Reason.TIMEOUT)
    assert result.seconds < 60
    await _gone(_pid(note))


async def test_children_that_outlive_the_program_are_killed_too(
    bench: Bench, tmp_path: Path
) -> None:
    note = tmp_path / "child"
    code = (
        "import subprocess; child = subprocess.Popen(['sleep', '60']);"
        f"open({str(note)!r}, 'w').write(str(child.pid)); print('done')"
    )
    result = await run(bench, Command(python(code), contains=("done",)))
    assert result.outcome == Passed(), "an open pipe in a child's hands must not be waited for"
    await _gone(_pid(note))


async def _gone(pid: int) -> None:
    """Until init has reaped it, a killed orphan is a zombie."""
    with trio.fail_after(30):
        while _state(pid) not in {"", "Z"}:
            await trio.sleep(0.01)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _pid(note: Path) -> int:
    return int(note.read_text())


def _left_behind(note: Path) -> bool:
    return Path(note.read_text()).exists()


async def test_the_working_folder_is_its_own_and_thrown_away(bench: Bench, tmp_path: Path) -> None:
    note = tmp_path / "where"
    code = (
        "import os, pathlib; here = os.getcwd(); os.makedirs('a/b'); os.chmod('a', 0);"
        f"pathlib.Path({str(note)!r}).write_text(here); assert os.environ['HOME'] == here;"
        "assert 'PROBE_TEST_MARK' not in os.environ"
    )
    os.environ["PROBE_TEST_MARK"] = "1"
    try:
        result = await run(bench, Command(python(code)))
    finally:
        del os.environ["PROBE_TEST_MARK"]
    assert result.outcome == Passed()
    assert not _left_behind(note)


async def test_a_shell_is_not_involved(bench: Bench) -> None:
    result = await run(bench, Command(("echo", "$HOME; false"), contains=("$HOME; false",)))
    assert result.outcome == Passed()


async def test_secrets_go_by_environment_or_stdin_and_are_redacted(bench: Bench) -> None:
    token = bench.secret("CLI_TOKEN", "tok-5ecret-value")
    pin = bench.secret("PIN", "p1n-5ecret-value")
    code = (
        "import os, sys, base64; t = os.environ['TOKEN']; print(t, base64.b64encode(t.encode()));"
        "sys.stderr.write(sys.stdin.read()); raise SystemExit(1)"
    )
    result = await run(bench, Command(python(code), {"TOKEN": token}, stdin=pin))
    assert isinstance(result.outcome, Failed)
    evidence = result.steps[0].evidence
    assert evidence.status == 1
    assert evidence.body.startswith("(withheld: ")
    assert 'TOKEN="$CLI_TOKEN"' in evidence.command
    for secret in ("tok-5ecret-value", "p1n-5ecret-value", "dG9rLTVlY3JldC12YWx1Z"):
        assert secret not in repr(result)


async def test_a_missing_secret_is_ours(bench: Bench) -> None:
    ref = bench.secret("X", "y")
    del bench.secrets["X"]
    result = await run(bench, Command(("true",), {"X": ref}))
    assert isinstance(result.outcome, Inconclusive)
    assert result.outcome.failure.reason is Reason.SECRET_MISSING


async def test_a_program_that_does_not_read_its_stdin_is_fine(bench: Bench) -> None:
    result = await run(bench, Command(("true",), stdin="x" * 1_000_000))
    assert result.outcome == Passed()


async def test_a_missing_value_skips_and_an_option_from_a_value_is_unsafe(bench: Bench) -> None:
    steps = (
        CommandStep("skipped", "x", Command(("echo", "{nothing}"))),
        CommandStep("unsafe", "x", Command(("echo", "{flag}"))),
        CommandStep("expects", "x", Command(("true",), contains=("{nothing}",))),
    )
    result = await bench.run(ApiCheck("cli", steps, vars={"flag": "--evil"}), at(1))
    assert result.steps[0].outcome == Skipped(Missing("nothing"))
    outcome = result.steps[1].outcome
    assert isinstance(outcome, Inconclusive)
    assert outcome.failure.reason is Reason.UNSAFE_VALUE
    assert result.steps[2].outcome == Skipped(Missing("nothing"))


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ("a\0b", "a program would be given a NUL or half a surrogate pair"),
        ("a\ud800b", "a value would hold half a character, which cannot be sent"),
    ],
    ids=["NUL", "half a surrogate pair"],
)
@pytest.mark.parametrize(
    "command",
    [
        Command(("true", "{said}")),
        Command(("true",), {"SAID": "{said}"}),
        Command(("true",), stdin="{said}"),
    ],
    ids=["argument", "environment", "stdin"],
)
async def test_what_a_server_said_and_no_program_can_take_is_unsafe(
    bench: Bench, command: Command, value: str, detail: str
) -> None:
    check = ApiCheck("cli", (CommandStep("tool", "backend", command),), vars={"said": value})
    outcome = (await bench.run(check, at(1))).outcome
    assert isinstance(outcome, Inconclusive)
    assert outcome.failure.reason is Reason.UNSAFE_VALUE
    assert outcome.failure.detail == detail


LEFT_BEHIND = {
    "a folder closed to its owner": "import os; os.makedirs('a'); os.chmod('.', 0)",
    "folders deeper than Python recurses": (
        "import os\nfor _ in range(3000): os.mkdir('deep' * 8); os.chdir('deep' * 8)"
    ),
    "links out of it and in a circle": (
        "import os; os.mkdir('a'); os.symlink('/', 'a/root'); os.symlink('..', 'a/up')"
    ),
}


@pytest.mark.parametrize("code", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
async def test_nothing_is_left_whatever_a_program_makes(
    bench: Bench, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = await run(bench, Command(python(code)))
    assert result.outcome == Passed()
    assert list(tmp_path.iterdir()) == []


async def test_folders_that_come_and_go_while_they_are_removed_cost_no_result(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon outlives the program, and goes on in the folder until that is gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    daemon = (
        "import os, time\nend = time.monotonic() + 20\n"
        "while time.monotonic() < end and os.path.exists(os.environ['HOME']):\n"
        "  for name in 'abcdef':\n"
        "    try: os.mkdir(name); os.rmdir(name)\n"
        "    except OSError: pass"
    )
    code = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', "
        f"{daemon!r}], start_new_session=True, stdout=-3, stderr=-3); time.sleep(0.3)"
    )
    for _ in range(3):
        assert (await run(bench, Command(python(code)))).outcome == Passed()
    with trio.fail_after(30):  # what the last round of removing raced with: at most empty ones
        while left := list(tmp_path.iterdir()):
            for path in [*tmp_path.glob("*/*"), *left]:
                with suppress(OSError):  # the daemon is quicker now and then
                    path.rmdir()
            await trio.sleep(0.01)


async def test_what_may_not_be_removed_costs_no_result(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's, say; the tests may run as root, who may do everything."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("chmod", "unlink", "rename", "rmdir"):
        monkeypatch.setattr(Path, name, refuse)
    result = await run(bench, Command(python("import os; os.makedirs('a/b')")))
    assert result.outcome == Passed()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can remove what belongs to others")
async def test_a_folder_that_became_a_link_costs_nothing_elsewhere(tmp_path: Path) -> None:
    """The agent removes it with the rights of the program: not those that it has itself."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o711)
    (elsewhere / "kept").touch()
    for one in (elsewhere, elsewhere / "kept"):
        os.chown(one, 12345, 12345)
    script = f"cd / && rmdir $HOME && ln -s {elsewhere} $HOME"
    ran = await command.run(
        command.Program(("/bin/sh", "-c", script), {}, None, 1000), trio.current_time() + 20
    )
    assert isinstance(ran, command.Ran)
    assert (ran.code, ran.stderr) == (0, b"")
    assert (elsewhere / "kept").exists()
    assert elsewhere.stat().st_mode & 0o777 == 0o711
