"""What a service manager is told, on a socket of its kind."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from probe.agent.process import Notifier
from tests.support.agents import StartAgent


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A manager's end of the line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def heard(manager: socket.socket) -> list[dict[str, str]]:
    """Every message so far."""
    messages: list[dict[str, str]] = []
    while True:
        try:
            text = manager.recv(4096).decode()
        except BlockingIOError:
            return messages
        messages.append(dict(line.split("=", 1) for line in text.splitlines()))


def test_messages_have_the_form_of_sd_notify(manager: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(manager.getsockname())})
    before = time.monotonic_ns() // 1000
    notifier.ready("2 checks\nREADY=0")
    notifier.reloading()
    notifier.stopping()
    ready, reloading, stopping = heard(manager)
    assert ready == {"READY": "1", "STATUS": "2 checks READY=0"}
    assert reloading.keys() == {"RELOADING", "MONOTONIC_USEC"}
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert stopping["STOPPING"] == "1"


def test_an_abstract_name_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("")  # the kernel chooses an abstract name
        name = sock.getsockname().removeprefix(b"\0").decode()
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready("")
        assert sock.recv(100).startswith(b"READY=1")


def test_without_a_manager_nothing_happens() -> None:
    faults: list[str] = []
    Notifier({}, faults.append).ready("")
    Notifier({"NOTIFY_SOCKET": "relative"}, faults.append).ready("")
    assert faults == []


def test_a_manager_that_is_gone_is_reported_once(tmp_path: Path) -> None:
    faults: list[str] = []
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}, faults.append)
    notifier.ready("")
    notifier.stopping()
    assert faults == ["No such file or directory"]


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_or_none(environ: dict[str, str], seconds: float | None) -> None:
    assert Notifier(environ, pid=7).watchdog == seconds


async def test_signs_of_life_come_at_a_third_of_the_time(
    manager: socket.socket, autojump_clock: MockClock
) -> None:
    environ = {"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": "30000000"}
    with trio.move_on_after(29):
        await Notifier(environ).keep_watchdog()
    assert heard(manager) == [{"WATCHDOG": "1"}] * 3, "at 0, 10 and 20 seconds"


async def test_an_agent_tells_start_watchdog_reload_and_end(
    plain: Path, agents: StartAgent, manager: socket.socket
) -> None:
    environ = {"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": "150000"}
    told: list[dict[str, str]] = []

    async def until(key: str, times: int = 1) -> None:
        with trio.fail_after(30):
            while sum(key in message for message in told) < times:
                told.extend(heard(manager))
                await trio.sleep(0.05)

    async with agents(plain, "--listen", "127.0.0.1:0", environ=environ) as agent:
        await until("READY")
        assert (await agent.get("/healthz")).status_code == 200, "ready means serving"
        await until("WATCHDOG", 3)
        agent.process.send_signal(signal.SIGHUP)
        await until("READY", 2)
        agent.process.send_signal(signal.SIGTERM)
        await until("STOPPING")
        with trio.fail_after(10):
            assert await agent.process.wait() == 0
    order = [
        key for message in told for key in ("READY", "RELOADING", "STOPPING") if key in message
    ]
    assert order == ["READY", "RELOADING", "READY", "STOPPING"]
    statuses = [message["STATUS"] for message in told if "READY" in message]
    assert all(status.startswith("1 check, configuration ") for status in statuses)
