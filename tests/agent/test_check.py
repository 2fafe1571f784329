"""``probe check`` as a person and as the gate of a migration."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import trio
from click.testing import CliRunner

from probe.cli.main import main
from probe.lab.board import Where
from probe.lab.process import RemoteLab

Done = subprocess.CompletedProcess[str]


async def check(config: Path, *more: str) -> Done:
    command = [sys.executable, "-m", "probe", "check", "--config", str(config), *more]
    run = partial(trio.run_process, command, capture_stdout=True, capture_stderr=True, check=False)
    with trio.fail_after(60):
        done = await run()
    return Done(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def batch(config: Path, *names: str) -> str:
    path = config.with_name("batch.yaml")
    path.write_text(f"- targets: [{', '.join(names)}]\n")
    return str(path)


async def test_all_pass_is_0_and_only_counts_are_shown(config: Path) -> None:
    done = await check(config)
    assert (done.returncode, done.stdout) == (0, "32 pass\nrevocation: 32 not looked at\n"), (
        done.stderr
    )


async def test_a_failing_edge_is_1_and_named_with_everything_to_act_on(
    config: Path, lab: RemoteLab
) -> None:
    gru = lab.info.place("cdn-b/gru")
    both = frozenset({"store-001.example", "store-002.example"})
    await lab.inject("default_certificate", Where(both, frozenset({gru.name})))
    done = await check(config)
    assert done.returncode == 1
    assert done.stdout.count("FAIL cdn-b") == 1  # one block for what fails alike
    assert f"FAIL cdn-b {gru.label} default" in done.stdout
    assert "2 targets: store-001.example, store-002.example" in done.stdout
    assert f"openssl s_client -connect {gru.label} -servername store-001.example" in done.stdout
    assert "30 pass, 2 FAIL" in done.stdout
    assert "certificates that differ between edges" in done.stdout


async def test_json_and_junit_say_the_same(config: Path, lab: RemoteLab) -> None:
    gru = lab.info.place("cdn-b/gru")
    where = Where(frozenset({"store-001.example"}), frozenset({gru.name}))
    await lab.inject("alert_unrecognized_name", where)
    one = ("--target", "store-001.example", "--provider", "cdn-b")
    document = json.loads((await check(config, *one, "-o", "json")).stdout)
    assert document["summary"] == {"pass": 3, "fail": 1, "inconclusive": 0, "skipped": 0}
    (failed,) = [row for row in document["results"] if row["verdict"] == "fail"]
    assert (failed["edge"], failed["reason"]) == (gru.label, "alert_unrecognized_name")
    suite = ET.fromstring((await check(config, *one, "-o", "junit")).stdout).find("testsuite")  # noqa: S314 - our own command wrote it
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("4", "1")


async def test_the_gate_passes_a_batch_whose_edges_are_all_right(config: Path) -> None:
    targets = batch(config, "store-003.example", "store-004.example")
    done = await check(config, "--provider", "cdn-b", "--targets", targets, "--wait", "5s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "RSA is refused by all 4 edges" in done.stdout  # this lab has none
    assert done.stdout.endswith("8 pass, 2 skipped\nrevocation: 8 not looked at\n")


async def test_the_gate_stops_a_batch_with_an_edge_that_fails_now_and_then(
    config: Path, lab: RemoteLab
) -> None:
    gru = lab.info.place("cdn-b/gru")
    where = Where(frozenset({"store-003.example"}), frozenset({gru.name}))
    await lab.inject("alert_unrecognized_name", where, probability=0.4)
    targets = batch(config, "store-003.example", "store-004.example")
    gate = ("--provider", "cdn-b", "--targets", targets, "--attempts", "30", "--wait", "1s")
    done = await check(config, *gate, "--key-types", "configured")
    assert done.returncode == 1
    assert gru.label in done.stdout
    assert "store-003.example" in done.stdout
    assert "store-004.example" not in done.stdout


async def test_the_gate_waits_until_the_last_edge_is_right(config: Path, lab: RemoteLab) -> None:
    where = Where(frozenset({"store-003.example"}), frozenset({"cdn-b/gru"}))
    await lab.inject("alert_unrecognized_name", where)
    targets = batch(config, "store-003.example")
    done: list[Done] = []

    async def gate() -> None:
        arguments = ("--provider", "cdn-b", "--targets", targets, "--wait", "50s")
        done.append(await check(config, *arguments))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate)
        await trio.sleep(3)
        assert not done  # it waits
        await lab.clear()
    assert done[0].returncode == 0, done[0].stdout


@pytest.mark.slow
async def test_the_gate_wants_the_new_certificate_everywhere(config: Path, lab: RemoteLab) -> None:
    now = ("--provider", "cdn-b", "--target", "store-001.example", "-o", "json", "--all")
    rows = json.loads((await check(config, *now)).stdout)["results"]
    (fingerprint,) = {row["certificate"] for row in rows}
    right = await check(config, *now, "--expect-fingerprint", fingerprint)
    assert right.returncode == 0
    wrong = await check(config, *now, "--expect-fingerprint", "ab" * 32)
    assert wrong.returncode == 1
    assert "unexpected_fingerprint" in wrong.stdout
    later = await check(config, *now, "--expect-not-before", "2100-01-01")
    assert later.returncode == 1
    assert "older_than_expected" in later.stdout


def test_bad_words_on_the_command_line_are_2_and_say_what_to_write(plain: Path) -> None:
    cases = {
        ("--provider", "nowere"): "did you mean nowhere?",
        ("--check", "storse"): "did you mean stores?",
        ("--target", "nobody.example"): "holds nobody.example",
        ("--expect-fingerprint", "abc"): "64 digits",
        ("--expect-not-before", "yesterday"): "2024-05-31",
        ("--wait", "10"): "10s",
        ("--targets", "/nonexistent.yaml"): "/nonexistent.yaml",
    }
    for words, hint in cases.items():
        done = CliRunner().invoke(main, ["check", "--config", str(plain), *words])
        assert done.exit_code == 2, words
        assert hint in done.stderr, (words, done.stderr)


async def test_inconclusive_is_3(config: Path) -> None:
    text = config.read_text()
    config.write_text(
        text.replace(
            "trust: {file: roots.pem}",
            "profiles: [{name: mtls, client_certificate: {certificate: env:NONE, key: env:NONE}}]",
        )
    )
    done = await check(config)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "env:NONE" in done.stdout


async def test_one_name_of_several_that_nobody_knows_is_2(config: Path) -> None:
    done = await check(config, "--target", "store-001.example", "--target", "store-01.example")
    assert done.returncode == 2
    assert "store-01.example" in done.stderr
    assert "store-001.example" not in done.stderr


async def test_a_source_of_targets_that_is_down_is_3_and_the_others_are_probed(
    config: Path,
) -> None:
    text = config.read_text().replace(
        "[stores.json]", '[stores.json], http: ["http://127.0.0.1:9"]'
    )
    config.write_text(text)
    done = await check(config)
    assert done.returncode == 3, done.stdout
    assert "127.0.0.1:9" in done.stdout
    assert "32 pass" in done.stdout


SILENT = """
region: lab
providers: {{a: {{addresses: [127.0.0.1]}}}}
targets: {{stores: {{static: [shop.example]}}}}
checks:
  - {{name: s, kind: tls, targets: stores, providers: [a], port: {port}, timeout: 30s}}
"""


async def test_ctrl_c_is_neither_pass_nor_fail(tmp_path: Path) -> None:
    (silent,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    config = tmp_path / "probe.yaml"
    config.write_text(SILENT.format(port=silent.socket.getsockname()[1]))
    command = [sys.executable, "-m", "probe", "check", "--config", str(config)]
    process = await trio.lowlevel.open_process(command, stderr=subprocess.PIPE)
    assert process.stderr is not None
    with trio.fail_after(60):
        async with silent, await silent.accept():  # it waits for an answer that never comes
            process.send_signal(signal.SIGINT)
            said = b"".join([chunk async for chunk in process.stderr])
            assert await process.wait() == 130
    assert b"Traceback" not in said
    assert b"Aborted" not in said


def test_ctrl_c_while_the_configuration_is_read_is_no_failed_gate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("probe.config.loading.load", interrupted)
    done = CliRunner().invoke(main, ["check"])
    assert (done.exit_code, done.output) == (130, "")


# ------------------------------------------------------------------ names without a configuration


async def bare(folder: Path, *words: str, stdin: bytes = b"") -> Done:
    """``probe check`` in a folder without a configuration."""
    command = [sys.executable, "-m", "probe", "check", *words]
    run = partial(trio.run_process, command, capture_stdout=True, capture_stderr=True, check=False)
    with trio.fail_after(60):
        done = await run(cwd=folder, stdin=stdin)
    return Done(command, done.returncode, done.stdout.decode(), done.stderr.decode())


async def test_a_name_needs_no_configuration(tmp_path: Path, lab: RemoteLab) -> None:
    gru, mia = (lab.info.place(name).label for name in ("cdn-b/gru", "cdn-b/mia"))
    where = Where(frozenset({"store-001.example"}), frozenset({"cdn-b/gru"}))
    await lab.inject("expired", where)
    edges = ("--address", gru, "--address", mia, "--trust-file", lab.info.roots)
    done = await bare(tmp_path, "store-001.example", *edges)
    assert done.returncode == 1, done.stderr
    assert f"FAIL given {gru} default  certificate/expired" in done.stdout
    (passed,) = [line for line in done.stdout.splitlines() if line.startswith("✓ pass")]
    assert mia in passed  # a line of its own, also in a pipe
    for words in ("  names   store-001.example", "  issuer  ", "  valid   ", "  chain   "):
        assert words in done.stdout
    assert f"  sent by {mia}\n" in done.stdout
    assert done.stdout.endswith("1 pass, 1 FAIL\nrevocation: 2 not looked at\n")


async def test_names_come_from_standard_input_too(tmp_path: Path, lab: RemoteLab) -> None:
    edges = ("--address", lab.info.place("cdn-b/mia").label, "--trust-file", lab.info.roots)
    names = b"store-001.example  # the first\n\nstore-002.example\n"
    done = await bare(tmp_path, "--targets", "-", *edges, stdin=names)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("2 pass\nrevocation: 2 not looked at\n")
    nothing = await bare(tmp_path, "--targets", "-", *edges)
    assert nothing.returncode == 2
    assert "standard input names nothing to check" in nothing.stderr


async def test_a_batch_may_come_from_standard_input(config: Path) -> None:
    command = [sys.executable, "-m", "probe", "check", "--config", str(config)]
    more = ["--provider", "cdn-b", "--targets", "-", "--key-types", "configured"]
    with trio.fail_after(60):
        done = await trio.run_process(
            [*command, *more], stdin=b"store-003.example\n", capture_stdout=True, check=False
        )
    assert done.returncode == 0
    assert done.stdout.decode() == "4 pass\nrevocation: 4 not looked at\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shop..example"], "empty part between two dots"),
        (["shop.example", "--config", "x.yaml"], "leave out --config"),
        (["shop.example", "--provider", "x"], "leave out --config"),
        (["--sni", "shop.example"], "need a NAME or URL"),
        ([], "name what to check: probe check shop.example"),
    ],
)
def test_what_cannot_be_meant_is_2(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["check", *words])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


async def test_probe_yaml_of_the_folder_is_found_first(config: Path) -> None:
    config.rename(config.with_name("probe.yaml"))
    done = await bare(config.parent, "--target", "store-001.example")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "8 pass\nrevocation: 8 not looked at\n"


@pytest.mark.real
async def test_too_few_timestamps_of_a_public_root_are_told_in_words(
    config: Path, lab: RemoteLab
) -> None:
    """The lab's root stands in for one of Mozilla's list."""
    text = config.read_text()
    trust = next(line for line in text.splitlines() if "trust:" in line)
    config.write_text(text.replace(trust, trust.partition("trust:")[0] + "trust: mozilla"))
    start = f"import certifi; certifi.where = lambda: {lab.info.roots!r}"
    code = f"{start}; from probe.cli.main import main; main()"
    ask = [sys.executable, "-c", code, "check", "--config", str(config)]
    await lab.inject("logged_once")
    run = partial(trio.run_process, capture_stdout=True, capture_stderr=True, check=False)
    done = await run([*ask, "--target", "store-001.example", "--provider", "cdn-b"])
    said = done.stdout.decode()
    assert done.returncode == 0, said
    assert (
        "timestamps of Certificate Transparency: 1 in the certificate, 0 in the staple; 1 of "
        "distinct logs count, and browsers need 2; the extension of the handshake, which may carry "
        "more, is not looked at" in said
    )
