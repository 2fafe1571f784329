"""The unit, the first boot's user data, and a change of releases, with the real tools."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from probe.config.loading import load
from tests.support.programs import DEPLOY, ROOT, program, run

UNIT = DEPLOY / "vm" / "regional-probe@.service"
RELEASE = DEPLOY / "vm" / "regional-probe-release"

pytestmark = pytest.mark.real


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program in the place of the agent's, which is not installed here."""
    path = tmp_path / "regional-probe@0.1.0.service"
    text = UNIT.read_text()
    assert "/opt/regional-probe/releases/%i/bin/probe" in text
    path.write_text(text.replace("/opt/regional-probe/releases/%i/bin/probe", "/bin/true"))
    return path


def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path) -> None:
    analyze = program("systemd-analyze")
    done = subprocess.run(
        [analyze, "verify", str(unit)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_the_unit_is_exposed_by_little(unit: Path) -> None:
    analyze = program("systemd-analyze")
    text = run(analyze, "security", "--offline=true", "--threshold=15", unit)
    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", text)
    assert score is not None
    assert float(score[1]) <= 1.1


@pytest.mark.parametrize(
    "line",
    ["LimitCORE=0", "ProtectProc=invisible", "ProcSubset=pid", "NoNewPrivileges=yes"],
)
def test_the_unit_leaves_no_core_and_hides_other_processes(line: str) -> None:
    assert line in UNIT.read_text().splitlines()


def test_the_limit_of_memory_follows_the_figures_beside_it() -> None:
    text = UNIT.read_text()
    most = int(only_match(r"^MemoryMax=(\d+)M$", text))
    room = only_match(r"room for ([\d,]+)\.", text).replace(",", "")
    for edges in (10_000, int(room)):
        assert 56 + 90 + 2 * 5.4e3 * edges / 2**20 <= most
    assert round(56 + 90 + 2 * 5.4e3 * 10_000 / 2**20) == int(only_match(r"(\d+) MiB for 10", text))


def only_match(pattern: str, text: str) -> str:
    """The one thing that a pattern finds."""
    (found,) = re.findall(pattern, text, re.MULTILINE)
    return str(found)


def test_memory_stays_writable_and_executable_for_a_reason() -> None:
    """As soon as this fails, the unit can set MemoryDenyWriteExecute=yes."""
    assert not re.search("^MemoryDenyWriteExecute", UNIT.read_text(), re.MULTILINE)
    code = (
        "import ctypes\n"
        "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0): raise SystemExit('no PR_SET_MDWE')\n"
        "from OpenSSL import SSL\n"
        "SSL.Context(SSL.TLS_METHOD).set_ocsp_client_callback(lambda *_: True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    if "no PR_SET_MDWE" in done.stderr:
        version = tuple(int(part) for part in platform.release().split(".")[:2])
        assert version < (6, 3), "only older kernels cannot be asked"
    else:
        assert "Cannot allocate write+execute memory" in done.stderr


def test_the_unit_runs_commands_and_options_that_exist() -> None:
    (line,) = re.findall(r"^ExecStart=\S+ (.*)$", UNIT.read_text(), re.MULTILINE)
    words = line.split()
    known = run(sys.executable, "-m", "probe", words[0], "--help")
    for option in [word for word in words if word.startswith("--")]:
        assert option in known


# ------------------------------------------------------------------------ the first boot


def user_data() -> dict[str, object]:
    text = (DEPLOY / "vm" / "user-data.yaml").read_text()
    assert text.startswith("#cloud-config\n"), "cloud-init goes by this line"
    document = yaml.safe_load(text)
    assert isinstance(document, dict)
    return document


def test_the_files_of_the_first_boot_are_good(tmp_path: Path) -> None:
    files = user_data()["write_files"]
    assert isinstance(files, list)
    for file in files:
        path = tmp_path / str(file["path"]).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["content"])
    folder = tmp_path / "etc/regional-probe"
    spec = load(folder / "probe.yaml", environ={})
    assert spec.region_from == ("aws", "gce", "azure")
    assert spec.listen.host == "127.0.0.1"
    run(sys.executable, "-m", "probe", "validate", folder / "probe.yaml")
    run("sh", "-n", tmp_path / "run/regional-probe-setup.sh")


@pytest.mark.parametrize(
    "script", [RELEASE, DEPLOY / "release/venv.sh", DEPLOY / "release/build.sh"], ids=str
)
def test_scripts_are_plain_shell(script: Path) -> None:
    run(program("dash"), "-n", script)
    assert os.access(script, os.X_OK)


# ------------------------------------------------------------------------ changing releases


class Machine:
    """A VM in a folder: releases, configuration, units, and a stand-in for systemctl."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.home = folder / "opt"
        for name in ("bin", "units", "etc", "opt/releases"):
            (folder / name).mkdir(parents=True)
        systemctl = folder / "bin" / "systemctl"
        fake = Path(__file__).with_name("fake_systemctl.py")
        systemctl.write_text(f'#!/bin/sh\nexec {sys.executable} {fake} "$@"\n')
        systemctl.chmod(0o755)
        text = UNIT.read_text().replace("/opt/regional-probe", str(self.home))
        text = text.replace("/etc/regional-probe", str(folder / "etc"))
        (folder / "units" / UNIT.name).write_text(text)
        self.config = folder / "etc" / "probe.yaml"
        self.config.write_text(
            f"region: sa-east\nlisten: 127.0.0.1:{port}\n"
            "defaults: {interval: 1s, timeout: 500ms, confirm: {attempts: 1, spacing: 50ms}}\n"
            "providers: {nowhere: {addresses: ['127.0.0.1:1']}}\n"
            "checks: [{name: a, kind: tls, targets: [shop.example], providers: [nowhere]}]\n"
        )

    def install(self, version: str, *, broken: bool = False) -> None:
        """A release whose program says which version it is."""
        program = self.home / "releases" / version / "bin" / "probe"
        program.parent.mkdir(parents=True)
        run_it = "exit 1" if broken else f'exec {sys.executable} -c "$code" "$@"'
        program.write_text(
            "#!/bin/sh\n"
            f"code=\"import probe; probe.__version__ = '{version}'\n"
            'import sys; from probe.cli.main import main; main()"\n'
            f'[ "$1" != run ] && exec {sys.executable} -m probe "$@"\n'
            f"{run_it}\n"
        )
        program.chmod(0o755)

    def release(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(RELEASE), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            env={
                **os.environ,
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "FAKE_SYSTEMD": str(self.folder),
                "PROBE_HOME": str(self.home),
                "PROBE_ETC": str(self.folder / "etc"),
                "PROBE_UNITS": str(self.folder / "units"),
                "PROBE_SYSUSERS": str(self.folder / "sysusers"),
                "PROBE_GROUP": str(os.getgid()),
                "PYTHON": "/usr/bin/python3",
                **environ,
            },
        )

    def calls(self) -> list[str]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [" ".join(a for a in json.loads(line) if a != "--quiet") for line in lines]

    def scrape(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=20) as answer:
            return str(answer.read().decode())

    def version(self) -> str:
        found = re.search(r'probe_agent_build_info\{.*version="([^"]+)"', self.scrape())
        assert found is not None
        return found[1]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    machine = Machine(tmp_path, port)
    yield machine
    for file in tmp_path.glob("*.pid"):
        os.kill(int(file.read_text()), 9)


@pytest.mark.slow
def test_a_release_follows_another_and_goes_back_without_a_gap(machine: Machine) -> None:
    for version in ("0.1.0", "0.2.0"):
        machine.install(version)
    done = machine.release("switch", "0.1.0")
    assert done.returncode == 0, done.stderr
    assert machine.version() == "0.1.0"

    whole, stop = [], threading.Event()
    with_edge = "probe_edge_attempts_total{"
    while with_edge not in machine.scrape():
        time.sleep(0.1)

    def scrape() -> None:
        while not stop.is_set():
            whole.append(with_edge in machine.scrape())
            stop.wait(0.1)

    scraper = threading.Thread(target=scrape)
    scraper.start()
    try:
        done = machine.release("switch", "0.2.0")
        assert done.returncode == 0, done.stderr
        assert machine.version() == "0.2.0"
        assert machine.release("list").stdout == "  0.1.0\n* 0.2.0\n"
        done = machine.release("rollback")
        assert done.returncode == 0, done.stderr
        assert machine.version() == "0.1.0"
    finally:
        stop.set()
        scraper.join()
    assert len(whole) > 10
    assert all(whole), "every scrape was answered, with the edge in it"
    change = machine.calls()[2:6]
    assert change == [
        "start regional-probe@0.2.0.service",
        "enable regional-probe@0.2.0.service",
        "disable regional-probe@0.1.0.service",
        "stop regional-probe@0.1.0.service",
    ]
    assert machine.release("remove", "0.1.0").returncode == 1, "it runs"
    assert machine.release("remove", "0.2.0").returncode == 0
    machine.release("list")


def test_a_release_that_does_not_start_changes_nothing(machine: Machine) -> None:
    machine.install("0.1.0")
    machine.install("0.2.0", broken=True)
    assert machine.release("switch", "0.1.0").returncode == 0
    done = machine.release("switch", "0.2.0")
    assert done.returncode == 1
    assert "release 0.2.0 did not become ready; 0.1.0 goes on" in done.stderr
    assert machine.version() == "0.1.0"
    assert machine.release("list").stdout == "* 0.1.0\n  0.2.0\n"
    machine.config.write_text("checks: {")
    done = machine.release("switch", "0.2.0")
    assert "release 0.2.0 refuses the configuration" in done.stderr
    for wrong in ("0.3.0", "../x", ""):
        assert machine.release("switch", wrong).returncode == 1


def test_a_release_is_installed_whole_or_not_at_all(machine: Machine, tmp_path: Path) -> None:
    """With a stand-in for what takes long; tests of the image install for real."""
    release = tmp_path / "release"
    release.mkdir()
    for file in (UNIT, RELEASE, UNIT.with_name("sysusers.conf")):
        (release / file.name).write_text(file.read_text())
    (release / "regional_probe-0.3.0-py3-none-any.whl").write_text("")
    (release / "requirements.txt").write_text("")
    script = 'mkdir -p "$1/bin" && printf "#!/bin/sh\\n" >"$1/bin/probe" && chmod +x "$1/bin/probe"'
    sysusers = machine.folder / "bin" / "systemd-sysusers"
    sysusers.write_text("#!/bin/sh\n")
    sysusers.chmod(0o755)

    def seal(text: str) -> None:
        (release / "venv.sh").write_text(text)
        (release / "SHA256SUMS").unlink(missing_ok=True)
        run(
            "sh",
            "-c",
            f"cd {release} && sha256sum -- * > ../sums && mv ../sums SHA256SUMS",
        )

    seal(f"{script} && exit 1")
    done = machine.release("add", str(release))
    assert done.returncode == 1
    assert "release 0.3.0 could not be installed" in done.stderr
    assert not (machine.home / "releases" / "0.3.0").exists()
    seal(script)
    done = machine.release("add", str(release), PYTHON="/home/somebody/bin/python3")
    assert "is in a home folder, which the agent must not see" in done.stderr
    assert not (machine.home / "releases" / "0.3.0").exists()
    done = machine.release("add", str(release))
    assert done.returncode == 0, done.stderr
    assert machine.release("list").stdout == "  0.3.0\n"
    assert (machine.folder / "etc" / "credentials").stat().st_mode & 0o777 == 0o700
    assert "release 0.3.0 is there already" in machine.release("add", str(release)).stderr
