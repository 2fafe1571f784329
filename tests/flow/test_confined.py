"""Programs of checks: what they find out of the agent and of each other, as root and as 65532."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import pytest
import trio

from probe.flow import command
from probe.flow.command import Program, Ran
from tests.support.programs import ROOT

NOBODY = 65532

AGENT = """
import os, sys, trio, math
from probe.flow import command
from probe.net.child import keep_to_itself
user, keep, *script = sys.argv[1:]
if int(user):
    os.setgroups([]); os.setresgid(*[int(user)] * 3); os.setresuid(*[int(user)] * 3)
if int(keep):
    keep_to_itself()
else:
    command.in_confined_thread = lambda start: start()
left_open = os.open("/dev/null", os.O_RDONLY); os.set_inheritable(left_open, True)
program = command.Program(tuple(script), {"OWN": "own-value"}, None, 65536)
ran = trio.run(command.run, program, math.inf)
print(open("/proc/self/status").read().count("VmRSS"), len(os.listdir("/proc/self/fd")) > 2)
sys.stdout.flush()
sys.stdout.buffer.write(ran.stdout + ran.stderr)
"""


def agent(user: int, script: str, *, keep: bool = True) -> str:
    """What an agent of a user sees of itself, and what a program that it runs says."""
    done = subprocess.run(
        [sys.executable, "-c", AGENT, str(user), str(int(keep)), "/bin/sh", "-c", script],
        env={"ANOTHER_CHECKS": "t0ken-of-another-check", "PATH": os.environ["PATH"]},
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout


USERS = pytest.mark.parametrize(
    "user",
    [0, NOBODY] if os.geteuid() == 0 else [os.geteuid()],
)


@USERS
def test_a_program_cannot_read_the_agent(user: int) -> None:
    script = ""
    for name in ("environ", "mem", "maps", "auxv", "fd/0", "root/etc/hostname"):
        script += f"head -c 9999 /proc/$PPID/{name} && echo 'read {name}'; "
    said = agent(user, script)
    assert "t0ken" not in said
    assert "read " not in said.replace("head: cannot read", "")
    assert said.count("ermission denied") + said.count("not permitted") == 6, said


@USERS
def test_a_program_that_is_not_confined_can(user: int) -> None:
    """But for the agent of root that became another user: the kernel hides it already."""
    said = agent(user, "cat /proc/$PPID/environ", keep=False)
    assert ("t0ken" in said) == (user == os.geteuid())


@USERS
def test_a_program_may_do_nothing_and_leaves_no_core(user: int) -> None:
    said = agent(user, "cat /proc/self/status /proc/self/limits; ls -l /proc/self/fd; env")
    lines = {tuple(line.split()[:2]) for line in said.splitlines()}
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert (f"{name}:", "0" * 16) in lines, said
    if user == 0:
        assert ("CapBnd:", "0" * 16) in lines
    assert ("NoNewPrivs:", "1") in lines
    limit = next(line for line in said.splitlines() if "core file" in line)
    assert limit.split()[4:6] == ["0", "0"]
    assert "/dev/null" not in "".join(
        line for line in said.splitlines() if "->" in line and " 0 ->" not in line
    )
    there = {line.partition("=")[0] for line in said.splitlines() if "=" in line}
    assert there <= {"PATH", "HOME", "TMPDIR", "LANG", "OWN", "PWD", "OLDPWD", "SHLVL", "_"}


@USERS
def test_the_agent_still_reads_what_it_needs_of_itself(user: int) -> None:
    assert agent(user, "true").startswith("1 True")


@cache
def landlock() -> int:
    """The version of the kernel's Landlock; 0 or less without."""
    code = "import ctypes; print(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return int(done.stdout)


async def test_programs_cannot_read_each_other() -> None:
    """Where the kernel has Landlock; elsewhere they can, and the documentation says so."""
    end = trio.current_time() + 30
    found: list[Ran] = []

    async def look() -> None:
        script = "for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/environ; done 2>/dev/null; exit 0"
        ran = await command.run(Program(("/bin/sh", "-c", script), {}, None, 1 << 22), end)
        assert isinstance(ran, Ran)
        found.append(ran)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        sleeper = Program(("/bin/sleep", "30"), {"MINE": "s1bling-secret"}, None, 100)
        nursery.start_soon(command.run, sleeper, end)
        await trio.sleep(0.3)
        nursery.start_soon(look)
    assert (b"s1bling-secret" in found[0].stdout) == (landlock() < 2)


async def test_files_still_move_between_folders() -> None:
    """What a Landlock domain forbids unless it is told otherwise."""
    script = "mkdir a b; touch a/x; ln a/x b/y; mv a/x b/x && ls b"
    ran = await command.run(
        Program(("/bin/sh", "-c", script), {}, None, 1000), trio.current_time() + 20
    )
    assert isinstance(ran, Ran)
    assert (ran.stdout, ran.stderr) == (b"x\ny\n", b"")


async def test_a_thread_that_cannot_give_up_its_rights_starts_no_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from probe.flow import confined  # noqa: PLC0415 - what is patched
    from probe.model.failure import Reason  # noqa: PLC0415

    def refuse() -> None:
        raise confined.NotConfined(1, "capabilities")

    monkeypatch.setattr(confined, "_confine_thread", refuse)
    ran = await command.run(Program(("true",), {}, None, 10), trio.current_time() + 20)
    assert isinstance(ran, command.NotDone)
    assert ran.failure.reason is Reason.LOCAL_RESOURCE
    assert ran.failure.detail == "true: programs cannot give up capabilities: EPERM"


OF_OTHERS = (
    "prlimit --pid $PPID --nofile=5:5",
    "taskset -cp 0 $PPID",
    "chrt -i -p 0 $PPID",
    "renice -n 19 -p $PPID",
    "renice -n 19 -u $(id -u)",
    "ionice -c 3 -p $PPID",
    "ionice -c 3 -u $(id -u)",
)
OF_ITSELF = (
    "ulimit -n 50",
    "prlimit --pid $PPID --nofile",
    "taskset -c 0 nice -n 19 ionice -c 3 true",
)


@USERS
def test_a_program_sets_and_signals_nobody_but_itself(user: int) -> None:
    asked = (*OF_OTHERS, *OF_ITSELF, "kill -CONT $PPID")
    said = agent(user, "; ".join(f"{one} && echo done {n}" for n, one in enumerate(asked)))
    done = {int(line.split()[1]) for line in said.splitlines() if line.startswith("done ")}
    signalled = {len(asked) - 1} if landlock() < 6 else set()
    assert done == {*range(len(OF_OTHERS), len(asked) - 1), *signalled}, said
    assert said.count("not permitted") == len(asked) - len(done), said
