"""What tests stand on: ports that nobody else is given, servers that are really there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ports
from tests.support.programs import listening, program, run, running


def test_no_two_processes_are_given_the_same_port() -> None:
    ask = "from tests.support.ports import free_ports; print(*free_ports(60)); input()"
    first = set(ports.free_ports(60))
    for _ in range(2):
        asked = {int(one) for one in run(sys.executable, "-c", ask, stdin="\n").split()}
        assert len(asked) == 60
        assert not asked & first


def test_no_port_is_one_that_the_kernel_gives_away() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(ports.free_ports(120)) < lowest


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_is_passed_over(kind: socket.SocketKind) -> None:
    start = ports.free_port()
    with socket.socket(type=kind) as taken:
        taken.bind(("127.0.0.1", start))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        assert start not in {ports.free_port() for _ in range(200)}


@pytest.mark.real
def test_a_server_without_one_of_its_ports_is_not_taken_for_ready(tmp_path: Path) -> None:
    """nginx opens the others, tries again for seconds, and then closes them all."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        wanted = [other.getsockname()[1], ports.free_port()]
        servers = "".join(f"server {{ listen 127.0.0.1:{port}; }}" for port in wanted)
        (tmp_path / "nginx.conf").write_text(
            "daemon off; master_process off; pid nginx.pid; events {}\n"
            f"http {{ access_log off; client_body_temp_path body; {servers} }}\n"
        )
        command = [program("nginx"), "-p", tmp_path, "-c", "nginx.conf", "-e", "error.log"]
        with (
            pytest.raises(RuntimeError, match="Address already in use"),
            running(command, tmp_path / "log", ports=wanted),
        ):
            pytest.fail("it was taken for ready")


def test_a_process_has_only_its_own_ports() -> None:
    command = [sys.executable, "-c", "input()"]
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        subprocess.Popen(command, stdin=subprocess.PIPE) as another,
    ):
        assert server.getsockname()[1] in listening(os.getpid())
        assert listening(another.pid) == set()
        another.communicate(b"\n")
