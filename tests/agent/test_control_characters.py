"""Bytes from outside that act on terminals and readers: none comes out raw anywhere."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from probe.agent.log import EventLog, configure
from probe.cli.main import main
from probe.model.failure import Failure, Phase, Reason, printable
from probe.model.result import Failed, Passed
from probe.model.state import EdgeStatus, Transition
from probe.model.target import Edge, ProviderKey, Resolution
from probe.report.console import table
from probe.report.exposition import to_prometheus
from probe.report.findings import findings
from probe.report.lines import lines, wide
from probe.report.machine import to_github, to_json, to_junit
from probe.report.rows import rows_of
from probe.serve import Store, application
from probe.serve.http.message import WebRequest
from probe.serve.series.family import Format
from tests.serve.world import START, World, leaf, shaken, spec

PLANTED = (
    *map(chr, [*range(0x00, 0x09), 0x0B, 0x0C, 0x0D, *range(0x0E, 0x20), *range(0x7F, 0xA0)]),
    *"\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e",
    *"\u2060\u2066\u2067\u2068\u2069\ufeff\ufff9\ufffb\U000e0001\U000e0041\udfff\ud800",
)
"""Everything that moves a cursor, ends a line, turns the direction of writing or hides."""

EVIL = (
    "\x1b[2J\x1b]0;owned\x07\r" + "".join(PLANTED) + "\x9b31m<b>&\"'\\ end"
)  # clears the screen, names the window, writes over the line


def raw(text: str) -> list[str]:
    """Planted characters that stand in an output as they are; line feeds and tabs are its own."""
    return sorted({f"{ord(one):x}" for one in text if one in PLANTED})


def failing(world: World) -> Iterator[Any]:
    """Results with planted texts wherever a server, a resolver or a list puts its own."""
    key = world.key(f"shop{EVIL}.example")
    failed = Failed(Failure(Phase.CERTIFICATE, Reason.NAME_MISMATCH, EVIL))
    own = leaf("shop.example")
    own = replace(own, subject=f"CN={EVIL}", issuer=EVIL, dns_names=(EVIL,), issuer_url=EVIL)
    shook = replace(shaken(own), alpn=EVIL, version=EVIL, cipher=EVIL, group=EVIL)
    made = world.result(key, failed)
    yield replace(made, handshake=shook, command=f"openssl {EVIL}", browser=EVIL)
    good = world.result(world.key(f"good{EVIL}.example"), Passed())
    yield replace(good, handshake=shook)


@pytest.fixture
def store() -> Store:
    store, world = Store(f"sa-east{EVIL}", started_at=START), World()
    store.configure(spec())
    for result in failing(world):
        status = EdgeStatus.PASSING if isinstance(result.outcome, Passed) else EdgeStatus.FAILING
        store.record_edge(result, status, START)
    key = ProviderKey("stores", f"name{EVIL}.example", "cdn-a")
    gone = Resolution((), failure=Failure(Phase.RESOLVE, Reason.NXDOMAIN, EVIL))
    store.record_resolution(
        replace(world.resolved(key, [Edge("198.51.100.1", 443)]), resolution=gone)
    )
    store.note(transition())
    store.agent.build(version="1", python="3", openssl=EVIL)
    store.agent.reloaded(success=False, at=START, problem=EVIL)
    return store


def transition() -> Transition:
    key = World().key(f"shop{EVIL}.example")
    why = Failure(Phase.TLS, Reason.CLOSED, EVIL)
    return Transition(key, "passing", "failing", START, START, failure=why, command=EVIL)


@pytest.mark.parametrize("one", PLANTED, ids=lambda one: f"U+{ord(one):04X}")
def test_each_of_them_is_replaced(one: str) -> None:
    shown = printable(f"a{one}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert "\\" in shown


def test_what_can_be_printed_stays() -> None:
    for text in ("shop.example", "bücher.example", "日本語 ✓ 🏪", '<b>&"\\'):
        assert printable(text) == text
    assert printable("a\n\tb\x07", "\n\t") == "a\n\tb\\x07"


@pytest.mark.parametrize("form", Format)
async def test_metrics(store: Store, form: Format) -> None:
    text = await answer(store, "/metrics", {"accept": form.value})
    assert "\\x1b[2J" in text.replace("\\\\", "\\")
    assert raw(text) == []


@pytest.mark.parametrize("path", ["/", f"/target/shop{EVIL}.example", "/api/v1/status"])
async def test_pages_and_api(store: Store, path: str) -> None:
    text = await answer(store, path, {})
    assert "[2J" in text
    assert raw(text) == []
    if path.startswith("/api"):
        assert json.loads(text)["edges"][0]["detail"] == EVIL, "the API gives what was seen"


async def answer(store: Store, path: str, headers: dict[str, str]) -> str:
    request = WebRequest("GET", path, headers=headers, host="localhost")
    handler, _ = application(store, wall=lambda: START + 60)(request)
    body = (await handler(request)).body
    if not isinstance(body, bytes):
        body = b"".join([piece async for piece in body])
    return body.decode()


@pytest.mark.parametrize("style", ["json", "text"])
def test_log(style: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure(stream, style)
        log = EventLog(region=EVIL)
        log.transition(transition(), owner=EVIL)
        log.error(EVIL, problem=EVIL)
        logging.getLogger("other").warning("said: %s", EVIL)
        try:
            raise ValueError(EVIL)
        except ValueError:
            logging.getLogger("other").exception("it went wrong: %s", EVIL)
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
    text = stream.getvalue()
    assert "[2J" in text
    assert raw(text) == []
    lines = text.splitlines()
    assert all(line.startswith(("{", "20", "    ", "Trace", "Value", "  ")) for line in lines)


@pytest.mark.parametrize("terminal", [True, False])
def test_what_check_prints(terminal: bool) -> None:
    rows = rows_of(failing(World()))
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, color_system=None, width=200)
    console.print(table(rows, all_rows=True), crop=False)
    printed = [stream.getvalue(), to_json(rows, region=""), to_junit(rows, region="")]
    printed += [to_github(findings(rows), rows), "\n".join(wide(rows))]
    printed.append("\n".join(lines(rows, all_rows=True)))
    assert raw(to_prometheus(rows, region="", now=0.0)) == []
    for text in printed:
        assert "[2J" in text
        assert raw(text) == []


def test_what_validate_prints(tmp_path: Path) -> None:
    evil = "".join(one for one in EVIL if one not in "\0/" and one < "\ud800")[:80]
    (tmp_path / f"list{evil}.yaml").write_text('- targets: ["shop.example/x"]\n')
    quoted = json.dumps(f"live{evil}")
    (tmp_path / "probe.yaml").write_text(
        f'region: sa-east\ntargets: {{stores: {{files: ["*.yaml"]}}}}\n'
        f"checks:\n  - {{name: a, kind: tls, targets: stores, providers: [{quoted}]}}\n"
    )
    done = CliRunner().invoke(main, ["validate", str(tmp_path / "probe.yaml")])
    assert done.exit_code == 1
    assert "[2J" in done.output
    assert raw(done.output) == []
